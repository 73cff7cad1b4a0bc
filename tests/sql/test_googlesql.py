"""Every query through Google's own evaluator and through DuckDB, over tables made to tell them apart."""

from __future__ import annotations

import datetime
import math
import re
from collections import Counter
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import sqlglot
from sql.shop import Row, Shop
from sqlglot import exp

from holley_assets.ranking.recommendations import WIDE_SCHEMA
from holley_assets.ranking.similar_parts import SCHEMA
from holley_assets.resources.warehouse.duckdb.transpile import to_duckdb
from holley_assets.resources.warehouse.duckdb.warehouse import DuckDBWarehouse
from holley_assets.resources.warehouse.exposures import EXPOSURES_SCHEMA
from holley_assets.resources.warehouse.interface import DUPLICATE_REASON
from holley_assets.resources.warehouse.scans import Scan, find_scans
from holley_assets.resources.warehouse.source_tables import SOURCE_TABLES
from holley_assets.resources.warehouse.sql_files import (
    Query,
    called_functions,
    query_names,
    read_query,
    shared_functions,
)
from holley_assets.resources.warehouse.table_sizes import DAY_COLUMNS
from holley_assets.settings import load_settings

googlesql = pytest.importorskip("googlesql", reason="the package zetasql is not installed")
pytestmark = pytest.mark.googlesql

NBSP, WIDE, TAB = "\u00a0", "\u3000", "\t"
# What the queries of sql/checks and sql/baseline read beside the graph's tables.
LIVE, STAGED, DELIVERED = "live_recommendations", "recommendations", "delivered_parts"
EXPOSURES, SENDS = "experiment_exposures", "experiment_sends"
SIMILAR = "similar_parts"
# Their numbers differ by design: DuckDB has another hash. They are compared by what they tell apart.
FINGERPRINTS = {"staged_fingerprint"}


@pytest.fixture(scope="session")
def engine() -> Any:
    """Google's evaluator."""
    return googlesql.GoogleSQL()


