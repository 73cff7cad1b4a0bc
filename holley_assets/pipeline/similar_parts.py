"""Parts beside a part as of the run's day, from the tables of a run."""

from __future__ import annotations

import datetime

import pyarrow as pa

from holley_assets.core.time_windows import TimeWindows
from holley_assets.evaluation.vectors import vector_matrix, vectors_of_view
from holley_assets.settings import Settings


def similar_parts_of_model(
    product_embeddings: pa.Table,
    ordered_pairs: pa.Table,
    *,
    fitment: pa.Table,
    parts: pa.Table,
    windows: TimeWindows,
    settings: Settings,
) -> pa.Table:
    """Table ``similar_parts`` by the vectors as of the run's day; tables are the assets of their names."""
    # SciPy, which definitions need not load.
    from holley_assets.ranking.similar_parts import find_similar_parts

    vectors = vectors_of_view(product_embeddings, "serving")
    return find_similar_parts(
        vector_matrix(vectors),
        vectors["base_sku"].cast(pa.string()).combine_chunks(),
        ordered_pairs,
        fitment=fitment,
        parts=parts,
        maximum=settings.rules.maximum_similar_parts,
        pair_dimensions=settings.run.pair_dimensions,
        generated_at=datetime.datetime.combine(windows.as_of, datetime.time(), tzinfo=datetime.UTC),
        model_version=vectors["model_version"][0].as_py(),
    )
