"""The output. Nothing reaches it around the checks."""

import datetime
import time
from collections.abc import Sequence

import dagster as dg
import pyarrow as pa

from holley_assets.assets.model_choice import (
    is_first_delivery,
)
from holley_assets.assets.publishing import prove
from holley_assets.checks.staged_table import publish_judged
from holley_assets.core.asset_keys import (
    DELIVERED_TABLE,
    STAGED,
)
from holley_assets.core.failures import (
    one_line,
)
from holley_assets.core.groups import (
    DELIVERY,
    OWNERS,
)
from holley_assets.core.metadata_keys import (
    CHECKSUM,
    MODEL_VERSION,
)
from holley_assets.core.output_tables import OUTPUT_DATASET, OUTPUT_TABLE
from holley_assets.core.time_windows import (
    TimeWindows,
)
from holley_assets.resources.settings_resource import SettingsResource
from holley_assets.resources.tracking.journal import TrackingJournal
from holley_assets.resources.tracking.records import DeliveryRecord
from holley_assets.resources.warehouse.interface import WarehouseError
from holley_assets.resources.warehouse_resource import WarehouseResource, origin_of


def build_recommendations_table(required_checks: Sequence[dg.AssetCheckKey]) -> dg.AssetsDefinition:
    """The asset that publishes the staged table once every one of ``required_checks`` has passed on it."""

    @dg.asset(
        key=DELIVERED_TABLE, group_name=DELIVERY, owners=OWNERS, kinds={"duckdb", "bigquery"}, deps=[STAGED]
    )
    def recommendations_table(
        context: dg.AssetExecutionContext,
        settings: SettingsResource,
        warehouse: WarehouseResource,
        time_windows: pa.Table,
    ) -> dg.MaterializeResult:
        """The delivered table `temp_holley_gnn.recommendations`: one row a customer, replaced as a whole.

        Before it writes, it re-reads from the event log the verdict of every blocking check, on the staged
        table and on everything that the table was made of, for exactly the data that it is about to publish.
        One that failed, did not run or judged other data ends the run with a line that names it, and the
        previous table stays as it was. What it publishes is the table in the warehouse that the checks ran on, by
        its fingerprint. Readers see the old table or the new one, never a part of either. A model that is
        delivered for the first time becomes the challenger in the model registry.
        """
        started = time.monotonic()
        proven = prove(context.instance, settings.store(), STAGED, required_checks)
        windows = TimeWindows.from_table(time_windows)
        run_settings = settings.of_run(context.run)
        with one_line(WarehouseError):
            opened = warehouse.open(run_settings, windows.source_location, origin=origin_of(context))
            rows = publish_judged(
                opened,
                context.instance,
                required_checks,
                STAGED,
                proven.sha256,
                OUTPUT_DATASET,
                OUTPUT_TABLE,
            )
        version = str(proven.staged.metadata[MODEL_VERSION])
        journal = TrackingJournal(run_settings, settings.store())
        if is_first_delivery(context.instance, context.run, version):
            now = datetime.datetime.now(datetime.UTC)
            tracked = journal.record(
                DeliveryRecord(written_at=now, dagster_run_id=context.run.run_id, model_version=version)
            )
        else:
            tracked = journal.send()
        if tracked.warning:
            context.log.warning(tracked.warning)
        return dg.MaterializeResult(
            metadata={
                "dagster/row_count": rows,
                "dagster/table_name": f"{OUTPUT_DATASET}.{OUTPUT_TABLE}",
                "checks_passed": len(required_checks),
                "staged_by_run": proven.staged.run_id,
                MODEL_VERSION: version,
                **tracked.metadata,
                CHECKSUM: proven.sha256,
                "as_of": windows.as_of.isoformat(),
                "seconds": round(time.monotonic() - started, 2),
            }
        )

    return recommendations_table
