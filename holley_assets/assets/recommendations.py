"""The wide table, staged: what will be delivered if the checks agree."""

import datetime
from typing import Any

import dagster as dg
import pyarrow as pa

from holley_assets.assets.step import Step
from holley_assets.core.groups import (
    OWNERS,
    RECOMMENDATIONS,
)
from holley_assets.core.metadata_keys import SOURCE_KIND
from holley_assets.core.time_windows import (
    TimeWindows,
)
from holley_assets.evaluation.systems import delivered_system
from holley_assets.evaluation.vectors import temperature_of
from holley_assets.pipeline.mixtures import delivered_scorer
from holley_assets.pipeline.options import ranking_options
from holley_assets.ranking import HistoryScorer, Scorer, build_candidates, rank_users
from holley_assets.ranking.comparison import users_with_profiles
from holley_assets.ranking.mixtures import HybridScorer, ranked_by_log_probabilities
from holley_assets.ranking.recommendations import wide_table
from holley_assets.resources.settings_resource import SettingsResource
from holley_assets.resources.step_resources import heavy_step
from holley_assets.settings import Settings


def delivered_by(
    *,
    user_nodes: pa.Table,
    user_profiles: pa.Table,
    user_embeddings: pa.Table,
    product_embeddings: pa.Table,
    history_scores: pa.Table,
    mixture_weights: pa.Table,
    popularity: pa.Table,
) -> tuple[Scorer, str]:
    """What scores as of ``as_of`` by the tables of these names, and the version of its model."""
    vectors = (user_embeddings, product_embeddings)
    model_version = str(product_embeddings["model_version"][0].as_py())
    scorer = delivered_scorer(
        delivered_system(model_version),
        HistoryScorer.from_tables(*vectors, history_scores, "serving"),
        mixture_weights,
        popularity=popularity,
        users=pa.table(
            {"tier": user_nodes["serving_engagement_tier"], "profile": user_profiles["serving_profile"]}
        ),
        temperature=temperature_of(*vectors, "serving"),
    )
    return scorer, model_version


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


@dg.asset(
    group_name=RECOMMENDATIONS,
    owners=OWNERS,
    kinds={"arrow", "numpy"},
    op_tags=heavy_step("score"),
)
def recommendations(
    context: dg.AssetExecutionContext,
    settings: SettingsResource,
    user_nodes: pa.Table,
    user_profiles: pa.Table,
    user_embeddings: pa.Table,
    product_embeddings: pa.Table,
    history_scores: pa.Table,
    mixture_weights: pa.Table,
    popularity: pa.Table,
    fitment: pa.Table,
    parts: pa.Table,
    user_purchases: pa.Table,
) -> dg.MaterializeResult:
    """One row a customer: three or four parts for the car, best first, with price, score and image.

    Staged, not delivered: the checks on this table decide whether `recommendations_table` may publish it.
    Scored on the graph as of `as_of`, with the latest purchases left out, by what the model's version says: the graph
    model, or `hybrid` where HOLLEY_SERVING_SYSTEM said so when it was trained. Customers that share a car and have no
    history share a ranking, which is computed once. A customer with fewer than three parts gets no row and is counted.
    `generated_at` is the start of the run's day, so that a repeated run gives the same table.
    """
    step = Step(context, settings)
    scorer, model_version = delivered_by(
        user_nodes=user_nodes,
        user_profiles=user_profiles,
        user_embeddings=user_embeddings,
        product_embeddings=product_embeddings,
        history_scores=history_scores,
        mixture_weights=mixture_weights,
        popularity=popularity,
    )
    table, metadata = recommendations_of_users(
        users_with_profiles(user_nodes, user_profiles, "serving_profile"),
        scorer,
        fitment=fitment,
        parts=parts,
        purchases=user_purchases,
        windows=step.windows,
        settings=step.settings,
        model_version=model_version,
    )
    return dg.MaterializeResult(
        value=table,
        metadata={
            **metadata,
            SOURCE_KIND: step.windows.source_kind,
            "delivered_system": delivered_system(model_version),
            **step.took(),
        },
    )
