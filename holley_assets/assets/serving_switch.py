"""The kill switch as an asset: its record is written here, and nowhere else."""

from typing import Any

import dagster as dg

from holley_assets.core.asset_keys import SERVING_SWITCH
from holley_assets.core.failures import one_line
from holley_assets.core.groups import DELIVERY, OWNERS
from holley_assets.core.materialized import Materialized
from holley_assets.resources.serving_switch import OFF, ON, State, Switch, read_switch, record_decision
from holley_assets.resources.warehouse.interface import WarehouseError
from holley_assets.resources.warehouse_resource import WarehouseResource
from holley_assets.settings import SettingsError, load_settings_of_switch

SERVE_SQL_ONLY, SERVE_GRAPH_AGAIN = "serve_sql_only", "serve_graph_again"
# A job decides, not a tag or a setting of the run: whoever launches another job decides nothing.
_DECISIONS: dict[str, State] = {SERVE_SQL_ONLY: ON, SERVE_GRAPH_AGAIN: OFF}
# Another process may hold the warehouse's file for as long as its checks take.
_LOCK_SECONDS = 60.0
_RETRY_TAG = "dagster/retry_number"


class SwitchConfig(dg.Config):
    """Who decides on the kill switch, and why."""

    by: str = ""
    reason: str = ""


def pull_at_once(run: dg.DagsterRun) -> Switch | None:
    """Write the decision down if ``run`` is of the job that pulls the switch; ``None`` for another.

    Before anything that can fail or wait: settings that are wrong elsewhere, source tables that are broken, another
    run that holds the lease.

    Raises:
        SettingsError: a setting is wrong by which the record is found.
        WarehouseError: the record cannot be written.
    """
    if run.job_name != SERVE_SQL_ONLY:
        return None
    steps: Any = run.run_config.get("ops", {})
    config = steps.get(SERVING_SWITCH.to_user_string(), {}).get("config", {})
    return _decide(WarehouseResource(), run, ON, str(config.get("by", "")), str(config.get("reason", "")))


def _decide(warehouse: WarehouseResource, run: dg.DagsterRun, state: State, by: str, reason: str) -> Switch:
    settings = load_settings_of_switch()
    opened = warehouse.open(settings, settings.run.data_dir, lock_seconds=_LOCK_SECONDS)
    # A run that is started again because its process died decides nothing anew: somebody may have decided meanwhile.
    run_id = (run.root_run_id or run.run_id) if _RETRY_TAG in run.tags else run.run_id
    return record_decision(
        opened,
        settings,
        state,
        by=by.strip() or f"job {run.job_name}",
        reason=reason.strip() or "no reason was given",
        run_id=run_id,
    )


# The first step of the jobs that decide. No asset depends on it: the UI would ask whether one is sure to start a job
# that leaves it out, for it was never materialized. A decision that fails leaves the switch on, which the publisher
# asks last.
@dg.asset(
    key=SERVING_SWITCH,
    group_name=DELIVERY,
    owners=OWNERS,
    kinds={"duckdb", "bigquery"},
    op_tags={"dagster/priority": "1"},
)
def serving_switch(
    context: dg.AssetExecutionContext, config: SwitchConfig, warehouse: WarehouseResource
) -> Materialized:
    """The kill switch: while it is on, everybody gets the SQL pipeline's parts, whatever runs.

    Job `serve_sql_only` pulls it, `serve_graph_again` lets it go and needs `by` and `reason`. Every decision is a row
    of the table `<HOLLEY_SERVING_TABLE>_switch` beside the serving table, written before anything else, and holds until
    the next one, for every run on that warehouse. Materialized by another job, this shows the state and decides
    nothing.
    """
    state = _DECISIONS.get(context.run.job_name)
    with one_line(WarehouseError, SettingsError):
        if state == OFF and not (config.by.strip() and config.reason.strip()):
            raise SettingsError(
                "the kill switch stays as it is: say by whom and why it is let go, "
                "ops: {serving_switch: {config: {by: …, reason: …}}}"
            )
        if state is None:
            settings = load_settings_of_switch()
            switch = read_switch(warehouse.open(settings, settings.run.data_dir), settings)
        else:
            switch = _decide(warehouse, context.run, state, config.by, config.reason)
    context.log.info(f"The kill switch is {switch.words}")
    return dg.MaterializeResult(metadata=switch.metadata)
