"""The first asset: what day it is, which source tables stand behind the run, and whether they are sound."""

import datetime
import time
from collections.abc import Collection
from pathlib import Path
from typing import NamedTuple

import dagster as dg

from holley_assets.assets.sources import source_materialization
from holley_assets.checks.month_spending import (
    MONTH_CHECKS,
    MonthBudgetError,
    first_of_month,
    judge_month,
)
from holley_assets.core.asset_keys import (
    DELIVERED_TABLE,
    SERVING_TABLE,
)
from holley_assets.core.event_log import runs_since
from holley_assets.core.failures import one_line
from holley_assets.core.groups import (
    GRAPH_TABLES,
    OWNERS,
)
from holley_assets.core.materialized import Materialized
from holley_assets.core.time_windows import SAMPLE_SOURCE, TimeWindows, on_tagged_day, resolve_windows
from holley_assets.resources.settings_resource import SettingsResource, open_store
from holley_assets.resources.warehouse.bigquery.spending import Spending
from holley_assets.resources.warehouse.interface import Origin, WarehouseError
from holley_assets.resources.warehouse.source_tables import (
    SourceTableError,
    TableDescription,
    validate_source_tables,
)
from holley_assets.resources.warehouse_resource import WarehouseResource, origin_of
from holley_assets.settings import (
    WORKING_DATASET,
    Settings,
    SettingsError,
    likely_setting,
    unknown_variables,
)


def output_datasets(settings: Settings, assets: Collection[dg.AssetKey]) -> list[str]:
    """Datasets of the output tables that a run of ``assets`` may write.

    No others, so that one that is broken does not keep job `serve_sql_only` from the serving table.
    """
    datasets = [WORKING_DATASET] if DELIVERED_TABLE in assets else []
    if SERVING_TABLE in assets and (settings.serving.mode != "shadow" or settings.serving.kill_switch):
        datasets.append(settings.serving_dataset)
    return datasets


def prepare_sources(
    settings: Settings,
    windows: TimeWindows,
    warehouse: WarehouseResource,
    origin: Origin,
    written_datasets: Collection[str],
) -> dict[str, TableDescription]:
    """Generate the sample, if the source is one, make sure of the output's datasets, validate all source tables.

    Args:
        written_datasets: those of the run's output tables.

    Raises:
        SettingsError: the sample cannot be generated with these settings.
        WarehouseError: a dataset of the output cannot be written.
        SourceTableError: a table is not what the queries need.
    """
    if windows.source == SAMPLE_SOURCE:
        from holley_assets.sample_data import generate_sample

        run = settings.run
        try:
            generate_sample(
                Path(windows.source_location),
                users=run.sample_users,
                kind=run.sample_kind,
                traffic=run.sample_traffic,
                seed=run.sample_seed,
                as_of=windows.as_of,
                intent_start=windows.intent_start,
                test_days=run.test_days,
            )
        except (ValueError, FileExistsError) as error:
            raise SettingsError(f"the sample cannot be generated: {error}") from error
    opened = warehouse.open(settings, windows.source_location, origin=origin)
    opened.require_writable(written_datasets)
    return validate_source_tables(opened)


def check_month(
    instance: dg.DagsterInstance,
    settings: Settings,
    now: datetime.datetime,
    assets: Collection[dg.AssetKey],
) -> dg.AssetCheckResult:
    """Whether all runs of the month of ``now`` together keep to its budget.

    Args:
        now: UTC; costs are of the day on which they arise, whatever day the run is for.
        assets: those of the run that asks. It may be stopped where it makes recommendations.

    Raises:
        MonthBudgetError: it may not start.
    """
    since = first_of_month(now)
    spent = Spending.of_runs(open_store(settings), runs_since(instance, since))
    return judge_month(spent, since, settings.bigquery, may_stop=DELIVERED_TABLE in assets)


@dg.asset(
    group_name=GRAPH_TABLES,
    owners=OWNERS,
    kinds={"python"},
    check_specs=MONTH_CHECKS,
    # With checks of its own, an asset annotated as MaterializeResult is taken to have no value.
    dagster_type=dg.Any,
)
def time_windows(
    context: dg.AssetExecutionContext, settings: SettingsResource, warehouse: WarehouseResource
) -> Materialized:
    """One row: the run's day, the cutoff, the start of intent, and where the source tables are.

    The first step of every run. It reads and validates every setting and freezes them for the steps that
    follow; asks the clock, once, where no day is set; generates sample data where no source is named; and
    compares the columns of all seven source tables with what the queries need; and makes sure that the output's
    datasets can be written. Whatever is wrong ends the run
    here, in one line, before anything is computed.
    """
    started = time.monotonic()
    _point_out_unknown_variables(context)
    with one_line(SettingsError, SourceTableError, WarehouseError, MonthBudgetError):
        begun = _begin(context, settings.load(), warehouse)
    for name, description in begun.tables.items():
        context.log_event(
            source_materialization(name, description, source=begun.windows.source, found_by="the run")
        )
    path = settings.freeze(begun.settings, context.run.run_id)
    return dg.MaterializeResult(
        value=begun.windows.to_table(),
        metadata={
            "source_rows": {name: description.rows for name, description in begun.tables.items()},
            "settings": dg.MetadataValue.path(path),
            "seconds": round(time.monotonic() - started, 2),
        },
        check_results=[begun.month],
    )


class _Begun(NamedTuple):
    """A run whose settings and sources are sound.

    Attributes:
        settings: with the run's day.
        windows: of the run.
        tables: source tables by name.
        month: whether the runs of the month keep to its budget.
    """

    settings: Settings
    windows: TimeWindows
    tables: dict[str, TableDescription]
    month: dg.AssetCheckResult


def _begin(context: dg.AssetExecutionContext, loaded: Settings, warehouse: WarehouseResource) -> _Begun:
    """Ask the clock, once, and validate everything.

    Raises:
        SettingsError: a setting is wrong, or the sample cannot be generated with it.
        MonthBudgetError: the month's runs have cost too much for this one.
        WarehouseError: a dataset of the output cannot be written.
        SourceTableError: a table is not what the queries need.
    """
    settings = loaded.model_copy(update={"run": on_tagged_day(loaded.run, context.run.tags)})
    now = datetime.datetime.now(datetime.UTC)
    windows = resolve_windows(settings.run, now.date())
    assets = context.job_def.asset_layer.selected_asset_keys
    month = check_month(context.instance, settings, now, assets)
    datasets = output_datasets(settings, assets)
    tables = prepare_sources(settings, windows, warehouse, origin_of(context), datasets)
    return _Begun(settings, windows, tables, month)


def _point_out_unknown_variables(context: dg.AssetExecutionContext) -> None:
    for name in unknown_variables():
        meant = likely_setting(name)
        context.log.warning(
            f"{name} is set and is no setting of this project; "
            + (f"{meant} may be meant, " if meant else "")
            + "see holley_assets/settings/README.md"
        )
