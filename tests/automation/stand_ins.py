"""The project's schedules, sensors and delivery around assets that take no time to make.

What is not the point here, the queries and the training, is replaced by assets of the same keys; what decides
whether something is delivered is the project's own.
"""

from __future__ import annotations

import dagster as dg
import pyarrow as pa

from holley_assets.assets.sources import source_tables
from holley_assets.assets.time_windows import time_windows
from holley_assets.automation.freshness_sensor import freshness_sensor
from holley_assets.automation.jobs import daily_score, weekly_retrain
from holley_assets.automation.schedules import schedules
from holley_assets.automation.upstream_sensor import upstream_sensor
from holley_assets.checks.output_watch import output_watch
from holley_assets.checks.source_watch import source_watch
from holley_assets.resources.io_manager import ParquetIOManager
from holley_assets.resources.settings_resource import SettingsResource
from holley_assets.resources.warehouse_resource import WarehouseResource


@dg.asset
def trained_checkpoint(time_windows: pa.Table) -> pa.Table:
    return time_windows


@dg.asset(deps=["trained_checkpoint"])
def recommendations(time_windows: pa.Table) -> pa.Table:
    return time_windows


@dg.asset
def recommendations_table(recommendations: pa.Table) -> pa.Table:
    return recommendations


@dg.asset(deps=["recommendations"])
def mixed_recommendations() -> None: ...


@dg.asset(deps=["mixed_recommendations"])
def serving_table() -> None: ...


@dg.asset
def serving_switch() -> None: ...


@dg.asset(deps=["recommendations"])
def embedding_tables() -> None: ...


@dg.asset(deps=["serving_table"])
def experiment_outcomes() -> None: ...


@dg.asset(deps=["experiment_outcomes"])
def experiment_readout() -> None: ...


@dg.asset(deps=["recommendations"])
def exploration() -> None: ...


_settings = SettingsResource()
definitions = dg.Definitions(
    assets=[
        *source_tables,
        time_windows,
        trained_checkpoint,
        recommendations,
        recommendations_table,
        mixed_recommendations,
        serving_table,
        serving_switch,
        embedding_tables,
        experiment_outcomes,
        experiment_readout,
        exploration,
    ],
    asset_checks=[source_watch, output_watch],
    jobs=[weekly_retrain, daily_score],
    schedules=schedules,
    sensors=[upstream_sensor, freshness_sensor],
    resources={
        "settings": _settings,
        "warehouse": WarehouseResource(),
        "io_manager": ParquetIOManager(settings=_settings),
    },
    executor=dg.in_process_executor,
)
