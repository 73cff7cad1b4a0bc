"""What is bought after a part? Directed vectors against counts, on a buyer's next purchases after the cutoff.

    python tests/benchmarks/similar_parts.py --source ../shared/data/online_retail --as-of 2011-12-10 \
      --intent-start 2011-06-01

A part has two vectors, score = source(a) · target(b), so that a to b is not b to a. They are the truncated singular
vectors of the positive pointwise mutual information of ordered pairs: what one buyer ordered first, and then or on the
same day. Each user asks with the parts of its last day of orders before the cutoff; the answer is what it chose in the
test window. No rule and no car is applied: this judges the relation alone.
"""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from scipy.sparse import coo_matrix, csr_matrix
from scipy.sparse.linalg import svds

from holley_assets.ranking.directed_vectors import pair_scores
from holley_assets.sample_data.fits import ranges

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
# All parts' scores for some bases.
Scores = Callable[[IntArray], FloatArray]

DEPTH = 10
DIMENSIONS = 64
CONTEXT_SMOOTHING = 0.75
# What orders parts that a system scores alike, 0 for most of them; far below any other score.
POPULARITY_TIE_BREAK = 1e-9


def ordered_pairs(
    buyer: IntArray,
    product: IntArray,
    day: IntArray,
    num_products: int,
    *,
    window_days: int,
    decay_days: float,
) -> csr_matrix:
    """How often b was ordered with or after a, each pair ``exp(−age / decay_days)``, ``[num_products, num_products]``.

    Two parts of one day count both ways. The age is that of the later order, counted back from the newest day of all.

    Args:
        buyer: of each order line, ``[N]``; likewise ``product`` and ``day``, a number of days from 0 up.
        window_days: b counts up to so many days after a.
        decay_days: infinite for a plain count.
    """
    order = np.lexsort((day, buyer))
    buyer, product, day = buyer[order], product[order], day[order]
    newest = day.max(initial=0)
    # Ascending, and no buyer's days come within the window of another's.
    key = buyer * (newest + window_days + 1) + day
    first, later = ranges(
        np.searchsorted(key, key, side="left"), np.searchsorted(key, key + window_days, side="right")
    )
    other = product[first] != product[later]
    first, later = first[other], later[other]
    values = np.exp(-(newest - day[later]) / decay_days)
    return coo_matrix((values, (product[first], product[later])), shape=(num_products, num_products)).tocsr()


def directed_vectors(pairs: csr_matrix, dimensions: int, seed: int) -> tuple[FloatArray, FloatArray]:
    """Source and target vector of each part, ``[num_products, dimensions]`` each.

    Levy & Goldberg (2014): vectors of a softmax with negative samples factorise this matrix. Contexts are smoothed by
    a power, as theirs are.
    """
    pairs = pairs.tocoo()
    first = np.asarray(pairs.sum(axis=1)).ravel()
    later = np.asarray(pairs.sum(axis=0)).ravel() ** CONTEXT_SMOOTHING
    expected = first[pairs.row] * later[pairs.col] / max(later.sum(), 1e-300)
    information = np.log(np.maximum(pairs.data / np.maximum(expected, 1e-300), 1.0))
    matrix = coo_matrix((information, (pairs.row, pairs.col)), shape=pairs.shape).tocsr()
    count = min(dimensions, min(matrix.shape) - 1)
    start = np.random.default_rng(seed).standard_normal(min(matrix.shape))
    left, strength, right = svds(matrix, k=count, v0=start)
    root = np.sqrt(strength)
    return left * root, right.T * root


def log_chance(pairs: csr_matrix) -> FloatArray:
    """How likely each part comes later, whatever comes first, as a logarithm and smoothed, ``[num_products]``.

    Information is over chance: what is likely next is both together. The least of all stands for never.
    """
    later = np.asarray(pairs.sum(axis=0)).ravel()
    return np.asarray(CONTEXT_SMOOTHING * np.log(np.maximum(later, later[later > 0].min(initial=1.0))))


def first_parts(scores: FloatArray, base: IntArray, popularity: FloatArray, depth: int = DEPTH) -> IntArray:
    """The best parts of each base, never itself, ``[B, depth]``; ties by popularity.

    Args:
        scores: ``[B, num_products]``.
        base: the part that each row is about, ``[B]``.
        popularity: of each part, ``[num_products]``.
    """
    ranked = scores + POPULARITY_TIE_BREAK * popularity
    ranked[np.arange(len(base)), base] = -np.inf
    return np.argsort(-ranked, axis=1, kind="stable")[:, :depth]


