"""The way back: the champion before this one, and the tables that it had filled, in one step."""

import dataclasses
import datetime

import dagster as dg
import pyarrow.compute as pc
from pydantic import Field

from holley_assets.assets.champion import champion_materialization
from holley_assets.assets.delivery import REFUSALS
from holley_assets.assets.kept_versions import Version, describe_version
from holley_assets.assets.publisher import PublisherResource, Target
from holley_assets.assets.publishing import PublicationRefused
from holley_assets.assets.rollout_limit import rollout_limit
from holley_assets.assets.serving_plan import Present, ServingPlan, ever_served, plan_serving, present_plan
from holley_assets.automation.leased_executor import leased
from holley_assets.automation.promotion import require_checkpoint, restore_champion
from holley_assets.core.asset_keys import DELIVERED_TABLE, SERVING_TABLE
from holley_assets.core.metadata_keys import AS_OF, MODEL_VERSION, ROLLED_BACK_FROM
from holley_assets.ranking.arms import ARM, GRAPH_ARM, SERVING_SCHEMA, SQL_ARM, user_buckets
from holley_assets.resources.serving_switch import read_switch
from holley_assets.resources.settings_resource import SettingsResource
from holley_assets.resources.tracking.model_registry import open_model_registry
from holley_assets.resources.tracking.registered_model import PromotionRefused, RegisteredModel
from holley_assets.resources.warehouse.interface import MissingTableError, Warehouse
from holley_assets.settings import ServingSettings, Settings


class RollbackConfig(dg.Config):
    """Who wants the previous champion back, and why."""

    by: str = Field(description="who rolls back; kept on the registry")
    reason: str = Field(description="why; kept on the registry")
    dry_run: bool = Field(False, description="say what would come back, and touch nothing")


class RollbackError(RuntimeError):
    """There is nothing to go back to. The message is one line, and nothing was touched."""


@dataclasses.dataclass(frozen=True)
class Return:
    """A table, the version of it that comes back, and all that there are.

    Attributes:
        target: the table.
        version: what it is to hold.
        kept: the table as it is, and its earlier versions, newest first.
    """

    target: Target
    version: Version
    kept: list[Version]

    @property
    def stays(self) -> bool:
        """Whether the table holds nothing of the champion that goes."""
        return self.version.name == self.target.table


def plan_return(
    warehouse: Warehouse, publisher: PublisherResource, settings: Settings, returning: str
) -> list[Return]:
    """Which version of each table comes back: the newest that holds the returning model's rows and no other's.

    What customers see comes first, and only what they may see as kill switch, mode and share are now: where that is
    nothing of the returning model, the newest version of the SQL pipeline alone.

    Args:
        settings: as the environment has them now.
        returning: version of the model that becomes champion again.

    Raises:
        RollbackError: a table has no such version.
        WarehouseError: the warehouse does not say.
    """
    found = []
    plan = plan_after(warehouse, settings, returning)
    if plan.touched:
        found.append(_returned(warehouse, publisher.target(SERVING_TABLE), returning, plan, settings.serving))
    found.append(_returned(warehouse, publisher.target(DELIVERED_TABLE), returning, None, settings.serving))
    return found


def plan_after(warehouse: Warehouse, settings: Settings, returning: str) -> ServingPlan:
    """What the serving table is to hold once ``returning`` is the champion.

    Raises:
        WarehouseError: the kill switch's record cannot be read, or the readout that a rollout obeys.
    """
    switch = read_switch(warehouse, settings)
    return plan_serving(
        settings.serving,
        kill_switch=switch.is_on,
        ever_served=switch.is_on and ever_served(warehouse, settings),
        staged=returning,
        champion=returning,
        switch_words=switch.words,
        limit=None if switch.is_on else rollout_limit(settings),
    )


