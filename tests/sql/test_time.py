"""Nothing dated at or after the cutoff moves a training column, and nothing from as_of on moves anything."""

from __future__ import annotations

import datetime

import numpy as np
import pytest
from sql.shop import OpenShop, Row, Shop

from holley_assets.resources.warehouse.duckdb.warehouse import DuckDBWarehouse

CUTOFF = datetime.datetime(2026, 1, 2, tzinfo=datetime.UTC)
AS_OF = datetime.datetime(2026, 2, 1, tzinfo=datetime.UTC)
TIMED = {
    "ingestion_unified_schema_incremental": "client_event_timestamp",
    "treatment_interaction": "interaction_timestamp_micros",
}
# These tables hold events and orders themselves, one row each, with their dates.
DATED = {
    "interaction_events": "event_date",
    "order_lines": "order_date",
    "user_purchases": "order_date",
    "user_visits": "visit_date",
    "daily_orders": "order_date",
}
KEYS = {
    "interacts_edges": "weight",
    "co_purchased_edges": "weight",
    "ordered_pairs": "weight",
    "co_viewed_edges": "weight",
    "visitor_demand": "weight",
}


def fill(shop: Shop, seed: int) -> None:
    """A dense little world with events before, in and after the test window."""
    random = np.random.default_rng(seed)
    skus = [f"{number}{colour}" for number in range(100, 106) for colour in ("", "B", "R")]
    for number in range(12):
        shop.driver(f"u{number}", model=("MUSTANG", "F-150")[number % 2])
        shop.account(f"v{number}", email=f"u{number}@x.com")
    for sku in skus:
        shop.item(
            sku, ("Carburetor", "Manifold", "UNKNOWN")[len(sku) % 3], ("60", "NONE", None)[len(sku) % 3]
        )
    for model in ("MUSTANG", "F-150"):
        shop.fits("1967", "FORD", model, *random.choice(skus, 14, replace=False))
    start = datetime.date(2025, 8, 1)
    for _ in range(400):
        user = f"{'uv'[random.integers(2)]}{random.integers(12)}"
        day = start + datetime.timedelta(days=int(random.integers(200)))
        at = f"{day}T{random.integers(24):02}:{random.integers(60):02}"
        sku = str(random.choice(skus))
        kind = random.integers(5)
        if kind == 0:
            shop.order(user, at, sku, str(random.choice(skus)))
        elif kind == 1:
            shop.cart(user, at, sku)
        elif kind == 2:
            shop.imported_order(f"{user}@x.com", day.isoformat(), sku)
        else:
            shop.view(user, at, sku, price=float(random.integers(40, 200)), image=f"//i.com/{sku}/{day}")
            shop.click(user, at)


def drop_from(shop: Shop, end: datetime.datetime) -> None:
    """Remove everything dated ``end`` or later."""
    for table, column in TIMED.items():
        shop.rows[table] = [row for row in shop.rows[table] if row[column] < end]
    shop.rows["import_orders"] = [
        row
        for row in shop.rows["import_orders"]
        if datetime.datetime.strptime(row["ORDER_DATE"] + "Z", "%A, %B %d, %Y%z") < end
    ]


@pytest.mark.parametrize("seed", range(3))
def test_no_training_column_knows_what_comes_after_the_cutoff(
    open_shop: OpenShop, graph_tables: list[str], seed: int
) -> None:
    tables = {}
    for name in ("all", "before the cutoff"):
        shop = open_shop(name)
        fill(shop, seed)
        if name != "all":
            drop_from(shop, CUTOFF)
        tables[name] = shop.run_tables(graph_tables)
    assert tables["all"]["interacts_edges"]
    assert tables["all"] != tables["before the cutoff"]
    for table in set(graph_tables) - {"test_clicks", "test_interactions", "machine_clicks"}:
        full, cut = (training_view(table, tables[name][table]) for name in ("all", "before the cutoff"))
        assert full == cut, table
    assert tables["before the cutoff"]["test_clicks"] == []
    assert tables["before the cutoff"]["test_interactions"] == []


def training_view(table: str, rows: list[Row]) -> list[Row]:
    if table in DATED:
        rows = [row for row in rows if row[DATED[table]] < CUTOFF.date()]
    if table in KEYS:
        rows = [row for row in rows if row[KEYS[table]] is not None]
    return [{name: value for name, value in row.items() if not name.startswith("serving_")} for row in rows]


def test_nothing_from_as_of_on_is_known(open_shop: OpenShop, graph_tables: list[str]) -> None:
    tables = []
    for end in (None, AS_OF):
        shop = open_shop(str(end)[:4])
        fill(shop, 0)
        if end:
            drop_from(shop, end)
        tables.append(shop.run_tables(graph_tables))
    assert tables[0] == tables[1]


def test_serving_view_at_as_of_is_the_training_view_of_a_run_thirty_days_later(open_shop: OpenShop) -> None:
    shop = open_shop("now")
    fill(shop, 1)
    later = {"as_of": datetime.date(2026, 3, 3), "cutoff": AS_OF.date()}
    names = ("interacts_edges", "product_nodes", "popularity", "fitment", "co_purchased_edges")
    now, then = shop.run_tables(names), shop.run_tables(names, **later)
    for table in (*names, "parts"):
        serving = [
            {
                name.removeprefix("serving_"): value
                for name, value in row.items()
                if name.startswith("serving_")
            }
            for row in now[table]
        ]
        training = training_view(table, then[table])
        assert serving == [
            {name: row[name] for name in values} for row, values in zip(training, serving, strict=True)
        ], table


def test_same_input_gives_the_same_file(open_shop: OpenShop, graph_tables: list[str]) -> None:
    files = []
    for name in ("first", "second"):
        shop = open_shop(name)
        shop.engine = DuckDBWarehouse
        fill(shop, 2)
        shop.run_tables(graph_tables)
        files.append({table: result.path.read_bytes() for table, result in shop.results.items()})
    assert files[0] == files[1]
