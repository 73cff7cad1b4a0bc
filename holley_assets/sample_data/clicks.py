"""Clicks on e-mails in the test window, and the product views that tell what was clicked."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int

from holley_assets.sample_data.demand import Demand
from holley_assets.sample_data.met_parts import MetParts
from holley_assets.sample_data.parameters import FULL_SCALE_USERS, MINUTE, SampleParameters, microseconds
from holley_assets.sample_data.people import COLD
from holley_assets.sample_data.shop import Shop

# Clicks that lead to a view of a product: at least 2,500 by 1,800 users in samples that are to decide
# something, 3,700 at full scale.
CLICKS_AT_DECIDING_SIZE = 2_650
DECIDING_USERS = 20_000
CLICKS_AT_FULL_SCALE = 3_700
CLICKS_PER_USER = 1.4
# A tenth of the clickers have interactions in the window, though never more than 45 % of all who have.
ACTIVE_CLICKER_SHARE = 0.1
MAXIMUM_ACTIVE_SHARE = 0.45
# Clicks without a view, and clicks whose user only looks at something else, later.
NO_VIEW_SHARE = 0.08
LATE_VIEW_SHARE = 0.08
OPENS_PER_CLICK = 12.5


@dataclass(frozen=True)
class Clicks:
    """Clicks by registered users, the entries they chose, and the views that follow them.

    ``viewed`` tells which clicks a view of their own product follows within the half hour.
    """

    user: Int[np.ndarray, "clicks"]
    time: Int[np.ndarray, "clicks"]
    entry: Int[np.ndarray, "clicks"]
    viewed: Bool[np.ndarray, "clicks"]
    view_user: Int[np.ndarray, "views"]
    view_time: Int[np.ndarray, "views"]
    view_sku: Int[np.ndarray, "views"]


def click_count(users: int) -> int:
    """Clicks with a view for a sample of this many users."""
    if users < DECIDING_USERS:
        return max(20, round(CLICKS_AT_DECIDING_SIZE * users / DECIDING_USERS))
    progress = (users - DECIDING_USERS) / (FULL_SCALE_USERS - DECIDING_USERS)
    return round(CLICKS_AT_DECIDING_SIZE + progress * (CLICKS_AT_FULL_SCALE - CLICKS_AT_DECIDING_SIZE))


def _choose_clickers(
    shop: Shop, demand: Demand, clickers: int, random: np.random.Generator
) -> Int[np.ndarray, "people"]:
    users = shop.users
    able = users.shops & demand.can_choose[users.vehicle]
    active = np.flatnonzero(able & (users.tier != COLD))
    cold = np.flatnonzero(able & (users.tier == COLD))
    wanted = min(round(ACTIVE_CLICKER_SHARE * clickers), round(MAXIMUM_ACTIVE_SHARE * len(active)))
    return np.concatenate(
        [
            random.choice(active, wanted, replace=False),
            random.choice(cold, min(clickers - wanted, len(cold)), replace=False),
        ]
    )


def build_clicks(parameters: SampleParameters, shop: Shop, demand: Demand, met: MetParts) -> Clicks:
    """Draw clicks from ``demand`` among plausible parts or from what was met, and the views after them."""
    random = parameters.random("clicks")
    start, end = microseconds(parameters.test_start), microseconds(parameters.as_of)
    wanted = click_count(parameters.users) / (1.0 - NO_VIEW_SHARE - LATE_VIEW_SHARE)
    clickers = _choose_clickers(shop, demand, round(wanted / CLICKS_PER_USER), random)
    amount = random.geometric(1.0 / CLICKS_PER_USER, len(clickers))
    user = np.repeat(clickers, amount)
    count = len(user)
    # Days of their own for the clicks of one user, where there are enough: no click's view is another's.
    days = max(1, (end - start) // (24 * 60 * MINUTE))
    number = np.arange(count) - np.repeat(np.cumsum(amount) - amount, amount)
    day = (np.repeat(random.integers(0, days, len(clickers)), amount) + number) % days
    time = start + day * 24 * 60 * MINUTE + random.integers(0, 20 * 60 * MINUTE, count)
    entry = shop.entries(user, shop.users.vehicle[user], random, demand=demand)
    returns = (random.random(count) < parameters.return_share) & (met.amount(user) > 0)
    entry[returns] = met.draw(user[returns], random)

    fate = random.random(count)
    viewed = fate >= NO_VIEW_SHARE + LATE_VIEW_SHARE
    late = (fate >= NO_VIEW_SHARE) & ~viewed
    own_time = time + random.integers(2_000_000, 9 * MINUTE, count)
    other_entry = shop.entries(user, shop.users.vehicle[user], random)
    # Some go on to other parts, within the half hour or after it.
    goes_on = viewed & (random.random(count) < 0.35)
    other_time = np.where(
        late,
        time + random.integers(35 * MINUTE, 180 * MINUTE, count),
        own_time + random.integers(MINUTE, 15 * MINUTE, count),
    )
    others = late | goes_on
    return Clicks(
        user=user,
        time=time,
        entry=entry,
        viewed=viewed,
        view_user=np.concatenate([user[viewed], user[others]]),
        view_time=np.concatenate([own_time[viewed], other_time[others]]),
        view_sku=np.concatenate(
            [shop.variants(entry[viewed], random), shop.variants(other_entry[others], random)]
        ),
    )
