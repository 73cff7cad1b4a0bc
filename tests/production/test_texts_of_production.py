"""What production leaves behind for people to read tells no secret and names no customer."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from dagster._serdes import serialize_value

from production.production_world import Production


def everything_said(production: Production) -> Iterator[tuple[str, bytes]]:
    """Whatever runs leave behind for people to read, by where it is: all but tables of customers."""
    yield from (("printed", text.encode()) for text in production.printed)
    for folder in (production.home, production.folder / "mlflow"):
        yield from ((str(path), path.read_bytes()) for path in folder.rglob("*") if path.is_file())
    with production.instance() as instance:
        for run in instance.get_runs():
            yield f"run {run.run_id}", serialize_value(run).encode()
            for entry in instance.all_logs(run.run_id):
                yield f"event log of {run.job_name}", serialize_value(entry).encode()
    store = production.store()
    for key in store.keys(""):
        if not key.startswith("assets/"):
            yield key, store.local_path(key).read_bytes()
    with production.bigquery.client() as client:
        for job in client.list_jobs(page_size=10_000):
            yield f"job {job.job_id}", repr(job.to_api_repr()).encode()


def addresses(source: Path) -> set[bytes]:
    """Every customer's address in the source tables, in lower case."""
    orders = pq.read_table(source / "import_orders.parquet")["SHIP_TO_EMAIL"].to_pylist()
    table = pq.read_table(source / "ingestion_unified_attributes_schema_incremental.parquet")
    properties = pc.list_flatten(table["user_properties"]).to_pylist()
    values = orders + [
        each["string_value"] for each in properties if each["property_name"].lower() == "email"
    ]
    return {value.strip().lower().encode() for value in values if value and "@" in value}


def test_no_secret_and_no_address_is_told_to_anybody(production: Production, serving: pa.Table) -> None:
    customers = addresses(production.source)
    assert len(customers) > 300
    told = list(everything_said(production))
    settings = [content for place, content in told if place.endswith("settings.json")]
    assert len(told) > 1000 and all(production.mlflow.url.encode() in content for content in settings)
    forbidden = {*customers, *(secret.encode() for secret in production.secrets)}
    found = {place for place, content in told for each in forbidden if each.lower() in content.lower()}
    assert found == set()
