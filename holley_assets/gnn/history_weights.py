"""How much a user's own history counts, learned from the last visit of each user."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float64, Int64
from scipy.optimize import minimize

from holley_assets.arrays import find_sorted
from holley_assets.gnn.history import (
    COMPONENTS,
    Base,
    HistoryEvents,
    Parts,
    blocks_of,
    pairs_of,
)

# Mean of the exponential prior of a weight, as a share of all choices. That people go back to what they saw needs no
# proof, so that a few visits tell how often. Fading, conversion, taste and company have to prove themselves.
SEEN_PRIOR_MEAN, PRIOR_MEAN = 1.0, 0.003
PRIOR_MEANS = np.array(
    [
        SEEN_PRIOR_MEAN if name in ("viewed_ever_alike", "cart_ever_alike") else PRIOR_MEAN
        for name in COMPONENTS
    ]
)


@dataclass(frozen=True)
class HistoryWeights:
    """Weight of each component, and what it was learned from.

    Attributes:
        visits: last visits with a part that could have been recommended.
        choices: such parts.
        returns: those among them that the user had seen before.
        log_likelihood_gain: mean gain of a choice's log-likelihood over the vectors alone.
    """

    values: Float64[np.ndarray, "components"]
    visits: int
    choices: int
    returns: int
    log_likelihood_gain: float


@dataclass(frozen=True)
class HeldOut:
    """What each last visit chose, and the sums that the likelihood needs.

    Attributes:
        owner, product, components, weight: of each choice.
        base: chance of each choice by the vectors alone.
        totals: sums of the components over all that each owner may be shown.
        rest: what the vectors alone leave to these parts.
    """

    owner: Int64[np.ndarray, "choices"]
    product: Int64[np.ndarray, "choices"]
    components: Float64[np.ndarray, "choices components"]
    base: Float64[np.ndarray, "choices"]
    weight: Float64[np.ndarray, "choices"]
    totals: Float64[np.ndarray, "owners components"]
    rest: Float64[np.ndarray, "owners"]


def last_visits(events: HistoryEvents, owners: int) -> Int64[np.ndarray, "{owners}"]:
    """Day of each owner's last event; 0 for an owner without one."""
    last = np.zeros(owners, np.int64)
    np.maximum.at(last, events.owner, events.day)
    return last


def hold_out(
    events: HistoryEvents, parts: Parts, base: Base, kind_weight: Float[np.ndarray, "kinds"]
) -> HeldOut:
    """The last visit of each owner, seen from what the owner did before.

    Args:
        kind_weight: weight of a view, a cart and an order; of one part the strongest counts.
    """
    num_products, owners = len(parts.conversion), len(base.row)
    end = last_visits(events, owners)
    # Who came once has nothing before it that the visit could be predicted from.
    returning = np.isin(events.owner, events.owner[events.day < end[events.owner]])
    final = events.take((events.day == end[events.owner]) & returning)
    target, place = np.unique(final.owner * num_products + final.product, return_inverse=True)
    strength = np.zeros(len(target))
    np.maximum.at(strength, place, kind_weight[final.kind])

    totals, rest = np.zeros((owners, len(COMPONENTS))), np.ones(owners)
    nothing, nobody = np.empty(0), np.empty(0, np.int64)
    found = [(nobody, nobody, np.empty((0, len(COMPONENTS))), nothing, nothing)]
    for block in blocks_of(events, base):
        ends = np.searchsorted(target, [block.start * num_products, block.stop * num_products])
        asked = slice(*ends.tolist())
        pairs = pairs_of(events, end, parts, base, block, target[asked])
        keys = pairs.owner * num_products + pairs.product
        known = np.isin(target[asked], keys)
        chosen = np.searchsorted(keys, target[asked][known])
        found.append(
            (
                pairs.owner[chosen],
                pairs.product[chosen],
                pairs.components[chosen],
                pairs.base[chosen],
                strength[asked][known],
            )
        )
        first = np.searchsorted(pairs.owner, np.arange(block.start, block.stop + 1))
        running = np.concatenate([np.zeros((1, len(COMPONENTS))), np.cumsum(pairs.components, 0, np.float64)])
        totals[block] = np.diff(running[first], axis=0)
        rest[block] -= pairs.bought
    owner, product, components, chance, weight = (
        np.concatenate(columns) for columns in zip(*found, strict=True)
    )
    return HeldOut(owner, product, components.astype(np.float64), chance, weight, totals, rest)


def first_visits(
    events: HistoryEvents, base: Base, kind_weight: Float[np.ndarray, "kinds"]
) -> tuple[Int64[np.ndarray, "choices"], Int64[np.ndarray, "choices"], Float64[np.ndarray, "choices"]]:
    """Owner, part and weight of what each owner met on its first day, of parts that may be shown."""
    num_products, owners = len(base.product), len(base.row)
    first = np.full(owners, np.iinfo(np.int64).max)
    np.minimum.at(first, events.owner, events.day)
    met = events.take((events.day == first[events.owner]) & (base.row[events.owner] >= 0))
    rows = np.repeat(np.arange(len(base.offsets) - 1), np.diff(base.offsets))
    fitting = find_sorted(
        base.row[met.owner] * num_products + met.product, rows * num_products + base.candidates
    )
    met = met.take(fitting >= 0)
    key, place = np.unique(met.owner * num_products + met.product, return_inverse=True)
    weight = np.zeros(len(key))
    np.maximum.at(weight, place, kind_weight[met.kind])
    return key // num_products, key % num_products, weight


def fit_weights(
    held: HeldOut, prior_means: Float64[np.ndarray, "components"] = PRIOR_MEANS
) -> HistoryWeights:
    """Posterior mode of the weights: bounded below by zero, where most of them stay.

    Args:
        prior_means: mean of the exponential prior of each weight.
    """
    components, totals = held.components, held.totals[held.owner]
    rest = held.rest[held.owner]

    def loss(values: Float64[np.ndarray, "components"]) -> tuple[float, Float64[np.ndarray, "components"]]:
        chosen, total = held.base + components @ values, rest + totals @ values
        log_likelihood = held.weight @ (np.log(chosen) - np.log(total))
        gradient = (held.weight / chosen) @ components - (held.weight / total) @ totals
        return (values / prior_means).sum() - log_likelihood, 1.0 / prior_means - gradient

    start = np.minimum(prior_means, PRIOR_MEAN)
    result = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=[(0.0, None)] * len(start))
    nothing, _ = loss(np.zeros(len(start)))
    gain = (nothing - loss(result.x)[0] + (result.x / prior_means).sum()) / max(held.weight.sum(), 1.0)
    seen = components[:, : COMPONENTS.index("co_viewed_alike")].any(axis=1)
    return HistoryWeights(result.x, len(np.unique(held.owner)), len(held.owner), int(seen.sum()), float(gain))
