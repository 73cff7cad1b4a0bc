"""What a run may do to the serving table: leave it alone, or fill it with so much of the champion's parts."""

from __future__ import annotations

import dataclasses

import dagster as dg

from holley_assets.core.asset_keys import (
    MIXED,
    SERVING_TABLE,
)
from holley_assets.core.event_log import (
    newest_materialization,
)
from holley_assets.core.metadata_keys import KILL_SWITCH
from holley_assets.core.tags import KILL_SWITCH_TAG, ON
from holley_assets.ranking.arms import BUCKETS
from holley_assets.settings import ServingSettings, Settings


@dataclasses.dataclass(frozen=True)
class ServingPlan:
    """What becomes of the serving table, and why.

    Attributes:
        reason: in words, for people.
        touched: whether the run writes the table.
        graph_buckets: of 10,000 hash buckets, how many get the graph's parts.
        kill_switch: whether everybody is on the SQL pipeline because somebody said so.
        model_version: the champion, whose parts these are; empty where nobody gets the graph's.
    """

    reason: str
    touched: bool = False
    graph_buckets: int = 0
    kill_switch: bool = False
    model_version: str = ""


def plan_serving(
    serving: ServingSettings,
    *,
    kill_switch: bool,
    ever_served: bool,
    staged: str | None,
    champion: str | None,
) -> ServingPlan:
    """Decide. Pure, so that every case can be read in a test.

    Args:
        kill_switch: whether it is pulled.
        ever_served: whether this project ever wrote the serving table. Where it never did, the SQL pipeline
            serves by itself and there is nothing to take back.
        staged: version of the model that made the staged recommendations.
        champion: version of the champion.
    """
    if kill_switch and (ever_served or serving.mode != "shadow"):
        return ServingPlan(
            "the kill switch is on: every user gets the SQL pipeline's parts", touched=True, kill_switch=True
        )
    if serving.mode == "shadow":
        return ServingPlan("HOLLEY_SERVING_MODE is shadow: the serving table is not touched")
    if champion is None:
        return ServingPlan("no model was ever promoted, and only the champion fills the serving table")
    if staged != champion:
        return ServingPlan(
            f"the staged recommendations are of model {staged}, and only the champion {champion} fills the "
            "serving table: job daily_score delivers with it"
        )
    return ServingPlan(
        f"mode {serving.mode}: {serving.graph_percent} % of the users get the parts of champion {champion}",
        touched=True,
        graph_buckets=serving.graph_percent * BUCKETS // 100,
        model_version=champion,
    )


def kill_switch_is_on(instance: dg.DagsterInstance, run: dg.DagsterRun, serving: ServingSettings) -> bool:
    """Whether users must be on the SQL pipeline: by setting, by this run's job, or since an earlier one.

    Once pulled it stays so, until the job that lets it go: no scheduled run puts the graph back.
    """
    if serving.kill_switch:
        return True
    asked = run.tags.get(KILL_SWITCH_TAG)
    if asked is not None:
        return asked == ON
    newest = newest_materialization(instance, MIXED)
    return bool(newest and newest.metadata.get(KILL_SWITCH))


def plan_of_run(
    instance: dg.DagsterInstance, run: dg.DagsterRun, settings: Settings, staged: str | None
) -> ServingPlan:
    """The plan of a run.

    The registry is asked only where the answer depends on it: the kill switch works without.

    Raises:
        TrackingError: the registry cannot be reached.
    """
    serving = settings.serving
    kill_switch = kill_switch_is_on(instance, run, serving)
    champion = None
    if serving.mode != "shadow" and not kill_switch:
        champion = champion_version(settings)
    return plan_serving(
        serving,
        kill_switch=kill_switch,
        ever_served=newest_materialization(instance, SERVING_TABLE) is not None,
        staged=staged,
        champion=champion,
    )


def champion_version(settings: Settings) -> str | None:
    """Version of the model that was promoted last; ``None`` while none ever was.

    Raises:
        TrackingError: the registry cannot be reached.
    """
    from holley_assets.resources.tracking.model_registry import open_model_registry

    champion = open_model_registry(settings).champion()
    return champion.model_version if champion else None
