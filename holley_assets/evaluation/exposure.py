"""What a system shows, whatever users click: coverage, concentration, popularity and part types."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Num

from holley_assets.terms import SLOTS

NO_PART_TYPE = "(none)"


def gini(counts: Num[np.ndarray, "things"]) -> float | None:
    """Gini coefficient of non-negative counts: 0 when all are equal, towards 1 when one holds everything.

    With counts sorted up and ranks i = 1 … n it is ``Σ (2i − n − 1) x_i / (n Σ x)``. None without any count.
    """
    total = counts.sum()
    if total == 0:
        return None
    n = len(counts)
    return float(((2.0 * np.arange(1, n + 1) - n - 1.0) * np.sort(counts)).sum() / (n * total))


def top_slots(rankings: pa.Table, system: str, *, slots: int = SLOTS) -> pa.Table:
    """Rows of ``system`` that an e-mail would show."""
    return rankings.filter(
        pc.and_(
            pc.equal(rankings.column("system").cast(pa.string()), system),
            pc.less_equal(rankings.column("rank"), slots),
        )
    )


def part_type_counts(part_types: pa.ChunkedArray) -> dict[str, int]:
    """How often each part type occurs, most frequent first, ties by name."""
    filled = pc.fill_null(part_types.cast(pa.string()), NO_PART_TYPE)
    counted = sorted(
        ((row["values"], row["counts"]) for row in pc.value_counts(filled).to_pylist()),
        key=lambda item: (-item[1], item[0]),
    )
    return dict(counted)


def exposure(rankings: pa.Table, products: pa.Table, systems: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Coverage, concentration, popularity bias and part types of the first four slots of each system.

    Args:
        rankings: email_lower, system, rank, base_sku.
        products: base_sku, part_type, log_popularity (``ln(1 + orders)``): the catalogue.
        systems: which systems.

    Returns:
        By system: ``slots`` (filled ones), ``parts`` (distinct), ``coverage`` (share of the catalogue that
        any user is shown), ``gini`` (of exposure over the catalogue), ``popularity_percentile`` (mean over
        slots of the share of the catalogue that sells less, ties half: 0.5 is a random part) and
        ``part_types`` (slots by part type). None where there is no slot.
    """
    catalogue = products.column("base_sku").cast(pa.string()).combine_chunks()
    popularity = products.column("log_popularity").to_numpy().astype(np.float64)
    in_order = np.sort(popularity)
    below = np.searchsorted(in_order, popularity, side="left")
    up_to = np.searchsorted(in_order, popularity, side="right")
    percentile = (below + up_to) / (2.0 * max(len(popularity), 1))

    result: dict[str, dict[str, Any]] = {}
    for system in systems:
        shown = top_slots(rankings, system).column("base_sku").cast(pa.string())
        row = pc.drop_null(pc.index_in(shown, value_set=catalogue)).to_numpy()
        counts = np.bincount(row, minlength=len(catalogue))
        result[system] = {
            "slots": len(shown),
            "parts": int((counts > 0).sum()),
            "coverage": float((counts > 0).mean()) if len(row) else None,
            "gini": gini(counts),
            "popularity_percentile": float(counts @ percentile / counts.sum()) if len(row) else None,
            "part_types": part_type_counts(products.column("part_type").take(pa.array(row))),
        }
    return result


def score_histograms(
    rankings: pa.Table, systems: Sequence[str], *, bins: int = 40
) -> dict[str, dict[str, Any]]:
    """Distribution of the scores in the first four slots of each system.

    Scales differ between systems (a cosine, a logarithm of orders), so each has its own bins.

    Returns:
        By system: ``edges`` [bins + 1] and ``counts`` [bins]; both empty without finite scores.
    """
    result: dict[str, dict[str, Any]] = {}
    for system in systems:
        scores = top_slots(rankings, system).column("score").to_numpy().astype(np.float64)
        finite = scores[np.isfinite(scores)]
        counts, edges = np.histogram(finite, bins=bins) if len(finite) else (np.empty(0), np.empty(0))
        result[system] = {"edges": edges.tolist(), "counts": counts.astype(int).tolist()}
    return result


def delivered(recommendations: pa.Table, parts: pa.Table) -> dict[str, Any]:
    """What the delivered table shows its users.

    Args:
        recommendations: rec_part_1 … rec_part_4 (SKUs; null in an empty slot), one row a user.
        parts: sku, part_type.

    Returns:
        ``users``, ``slots`` (filled ones), ``parts`` (distinct SKUs) and ``part_types`` (slots by type).
    """
    columns = [name for name in recommendations.column_names if name.startswith("rec_part_")]
    chunks = [chunk.cast(pa.string()) for name in columns for chunk in recommendations.column(name).chunks]
    shown = pc.drop_null(pa.chunked_array(chunks, pa.string()))
    row = pc.index_in(shown, value_set=parts.column("sku").cast(pa.string()).combine_chunks())
    return {
        "users": recommendations.num_rows,
        "slots": len(shown),
        "parts": pc.count_distinct(shown).as_py(),
        "part_types": part_type_counts(parts.column("part_type").take(row)),
    }


def delivered_exposure(
    recommendations: pa.Table, parts: pa.Table, products: pa.Table, users: pa.Table
) -> dict[str, float | None]:
    """What the delivered table shows, in numbers that are plotted over time.

    Args:
        recommendations: email_lower, rec_part_1 … rec_part_4.
        parts: sku, base_sku.
        products: base_sku, part_type, serving_log_popularity: the catalogue as of today.
        users: email_lower, serving_engagement_tier.

    Returns:
        ``cold_user_coverage`` (share of the cold users with a row), ``catalogue_coverage``, ``exposure_gini`` and
        ``popularity_percentile`` as in :func:`exposure`.
    """
    base_of, skus = parts.column("base_sku"), parts.column("sku").cast(pa.string()).combine_chunks()
    shown = pa.concat_tables(
        [
            pa.table({"base_sku": base_of.take(pc.index_in(pc.drop_null(column.cast(pa.string())), skus))})
            for name, column in zip(recommendations.column_names, recommendations.columns, strict=True)
            if name.startswith("rec_part_")
        ]
    )
    rankings = shown.append_column("system", pa.repeat("delivered", len(shown)))
    rankings = rankings.append_column("rank", pa.repeat(pa.scalar(1, pa.int64()), len(shown)))
    catalogue = products.select(["base_sku", "part_type"]).append_column(
        "log_popularity", products.column("serving_log_popularity")
    )
    found = exposure(rankings, catalogue, ["delivered"])["delivered"]
    is_cold = pc.equal(users.column("serving_engagement_tier").cast(pa.string()), "cold")
    cold = users.filter(is_cold).column("email_lower")
    served = pc.sum(pc.is_in(cold, value_set=recommendations.column("email_lower").combine_chunks())).as_py()
    return {
        "cold_user_coverage": served / len(cold) if len(cold) else None,
        "catalogue_coverage": found["coverage"],
        "exposure_gini": found["gini"],
        "popularity_percentile": found["popularity_percentile"],
    }