def fill(shop: Shop) -> None:
    """Source rows that engines read differently where a query leaves them the choice."""
    for name, year, make, model in (
        (f"{NBSP}a", "1967", f"ford{TAB}", "Mustang"),
        ("b", 1967, f"{WIDE}FORD", f"MUSTANG{NBSP}"),
        ("c", 1968.0, "Straße", "gt"),
        ("d", f"1967{NBSP}", "STRASSE", "GT"),
        ("e", "NONE", "FORD", "MUSTANG"),
        ("f", "1899", "FORD", None),
        ("g", math.nan, "FORD", "MUSTANG"),
        ("h", 1e16, "İzmir", "ŉ"),
        ("i", 1967.5, "ΟΔΟΣ", "ς"),
    ):
        email = f"{name}@X.com{TAB}" if name != "c" else f" {name}@Straße.com"
        values = {"Email ": email, f"V1_YEAR{NBSP}": year, "v1_make": make, f"{TAB}v1_Model": model}
        shop.attributes(f"{name}1{NBSP}", {k: v for k, v in values.items() if v is not None}, "2025-08-01")
    shop.attributes("b2", {"email": "B@x.com", "v1_year": "1968", "v1_make": "FORD", "v1_model": " "}, None)
    shop.attributes(None, {"email": "nobody@x.com"}, "2025-08-02")
    shop.account("late", "2026-02-01", email="late@x.com", v1_year="1967", v1_make="FORD", v1_model="MUSTANG")
    shop.account("b1", "2025-09-01T10:00:00.000001", email="b@x.com")
    skus = [
        "8202",
        "8202B",
        f"{NBSP}8202r{TAB}",
        "stß-1",
        "STSS-1",
        "A",
        "B9",
        "ŉ1",
        "İ2",
        "i̇2",
        "",
        f"{TAB}",
        "EXT-1",
    ]
    for number, sku in enumerate(skus):
        price = [
            "100",
            "$1,200.50",
            f"{NBSP}75 ",
            "1$0",
            "1e1",
            "4 5",
            "",
            None,
            "49.99",
            "50",
            "nan",
            "inf",
            "5.",
        ][number]
        part_type = [
            "Carburetor",
            "CARBURETOR ",
            "unknown",
            None,
            "Gasket",
            "Caps",
            "Straße",
            "STRASSE",
            "Bolt",
        ][number % 9]
        shop.item(sku, part_type, price, ["", "Refurb", "x,REFURBİSHED"][number % 3])
    shop.item(None, None, None)
    shop.item_tags(f"a{NBSP}", "Refurbished")
    shop.fits("1967", "ford", f"{NBSP}mustang", *skus, None)
    shop.fits("1968", "STRASSE", "GT", "8202", "A", "stß-1")
    shop.fits(f"1967.0{TAB}", "FORD", "MUSTANG", "8202", "8202")
    shop.fits("1967.", "FORD", "MUSTANG", "B9")
    shop.fits("67", "FORD", "MUSTANG", "B9")
    shop.fits("1967", "İzmir", "ŉ", "İ2", "A")
    shop.fits(None, "FORD", "MUSTANG")
    for day in range(1, 29):
        at = f"2026-01-{day:02}T23:59:59.999999"
        viewed = [*skus[:10], 8202, 8202.0, 1e16, 0.1, math.inf, math.nan, -8202.0, 1e15][day % 18]
        paid = [100, "100", 99.5, math.nan, math.inf, -1, "1e400", f"{NBSP}12{TAB}", None][day % 9]
        image = [
            "//x.com/a.jpg",
            "http://x.com/b c.jpg",
            f"HTTPS://x.com/ß{NBSP}",
            f"{NBSP}//x.com/d.jpg",
            "x.jpg",
            None,
        ][day % 6]
        shop.view(f"{'abcdeghi'[day % 8]}1{TAB}", at, viewed, paid, image)
        shop.view(f"visitor{day % 5}", at.replace("2026-01", "2025-12"), skus[day % 10], paid, image)
    for day in (2, 3, 30):
        shop.cart("a1", f"2025-12-{day:02}T00:00", "8202B", "A")
        shop.order("b1", f"2025-12-{day:02}T00:00", "8202", "B9", "A")
        shop.order("d1", f"2025-11-{day:02}T10:00", "8202R", "A")
    shop.event(
        "b1",
        f"{NBSP}placed order",
        "2026-01-02",
        **{f"ITEMS_0.PRODUCTID{NBSP}": "8202", "Items_0.ItemPrice": 5},
    )
    shop.event("b1", "Consumer Website Order", "2026-01-20", SKUs_0="8202b", SKUs_12=8202, SKUs_x="A")
    shop.event("b1", "Placed Order", "2026-02-01", **{"Items_0.ProductId": "A"})
    shop.event("b1", "Viewed Product", "2025-09-01", ProductId="A")
    shop.event("b1", "Viewed Product", "2025-08-31T23:59:59.999999", ProductId="B9")
    shop.event("b1", "Viewed Product", None, ProductId="B9")
    shop.event("b1", "Viewed Product", "2025-10-01")
    shop.event(None, "Viewed Product", "2025-10-01", ProductId="A")
    for text in (
        "Friday, January 10, 2025",
        "friday, JANUARY 10, 2025",
        "Fri, Jan 10, 2025",
        f"{NBSP}Friday, January 10, 2025{TAB}",
        "Friday, February 30, 2025",
        "Friday, January 1, 2025",
        "Friday,January 01,2025",
        "January 10, 2025",
        "Friday, January 10, 25",
        "Friday, January 10 2025",
        "2025-01-10",
        "NONE",
        "Saturday, August 31, 2025",
        "Monday, September 1, 2025",
        None,
    ):
        shop.imported_order(f"B@x.com{NBSP}", text, "8202b")
        shop.imported_order("e@x.com", text, f"A{TAB}")
    for second in range(5):
        shop.click(f"a1{NBSP}", f"2026-01-{20 + second}T10:00:0{second}", kind=f"clicked{NBSP}")
        shop.click("b1", f"2026-01-0{second + 1}T23:50", f"t{second}")
    for second in range(4):
        shop.click(f"b1{NBSP}", f"2026-01-27T10:00:0{second}", f"m{second}")
    for second, part in ((1, f"8202r{TAB}"), (2, "nowhere"), (3, f"{NBSP}stß-1")):
        scanned = {f"ProdId{NBSP}": part, "ProductId": 8202.0 if second == 1 else None}
        shop.event("b1", f"{NBSP}VIEWED PRODUCT", f"2026-01-27T10:00:0{second}", **scanned)
    shop.click("b1", "2026-01-15T10:00", "p")
    shop.view(f"b1{TAB}", "2026-01-15T10:30", f"8202b{NBSP}")
    for kind, clicked in ((f"{NBSP}viewed", "2026-01-20"), ("OPENED", "2026-01-20"), ("clicked", None)):
        shop.click("b1", clicked, kind=kind)
    for number in range(3):
        shop.event("b1", "Wishlist Update", "2026-01-20", **{f"{NBSP}Items_0.ProdId": "A"})
        shop.event(f"b{number}", "Viewed Product", "2026-01-20", ProductID=f"nobody{NBSP}knows it")
        shop.item_tags(f"nobody{number}", "Refurb")
    shop.attributes("b1", {"colour": "red", "": "no"}, "2025-08-01")
    shop.fits("1967-1969", "CHEVY", "NOVA")


