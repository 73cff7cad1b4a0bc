"""Embeddings made visible: nearest neighbours of known examples, and a picture in the plane."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from jaxtyping import Float, Float64

OTHERS = "others"


def nearest(
    vectors: Float[np.ndarray, "names dimension"],
    names: Sequence[str],
    queries: Sequence[str],
    *,
    neighbours: int = 5,
) -> list[dict[str, Any]]:
    """Nearest neighbours by cosine of a few examples.

    Args:
        names: what each vector is called, unique.
        queries: names to look up; a name that is not there is left out.
        neighbours: how many for each, the example itself not among them; ties go to the earlier name.

    Returns:
        One mapping an example: ``of`` and ``nearest``, a list of ``name`` and ``similarity`` (in [−1, 1]),
        best first.
    """
    row_of = {name: row for row, name in enumerate(names)}
    rows = [row_of[query] for query in queries if query in row_of]
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit = vectors / np.where(length > 0, length, 1.0)
    similarity = unit[rows] @ unit.T  # [queries, names]
    similarity[np.arange(len(rows)), rows] = -np.inf
    order = np.argsort(-similarity, axis=1, kind="stable")[:, : max(min(neighbours, len(names) - 1), 0)]
    return [
        {
            "of": names[row],
            "nearest": [
                {"name": names[column], "similarity": float(similarity[index, column])}
                for column in order[index]
            ],
        }
        for index, row in enumerate(rows)
    ]


def project_to_plane(
    vectors: Float[np.ndarray, "vectors dimension"],
) -> tuple[Float64[np.ndarray, "vectors 2"], float]:
    """The two directions in which the vectors differ most (principal components).

    Each axis is turned so that its largest loading is positive: the same vectors give the same picture.

    Args:
        vectors: of two dimensions at least.

    Returns:
        the points, and the share of the variance that the plane keeps (0 where all vectors are equal).
    """
    centred = vectors.astype(np.float64) - vectors.mean(axis=0, dtype=np.float64)
    variances, directions = np.linalg.eigh(centred.T @ centred)  # ascending
    axes = directions[:, [-1, -2]]  # [dimension, 2]
    axes = axes * np.where(axes[np.abs(axes).argmax(axis=0), [0, 1]] < 0, -1.0, 1.0)
    total = variances.sum()
    return centred @ axes, float(variances[-2:].sum() / total) if total > 0 else 0.0


def embedding_map(
    vectors: Float[np.ndarray, "vectors dimension"],
    groups: Sequence[str | None],
    *,
    limit: int = 3000,
    colours: int = 7,
    seed: int = 0,
) -> pa.Table:
    """Points of a 2-D picture, coloured by their group.

    Args:
        groups: of each vector, such as the part type of each part.
        limit: the most points drawn, a random choice; the plane is fitted on all.
        colours: the most frequent groups keep their name, the rest are :data:`OTHERS`.
        seed: seed of the choice.

    Returns:
        x, y, group; ``kept_variance`` in the schema's metadata.
    """
    if len(vectors) == 0:
        positions, kept = np.empty((0, 2)), 0.0
    else:
        positions, kept = project_to_plane(vectors)
    names, code, counts = np.unique(
        np.array([group or OTHERS for group in groups], dtype=object).astype(str),
        return_inverse=True,
        return_counts=True,
    )
    frequent = np.argsort(-np.where(names == OTHERS, 0, counts), kind="stable")[:colours]
    is_frequent = np.isin(np.arange(len(names)), frequent)
    shown = np.where(is_frequent, names, OTHERS)[code] if len(code) else np.empty(0, dtype=str)
    chosen = np.sort(np.random.default_rng(seed).permutation(len(vectors))[:limit])
    return pa.table(
        {"x": positions[chosen, 0], "y": positions[chosen, 1], "group": pa.array(shown[chosen], pa.string())}
    ).replace_schema_metadata({"kept_variance": f"{kept:.6f}"})
