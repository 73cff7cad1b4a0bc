"""The vectors of a study with what users' own histories add to them, as a run scores its test users."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from study import Study, tell

from holley_assets.evaluation.vectors import temperature_of
from holley_assets.gnn.embedding import Embeddings
from holley_assets.gnn.history_tables import HistoryTables, Learned, learn, score
from holley_assets.pipeline.mixtures import MixtureTables, mixed_scorers, read_held_out_choices
from holley_assets.pipeline.options import tier_minimums
from holley_assets.ranking import EmbeddingScorer, HistoryScorer, Scorer
from holley_assets.ranking.mixtures import choose_mixtures


def history_scorer(study: Study, vectors: Embeddings) -> HistoryScorer:
    """Learn the weights of the components before the cutoff and score the training view with them."""
    return learn_histories(study, vectors)[0]


def mixed_systems(study: Study, vectors: Embeddings) -> dict[str, Scorer]:
    """``hybrid`` and ``sql_similar`` of these vectors, chosen and scored as a run does."""
    gnn, tables, learned, added = learn_histories(study, vectors)
    choices = read_held_out_choices(
        MixtureTables(
            held_out_visits=learned.visits,
            held_out_scores=learned.scores,
            user_embeddings=tables.user_embeddings,
            product_embeddings=tables.product_embeddings,
            **{
                name: study.tables[name]
                for name in ("popularity", "fitment", "parts", "order_lines", "user_nodes")
            },
        ),
        tier_minimums(study.settings),
        cutoff=study.windows.cutoff,
    )
    temperature = temperature_of(tables.user_embeddings, tables.product_embeddings)
    mixtures = choose_mixtures(choices, temperature)
    chosen = [row for row in mixtures.to_pylist() if row["chosen"] and row["parameter"] != "sql_temperature"]
    said = (f"{row['parameter']} {row['tier'] or ''} {row['value']:g} of {row['visits']}" for row in chosen)
    tell(f"{study.name}: {', '.join(said)}")
    return mixed_scorers(
        gnn,
        mixtures,
        popularity=study.tables["popularity"],
        history_scores=added,
        users=pa.table(
            {
                "tier": study.tables["user_nodes"]["engagement_tier"],
                "profile": tables.user_profiles["profile"],
            }
        ),
        temperature=temperature,
    )


def learn_histories(
    study: Study, vectors: Embeddings
) -> tuple[HistoryScorer, HistoryTables, Learned, pa.Table]:
    """The scorer of the training view, what it is made from, and what the histories add."""
    profiles, run = study.graph.user_profiles, study.settings.run
    names = ("user_visits", "user_nodes", "product_nodes", "co_viewed_edges", "co_purchased_edges", "fitment")
    tables = HistoryTables(
        **{name: study.tables[name] for name in names},
        user_profiles=pa.table(
            {
                "email_lower": study.tables["user_nodes"]["email_lower"],
                "profile": pa.array(profiles, pa.int32()),
                "cold_profile": pa.array(study.graph.data["user"].cold_profile.numpy()[profiles], pa.int32()),
            }
        ),
        user_embeddings=_vectors(
            "profile", pa.array(np.arange(len(vectors.user))), vectors.user, vectors.user_norm
        ),
        product_embeddings=_vectors(
            "base_sku", pa.array(study.products, pa.string()), vectors.product, vectors.product_norm
        ),
    )
    days = study.settings.rules.purchase_exclusion_days
    learned = learn(
        tables,
        cutoff=study.windows.cutoff,
        kind_weight=np.array([run.view_weight, run.cart_weight, run.order_weight]),
        exclusion_days=days,
        held_out_days=run.test_days,
    )
    added = pa.Table.from_batches(
        list(score(tables, learned.weights, "training", view_end=study.windows.cutoff, exclusion_days=days))
    )
    scorer = HistoryScorer(EmbeddingScorer(vectors.user, vectors.product, study.products), added)
    return scorer, tables, learned, added


def _vectors(key: str, names: pa.Array, vectors: np.ndarray, norms: np.ndarray) -> pa.Table:
    flat = pa.array(np.ascontiguousarray(vectors, np.float32).ravel())
    return pa.table(
        {
            "view": pa.repeat("training", len(vectors)),
            key: names,
            "embedding": pa.FixedSizeListArray.from_arrays(flat, vectors.shape[1]),
            "norm": pa.array(norms),
        }
    )