def _returned(
    warehouse: Warehouse, target: Target, returning: str, plan: ServingPlan | None, serving: ServingSettings
) -> Return:
    names = warehouse.list_snapshots(target.dataset, target.table)
    try:
        versions = [describe_version(warehouse, target.dataset, name) for name in (target.table, *names)]
    except MissingTableError:
        raise RollbackError(f"{target.name} does not exist: nothing was ever published there") from None
    allowed = {returning} if plan is None else ({SQL_ARM} if plan.kill_switch else {returning, SQL_ARM})
    fallback = None
    for version in versions:
        if version.models <= allowed and (
            plan is None or may_serve(warehouse, target, version.name, plan, serving)
        ):
            # A table that holds nothing of the champion that goes stays, whoever filled it.
            if version is versions[0] or returning in version.models:
                return Return(target, version, versions)
            # The SQL pipeline's alone, as a kill switch that was let go since has left one.
            fallback = fallback or version
    if fallback is not None:
        return Return(target, fallback, versions)
    kept = "; ".join(version.words for version in versions)
    advice = "to take the graph off the serving table run serve_sql_only"
    raise RollbackError(
        f"no kept version of {target.name} is of {' and '.join(sorted(allowed))} alone"
        + (f" and within {plan.graph_buckets / 100:g} % of the users" if plan else "")
        + f" (kept: {kept}); {advice}"
    )


def may_serve(
    warehouse: Warehouse, target: Target, version: str, plan: ServingPlan, serving: ServingSettings
) -> bool:
    """Whether a version gives the graph's parts to nobody but whom the hash chooses for the present share."""
    rows = warehouse.read_table(target.dataset, version)
    if not set(SERVING_SCHEMA.names) <= set(rows.column_names):
        return False
    graph = rows.filter(pc.equal(rows[ARM], GRAPH_ARM))
    if not graph.num_rows:
        return True
    highest = pc.max(user_buckets(graph["email_lower"], serving.hash_salt)).as_py()
    return int(highest) < plan.graph_buckets


@dg.op(
    name="roll_back",
    description="Puts back the newest version of the serving table and of the delivered table that the previous "
    "champion filled, and makes it the champion. Refuses, and touches nothing, where there is none. With dry_run it "
    "says what there is to go back to.",
    out=dg.Out(dg.Nothing),
)
def rollback_op(
    context: dg.OpExecutionContext,
    config: RollbackConfig,
    settings: SettingsResource,
    publisher: PublisherResource,
) -> None:
    """Plan everything, then decide, then restore the tables, then the champion.

    The decision comes first: from then on the model that goes is delivered by nobody, however this run ends. A step
    that was cut off is repeated with the same plan, finds the tables as they should be and goes on.
    """
    loaded = settings.load()
    now = datetime.datetime.now(datetime.UTC)
    try:
        _require_who_and_why(config)
        leaving, previous = _champions(loaded)
        require_checkpoint(previous, settings.store())
        # Sources are not read here.
        opened = publisher.open(context, str(loaded.run.data_dir))
        plan = plan_return(opened, publisher, loaded, previous.model_version)
        for planned in plan:
            _tell(context, planned, loaded, now)
        if config.dry_run:
            context.log.info(
                f"A dry run: {previous.model_version} would be the champion in the place of {leaving.model_version}"
            )
            return
        registry = open_model_registry(loaded)
        registry.withdraw_champion(by=config.by, reason=config.reason, now=now)
        context.log_event(champion_materialization(previous))
        for planned in plan:
            if not planned.stays:
                today = _today(loaded, now)
                rows = _restore(context, publisher, opened, loaded, planned, previous.model_version, today)
                context.log_event(_table_materialization(planned, rows, config, leaving, previous))
        restored = restore_champion(loaded, settings.store(), by=config.by, reason=config.reason, now=now)
    except (RollbackError, PromotionRefused, *REFUSALS) as error:
        raise dg.Failure(f"Not rolled back: {error}", allow_retries=False) from None
    context.log_event(champion_materialization(restored))
    context.log.info(
        f"The champion is {restored.model_version} again, in the place of {leaving.model_version}"
    )


