"""``ingestion_unified_schema_incremental``: views, carts and orders, their properties in nested arrays."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Int

from holley_assets.sample_data import dirt, nested
from holley_assets.sample_data.browsing import Browsing
from holley_assets.sample_data.catalogue import Catalogue
from holley_assets.sample_data.clicks import Clicks
from holley_assets.sample_data.fits import ranges
from holley_assets.sample_data.parameters import MICROSECONDS_PER_DAY, SampleParameters, microseconds
from holley_assets.sample_data.people import numbered
from holley_assets.sample_data.purchases import Purchases
from holley_assets.sample_data.tables_catalogue import price_texts
from holley_assets.sample_data.tables_orders import UNKNOWN_SKUS
from holley_assets.sample_data.tables_users import UserIds

EVENT_NAMES = ("Viewed Product", "Cart Update", "Placed Order", "Ordered Product", "Consumer Website Order")
VIEW, CART, PLACED_ORDER, ORDERED_PRODUCT, WEBSITE_ORDER = range(5)
# How often a purchase shows up as each of the three order events; always as one of them.
PLACED_ORDER_SHARE = 0.8
ORDERED_PRODUCT_SHARE = 0.55
WEBSITE_ORDER_SHARE = 0.45
EVENTS_PER_CHUNK = 250_000
MAXIMUM_ITEMS = 16
# The value columns a SKU or a price may be in, and how a property of an item is called.
SKU, PRICE, IMAGE = range(3)
ITEM_PROPERTIES = ("ProductId", "ItemPrice", "ImageURL")
FLAT_PROPERTIES = ("ProductId", "Price", "ImageURL")
IMAGE_HOST = "images.example.com"
NEW_IMAGE_SHARE = 0.03
SALE_SHARE = 0.06


@dataclass(frozen=True)
class Events:
    """Events in order of time. Items of event e are ``item_sku[item_start[e]:item_start[e + 1]]``.

    ``user`` is a row of ``user_texts``, or −1.
    """

    kind: Int[np.ndarray, "events"]
    user: Int[np.ndarray, "events"]
    time: Int[np.ndarray, "events"]
    item_start: Int[np.ndarray, "events+1"]
    item_sku: Int[np.ndarray, "items"]
    user_texts: pa.Array


def build_events(
    parameters: SampleParameters,
    ids: UserIds,
    purchases: Purchases,
    browsing: Browsing,
    clicks: Clicks,
    *,
    people: int,
) -> Events:
    """Collect everything that happened since the first day of events, and repeat a few rows.

    ``people`` is the number of all persons; those from ``parameters.users`` on are not registered.
    """
    random = parameters.random("events")
    views = len(browsing.view_time) + len(clicks.view_time)
    carts = np.bincount(browsing.item_cart, minlength=len(browsing.cart_time))
    orders = _order_events(parameters, purchases, random)
    person = np.concatenate([browsing.view_person, clicks.view_user, browsing.cart_person, orders[1]])
    kind = np.concatenate([np.full(views, VIEW), np.full(len(carts), CART), orders[0]])
    time = np.concatenate([browsing.view_time, clicks.view_time, browsing.cart_time, orders[2]])
    amount = np.concatenate([np.ones(views, np.int64), carts, orders[3]])
    item_sku = np.concatenate([browsing.view_sku, clicks.view_sku, browsing.item_sku, orders[4]])

    registered = person < parameters.users
    user = person - parameters.users + len(ids.texts)
    user[registered] = ids.of(random, person[registered])
    user = np.where(random.random(len(user)) < 0.001, -1, user)
    # Clocks of devices are wrong now and then, and run ahead of the day of the run.
    wrong = random.random(len(time))
    time = np.where(
        wrong < 0.0002, time + microseconds(parameters.as_of) - microseconds(parameters.intent_start), time
    )
    again = dirt.repeated(random, len(time), 0.004)
    rows = again[np.argsort(time[again], kind="stable")]
    start = np.cumsum(amount) - amount
    _, position = ranges(start[rows], start[rows] + amount[rows])
    visitors = numbered("v", np.arange(people - parameters.users), 9)
    return Events(
        kind=kind[rows],
        user=user[rows],
        time=time[rows],
        item_start=np.concatenate([[0], np.cumsum(amount[rows])]),
        item_sku=item_sku[position],
        user_texts=pa.concat_arrays([ids.texts, visitors]),
    )


def _order_events(
    parameters: SampleParameters, purchases: Purchases, random: np.random.Generator
) -> tuple[
    Int[np.ndarray, "events"],
    Int[np.ndarray, "events"],
    Int[np.ndarray, "events"],
    Int[np.ndarray, "events"],
    Int[np.ndarray, "items"],
]:
    """kind, buyer, time, number of items and all items of the up to three events that a purchase leaves."""
    purchase = np.flatnonzero(purchases.time >= microseconds(parameters.intent_start))
    bounds = np.searchsorted(purchases.line_purchase, np.arange(len(purchases.time) + 1))
    placed = random.random(len(purchase)) < PLACED_ORDER_SHARE
    ordered = random.random(len(purchase)) < ORDERED_PRODUCT_SHARE
    website = (random.random(len(purchase)) < WEBSITE_ORDER_SHARE) | ~(placed | ordered)
    # All three on the purchase's own day, or the same purchase would count on two.
    end_of_day = (purchases.time // MICROSECONDS_PER_DAY + 1) * MICROSECONDS_PER_DAY - 1
    whole = np.concatenate([purchase[placed], purchase[website]])
    whole_kind = np.concatenate([np.full(placed.sum(), PLACED_ORDER), np.full(website.sum(), WEBSITE_ORDER)])
    _, whole_line = ranges(bounds[whole], bounds[whole + 1])
    single, line = ranges(bounds[purchase[ordered]], bounds[purchase[ordered] + 1])
    single = purchase[ordered][single]
    delay = np.where(whole_kind == PLACED_ORDER, 0, random.integers(1_000_000, 600_000_000, len(whole)))
    return (
        np.concatenate([whole_kind, np.full(len(line), ORDERED_PRODUCT)]),
        purchases.buyer[np.concatenate([whole, single])],
        np.concatenate(
            [
                np.minimum(purchases.time[whole] + delay, end_of_day[whole]),
                np.minimum(
                    purchases.time[single] + random.integers(0, 5_000_000, len(single)), end_of_day[single]
                ),
            ]
        ),
        np.concatenate([bounds[whole + 1] - bounds[whole], np.ones(len(line), np.int64)]),
        purchases.line_sku[np.concatenate([whole_line, line])],
    )


class EventProperties:
    """Builds the nested properties of a run of events from dictionaries of all names and values."""

    def __init__(self, parameters: SampleParameters, catalogue: Catalogue) -> None:
        random = parameters.random("event dictionaries")
        self._random = parameters.random("event properties")
        count = len(catalogue.skus)
        self._skus = count
        self._has_image = catalogue.sku_has_image
        price = catalogue.price[catalogue.sku_product]
        sale = np.round(np.maximum(price * 0.9, 0.01), 2)
        self._prices = np.concatenate([price, sale])
        path = pc.binary_join_element_wise(pc.utf8_lower(catalogue.skus), ".jpg", "")
        images = []
        for version in ("/parts/", "/parts/v2/"):
            address = pc.binary_join_element_wise(IMAGE_HOST + version, path, "")
            images += [
                pc.binary_join_element_wise(scheme, address, "") for scheme in ("https://", "http://", "//")
            ]
        unusual = pa.array([*UNKNOWN_SKUS, "", "N/A"])
        # One dictionary of all string values: SKUs, prices, images, odd ones.
        pieces = [dirt.spellings(catalogue.skus), price_texts(price), price_texts(sale), *images, unusual]
        self._first = np.cumsum([0, *(len(piece) for piece in pieces)])
        self._strings = pa.concat_arrays(pieces)
        new = random.random(count) < NEW_IMAGE_SHARE
        last = (parameters.as_of - datetime.date(1970, 1, 1)).days
        first = (parameters.intent_start - datetime.date(1970, 1, 1)).days
        self._new_image_day = np.where(new, random.integers(first, last, count), last + 10_000)
        is_number = pc.match_substring_regex(catalogue.skus, "^[1-9][0-9]*$")
        self._sku_number = pc.cast(pc.if_else(is_number, catalogue.skus, "0"), pa.int64()).to_numpy()
        self._names = self._property_names()

    @staticmethod
    def _property_names() -> pa.Array:
        """Names in three spellings: flat ones, then items' by number, then ``SKUs_N`` by number."""
        names = list(FLAT_PROPERTIES)
        names += [f"Items_{number}.{name}" for number in range(MAXIMUM_ITEMS) for name in ITEM_PROPERTIES]
        names += [f"SKUs_{number}" for number in range(MAXIMUM_ITEMS)]
        return pa.array([*names, *(name.lower() for name in names), *(name.upper() for name in names)])

    def build(
        self,
        kind: Int[np.ndarray, "events"],
        time: Int[np.ndarray, "events"],
        start: Int[np.ndarray, "events+1"],
        sku: Int[np.ndarray, "items"],
    ) -> pa.Array:
        """Properties of events with these kinds, times, items' starts and items' variants."""
        event = np.repeat(np.arange(len(kind)), np.diff(start))
        number = np.arange(len(sku)) - start[event]
        width = np.where(kind[event] == WEBSITE_ORDER, 1, 3)
        item = np.repeat(np.arange(len(sku)), width)
        field = np.arange(len(item)) - np.repeat(np.cumsum(width) - width, width)
        names = self._names.take(pa.array(self._name_codes(kind[event][item], number[item], field)))
        strings, longs, doubles = self._values(sku[item], field, time[event[item]])
        offsets = np.concatenate([[0], np.cumsum(width)])[start]
        return nested.properties(offsets, names, strings, longs, doubles)

    def _name_codes(
        self,
        kind: Int[np.ndarray, "fields"],
        number: Int[np.ndarray, "fields"],
        field: Int[np.ndarray, "fields"],
    ) -> Int[np.ndarray, "fields"]:
        is_flat = (kind == VIEW) | (kind == ORDERED_PRODUCT)
        code = np.where(is_flat, field, 3 + 3 * number + field)
        code = np.where(kind == WEBSITE_ORDER, 3 + 3 * MAXIMUM_ITEMS + number, code)
        other_case = np.where(
            self._random.random(len(code)) < 0.04, self._random.integers(1, 3, len(code)), 0
        )
        spelled: np.ndarray = code + other_case * (len(self._names) // 3)
        return spelled

    def _values(
        self,
        sku: Int[np.ndarray, "fields"],
        field: Int[np.ndarray, "fields"],
        time: Int[np.ndarray, "fields"],
    ) -> tuple[pa.Array, pa.Array, pa.Array]:
        """String, long and double values; each in one of the columns that can hold it."""
        random = self._random
        count = len(sku)
        column = random.random(count)
        odd = random.random(count)
        sku_text = dirt.spell(random, sku, self._skus, 0.02)
        sku_text = np.where(
            odd < 0.002, self._first[9] + random.integers(0, len(UNKNOWN_SKUS) + 1, count), sku_text
        )
        price_code = sku + self._skus * (random.random(count) < SALE_SHARE)
        is_new = time >= self._new_image_day[sku] * MICROSECONDS_PER_DAY
        scheme = np.searchsorted([0.8, 0.9], random.random(count), side="right")
        image = self._first[3] + (scheme + 3 * is_new) * self._skus + sku
        image = np.where(odd < 0.004, len(self._strings) - 1 - random.integers(0, 2, count), image)
        image = np.where((odd > 0.995) | ~self._has_image[sku], -1, image)

        is_sku, is_price = field == SKU, field == PRICE
        number = self._sku_number[sku]
        price = self._prices[price_code]
        is_whole = price == np.floor(price)
        sku_as_long = is_sku & (number > 0) & (column < 0.4)
        sku_as_double = is_sku & (number > 0) & (column >= 0.4) & (column < 0.5)
        price_as_long = is_price & is_whole & (column < 0.5)
        price_as_double = is_price & ~price_as_long & (column < 0.75)
        as_long, as_double = sku_as_long | price_as_long, sku_as_double | price_as_double
        code = np.where(is_sku, sku_text, np.where(is_price, self._first[1] + price_code, image))
        code = np.where(is_price & (odd < 0.004), len(self._strings) - 1, code)
        code = np.where(as_long | as_double | (is_price & (odd > 0.99)), -1, code)
        value = np.where(is_sku, number, price)
        return (
            dirt.take(self._strings, code),
            pa.array(value.astype(np.int64), mask=~as_long),
            pa.array(value, mask=~as_double),
        )


def event_batches(parameters: SampleParameters, catalogue: Catalogue, events: Events) -> Iterator[pa.Table]:
    """The table in pieces of some hundred thousand events, so that memory stays bounded."""
    random = parameters.random("event table")
    properties = EventProperties(parameters, catalogue)
    names = pa.array(
        [*EVENT_NAMES, *(name.lower() for name in EVENT_NAMES), *(name.upper() for name in EVENT_NAMES)]
    )
    for begin in range(0, len(events.kind), EVENTS_PER_CHUNK):
        piece = slice(begin, begin + EVENTS_PER_CHUNK)
        kind, time = events.kind[piece], events.time[piece]
        bounds = events.item_start[begin : begin + len(kind) + 1]
        other_case = np.where(random.random(len(kind)) < 0.03, random.integers(1, 3, len(kind)), 0)
        yield pa.table(
            {
                "user_id": dirt.take(events.user_texts, events.user[piece]),
                "event_name": names.take(pa.array(kind + len(EVENT_NAMES) * other_case)),
                "client_event_timestamp": nested.timestamps(time, null=random.random(len(kind)) < 0.0005),
                "event_properties": properties.build(
                    kind, time, bounds - bounds[0], events.item_sku[bounds[0] : bounds[-1]]
                ),
            }
        )
