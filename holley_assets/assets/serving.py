"""The serving table: what the e-mail system reads. Only the champion ever fills it."""

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import dagster as dg
import pyarrow as pa
import pyarrow.compute as pc

from holley_assets.assets.publishing import prove
from holley_assets.assets.recommendations import recommendations_of_users
from holley_assets.assets.serving_plan import (
    ServingPlan,
    champion_version,
    plan_of_run,
)
from holley_assets.checks.staged_table import publish_judged
from holley_assets.core.asset_keys import (
    MIXED,
    SERVING_TABLE,
    SQL_RECOMMENDATIONS,
    STAGED,
)
from holley_assets.core.event_log import (
    newest_materialization,
)
from holley_assets.core.failures import (
    one_line,
)
from holley_assets.core.groups import (
    DELIVERY,
    OWNERS,
    RECOMMENDATIONS,
)
from holley_assets.core.metadata_keys import (
    CHECKSUM,
    GRAPH_BUCKETS,
    KILL_SWITCH,
    MODEL_VERSION,
)
from holley_assets.core.time_windows import (
    TimeWindows,
)
from holley_assets.ranking import PairScorer
from holley_assets.ranking.arms import ARM, GRAPH_ARM, SQL_ARM, mix_arms
from holley_assets.ranking.comparison import pair_scores
from holley_assets.resources.io_manager import (
    asset_file,
    read_parquet,
)
from holley_assets.resources.settings_resource import SettingsResource
from holley_assets.resources.step_resources import heavy_step
from holley_assets.resources.tracking.mlflow_store import TrackingError
from holley_assets.resources.warehouse.interface import WarehouseError
from holley_assets.resources.warehouse_resource import WarehouseResource, origin_of
from holley_assets.settings import Settings

USERS_OF_GRAPH, USERS_OF_SQL = "users_of_the_graph", "users_of_the_sql_pipeline"


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
    time_windows: pa.Table,
    user_nodes: pa.Table,
    fitment: pa.Table,
    parts: pa.Table,
    popularity: pa.Table,
    user_purchases: pa.Table,
) -> dg.MaterializeResult:
    """One row a customer: the SQL pipeline's parts as of `as_of`, by the same ranker and the same rules.

    What everyone gets who is not given the graph's parts, and all that the kill switch needs: no graph and no
    model is behind it. `model_version` is `sql`; a score is that of popularity's three tiers.
    """
    started = time.monotonic()
    table, metadata = recommendations_of_users(
        user_nodes.select(["email_lower", "year", "make", "model"]),
        PairScorer(pair_scores(popularity, "serving_sql_score"), name="sql"),
        fitment=fitment,
        parts=parts,
        purchases=user_purchases,
        windows=TimeWindows.from_table(time_windows),
        settings=settings.of_run(context.run),
        model_version=SQL_ARM,
    )
    return dg.MaterializeResult(
        value=table, metadata={**metadata, "seconds": round(time.monotonic() - started, 2)}
    )


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
    context: dg.AssetExecutionContext, settings: SettingsResource, sql_recommendations: pa.Table
) -> Iterator[dg.MaterializeResult]:
    """One row a customer, of the graph or of the SQL pipeline: what the e-mail system will read.

    Staged, not served: the checks on this table decide whether `serving_table` may publish it. A salted hash of
    the address decides who gets the graph's parts, so that nobody moves back and forth as the share grows;
    everybody else, and who has fewer than three parts of the graph, gets the SQL pipeline's. The last column,
    `arm`, says which. Made only where the run may touch the serving table: not in mode `shadow`, and not of
    another model than the champion.
    """
    run_settings = settings.of_run(context.run)
    recommended = newest_materialization(context.instance, STAGED)
    staged = str(recommended.metadata[MODEL_VERSION]) if recommended else None
    try:
        plan = plan_of_run(context.instance, context.run, run_settings, staged)
    except TrackingError as error:
        raise dg.Failure(
            f"The serving table stays as it was, for nobody can say who the champion is: {error}"
        ) from error
    context.log.info(plan.reason)
    if not plan.touched:
        context.log_event(
            dg.AssetObservation(
                SERVING_TABLE,
                description=plan.reason,
                metadata={"touched": False, "mode": run_settings.serving.mode, "reason": plan.reason},
            )
        )
        return
    graph = _graph_table(settings) if plan.graph_buckets else None
    table = mix_arms(
        graph, sql_recommendations, graph_buckets=plan.graph_buckets, salt=run_settings.serving.salt
    )
    yield dg.MaterializeResult(value=table, metadata=_plan_metadata(plan, run_settings, table))


