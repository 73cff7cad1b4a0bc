"""The output. Nothing reaches it around the checks."""

import datetime
from collections.abc import Mapping, Sequence
from typing import Any

import dagster as dg

from holley_assets.assets.model_choice import is_first_delivery
from holley_assets.assets.publisher import Publication, PublisherResource
from holley_assets.assets.publishing import PublicationRefused
from holley_assets.assets.step import Step
from holley_assets.checks.provenance import Lineage
from holley_assets.core.asset_keys import DELIVERED_TABLE, STAGED
from holley_assets.core.event_log import newest_materialization
from holley_assets.core.failures import one_line
from holley_assets.core.groups import DELIVERY, OWNERS
from holley_assets.core.materialized import Materialized
from holley_assets.core.metadata_keys import AS_OF, CHECKSUM, MODEL_VERSION
from holley_assets.core.time_windows import SAMPLE_SOURCE
from holley_assets.resources.lease import LeaseError
from holley_assets.resources.settings_resource import SettingsResource
from holley_assets.resources.tracking.mlflow_store import TrackingError
from holley_assets.resources.tracking.records import DeliveryRecord
from holley_assets.resources.warehouse.interface import WarehouseError

# What may stand in the way of a publication, each as one line that a person can act on.
REFUSALS = (PublicationRefused, WarehouseError, TrackingError, LeaseError)


def publication_metadata(step: Step, publication: Publication, checks: int) -> Mapping[str, Any]:
    """What the UI shows of a publication, whichever table it is of; warnings go to the log too."""
    for warning in publication.warnings:
        step.log.warning(warning)
    return {
        "dagster/row_count": publication.rows,
        "dagster/table_name": publication.name,
        "checks_passed": checks,
        "staged_by_run": publication.proven.staged.run_id,
        CHECKSUM: publication.proven.sha256,
        AS_OF: step.windows.as_of.isoformat(),
        "source": step.windows.source,
        **({"generated_sample": True} if step.windows.source == SAMPLE_SOURCE else {}),
        **({"warnings": "; ".join(publication.warnings)} if publication.warnings else {}),
        **step.took(),
    }


def build_recommendations_table(
    required_checks: Sequence[dg.AssetCheckKey], lineage: Lineage
) -> dg.AssetsDefinition:
    """The asset that publishes the staged table once every one of ``required_checks`` has passed on it.

    Args:
        required_checks: blocking checks on the staged table and on all that it is made of.
        lineage: what the staged table is made of.
    """

    @dg.asset(
        key=DELIVERED_TABLE, group_name=DELIVERY, owners=OWNERS, kinds={"duckdb", "bigquery"}, deps=[STAGED]
    )
    def recommendations_table(
        context: dg.AssetExecutionContext,
        settings: SettingsResource,
        publisher: PublisherResource,
    ) -> Materialized:
        """The delivered table `temp_holley_gnn.recommendations`: one row a customer, replaced as a whole.

        Before it writes, it re-reads from the event log the verdict of every blocking check, on the staged
        table and on everything that the table was made of, and holds it against what there is now: the rows, the
        versions of all inputs, the settings of the rules, the day. Whatever differs ends the run with a line that
        names it, and the previous table stays as it was. What it publishes is the table in the warehouse that the
        checks ran on, by its fingerprint. Readers see the old table or the new one, never a part of either. Rows of an
        older day than the table holds go beside it. A model that is delivered for the first time becomes the challenger
        in the model registry.
        """
        step = Step(context, settings)
        # All that can fail is asked before the table is replaced: nothing stands between that and the record of it.
        staged = newest_materialization(step.instance, STAGED)
        first_delivery = staged is not None and is_first_delivery(
            step.instance, context.run, str(staged.metadata[MODEL_VERSION])
        )
        journal, windows = step.journal, step.windows
        with one_line(*REFUSALS):
            publication = publisher.publish(
                context, DELIVERED_TABLE, STAGED, checks=required_checks, lineage=lineage, windows=windows
            )
        version = str(publication.proven.staged.metadata[MODEL_VERSION])
        now = datetime.datetime.now(datetime.UTC)
        record = DeliveryRecord(written_at=now, dagster_run_id=step.run_id, model_version=version)
        tracked = step.shown(journal.record(record) if first_delivery else journal.send())
        shown = publication_metadata(step, publication, len(required_checks))
        return dg.MaterializeResult(metadata={**shown, MODEL_VERSION: version, **tracked})

    return recommendations_table
