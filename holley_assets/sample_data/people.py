"""Registered users, their vehicles and how active they are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Bool, Int

from holley_assets.sample_data.demand import Demand
from holley_assets.sample_data.parameters import SampleParameters
from holley_assets.sample_data.vehicles import Vehicles

FIRST_NAMES = (
    "alex", "bailey", "casey", "dale", "ellis", "frankie", "gale", "harper", "indy", "jamie", "kelly",
    "lee", "morgan", "noel", "ollie", "pat", "quinn", "riley", "sam", "taylor",
)  # fmt: skip
LAST_NAMES = (
    "axle", "bearing", "camber", "deck", "fender", "gear", "hatch", "idler", "jack", "kingpin", "lever",
    "manifold", "nozzle", "piston", "rotor", "spindle", "torque", "valve", "winch", "yoke",
)  # fmt: skip

# Engagement before the cutoff, at the traffic of a real shop.
WARM_SHARE = 0.015
HOT_SHARE = 0.005
# Registered users who ordered before the first day of events: half of the buyers of that time.
PAST_BUYER_SHARE = 0.046
PAST_BUYERS_AMONG_ACTIVE = 0.25

NO_VEHICLE_SHARE = 0.012
UNUSABLE_YEAR_SHARE = 0.006
BLANK_MAKE_SHARE = 0.003
BLANK_MODEL_SHARE = 0.003
ORPHAN_SHARE = 0.005
SECOND_USER_ID_SHARE = 0.015

# Why a user's vehicle cannot be used.
USABLE, NO_VEHICLE, UNUSABLE_YEAR, BLANK_MAKE, BLANK_MODEL = range(5)
COLD, WARM, HOT = range(3)


@dataclass(frozen=True)
class Users:
    """Registered users. ``vehicle`` is a row of the vehicles, also where the attributes hide it.

    ``orphan`` is the index of a vehicle that no part fits, else −1.
    """

    emails: pa.Array  # [users] string
    vehicle: Int[np.ndarray, "users"]
    problem: Int[np.ndarray, "users"]
    orphan: Int[np.ndarray, "users"]
    tier: Int[np.ndarray, "users"]
    bought_before: Bool[np.ndarray, "users"]
    user_ids: Int[np.ndarray, "users"]  # number of user_ids of the e-mail, 1 or 2

    @property
    def shops(self) -> Bool[np.ndarray, "users"]:
        """Users whose demand is known: a usable vehicle that parts fit."""
        shops: np.ndarray = (self.problem == USABLE) & (self.orphan < 0)
        return shops


def numbered(prefix: str, numbers: Int[np.ndarray, "rows"], width: int) -> pa.Array:
    """Strings such as ``prefix000123``."""
    digits = pc.utf8_lpad(pc.cast(pa.array(numbers), pa.string()), width=width, padding="0")
    return pc.binary_join_element_wise(prefix, digits, "")


def _emails(random: np.random.Generator, count: int) -> pa.Array:
    first = pa.array(FIRST_NAMES).take(pa.array(random.integers(0, len(FIRST_NAMES), count)))
    last = pa.array(LAST_NAMES).take(pa.array(random.integers(0, len(LAST_NAMES), count)))
    number = pc.utf8_lpad(pc.cast(pa.array(np.arange(count)), pa.string()), width=6, padding="0")
    name = pc.binary_join_element_wise(first, last, number, ".")
    return pc.binary_join_element_wise(name, "example.com", "@")


def build_users(parameters: SampleParameters, vehicles: Vehicles, demand: Demand) -> Users:
    """Make up the registered users.

    ``demand`` is that for clicks: owners have vehicles that parts fit, but for the few orphans.
    """
    random = parameters.random("users")
    count = parameters.users
    share = np.cumsum(np.where(demand.can_choose, vehicles.owner_share, 0.0))
    vehicle = np.searchsorted(share, random.random(count) * share[-1], side="right").clip(max=len(share) - 1)
    edges = np.cumsum([NO_VEHICLE_SHARE, UNUSABLE_YEAR_SHARE, BLANK_MAKE_SHARE, BLANK_MODEL_SHARE])
    problem = (np.searchsorted(edges, random.random(count), side="right") + 1) % 5
    orphan = np.where(random.random(count) < ORPHAN_SHARE, random.integers(0, 10_000, count), -1)

    shops = (problem == USABLE) & (orphan < 0)
    activity = np.where(shops, random.random(count), np.inf)
    activity /= parameters.traffic
    tier = np.where(activity < HOT_SHARE, HOT, np.where(activity < HOT_SHARE + WARM_SHARE, WARM, COLD))
    if parameters.cutoff <= parameters.intent_start:
        tier = np.full(count, COLD)
    past_share = np.where(tier == COLD, PAST_BUYER_SHARE, PAST_BUYERS_AMONG_ACTIVE)
    bought_before = shops & (random.random(count) < past_share * parameters.traffic)
    return Users(
        emails=_emails(random, count),
        vehicle=vehicle,
        problem=problem,
        orphan=orphan,
        tier=tier,
        bought_before=bought_before,
        user_ids=1 + (random.random(count) < SECOND_USER_ID_SHARE),
    )