def hit_rate(top: IntArray, user: IntArray, chosen: set[tuple[int, int]]) -> FloatArray:
    """Whether a base's list holds anything that its user chose later, ``[B]``.

    Args:
        top: parts of each base, ``[B, depth]``.
        user: who asks, ``[B]``.
        chosen: user and part.
    """
    asked = zip(user.tolist(), top.tolist(), strict=True)
    return np.array([float(any((who, part) in chosen for part in parts)) for who, parts in asked])


def scores_by_system(
    buyer: IntArray, product: IntArray, day: IntArray, part_type: IntArray, *, window_days: int, seed: int
) -> tuple[dict[str, Scores], IntArray, FloatArray]:
    """Scores of all parts for some bases, by system; how many pairs begin at each part; how often each was ordered.

    Args:
        buyer: of each order line, ``[N]``; likewise ``product`` and ``day``.
        part_type: of each part, ``[num_products]``.
    """
    count = len(part_type)
    popularity = np.bincount(product, minlength=count).astype(np.float64)
    plain = ordered_pairs(buyer, product, day, count, window_days=window_days, decay_days=np.inf)
    recent = ordered_pairs(buyer, product, day, count, window_days=window_days, decay_days=30.0)
    source, target = directed_vectors(plain, DIMENSIONS, seed)
    recent_source, recent_target = directed_vectors(recent, DIMENSIONS, seed)
    chance = log_chance(recent)
    bought = coo_matrix((np.ones(len(buyer)), (buyer, product)), shape=(buyer.max() + 1, count)).tocsr()
    bought.data[:] = 1.0
    length = np.sqrt(np.maximum(np.asarray(bought.sum(axis=0)).ravel(), 1.0))
    unit = csr_matrix(bought.multiply(1.0 / length))
    systems: dict[str, Scores] = {
        "directed vectors": lambda base: source[base] @ target.T,
        "directed vectors backward": lambda base: target[base] @ source.T,
        "directed vectors by recency, and chance": lambda base: (
            recent_source[base] @ recent_target.T + chance
        ),
        "pair counts by recency": lambda base: recent[base].toarray(),
        "pair counts": lambda base: plain[base].toarray(),
        "cosine of buyers": lambda base: (unit.T[base] @ unit).toarray(),
        "popularity within type": lambda base: popularity * (part_type[base][:, None] == part_type[None, :]),
    }
    return systems, np.diff(plain.indptr), popularity


def published_pairs(pairs: pa.Table, products: pa.Array) -> tuple[csr_matrix, IntArray, IntArray]:
    """Buyers by recency of table ``ordered_pairs`` as of the cutoff, and both parts of each pair that has some.

    Args:
        pairs: table ``ordered_pairs``.
        products: base SKU of each row and column.
    """
    known = pairs.filter(pc.is_valid(pairs["weight"]))
    first, other = (
        pc.index_in(known[name].cast(pa.string()).combine_chunks(), value_set=products)
        .to_numpy()
        .astype(np.int64)
        for name in ("base_sku", "other_base_sku")
    )
    shape = (len(products), len(products))
    return coo_matrix((known["weight"].to_numpy(), (first, other)), shape=shape).tocsr(), first, other


def among(scores: FloatArray, first: IntArray, other: IntArray, count: int) -> Scores:
    """Scores of pairs, and the least of all for every other pair."""
    shifted = coo_matrix((scores - scores.min() + 1.0, (first, other)), shape=(count, count)).tocsr()
    return lambda base: shifted[base].toarray()


def cosine(vectors: npt.NDArray[np.float32]) -> Scores:
    """Cosine of each base with every part, ``[B, num_products]``.

    Args:
        vectors: of length one, ``[num_products, D]``.
    """
    return lambda base: (vectors[base] @ vectors.T).astype(np.float64)


def within_type(scores: Scores, part_type: IntArray) -> Scores:
    """``scores``, which exceed −2, among parts of the base's own type; any other part has −2."""
    return lambda base: np.where(part_type[base][:, None] == part_type[None, :], scores(base), -2.0)