def _restore(
    context: dg.OpExecutionContext,
    publisher: PublisherResource,
    opened: Warehouse,
    settings: Settings,
    planned: Return,
    returning: str,
    today: datetime.date,
) -> int:
    target = planned.target

    def ask() -> Present:
        present = present_plan(opened, settings, returning)
        if not present.plan.touched:
            raise PublicationRefused(present.plan.reason)
        if present.plan.kill_switch and planned.version.models != {SQL_ARM}:
            raise PublicationRefused(f"the kill switch is {present.switch.words}; run serve_sql_only")
        # A readout may have been written since the plan was made.
        if not may_serve(opened, target, planned.version.name, present.plan, settings.serving):
            raise PublicationRefused(
                f"{planned.version.name} gives the graph's parts to others than are to get them: {present.plan.reason}"
            )
        return present

    return publisher.restore(context, opened, target, planned.version.name, ask, day=today)


def _today(settings: Settings, now: datetime.datetime) -> datetime.date:
    return settings.run.as_of or now.date()


def _require_who_and_why(config: RollbackConfig) -> None:
    if not (config.by.strip() and config.reason.strip()):
        raise RollbackError("say by whom and for what reason; both are kept on the registry")


def _champions(settings: Settings) -> tuple[RegisteredModel, RegisteredModel]:
    pair = open_model_registry(settings).leaving_and_returning()
    if pair is None:
        raise RollbackError("there was no champion before the present one")
    return pair


def _tell(
    context: dg.OpExecutionContext, planned: Return, settings: Settings, now: datetime.datetime
) -> None:
    """Say what there is to go back to, what comes back, and whether that is old."""
    version, name = planned.version, planned.target.name
    context.log.info(f"{name} can go back to {'; '.join(kept.words for kept in planned.kept)}")
    does = "holds nothing of the champion that goes, and stays" if planned.stays else "comes back as"
    context.log.info(f"{name} {does} {version.words}")
    days = (_today(settings, now) - version.day).days if version.day else None
    old = days is not None and days > settings.serving.rollback_warning_days
    if old:
        context.log.warning(
            f"{name} is of {version.day} then, {days} days old: what customers ordered and what became unfit since is "
            "still in it. Run daily_score after the rollback"
        )
    context.log_event(
        dg.AssetObservation(
            planned.target.asset,
            description="what a rollback can go back to",
            metadata={
                "comes_back": version.words,
                "stays": planned.stays,
                "old": old,
                "kept": dg.MetadataValue.table(
                    [
                        dg.TableRecord(
                            {
                                "version": kept.name,
                                "day": str(kept.day),
                                "models": " and ".join(sorted(kept.models)),
                                "rows": kept.rows,
                            }
                        )
                        for kept in planned.kept
                    ]
                ),
            },
        )
    )


def _table_materialization(
    planned: Return, rows: int, config: RollbackConfig, leaving: RegisteredModel, previous: RegisteredModel
) -> dg.AssetMaterialization:
    return dg.AssetMaterialization(
        planned.target.asset,
        description="rolled back",
        metadata={
            "dagster/row_count": rows,
            "dagster/table_name": planned.target.name,
            MODEL_VERSION: previous.model_version,
            ROLLED_BACK_FROM: leaving.model_version,
            AS_OF: str(planned.version.day),
            "snapshot": planned.version.name,
            "by": config.by,
            "reason": config.reason,
        },
    )


@dg.job(
    name="rollback",
    description="Go back to the champion before this one and to the tables that it had filled. Say who does so "
    "and why; with dry_run it only says what there is to go back to.",
    executor_def=leased(dg.in_process_executor),
    # What the launchpad shows to be filled in.
    config={"ops": {"roll_back": {"config": {"by": "", "reason": "", "dry_run": False}}}},
)
def rollback() -> None:
    """One step."""
    rollback_op()
