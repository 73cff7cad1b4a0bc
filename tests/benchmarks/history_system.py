"""The vectors of a study with what users' own histories add to them, as a run scores its test users."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from study import Study

from holley_assets.gnn.embedding import Embeddings
from holley_assets.gnn.history_tables import HistoryTables, learn, score
from holley_assets.ranking import EmbeddingScorer, HistoryScorer


def history_scorer(study: Study, vectors: Embeddings) -> HistoryScorer:
    """Learn the weights of the components before the cutoff and score the training view with them."""
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
    )
    added = pa.Table.from_batches(
        list(score(tables, learned.weights, "training", view_end=study.windows.cutoff, exclusion_days=days))
    )
    return HistoryScorer(EmbeddingScorer(vectors.user, vectors.product, study.products), added)


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
