"""What a query reads and costs in BigQuery: columns, days and bytes, worked out by hand."""

from __future__ import annotations

import datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from holley_assets.resources.warehouse.duckdb import warehouse as warehouse_module
from holley_assets.resources.warehouse.duckdb.warehouse import DuckDBWarehouse
from holley_assets.resources.warehouse.scans import (
    MINIMUM_BYTES,
    Scan,
    billed_bytes,
    find_scans,
    scanned_bytes,
)
from holley_assets.resources.warehouse.source_tables import SOURCE_TABLES
from holley_assets.resources.warehouse.sql_files import Query, read_query
from holley_assets.resources.warehouse.table_sizes import (
    TableSize,
    day_number,
    measure_table,
    value_bytes,
)

EVENTS = "ingestion_unified_schema_incremental"
COLUMNS = {
    EVENTS: ["user_id", "event_name", "client_event_timestamp", "event_properties"],
    "user_nodes": ["email_lower", "make", "model"],
}
DAYS = {"intent_start": datetime.date(2026, 1, 2), "as_of": datetime.date(2026, 1, 4)}


def scans(select: str) -> tuple[Scan, ...]:
    return find_scans(Query("test", (), select), COLUMNS)


@pytest.mark.parametrize(
    ("values", "kind", "expected"),
    [
        ([1, None, 3], pa.int64(), 16),
        ([1, 2], pa.int8(), 16),
        ([1.5, None], pa.float32(), 8),
        ([True, False, None], pa.bool_(), 2),
        (["ab", None, "é", ""], pa.string(), 2 + 2 + 2 + 2 + 2),
        (["ab", "ab"], pa.dictionary(pa.int32(), pa.string()), 8),
        ([datetime.date(2026, 1, 1)], pa.date32(), 8),
        ([[1, 2], None, [], [3]], pa.list_(pa.int64()), 24),
        (
            [[{"a": "xyz", "b": 1}, {"a": None, "b": None}], None],
            pa.list_(pa.struct([("a", pa.string()), ("b", pa.int64())])),
            5 + 8,
        ),
        ([None, {"a": 1}], pa.struct([("a", pa.int64())]), 8),
        ([None, None], pa.null(), 0),
        # 16 bytes of each in memory: a type that no query reads is no reason to fail.
        ([1], pa.decimal128(10, 2), 16),
    ],
)
def test_values_have_the_bytes_that_bigquery_counts(
    values: list[object], kind: pa.DataType, expected: int
) -> None:
    assert value_bytes(pa.array(values, kind)) == expected


def write_events(path: Path) -> None:
    """Five events of four days, one without a time."""
    moments = [
        None,
        datetime.datetime(2026, 1, 1, 23, 59, 59, 999_000, tzinfo=datetime.UTC),
        datetime.datetime(2026, 1, 2, tzinfo=datetime.UTC),
        datetime.datetime(2026, 1, 3, 23, 59, tzinfo=datetime.UTC),
        datetime.datetime(2026, 1, 4, tzinfo=datetime.UTC),
    ]
    table = pa.table(
        {
            "user_id": ["a", "b", None, "ccc", "d"],
            "event_name": ["view"] * 5,
            "client_event_timestamp": pa.array(moments, pa.timestamp("ms", "UTC")),
            "event_properties": pa.array(
                [[{"property_name": "p"}]] * 5, pa.list_(pa.struct([("property_name", pa.string())]))
            ),
        }
    )
    pq.write_table(table, path, row_group_size=2)


def test_a_table_is_measured_by_column_and_day(tmp_path: Path) -> None:
    write_events(tmp_path / "a.parquet")
    write_events(tmp_path / "b.parquet")
    size = measure_table([tmp_path / "a.parquet", tmp_path / "b.parquet"], EVENTS)
    assert size.rows == 10
    assert size.columns == {
        "user_id": 2 * (3 + 3 + 0 + 5 + 3),
        "event_name": 2 * 5 * 6,
        "client_event_timestamp": 2 * 4 * 8,
        "event_properties": 2 * 5 * 3,
    }
    first = day_number(datetime.date(2026, 1, 1))
    assert size.days == {first: 2, first + 1: 2, first + 2: 2, first + 3: 2}
    assert measure_table([tmp_path / "a.parquet"], "user_nodes").days == {}


