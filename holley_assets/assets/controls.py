"""Plain counts of the data that the model reads: what a lift must beat to be the graph's own."""

from collections.abc import Mapping

import dagster as dg
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from holley_assets.assets.step import Step
from holley_assets.core.groups import (
    EVALUATION,
    OWNERS,
)
from holley_assets.core.materialized import Materialized
from holley_assets.core.time_windows import (
    TimeWindows,
)
from holley_assets.evaluation.car_traffic import car_names
from holley_assets.evaluation.labels import ground_truth, labelled_users
from holley_assets.evaluation.systems import COUNT_BY_CAR, COUNTS
from holley_assets.evaluation.vectors import vector_matrix, vectors_of_view
from holley_assets.pipeline.options import ranking_options
from holley_assets.ranking import (
    EmbeddingScorer,
    ProfileScorer,
    Scorer,
    build_candidates,
    rank_users,
)
from holley_assets.ranking.comparison import RANKING_COLUMNS, users_with_profiles
from holley_assets.ranking.history_counts import history_scorers
from holley_assets.resources.settings_resource import SettingsResource
from holley_assets.settings import Settings
from holley_assets.terms import CAR


def rank_controls(
    users: pa.Table,
    *,
    counts: pa.Table,
    layers: pa.Table,
    visitor_demand: pa.Table,
    fitment: pa.Table,
    parts: pa.Table,
    purchases: pa.Table,
    windows: TimeWindows,
    settings: Settings,
    history: Mapping[str, Scorer] | None = None,
) -> pa.Table:
    """Rankings of ``users`` by each count as of the cutoff, one row a user, system and rank.

    Args:
        users: email_lower, year, make, model and profile.
        counts: base_sku and a column for each of :data:`COUNTS`.
        layers: asset ``layer_embeddings``.
        visitor_demand: year, make, model, base_sku, weight; null where the demand came after the cutoff.
        history: scorers whose profiles are the rows of ``users``.
    """
    candidates = build_candidates(fitment, parts, view="training", apply_rules=True)
    base_skus, one = counts["base_sku"].combine_chunks(), np.ones((1, 1), np.float32)
    alike = pa.array(np.zeros(users.num_rows, np.int32))
    cars = car_names(users).dictionary_encode()
    scorers: dict[str, tuple[Scorer, pa.Array]] = {
        system: (EmbeddingScorer(one, counts[system].to_numpy()[:, None], base_skus, name=system), alike)
        for system in COUNTS
    }
    scorers |= {system: (_layer_scorer(layers, system), users["profile"]) for system in _layers_of(layers)}
    scorers[COUNT_BY_CAR] = (_demand_scorer(visitor_demand, cars.dictionary), cars.indices)
    rows = pa.array(np.arange(users.num_rows, dtype=np.int32))
    scorers |= {system: (scorer, rows) for system, scorer in (history or {}).items()}
    rankings = [
        rank_users(
            users.select(["email_lower", *CAR]).append_column("profile", profiles),
            candidates,
            scorer,
            purchases=purchases,
            view_end=windows.cutoff,
            options=ranking_options(settings, settings.evaluation.depth),
        ).to_table(system)
        for system, (scorer, profiles) in scorers.items()
    ]
    return pa.concat_tables(rankings).select(RANKING_COLUMNS)


def _layers_of(layers: pa.Table) -> list[str]:
    return sorted(pc.unique(layers["system"].cast(pa.string())).to_pylist())


def _layer_scorer(layers: pa.Table, system: str) -> EmbeddingScorer:
    """Scores of the model with fewer layers; a profile's row is its number."""
    own = layers.filter(pc.equal(layers["system"].cast(pa.string()), system))
    users = own.filter(pc.is_valid(own["profile"])).sort_by("profile")
    products = own.filter(pc.is_valid(own["base_sku"]))
    base_skus = products["base_sku"].cast(pa.string()).combine_chunks()
    return EmbeddingScorer(vector_matrix(users), vector_matrix(products), base_skus, name=system)


def _demand_scorer(visitor_demand: pa.Table, cars: pa.Array) -> ProfileScorer:
    """Demand as it is, of the cars at these positions."""
    demand = visitor_demand.filter(pc.is_valid(visitor_demand["weight"]))
    profile = pc.index_in(car_names(demand), value_set=cars)
    wanted = pa.table({"profile": profile, "base_sku": demand["base_sku"], "score": demand["weight"]})
    return ProfileScorer(wanted.filter(pc.is_valid(profile)), name=COUNT_BY_CAR)


@dg.asset(group_name=EVALUATION, owners=OWNERS, kinds={"arrow", "numpy"})
def control_rankings(
    context: dg.AssetExecutionContext,
    settings: SettingsResource,
    user_nodes: pa.Table,
    user_profiles: pa.Table,
    product_embeddings: pa.Table,
    layer_embeddings: pa.Table,
    visitor_demand: pa.Table,
    user_visits: pa.Table,
    co_viewed_edges: pa.Table,
    product_nodes: pa.Table,
    fitment: pa.Table,
    parts: pa.Table,
    user_purchases: pa.Table,
    test_clicks: pa.Table,
    test_interactions: pa.Table,
) -> Materialized:
    """One row a test user, count and rank from 1 to 20: what plain counting of the same data would have shown.

    The model reads what every visitor chose and for which cars a part can be. Popularity counted on the same
    data, one number a part and no tastes, shows how much of a lift over `sql` is better counting. Systems:
    `counted_popularity` (everybody who looked at a part) and `fitted_popularity` (how often it is chosen among
    the parts that fit the same car), which a gain must beat; and `visitor_demand` (who wanted the part for the
    very car, counted as it is), which shows what the network adds to it. `levels`, `levels_visitors` and
    `levels_messages` are the model with fewer layers, see `layer_embeddings`: what each layer adds is the difference
    from one to the next. For users with a history there are `last_seen` (what they looked at or put into the cart,
    newest first) and `item_to_item` (what visitors met together with what they met); everybody else is ranked by
    `counted_popularity` there.
    """
    step = Step(context, settings)
    labels = ground_truth(step.settings.evaluation.labels, test_clicks, test_interactions)
    users = labelled_users(users_with_profiles(user_nodes, user_profiles, "profile"), labels)
    counts = vectors_of_view(product_embeddings, "training")
    visitors = np.expm1(product_nodes["log_visitors"].to_numpy().astype(np.float64))
    rankings = rank_controls(
        users,
        counts=counts,
        layers=layer_embeddings,
        visitor_demand=visitor_demand,
        fitment=fitment,
        parts=parts,
        purchases=user_purchases,
        windows=step.windows,
        settings=step.settings,
        history=history_scorers(
            user_visits,
            users["email_lower"].cast(pa.string()).combine_chunks(),
            step.windows.cutoff,
            co_viewed_edges,
            pa.table({"base_sku": product_nodes["base_sku"], "visitors": visitors}),
            pa.table({"base_sku": counts["base_sku"], "score": counts["counted_popularity"]}),
        ),
    )
    return dg.MaterializeResult(value=rankings, metadata={"test_users": users.num_rows})
