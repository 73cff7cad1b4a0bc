"""A small shop to write by hand: source rows in, the graph's tables out.

as_of is 2026-02-01, so that the cutoff is 2026-01-02; the window of events opens on 2025-09-01.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from sql.remembering_warehouse import RememberingWarehouse

from holley_assets.resources.warehouse.duckdb.transpile import to_duckdb
from holley_assets.resources.warehouse.duckdb.warehouse import DuckDBWarehouse
from holley_assets.resources.warehouse.interface import QueryResult
from holley_assets.resources.warehouse.source_tables import SOURCE_TABLES, ColumnType
from holley_assets.resources.warehouse.sql_files import read_query

AS_OF = datetime.date(2026, 2, 1)
PARAMETERS: dict[str, object] = {
    "as_of": AS_OF,
    "cutoff": datetime.date(2026, 1, 2),
    "intent_start": datetime.date(2025, 9, 1),
    "decay_days": 30.0,
    "view_weight": 1.0,
    "cart_weight": 3.0,
    "order_weight": 5.0,
    "click_view_minutes": 30,
    "machine_clicks": 3,
    "machine_click_seconds": 10,
    "machine_view_seconds": 10,
    "consent_property": "",
    "minimum_visitors": 1,
    "plausible_price_factor": 10.0,
    "image_days": 30,
    "image_hosts": "",
    "co_purchase_minimum_users": 2,
    "pair_window_days": 30,
    "pair_decay_days": 30.0,
    "pair_minimum_buyers": 2,
    "co_view_minimum_visitors": 2,
    "co_view_maximum_parts": 50,
    "visitor_maximum_parts": 40,
    "visitor_unregistered_owners": 0.2,
    "minimum_price": 50.0,
    "unknown_type_minimum_price": 3000.0,
    "sql_segment_minimum_orders": 5,
    "sql_make_minimum_orders": 20,
    "sql_pair_minimum_orders": 2,
}

GRAPH_TABLES = [
    "user_accounts",
    "machine_bursts",
    "interaction_events",
    "order_lines",
    "daily_orders",
    "parts",
    "user_nodes",
    "product_nodes",
    "vehicle_nodes",
    "interacts_edges",
    "fits_edges",
    "owns_edges",
    "visitor_demand",
    "co_viewed_edges",
    "visitor_parts",
    "visitor_sets",
    "visitor_set_models",
    "co_purchased_edges",
    "ordered_pairs",
    "fitment",
    "user_purchases",
    "user_visits",
    "popularity",
    "test_clicks",
    "machine_clicks",
    "test_interactions",
]

Row = dict[str, Any]
# Opens a shop of a name, in a folder of its own.
OpenShop = Callable[[str], "Shop"]
# Runs one query over tables that are given: its name, the tables and the parameters that differ.
RunAlone = Callable[..., list[Row]]
_ARROW_TYPES = {
    "STRING": pa.string(),
    "INT64": pa.int64(),
    "FLOAT64": pa.float64(),
    "TIMESTAMP": pa.timestamp("us", "UTC"),
}


def arrow_type(kind: ColumnType) -> pa.DataType:
    """The Arrow type that a warehouse exports for a column type; the first where there is a choice."""
    if isinstance(kind, tuple):
        return arrow_type(kind[0])
    if isinstance(kind, list):
        return pa.list_(arrow_type(kind[0]))
    if isinstance(kind, dict):
        return pa.struct([(name, arrow_type(field)) for name, field in kind.items()])
    return _ARROW_TYPES[kind]


def source_arrow(table: str, rows: list[Row]) -> pa.Table:
    """Source rows as the table that the contract describes."""
    columns = SOURCE_TABLES[table].columns
    schema = pa.schema([(name, arrow_type(kind)) for name, kind in columns.items()])
    return pa.Table.from_pylist(rows, schema=schema)


def moment(text: str | None) -> datetime.datetime | None:
    """'2026-01-05' or '2026-01-05T10:00', in UTC."""
    return None if text is None else datetime.datetime.fromisoformat(text).replace(tzinfo=datetime.UTC)


def properties(values: dict[str, Any]) -> list[Row]:
    """Each value in the column of its type: text, whole number or float."""
    return [
        {
            "property_name": name,
            "string_value": value if isinstance(value, str) else None,
            "long_value": value if isinstance(value, int) else None,
            "double_value": value if isinstance(value, float) else None,
        }
        for name, value in values.items()
    ]


class Shop:
    """Source rows, and the queries over them."""

    def __init__(self, folder: Path, engine: type[DuckDBWarehouse] = RememberingWarehouse) -> None:
        self.folder = folder
        self.engine = engine
        self.rows: dict[str, list[Row]] = {table: [] for table in SOURCE_TABLES}
        self.results: dict[str, QueryResult] = {}

    def account(self, user_id: str | None, at: str | None = "2025-08-01", **values: Any) -> None:
        """One row of attributes, such as ``email="a@x.com", v1_year="1967"``."""
        self.attributes(user_id, values, at)

    def attributes(
        self, user_id: str | None, values: dict[str, Any], at: str | None, inserted: str | None = None
    ) -> None:
        """One row of attributes with property names as they are."""
        self.rows["ingestion_unified_attributes_schema_incremental"].append(
            {
                "user_id": user_id,
                "user_properties": properties(values),
                "update_timestamp": moment(at),
                "auxia_insertion_timestamp": moment(inserted or at),
            }
        )

    def driver(self, name: str, year: Any = "1967", make: str = "FORD", model: str = "MUSTANG") -> None:
        """User ``name`` with e-mail ``name@x.com`` and a vehicle."""
        self.account(name, email=f"{name}@x.com", v1_year=year, v1_make=make, v1_model=model)

    def event(self, user_id: str | None, name: str | None, at: str | None, **values: Any) -> None:
        """One event; property names may hold dots: ``**{"Items_0.ProductId": "A"}``."""
        self.rows["ingestion_unified_schema_incremental"].append(
            {
                "user_id": user_id,
                "event_name": name,
                "client_event_timestamp": moment(at),
                "event_properties": properties(values),
            }
        )

    def view(
        self, user_id: str | None, at: str | None, sku: Any, price: Any = None, image: Any = None
    ) -> None:
        """A product view."""
        values = {"ProductId": sku, "Price": price, "ImageURL": image}
        self.event(user_id, "Viewed Product", at, **{name: v for name, v in values.items() if v is not None})

    def cart(self, user_id: str, at: str, *skus: Any) -> None:
        """A cart with these SKUs."""
        self.event(user_id, "Cart Update", at, **{f"Items_{n}.ProductId": sku for n, sku in enumerate(skus)})

    def order(self, user_id: str, at: str, *skus: Any) -> None:
        """An order of these SKUs, as an event."""
        self.event(user_id, "Placed Order", at, **{f"Items_{n}.ProductId": sku for n, sku in enumerate(skus)})

    def imported_order(self, email: str | None, date: str | None, sku: str | None) -> None:
        """A line of import_orders; ``date`` is ISO, or anything else as it is."""
        try:
            text: str | None = datetime.date.fromisoformat(str(date)).strftime("%A, %B %d, %Y")
        except ValueError:
            text = date
        self.rows["import_orders"].append({"ITEM": sku, "SHIP_TO_EMAIL": email, "ORDER_DATE": text})

    def click(self, user_id: str, at: str | None, tracking_id: str = "t", kind: str = "CLICKED") -> None:
        """A click on an e-mail."""
        self.rows["treatment_interaction"].append(
            {
                "user_id": user_id,
                "treatment_id": 1,
                "treatment_tracking_id": tracking_id,
                "interaction_type": kind,
                "interaction_timestamp_micros": moment(at),
            }
        )

    def fits(self, year: str | None, make: str | None, model: str | None, *skus: str | None) -> None:
        """Parts that fit a vehicle."""
        self.rows["vehicle_product_fitment_data"].append(
            {
                "v1_year": year,
                "v1_make": make,
                "v1_model": model,
                "products": [{"product_number": sku} for sku in skus],
            }
        )

    def item(
        self, sku: str | None, part_type: str | None = "Carburetor", price: str | None = "100", tags: str = ""
    ) -> None:
        """A row of the catalogue."""
        self.rows["import_items"].append(
            {"PartNumber": sku, "PartType": part_type, "Price": price, "Tags": tags}
        )

    def item_tags(self, sku: str | None, tags: str) -> None:
        """A row of import_items_tags."""
        self.rows["import_items_tags"].append({"PartNumber": sku, "Tags": tags})

    @property
    def parameters(self) -> dict[str, object]:
        """Parameters of all queries."""
        return dict(PARAMETERS)

    @property
    def warehouse(self) -> DuckDBWarehouse:
        """A warehouse over this shop's files."""
        return self.warehouse_with({})

    def warehouse_with(self, others: dict[str, Path]) -> DuckDBWarehouse:
        """The same with other files for some assets."""
        assets = {name: self.folder / "assets" / f"{name}.parquet" for name in GRAPH_TABLES}
        return self.engine(
            sources={table: self.folder / f"{table}.parquet" for table in self.rows},
            assets={**assets, **others},
            database=self.folder / "warehouse.duckdb",
            temporary_directory=self.folder / "tmp",
        )

    def write(self) -> None:
        """Write the source tables."""
        for table, rows in self.rows.items():
            pq.write_table(source_arrow(table, rows), self.folder / f"{table}.parquet")

    def run(self, name: str, **parameters: object) -> list[Row]:
        """Rows of table ``name``, after the tables that it is made of."""
        return self.run_tables([name], **parameters)[name]

    def run_tables(self, names: Iterable[str], **parameters: object) -> dict[str, list[Row]]:
        """Rows of several tables, and of the tables that they are made of."""
        self.write()
        for upstream in run_order(names):
            path = self.folder / "assets" / f"{upstream}.parquet"
            self.results[upstream] = self.warehouse.query_to_parquet(
                upstream, {**PARAMETERS, **parameters}, path
            )
        return {table: pq.read_table(result.path).to_pylist() for table, result in self.results.items()}

    def dropped(self, name: str) -> dict[str, int]:
        """Counts of the last run's dropped rows."""
        return self.results[name].dropped


def run_order(names: Iterable[str]) -> list[str]:
    """``names`` and the tables that they are made of, upstream first."""
    ordered: list[str] = []
    for name in names:
        tables = to_duckdb(read_query(name)).tables
        upstream = sorted(table for dataset, table in tables if dataset == "temp_holley_gnn")
        ordered += [table for table in [*run_order(upstream), name] if table not in ordered]
    return ordered
