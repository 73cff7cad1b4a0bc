"""The list of all reports beside the newest one, kept up to date by each run."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from typing import Any

from holley_assets.resources.storage.interface import FileStore, publish_text

INDEX_FILE = "reports.html"
# What the page is made of, so that no run reads the reports of all others.
ROWS_FILE = "reports.json"


def publish_index(store: FileStore, report: Mapping[str, Any], *, json_file: str, html_file: str) -> str:
    """Put a report on the list, and take off those whose files are gone.

    Args:
        report: of this run; its files are published.
        json_file, html_file: names of the files of every report.

    Returns:
        Where the page is.
    """
    # Seconds of imports that no other step needs.
    from holley_assets.evaluation.report_index import index_row, render_index

    run_id = str(report["run_id"])
    folder = store.artifact_folder(json_file)
    found = set(store.keys(folder))
    known = {row["run_id"]: row for row in _rows(store)}
    rows = {run: row for run, row in known.items() if store.artifact_key(run, html_file) in found}
    for key in sorted(found):
        other = key.removeprefix(folder).split("/")[0]
        if key == store.artifact_key(other, json_file) and other not in {*rows, run_id}:
            # A report of another version of this project may hold something else.
            with contextlib.suppress(KeyError, TypeError, ValueError, FileNotFoundError):
                rows[other] = index_row(json.loads(store.local_path(key).read_text(encoding="utf-8")))
    rows.pop(run_id, None)
    rows[run_id] = index_row(report)
    listed = list(rows.values())
    links = {run: store.artifact_key(run, html_file) for run in rows}
    publish_text(store, ROWS_FILE, json.dumps(listed, indent=2) + "\n")
    publish_text(store, INDEX_FILE, render_index(listed, links))
    return store.location(INDEX_FILE)


def _rows(store: FileStore) -> list[dict[str, Any]]:
    try:
        rows = json.loads(store.local_path(ROWS_FILE).read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return []
    return rows if isinstance(rows, list) else []