def _graph_table(settings: SettingsResource) -> pa.Table:
    return read_parquet(settings.store().local_path(asset_file(STAGED)))


def _plan_metadata(plan: ServingPlan, settings: Settings, table: pa.Table) -> dict[str, Any]:
    of_graph = pc.sum(pc.equal(table[ARM], GRAPH_ARM)).as_py() or 0
    return {
        "mode": settings.serving.mode,
        "reason": plan.reason,
        KILL_SWITCH: plan.kill_switch,
        GRAPH_BUCKETS: plan.graph_buckets,
        MODEL_VERSION: plan.model_version or SQL_ARM,
        USERS_OF_GRAPH: of_graph,
        USERS_OF_SQL: table.num_rows - of_graph,
    }


def build_serving_table(
    required_checks: Sequence[dg.AssetCheckKey], required_without_graph: Sequence[dg.AssetCheckKey]
) -> dg.AssetsDefinition:
    """The asset that publishes the mixed table.

    Args:
        required_checks: blocking checks on the mixed table and on all that it is made of.
        required_without_graph: those that remain where nobody gets the graph's parts.
    """

    @dg.asset(
        key=SERVING_TABLE, group_name=DELIVERY, owners=OWNERS, kinds={"duckdb", "bigquery"}, deps=[MIXED]
    )
    def serving_table(
        context: dg.AssetExecutionContext,
        settings: SettingsResource,
        warehouse: WarehouseResource,
        time_windows: pa.Table,
    ) -> dg.MaterializeResult:
        """The table that the e-mail system reads (`HOLLEY_SERVING_PROJECT`, `HOLLEY_SERVING_DATASET`,
        `HOLLEY_SERVING_TABLE`): one row a customer, replaced as a whole.

        Not touched in mode `shadow`, nor by a run whose recommendations are not the champion's; such a run
        leaves an observation here that says so. Before it writes, it re-reads the verdict of every blocking
        check for exactly this data and asks again who the champion is. The table as it was stays beside it as
        a snapshot, to which job `rollback` returns.
        """
        started = time.monotonic()
        run_settings = settings.of_run(context.run)
        newest = newest_materialization(context.instance, MIXED)
        with_graph = newest is None or bool(newest.metadata.get(GRAPH_BUCKETS))
        proven = prove(
            context.instance,
            settings.store(),
            MIXED,
            required_checks if with_graph else required_without_graph,
        )
        staged: Mapping[str, Any] = proven.staged.metadata
        if with_graph:
            _require_champion(run_settings, str(staged[MODEL_VERSION]))
        windows = TimeWindows.from_table(time_windows)
        serving = run_settings.serving
        with one_line(WarehouseError):
            opened = warehouse.open(run_settings, windows.source_location, origin=origin_of(context))
            rows = publish_judged(
                opened,
                context.instance,
                required_checks,
                MIXED,
                proven.sha256,
                run_settings.serving_dataset,
                serving.table,
            )
        shown = ("mode", "reason", KILL_SWITCH, GRAPH_BUCKETS, MODEL_VERSION, USERS_OF_GRAPH, USERS_OF_SQL)
        return dg.MaterializeResult(
            metadata={
                "dagster/row_count": rows,
                "dagster/table_name": f"{run_settings.serving_dataset}.{serving.table}",
                **{name: staged[name] for name in shown},
                "checks_passed": len(required_checks if with_graph else required_without_graph),
                "staged_by_run": proven.staged.run_id,
                CHECKSUM: proven.sha256,
                "as_of": windows.as_of.isoformat(),
                "seconds": round(time.monotonic() - started, 2),
            }
        )

    return serving_table


def _require_champion(settings: Settings, model_version: str) -> None:
    """Raises dg.Failure if the champion is another by now."""
    champion = champion_version(settings)
    if champion != model_version:
        raise dg.Failure(
            f"Not published, the serving table stays: the mixed table is of model {model_version}, the champion "
            f"is {champion}. Run daily_score",
            allow_retries=False,
        )
