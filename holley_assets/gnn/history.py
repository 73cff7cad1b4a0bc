"""What a user's own history says of single parts: this very part, and what goes with it.

A vector of a few dimensions cannot say "the part that you looked at". Here the weight of a part ``b`` for a user
with a history is::

    W(b) = p(b) + Σ_j λ_j · φ_j(b),    λ_j ≥ 0,    chance of b = W(b) / Σ W

where ``p`` is the softmax of the dot products over the eligible parts that fit the car, and each ``φ_j`` is a
component of :data:`COMPONENTS`: a part that was seen and not bought since, or a part that goes with one that was
met. Each is a share of all choices, so that the λ read as "how many of hundred choices". The λ are the posterior
mode under an exponential prior, learned on each user's last visit before the end of the data: where nobody
returns they are exactly zero. ``ln(W(b) / p(b))`` is added to the logit, and is zero for every other part.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32, Float64, Int, Int64, Num
from scipy.sparse import csr_matrix
from torch import Tensor

from holley_assets.arrays import find_sorted
from holley_assets.gnn.ragged import RaggedPairs, ragged_logsumexp, ragged_rows, ragged_scores

VIEW, CART, ORDER = 0, 1, 2
# Days after which a memory has faded to 1/e: within a week, within a month, never.
MEMORIES = {"ever": np.inf, "month": 30.0, "week": 7.0}
FORMS = ("alike", "conversion", "taste")
_OWN = [f"{kind}_{memory}_{form}" for kind in ("viewed", "cart") for memory in MEMORIES for form in FORMS]
_TOGETHER = [f"{source}_{form}" for source in ("co_viewed", "co_purchased") for form in ("alike", "taste")]
COMPONENTS = (*_OWN, *_TOGETHER, "seen_co_viewed", "seen_co_purchased")
# Neighbours of a part that are kept; more of them say less each.
NEIGHBOURS = 20
# Visitors that nobody saw, who share the average conversion.
PRIOR_VISITORS = 10.0
# Pairs whose components are held at once.
PAIRS_IN_BLOCK = 2_000_000


class HistoryEvents(NamedTuple):
    """Who met which part on which day, and how; sorted by owner."""

    owner: Int64[np.ndarray, "events"]
    product: Int64[np.ndarray, "events"]
    day: Int64[np.ndarray, "events"]
    kind: Int64[np.ndarray, "events"]

    def take(self, which: Bool[np.ndarray, "events"] | Int[np.ndarray, "taken"]) -> HistoryEvents:
        return HistoryEvents(*(column[which] for column in self))


@dataclass(frozen=True)
class Parts:
    """What is known of parts, and of which go together.

    Attributes:
        conversion: buyers by visitors of each part, relative to all parts.
        co_viewed, co_purchased: similarity of parts, ``[num_products, num_products]``, no diagonal.
        exclusion_days: a part ordered on one of so many days is not shown again.
    """

    conversion: Float64[np.ndarray, "products"]
    co_viewed: csr_matrix
    co_purchased: csr_matrix
    exclusion_days: int = 365


class Base(NamedTuple):
    """The two towers' vectors, and the eligible parts that fit each owner's car.

    Attributes:
        user: of each owner; the dot product with ``product`` is a logit.
        product: of each part.
        row: row of the candidates of each owner, −1 where nothing fits.
        offsets, candidates: eligible parts that fit each car, in compressed rows, ascending in each.
    """

    user: Float[Tensor, "owners channels"]
    product: Float[Tensor, "products channels"]
    row: Int64[np.ndarray, "owners"]
    offsets: Int64[np.ndarray, "starts"]
    candidates: Int64[np.ndarray, "entries"]


class Pairs(NamedTuple):
    """Owner and part of each pair that history says something of, its components and its chance without them.

    ``bought`` is what the base alone would give to parts that the rules exclude.
    """

    owner: Int64[np.ndarray, "pairs"]
    product: Int64[np.ndarray, "pairs"]
    components: Float32[np.ndarray, "pairs components"]
    base: Float64[np.ndarray, "pairs"]
    bought: Float64[np.ndarray, "owners"]


def similarity(
    one: Int[np.ndarray, "pairs"],
    other: Int[np.ndarray, "pairs"],
    together: Num[np.ndarray, "pairs"],
    alone: Num[np.ndarray, "products"],
    keep: int = NEIGHBOURS,
) -> csr_matrix:
    """Cosine of the sets of people who met each part: ``together / sqrt(alone · alone)``, the ``keep`` nearest.

    Args:
        one, other: the two parts of each pair, which stands here once.
        together: people who met both.
        alone: people who met each part.
    """
    count = len(alone)
    value = together / np.sqrt(np.maximum(alone[one], 1.0) * np.maximum(alone[other], 1.0))
    row, column, value = np.concatenate([one, other]), np.concatenate([other, one]), np.tile(value, 2)
    order = np.lexsort((column, -value, row))
    first = np.searchsorted(row[order], np.arange(count))
    order = order[np.arange(len(order)) - first[row[order]] < keep]
    return csr_matrix((value[order], (row[order], column[order])), shape=(count, count))


def conversion(
    buyers: Num[np.ndarray, "products"], visitors: Num[np.ndarray, "products"]
) -> Float64[np.ndarray, "products"]:
    """Buyers by visitors of each part, relative to all parts; few visitors are drawn to the average."""
    average = buyers.sum() / max(visitors.sum(), 1.0)
    if average <= 0:
        return np.ones(len(buyers))
    return np.asarray((buyers + PRIOR_VISITORS * average) / (visitors + PRIOR_VISITORS) / average, np.float64)


def pairs_of(
    events: HistoryEvents,
    end: Int[np.ndarray, "owners"],
    parts: Parts,
    base: Base,
    owners: slice,
    asked: Int[np.ndarray, "asked"] | None = None,
) -> Pairs:
    """Components of every pair that the history of ``owners`` says something of.

    Args:
        events: of all owners; those at or after ``end`` are not looked at.
        end: first day that each owner's history does not see.
        owners: neighbours, so few that their candidates fit into memory.
        asked: ascending ``owner · num_products + part`` of pairs that are wanted as well, if they may be shown.
    """
    first, last = np.searchsorted(events.owner, [owners.start, owners.stop])
    events = events.take(np.arange(first, last))
    events = events.take(events.day < end[events.owner])
    count, num_products = owners.stop - owners.start, len(parts.conversion)
    key = (events.owner - owners.start) * num_products + events.product
    age = (end[events.owner] - events.day).astype(np.float64)

    bought, last_order = _newest(key, age, events.kind == ORDER)
    recent = bought[last_order <= parts.exclusion_days]
    alive = age < np.append(last_order, np.inf)[find_sorted(key, bought)]
    seen = {
        name: _newest(key, age, (events.kind == kind) & alive)
        for name, kind in (("viewed", VIEW), ("cart", CART))
    }
    met, _ = _newest(key, age, np.ones(len(key), bool))
    together = {
        "co_viewed": _neighbours(met, count, parts.co_viewed),
        "co_purchased": _neighbours(bought, count, parts.co_purchased),
    }

    candidate, chance = _chances(base, owners)
    excluded = find_sorted(recent, candidate)
    allowed = np.ones(len(candidate) + 1, bool)
    allowed[excluded] = allowed[-1] = False
    mass = np.append(chance, 0.0)[excluded]
    bought_chance = np.bincount(recent // num_products, weights=mass, minlength=count).astype(np.float64)

    # Everything below is of pairs that may be shown: positions among the candidates, then among those found.
    wanted = np.empty(0, np.int64) if asked is None else asked - owners.start * num_products
    position = {name: find_sorted(keys, candidate) for name, (keys, _) in {**seen, **together}.items()}
    found = np.zeros(len(candidate) + 1, bool)
    for places in (find_sorted(wanted, candidate), *position.values()):
        found[places] = True
    shown = np.flatnonzero(found & allowed)
    pair = candidate[shown]
    owner, product = pair // num_products, pair % num_products
    row_of = np.full(len(candidate) + 1, -1)
    row_of[shown] = np.arange(len(shown))
    choices = np.bincount(candidate // num_products, minlength=count)
    forms = {
        "alike": np.ones(len(pair)),
        "conversion": parts.conversion[product],
        # What the car and the user's taste say of this part, beside the average one.
        "taste": chance[shown] * choices[owner],
    }

    columns: dict[str, np.ndarray] = {}
    own = np.zeros(len(pair), bool)
    for kind, (_, ages) in seen.items():
        rows = row_of[position[kind]]
        own[rows[rows >= 0]] = True
        for memory, days in MEMORIES.items():
            value = np.zeros(len(pair))
            value[rows[rows >= 0]] = np.exp(-ages[rows >= 0] / days)
            columns |= {f"{kind}_{memory}_{form}": value * forms[form] for form in FORMS}
    for name, (_, values) in together.items():
        rows, value = row_of[position[name]], np.zeros(len(pair))
        value[rows[rows >= 0]] = values[rows >= 0]
        columns |= {f"{name}_{form}": value * forms[form] for form in ("alike", "taste")}
        columns[f"seen_{name}"] = own * value
    components = np.stack([columns[name] for name in COMPONENTS], axis=1).astype(np.float32)
    return Pairs(owner + owners.start, product, components, chance[shown], bought_chance)


def blocks_of(events: HistoryEvents, base: Base) -> list[slice]:
    """Neighbouring owners whose candidates and neighbours of parts are few enough to be held at once."""
    count = len(base.row)
    met = np.bincount(events.owner, minlength=count) * 2 * NEIGHBOURS
    size = np.where(base.row >= 0, np.diff(base.offsets)[base.row], 0) + met
    number = np.cumsum(size) // PAIRS_IN_BLOCK
    starts = np.flatnonzero(np.diff(number, prepend=-1))
    stops = np.append(starts[1:], count)[: len(starts)]
    return [slice(start, stop) for start, stop in zip(starts.tolist(), stops.tolist(), strict=True)]


def _chances(
    base: Base, owners: slice
) -> tuple[Int64[np.ndarray, "candidates"], Float64[np.ndarray, "candidates"]]:
    """Ascending ``owner · num_products + part`` of the candidates of each owner, counted from the first, and the
    softmax of their logits."""
    row = base.row[owners]
    counts = np.where(row >= 0, np.diff(base.offsets)[row], 0)
    start, owner, place = ragged_rows(torch.from_numpy(counts))
    candidate = torch.from_numpy(base.candidates[(base.offsets[row])[owner.numpy()] + place.numpy()])
    pairs = RaggedPairs(candidate, start, owner)
    logits = ragged_scores(base.user[owners], base.product, pairs).double()
    chance = (logits - ragged_logsumexp(logits, owner, len(row))[owner]).exp()
    return (owner * len(base.product) + candidate).numpy(), chance.numpy()


def _newest(
    key: Int64[np.ndarray, "events"], age: Float64[np.ndarray, "events"], which: Bool[np.ndarray, "events"]
) -> tuple[Int64[np.ndarray, "pairs"], Float64[np.ndarray, "pairs"]]:
    """Distinct keys, ascending, and the least age of each."""
    key, age = key[which], age[which]
    order = np.lexsort((age, key))
    first = order[np.diff(key[order], prepend=-1) != 0]
    return key[first], age[first]


def _neighbours(
    key: Int64[np.ndarray, "pairs"], owners: int, similar: csr_matrix
) -> tuple[Int64[np.ndarray, "found"], Float64[np.ndarray, "found"]]:
    """Keys of the parts that go with those of ``key``, ascending, and their mean similarity to these."""
    num_products = similar.shape[0]
    owner = key // num_products
    share = 1.0 / np.bincount(owner, minlength=owners)[owner]
    found = (csr_matrix((share, (owner, key % num_products)), (owners, num_products)) @ similar).tocoo()
    keys = found.row.astype(np.int64) * num_products + found.col
    order = np.argsort(keys)
    return keys[order], found.data[order]
