"""The list of all reports: order, links, and what is left out."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from holley_assets.assets.report_index import INDEX_FILE, publish_index
from holley_assets.evaluation.report_index import index_row, render_index
from holley_assets.resources.storage.interface import FolderStore


def report(run_id: str, as_of: str = "2026-02-01", **changes: Any) -> dict[str, Any]:
    """As much of a report as the list reads."""
    return {
        "run_id": run_id,
        "as_of": as_of,
        "model_version": "20260201-abc",
        "source": "sample",
        "delivered_system": "hybrid",
        "decision": {"outcome": "clear_win"},
        "metrics": {"hybrid": {"cold": {"hit_rate@4": 0.25}}},
        "comparison": {"cold": {"hit_rate@4_delta": 0.04, "ci95": [0.03, 0.05]}},
        "test_set": {"users": 1234},
        **changes,
    }


class Table(HTMLParser):
    """Rows of cells, and the addresses of links."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.links: list[str | None] = []
        self._inside = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")
            self._inside = True
        if tag == "a":
            self.links.append(dict(attrs)["href"])

    def handle_endtag(self, tag: str) -> None:
        self._inside = self._inside and tag not in ("td", "th")

    def handle_data(self, data: str) -> None:
        if self._inside:
            self.rows[-1][-1] += data.replace("\N{NO-BREAK SPACE}", " ")


def publish(store: FolderStore, content: dict[str, Any]) -> Table:
    """As a run does: its two files, then the list."""
    folder = store.root / "runs" / content["run_id"]
    folder.mkdir(parents=True)
    (folder / "r.json").write_text(json.dumps(content))
    (folder / "r.html").touch()
    publish_index(store, content, json_file="r.json", html_file="r.html")
    return Table((store.root / INDEX_FILE).read_text(encoding="utf-8"))


def test_newest_first_with_a_link_to_each(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    publish(store, report("run-b", "2026-02-01"))
    publish(store, report("run-a", "2026-02-01"))
    table = publish(store, report("run-c", "2026-01-25", source="parquet"))
    assert table.links == ["runs/run-a/r.html", "runs/run-b/r.html", "runs/run-c/r.html"]
    assert table.rows[1] == [
        *["2026-02-01", "Clear win", "hybrid", "25.0 %", "+4.00", "+3.00 to +5.00", "1,234"],
        *["generated sample", "20260201-abc", "run-a"],
    ]
    assert table.rows[3][7] == "parquet"


def test_runs_of_before_the_list_are_found_and_those_that_are_gone_left_out(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    for name in ("old", "damaged", "other"):
        (tmp_path / "runs" / name).mkdir(parents=True)
        (tmp_path / "runs" / name / "r.html").touch()
    (tmp_path / "runs" / "old" / "r.json").write_text(json.dumps(report("old", "2026-01-01")))
    (tmp_path / "runs" / "damaged" / "r.json").write_text("{")
    (tmp_path / "runs" / "other" / "r.json").write_text('{"run_id": "other"}')
    assert publish(store, report("new")).links == ["runs/new/r.html", "runs/old/r.html"]
    (tmp_path / "runs" / "old" / "r.html").unlink()
    (tmp_path / "runs" / "old" / "r.json").unlink()
    assert publish(store, report("newest")).links == ["runs/newest/r.html", "runs/new/r.html"]


@pytest.mark.parametrize("text", ["{", '{"a": 1}'])
def test_a_list_that_cannot_be_read_is_made_again(tmp_path: Path, text: str) -> None:
    store = FolderStore(tmp_path)
    publish(store, report("first"))
    (tmp_path / "reports.json").write_text(text)
    assert publish(store, report("second")).links == ["runs/second/r.html", "runs/first/r.html"]


def test_text_of_a_report_stays_text() -> None:
    row = index_row(report("ann@example.com", model_version="<b>", decision={"outcome": "odd"}))
    page = render_index([row], {row["run_id"]: "x.html"})
    assert "@example" not in page and "<b>" not in page and "&lt;b&gt;" in page
    assert Table(page).rows[1][1] == "odd"


def test_what_no_test_user_clicked_is_a_dash() -> None:
    nothing: dict[str, Any] = {"metrics": {"hybrid": {"cold": {"hit_rate@4": None}}}}
    row = index_row(report("run", comparison={"cold": {"hit_rate@4_delta": None, "ci95": None}}, **nothing))
    assert Table(render_index([row], {"run": "x"})).rows[1][3:6] == ["–", "–", "–"]