def trained_vectors(study: Any, seed: int) -> npt.NDArray[np.float32]:
    """Vector of each part after a training with a run's settings, as of the cutoff, ``[num_products, D]``."""
    from holley_assets.gnn.embedding import embed
    from holley_assets.gnn.training import train
    from holley_assets.pipeline.options import training_options

    model_options, options = training_options(study.settings)
    result = train(study.graph.data, model_options, dataclasses.replace(options, seed=seed))
    return embed(study.graph.data, result.checkpoint, personal_precision=options.personal_precision).product


def evaluate(study: Any, *, window_days: int, seed: int) -> dict[str, Any]:
    """Hit Rate@10 of each system, for all bases and for those with fewer and more pairs than the median."""
    purchases, clicks = study.tables["user_purchases"], study.tables["test_clicks"]
    purchases = purchases.filter(pc.less(purchases["order_date"], pa.scalar(study.windows.cutoff)))
    products = pa.array(study.products, pa.string())
    emails = pc.unique(purchases["email_lower"].cast(pa.string()).combine_chunks())
    buyer, product, clicker, clicked = (
        pc.fill_null(pc.index_in(column.cast(pa.string()).combine_chunks(), value_set=keys), -1)
        .to_numpy()
        .astype(np.int64)
        for column, keys in (
            (purchases["email_lower"], emails),
            (purchases["base_sku"], products),
            (clicks["email_lower"], emails),
            (clicks["base_sku"], products),
        )
    )
    day = purchases["order_date"].cast(pa.int32()).to_numpy().astype(np.int64)
    kept = (buyer >= 0) & (product >= 0)
    buyer, product, day = buyer[kept], product[kept], day[kept]
    nodes = study.tables["product_nodes"]
    types = pc.fill_null(
        nodes["part_type"].cast(pa.string()).combine_chunks().dictionary_encode().indices, -1
    )
    place = pc.index_in(products, value_set=nodes["base_sku"].cast(pa.string()).combine_chunks()).to_numpy()
    part_type = types.to_numpy()[place].astype(np.int64)
    systems, pairs, popularity = scores_by_system(
        buyer, product, day, part_type, window_days=window_days, seed=seed
    )
    systems["cosine of the embedding"] = cosine(trained_vectors(study, seed))
    systems["cosine of the embedding within type"] = within_type(
        systems["cosine of the embedding"], part_type
    )
    table, first, other = published_pairs(study.tables["ordered_pairs"], products)
    weight = np.asarray(table[first, other]).ravel()
    systems["buyers of the table's pairs"] = lambda base: table[base].toarray()
    for dimensions in sorted({4, 16, 64, study.settings.run.pair_dimensions}):
        found = pair_scores(first, other, weight, dimensions)
        systems[f"table, {dimensions} dimensions"] = among(found, first, other, len(products))
    chosen = set(zip(clicker.tolist(), clicked.tolist(), strict=True))
    last = np.full(len(emails), -1, np.int64)
    np.maximum.at(last, buyer, day)
    asks = (day == last[buyer]) & np.isin(buyer, clicker)
    base, user = product[asks], buyer[asks]
    many = pairs[base] > np.median(pairs[base])
    results: dict[str, Any] = {"bases": len(base), "users": len(np.unique(user))}
    asked, place_of_base = np.unique(base, return_inverse=True)
    slices = np.array_split(asked, max(len(asked) // 1000, 1))
    for name, score in systems.items():
        top = np.concatenate([first_parts(score(part), part, popularity) for part in slices])
        hits = hit_rate(top[place_of_base], user, chosen)
        results[name] = {
            "all": float(hits.mean()),
            "few": float(hits[~many].mean()),
            "many": float(hits[many].mean()),
        }
    return results


def main() -> None:
    """Print the table and write it as JSON."""
    # The parts above serve without the queries and the graph.
    from study import RESULTS_FOLDER, add_source_arguments, markdown, source_study, write_results

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_source_arguments(parser)
    parser.add_argument("--window-days", type=int, default=30, help="b counts so long after a")
    arguments = parser.parse_args()
    study = source_study(arguments)
    results = evaluate(study, window_days=arguments.window_days, seed=arguments.seed)
    write_results(RESULTS_FOLDER / f"similar-parts-{study.name}.json", results, arguments)
    rows = [
        [system, *(f"{100 * values[part]:.1f}" for part in ("all", "few", "many"))]
        for system, values in results.items()
        if isinstance(values, dict)
    ]
    print(f"{results['bases']} bases of {results['users']} users, Hit Rate@{DEPTH} in percent\n")
    print(markdown(["system", "all", "few pairs", "many pairs"], rows))


if __name__ == "__main__":
    main()
