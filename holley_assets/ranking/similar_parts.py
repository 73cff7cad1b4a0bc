"""Parts beside a part: what could be bought instead of it, and what is bought with or after it.

``alternative`` is the cosine of the vectors of two parts of one type. ``goes_with`` is directed: ordered pairs of one
buyer, by source and target vectors that are learned from all pairs (:mod:`.directed_vectors`). Both parts may be
recommended, and fit a year, make and model in common.
"""

from __future__ import annotations

import datetime
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Bool, Float, Float32, Int
from scipy.sparse import csr_matrix

from holley_assets.arrays import find_sorted
from holley_assets.ranking.directed_vectors import directed_vectors, pair_scores, rounded
from holley_assets.ranking.encoding import codes_in, encode
from holley_assets.terms import CAR

ALTERNATIVE, GOES_WITH = "alternative", "goes_with"
_EVIDENCE = pa.struct([pa.field("buyers", pa.int64()), pa.field("shared_vehicles", pa.int64())])
SCHEMA = pa.schema(
    [
        ("base_sku", pa.string()),
        ("relation", pa.string()),
        ("rank", pa.int64()),
        ("other_base_sku", pa.string()),
        ("score", pa.float64()),
        ("evidence", _EVIDENCE),
        ("generated_at", pa.timestamp("us", "UTC")),
        ("model_version", pa.string()),
    ]
)
# What the catalogue calls a type that it does not know: two such parts have nothing in common.
_UNKNOWN_TYPE = "UNKNOWN"
# Pairs whose vectors are multiplied at a time.
_BLOCK = 1 << 18


@dataclass(frozen=True)
class _Pairs:
    """Directed pairs of parts by their place among the eligible ones.

    Attributes:
        first, other: places; no pair comes twice.
        buyers: who ordered the other with or after the first; 0 where too few did.
        shared: years, makes and models that both fit in a variant that may be recommended.
    """

    first: Int[np.ndarray, "pairs"]
    other: Int[np.ndarray, "pairs"]
    score: Float[np.ndarray, "pairs"]
    buyers: Int[np.ndarray, "pairs"]
    shared: Int[np.ndarray, "pairs"]


def eligible_parts(parts: pa.Table) -> tuple[pa.StringArray, Int[np.ndarray, "products"]]:
    """Sorted base SKUs that may be recommended, and a number for the type of each; −1 where it is not known.

    The type is that of the best-selling variant that may be recommended, ties by SKU.

    Args:
        parts: base_sku, sku, part_type, serving_orders, serving_ineligible_reason; one row a variant.
    """
    shown = parts.filter(pc.is_null(parts["serving_ineligible_reason"]))
    codes, base_skus = encode(shown["base_sku"])
    orders, (variant, _) = shown["serving_orders"].to_numpy(), encode(shown["sku"])
    order = np.lexsort((variant, -orders, codes))
    best = order[np.flatnonzero(np.diff(codes[order], prepend=-1))]
    types, names = encode(shown["part_type"].take(pa.array(best)))
    unknown = codes_in(pa.array([_UNKNOWN_TYPE]), pc.utf8_upper(names))[0]
    return base_skus, np.where(types == unknown, -1, types)


def find_similar_parts(
    vectors: Float32[np.ndarray, "known dimension"],
    vector_base_skus: pa.StringArray,
    pairs: pa.Table,
    *,
    fitment: pa.Table,
    parts: pa.Table,
    maximum: int,
    pair_dimensions: int,
    generated_at: datetime.datetime,
    model_version: str,
) -> pa.Table:
    """Table ``similar_parts`` with the columns of :data:`SCHEMA`, sorted by part, relation and rank.

    Args:
        vectors: of length one, as of the run's day.
        vector_base_skus: part of each vector.
        pairs: base_sku, other_base_sku, serving_buyers, serving_weight: directed, a pair once.
        fitment: year, make, model, base_sku, serving_sku (null where no variant may be recommended).
        parts: see :func:`eligible_parts`.
        maximum: parts for each part and relation, at most.
        pair_dimensions: of the directed vectors of ``goes_with``.
        generated_at: value of the column of that name.
        model_version: of the vectors.
    """
    base_skus, types = eligible_parts(parts)
    fits = _fitting_vehicles(fitment, base_skus)
    bought = _bought_next(pairs, base_skus, fits, pair_dimensions)
    rows = codes_in(base_skus, vector_base_skus)
    alternatives = _alternatives(vectors, rows, types, fits, bought)
    table = pa.concat_tables(
        [
            _first_rows(alternatives, ALTERNATIVE, base_skus, maximum),
            _first_rows(bought, GOES_WITH, base_skus, maximum),
        ]
    ).sort_by([(name, "ascending") for name in ("base_sku", "relation", "rank")])
    moment = pa.scalar(generated_at, SCHEMA.field("generated_at").type)
    for name, value in (("generated_at", moment), ("model_version", pa.scalar(model_version))):
        table = table.append_column(name, pa.repeat(value, table.num_rows))
    return table.cast(SCHEMA)


