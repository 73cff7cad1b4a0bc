"""What is delivered as of the run's day: the wide table of all customers, by the model or by the SQL pipeline."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from holley_assets.core.time_windows import TimeWindows
from holley_assets.evaluation.systems import delivered_system
from holley_assets.evaluation.vectors import temperature_of
from holley_assets.pipeline.mixtures import delivered_scorer
from holley_assets.pipeline.options import ranking_options
from holley_assets.ranking import HistoryScorer, Scorer, build_candidates, rank_users
from holley_assets.ranking.comparison import users_with_profiles
from holley_assets.ranking.mixtures import HybridScorer, ranked_by_log_probabilities
from holley_assets.ranking.recommendations import wide_table
from holley_assets.settings import Settings


@dataclass(frozen=True)
class DeliveryTables:
    """What a model's delivery is made of; each field is the asset of that name."""

    user_nodes: pa.Table
    user_profiles: pa.Table
    user_embeddings: pa.Table
    product_embeddings: pa.Table
    history_scores: pa.Table
    mixture_weights: pa.Table
    popularity: pa.Table
    fitment: pa.Table
    parts: pa.Table
    user_purchases: pa.Table


def users_of_delivery(tables: DeliveryTables) -> pa.Table:
    """All users with their cars and their profiles as of the run's day."""
    return users_with_profiles(tables.user_nodes, tables.user_profiles, "serving_profile")


def recommendations_of_model(
    users: pa.Table, tables: DeliveryTables, windows: TimeWindows, settings: Settings
) -> tuple[pa.Table, dict[str, Any]]:
    """The wide table by what the model's version says, the graph model or the hybrid; and what the UI shows of it.

    Args:
        users: of :func:`users_of_delivery`, or some of them.
    """
    vectors = (tables.user_embeddings, tables.product_embeddings)
    model_version = tables.product_embeddings["model_version"][0].as_py()
    system = delivered_system(model_version)
    tiers, profiles = tables.user_nodes["serving_engagement_tier"], tables.user_profiles["serving_profile"]
    scorer = delivered_scorer(
        system,
        HistoryScorer.from_tables(*vectors, tables.history_scores, "serving"),
        tables.mixture_weights,
        popularity=tables.popularity,
        users=pa.table({"tier": tiers, "profile": profiles}),
        temperature=temperature_of(*vectors, "serving"),
    )
    table, shown = recommendations_of_users(
        users,
        scorer,
        fitment=tables.fitment,
        parts=tables.parts,
        purchases=tables.user_purchases,
        windows=windows,
        settings=settings,
        model_version=model_version,
    )
    return table, {**shown, "delivered_system": system}


def recommendations_of_users(
    users: pa.Table,
    scorer: Scorer,
    *,
    fitment: pa.Table,
    parts: pa.Table,
    purchases: pa.Table,
    windows: TimeWindows,
    settings: Settings,
    model_version: str,
) -> tuple[pa.Table, dict[str, Any]]:
    """The wide table of all users as of ``as_of`` by one scorer, and what the UI shows of it."""
    ranking = rank_users(
        users,
        build_candidates(fitment, parts, view="serving", apply_rules=True),
        scorer,
        purchases=purchases,
        view_end=windows.as_of,
        options=ranking_options(settings, settings.rules.maximum_parts),
    )
    if isinstance(scorer, HybridScorer):
        ranking = ranked_by_log_probabilities(ranking, users, scorer)
    table, dropped = wide_table(
        ranking,
        users,
        parts,
        view="serving",
        minimum_parts=settings.rules.minimum_parts,
        maximum_parts=settings.rules.maximum_parts,
        generated_at=datetime.datetime.combine(windows.as_of, datetime.time(), tzinfo=datetime.UTC),
        model_version=model_version,
    )
    return table, {
        "users": users.num_rows,
        "distinct_rankings": ranking.request_count,
        "users_without_row": dropped,
        "model_version": model_version,
        "as_of": windows.as_of.isoformat(),
    }
