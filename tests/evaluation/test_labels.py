"""What counts as ground truth."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

from holley_assets.evaluation.labels import LABELS, dropped_labels, ground_truth
from holley_assets.evaluation.report import EvaluationOptions, build_report
from holley_assets.evaluation.report_page import render

CLICKS = pa.table(
    {
        "click_timestamp": [1, 2, 3],
        "email_lower": pa.array(["ann", "ann", "bob"]).dictionary_encode(),
        "base_sku": ["A", "A", "B"],
    }
)
INTERACTIONS = pa.table(
    {
        "interaction_date": [1, 1, 2],
        "email_lower": ["ann", "ann", "cid"],
        "base_sku": pa.array(["A", "B", "B"]).dictionary_encode(),
    }
)


def pairs(labels: pa.Table) -> list[tuple[str, str]]:
    """(e-mail, base SKU) of every label, sorted."""
    return sorted(zip(*(labels[name].to_pylist() for name in ("email_lower", "base_sku")), strict=True))


def test_clicks_are_taken_as_they_are() -> None:
    """The default changes nothing."""
    assert ground_truth("clicks", CLICKS, INTERACTIONS) is CLICKS


def test_interactions_alone() -> None:
    """One label a row."""
    labels = ground_truth("interactions", CLICKS, INTERACTIONS)
    assert pairs(labels) == [("ann", "A"), ("ann", "B"), ("cid", "B")]


def test_both_count_the_view_that_a_click_led_to_once() -> None:
    """Ann's A is a click and a view: two clicks stay two labels, the view adds none."""
    labels = ground_truth("both", CLICKS, INTERACTIONS)
    assert pairs(labels) == [("ann", "A"), ("ann", "A"), ("ann", "B"), ("bob", "B"), ("cid", "B")]


@pytest.mark.parametrize("source", LABELS)
def test_nothing_makes_no_labels(source: Any) -> None:
    """Empty tables are no error."""
    assert ground_truth(source, CLICKS.slice(0, 0), INTERACTIONS.slice(0, 0)).num_rows == 0


def test_unknown_sources_are_refused() -> None:
    """In one line that lists what there is."""
    with pytest.raises(ValueError, match="none of clicks, interactions, both"):
        ground_truth("orders", CLICKS, INTERACTIONS)  # type: ignore[arg-type]


def test_what_was_dropped_is_that_of_the_tables_that_were_read() -> None:
    """Reasons that both tables know are summed."""
    clicks, interactions = {"product unknown": 2, "no product view": 1}, {"product unknown": 3}
    assert dropped_labels("clicks", clicks, interactions) == clicks
    assert dropped_labels("interactions", clicks, interactions) == interactions
    assert dropped_labels("both", clicks, interactions) == {"product unknown": 5, "no product view": 1}


@pytest.mark.parametrize(
    ("source", "words", "unit"),
    [
        ("clicks", "clicks on e-mails from", "400 clicks"),
        ("interactions", "views, carts and orders on the site from", "400 interactions"),
        ("both", "clicks on e-mails, and views, carts and orders on the site from", "400 labels"),
    ],
)
def test_the_report_says_which(world: Any, source: Any, words: str, unit: str) -> None:
    """The setting in JSON, the words on the page and in the reason; the figures are those of the labels."""
    report = build_report(
        run=world.run,
        clicks=world.clicks,
        clicks_dropped={},
        users=world.users,
        rankings=world.rankings,
        rankings_before_rules=world.rankings,
        products=world.products,
        options=EvaluationOptions(label_source=source),
    )
    assert report["label_source"] == source
    assert report["decision"]["reason"].startswith(
        f"The test set has {unit}; below 2,000 nothing is decided."
    )
    page = render(report)
    assert f"Ground truth: {words}" in page
    assert f"<dd>{unit}<small>" in page