def _fitting_vehicles(fitment: pa.Table, base_skus: pa.StringArray) -> csr_matrix:
    """1 where a part fits a year, make and model in a variant that may be recommended."""
    shown = fitment.filter(pc.is_valid(fitment["serving_sku"]))
    year, make, model = (encode(shown[name].cast(pa.string()))[0] for name in CAR)
    key = (make * (model.max(initial=0) + 1) + model) * (year.max(initial=0) + 1) + year
    _, vehicle = np.unique(key, return_inverse=True)
    product = codes_in(shown["base_sku"], base_skus)
    known = product >= 0
    shape = (len(base_skus), int(vehicle.max(initial=-1)) + 1)
    return csr_matrix((np.ones(known.sum(), np.int32), (product[known], vehicle[known])), shape=shape)


def _bought_next(pairs: pa.Table, base_skus: pa.StringArray, fits: csr_matrix, dimensions: int) -> _Pairs:
    """Ordered pairs of eligible parts that share a vehicle; the score is how likely the other comes next.

    Vectors are learned from the pairs of all parts, also of those that may not be shown.
    """
    _, first, other = _numbered(pairs)
    learned = pair_scores(first, other, pairs["serving_weight"].to_numpy(), dimensions)
    first, other = (codes_in(pairs[name], base_skus) for name in ("base_sku", "other_base_sku"))
    kept = np.flatnonzero((first >= 0) & (other >= 0) & (first != other))
    shared = np.zeros(len(first), np.int64)
    for start in range(0, len(kept), _BLOCK):
        block = kept[start : start + _BLOCK]
        shared[block] = np.asarray(fits[first[block]].multiply(fits[other[block]]).sum(axis=1)).ravel()
    kept = kept[shared[kept] > 0]
    kept = kept[np.argsort(first[kept] * len(base_skus) + other[kept])]
    buyers = pairs["serving_buyers"].to_numpy()[kept]
    return _Pairs(first[kept], other[kept], learned[kept], buyers, shared[kept])


def _numbered(
    pairs: pa.Table,
) -> tuple[pa.StringArray, Int[np.ndarray, "pairs"], Int[np.ndarray, "pairs"]]:
    """Sorted base SKUs of all pairs, and the place of both parts of each pair there."""
    columns = ("base_sku", "other_base_sku")
    _, names = encode(
        pa.chunked_array([chunk for name in columns for chunk in pairs[name].chunks], pa.string())
    )
    return names, codes_in(pairs["base_sku"], names), codes_in(pairs["other_base_sku"], names)


def pair_vectors(pairs: pa.Table, dimensions: int) -> pa.Table:
    """``base_sku, source, target``: the directed vectors of the parts that buyers ordered with or after another.

    ``source · target`` of two parts is the score of ``goes_with``, whatever they fit and whether they may be shown.
    A part that never came first has no source (null), and one that never came later no target.

    Args:
        pairs: asset ``ordered_pairs``.
        dimensions: of the vectors, which have one value more.
    """
    names, first, other = _numbered(pairs)
    vectors = directed_vectors(first, other, pairs["serving_weight"].to_numpy(), dimensions)
    return pa.table(
        {
            "base_sku": names,
            "source": _lists(vectors.source, np.bincount(first, minlength=len(names)) > 0),
            "target": _lists(vectors.target, np.bincount(other, minlength=len(names)) > 0),
        }
    )


