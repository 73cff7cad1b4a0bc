"""One page that lists the reports of all runs, newest first."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from holley_assets.evaluation.formatting import count, difference, share, span
from holley_assets.evaluation.page_template import page_style, page_template
from holley_assets.evaluation.report_page import HEADLINES
from holley_assets.texts import mask_all


def index_row(report: Mapping[str, Any]) -> dict[str, Any]:
    """What the list shows of a report.

    Raises:
        KeyError: it is of a version of this project whose reports hold something else.
    """
    cold, delivered = report["comparison"]["cold"], report["delivered_system"]
    row = {
        "run_id": report["run_id"],
        "as_of": report["as_of"],
        "model_version": report["model_version"],
        "source": report.get("source"),
        "outcome": report["decision"]["outcome"],
        "delivered": delivered,
        "hit_rate": report["metrics"][delivered]["cold"]["hit_rate@4"],
        "difference": cold["hit_rate@4_delta"],
        "interval": cold["ci95"],
        "users": report["test_set"]["users"],
    }
    return dict(mask_all(row)[0])


def in_order(rows: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Newest day first, and of one day the last of ``rows`` first."""
    # A sort keeps the order of equals.
    newest_first = rows[::-1]
    return sorted(newest_first, key=lambda row: str(row["as_of"]), reverse=True)


def render_index(rows: Sequence[Mapping[str, Any]], links: Mapping[str, str]) -> str:
    """The page.

    Args:
        rows: of :func:`index_row`, in the order in which the runs came.
        links: addresses of the reports by run, as seen from the page.

    Returns:
        HTML text that loads nothing.
    """
    filters: dict[str, Callable[..., Any]] = {
        "count": count,
        "difference": difference,
        "share": share,
        "span": span,
    }
    template = page_template("holley_assets.evaluation", "report_index.html.jinja", filters)
    return template.render(rows=in_order(rows), links=links, headlines=HEADLINES, style=page_style())
