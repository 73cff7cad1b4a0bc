"""The same dirty source tables through DuckDB and through BigQuery's emulator: the same tables, row for row."""

from __future__ import annotations

import copy
import dataclasses
import datetime
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from bigquery_emulator import BigQueryEmulator

from holley_assets.checks.recommendation_checks import DELIVERED_PARTS, check_recommendations
from holley_assets.checks.source_row_checks import SOURCE_ROWS
from holley_assets.checks.staged_table import fingerprint, stage_recommendations
from holley_assets.core.table_specs import (
    TABLE_SPECS,
)
from holley_assets.ranking.recommendations import WIDE_SCHEMA
from holley_assets.resources.warehouse.bigquery.warehouse import BigQueryWarehouse
from holley_assets.resources.warehouse.duckdb.transpile import to_duckdb
from holley_assets.resources.warehouse.duckdb.warehouse import DuckDBWarehouse
from holley_assets.resources.warehouse.interface import QueryResult, Warehouse
from holley_assets.resources.warehouse.source_tables import SOURCE_TABLES
from holley_assets.resources.warehouse.sql_files import read_query
from holley_assets.sample_data import generate_sample
from holley_assets.settings import BigQuerySettings, RuleSettings, RunSettings, load_settings

AS_OF = datetime.date(2026, 2, 1)
INTENT_START = datetime.date(2025, 9, 1)
PARAMETERS: dict[str, object] = {
    **RuleSettings().model_dump(),
    **RunSettings().model_dump(),
    "as_of": AS_OF,
    "cutoff": datetime.date(2026, 1, 2),
    "intent_start": INTENT_START,
    "consent_property": "",
    "image_hosts": "",
}


def upstream_first() -> list[str]:
    """Every graph table, after those that it is made of."""
    ordered: list[str] = []

    def visit(name: str) -> None:
        for _, table in sorted(to_duckdb(read_query(name)).tables):
            if table in names:
                visit(table)
        if name not in ordered:
            ordered.append(name)

    names = {SOURCE_ROWS, *(spec.name for spec in TABLE_SPECS)}
    for name in sorted(names):
        visit(name)
    return ordered


def make_tables(warehouse: Warehouse, folder: Path) -> dict[str, QueryResult]:
    return {
        name: warehouse.query_to_parquet(name, PARAMETERS, folder / f"{name}.parquet")
        for name in upstream_first()
    }


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("parity") / "sample"
    generate_sample(
        folder, users=300, kind="segment", seed=0, as_of=AS_OF, intent_start=INTENT_START, test_days=30
    )
    add_machine_clicks(folder / "treatment_interaction.parquet")
    return folder


def add_machine_clicks(path: Path) -> None:
    """A scanner opens four links of one e-mail, a second apart: no sample has one by itself."""
    table = pq.read_table(path)
    clicked = table.filter(pc.equal(table["interaction_type"], "CLICKED")).slice(0, 1).to_pylist()[0]
    clicks = [
        {
            **clicked,
            "treatment_tracking_id": f"scanned-{second}",
            "interaction_timestamp_micros": clicked["interaction_timestamp_micros"]
            + datetime.timedelta(seconds=second),
        }
        for second in range(1, 5)
    ]
    pq.write_table(pa.concat_tables([table, pa.Table.from_pylist(clicks, schema=table.schema)]), path)


@dataclasses.dataclass(frozen=True)
class Both:
    """Two warehouses over one sample, and every graph table that each made of it."""

    folder: Path
    duckdb: DuckDBWarehouse
    bigquery: BigQueryWarehouse
    expected: dict[str, QueryResult]
    found: dict[str, QueryResult]


@pytest.fixture(scope="module")
def both(
    bigquery_emulator: BigQueryEmulator, sample: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Both]:
    folder = tmp_path_factory.mktemp("both")
    bigquery_emulator.load_sources(sample)
    assets = {name: folder / "duckdb" / f"{name}.parquet" for name in upstream_first()}
    duckdb = DuckDBWarehouse(
        sources={table: sample / f"{table}.parquet" for table in SOURCE_TABLES},
        assets={**assets, DELIVERED_PARTS: folder / "duckdb" / f"{DELIVERED_PARTS}.parquet"},
        database=folder / "warehouse.duckdb",
        temporary_directory=folder / "tmp",
    )
    settings = BigQuerySettings(project=bigquery_emulator.project, working_dataset="parity")
    with bigquery_emulator.client() as client:
        client.create_dataset("parity")
        bigquery = BigQueryWarehouse(client, None, settings, temporary_directory=folder / "tmp")
        expected = make_tables(duckdb, folder / "duckdb")
        yield Both(folder, duckdb, bigquery, expected, make_tables(bigquery, folder / "bigquery"))


