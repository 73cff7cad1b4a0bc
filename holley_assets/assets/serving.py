"""The serving table: what the e-mail system reads. Only the champion ever fills it."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import dagster as dg
import pyarrow as pa
import pyarrow.compute as pc

from holley_assets.assets.delivery import REFUSALS, publication_metadata
from holley_assets.assets.publisher import PublisherResource
from holley_assets.assets.serving_plan import Present, buckets_of, present_plan
from holley_assets.assets.step import Step
from holley_assets.checks.provenance import Lineage
from holley_assets.core.asset_keys import MIXED, SERVING_TABLE, SQL_RECOMMENDATIONS, STAGED
from holley_assets.core.event_log import newest_materialization
from holley_assets.core.failures import one_line
from holley_assets.core.groups import DELIVERY, OWNERS, RECOMMENDATIONS
from holley_assets.core.materialized import Materialized
from holley_assets.core.metadata_keys import (
    AS_OF,
    ASSIGNED_BUCKETS,
    BUCKETS_OF,
    GRAPH_BUCKETS,
    KILL_SWITCH,
    MODEL_VERSION,
)
from holley_assets.core.time_windows import TimeWindows
from holley_assets.pipeline.delivery import recommendations_of_users
from holley_assets.ranking import PairScorer
from holley_assets.ranking.arms import ARM, ASSIGNED_ARM, GRAPH_ARM, SQL_ARM, mix_arms
from holley_assets.ranking.comparison import pair_scores
from holley_assets.resources.io_manager import asset_file, read_parquet
from holley_assets.resources.settings_resource import SettingsResource
from holley_assets.resources.step_resources import heavy_step
from holley_assets.resources.tracking.mlflow_store import TrackingError
from holley_assets.resources.warehouse.interface import WarehouseError
from holley_assets.resources.warehouse_resource import WarehouseResource, origin_of
from holley_assets.settings import Settings

USERS_OF_GRAPH, USERS_OF_SQL = "users_of_the_graph", "users_of_the_sql_pipeline"
RECEIVED_AS_ASSIGNED = "received_as_assigned"


@dg.asset(
    key=SQL_RECOMMENDATIONS,
    group_name=RECOMMENDATIONS,
    owners=OWNERS,
    kinds={"arrow", "numpy"},
    op_tags=heavy_step("score"),
)
def sql_recommendations(
    context: dg.AssetExecutionContext,
    settings: SettingsResource,
    user_nodes: pa.Table,
    fitment: pa.Table,
    parts: pa.Table,
    popularity: pa.Table,
    user_purchases: pa.Table,
) -> Materialized:
    """One row a customer: the SQL pipeline's parts as of `as_of`, by the same ranker and the same rules.

    What everyone gets who is not given the graph's parts, and all that the kill switch needs: no graph and no
    model is behind it. `model_version` is `sql`; a score is that of popularity's three tiers.
    """
    step = Step(context, settings)
    table, metadata = recommendations_of_users(
        user_nodes.select(["email_lower", "year", "make", "model"]),
        PairScorer(pair_scores(popularity, "serving_sql_score"), name="sql"),
        fitment=fitment,
        parts=parts,
        purchases=user_purchases,
        windows=step.windows,
        settings=step.settings,
        model_version=SQL_ARM,
    )
    return dg.MaterializeResult(value=table, metadata={**metadata, **step.took()})


@dg.asset(
    key=MIXED,
    group_name=RECOMMENDATIONS,
    owners=OWNERS,
    kinds={"arrow"},
    # Not an input: the kill switch must work where the graph has never delivered or no longer can.
    deps=[STAGED],
    # A run that may not touch the serving table stages nothing for it, and what follows is skipped.
    output_required=False,
)
def mixed_recommendations(
    context: dg.AssetExecutionContext,
    settings: SettingsResource,
    warehouse: WarehouseResource,
    sql_recommendations: pa.Table,
) -> Iterator[Materialized]:
    """One row a customer, of the graph or of the SQL pipeline: what the e-mail system will read.

    Staged, not served: the checks on this table decide whether `serving_table` may publish it. A salted hash of
    the address decides who is assigned to the graph (`assigned_arm`), so that nobody moves back and forth as the share
    grows; everybody else, and who has fewer than three parts of the graph, gets the SQL pipeline's. `arm` says whose
    parts a customer received. Made only where the run may touch the serving table: not in mode `shadow`, and not of
    another model than the champion.
    """
    present = settings.load()
    windows = Step(context, settings).windows
    asked = _ask(context, warehouse, present, windows)
    plan = asked.plan
    context.log.info(plan.reason)
    if not plan.touched:
        context.log_event(_untouched(asked, present))
        return
    graph = _graph_table(settings) if plan.graph_buckets else None
    table = mix_arms(
        graph,
        sql_recommendations,
        graph_buckets=plan.graph_buckets,
        assigned_buckets=plan.assigned_buckets,
        salt=present.serving.hash_salt,
    )
    metadata = {**_plan_metadata(asked, present, table), AS_OF: windows.as_of.isoformat()}
    yield dg.MaterializeResult(value=table, metadata=metadata)


def _ask(
    context: dg.AssetExecutionContext, warehouse: WarehouseResource, present: Settings, windows: TimeWindows
) -> Present:
    """The plan as it is now.

    Raises:
        dg.Failure: the switch's record or the registry does not answer.
    """
    recommended = newest_materialization(context.instance, STAGED)
    staged = str(recommended.metadata[MODEL_VERSION]) if recommended else None
    try:
        opened = warehouse.open(present, windows.source_location, origin=origin_of(context))
        return present_plan(opened, present, staged)
    except (TrackingError, WarehouseError) as error:
        raise dg.Failure(
            f"The serving table stays as it was, for nobody can say who is to get what: {error}"
        ) from error


def _untouched(asked: Present, settings: Settings) -> dg.AssetObservation:
    """That the serving table stays as it is, and why."""
    mode, reason = settings.serving.mode, asked.plan.reason
    metadata = {"touched": False, "mode": mode, "reason": reason, **asked.switch.metadata}
    return dg.AssetObservation(SERVING_TABLE, description=reason, metadata=metadata)


def _graph_table(settings: SettingsResource) -> pa.Table:
    return read_parquet(settings.store().local_path(asset_file(STAGED)))


def _plan_metadata(asked: Present, settings: Settings, table: pa.Table) -> dict[str, Any]:
    plan = asked.plan
    of_graph = pc.sum(pc.equal(table[ARM], GRAPH_ARM)).as_py() or 0
    assigned = pc.sum(pc.equal(table[ASSIGNED_ARM], GRAPH_ARM)).as_py() or 0
    return {
        "mode": settings.serving.mode,
        "reason": plan.reason,
        **asked.switch.metadata,
        KILL_SWITCH: plan.kill_switch,
        GRAPH_BUCKETS: plan.graph_buckets,
        ASSIGNED_BUCKETS: plan.assigned_buckets,
        BUCKETS_OF: buckets_of(settings.serving),
        MODEL_VERSION: plan.model_version or SQL_ARM,
        USERS_OF_GRAPH: of_graph,
        USERS_OF_SQL: table.num_rows - of_graph,
        # Nobody receives the graph's parts without having been assigned to them.
        RECEIVED_AS_ASSIGNED: {
            GRAPH_ARM: of_graph / assigned if assigned else None,
            SQL_ARM: 1.0 if assigned < table.num_rows else None,
        },
    }


def build_serving_table(
    required_checks: Sequence[dg.AssetCheckKey],
    required_without_graph: Sequence[dg.AssetCheckKey],
    lineage: Lineage,
    lineage_without_graph: Lineage,
) -> dg.AssetsDefinition:
    """The asset that publishes the mixed table.

    Args:
        required_checks: blocking checks on the mixed table and on all that it is made of.
        required_without_graph: those that remain where nobody gets the graph's parts.
        lineage: what the mixed table is made of.
        lineage_without_graph: what remains of it where nobody gets the graph's parts.
    """

    @dg.asset(
        key=SERVING_TABLE, group_name=DELIVERY, owners=OWNERS, kinds={"duckdb", "bigquery"}, deps=[MIXED]
    )
    def serving_table(
        context: dg.AssetExecutionContext,
        settings: SettingsResource,
        publisher: PublisherResource,
    ) -> Materialized:
        """The table that the e-mail system reads (`HOLLEY_SERVING_PROJECT`, `HOLLEY_SERVING_DATASET`,
        `HOLLEY_SERVING_TABLE`): one row a customer, replaced as a whole.

        Not touched in mode `shadow`, nor by a run whose recommendations are not the champion's; such a run
        leaves an observation here that says so. Before it writes, it holds the verdict of every blocking
        check against what there is now, as `recommendations_table` does, and asks the kill switch, the mode, the share
        and the champion again: the switch once more within the statement that replaces the table. The table as it was
        stays beside it as a snapshot, to which job `rollback` returns.
        """
        step = Step(context, settings)
        newest = newest_materialization(step.instance, MIXED)
        with_graph = newest is None or bool(newest.metadata.get(GRAPH_BUCKETS))
        checks = required_checks if with_graph else required_without_graph
        with one_line(*REFUSALS):
            publication = publisher.publish(
                context,
                SERVING_TABLE,
                MIXED,
                checks=checks,
                lineage=lineage if with_graph else lineage_without_graph,
                windows=step.windows,
            )
        staged: Mapping[str, Any] = publication.proven.staged.metadata
        return dg.MaterializeResult(
            metadata={
                **publication_metadata(step, publication, len(checks)),
                **{name: staged[name] for name in _SHOWN},
                **(publication.switch.metadata if publication.switch else {}),
            }
        )

    return serving_table


_SHOWN = (
    "mode",
    "reason",
    KILL_SWITCH,
    GRAPH_BUCKETS,
    ASSIGNED_BUCKETS,
    MODEL_VERSION,
    USERS_OF_GRAPH,
    USERS_OF_SQL,
    RECEIVED_AS_ASSIGNED,
)
