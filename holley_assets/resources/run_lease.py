"""The leases of a run: on its data folder, and in production on the working dataset."""

from __future__ import annotations

from holley_assets.resources.lease import FolderLease, Lease
from holley_assets.settings import BigQuerySettings, LeaseSettings, RunSettings, load_section


def open_leases() -> list[Lease]:
    """What a run of this environment may write to alone.

    Raises:
        SettingsError: a setting is wrong; one line.
        WarehouseError: there are no credentials for BigQuery.
    """
    run = load_section(RunSettings)
    leases: list[Lease] = [FolderLease(run.data_dir.expanduser().resolve())]
    if run.env == "prod":
        # Seconds of imports that a local run does not need.
        from holley_assets.resources.warehouse.bigquery.client import open_client
        from holley_assets.resources.warehouse.bigquery.lease import DatasetLease

        bigquery = load_section(BigQuerySettings)
        leases.append(
            DatasetLease(open_client(bigquery), bigquery, load_section(LeaseSettings).expires_seconds)
        )
    return leases


def require_lease(run_id: str) -> None:
    """Make sure that no other run holds a lease of this environment.

    Raises:
        LeaseError: one does; what ``run_id`` would write is not asked for any more.
    """
    for lease in open_leases():
        lease.require(run_id)
