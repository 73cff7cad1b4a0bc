"""``import_orders``: order lines of all buyers, registered or not, of the history and of the event window."""

from __future__ import annotations

import datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from holley_assets.sample_data import dirt
from holley_assets.sample_data.catalogue import Catalogue
from holley_assets.sample_data.parameters import MICROSECONDS_PER_DAY, SampleParameters
from holley_assets.sample_data.people import Users, numbered
from holley_assets.sample_data.purchases import Purchases

DIRTY_SHARE = 0.03
UNUSABLE_DATES = ("", "Pending", "0000-00-00", "Friday, Smarch 13, 2025", "Sunday, February 30, 2025", None)
UNKNOWN_SKUS = ("DISCONTINUED-1", "CATALOG-2019", "zz-4432", "SHIPPING", "CORE CHARGE")


def date_texts(first: datetime.date, days: int) -> pa.Array:
    """Each day from ``first`` as ``Friday, January 10, 2025``."""
    dates = [first + datetime.timedelta(days=day) for day in range(days)]
    return pa.array([f"{date:%A, %B %d, %Y}" for date in dates], pa.string())


def orders_table(
    parameters: SampleParameters, users: Users, catalogue: Catalogue, purchases: Purchases
) -> pa.Table:
    """One row a line of a purchase."""
    random = parameters.random("orders table")
    line = dirt.repeated(random, len(purchases.line_sku), 0.01)
    purchase = purchases.line_purchase[line]
    count = len(line)
    first_day = (parameters.history_start - datetime.date(1970, 1, 1)).days
    day = purchases.time[purchase] // MICROSECONDS_PER_DAY - first_day
    texts = date_texts(parameters.history_start, (parameters.as_of - parameters.history_start).days)
    bad = random.random(count) < 0.003
    texts_and_bad = pa.concat_arrays([texts, pa.array(UNUSABLE_DATES)])
    day = np.where(bad, len(texts) + random.integers(0, len(UNUSABLE_DATES), count), day)

    skus = pa.concat_arrays([catalogue.skus, pa.array([*UNKNOWN_SKUS, "", None], pa.string())])
    sku = purchases.line_sku[line]
    odd = random.random(count)
    sku = np.where(odd < 0.005, len(catalogue.skus) + random.integers(0, len(UNKNOWN_SKUS), count), sku)
    sku = np.where(odd > 0.9995, len(skus) - 1 - random.integers(0, 2, count), sku)

    guests = max(0, int(purchases.buyer.max(initial=0)) + 1 - parameters.users)
    guest_names = pc.binary_join_element_wise(numbered("guest", np.arange(guests), 6), "example.com", "@")
    emails = dirt.spellings(pa.concat_arrays([users.emails, guest_names]))
    email = dirt.spell(random, purchases.buyer[purchase], parameters.users + guests, DIRTY_SHARE)
    email = np.where(random.random(count) < 0.002, -1, email)
    return pa.table(
        {
            "ITEM": dirt.spellings(skus).take(pa.array(dirt.spell(random, sku, len(skus), DIRTY_SHARE))),
            "SHIP_TO_EMAIL": dirt.take(emails, email),
            "ORDER_DATE": texts_and_bad.take(pa.array(day)),
        }
    )
