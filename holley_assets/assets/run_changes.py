"""What a run has changed since the one that it is compared with: settings, versions, and parts learned from."""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import Any

from holley_assets.assets.model import MODEL_FILE
from holley_assets.evaluation.run_settings import settings_that_differ, versions_that_differ
from holley_assets.resources.settings_resource import SETTINGS_FILE, VERSIONS_FILE
from holley_assets.resources.storage.interface import FileStore

# Parts that are named of those that came or went.
NAMED = 10
# Folders say where, not what, and may name a person.
_FOLDERS = ("run.data_dir", "run.source_dir")


def changes_between(store: FileStore, before: str, now: str, parts: Collection[str]) -> dict[str, Any]:
    """What the report says has changed since run ``before``.

    Args:
        store: files of all runs.
        before: id of the run before.
        now: id of this run.
        parts: base SKUs that this run's model learned from.

    Returns:
        ``settings`` and ``versions`` (name to both values of those that differ), ``came`` and ``went`` (``count`` and
        the first ``names`` of the parts that only one of both models learned from). None for what is gone of a run.
    """
    settings, versions = (_of_both(store, before, now, name) for name in (SETTINGS_FILE, VERSIONS_FILE))
    differ = None if settings is None else settings_that_differ(*settings)
    known = _parts_of(store, before)
    return {
        "settings": differ and {name: both for name, both in differ.items() if name not in _FOLDERS},
        "versions": None if versions is None else versions_that_differ(*versions),
        "came": None if known is None else _named(set(parts) - known),
        "went": None if known is None else _named(known - set(parts)),
    }


def _of_both(store: FileStore, before: str, now: str, name: str) -> list[dict[str, Any]] | None:
    try:
        paths = [store.local_path(f"runs/{run}/{name}") for run in (before, now)]
        return [json.loads(path.read_text("utf-8")) for path in paths]
    except (FileNotFoundError, ValueError):
        return None


def _parts_of(store: FileStore, run: str) -> set[str] | None:
    from holley_assets.gnn.vocabularies import read_vocabularies

    try:
        return set(read_vocabularies(store.local_path(store.artifact_key(run, MODEL_FILE)))["products"])
    except (FileNotFoundError, LookupError, RuntimeError):
        return None


def _named(parts: set[str]) -> dict[str, Any]:
    return {"count": len(parts), "names": sorted(parts)[:NAMED]}
