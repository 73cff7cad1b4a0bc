"""Datasets that a run will write to: there, in the right place, and writable."""

from __future__ import annotations

import datetime
import uuid
from collections.abc import Iterable

import google.api_core.exceptions as google_errors
from google.api_core.retry import Retry
from google.cloud import bigquery

from holley_assets.resources.warehouse.bigquery.client import readable_errors
from holley_assets.resources.warehouse.interface import WarehouseError

_PROBE = "write_probe_"
_PROBE_LASTS = datetime.timedelta(hours=1)


def require_writable(client: bigquery.Client, datasets: Iterable[str], retry: Retry) -> None:
    """Make sure that tables can be made in every one of ``datasets``. No query is run, and nothing is paid.

    Only making a table tells whether one may: BigQuery answers questions about permissions for tables alone. The
    empty one that is made goes at once, or within an hour where the process dies in between.

    Args:
        client: BigQuery's.
        datasets: names of datasets, with their projects.
        retry: how a request is repeated.

    Raises:
        WarehouseError: one line that names each dataset that is missing, elsewhere, or not to be written.
    """
    problems = [problem for dataset in datasets if (problem := _problem(client, dataset, retry))]
    if problems:
        raise WarehouseError("; ".join(problems))


def _problem(client: bigquery.Client, name: str, retry: Retry) -> str | None:
    probe = bigquery.Table(f"{name}.{_PROBE}{uuid.uuid4().hex}", [bigquery.SchemaField("nothing", "INT64")])
    probe.expires = datetime.datetime.now(datetime.UTC) + _PROBE_LASTS
    try:
        with readable_errors(f"writing to dataset {name}"):
            location = client.get_dataset(name, retry=retry).location
            if location.upper() != client.location.upper():
                return f"dataset {name} is in {location}, HOLLEY_BIGQUERY_LOCATION is {client.location}"
            # A request that is repeated may find what the first has made.
            client.create_table(probe, exists_ok=True, retry=retry)
            client.delete_table(probe, not_found_ok=True, retry=retry)
    except WarehouseError as error:
        if isinstance(error.__cause__, google_errors.NotFound):
            return f"dataset {name} does not exist: create it in {client.location}"
        if isinstance(error.__cause__, google_errors.Forbidden):
            return str(error)
        # Whatever it is, it is not about this dataset.
        raise
    return None
