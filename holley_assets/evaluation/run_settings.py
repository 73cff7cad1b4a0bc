"""Settings, versions and counts of two runs: what differs, with both values."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

HIDDEN = "(not shown)"
# Settings whose values may hold addresses or credentials.
_PRIVATE = "alerts"


def settings_that_differ(before: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, tuple[str, str]]:
    """Both values of each setting that differs, by ``section.name``; those that may name a person are hidden."""
    return {
        name: (_shown(name, was), _shown(name, value))
        for name, (was, value) in that_differ(flat(before), flat(now)).items()
    }


def versions_that_differ(before: Mapping[str, str], now: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    """Both versions of each package that differs, and of the code."""
    return {
        name: (was or "not installed", version or "not installed")
        for name, (was, version) in that_differ(before, now).items()
    }


def flat(values: Mapping[str, Any], *, depth: float = math.inf, prefix: str = "") -> dict[str, Any]:
    """Nested values by dotted name: ``{"training": {"seed": 0}}`` → ``{"training.seed": 0}``.

    Args:
        depth: levels that are looked at; what is nested deeper is left out.
    """
    found: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            if depth > 1:
                found |= flat(value, depth=depth - 1, prefix=f"{prefix}{name}.")
        else:
            found[f"{prefix}{name}"] = value
    return found


def that_differ(before: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Both values of each name whose values differ; None for a name that one of them lacks."""
    names = dict.fromkeys([*before, *now])
    return {name: (before.get(name), now.get(name)) for name in names if before.get(name) != now.get(name)}


def _shown(name: str, value: Any) -> str:
    text = "unset" if value is None else str(value)
    return HIDDEN if name.startswith(f"{_PRIVATE}.") or "@" in text else text
