"""Is what was delivered fresh, and may the graph be served? The daemon asks; a person may run the checks by hand."""

import datetime
from collections.abc import Callable, Iterator

import dagster as dg

from holley_assets.checks.standing import Verdict, judge_age, minute
from holley_assets.core.asset_keys import (
    DELIVERED_TABLE,
    SERVING_SWITCH,
    SERVING_TABLE,
)
from holley_assets.core.event_log import materializations
from holley_assets.core.metadata_keys import (
    MODEL_VERSION,
    ROLLED_BACK_FROM,
)
from holley_assets.core.output_tables import (
    OUTPUT_DATASET,
    OUTPUT_TABLE,
)
from holley_assets.ranking.arms import SQL_ARM
from holley_assets.resources.serving_switch import Switch, read_switch
from holley_assets.resources.settings_resource import SettingsResource
from holley_assets.resources.source_looks import open_briefly
from holley_assets.resources.warehouse.interface import MissingTableError, WarehouseError
from holley_assets.resources.warehouse.source_tables import TableDescription
from holley_assets.resources.warehouse_resource import WarehouseResource
from holley_assets.settings import Settings, SettingsError

DELIVERED_IS_FRESH = dg.AssetCheckKey(DELIVERED_TABLE, "delivered_table_is_fresh")
SERVED_IS_FRESH = dg.AssetCheckKey(SERVING_TABLE, "served_table_is_fresh")
KILL_SWITCH_IS_OFF = dg.AssetCheckKey(SERVING_SWITCH, "kill_switch_is_off")

Describe = Callable[[str, str], TableDescription]


def asking(settings: Settings, warehouse: WarehouseResource) -> Describe:
    """Describes output tables by the warehouse, which is given little time."""

    def describe(dataset: str, table: str) -> TableDescription:
        # Sources are not read here.
        return open_briefly(settings, warehouse, settings.run.data_dir).describe_table(dataset, table)

    return describe


def judge_switch(settings: Settings, warehouse: WarehouseResource) -> Verdict | None:
    """Whether the graph may be served; None while the warehouse, which keeps the record, does not answer."""
    try:
        switch = read_switch(open_briefly(settings, warehouse, settings.run.data_dir), settings)
    except WarehouseError:
        return None
    words = f"the kill switch is {switch.words}"
    if settings.serving.mode == "shadow":
        words += (
            "; HOLLEY_SERVING_MODE is shadow, so that this project serves nobody, whatever the switch says"
        )
    elif switch.is_on:
        words += "; everybody gets the SQL pipeline's parts"
    if switch.is_on:
        words += ". Job serve_graph_again lets it go"
    return Verdict(
        KILL_SWITCH_IS_OFF,
        not switch.is_on,
        _reason(switch),
        words,
        severity=dg.AssetCheckSeverity.WARN,
        metadata=switch.metadata,
    )


def _reason(switch: Switch) -> str:
    """In few words. Who pulls it again, later, is told of again."""
    if not switch.is_on:
        return "off"
    if switch.by_setting or switch.decision is None:
        return "on by HOLLEY_SERVING_KILL_SWITCH"
    return f"on since {minute(switch.decision.decided_at)}"


def judge_outputs(
    instance: dg.DagsterInstance, settings: Settings, now: datetime.datetime, describe: Describe
) -> Iterator[Verdict]:
    """Whether the delivered table and the serving table are as young as they should be."""
    limit = settings.watch.output_days
    yield judge_output(instance, DELIVERED_IS_FRESH, OUTPUT_DATASET, OUTPUT_TABLE, limit, now, describe)
    serving = settings.serving
    if serving.mode == "shadow":
        words = "HOLLEY_SERVING_MODE is shadow: this project does not fill the serving table"
        yield Verdict(SERVED_IS_FRESH, True, "shadow", words)
    else:
        yield judge_output(
            instance, SERVED_IS_FRESH, settings.serving_dataset, serving.table, limit, now, describe
        )


