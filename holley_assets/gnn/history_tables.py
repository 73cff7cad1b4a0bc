"""What users' own histories add to scores: from the tables of a run to one sparse table."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
from jaxtyping import Float32, Float64, Int64
from torch import Tensor

from holley_assets.gnn.arrow_keys import index_of, joined_key, known_index, to_numpy
from holley_assets.gnn.history import (
    COMPONENTS,
    VIEW,
    Base,
    HistoryEvents,
    Parts,
    blocks_of,
    conversion,
    pairs_of,
    similarity,
)
from holley_assets.gnn.history_weights import (
    HistoryWeights,
    first_visits,
    fit_weights,
    hold_out,
    last_visits,
)
from holley_assets.terms import CAR, TIERS, View

KINDS = ("view", "cart", "order")
SCORE_SCHEMA = pa.schema(
    [
        ("view", pa.string()),
        ("profile", pa.int32()),
        ("base_sku", pa.string()),
        ("score", pa.float64()),
        ("similarity", pa.float64()),
        ("reason", pa.string()),
    ]
)
VISIT_SCHEMA = pa.schema(
    [
        ("year", pa.int64()),
        ("make", pa.string()),
        ("model", pa.string()),
        ("profile", pa.int32()),
        ("cold_profile", pa.int32()),
        ("visit", pa.int64()),
        ("tier", pa.string()),
        ("base_sku", pa.string()),
        ("weight", pa.float64()),
        ("email_lower", pa.string()),
        ("visit_date", pa.date32()),
    ]
)
# Held-out visits of a tier that mixtures are chosen on; each is ranked whole.
VISITS_OF_TIER = 600
# Where the last days have fewer, so many of the newest: a handful of visits chooses by chance.
VISITS_AT_LEAST = 100
# What a person is told; each component speaks for the first of these that its name begins with.
REASONS = ("viewed", "cart", "co_viewed", "co_purchased", "seen")


@dataclass(frozen=True)
class HistoryTables:
    """The tables that histories are read from; columns as the assets of the same names have them."""

    user_visits: pa.Table
    user_nodes: pa.Table
    user_profiles: pa.Table
    product_nodes: pa.Table
    co_viewed_edges: pa.Table
    co_purchased_edges: pa.Table
    fitment: pa.Table
    user_embeddings: pa.Table
    product_embeddings: pa.Table


@dataclass(frozen=True)
class Histories:
    """Histories of one view, ready to be learned from or scored.

    Attributes:
        profile: of each owner, ascending.
        user: row of ``user_profiles`` of each owner.
        temperature: what a score is multiplied by to give a logit.
    """

    events: HistoryEvents
    base: Base
    profile: Int64[np.ndarray, "owners"]
    user: Int64[np.ndarray, "owners"]
    temperature: float


@dataclass(frozen=True)
class Learned:
    """The weights, and the visits that they and other weights are learned from.

    Attributes:
        visits: what was chosen, in :data:`VISIT_SCHEMA`: first visits (tier ``cold``: nothing was known yet) and
            last visits (``warm`` or ``hot`` by what came before).
        scores: what the histories before the last visits add, in :data:`SCORE_SCHEMA`, view ``held_out``.
    """

    weights: HistoryWeights
    visits: pa.Table
    scores: pa.Table


def learn(
    tables: HistoryTables,
    *,
    cutoff: datetime.date,
    kind_weight: Float64[np.ndarray, "kinds"],
    exclusion_days: int,
    held_out_days: int,
) -> Learned:
    """Weights of the components, from each user's last visit before ``cutoff``.

    The vectors are those of the user's car: a user's own have seen the last visit.

    Args:
        held_out_days: mixtures are chosen on visits of so many days before ``cutoff``, or on the newest where these
            are few: the season of the vectors is that of the cutoff, and would be judged by what another one wanted.
    """
    histories = read_histories(tables, "training", cutoff, vectors="cold_profile")
    parts = read_parts(tables, "training", exclusion_days, earlier=True)
    events, end = histories.events, last_visits(histories.events, len(histories.profile))
    held = hold_out(events, parts, histories.base, kind_weight)
    weights = fit_weights(held)
    before = np.zeros(len(histories.profile), np.int64)
    np.maximum.at(before, events.owner, np.where(events.day < end[events.owner], events.kind, 0))
    first = first_visits(events, histories.base, kind_weight)
    begin = np.full(len(before), np.iinfo(np.int64).max)
    np.minimum.at(begin, events.owner, events.day)
    since = int(np.datetime64(cutoff, "D").astype(np.int64)) - held_out_days
    visits = [
        _visits(tables, histories, *first, np.zeros(len(before), np.int64), begin, since),
        _visits(
            tables,
            histories,
            held.owner,
            held.product,
            held.weight,
            np.where(before == VIEW, 1, 2),
            end,
            since,
        ),
    ]
    kept = np.unique(visits[1]["profile"].to_numpy())
    batches = _added(tables, weights, histories, parts, end, "held_out")
    scores = pa.Table.from_batches(batches, schema=SCORE_SCHEMA)
    return Learned(
        weights, pa.concat_tables(visits), scores.filter(pc.is_in(scores["profile"], pa.array(kept)))
    )


def _visits(
    tables: HistoryTables,
    histories: Histories,
    owner: Int64[np.ndarray, "choices"],
    product: Int64[np.ndarray, "choices"],
    weight: Float64[np.ndarray, "choices"],
    tier: Int64[np.ndarray, "owners"],
    day: Int64[np.ndarray, "owners"],
    since: int,
) -> pa.Table:
    """Choices of one visit an owner, on ``day`` of each; of many visits in a tier evenly spaced ones."""
    kept = np.zeros(len(tier), bool)
    for number in range(len(TIERS)):
        of_tier = np.unique(owner[tier[owner] == number])
        recent = of_tier[day[of_tier] >= since]
        if len(recent) < VISITS_AT_LEAST:
            recent = of_tier[np.argsort(-day[of_tier], kind="stable")[:VISITS_AT_LEAST]]
        kept[recent[:: max(1, -(-len(recent) // VISITS_OF_TIER))]] = True
    chosen = kept[owner]
    owner, product, weight = owner[chosen], product[chosen], weight[chosen]
    users = pa.array(histories.user[owner])
    own = tables.user_profiles["profile"].take(users)
    return pa.table(
        {
            **{name: tables.user_nodes[name].take(users).cast(VISIT_SCHEMA.field(name).type) for name in CAR},
            "profile": own if tier.any() else tables.user_profiles["cold_profile"].take(users),
            "cold_profile": tables.user_profiles["cold_profile"].take(users),
            "visit": pa.array(histories.profile[owner] * 2 + int(bool(tier.any()))),
            "tier": pa.array(TIERS).take(pa.array(tier[owner])),
            "base_sku": tables.product_nodes["base_sku"].cast(pa.string()).take(pa.array(product)),
            "weight": pa.array(weight),
            "email_lower": tables.user_profiles["email_lower"].take(users).cast(pa.string()),
            "visit_date": pa.array(day[owner].astype(np.int32), pa.date32()),
        },
        schema=VISIT_SCHEMA,
    )


def score(
    tables: HistoryTables,
    weights: HistoryWeights,
    view: View,
    *,
    view_end: datetime.date,
    exclusion_days: int,
) -> Iterator[pa.RecordBatch]:
    """What is added to the dot product of each profile and part, in :data:`SCORE_SCHEMA`."""
    prefix = "" if view == "training" else "serving_"
    histories = read_histories(tables, view, view_end, vectors=f"{prefix}profile")
    parts = read_parts(tables, view, exclusion_days)
    end = np.full(len(histories.profile), np.datetime64(view_end, "D").astype(np.int64))
    return _added(tables, weights, histories, parts, end, view)


def _added(
    tables: HistoryTables,
    weights: HistoryWeights,
    histories: Histories,
    parts: Parts,
    end: Int64[np.ndarray, "owners"],
    view: str,
) -> Iterator[pa.RecordBatch]:
    """Pairs that a history speaks for: what it adds, and how similar the part is to what the user met."""
    base_skus = tables.product_nodes["base_sku"].cast(pa.string()).combine_chunks()
    reason = np.array([[name.startswith(group) for name in COMPONENTS] for group in REASONS])
    similar = [COMPONENTS.index(name) for name in ("co_viewed_alike", "co_purchased_alike")]
    own = [COMPONENTS.index(name) for name in ("viewed_ever_alike", "cart_ever_alike")]
    for owners in blocks_of(histories.events, histories.base):
        pairs = pairs_of(histories.events, end, parts, histories.base, owners)
        share = pairs.components * weights.values
        added = np.log1p(share.sum(axis=1) / pairs.base) / histories.temperature
        similarity = pairs.components[:, similar].sum(axis=1) + pairs.components[:, own].max(axis=1)
        kept = np.flatnonzero((added > 0) | (similarity > 0))
        columns = {
            "view": pa.repeat(view, len(kept)),
            "profile": pa.array(histories.profile[pairs.owner[kept]].astype(np.int32)),
            "base_sku": base_skus.take(pa.array(pairs.product[kept])),
            "score": pa.array(added[kept]),
            "similarity": pa.array(similarity[kept].astype(np.float64)),
            "reason": pa.array(REASONS).take(pa.array((share[kept] @ reason.T).argmax(axis=1))),
        }
        yield pa.record_batch(columns, schema=SCORE_SCHEMA)


def read_histories(tables: HistoryTables, view: View, view_end: datetime.date, *, vectors: str) -> Histories:
    """Every user with a history before ``view_end``, with the vectors of one column of ``user_profiles``.

    Raises:
        ValueError: two users with a history share a profile.
    """
    prefix = "" if view == "training" else "serving_"
    visits = tables.user_visits.filter(pc.less(tables.user_visits["visit_date"], pa.scalar(view_end)))
    user = known_index(visits["email_lower"], tables.user_profiles["email_lower"], "user_visits")
    product = known_index(visits["base_sku"], tables.product_nodes["base_sku"], "user_visits")
    profile = to_numpy(tables.user_profiles[f"{prefix}profile"]).astype(np.int64)
    active = np.unique(user)
    active = active[np.argsort(profile[active])]
    if len(np.unique(profile[active])) < len(active):
        raise ValueError("user_profiles: users with a history share a profile; build the graph again")
    owner_of = np.full(len(profile), -1)
    owner_of[active] = np.arange(len(active))
    day = to_numpy(visits["visit_date"]).astype("datetime64[D]").astype(np.int64)
    events = HistoryEvents(owner_of[user], product, day, index_of(visits["interaction"], pa.array(KINDS)))
    order = np.lexsort(events[::-1])

    user_vectors = _of_view(tables.user_embeddings, view)
    product_vectors = _of_view(tables.product_embeddings, view)
    temperature = float(pc.max(user_vectors["norm"]).as_py() * pc.max(product_vectors["norm"]).as_py())
    row_of_profile = np.argsort(to_numpy(user_vectors["profile"]))
    asked = to_numpy(tables.user_profiles[vectors]).astype(np.int64)[active]
    place = known_index(
        tables.product_nodes["base_sku"], product_vectors["base_sku"].combine_chunks(), "product_nodes"
    )
    row, offsets, candidates = _candidates(tables, prefix, active)
    base = Base(
        _matrix(user_vectors["embedding"])[row_of_profile[asked]] * temperature,
        _matrix(product_vectors["embedding"])[place],
        row,
        offsets,
        candidates,
    )
    return Histories(events.take(order), base, profile[active], active, temperature)


def read_parts(tables: HistoryTables, view: View, exclusion_days: int, *, earlier: bool = False) -> Parts:
    """What is known of parts as of a view; ``earlier`` without what users first met on their last visit."""
    prefix = "" if view == "training" else "serving_"
    nodes = tables.product_nodes
    visitors, buyers = (
        np.expm1(to_numpy(nodes[f"{prefix}{name}"]).astype(np.float64))
        for name in ("log_visitors", "log_popularity")
    )
    together = {}
    for name, counted, alone in (("co_viewed", "visitors", visitors), ("co_purchased", "users", buyers)):
        edges = getattr(tables, f"{name}_edges")
        count = edges[f"{'earlier_' if earlier else prefix}{counted}"]
        edges = edges.filter(pc.and_(pc.is_valid(edges[f"{prefix}weight"]), pc.greater(count, 0)))
        one = known_index(edges["base_sku"], nodes["base_sku"], f"{name}_edges")
        other = known_index(edges["other_base_sku"], nodes["base_sku"], f"{name}_edges")
        number = to_numpy(edges[f"{'earlier_' if earlier else prefix}{counted}"]).astype(np.float64)
        together[name] = similarity(one, other, number, alone)
    return Parts(conversion(buyers, visitors), **together, exclusion_days=exclusion_days)


def _candidates(
    tables: HistoryTables, prefix: str, users: Int64[np.ndarray, "owners"]
) -> tuple[Int64[np.ndarray, "owners"], Int64[np.ndarray, "starts"], Int64[np.ndarray, "entries"]]:
    """Row of each of ``users``, and the eligible parts of each row: every year, make and model of ``fitment``."""
    fitment = tables.fitment
    keys = joined_key(fitment, "year", "make", "model").dictionary_encode()
    eligible = np.flatnonzero(to_numpy(pc.is_valid(fitment[f"{prefix}sku"])))
    product = known_index(fitment["base_sku"], tables.product_nodes["base_sku"], "fitment")[eligible]
    car = keys.indices.to_numpy().astype(np.int64)[eligible]
    order = np.lexsort((product, car))
    counts = np.bincount(car, minlength=len(keys.dictionary))
    chosen = tables.user_nodes.select(["year", "make", "model"]).take(pa.array(users))
    row = index_of(joined_key(chosen, "year", "make", "model"), keys.dictionary)
    return row, np.concatenate([[0], np.cumsum(counts)]), product[order]


def _of_view(table: pa.Table, view: View) -> pa.Table:
    return table.filter(pc.equal(table["view"].cast(pa.string()), view))


def _matrix(column: pa.ChunkedArray) -> Float32[Tensor, "rows channels"]:
    array = column.combine_chunks()
    values = array.flatten().to_numpy(zero_copy_only=False)
    return torch.from_numpy(np.array(values, np.float32).reshape(len(array), array.type.list_size))