def test_every_graph_table_is_the_same_on_both(both: Both) -> None:
    assert sum(result.rows > 0 for result in both.expected.values()) == len(both.expected), (
        "no table is empty"
    )
    for name, result in both.expected.items():
        table, emulated = pq.read_table(result.path), pq.read_table(both.found[name].path)
        assert emulated.schema.equals(table.schema), name
        assert emulated.equals(table), f"{name}: {emulated.num_rows} rows, expected {table.num_rows}"
        assert both.found[name].dropped == result.dropped, name


def test_years_may_be_numbers(both: Both, bigquery_emulator: BigQueryEmulator, sample: Path) -> None:
    """Older exports of the fitment data hold the year as INT64."""
    name = "vehicle_product_fitment_data"
    fits = pq.read_table(sample / f"{name}.parquet")
    fits = fits.filter(pc.match_substring_regex(fits["v1_year"], r"^\d{4}$"))
    years = fits["v1_year"].cast(pa.int64())
    older = both.folder / f"{name}.parquet"
    pq.write_table(fits.set_column(fits.schema.get_field_index("v1_year"), "v1_year", years), older)
    bigquery_emulator.load_parquet("older_exports", name, older)
    duckdb, bigquery = copy.copy(both.duckdb), copy.copy(both.bigquery)
    duckdb._sources = {**both.duckdb._sources, name: older}
    bigquery._datasets = dataclasses.replace(both.bigquery._datasets, data_company="older_exports")
    assert bigquery.describe_source(name).columns["v1_year"] == "INT64"
    expected = duckdb.query_to_parquet("fitment", PARAMETERS, both.folder / "older_duckdb.parquet")
    found = bigquery.query_to_parquet("fitment", PARAMETERS, both.folder / "older_bigquery.parquet")
    assert expected.rows > 1000
    assert pq.read_table(found.path).equals(pq.read_table(expected.path))


def test_checks_on_the_staged_table_find_the_same_on_both(both: Both) -> None:
    """Parts taken at random break nearly every rule; both engines count the same."""
    random = np.random.default_rng(0)
    users = pq.read_table(both.expected["user_nodes"].path).slice(0, 40)
    parts = pq.read_table(both.expected["parts"].path).take(random.integers(0, 100, (4, 40)).ravel())
    columns: dict[str, pa.Array | pa.ChunkedArray] = {
        name: users[name].cast(pa.string()) for name in ("email_lower", "year", "make", "model")
    }
    for slot in range(1, 5):
        chosen = parts.slice((slot - 1) * 40, 40)
        columns |= {
            f"rec_part_{slot}": chosen["sku"],
            f"rec{slot}_price": chosen["serving_price"],
            f"rec{slot}_score": pa.array(random.random(40)),
            f"rec{slot}_image": chosen["serving_image"],
        }
    columns["generated_at"] = pa.nulls(40, WIDE_SCHEMA.field("generated_at").type)
    columns["model_version"] = pa.repeat(pa.scalar("m"), 40)
    staged = both.folder / "recommendations.parquet"
    pq.write_table(pa.table(columns, schema=WIDE_SCHEMA), staged)
    verdicts = []
    for warehouse, folder in ((both.duckdb, "duckdb"), (both.bigquery, "bigquery")):
        table = stage_recommendations(warehouse, "recommendations", staged, "0" * 64)
        assert table.fingerprint.startswith("40 rows, ")
        judged = warehouse.with_staged({"recommendations": table.name})
        results = check_recommendations(judged, PARAMETERS, load_settings(), both.folder / folder)
        verdicts.append({result.check_name: (result.passed, result.description) for result in results})
        assert fingerprint(warehouse, table.name) == table.fingerprint
    assert verdicts[0] == verdicts[1]
    assert sum(not passed for passed, _ in verdicts[0].values()) >= 7, verdicts[0]