def judge_output(
    instance: dg.DagsterInstance,
    check: dg.AssetCheckKey,
    dataset: str,
    table: str,
    limit_days: float,
    now: datetime.datetime,
    describe: Describe,
) -> Verdict:
    """Whether a table that this project fills was filled within ``limit_days``; exactly at the limit it is fresh.

    By the newest delivery whose rows it holds, which after a rollback is an earlier one, and by what the warehouse
    says of it: the older of both counts. A table that nobody delivered yet is not late. While the warehouse does
    not answer the event log alone decides.
    """
    name = f"{dataset}.{table}"
    filled = _newest_filling(instance, check.asset_key)
    if filled is None:
        return Verdict(check, True, "never delivered", f"{name} was never delivered")
    note = ""
    try:
        filled = min(filled, describe(dataset, table).last_modified)
    except MissingTableError as error:
        return Verdict(check, False, "missing", f"{name} was delivered {minute(filled)} and is gone: {error}")
    except WarehouseError as error:
        note = f"; by the event log alone, for the warehouse does not answer: {error}"
    return judge_age(
        check,
        filled,
        limit_days,
        now,
        words=lambda days: f"{name} is {days:.1f} days old, of {minute(filled)}",
        setting="output_days",
        note=note,
    )


def _newest_filling(instance: dg.DagsterInstance, asset: dg.AssetKey) -> datetime.datetime | None:
    """When a run made the rows that the table holds: a rollback puts older ones in place, of the model it names."""
    held: set[str] | None = None
    for filled in materializations(instance, asset):
        models = {str(filled.metadata[MODEL_VERSION])} if MODEL_VERSION in filled.metadata else set()
        if ROLLED_BACK_FROM in filled.metadata:
            # Only the newest tells what the table holds. The SQL pipeline's parts belong to every model.
            held = held or {*models, SQL_ARM}
        elif held is None or models & held:
            return filled.at
    return None


@dg.multi_asset_check(
    name="output_watch",
    specs=[
        dg.AssetCheckSpec(
            DELIVERED_IS_FRESH.name,
            asset=DELIVERED_IS_FRESH.asset_key,
            description="Delivered within HOLLEY_WATCH_OUTPUT_DAYS, by the event log and by the warehouse. "
            "freshness_sensor looks every hour.",
        ),
        dg.AssetCheckSpec(
            SERVED_IS_FRESH.name,
            asset=SERVED_IS_FRESH.asset_key,
            description="Filled within HOLLEY_WATCH_OUTPUT_DAYS, unless HOLLEY_SERVING_MODE is shadow. "
            "freshness_sensor looks every hour.",
        ),
        dg.AssetCheckSpec(
            KILL_SWITCH_IS_OFF.name,
            asset=KILL_SWITCH_IS_OFF.asset_key,
            description="A warning while everybody gets the SQL pipeline's parts: since when, by whom and why. "
            "freshness_sensor looks every hour.",
        ),
    ],
    can_subset=True,
)
def output_watch(
    context: dg.AssetCheckExecutionContext, settings: SettingsResource, warehouse: WarehouseResource
) -> Iterator[dg.AssetCheckResult]:
    """What freshness_sensor sees, for a person who looks by hand."""
    now = datetime.datetime.now(datetime.UTC)
    try:
        loaded = settings.load()
    except SettingsError as error:
        raise dg.Failure(str(error), allow_retries=False) from None
    verdicts = [*judge_outputs(context.instance, loaded, now, asking(loaded, warehouse))]
    if KILL_SWITCH_IS_OFF in context.selected_asset_check_keys:
        switch = judge_switch(loaded, warehouse)
        if switch is None:
            raise dg.Failure(
                "the warehouse does not answer, and the record of the kill switch is there",
                allow_retries=False,
            )
        verdicts.append(switch)
    for verdict in verdicts:
        if verdict.check in context.selected_asset_check_keys:
            yield verdict.result()
