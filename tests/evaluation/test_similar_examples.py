"""The parts beside those that sell most, worked out by hand."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

from holley_assets.evaluation.similar_examples import EACH, SOLD_MOST, similar_parts_section

VARIANTS = [
    # base SKU, SKU, orders, why it may not be shown
    ("A", "AB", 3, None),
    ("A", "AR", 3, None),
    ("A", "A", 9, "no image"),
    ("B", "B", 15, None),
    ("C", "C", 15, None),
    ("D", "D", 99, "refurbished"),
    ("E", "E", 0, None),
]
PARTS = pa.table(
    {
        "base_sku": [base for base, _, _, _ in VARIANTS],
        "sku": [sku for _, sku, _, _ in VARIANTS],
        "part_type": ["Wheel"] * len(VARIANTS),
        "serving_price": [float(place) for place in range(len(VARIANTS))],
        "serving_image": [f"https://pictures.example/{sku}.jpg" for _, sku, _, _ in VARIANTS],
        "serving_orders": [orders for _, _, orders, _ in VARIANTS],
        "serving_ineligible_reason": pa.array([reason for _, _, _, reason in VARIANTS], pa.string()),
    }
)


def similar(*rows: tuple[str, str, int, str]) -> pa.Table:
    return pa.table(
        {
            "base_sku": [base for base, _, _, _ in rows],
            "relation": [relation for _, relation, _, _ in rows],
            "rank": [rank for _, _, rank, _ in rows],
            "other_base_sku": [other for _, _, _, other in rows],
            "score": [1.0 / rank for _, _, rank, _ in rows],
            "evidence": [{"buyers": rank + 1, "shared_vehicles": rank} for _, _, rank, _ in rows],
        }
    )


SIMILAR = similar(
    ("B", "goes_with", 2, "A"),
    ("B", "goes_with", 1, "C"),
    ("B", "alternative", 1, "E"),
    ("C", "goes_with", 1, "D"),
)


def of(section: dict[str, Any], base_sku: str) -> dict[str, Any]:
    parts: list[dict[str, Any]] = section["parts"]
    (part,) = [part for part in parts if part["base_sku"] == base_sku]
    return part


def test_the_parts_that_sold_most_come_first_with_all_their_variants() -> None:
    """A sold 3 + 3 + 9 = 15 as B and C did: ties go by name. D may not be shown."""
    section = similar_parts_section(SIMILAR, PARTS, pictures=True)
    assert [(part["base_sku"], part["orders"]) for part in section["parts"]] == [
        ("A", 15),
        ("B", 15),
        ("C", 15),
        ("E", 0),
    ]
    assert section["pictures"] is True
    assert similar_parts_section(SIMILAR, PARTS, pictures=False)["pictures"] is False


def test_a_part_is_shown_as_its_best_selling_variant_that_may_be() -> None:
    assert of(similar_parts_section(SIMILAR, PARTS, pictures=True), "A") == {
        "base_sku": "A",
        "sku": "AB",
        "part_type": "Wheel",
        "price": 0.0,
        "image": "https://pictures.example/AB.jpg",
        "orders": 15,
        "alternative": [],
        "goes_with": [],
    }


def test_similar_parts_stand_in_the_order_of_their_ranks() -> None:
    part = of(similar_parts_section(SIMILAR, PARTS, pictures=True), "B")
    assert [(row["sku"], row["rank"], row["score"], row["buyers"]) for row in part["goes_with"]] == [
        ("C", 1, 1.0, 2),
        ("AB", 2, 0.5, 3),
    ]
    assert [(row["sku"], row["shared_vehicles"]) for row in part["alternative"]] == [("E", 1)]


def test_what_may_not_be_shown_any_more_is_left_out() -> None:
    assert of(similar_parts_section(SIMILAR, PARTS, pictures=True), "C")["goes_with"] == []


@pytest.mark.parametrize(("ranks", "shown"), [(EACH, EACH), (EACH + 1, EACH)])
def test_no_more_than_the_first_few_are_shown(ranks: int, shown: int) -> None:
    table = similar(*(("B", "goes_with", rank, "C") for rank in range(1, ranks + 1)))
    assert len(of(similar_parts_section(table, PARTS, pictures=True), "B")["goes_with"]) == shown


@pytest.mark.parametrize(("count", "shown"), [(0, 0), (SOLD_MOST, SOLD_MOST), (SOLD_MOST + 1, SOLD_MOST)])
def test_the_section_ends_after_the_parts_that_sold_most(count: int, shown: int) -> None:
    parts = pa.concat_tables([PARTS.slice(0, 1)] * count) if count else PARTS.slice(0, 0)
    names = pa.array([f"P{number:02d}" for number in range(count)], pa.string())
    for column in ("base_sku", "sku"):
        parts = parts.set_column(parts.column_names.index(column), column, names)
    section = similar_parts_section(SIMILAR, parts, pictures=True)
    assert [part["base_sku"] for part in section["parts"]] == names.to_pylist()[:shown]
