"""All the dirt that the contract lists is in every sample, as real exports have it."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

Rows = list[dict[str, Any]]
VEHICLE_PROPERTIES = ("v1_year", "v1_make", "v1_model")


def read(folder: Path, table: str) -> Rows:
    """All rows of a source table."""
    rows: Rows = pq.read_table(folder / f"{table}.parquet").to_pylist()
    return rows


@pytest.fixture(scope="module")
def attributes(sample: Path) -> Rows:
    return read(sample, "ingestion_unified_attributes_schema_incremental")


@pytest.fixture(scope="module")
def events(sample: Path) -> Rows:
    return read(sample, "ingestion_unified_schema_incremental")


@pytest.fixture(scope="module")
def orders(sample: Path) -> Rows:
    return read(sample, "import_orders")


@pytest.fixture(scope="module")
def items(sample: Path) -> Rows:
    return read(sample, "import_items")


@pytest.fixture(scope="module")
def fitment(sample: Path) -> Rows:
    return read(sample, "vehicle_product_fitment_data")


def properties(rows: Rows, column: str) -> Rows:
    """All properties of all rows, with lower-case names."""
    return [{**item, "property_name": item["property_name"].lower()} for row in rows for item in row[column]]


def texts(rows: Rows, column: str, name: str) -> list[str]:
    """String values of one property."""
    found = [item["string_value"] for item in properties(rows, column) if item["property_name"] == name]
    return [value for value in found if value is not None]


def is_spelled_badly(values: list[str]) -> bool:
    """Whether some values are padded and some in another case than the most."""
    padded = any(value.strip() and value != value.strip() for value in values)
    return padded and any(value.lower() == value != value.upper() for value in values) and len(values) > 10


def test_emails_makes_models_and_skus_are_padded_and_in_mixed_case(
    attributes: Rows, events: Rows, orders: Rows, items: Rows, fitment: Rows
) -> None:
    for name in ("v1_make", "v1_model"):
        assert is_spelled_badly(texts(attributes, "user_properties", name))
    named = [row[column] for row in fitment for column in ("v1_make", "v1_model")]
    assert is_spelled_badly([name for name in named if name])
    for values in (
        texts(attributes, "user_properties", "email"),
        [row["SHIP_TO_EMAIL"] for row in orders if row["SHIP_TO_EMAIL"]],
    ):
        assert any(value != value.strip() for value in values)
        assert any(value != value.lower() for value in values)
        assert all(value.strip().lower().endswith("@example.com") for value in values)
    assert is_spelled_badly(texts(events, "event_properties", "productid"))
    assert is_spelled_badly([row["PartNumber"] for row in items])
    assert is_spelled_badly([row["ITEM"] for row in orders if row["ITEM"]])
    listed = [product["product_number"] for row in fitment for product in row["products"] or ()]
    assert is_spelled_badly([number for number in listed if number])
    assert None in listed


def test_names_of_properties_and_events_vary_in_case(attributes: Rows, events: Rows) -> None:
    names = {item["property_name"] for row in attributes for item in row["user_properties"]}
    assert {"email", "EMAIL", "Email", "v1_year", "V1_YEAR"} <= names
    assert {"Viewed Product", "viewed product", "VIEWED PRODUCT"} <= {row["event_name"] for row in events}
    item_names = {item["property_name"] for row in events for item in row["event_properties"]}
    assert {"ProductId", "productid", "PRODUCTID", "Items_0.ProductId", "items_0.productid"} <= item_names


def test_a_sixth_of_the_attributes_are_integers(attributes: Rows) -> None:
    values = properties(attributes, "user_properties")
    as_long = [item for item in values if item["long_value"] is not None]
    assert len(as_long) / len(values) == pytest.approx(0.17, abs=0.015)
    assert any(item["double_value"] is not None for item in values)
    columns = ("string_value", "long_value", "double_value")
    assert all(sum(item[column] is not None for column in columns) <= 1 for item in values)


def test_years_that_are_none_and_vehicles_without_make_or_model(attributes: Rows, fitment: Rows) -> None:
    assert "NONE" in texts(attributes, "user_properties", "v1_year")
    assert any(not value.strip() for value in texts(attributes, "user_properties", "v1_make"))
    assert any(
        not {item["property_name"].lower() for item in row["user_properties"]} & set(VEHICLE_PROPERTIES)
        for row in attributes
    )
    assert "NONE" in {row["v1_year"] for row in fitment}
    assert None in {row["v1_model"] for row in fitment}


def test_users_with_two_vehicles_and_emails_with_two_ids(attributes: Rows) -> None:
    models: dict[str, set[str]] = {}
    ids: dict[str, set[str]] = {}
    for row in attributes:
        values = {item["property_name"].lower(): item["string_value"] for item in row["user_properties"]}
        if row["user_id"] and values.get("v1_model"):
            models.setdefault(row["user_id"], set()).add(values["v1_model"].strip().upper())
        if row["user_id"] and values.get("email"):
            ids.setdefault(values["email"].strip().lower(), set()).add(row["user_id"])
    assert sum(len(found) > 1 for found in models.values()) > 0.02 * len(models)
    assert sum(len(found) > 1 for found in ids.values()) > 0.005 * len(ids)
    times = Counter((row["user_id"], row["update_timestamp"]) for row in attributes)
    assert max(times.values()) > 1
    assert any(row["user_id"] is None for row in attributes)


def test_vehicles_that_nobody_has_parts_for(attributes: Rows, fitment: Rows) -> None:
    listed = {row["v1_make"].strip().upper() for row in fitment if row["products"] and row["v1_make"]}
    owned = {make.strip().upper() for make in texts(attributes, "user_properties", "v1_make")}
    assert "FERRARI" in owned - listed


def test_dates_that_do_not_parse_unknown_skus_and_missing_addresses(orders: Rows, items: Rows) -> None:
    dates = {row["ORDER_DATE"] for row in orders}
    assert {"Pending", "0000-00-00", None} & dates
    known = {row["PartNumber"].strip().upper() for row in items}
    unknown = {row["ITEM"].strip().upper() for row in orders if row["ITEM"]} - known
    assert {"SHIPPING", "ZZ-4432", "DISCONTINUED-1"} & unknown
    assert any(row["SHIP_TO_EMAIL"] is None for row in orders)


def test_rows_are_repeated_in_every_table(sample: Path) -> None:
    for table in (
        "ingestion_unified_schema_incremental",
        "treatment_interaction",
        "vehicle_product_fitment_data",
        "import_items",
        "import_orders",
    ):
        rows = read(sample, table)
        columns = [column for column in rows[0] if column not in ("products", "event_properties")]
        repeated = Counter(tuple(row[column] for column in columns) for row in rows)
        assert max(repeated.values()) > 1, table


def test_parts_with_two_types_without_prices_and_refurbished_in_either_table(
    sample: Path, items: Rows
) -> None:
    types: dict[str, set[str | None]] = {}
    for row in items:
        types.setdefault(row["PartNumber"].strip().upper(), set()).add(row["PartType"])
    assert any(len(found) > 1 for found in types.values())
    assert any("UNKNOWN" in found for found in types.values())
    assert {None, "CALL", ""} & {row["Price"] for row in items}
    tags = read(sample, "import_items_tags")

    def refurbished(rows: Rows) -> set[str]:
        return {
            row["PartNumber"].strip().upper() for row in rows if "refurbished" in (row["Tags"] or "").lower()
        }

    assert refurbished(items) - refurbished(tags)
    assert refurbished(tags) - refurbished(items)
    spelled = {row["Tags"] for row in items + tags if "refurbished" in (row["Tags"] or "").lower()}
    assert len(spelled) > 2


def test_colour_variants_and_other_endings_in_the_same_letters(items: Rows) -> None:
    skus = {row["PartNumber"].strip().upper() for row in items}
    variants = {sku for sku in skus if sku[-1] in "BRGP" and sku[-2].isdigit()}
    lookalikes = {sku for sku in skus if sku[-1] in "BRGP" and sku[-2].isalpha()}
    assert 0.04 < len(variants) / len(skus) < 0.2
    assert 0.2 < len(lookalikes) / len(skus) < 0.45
    assert any(sku[:-1] in skus for sku in variants)
    assert any(sku[:-1] not in skus for sku in variants)


def test_skus_and_prices_in_all_value_columns_and_images_in_all_forms(events: Rows) -> None:
    values = properties(events, "event_properties")
    for name in ("productid", "price"):
        for column in ("string_value", "long_value", "double_value"):
            assert any(item["property_name"] == name and item[column] is not None for item in values)
    images = texts(events, "event_properties", "imageurl")
    for start in ("https://", "http://", "//", "N/A"):
        assert any(image.startswith(start) for image in images)
    assert any(item["property_name"] == "imageurl" and item["string_value"] is None for item in values)
    assert any(row["user_id"] is None for row in events)
    assert any(row["client_event_timestamp"] is None for row in events)


def test_one_purchase_is_up_to_three_order_events(events: Rows) -> None:
    kinds: dict[tuple[str, object], set[str]] = {}
    for row in events:
        name = row["event_name"].lower()
        if "order" in name and row["user_id"] and row["client_event_timestamp"]:
            kinds.setdefault((row["user_id"], row["client_event_timestamp"].date()), set()).add(name)
    found = Counter(len(names) for names in kinds.values())
    assert min(found[1], found[2], found[3]) > 0
    skus = [item for item in properties(events, "event_properties") if item["property_name"] == "skus_0"]
    assert skus


def test_clicks_without_a_view_by_strangers_and_opens(sample: Path, attributes: Rows) -> None:
    treatments = read(sample, "treatment_interaction")
    kinds = Counter(row["interaction_type"] for row in treatments)
    assert {"VIEWED", "CLICKED", "viewed", "Clicked"} == set(kinds)
    clicks = sum(count for kind, count in kinds.items() if kind.upper() == "CLICKED")
    assert clicks / len(treatments) == pytest.approx(0.08, abs=0.01)
    assert {row["user_id"] for row in treatments} - {row["user_id"] for row in attributes}