def recommendations() -> pa.Table:
    """A staged table with all that may be wrong with one, and the columns of the serving table."""
    rows = []
    for number, (email, year, sku) in enumerate(
        [
            ("b@x.com", "1967", "8202"),
            ("b@x.com", "1967", "8202"),
            ("B@X.com", "1967", f"8202{NBSP}"),
            ("d@x.com", "1967", "STSS-1"),
            ("i@x.com", "x", "stß-1"),
            ("h@x.com", f"1967{NBSP}", "EXT-1"),
            (None, None, None),
            ("c@x.com", "1968", "A"),
        ]
    ):
        row: Row = {
            "email_lower": email,
            "year": year,
            "make": ["FORD", "STRASSE"][max(number, 1) % 2],
            "model": "MUSTANG",
        }
        for slot in range(1, 5):
            # The second row of a user says what the first says: no query has to choose between them.
            kind = (max(number, 1) + slot) % 8
            row |= {
                f"rec_part_{slot}": [sku, "8202R", "A", None, "İ2", "B9", "A", "WARRANTY-1"][kind],
                f"rec{slot}_price": [50.0, 49.999, math.nan, None, math.inf, 100.0, 1200.5, 50.0][kind],
                f"rec{slot}_score": [4.0 - slot, math.nan, math.inf, None, -1.0, 0.5, 0.5, 0.25][kind],
                f"rec{slot}_image": [
                    "https://x.com/a.jpg",
                    "http://x.com/a",
                    "https://x.com/a b",
                    None,
                    "https://ß.com/ß",
                    "https:///a",
                    "https://x.com",
                    f"https://x.com/a{NBSP}",
                ][kind],
            }
        moment = datetime.datetime(2026, 1, 1 + number % 3, 23, 59, 59, 999999, tzinfo=datetime.UTC)
        row |= {"generated_at": moment, "model_version": ["m", "n", None][number % 3]}
        row |= {"arm": ["graph", "sql", None, "x"][number % 4], "assigned_arm": "graph"}
        rows.append(row)
    extra = [pa.field("arm", pa.string()), pa.field("assigned_arm", pa.string())]
    return pa.Table.from_pylist(rows, schema=pa.schema([*WIDE_SCHEMA, *extra]))


def similar_parts() -> pa.Table:
    """Staged similar parts with all that may be wrong with some."""
    moment = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    names = ("8202", "A", "B9", "STSS-1", f"8202{NBSP}", "i̇2", "nobody", None)
    rows = [
        {
            "base_sku": names[number % 5],
            "relation": ["alternative", "goes_with", "else", None][number % 7 % 4],
            "rank": [1, 2, 2, None, 4, 21][number % 6],
            "other_base_sku": names[number * 3 % 8],
            "score": [0.5, 0.25, math.nan, math.inf, None, 1.0, -1.0][number % 7],
            "evidence": {"buyers": number, "shared_vehicles": 1},
            "generated_at": moment,
            "model_version": "m",
        }
        for number in range(40)
    ]
    return pa.Table.from_pylist([*rows, rows[0]], schema=SCHEMA)


