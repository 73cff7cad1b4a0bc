"""Purchases of registered users and of everybody else."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Int

from holley_assets.sample_data.parameters import MICROSECONDS_PER_DAY, SampleParameters, microseconds
from holley_assets.sample_data.people import HOT
from holley_assets.sample_data.shop import Shop, first_of_pairs

# Purchases a day at full scale: 2.1 lines each, 228 K lines in 290 days of which half precede the events.
PURCHASES_PER_DAY = 375.0
# Lines before those of one part are merged and those of parts not yet on sale are dropped.
LINES_PER_PURCHASE = 2.45
MAXIMUM_LINES = 12
RETURNING_SHARE = 0.18
# Purchases of a returning customer after the first, a geometric number with mean 1 / 0.72.
RETURN_STOP = 0.72
UNREGISTERED_PAST_SHARE = 0.5
SAME_SYSTEM_SHARE = 0.5
OTHER_VEHICLE_SHARE = 0.03
HOT_BUYER_SHARE = 0.6


@dataclass(frozen=True)
class Purchases:
    """Purchases with their lines. A buyer below ``users`` is registered, others are not."""

    buyer: Int[np.ndarray, "purchases"]
    time: Int[np.ndarray, "purchases"]  # microseconds
    line_purchase: Int[np.ndarray, "lines"]  # ascending
    line_entry: Int[np.ndarray, "lines"]  # entry of the fits
    line_sku: Int[np.ndarray, "lines"]


def _visits(random: np.random.Generator, count: int) -> Int[np.ndarray, "{count}"]:
    """Purchases of each customer: most come once, 18 % return."""
    return 1 + (random.random(count) < RETURNING_SHARE) * random.geometric(RETURN_STOP, count)


def build_purchases(parameters: SampleParameters, shop: Shop) -> Purchases:
    """Purchases of the history, of hot users and of everybody else."""
    random = parameters.random("purchases")
    users = shop.users
    start, intent = microseconds(parameters.history_start), microseconds(parameters.intent_start)
    cutoff, end = microseconds(parameters.cutoff), microseconds(parameters.as_of)
    rate = PURCHASES_PER_DAY * parameters.activity / MICROSECONDS_PER_DAY

    past = np.flatnonzero(users.bought_before)
    past = np.repeat(past, _visits(random, len(past)))
    hot = np.flatnonzero((users.tier == HOT) & (random.random(len(users.tier)) < HOT_BUYER_SHARE))
    hot = np.repeat(hot, _visits(random, len(hot)))
    # A few purchases of hot users come after the cutoff.
    first_stop = max(intent + 1, min(cutoff, end))
    registered = np.concatenate([past, hot])
    registered_time = np.concatenate(
        [random.integers(start, intent, len(past)), random.integers(intent, first_stop, len(hot))]
    )
    unregistered_past = rate * (intent - start) * UNREGISTERED_PAST_SHARE
    unregistered_now = max(rate * (end - intent) - len(hot), 1.0)
    customers = max(1, round((unregistered_past + unregistered_now) / (1.0 + RETURNING_SHARE / RETURN_STOP)))
    guests = np.repeat(np.arange(customers), _visits(random, customers))
    in_past = random.random(len(guests)) < unregistered_past / (unregistered_past + unregistered_now)
    guest_time = np.where(
        in_past, random.integers(start, intent, len(guests)), random.integers(intent, end, len(guests))
    )
    guest_vehicle = shop.draw_vehicles(customers, random)[guests]

    buyer = np.concatenate([registered, parameters.users + guests])
    time = np.concatenate([registered_time, guest_time])
    vehicle = np.concatenate([users.vehicle[registered], guest_vehicle])
    # Some parts are for another car.
    elsewhere = random.random(len(buyer)) < OTHER_VEHICLE_SHARE
    vehicle = np.where(elsewhere, shop.draw_vehicles(len(buyer), random), vehicle)
    order = np.argsort(time, kind="stable")
    return _add_lines(shop, buyer[order], time[order], vehicle[order], random)


def _add_lines(
    shop: Shop,
    buyer: Int[np.ndarray, "purchases"],
    time: Int[np.ndarray, "purchases"],
    vehicle: Int[np.ndarray, "purchases"],
    random: np.random.Generator,
) -> Purchases:
    """Choose the lines of each purchase; half of the later ones are of the first one's system."""
    lines = np.minimum(random.geometric(1.0 / LINES_PER_PURCHASE, len(buyer)), MAXIMUM_LINES)
    purchase = np.repeat(np.arange(len(buyer)), lines)
    entry = shop.entries(buyer[purchase], vehicle[purchase], random)
    first_line = np.cumsum(lines) - lines
    follows = (np.arange(len(purchase)) != first_line[purchase]) & (
        random.random(len(purchase)) < (0.0 if shop.guests_follow_popularity else SAME_SYSTEM_SHARE)
    )
    entry[follows] = shop.demand.draw_like(
        entry[first_line[purchase[follows]]],
        shop.own_taste(buyer[purchase[follows]]),
        shop.catalogue.system,
        random,
    )
    sku = shop.variants(entry, random)
    # One line a part and purchase, whatever the variant.
    part = shop.catalogue.sku_product[sku]
    kept = shop.launched(sku, time[purchase]) & first_of_pairs(purchase, part)
    remaining, line_purchase = np.unique(purchase[kept], return_inverse=True)
    return Purchases(buyer[remaining], time[remaining], line_purchase, entry[kept], sku[kept])
