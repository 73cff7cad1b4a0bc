"""Vectors as the embedding assets hold them."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Float32

from holley_assets.terms import View


def vectors_of_view(embeddings: pa.Table, view: View) -> pa.Table:
    """The rows of ``user_embeddings`` or ``product_embeddings`` as of the cutoff, or as of today."""
    return embeddings.filter(pc.equal(embeddings["view"].cast(pa.string()), view))


def vector_matrix(vectors: pa.Table) -> Float32[np.ndarray, "rows dimension"]:
    """Column ``embedding``."""
    column = vectors["embedding"].combine_chunks()
    # A Parquet file without rows has no chunk to flatten.
    values = column.flatten().to_numpy() if len(column) else np.empty(0, np.float32)
    return values.reshape(len(column), column.type.list_size)


def temperature_of(user_embeddings: pa.Table, product_embeddings: pa.Table, view: View = "training") -> float:
    """What a score of ``view`` is multiplied by to give a logit: the product of the longest vectors' lengths."""
    tables = (user_embeddings, product_embeddings)
    return float(np.prod([pc.max(vectors_of_view(table, view)["norm"]).as_py() for table in tables]))
