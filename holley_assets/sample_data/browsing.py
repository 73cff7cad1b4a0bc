"""Product views and carts, of registered users and of visitors."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int

from holley_assets.sample_data.parameters import (
    MICROSECONDS_PER_DAY,
    MINUTE,
    SampleParameters,
    microseconds,
)
from holley_assets.sample_data.people import COLD, HOT, WARM
from holley_assets.sample_data.purchases import Purchases
from holley_assets.sample_data.shop import Shop, first_of_pairs

# Views and abandoned carts a day at full scale, by all visitors.
VIEWS_PER_DAY = 16_000.0
CARTS_PER_DAY = 3_100.0
VIEWS_PER_SESSION = 4.0
# Means of registered users in the window; together they make about 90,000 events at full scale.
WARM_VIEWS = 6.0
HOT_VIEWS = 14.0
HOT_CARTS = 2.5
# An order that goes back to something met follows a view up to this many days before it.
EARLIER_VIEW_DAYS = 21


@dataclass(frozen=True)
class Browsing:
    """Views, and carts with their items in order of the carts. People are numbered as buyers are."""

    view_person: Int[np.ndarray, "views"]
    view_time: Int[np.ndarray, "views"]
    view_sku: Int[np.ndarray, "views"]
    cart_person: Int[np.ndarray, "carts"]
    cart_time: Int[np.ndarray, "carts"]
    item_cart: Int[np.ndarray, "items"]
    item_sku: Int[np.ndarray, "items"]


@dataclass(frozen=True)
class Views:
    """Views: person, time in microseconds, entry of the fits (−1 for the crawler's) and variant."""

    person: Int[np.ndarray, "views"]
    time: Int[np.ndarray, "views"]
    entry: Int[np.ndarray, "views"]
    sku: Int[np.ndarray, "views"]

    def take(self, chosen: Bool[np.ndarray, "views"] | Int[np.ndarray, "taken"]) -> Views:
        """The views at these positions, or where this mask is true."""
        return Views(self.person[chosen], self.time[chosen], self.entry[chosen], self.sku[chosen])


def build_browsing(parameters: SampleParameters, shop: Shop, purchases: Purchases) -> tuple[Browsing, int]:
    """Views and carts from the first day of events on; also the number of people, visitors included."""
    random = parameters.random("browsing")
    intent, end = microseconds(parameters.intent_start), microseconds(parameters.as_of)
    in_window = purchases.time >= intent
    next_person = max(parameters.users, int(purchases.buyer.max(initial=0)) + 1)

    bought = _before_purchases(parameters, shop, purchases, in_window, random)
    active = _registered_views(parameters, shop, random)
    days = (end - intent) / MICROSECONDS_PER_DAY
    views = max(VIEWS_PER_DAY * parameters.activity * days - len(bought.sku) - len(active.sku), 100.0)
    visitors, next_person = _visitor_views(
        parameters, shop, round(views / VIEWS_PER_SESSION), next_person, random
    )
    crawled = _crawler_views(parameters, shop, next_person)
    kinds = (bought, active, visitors, crawled)
    seen = Views(*(np.concatenate([getattr(kind, name) for kind in kinds]) for name in Views.__annotations__))
    seen = seen.take(shop.launched(seen.sku, seen.time) & (seen.time < end))

    carts = _abandoned_carts(
        parameters, shop, round(CARTS_PER_DAY * parameters.activity * days), seen, random
    )
    item_cart, item_sku = _cart_items(shop, carts, random)
    of_purchases = np.flatnonzero(in_window)
    line = np.flatnonzero(in_window[purchases.line_purchase])
    cart_of_purchase = len(carts.person) - 1 + np.cumsum(in_window)
    browsing = Browsing(
        seen.person,
        seen.time,
        seen.sku,
        np.concatenate([carts.person, purchases.buyer[of_purchases]]),
        np.concatenate([carts.time, np.maximum(purchases.time[of_purchases] - 3 * MINUTE, intent)]),
        np.concatenate([item_cart, cart_of_purchase[purchases.line_purchase[line]]]),
        np.concatenate([item_sku, purchases.line_sku[line]]),
    )
    return browsing, next_person + 1


def _before_purchases(
    parameters: SampleParameters,
    shop: Shop,
    purchases: Purchases,
    in_window: Bool[np.ndarray, "purchases"],
    random: np.random.Generator,
) -> Views:
    """Most parts are viewed in the hour before they are bought, some on an earlier day too."""
    intent = microseconds(parameters.intent_start)
    soon = np.flatnonzero(in_window[purchases.line_purchase] & (random.random(len(purchases.line_sku)) < 0.8))
    early = np.flatnonzero(random.random(len(purchases.line_sku)) < parameters.return_share)
    line = np.concatenate([soon, early])
    ahead = np.concatenate(
        [
            random.integers(4 * MINUTE, 50 * MINUTE, len(soon)),
            random.integers(MICROSECONDS_PER_DAY, EARLIER_VIEW_DAYS * MICROSECONDS_PER_DAY, len(early)),
        ]
    )
    purchase = purchases.line_purchase[line]
    time = purchases.time[purchase] - ahead
    time[: len(soon)] = np.maximum(time[: len(soon)], intent)
    views = Views(purchases.buyer[purchase], time, purchases.line_entry[line], purchases.line_sku[line])
    return views.take((time >= intent) & shop.launched(views.sku, time))


def _registered_views(parameters: SampleParameters, shop: Shop, random: np.random.Generator) -> Views:
    """Views of warm and hot users in sessions, the first of them before the cutoff."""
    users = shop.users
    intent, cutoff, end = (
        microseconds(day) for day in (parameters.intent_start, parameters.cutoff, parameters.as_of)
    )
    person = np.flatnonzero(users.tier != COLD)
    mean = np.where(users.tier[person] == WARM, WARM_VIEWS, HOT_VIEWS)
    amount = random.geometric(1.0 / mean)
    sessions = 1 + random.binomial(amount - 1, 0.2)
    first = random.integers(intent, max(intent + 1, cutoff - 60 * MINUTE), len(person))
    viewer = np.repeat(np.arange(len(person)), amount)
    session = (random.random(len(viewer)) * sessions[viewer]).astype(np.int64)
    session[np.cumsum(amount) - amount] = 0
    # Each session has a day of its own, so that the views of one session stay together.
    first_session = np.cumsum(sessions) - sessions
    delay = random.random(int(sessions.sum())) ** 2
    delay[first_session] = 0.0
    start = first[viewer] + (delay[first_session[viewer] + session] * (end - first[viewer])).astype(np.int64)
    time = np.minimum(start + random.integers(0, 25 * MINUTE, len(viewer)), end - 1)
    entry = shop.entries(person[viewer], users.vehicle[person[viewer]], random)
    views = Views(person[viewer], time, entry, shop.variants(entry, random))
    on_sale = np.flatnonzero(shop.launched(views.sku, time))
    on_sale = on_sale[np.lexsort((time[on_sale], start[on_sale], viewer[on_sale]))]
    return _with_returns(views.take(on_sale), start[on_sale], parameters.return_share, random)


def _with_returns(
    views: Views, session: Int[np.ndarray, "views"], share: float, random: np.random.Generator
) -> Views:
    """Let ``share`` of the views of a person's later sessions be of a part that an earlier session viewed.

    Any earlier view is as likely as another. ``views`` is in order of person and session, and ``session`` is
    when each one's session started.
    """
    first_of_person = np.diff(views.person, prepend=-1) != 0
    first_of_session = first_of_person | (np.diff(session, prepend=-1) != 0)
    rows = np.arange(len(session))
    begin = np.maximum.accumulate(np.where(first_of_person, rows, 0))
    earlier = np.maximum.accumulate(np.where(first_of_session, rows, 0)) - begin
    returns = (earlier > 0) & (random.random(len(rows)) < share)
    origin = np.where(returns, begin + (random.random(len(rows)) * earlier).astype(np.int64), rows)
    # An earlier view may itself go back to another.
    while not np.array_equal(origin, origin[origin]):
        origin = origin[origin]
    return Views(views.person, views.time, views.entry[origin], views.sku[origin])


def _visitor_views(
    parameters: SampleParameters, shop: Shop, sessions: int, next_person: int, random: np.random.Generator
) -> tuple[Views, int]:
    """Views of visitors who are not registered, one vehicle a session."""
    intent, end = microseconds(parameters.intent_start), microseconds(parameters.as_of)
    amount = random.geometric(1.0 / VIEWS_PER_SESSION, sessions)
    session = np.repeat(np.arange(sessions), amount)
    start = random.integers(intent, end, sessions)
    vehicle = shop.draw_vehicles(sessions, random)
    entry = shop.entries(next_person + session, vehicle[session], random)
    time = np.minimum(start[session] + random.integers(0, 25 * MINUTE, len(session)), end - 1)
    return Views(next_person + session, time, entry, shop.variants(entry, random)), next_person + sessions


def _crawler_views(parameters: SampleParameters, shop: Shop, person: int) -> Views:
    """One visitor looks at every variant once, so that each has been seen before the cutoff."""
    random = parameters.random("crawler")
    count = len(shop.catalogue.skus)
    intent, end = microseconds(parameters.intent_start), microseconds(parameters.as_of)
    launch = shop.catalogue.launch_day[shop.catalogue.sku_product] * MICROSECONDS_PER_DAY
    first = np.maximum(intent, launch)
    stop = np.maximum(first + 1, min(end, max(microseconds(parameters.cutoff), intent + 1)))
    return Views(np.full(count, person), random.integers(first, stop), np.full(count, -1), np.arange(count))


def _abandoned_carts(
    parameters: SampleParameters, shop: Shop, guest_carts: int, seen: Views, random: np.random.Generator
) -> Views:
    """Views that end in a cart: some of every hot user, and some of visitors. Warm users have none."""
    tier = shop.users.tier
    is_registered = seen.person < parameters.users
    of_hot = np.flatnonzero(is_registered & (tier[np.minimum(seen.person, len(tier) - 1)] == HOT))
    guests = np.flatnonzero(~is_registered & (seen.entry >= 0))
    # The earliest view of a hot user always does: that is before the cutoff.
    earliest = of_hot[np.lexsort((seen.time[of_hot], seen.person[of_hot]))]
    earliest = earliest[np.diff(seen.person[earliest], prepend=-1) > 0]
    others = of_hot[random.random(len(of_hot)) < (HOT_CARTS - 1.0) / HOT_VIEWS]
    guests = random.choice(guests, min(len(guests), guest_carts), replace=False)
    chosen = seen.take(np.concatenate([np.unique(np.concatenate([earliest, others])), guests]))
    time = chosen.time + random.integers(MINUTE, 8 * MINUTE, len(chosen.time))
    return Views(
        chosen.person, np.minimum(time, microseconds(parameters.as_of) - 1), chosen.entry, chosen.sku
    )


def _cart_items(
    shop: Shop, carts: Views, random: np.random.Generator
) -> tuple[Int[np.ndarray, "items"], Int[np.ndarray, "items"]]:
    """Items of each cart, as cart and variant: the viewed part, in four of ten with others of its system."""
    amount = np.minimum(random.geometric(0.6, len(carts.sku)), 5)
    cart = np.repeat(np.arange(len(amount)), amount)
    is_first = np.diff(cart, prepend=-1) > 0
    others = np.flatnonzero(~is_first)
    sku = carts.sku[cart]
    entry = shop.demand.draw_like(
        carts.entry[cart[others]], shop.own_taste(carts.person[cart[others]]), shop.catalogue.system, random
    )
    sku[others] = shop.variants(entry, random)
    kept = (is_first | shop.launched(sku, carts.time[cart])) & first_of_pairs(cart, sku)
    return cart[kept], sku[kept]