def _lists(
    matrix: Float[np.ndarray, "products dimension"], there: Bool[np.ndarray, "products"]
) -> pa.ListArray:
    """The rows of ``matrix`` that are there; null in the place of the others."""
    width = matrix.shape[1]
    offsets = np.append(0, np.cumsum(np.where(there, width, 0))).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), pa.array(matrix[there].ravel()), mask=pa.array(~there))


def nearest_targets(vectors: pa.Table, base_sku: str, count: int) -> pa.Table:
    """``base_sku, score``: the ``count`` parts that ``base_sku`` leads to most, best first, ties by name.

    Exact: every target is compared. Empty where the part has no source.

    Args:
        vectors: from :func:`pair_vectors`.
    """
    asked = vectors.filter(pc.equal(vectors["base_sku"], base_sku))["source"].drop_null()
    others = vectors.filter(
        pc.and_(pc.is_valid(vectors["target"]), pc.not_equal(vectors["base_sku"], base_sku))
    )
    if not len(asked):
        return pa.table({"base_sku": others["base_sku"][:0], "score": pa.array([], pa.float64())})
    source = asked.combine_chunks().flatten().to_numpy()
    scores = others["target"].combine_chunks().flatten().to_numpy().reshape(-1, len(source)) @ source
    found = pa.table({"base_sku": others["base_sku"], "score": rounded(scores)})
    return found.sort_by([("score", "descending"), ("base_sku", "ascending")])[:count]


def _alternatives(
    vectors: Float32[np.ndarray, "known dimension"],
    rows: Int[np.ndarray, "products"],
    types: Int[np.ndarray, "products"],
    fits: csr_matrix,
    bought: _Pairs,
) -> _Pairs:
    """All pairs of one type that share a vehicle; the score is the cosine.

    Args:
        rows: vector of each part; −1 where it has none.
        types: number of each part's type; −1 where it is not known.
    """
    count = fits.shape[0]
    entries = fits.tocoo()
    kept = ((types >= 0) & (rows >= 0))[entries.row]
    product, vehicle = entries.row[kept], entries.col[kept].astype(np.int64)
    # One column for each vehicle and type, so that parts of two types never meet.
    _, column = np.unique(vehicle * (types.max(initial=0) + 1) + types[product], return_inverse=True)
    shape = (count, int(column.max(initial=-1)) + 1)
    members = csr_matrix((np.ones(len(product), np.int32), (product, column)), shape=shape)
    together = (members @ members.T).tocoo()
    apart = together.row != together.col
    first, other, shared = (
        values[apart].astype(np.int64) for values in (together.row, together.col, together.data)
    )
    score = np.empty(len(first))
    for start in range(0, len(first), _BLOCK):
        block = slice(start, start + _BLOCK)
        score[block] = np.einsum("ij,ij->i", vectors[rows[first[block]]], vectors[rows[other[block]]])
    place = find_sorted(first * count + other, bought.first * count + bought.other)
    buyers = np.append(bought.buyers, 0)[place]
    return _Pairs(first, other, score, buyers, shared)


def _first_rows(pairs: _Pairs, relation: str, base_skus: pa.StringArray, maximum: int) -> pa.Table:
    """The best ``maximum`` pairs of each first part, ties by the other part."""
    order = np.lexsort((pairs.other, -pairs.score, pairs.first))
    first = pairs.first[order]
    rank = np.arange(len(first)) - np.searchsorted(first, first) + 1
    order, rank = order[rank <= maximum], rank[rank <= maximum]
    evidence = pa.StructArray.from_arrays(
        [pa.array(pairs.buyers[order], pa.int64()), pa.array(pairs.shared[order], pa.int64())],
        fields=list(_EVIDENCE),
    )
    return pa.table(
        {
            "base_sku": base_skus.take(pa.array(pairs.first[order])),
            "relation": pa.repeat(relation, len(order)),
            "rank": pa.array(rank, pa.int64()),
            "other_base_sku": base_skus.take(pa.array(pairs.other[order])),
            "score": pa.array(pairs.score[order], pa.float64()),
            "evidence": evidence,
        }
    )