def exposures() -> pa.Table:
    """A log of exposures of users with strange addresses, some of whom moved, over three shares."""
    rows = []
    for number, email in enumerate(
        ["b@x.com", "a@x.com", "c@straße.com", f"a{NBSP}@x.com", "İ+x@gmail.com", "i.i@googlemail.com", "ß"]
    ):
        for day in range(3):
            arm = ["graph", "sql"][(number + (day == 2 and number % 3 == 0)) % 2]
            date = datetime.date(2026, 1, 2 + 10 * day - number % 2)
            row = {
                "experiment": "spring" if number < 6 or day else "summer",
                "exposure_day": date,
                "email_lower": email,
                "assigned_arm": arm,
                "received_arm": ["graph", "sql"][number % 2],
                "share": [0.1, 0.25, 0.1][day] if number % 2 else [0.1, 0.5, 0.25][day],
                "system": "gnn",
                "model_version": "m",
                "published_at": datetime.datetime.combine(
                    date, datetime.time(number, 59, 59, 999999), tzinfo=datetime.UTC
                ),
            }
            rows.append(row)
    return pa.Table.from_pylist(rows, schema=EXPOSURES_SCHEMA)


def sends() -> pa.Table:
    """Mails to those users and to others, some on days of a delivery and some between; one address is none."""
    rows = [
        {
            "email": spelled,
            "sent_at": None
            if number == 9
            else datetime.datetime.combine(
                row["exposure_day"] + datetime.timedelta(days=number % 4 // 2),
                datetime.time(23, 59, 59, 999999) if number % 2 else datetime.time(),
                tzinfo=datetime.UTC,
            ),
        }
        for number, row in enumerate(exposures().to_pylist())
        for spelled in (row["email_lower"], f"{WIDE}{row['email_lower'].upper()}{TAB}")
    ]
    late = datetime.datetime(2026, 1, 30, tzinfo=datetime.UTC)
    others = [
        {"email": email, "sent_at": late}
        for email in ("b@x.com", "stranger@x.com", "none", None, "a b@x.com")
    ]
    schema = pa.schema([("email", pa.string()), ("sent_at", pa.timestamp("us", "UTC"))])
    return pa.Table.from_pylist([*rows, *others], schema=schema)


GIVEN = {
    LIVE: recommendations,
    STAGED: recommendations,
    EXPOSURES: exposures,
    SENDS: sends,
    SIMILAR: similar_parts,
}


class World:
    """The hostile tables, and what DuckDB makes of them."""

    def __init__(self, shop: Shop, parameters: dict[str, object], tables: list[str]) -> None:
        self.folder: Path = shop.folder
        self.parameters = parameters
        fill(shop)
        shop.write()
        files = self.folder / "assets"
        files.mkdir()
        self.assets = {name: files / f"{name}.parquet" for name in [*query_names(), *GIVEN]}
        for name, make in GIVEN.items():
            pq.write_table(make(), self.assets[name])
        self.sources = {table: self.folder / f"{table}.parquet" for table in SOURCE_TABLES}
        self.warehouse = DuckDBWarehouse(
            sources=self.sources,
            assets=self.assets,
            database=self.folder / "warehouse.duckdb",
            temporary_directory=self.folder / "tmp",
        )
        self.dropped: dict[str, dict[str, int]] = {}

    def table(self, name: str) -> pa.Table:
        """A table that queries read; made by DuckDB where a query makes it."""
        if name in self.sources:
            return pq.read_table(self.sources[name])
        if name not in {*GIVEN, *self.dropped}:
            for _, upstream in sorted(to_duckdb(read_query(name)).tables):
                self.table(upstream)
            result = self.warehouse.query_to_parquet(name, self.parameters, self.assets[name])
            self.dropped[name] = result.dropped
        return pq.read_table(self.assets[name])

    def in_googlesql(self, engine: Any, name: str) -> list[dict[str, Any]]:
        """Rows of query ``name`` by Google's evaluator over the same inputs."""
        query = read_query(name)
        tables = {
            f"{dataset}.{table}": self.table(table) for dataset, table in sorted(to_duckdb(query).tables)
        }
        values = {parameter: self.parameters[parameter] for parameter in query.parameters}
        found: list[Row] = engine.rows(
            query.select, functions=query.functions, tables=tables, parameters=values
        )
        return found


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, shop_parameters: dict[str, object]) -> World:
    """The hostile tables."""
    folder = tmp_path_factory.mktemp("hostile")
    settings = load_settings()
    parameters = {
        **settings.rules.model_dump(),
        **shop_parameters,
        "minimum_users": 1,
        "salt": "ß",
        "graph_buckets": 4000,
        "assigned_buckets": 5000,
        "graph_model_version": "m",
        "experiment": "spring",
        "experiment_start": datetime.date(2026, 1, 1),
        "experiment_end": datetime.date(2026, 1, 29),
        "click_days": 7,
        "order_days": 14,
        "order_value_quantile": 0.999,
    }
    return World(Shop(folder), parameters, query_names())


