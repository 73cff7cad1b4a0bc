"""Generating a sample: the seven source tables and the truth behind them."""

from __future__ import annotations

import datetime
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from holley_assets.sample_data import oracle
from holley_assets.sample_data.browsing import build_browsing
from holley_assets.sample_data.catalogue import build_catalogue
from holley_assets.sample_data.clicks import build_clicks
from holley_assets.sample_data.demand import Demand, build_truth
from holley_assets.sample_data.fits import build_fits
from holley_assets.sample_data.met_parts import build_met_parts
from holley_assets.sample_data.parameters import RETURN_SHARE, SampleKind, SampleParameters
from holley_assets.sample_data.people import build_users
from holley_assets.sample_data.purchases import build_purchases
from holley_assets.sample_data.real_cars import build_real_vehicles
from holley_assets.sample_data.shop import Shop
from holley_assets.sample_data.tables_catalogue import fitment_table, import_items_tables
from holley_assets.sample_data.tables_events import build_events, event_batches
from holley_assets.sample_data.tables_orders import orders_table
from holley_assets.sample_data.tables_treatments import treatments_table
from holley_assets.sample_data.tables_users import attributes_table, build_user_ids
from holley_assets.sample_data.vehicles import Vehicles, build_made_up_vehicles
from holley_assets.sample_data.writer import read_manifest, write_folder, write_table


@dataclass(frozen=True)
class SampleSummary:
    """What a sample holds: rows of each table, and whether an existing one was taken as it was."""

    folder: Path
    parameters: SampleParameters
    rows: dict[str, int]
    reused: bool


def build_vehicles(parameters: SampleParameters) -> Vehicles:
    """The vehicles of the sample's kind: real ones, or made-up ones."""
    build = build_real_vehicles if parameters.kind == "real_cars" else build_made_up_vehicles
    return build(parameters)


def generate_sample(
    folder: Path,
    *,
    users: int,
    kind: SampleKind,
    seed: int,
    as_of: datetime.date,
    intent_start: datetime.date,
    products: int | None = None,
    models: int | None = None,
    test_days: int = 30,
    traffic: float = 1.0,
    return_share: float = RETURN_SHARE,
) -> SampleSummary:
    """Write the seven source tables as ``<table>.parquet`` into ``folder``, and the truth into ``oracle/``.

    Equal parameters give equal bytes; a folder that already holds this very sample is left as it is, and one
    with another sample is replaced as a whole once the new one is complete.

    Args:
        users: registered e-mail addresses; 475,000 is full scale, and everything else grows with it.
        kind: ``segment`` has tastes of cars to learn; in ``taste`` those of customers are strong and those of
            cars weak; ``real_cars`` is as ``segment`` with real years, makes, models and the platforms that
            they share; in ``null`` demand follows overall popularity alone, within what fits for owners, in
            the whole shop for buyers who are not registered.
        as_of: the run's today; nothing is dated on or after it but for a few wrong clocks.
        intent_start: first day of interaction events; orders reach back 150 days before it.
        products: base SKUs; unset: as many as ``users`` usually buy from.
        models: makes and models, likewise.
        test_days: days before ``as_of`` that have clicks.
        traffic: visitors, views and orders as a share of those that a shop of this size has; clicks stay.
        return_share: share of later views, orders and clicks that go back to a part met before.

    Raises:
        ValueError: a parameter that cannot be used, in one line.
        FileExistsError: ``folder`` has contents that are no sample.
    """
    parameters = SampleParameters.resolve(
        users=users,
        kind=kind,
        seed=seed,
        as_of=as_of,
        intent_start=intent_start,
        products=products,
        models=models,
        test_days=test_days,
        traffic=traffic,
        return_share=return_share,
    )
    manifest = read_manifest(folder)
    if (
        manifest is not None
        and manifest["parameters"] == parameters.manifest()
        and all((folder / f"{table}.parquet").is_file() for table in manifest["rows"])
    ):
        return SampleSummary(folder, parameters, manifest["rows"], reused=True)
    rows: dict[str, int] = {}

    def fill(staging: Path) -> dict[str, Any]:
        rows.update(_write_sample(staging, parameters))
        return {"parameters": parameters.manifest(), "rows": rows}

    write_folder(folder, fill)
    return SampleSummary(folder, parameters, rows, reused=False)


def _write_sample(folder: Path, parameters: SampleParameters) -> dict[str, int]:
    rows: dict[str, int] = {}

    def write(name: str, table: pa.Table | Iterable[pa.Table]) -> None:
        rows[name] = write_table(folder / f"{name}.parquet", table)

    vehicles = build_vehicles(parameters)
    catalogue = build_catalogue(parameters)
    fits = build_fits(parameters, vehicles, catalogue)
    write("vehicle_product_fitment_data", fitment_table(parameters, vehicles, catalogue, fits))
    items, tags = import_items_tables(parameters, catalogue)
    write("import_items", items)
    write("import_items_tags", tags)

    truth = build_truth(parameters, vehicles, catalogue)
    click_demand = Demand(truth, fits, catalogue, for_clicks=True)
    users = build_users(parameters, vehicles, click_demand)
    ids = build_user_ids(users)
    write(
        "ingestion_unified_attributes_schema_incremental", attributes_table(parameters, users, ids, vehicles)
    )

    shop = Shop(
        catalogue,
        vehicles,
        users,
        Demand(truth, fits, catalogue, for_clicks=False),
        own_taste_seed=parameters.seed,
    )
    purchases = build_purchases(parameters, shop)
    write("import_orders", orders_table(parameters, users, catalogue, purchases))
    browsing, people = build_browsing(parameters, shop, purchases)
    met = build_met_parts(parameters, shop, click_demand, purchases, browsing)
    clicks = build_clicks(parameters, shop, click_demand, met)
    write("treatment_interaction", treatments_table(parameters, ids, clicks))
    (folder / oracle.ORACLE_FOLDER).mkdir()
    for file, table in (
        (oracle.SCORES_FILE, oracle.scores_table(shop, click_demand)),
        (oracle.USER_SCORES_FILE, oracle.user_scores_table(parameters, shop, click_demand, clicks, met)),
    ):
        write_table(folder / oracle.ORACLE_FOLDER / file, table)
    events = build_events(parameters, ids, purchases, browsing, clicks, people=people)
    write("ingestion_unified_schema_incremental", event_batches(parameters, catalogue, events))
    return rows
