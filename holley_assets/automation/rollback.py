"""The way back: the champion before this one, and the tables that it had filled, in one step."""

import dataclasses
import datetime

import dagster as dg
from pydantic import Field

from holley_assets.assets.champion import champion_materialization
from holley_assets.automation.promotion import require_checkpoint, restore_champion
from holley_assets.core.asset_keys import (
    DELIVERED_TABLE,
    SERVING_TABLE,
)
from holley_assets.core.event_log import (
    newest_materialization,
)
from holley_assets.core.metadata_keys import (
    MODEL_VERSION,
    ROLLED_BACK_FROM,
)
from holley_assets.core.output_tables import (
    OUTPUT_DATASET,
    OUTPUT_TABLE,
)
from holley_assets.ranking.arms import SQL_ARM
from holley_assets.resources.settings_resource import SettingsResource
from holley_assets.resources.tracking.mlflow_store import TrackingError
from holley_assets.resources.tracking.model_registry import (
    PromotionRefused,
    RegisteredModel,
    open_model_registry,
)
from holley_assets.resources.warehouse.interface import Warehouse, WarehouseError
from holley_assets.resources.warehouse_resource import WarehouseResource, origin_of
from holley_assets.settings import Settings


class RollbackConfig(dg.Config):
    """Who wants the previous champion back, and why."""

    by: str = Field(description="who rolls back; kept on the registry")
    reason: str = Field(description="why; kept on the registry")


class RollbackError(RuntimeError):
    """There is nothing to go back to. The message is one line, and nothing was touched."""


@dataclasses.dataclass(frozen=True)
class Return:
    """A table and the version of it that comes back; ``None`` where it holds nothing of the champion that goes."""

    asset: dg.AssetKey
    dataset: str
    table: str
    snapshot: str | None


def plan_return(warehouse: Warehouse, settings: Settings, returning: str, *, serving: bool) -> list[Return]:
    """Which version of each table comes back: the newest that holds the returning model's rows and no other's.

    What customers see comes first.

    Args:
        returning: version of the model that becomes champion again.
        serving: whether this project ever wrote the serving table.

    Raises:
        RollbackError: a table has no such version.
    """
    tables = [(DELIVERED_TABLE, OUTPUT_DATASET, OUTPUT_TABLE, {returning})]
    if serving:
        tables.insert(
            0, (SERVING_TABLE, settings.serving_dataset, settings.serving.table, {returning, SQL_ARM})
        )
    return [
        Return(asset, dataset, table, _snapshot(warehouse, dataset, table, allowed))
        for asset, dataset, table, allowed in tables
    ]


def _snapshot(warehouse: Warehouse, dataset: str, table: str, allowed: set[str]) -> str | None:
    for version in (table, *warehouse.list_snapshots(dataset, table)):
        models = warehouse.distinct_values(dataset, version, MODEL_VERSION)
        if models <= allowed:
            return None if version == table else version
    raise RollbackError(
        f"no kept version of {dataset}.{table} is of {' and '.join(sorted(allowed))} alone; to take the graph off "
        "the serving table run serve_sql_only"
    )


@dg.op(
    name="roll_back",
    description="Puts back the newest version of the serving table and of the delivered table that the previous "
    "champion filled, then makes it the champion. Refuses, and touches nothing, where there is none.",
    out=dg.Out(dg.Nothing),
)
def rollback_op(
    context: dg.OpExecutionContext,
    config: RollbackConfig,
    settings: SettingsResource,
    warehouse: WarehouseResource,
) -> None:
    """Plan everything, then restore the tables, then the champion.

    The champion comes last: a step that was cut off is repeated with the same plan, finds the tables as they
    should be and goes on. The other way round it would go back by two.
    """
    loaded = settings.load()
    try:
        _require_who_and_why(config)
        leaving, previous = _champions(loaded)
        require_checkpoint(previous, settings.store())
        # Sources are not read here.
        opened = warehouse.open(loaded, loaded.run.data_dir, origin=origin_of(context))
        serving = newest_materialization(context.instance, SERVING_TABLE) is not None
        for planned in plan_return(opened, loaded, previous.model_version, serving=serving):
            if planned.snapshot is None:
                context.log.info(
                    f"{planned.dataset}.{planned.table} holds nothing of {leaving.model_version}"
                )
                continue
            rows = opened.restore_snapshot(planned.dataset, planned.table, planned.snapshot)
            context.log_event(_table_materialization(planned, rows, config, leaving, previous))
        now = datetime.datetime.now(datetime.UTC)
        restored = restore_champion(loaded, settings.store(), by=config.by, reason=config.reason, now=now)
    except (RollbackError, PromotionRefused, TrackingError, WarehouseError) as error:
        raise dg.Failure(f"Not rolled back: {error}", allow_retries=False) from None
    context.log_event(champion_materialization(restored))
    context.log.info(
        f"The champion is {restored.model_version} again, in the place of {leaving.model_version}"
    )


def _require_who_and_why(config: RollbackConfig) -> None:
    if not (config.by.strip() and config.reason.strip()):
        raise RollbackError("say by whom and for what reason; both are kept on the registry")


def _champions(settings: Settings) -> tuple[RegisteredModel, RegisteredModel]:
    registry = open_model_registry(settings)
    leaving, previous = registry.champion(), registry.previous_champion()
    if leaving is None or previous is None:
        raise RollbackError("there was no champion before the present one")
    return leaving, previous


def _table_materialization(
    planned: Return, rows: int, config: RollbackConfig, leaving: RegisteredModel, previous: RegisteredModel
) -> dg.AssetMaterialization:
    return dg.AssetMaterialization(
        planned.asset,
        description="rolled back",
        metadata={
            "dagster/row_count": rows,
            "dagster/table_name": f"{planned.dataset}.{planned.table}",
            MODEL_VERSION: previous.model_version,
            ROLLED_BACK_FROM: leaving.model_version,
            "snapshot": str(planned.snapshot),
            "by": config.by,
            "reason": config.reason,
        },
    )


@dg.job(
    name="rollback",
    description="Go back to the champion before this one and to the tables that it had filled. Say who does so "
    "and why.",
    executor_def=dg.in_process_executor,
)
def rollback() -> None:
    """One step."""
    rollback_op()
