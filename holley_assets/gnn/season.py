"""What is in season: how far recent orders shift the popularity of a part.

What is learned from a whole year of choices ranks a part by its year. How much the last weeks tell about the
next ones differs from shop to shop, and so it is measured: the newest days are predicted from the days before
them by a mixture of order shares, of all time and of the recent past with exponential decay. The shares of
the mixture that predict best (interpolation, Jelinek & Mercer 1980) are applied to the counts up to the end
of the view. Where recency tells nothing, or too few orders could tell, nearly all is left to the share of all
time and the shift is next to zero.

Like a user's own taste, the shift is inferred from the graph at hand when vectors are made and never stored
in a checkpoint: next week's season needs no training.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float32, Float64, Int64

# Decays of the recent past, in units of ``decay_days``: a week, a month and a quarter by default.
DECAYS = (0.25, 1.0, 3.0)
# Pseudo-orders of a part that was never ordered, so that its share is not zero.
UNSEEN_ORDERS = 0.5
# Orders that speak for the share of all time before any is counted, and for none of the recent past: a few weeks of few
# orders are next to those of all time by chance. In samples without a season, one for each source cost 1 to 3 points of
# expected Hit Rate@4 where 80 orders are known and 0.2 where 1,800 are; ten for all time alone cost none there
# (tests/benchmarks/README.md). A shop with a season has thousands.
ALL_TIME_ORDERS = 10.0
# Steps of the expectation–maximisation; the likelihood is concave in the mixture's shares.
STEPS = 100


class Season(NamedTuple):
    """What recent orders say beyond those of all time.

    Attributes:
        shift: ``ln(expected share of orders / share of all time)``.
        mixture: share of each decay of :data:`DECAYS` and, last, of all time; sums to 1.
    """

    shift: Float32[np.ndarray, "products"]
    mixture: Float64[np.ndarray, "decays"]


def season(
    product: Int64[np.ndarray, "entries"],
    age: Float64[np.ndarray, "entries"],
    orders: Float64[np.ndarray, "entries"],
    *,
    num_products: int,
    horizon: int,
    decay_days: float,
) -> Season:
    """Shift of every product's popularity from daily orders; none where nothing can be predicted.

    Args:
        product: product of each entry.
        age: days from the entry to the end of the view, at least 1.
        orders: orders of that product on that day.
        horizon: the newest days, which are predicted to find the mixture; 0 for no season.
    """
    newest = age <= horizon
    if newest.all() or not newest.any():
        return Season(np.zeros(num_products, np.float32), np.array([0.0] * len(DECAYS) + [1.0]))
    target = np.asarray(np.bincount(product[newest], orders[newest], num_products), np.float64)
    earlier = _sources(product[~newest], age[~newest] - horizon, orders[~newest], num_products, decay_days)
    mixture = _mixture(earlier, target)
    sources = _sources(product, age, orders, num_products, decay_days)
    shift = np.log(mixture @ sources) - np.log(sources[-1])
    return Season(shift.astype(np.float32), mixture)


def _sources(
    product: Int64[np.ndarray, "entries"],
    age: Float64[np.ndarray, "entries"],
    orders: Float64[np.ndarray, "entries"],
    num_products: int,
    decay_days: float,
) -> Float64[np.ndarray, "decays {num_products}"]:
    """Share of each product in the orders of each decay and, last, of all time."""
    total = np.bincount(product, orders, num_products) + UNSEEN_ORDERS
    shares = [total / total.sum()]
    for decay in reversed(DECAYS):
        recent = np.bincount(product, orders * np.exp(-age / (decay * decay_days)), num_products)
        shares.insert(0, recent / recent.sum() if recent.sum() > 0 else shares[-1])
    return np.stack(shares)


def _mixture(
    sources: Float64[np.ndarray, "decays products"], target: Float64[np.ndarray, "products"]
) -> Float64[np.ndarray, "decays"]:
    """Shares of ``sources`` that give ``target`` the highest likelihood; the last starts with :data:`ALL_TIME_ORDERS`.

    They keep it from vanishing too, so that no part is ruled out by a few weeks without orders.
    """
    prior = np.zeros(len(sources))
    prior[-1] = ALL_TIME_ORDERS
    mixture = np.full(len(sources), 1.0 / len(sources))
    for _ in range(STEPS):
        part = mixture[:, None] * sources
        counts = prior + (part / part.sum(0) * target).sum(1)
        mixture = counts / counts.sum()
    return mixture
