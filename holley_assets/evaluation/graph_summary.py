"""Degrees of the graph's nodes, binned for a plot: a pipeline that breaks shows here first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa


def degree_distribution(edges: pa.Table, keys: Sequence[str]) -> dict[str, Any]:
    """How many edges the nodes of one side have.

    Args:
        edges: one row an edge.
        keys: the columns that identify a node of the side in question, such as ``["make", "model"]``.

    Returns:
        ``nodes`` (those with an edge), ``mean``, ``median``, ``maximum``, and a histogram in bins that
        double: ``lower`` (1, 2, 4, …; a bin ends before the next one's lower) and ``counts``. None and empty
        lists without edges.
    """
    degrees = edges.group_by(list(keys)).aggregate([([], "count_all")]).column("count_all").to_numpy()
    if len(degrees) == 0:
        return {"nodes": 0, "mean": None, "median": None, "maximum": None, "lower": [], "counts": []}
    counts = np.bincount(np.floor(np.log2(degrees)).astype(np.int64))
    return {
        "nodes": len(degrees),
        "mean": float(degrees.mean()),
        "median": float(np.median(degrees)),
        "maximum": int(degrees.max()),
        "lower": [2**exponent for exponent in range(len(counts))],
        "counts": counts.tolist(),
    }
