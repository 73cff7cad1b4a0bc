"""Parts that registered users met before the cutoff and may come back to."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Int

from holley_assets.sample_data.browsing import Browsing
from holley_assets.sample_data.demand import Demand
from holley_assets.sample_data.parameters import SampleParameters, microseconds
from holley_assets.sample_data.purchases import Purchases
from holley_assets.sample_data.shop import Shop


@dataclass(frozen=True)
class MetParts:
    """Entries of the fits that users met, one for each view and cart item, by user.

    The entries of user u are ``entry[start[u]:start[u + 1]]``, of the user's own vehicle and such that a click
    may choose them. What the user has bought is not among them.
    """

    start: Int[np.ndarray, "starts"]
    entry: Int[np.ndarray, "entries"]

    def amount(self, user: Int[np.ndarray, "asked"]) -> Int[np.ndarray, "asked"]:
        """Number of entries of each user."""
        amount: np.ndarray = self.start[user + 1] - self.start[user]
        return amount

    def draw(self, user: Int[np.ndarray, "asked"], random: np.random.Generator) -> Int[np.ndarray, "asked"]:
        """One of each user's entries, all equally likely; every user must have one."""
        place = self.start[user] + (random.random(len(user)) * self.amount(user)).astype(np.int64)
        drawn: np.ndarray = self.entry[place]
        return drawn


def build_met_parts(
    parameters: SampleParameters, shop: Shop, demand: Demand, purchases: Purchases, browsing: Browsing
) -> MetParts:
    """Collect the views and cart items before the cutoff; ``demand`` is that of clicks."""
    cutoff = microseconds(parameters.cutoff)
    person = np.concatenate([browsing.view_person, browsing.cart_person[browsing.item_cart]])
    time = np.concatenate([browsing.view_time, browsing.cart_time[browsing.item_cart]])
    sku = np.concatenate([browsing.view_sku, browsing.item_sku])
    kept = np.flatnonzero((person < parameters.users) & (time < cutoff))
    user, part = person[kept], shop.catalogue.sku_product[sku[kept]]
    buyer = purchases.buyer[purchases.line_purchase]
    line = np.flatnonzero((buyer < parameters.users) & (purchases.time[purchases.line_purchase] < cutoff))
    products = np.int64(shop.catalogue.products)
    bought = buyer[line] * products + shop.catalogue.sku_product[purchases.line_sku[line]]
    free = ~np.isin(user * products + part, bought)
    user, part = user[free], part[free]

    fits = demand.fits
    key = (fits.vehicle * np.int64(64) + shop.catalogue.system[fits.part]) * products + fits.part
    wanted = (shop.users.vehicle[user] * np.int64(64) + shop.catalogue.system[part]) * products + part
    entry = np.searchsorted(key, wanted).clip(max=len(key) - 1)
    can_return = (key[entry] == wanted) & (demand.weight[entry] > 0.0)
    user, entry = user[can_return], entry[can_return]
    order = np.argsort(user, kind="stable")
    return MetParts(np.searchsorted(user[order], np.arange(parameters.users + 1)), entry[order])