def test_an_estimate_takes_the_first_rows_of_each_file_in_proportion(tmp_path: Path) -> None:
    pq.write_table(pa.table({"A": ["x", "xyz", "long text", "long text"]}), tmp_path / "a.parquet")
    pq.write_table(pa.table({"A": pa.array([], pa.string())}), tmp_path / "none.parquet")
    files = [tmp_path / "a.parquet", tmp_path / "none.parquet"]
    assert measure_table(files, "t", sample_rows=2) == TableSize(4, {"a": 16})
    assert measure_table(files, "t", sample_rows=9) == TableSize(4, {"a": 3 + 5 + 11 + 11})


def test_columns_that_nobody_asks_for_are_not_read() -> None:
    (scan,) = scans(
        f"WITH a AS (SELECT user_id, event_name, client_event_timestamp FROM `company_1950.{EVENTS}`) "
        "SELECT user_id FROM a"
    )
    assert scan == Scan(EVENTS, frozenset({"user_id"}))
    (scan,) = scans(f"SELECT * FROM (SELECT * FROM `company_1950.{EVENTS}`) WHERE event_name = 'a'")
    assert scan.columns == set(COLUMNS[EVENTS])
    (scan,) = scans(f"SELECT COUNT(*) AS n FROM `company_1950.{EVENTS}`")
    assert scan.columns == set()


def test_a_table_is_found_wherever_it_is_named() -> None:
    found = scans(
        "WITH user_nodes AS (SELECT email_lower FROM `w.user_nodes`) "
        "SELECT make FROM `p-1.w.user_nodes` WHERE email_lower IN (SELECT email_lower FROM user_nodes) "
        "UNION ALL SELECT property.property_name "
        f"FROM `company_1950.{EVENTS}` AS e CROSS JOIN UNNEST(e.event_properties) AS property"
    )
    assert {(scan.table, scan.columns) for scan in found} == {
        ("user_nodes", frozenset({"email_lower"})),
        ("user_nodes", frozenset({"email_lower", "make"})),
        (EVENTS, frozenset({"event_properties"})),
    }


@pytest.mark.parametrize(
    ("condition", "days"),
    [
        ("e.client_event_timestamp >= TIMESTAMP(@intent_start)", ("intent_start", None)),
        ("e.client_event_timestamp < TIMESTAMP(@as_of)", (None, "as_of")),
        (
            "e.user_id = 'a' AND (e.client_event_timestamp IS NULL OR (e.client_event_timestamp < TIMESTAMP(@as_of) "
            "AND e.client_event_timestamp >= TIMESTAMP(@intent_start)))",
            ("intent_start", "as_of"),
        ),
        ("e.client_event_timestamp < TIMESTAMP(@as_of) OR e.user_id = 'a'", (None, None)),
        ("NOT e.client_event_timestamp < TIMESTAMP(@as_of)", (None, None)),
        ("e.client_event_timestamp > TIMESTAMP(@as_of)", (None, None)),
        ("DATE(e.client_event_timestamp) < @as_of", (None, None)),
        ("e.event_name < TIMESTAMP(@as_of)", (None, None)),
        ("u.client_event_timestamp < TIMESTAMP(@as_of)", (None, None)),
    ],
)
def test_days_are_those_that_the_condition_leaves(
    condition: str, days: tuple[str | None, str | None]
) -> None:
    found = scans(
        f"SELECT e.user_id FROM `company_1950.{EVENTS}` AS e CROSS JOIN `w.user_nodes` AS u WHERE {condition}"
    )
    (scan,) = (scan for scan in found if scan.table == EVENTS)
    assert (scan.since, scan.before) == days


def test_bytes_are_those_of_the_columns_on_the_days_once_for_a_table(tmp_path: Path) -> None:
    """Of ten rows six are read: those of the 2nd and 3rd of January, and those without a day."""
    write_events(tmp_path / "a.parquet")
    files = [tmp_path / "a.parquet"] * 2
    sizes = {EVENTS: measure_table(files, EVENTS), "user_nodes": TableSize(3, {"email_lower": 30, "make": 9})}
    narrow = Scan(EVENTS, frozenset({"user_id", "event_name"}), "intent_start", "as_of")
    whole = Scan(EVENTS, frozenset({"user_id"}))
    other = Scan("user_nodes", frozenset({"email_lower"}))
    # 6/10 of each column: 16.8 and 36 bytes.
    assert scanned_bytes([narrow, other], sizes, DAYS) == {EVENTS: 53, "user_nodes": 30}
    assert scanned_bytes([narrow, narrow], sizes, DAYS) == {EVENTS: 53}
    assert scanned_bytes([narrow], sizes, None) == {EVENTS: 28 + 60}
    assert scanned_bytes([narrow, whole], sizes, DAYS) == {EVENTS: 28 + 36}
    with pytest.raises(KeyError):
        scanned_bytes([Scan("parts", frozenset())], sizes, DAYS)