def split(rows: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], dict[str, int]]:
    """Rows that are kept, without the counting columns, and how many source rows were dropped for which reason."""
    kept, dropped = [], Counter[str]()
    for row in rows:
        reason, duplicates = row.pop("drop_reason", None), row.pop("duplicate_rows", 0)
        dropped[reason or DUPLICATE_REASON] += duplicates + (reason is not None)
        if reason is None:
            kept.append(row)
    return kept, {reason: count for reason, count in dropped.items() if count}


def sorted_rows(rows: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    """Rows as tuples in an order of their own."""
    return sorted((tuple(row.values()) for row in rows), key=repr)


def assert_same(found: list[dict[str, Any]], expected: list[dict[str, Any]], name: str) -> None:
    """Two results say the same, row for row."""
    assert [*map(len, (found, expected))] == [len(expected)] * 2, name
    for one, other in zip(sorted_rows(found), sorted_rows(expected), strict=True):
        assert all(map(googlesql.same_value, one, other)), f"{name}: {one} and {other}"


@pytest.mark.parametrize("name", query_names())
def test_both_engines_give_the_same_rows(
    engine: Any, world: World, name: str, graph_tables: list[str]
) -> None:
    table = world.table(name)
    expected, dropped = split(world.in_googlesql(engine, name))
    found = table.to_pylist()
    if name in FINGERPRINTS:
        assert [row.keys() for row in found] == [row.keys() for row in expected]
        return
    assert found or not expected
    assert expected or name not in graph_tables, "a table without rows tells no engines apart"
    if expected:
        assert list(found[0]) == list(expected[0])
    assert_same(found, expected, name)
    assert world.dropped[name] == dropped


def as_scanned(table: pa.Table, scans: list[Scan], parameters: dict[str, object]) -> pa.Table:
    """``table`` with nothing but what ``scans`` read: null in other columns, and no row of other days."""
    read = {column for scan in scans for column in scan.columns}
    for number, field in enumerate(table.schema):
        if field.name.lower() not in read:
            table = table.set_column(number, field.name, pa.nulls(table.num_rows, field.type))
    ranges = {(scan.since, scan.before) for scan in scans if scan.columns}
    day_column = DAY_COLUMNS.get(scans[0].table)
    if len(ranges) == 1 and day_column in read:
        (bounds,) = ranges
        since, before = (parameters[name] if name else None for name in bounds)
        days = [moment and moment.date() for moment in table[day_column].to_pylist()]
        kept = [
            day is None or ((since is None or day >= since) and (before is None or day < before))
            for day in days
        ]
        table = table.filter(pa.array(kept, pa.bool_()))
    return table


@pytest.mark.parametrize("name", query_names())
def test_nothing_but_what_is_scanned_matters(world: World, name: str, tmp_path: Path) -> None:
    """What a query is said not to read, and not to pay for, changes no row of it."""
    expected = world.table(name)
    query = read_query(name)
    tables = {table: world.table(table) for _, table in sorted(to_duckdb(query).tables)}
    found = find_scans(query, {table: tuple(content.schema.names) for table, content in tables.items()})
    assert {scan.table for scan in found} == tables.keys()
    files = {table: tmp_path / f"{table}.parquet" for table in tables}
    for table, content in tables.items():
        scans = [scan for scan in found if scan.table == table]
        pq.write_table(as_scanned(content, scans, world.parameters), files[table])
    warehouse = DuckDBWarehouse(
        sources={**world.sources, **files},
        assets={**world.assets, **files},
        database=tmp_path / "warehouse.duckdb",
        temporary_directory=tmp_path / "tmp",
    )
    result = warehouse.query_to_parquet(name, world.parameters, tmp_path / "result.parquet")
    assert_same(pq.read_table(result.path).to_pylist(), expected.to_pylist(), name)


def strange_texts() -> list[str]:
    """Short texts of letters, signs and white space that engines treat in different ways."""
    pieces = [
        "",
        " ",
        NBSP,
        TAB,
        "\u2003",
        "\u200b",
        "\ufeff",
        "ß",
        "ŉ",
        "İ",
        "ı",
        "Σ",
        "ΑΣ",
        "ΑΣ.",
        "ΑΣ.Α",
        "ﬁ",
        "ǰ",
        "a",
        "É",
        "5",
        ".",
    ]
    return [one + other for one in pieces for other in pieces] + ["ΟΔΟΣ ΟΔΟΣ, Σ", "x" * 50 + NBSP]


STRANGE_NUMBERS = [
    *(
        sign * number
        for sign in (1, -1)
        for number in (0.0, 0.5, 1.5, 2.5, 0.1, 1e15, 1e16, 1e17, 1e22, 8202.0, math.inf)
    ),
    *(0.1 + 0.2, 123456789012345678.0, 1e-5, 1e-4, 5e-324, 1.7976931348623157e308, 1 / 3, 1e21, math.nan),
]
STRANGE_INTEGERS = [
    "12",
    "-12",
    "+12",
    " 12 ",
    "12.0",
    "12.7",
    "1e3",
    "0x1F",
    "1_000",
    "",
    "x",
    "9223372036854775808",
    "٣",
    f"{NBSP}1",
]


@pytest.mark.parametrize(
    ("expression", "kind"),
    [
        ("TRIM(value)", "STRING"),
        ("UPPER(value)", "STRING"),
        ("LOWER(value)", "STRING"),
        ("SAFE_CAST(value AS INT64)", "STRING"),
        ("SAFE_CAST(value AS INT64)", "FLOAT64"),
        ("CAST(value AS STRING)", "FLOAT64"),
        ("SAFE_CAST(value AS DATE)", "STRING"),
    ],
)
def test_functions_of_the_language_agree(engine: Any, expression: str, kind: str) -> None:
    values = STRANGE_NUMBERS if kind == "FLOAT64" else [*strange_texts(), *STRANGE_INTEGERS]
    if expression.endswith("AS DATE)"):
        values = [
            "2025-01-10",
            "2025-1-5",
            "2025-02-30",
            "0000-01-01",
            "2025-13-01",
            "20250110",
            "2025-01-10x",
            "",
            "2025-00-10",
        ]
    assert_agree(engine, expression, values)


def assert_agree(engine: Any, expression: str, values: list[Any], functions: tuple[str, ...] = ()) -> None:
    """``expression`` of each value is the same on both engines."""
    table = pa.table({"value": values})
    query = Query("expression", functions, f"SELECT value, {expression} AS found FROM `d.t`")
    expected = engine.rows(query.select, functions=functions, tables={"d.t": table})
    translated = to_duckdb(query)
    with duckdb.connect() as connection:
        connection.execute("CREATE SCHEMA d")
        connection.register("given", table)
        connection.execute("CREATE TABLE d.t AS SELECT * FROM given")
        for function in translated.functions:
            connection.execute(function)
        found = connection.execute(translated.select).fetchall()
    for (value, one), row in zip(found, expected, strict=True):
        assert googlesql.same_value(one, row["found"]), (expression, value, one, row["found"])


@pytest.mark.parametrize("expression", ["EXP(value)", "1 / value", "CAST(value AS INT64)"])
@pytest.mark.parametrize("value", [0.0, 1000.0, math.nan])
def test_errors_of_the_language_are_errors_here(engine: Any, expression: str, value: float) -> None:
    """A run that dies in the cloud dies here too, and not only there."""
    try:
        assert_agree(engine, expression, [value])
    except googlesql.GoogleSQLError:
        with pytest.raises(duckdb.Error):
            run_in_duckdb(
                f"SELECT {expression} AS found FROM (SELECT {value!r} AS value)".replace(
                    "nan", "CAST('nan' AS FLOAT64)"
                )
            )


def run_in_duckdb(select: str) -> list[tuple[Any, ...]]:
    """Rows of a GoogleSQL query in DuckDB."""
    translated = to_duckdb(Query("test", (), select))
    with duckdb.connect() as connection:
        for function in translated.functions:
            connection.execute(function)
        found: list[tuple[Any, ...]] = connection.execute(translated.select).fetchall()
        return found


@pytest.mark.parametrize(
    ("select", "expected"),
    [("DIV(1 + 2, 3)", 1), ("DIV(7, 1 + 1)", 3), ("DIV(-7, 2)", -3), ("MOD(-7, 3)", -1)],
)
def test_whole_divisions_keep_their_operands(engine: Any, select: str, expected: int) -> None:
    ((found,),) = run_in_duckdb(f"SELECT {select}")
    assert found == expected == engine.rows(f"SELECT {select} AS x")[0]["x"]


def test_every_statement_is_valid_for_the_types_of_its_inputs(engine: Any, world: World) -> None:
    """Analysed as BigQuery does: tables and parameters by their types, upstream results by the analysis itself."""
    columns = {name: googlesql.arrow_columns(pq.read_schema(path)) for name, path in world.sources.items()}
    columns |= {name: googlesql.arrow_columns(make().schema) for name, make in GIVEN.items()}

    def analyse(name: str) -> dict[str, Any]:
        if name not in columns:
            query, translated = read_query(name), to_duckdb(read_query(name))
            tables = {f"{dataset}.{table}": analyse(table) for dataset, table in sorted(translated.tables)}
            types = {each: googlesql.parameter_type(world.parameters[each]) for each in query.parameters}
            columns[name] = engine.columns(
                query.select, functions=query.functions, tables=tables, parameters=types
            )
        found: dict[str, Any] = columns[name]
        return found

    for name in query_names():
        expected = {
            column: kind
            for column, kind in analyse(name).items()
            if column not in ("drop_reason", "duplicate_rows")
        }
        assert googlesql.arrow_columns(world.table(name).schema) == expected, name


DEPLOYMENT = Path(__file__).parents[2] / "holley_assets" / "deploy" / "README.md"
USER_VECTORS = pa.schema(
    [("profile", pa.int64()), ("emails", pa.list_(pa.string())), ("embedding", pa.list_(pa.float64()))]
)
PART_VECTORS = pa.schema(
    [
        ("base_sku", pa.string()),
        *((f"{name}embedding", pa.list_(pa.float64())) for name in ("", "source_", "target_")),
    ]
)


@pytest.mark.parametrize(
    ("searched", "asked", "columns"),
    [
        (PART_VECTORS, pa.schema([("email", pa.string())]), ["email", "base_sku", "score"]),
        (PART_VECTORS, pa.schema([("source_embedding", pa.list_(pa.float64()))]), ["base_sku", "score"]),
    ],
    ids=["parts for a customer", "what a part leads to"],
)
def test_the_documented_searches_are_valid(
    engine: Any, searched: pa.Schema, asked: pa.Schema, columns: list[str]
) -> None:
    (statement,) = [
        block
        for block in re.findall(r"```sql\n(.*?)```", DEPLOYMENT.read_text(encoding="utf-8"), re.DOTALL)
        if "VECTOR_SEARCH" in block and ("email" in columns) == ("@email" in block)
    ]
    engine.describe_vector_search(searched, asked)
    tables = {
        "temp_holley_gnn.user_embeddings": USER_VECTORS,
        "temp_holley_gnn.product_embeddings": PART_VECTORS,
    }
    found = engine.columns(
        statement,
        tables={name: googlesql.arrow_columns(schema) for name, schema in tables.items()},
        parameters={name: googlesql.sql_type("STRING") for name in ("email", "base_sku")},
    )
    assert list(found) == columns
    assert found["score"] == googlesql.sql_type("FLOAT64")
    for right, wrong in (
        ("top_k", "top"),
        ("product_embeddings", "part_embeddings"),
        ("base.base_sku", "base.sku"),
    ):
        with pytest.raises(googlesql.GoogleSQLError):
            engine.columns(
                statement.replace(right, wrong),
                tables={name: googlesql.arrow_columns(schema) for name, schema in tables.items()},
                parameters={name: googlesql.sql_type("STRING") for name in ("email", "base_sku")},
            )


STRANGE_VALUES = [
    *(
        "100",
        "$1,200.50",
        f"{NBSP}75 ",
        "1$0",
        "1e1",
        "4 5",
        "",
        "-5",
        "0",
        "0.00",
        ".5",
        "5.",
        ".",
        "$",
        "1,20",
        "1,2000",
    ),
    *("nan", "inf", "NaN", "Infinity", "٣", "0x10", "1_000", "12345678901234567890", "9" * 400),
    *(
        "1967",
        "1967.0",
        "1967.",
        "67",
        "1967-1969",
        "67-69",
        "1998+",
        "1899",
        "1900",
        "2027",
        "2028",
        "NONE",
        "None",
        "19 67",
    ),
    *("8202b", "8202.0", "8202B.0", f"\t8202R{WIDE}", "B", "8", "stß-1B", "ŉ5P", "8202BB", "İ9g"),
    *(
        "A@x.com",
        f"{NBSP}İ@Straße.com",
        "@",
        "test@test",
        "a@b@c.com",
        "a@x.com, b@x.com",
        "n/a",
        "none@none.com",
    ),
    *(
        "//x.com/a.jpg",
        "HTTP://x.com/a",
        "https:///a",
        "https://x.com/a b",
        "x.jpg",
        f"https://x.com/ß{NBSP}",
        "ftp://x.com",
    ),
    *(
        "Friday, January 10, 2025",
        "fri,JAN 1,2025",
        "Friday, Janvier 10, 2025",
        "Gasket",
        "Engine Bolt Kit",
        "WHEEL CAP SET",
    ),
    *("Chevy", "MERCEDES  BENZ", "refurbİshed", "Refurb"),
]


@pytest.mark.parametrize("name", sorted(shared_functions()))
def test_shared_functions_agree(engine: Any, name: str) -> None:
    """Every function of sql/functions that reads one text, of every strange text; with no text it is NULL or false."""
    definition = sqlglot.parse_one(shared_functions()[name], read="bigquery").find(exp.UserDefinedFunction)
    assert definition is not None, f"sql/functions/{name}.sql defines no function"
    kinds = [parameter.args["kind"].sql(dialect="bigquery") for parameter in definition.expressions]
    if kinds.count("STRING") != 1:
        pytest.skip("it does not read one text; the queries that call it are compared")
    given = {
        "STRING": "value",
        "DATE": "DATE '2026-02-01'",
        "INT64": "CAST(2027 AS INT64)",
        "FLOAT64": "CAST(0.1 AS FLOAT64)",
    }
    call = f"{name}({', '.join(given[kind] for kind in kinds)})"
    assert_agree(engine, call, [*STRANGE_VALUES, *strange_texts(), None], called_functions(call))


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        ("order_date('Friday, January 10, 2025')", datetime.date(2025, 1, 10)),
        ("order_date('fri,DEC 1,2025')", datetime.date(2025, 12, 1)),
        ("order_date('February 28, 2025')", datetime.date(2025, 2, 28)),
        ("order_date('Friday, February 29, 2025')", None),
        ("order_date('Friday, January 10, 25')", None),
        ("order_date('Frittag, January 10, 2025')", None),
        ("order_date('2025-01-10')", None),
        ("positive_price('$1,200.50')", 1200.5),
        ("positive_price('\u00a050\t')", 50.0),
        ("positive_price('1$0')", None),
        ("positive_price('1e1')", None),
        ("positive_price('4 5')", None),
        ("positive_price('0')", None),
        ("positive_price('nan')", None),
        ("normal_sku('\u3000stß-1\t')", "STSS-1"),
        ("base_sku(' 8202r\u00a0')", "8202"),
        ("base_sku('8202BB')", "8202BB"),
        ("vehicle_year('1967.0', DATE '2026-02-01')", 1967),
        ("vehicle_year('2027', DATE '2026-02-01')", 2027),
        ("vehicle_year('2028', DATE '2026-02-01')", None),
        ("vehicle_year('1899', DATE '2026-02-01')", None),
        ("vehicle_year('1900', DATE '2026-02-01')", 1900),
        ("normal_email('\u00a0A@X.com\t')", "a@x.com"),
        ("https_image('//x.com/8202@2x.jpg?b@3x.webp')", "https://x.com/8202@2x.jpg?b@3x.webp"),
        ("https_image('//x.com/a@y.com@2x.jpg')", None),
    ],
)
def test_right_values_on_both_engines(engine: Any, call: str, expected: Any) -> None:
    functions = called_functions(call)
    (row,) = engine.rows(f"SELECT {call} AS found", functions=functions)
    assert row["found"] == expected
    assert_agree(engine, call, ["once"], functions)
