"""What became of the rows of a generated sample, recounted from its Parquet files without any SQL."""

from __future__ import annotations

import datetime
import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from sql.shop import Row

from holley_assets.checks.known_part_checks import check_known_parts
from holley_assets.checks.source_row_checks import check_source_rows, outcomes
from holley_assets.resources.warehouse.duckdb.warehouse import DuckDBWarehouse
from holley_assets.resources.warehouse.source_tables import SOURCE_TABLES
from holley_assets.sample_data import generate_sample
from holley_assets.settings import CheckSettings

AS_OF, CUTOFF = datetime.date(2026, 2, 1), datetime.date(2026, 1, 2)
INTENT_START = datetime.date(2025, 9, 1)
MADE = [
    "user_accounts",
    "machine_bursts",
    "interaction_events",
    "order_lines",
    "daily_orders",
    "parts",
    "fitment",
    "user_nodes",
    "product_nodes",
    "test_clicks",
    "source_rows",
]
EVENTS = "ingestion_unified_schema_incremental"
SHAPES = {
    "viewed product": r"prod(uct)?id",
    "ordered product": r"prod(uct)?id",
    "cart update": r"items[._]\d+[._]prod(uct)?id",
    "placed order": r"items[._]\d+[._]prod(uct)?id",
    "consumer website order": r"skus[._]\d+",
}


class Sample:
    """The sample's files, what the queries make of them, and what they dropped."""

    def __init__(self, folder: Path, parameters: dict[str, object]) -> None:
        generate_sample(
            folder / "sample", users=600, kind="segment", seed=1, as_of=AS_OF, intent_start=INTENT_START
        )
        self.files = {table: folder / "sample" / f"{table}.parquet" for table in SOURCE_TABLES}
        self.assets = {name: folder / f"{name}.parquet" for name in MADE}
        warehouse = DuckDBWarehouse(
            sources=self.files,
            assets=self.assets,
            database=folder / "warehouse.duckdb",
            temporary_directory=folder / "tmp",
        )
        windows = {"as_of": AS_OF, "cutoff": CUTOFF, "intent_start": INTENT_START}
        self.dropped = {
            name: warehouse.query_to_parquet(name, parameters | windows, self.assets[name]).dropped
            for name in MADE
        }
        self.source_rows = pq.read_table(self.assets["source_rows"])
        self.outcomes = {
            table: {name: count for name, count in counts.items() if count and name != "in"}
            for table, counts in outcomes(self.source_rows).items()
        }

    def rows(self, table: str) -> list[Row]:
        """Rows of a source table."""
        found: list[Row] = pq.read_table(self.files[table]).to_pylist()
        return found

    def column(self, asset: str, name: str) -> list[Any]:
        """A column of a table that the queries made."""
        values: list[Any] = pq.read_table(self.assets[asset], columns=[name])[name].to_pylist()
        return values

    @property
    def known(self) -> set[str]:
        """Base SKUs of the catalogue and of the fitment data."""
        return set(self.column("parts", "base_sku"))


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory, shop_parameters: dict[str, object]) -> Sample:
    """A small sample, with the dirt that every sample has."""
    return Sample(tmp_path_factory.mktemp("sample"), shop_parameters)


def sku_of(value: object) -> str:
    """SKU as the contract writes it; empty where there is none."""
    return re.sub(r"^(\d+)\.0+$", r"\1", str("" if value is None else value).strip().upper())


def base_of(value: object) -> str:
    """Base SKU of such a value."""
    return re.sub(r"(\d)[BRGP]$", r"\1", sku_of(value))


def value_of(entry: dict[str, Any]) -> Any:
    """A property's value, whichever column holds it."""
    values = (entry["string_value"], entry["long_value"], entry["double_value"])
    return next((value for value in values if value is not None and str(value).strip()), None)


def counted(reasons: Sequence[tuple[str | None, object]]) -> dict[str, int]:
    """Rows by reason; of rows without one, those that say the same again are duplicates."""
    found = Counter(reason for reason, _ in reasons if reason)
    same = Counter(row for reason, row in reasons if not reason)
    found |= {"kept": len(same), "duplicate row": same.total() - len(same)}
    return {reason: count for reason, count in found.items() if count}


def test_all_rows_are_there_and_add_up(sample: Sample) -> None:
    found = outcomes(sample.source_rows)
    for table, path in sample.files.items():
        rows = pq.ParquetFile(path).metadata.num_rows
        assert found[table]["in"] == rows == sum(sample.outcomes[table].values()) > 0, table
    results = check_source_rows(sample.source_rows, 0.0)
    results += check_known_parts(sample.source_rows, sample.assets, CheckSettings())
    assert [result.description for result in results if not result.passed] == []


def test_order_lines(sample: Sample) -> None:
    def judge(row: Row) -> tuple[str | None, object]:
        try:
            day = datetime.datetime.strptime(f"{row['ORDER_DATE']} +0000".strip(), "%A, %B %d, %Y %z").date()
        except ValueError:
            return "order date unparsable", None
        email = str(row["SHIP_TO_EMAIL"] or "").strip().lower()
        if day >= AS_OF:
            return "after the window", None
        if not sku_of(row["ITEM"]):
            return "no SKU", None
        if "@" not in email:
            return "e-mail invalid" if email else "no e-mail", None
        known = base_of(row["ITEM"]) in sample.known
        return None if known else "product unknown", (email, sku_of(row["ITEM"]), day)

    assert sample.outcomes["import_orders"] == counted([judge(row) for row in sample.rows("import_orders")])
    unknown = sample.outcomes["import_orders"]["product unknown"]
    lines = sample.column("order_lines", "source").count("import_orders")
    twice = sample.dropped["order_lines"]["duplicate row"] - sample.outcomes["import_orders"]["duplicate row"]
    assert lines == sample.outcomes["import_orders"]["kept"] + unknown - twice