def test_ranges_at_two_places_are_read_from_the_first_day_to_the_last() -> None:
    size = TableSize(
        10, {"user_id": 100}, {day_number(datetime.date(2026, 1, 1 + day)): 1 for day in range(10)}
    )
    days = {name: datetime.date(2026, 1, day) for name, day in (("a", 2), ("b", 4), ("c", 6), ("d", 9))}
    read = [
        Scan(EVENTS, frozenset({"user_id"}), "a", "b"),
        Scan(EVENTS, frozenset({"user_id"}), "c", "d"),
    ]
    assert scanned_bytes(read[:1], {EVENTS: size}, days) == {EVENTS: 20}
    assert scanned_bytes(read[1:], {EVENTS: size}, days) == {EVENTS: 30}
    assert scanned_bytes(read, {EVENTS: size}, days) == {EVENTS: 70}


def test_ten_mebibytes_of_each_table_are_billed_at_least() -> None:
    made = TableSize(4 << 20, {"a": 1, "b": 3 * MINIMUM_BYTES})
    plain, judged = Query("q", (), "SELECT 1 AS a"), Query("q", (), "SELECT 1 AS a, 'no' AS drop_reason")
    assert MINIMUM_BYTES == 10_485_760
    assert billed_bytes(plain, {}, made) == MINIMUM_BYTES
    assert billed_bytes(plain, {"a": 5, "b": MINIMUM_BYTES + 7}, made) == 2 * MINIMUM_BYTES + 7
    # Counted: eight bytes of 4 Mi rows, 32 MiB. Copied: both columns.
    assert billed_bytes(judged, {"a": 5}, made) == MINIMUM_BYTES + (32 << 20) + 3 * MINIMUM_BYTES + 1


@pytest.mark.parametrize(
    ("name", "table", "columns", "days"),
    [
        ("interaction_events", EVENTS, set(COLUMNS[EVENTS]), ("intent_start", "as_of")),
        (
            "test_clicks",
            "treatment_interaction",
            {"user_id", "treatment_tracking_id", "interaction_type", "interaction_timestamp_micros"},
            ("cutoff", "as_of"),
        ),
        ("parts", "import_items_tags", {"partnumber", "tags"}, (None, None)),
    ],
)
def test_real_queries_read_what_they_name(
    name: str, table: str, columns: set[str], days: tuple[str | None, str | None]
) -> None:
    known = {source.name: [column.lower() for column in source.columns] for source in SOURCE_TABLES.values()}
    (scan,) = (scan for scan in find_scans(read_query(name), known) if scan.table == table)
    assert (set(scan.columns), (scan.since, scan.before)) == (columns, days)


def test_duckdb_says_what_bigquery_would_bill(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pq.write_table(pa.table({"email_lower": ["a", "b"], "make": ["FORD", None]}), tmp_path / "u.parquet")
    warehouse = DuckDBWarehouse(
        sources={},
        assets={"user_nodes": tmp_path / "u.parquet"},
        database=tmp_path / "warehouse.duckdb",
        temporary_directory=tmp_path / "tmp",
        dollars=lambda read: read / MINIMUM_BYTES,
    )
    query = Query("rows", (), "SELECT make FROM `temp_holley_gnn.user_nodes`")
    monkeypatch.setattr(warehouse_module, "read_query", lambda *_: query)
    monkeypatch.setattr(warehouse_module, "query_dependencies", lambda _: ["user_nodes"])
    result = warehouse.query_to_parquet("rows", {}, tmp_path / "rows.parquet")
    assert result.costs == {"bigquery_bytes": MINIMUM_BYTES, "bigquery_dollars": 1.0}
    # Without partitions or days there is nothing else to say; of what cannot be read no figure is said.
    monkeypatch.setattr(
        warehouse_module, "find_scans", lambda *_: (_ for _ in ()).throw(pa.ArrowInvalid("no"))
    )
    assert warehouse.query_to_parquet("rows", {}, tmp_path / "rows.parquet").costs == {}
