"""Systems that are made of others: what they are chosen by, their scorers, and what the report says of them."""

from __future__ import annotations

import dataclasses
import datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Int64

from holley_assets.evaluation.vectors import vector_matrix, vectors_of_view
from holley_assets.ranking import EmbeddingScorer, HistoryScorer, PairScorer, Scorer, build_candidates
from holley_assets.ranking.comparison import pair_scores
from holley_assets.ranking.leave_out import TierMinimums, sql_without_own_orders
from holley_assets.ranking.mixtures import (
    Choices,
    HybridScorer,
    SimilarPartsScorer,
    chosen_value,
    read_choices,
    similarity_scorer,
)
from holley_assets.terms import TIERS, View


@dataclasses.dataclass(frozen=True)
class MixtureTables:
    """What mixtures are chosen by; each field is the asset of that name."""

    held_out_visits: pa.Table
    held_out_scores: pa.Table
    user_embeddings: pa.Table
    product_embeddings: pa.Table
    popularity: pa.Table
    fitment: pa.Table
    parts: pa.Table
    order_lines: pa.Table
    user_nodes: pa.Table


def read_held_out_choices(tables: MixtureTables, minimums: TierMinimums, *, cutoff: datetime.date) -> Choices:
    """What was chosen on each held-out visit, with the scores of all systems that are mixed.

    Args:
        minimums: orders before a tier of the SQL pipeline counts.
        cutoff: no order of this day or later counts in the SQL pipeline.
    """
    visits = tables.held_out_visits
    users = vectors_of_view(tables.user_embeddings, "training").sort_by("profile")
    products = vectors_of_view(tables.product_embeddings, "training")
    vectors = vector_matrix(users).copy()
    # A user's own vector has seen the visit.
    vectors[visits["profile"].to_numpy()] = vectors[visits["cold_profile"].to_numpy()]
    base_skus = products["base_sku"].cast(pa.string()).combine_chunks()
    gnn = EmbeddingScorer(vectors, vector_matrix(products), base_skus)
    scorers: dict[str, Scorer] = {
        "gnn": HistoryScorer(gnn, tables.held_out_scores),
        "sql": sql_scorer(tables.popularity),
        "similarity": similarity_scorer(tables.held_out_scores),
    }
    candidates = build_candidates(tables.fitment, tables.parts, view="training", apply_rules=True)
    choices = read_choices(visits, candidates, scorers)
    lines = tables.order_lines
    before = pc.less(lines["order_date"], pa.scalar(cutoff))
    counted = pc.and_(pc.and_(lines["counts_as_order"], lines["counts_in_popularity"]), before)
    sql = sql_without_own_orders(
        visits,
        candidates,
        offsets=choices.offsets,
        pair=choices.pair,
        popularity=tables.popularity,
        orders=lines.filter(counted),
        users=tables.user_nodes,
        minimums=minimums,
    )
    return dataclasses.replace(choices, scores={**choices.scores, "sql": sql})


def sql_scorer(popularity: pa.Table, view: View = "training") -> PairScorer:
    """System ``sql``."""
    column = "sql_score" if view == "training" else "serving_sql_score"
    return PairScorer(pair_scores(popularity, column), name="sql")


def delivered_scorer(
    system: str,
    gnn: Scorer,
    mixtures: pa.Table,
    *,
    popularity: pa.Table,
    users: pa.Table,
    temperature: float,
) -> Scorer:
    """What a model is delivered as, as of the run's day.

    Args:
        system: one of :data:`holley_assets.evaluation.systems.DELIVERED_SYSTEMS`.
        gnn: the model.
        mixtures: asset ``mixture_weights``.
        users: ``tier`` and ``profile`` of every user, as of the run's day.
        temperature: what a score of ``gnn`` is multiplied by to give a logit.
    """
    if system == "gnn":
        return gnn
    return _hybrid(gnn, sql_scorer(popularity, "serving"), mixtures, users, temperature)


def _hybrid(
    gnn: Scorer, sql: PairScorer, mixtures: pa.Table, users: pa.Table, temperature: float
) -> HybridScorer:
    of_tier = np.array([chosen_value(mixtures, "alpha", tier) for tier in TIERS])
    profile = users["profile"].to_numpy()
    alpha = np.zeros(int(profile.max(initial=-1)) + 1)
    alpha[profile] = of_tier[_tier_numbers(users)]
    return HybridScorer(gnn, sql, temperature, chosen_value(mixtures, "sql_temperature"), alpha)


def _tier_numbers(users: pa.Table) -> Int64[np.ndarray, "users"]:
    numbers = pc.index_in(users["tier"].cast(pa.string()), value_set=pa.array(TIERS))
    return np.asarray(numbers.to_numpy(), np.int64)


def mixed_scorers(
    gnn: Scorer,
    mixtures: pa.Table,
    *,
    popularity: pa.Table,
    history_scores: pa.Table,
    users: pa.Table,
    temperature: float,
) -> dict[str, Scorer]:
    """Systems ``hybrid`` and ``sql_similar`` as of the cutoff.

    Args:
        users: ``tier`` and ``profile`` of every user.
        temperature: what a score of ``gnn`` is multiplied by to give a logit.
    """
    sql = sql_scorer(popularity)
    similar = history_scores.filter(pc.equal(history_scores["view"].cast(pa.string()), "training"))
    # Cold users have nothing in the window: orders of years ago change nothing there.
    known = pa.array(np.unique(users["profile"].to_numpy()[_tier_numbers(users) > 0]))
    similar = similar.filter(pc.is_in(similar["profile"], value_set=known.cast(similar["profile"].type)))
    return {
        "hybrid": _hybrid(gnn, sql, mixtures, users, temperature),
        "sql_similar": SimilarPartsScorer(sql, similar, chosen_value(mixtures, "beta")),
    }


def mixtures_section(mixtures: pa.Table, rankings: pa.Table, user_nodes: pa.Table) -> dict[str, object]:
    """What was chosen and its curve, and whether ``sql_similar`` is ``sql`` for every cold user, as it must be."""
    rows = mixtures.to_pylist()
    cold = user_nodes.filter(pc.equal(user_nodes["engagement_tier"].cast(pa.string()), TIERS[0]))[
        "email_lower"
    ]
    shown = rankings.filter(
        pc.is_in(rankings["email_lower"].cast(pa.string()), value_set=cold.cast(pa.string()))
    )
    shown = shown.sort_by([("email_lower", "ascending"), ("rank", "ascending")])
    first, second = (
        shown.filter(pc.equal(shown["system"].cast(pa.string()), system)).select(
            ["email_lower", "rank", "base_sku"]
        )
        for system in ("sql", "sql_similar")
    )
    return {
        "sql_temperature": chosen_value(mixtures, "sql_temperature"),
        "alpha": {tier: chosen_value(mixtures, "alpha", tier) for tier in TIERS},
        "beta": chosen_value(mixtures, "beta"),
        "curves": [
            {name: row[name] for name in row if name != "system"}
            for row in rows
            if row["parameter"] != "sql_temperature"
        ],
        "sql_similar_equals_sql_for_cold_users": first.equals(second),
    }
