"""What a run may do to the serving table: leave it alone, or fill it with so much of the champion's parts."""

from __future__ import annotations

import dataclasses
import hashlib

from holley_assets.assets.rollout_limit import RolloutLimit, rollout_limit
from holley_assets.ranking.arms import ARM, BUCKETS
from holley_assets.resources.serving_switch import Switch, read_switch
from holley_assets.resources.warehouse.interface import MissingTableError, Warehouse
from holley_assets.settings import ServingSettings, Settings


@dataclasses.dataclass(frozen=True)
class ServingPlan:
    """What becomes of the serving table, and why.

    Attributes:
        reason: in words, for people.
        touched: whether the run writes the table.
        graph_buckets: of 10,000 hash buckets, how many get the graph's parts.
        assigned_buckets: how many the hash assigns to them, whether or not the kill switch is on.
        kill_switch: whether everybody is on the SQL pipeline because somebody said so.
        model_version: the champion, whose parts these are; empty where nobody gets the graph's.
    """

    reason: str
    touched: bool = False
    graph_buckets: int = 0
    assigned_buckets: int = 0
    kill_switch: bool = False
    model_version: str = ""


@dataclasses.dataclass(frozen=True)
class Present:
    """A plan, and the switch as it was read for it."""

    plan: ServingPlan
    switch: Switch


def plan_serving(
    serving: ServingSettings,
    *,
    kill_switch: bool,
    ever_served: bool,
    staged: str | None,
    champion: str | None,
    switch_words: str = "on",
    limit: RolloutLimit | None = None,
) -> ServingPlan:
    """Decide. Pure, so that every case can be read in a test.

    Args:
        kill_switch: whether it is pulled.
        ever_served: whether this project ever wrote the serving table. Where it never did, the SQL pipeline
            serves by itself and there is nothing to take back.
        staged: version of the model that made the staged recommendations.
        champion: version of the champion.
        switch_words: the switch's state, since when and why.
        limit: what the readout of the rollout's experiment allows.
    """
    assigned = serving.graph_percent * BUCKETS // 100
    if kill_switch and (ever_served or serving.mode != "shadow"):
        return ServingPlan(
            f"the kill switch is {switch_words}; every user gets the SQL pipeline's parts",
            touched=True,
            assigned_buckets=assigned,
            kill_switch=True,
        )
    if serving.mode == "shadow":
        return ServingPlan("HOLLEY_SERVING_MODE is shadow: the serving table is not touched")
    if limit is not None and limit.share == 0.0:
        return ServingPlan(
            f"the readout takes the graph's parts from everybody: {limit.reason}",
            touched=True,
            assigned_buckets=assigned,
        )
    if champion is None:
        return ServingPlan("no model was ever promoted, and only the champion fills the serving table")
    if staged != champion:
        return ServingPlan(
            f"the staged recommendations are of model {staged}, and only the champion {champion} fills the "
            "serving table: job daily_score delivers with it"
        )
    allowed = assigned if limit is None else min(assigned, round(limit.share * BUCKETS))
    held = (
        f", not the {serving.graph_percent} % that is set. {limit.reason}"
        if limit and allowed < assigned
        else ""
    )
    return ServingPlan(
        f"mode {serving.mode}: {allowed * 100 / BUCKETS:g} % of the users get the parts of champion {champion}{held}",
        touched=True,
        graph_buckets=allowed,
        assigned_buckets=allowed,
        model_version=champion,
    )


def present_plan(warehouse: Warehouse, settings: Settings, staged: str | None) -> Present:
    """The plan as setting, record and registry have it now.

    The registry is asked only where the answer depends on it: the kill switch works without.

    Args:
        settings: as the environment has them now, not as a run froze them.
        staged: version of the model that made the staged recommendations.

    Raises:
        WarehouseError: the switch's record cannot be read, or the readout that a rollout obeys.
        TrackingError: the registry cannot be reached.
    """
    serving = settings.serving
    switch = read_switch(warehouse, settings)
    champion, limit = None, None
    if serving.mode != "shadow" and not switch.is_on:
        limit = rollout_limit(settings)
        champion = champion_version(settings)
    plan = plan_serving(
        serving,
        kill_switch=switch.is_on,
        ever_served=switch.is_on and ever_served(warehouse, settings),
        staged=staged,
        champion=champion,
        switch_words=switch.words,
        limit=limit,
    )
    return Present(plan, switch)


def ever_served(warehouse: Warehouse, settings: Settings) -> bool:
    """Whether the serving table is one that this project filled: the SQL pipeline's own knows no arms.

    Raises:
        WarehouseError: the table cannot be looked at.
    """
    try:
        found = warehouse.describe_table(settings.serving_dataset, settings.serving.table)
    except MissingTableError:
        return False
    return ARM in found.columns


def buckets_of(serving: ServingSettings) -> str:
    """Digest of what is hashed before the address: tables of one digest have everybody in the same bucket."""
    return hashlib.sha256(serving.hash_salt.encode()).hexdigest()[:12]


def champion_version(settings: Settings) -> str | None:
    """Version of the model that serves; ``None`` while none was ever promoted.

    Raises:
        TrackingError: the registry cannot be reached.
    """
    from holley_assets.resources.tracking.model_registry import open_model_registry

    champion = open_model_registry(settings).champion()
    return champion.model_version if champion else None
