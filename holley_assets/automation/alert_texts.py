"""How alerts are worded, whatever they are about."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import quote

import dagster as dg

from holley_assets.automation.alerts import Severity

_LINES = 10


def first_line(text: str) -> str:
    """The first line of ``text`` that says something."""
    lines = text.strip().splitlines()
    return lines[0].strip() if lines else "no words"


def check_name(evaluation: dg.AssetCheckEvaluation) -> str:
    """Asset and check, as people read them."""
    return f"{evaluation.asset_key.to_user_string()}: {evaluation.check_name}"


def check_line(evaluation: dg.AssetCheckEvaluation) -> str:
    """A failed check with its own words."""
    kind = "ERROR" if evaluation.severity is dg.AssetCheckSeverity.ERROR else "warning"
    words = f": {evaluation.description}" if evaluation.description else ""
    return f"{kind}: {check_name(evaluation)}{words}"


def severity_of(evaluations: Sequence[dg.AssetCheckEvaluation]) -> Severity:
    """The severest of failed checks."""
    error = any(evaluation.severity is dg.AssetCheckSeverity.ERROR for evaluation in evaluations)
    return Severity.ERROR if error else Severity.WARNING


def message(lines: Sequence[str], links: Sequence[str]) -> str:
    """What an alert says: at most ten lines of what went wrong, and where to look."""
    left = len(lines) - _LINES
    shown = [*lines[:_LINES], *([f"and {left} more"] if left > 0 else [])]
    return "\n".join([*shown, *links[:_LINES]])


def link(ui_url: str | None, *path: str, query: str = "") -> list[str]:
    """The address of a page of the user interface, where it is known where that is."""
    if ui_url is None:
        return []
    return ["/".join([ui_url.rstrip("/"), *(quote(part, safe="@") for part in path)]) + query]