def test_events(sample: Sample) -> None:
    def judge(row: Row) -> tuple[str | None, object]:
        at, user = row["client_event_timestamp"], (row["user_id"] or "").strip()
        name = row["event_name"].strip().lower()
        if at is None:
            return "no timestamp", None
        if not INTENT_START <= at.date() < AS_OF:
            return "before the window" if at.date() < INTENT_START else "after the window", None
        if not user:
            return "no user_id", None
        parts = [
            value_of(entry)
            for entry in row["event_properties"] or []
            if re.fullmatch(SHAPES[name], entry["property_name"].strip().lower())
        ]
        if not parts:
            return "no property of a known name", None
        if not any(map(sku_of, parts)):
            return "no SKU", None
        return None if any(base_of(part) in sample.known for part in parts) else "product unknown", str(row)

    found = sample.outcomes[EVENTS]
    assert found == counted([judge(row) for row in sample.rows(EVENTS)])
    assert found["duplicate row"] and found["product unknown"] and found["no timestamp"]


def test_attributes(sample: Sample) -> None:
    table = "ingestion_unified_attributes_schema_incremental"
    latest: dict[tuple[str, str], tuple[Any, ...]] = {}
    told: list[tuple[str, list[tuple[str, Any]], tuple[Any, ...], str, int]] = []
    for row in sample.rows(table):
        user = (row["user_id"] or "").strip()
        at = (row["update_timestamp"], row["auxia_insertion_timestamp"])
        known = [
            (entry["property_name"].strip().lower(), value_of(entry))
            for entry in row["user_properties"] or []
            if entry["property_name"].strip().lower() in ("email", "v1_year", "v1_make", "v1_model")
        ]
        values = [(name, str(value).strip()) for name, value in known if value is not None]
        told.append((user, values, at, str(row), len(known)))
        for name, value in values:
            latest[user, name] = max(latest.get((user, name), (at, value)), (at, value))

    def judge(
        user: str, values: list[tuple[str, Any]], at: tuple[Any, ...], row: str, known: int
    ) -> tuple[str | None, object]:
        if not user:
            return "no user_id", None
        if not values:
            return "no value" if known else "no property of a known name", None
        email = latest.get((user, "email"), ("", ""))[1]
        if "@" not in email:
            return "e-mail invalid" if email else "no e-mail", None
        newest = any(latest[user, name] == (at, value) for name, value in values)
        return None if newest else "later values replace it", row

    assert all(at[0] is not None and at[0].date() < AS_OF for _, _, at, _, _ in told)
    found = sample.outcomes[table]
    assert found == counted([judge(*each) for each in told])
    assert found["later values replace it"] and found["no user_id"]


def test_catalogue_and_tags(sample: Sample) -> None:
    items = [
        (
            None if sku_of(row["PartNumber"]) else "no part number",
            (
                sku_of(row["PartNumber"]),
                (row["PartType"] or "").strip(),
                row["Price"],
                "refurb" in str(row["Tags"]).lower(),
            ),
        )
        for row in sample.rows("import_items")
    ]
    # Every part of a sample fits some vehicle.
    assert sample.outcomes["import_items"] == counted(items)
    skus = set(sample.column("parts", "sku"))
    tags = []
    for row in sample.rows("import_items_tags"):
        sku = sku_of(row["PartNumber"])
        reason = None if "refurb" in str(row["Tags"]).lower() else "not tagged refurbished"
        tags.append((reason or (None if sku in skus else "product unknown"), sku))
    assert sample.outcomes["import_items_tags"] == counted(tags)


def test_fitment_rows(sample: Sample) -> None:
    def judge(row: Row) -> tuple[str | None, object]:
        filled = {
            name: "" if text.upper() in ("NONE", "NULL") else text.upper()
            for name, text in ((name, str(row[name] or "").strip()) for name in ("v1_make", "v1_model"))
        }
        year = str(row["v1_year"]).strip().removesuffix(".0")
        if not (year.isdigit() and 1900 <= int(year) <= AS_OF.year + 1):
            return "year unusable", None
        if not filled["v1_make"]:
            return "make missing", None
        if not filled["v1_model"]:
            return "model missing", None
        numbers = [entry["product_number"] for entry in row["products"] or []]
        return None if any(map(sku_of, numbers)) else "no part number", (year, *filled.values(), str(numbers))

    table = "vehicle_product_fitment_data"
    assert sample.outcomes[table] == counted([judge(row) for row in sample.rows(table)])


def test_clicks_are_those_of_the_test_set(sample: Sample) -> None:
    found = defaultdict(int, sample.outcomes["treatment_interaction"])
    rows = sample.rows("treatment_interaction")
    assert found["opened, not clicked"] == sum(
        row["interaction_type"].strip().upper() == "VIEWED" for row in rows
    )
    assert found["kept"] == len(sample.column("test_clicks", "email_lower"))
    for reason in (
        "machine click",
        "no product view within the window",
        "product unknown",
        "another click of the user on the part",
        "duplicate row",
    ):
        assert found[reason] == sample.dropped["test_clicks"].get(reason, 0), reason
    unknown = sample.dropped["test_clicks"]["user unknown or without vehicle"]
    assert found["user unknown or without vehicle"] + found["no user_id"] == unknown
