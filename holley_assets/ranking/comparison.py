"""Rankings of the same users over the same parts by several systems, as one table."""

from __future__ import annotations

import datetime
from collections.abc import Mapping

import pyarrow as pa

from holley_assets.ranking.candidates import Candidates
from holley_assets.ranking.mixtures import HybridScorer, as_log_probabilities
from holley_assets.ranking.ranker import RankingOptions, rank_users
from holley_assets.ranking.scorers import Scorer
from holley_assets.terms import CAR

RANKING_COLUMNS = ["email_lower", "system", "rank", "base_sku", "score"]


def users_with_profiles(user_nodes: pa.Table, user_profiles: pa.Table, profile: str) -> pa.Table:
    """``email_lower, year, make, model, profile`` of every user; both tables are sorted by e-mail.

    Raises:
        ValueError: the tables are of different users.
    """
    if not user_nodes["email_lower"].equals(user_profiles["email_lower"]):
        raise ValueError("user_profiles is of other users than user_nodes: materialize it again")
    users = user_nodes.select(["email_lower", *CAR])
    return users.append_column("profile", user_profiles[profile])


def pair_scores(popularity: pa.Table, column: str) -> pa.Table:
    """``make, model, base_sku, score``: one score column of table ``popularity``, for a ``PairScorer``."""
    names = ["make", "model", "base_sku"]
    return popularity.select([*names, column]).rename_columns([*names, "score"])


def rank_systems(
    users: pa.Table,
    candidates: Candidates,
    scorers: Mapping[str, Scorer],
    *,
    purchases: pa.Table,
    view_end: datetime.date,
    options: RankingOptions,
) -> pa.Table:
    """:data:`RANKING_COLUMNS` of ``users``, system after system.

    Args:
        users: email_lower, year, make, model and, for scorers that ask for one, profile.
        candidates: the parts that fit.
        scorers: by name of the system; the order is that of the result.
        purchases: email_lower, base_sku, order_date.
        view_end: first day that the rankings do not know.
        options: the rules' numbers.
    """
    rankings = []
    for system, scorer in scorers.items():
        ranking = rank_users(
            users, candidates, scorer, purchases=purchases, view_end=view_end, options=options
        ).to_table(system)
        if isinstance(scorer, HybridScorer):
            ranking = as_log_probabilities(ranking, users, candidates, scorer)
        rankings.append(ranking.select(RANKING_COLUMNS))
    return pa.concat_tables(rankings)
