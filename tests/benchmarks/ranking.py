"""Ranking all users at full scale, with the rules, against the alternatives.

    python tests/benchmarks/ranking.py

prints a table and writes ``data/benchmarks/ranking.json``. Compared, on the same synthetic world:

* **ours**: every user, all rules, down to the same depth; also what the e-mail needs (depth 4), and the steps
  around it (arranging the candidates, building the delivered table), and the growth with users;
* **bare mathematics**: matrix products grouped by vehicle and a top-k for every user; no rules, nothing
  collapsed; once with numpy, once with torch;
* **implicit**: ``recommend`` of an ALS model with our vectors, candidates as item filter of each vehicle's
  group and recent orders as liked items; no cap on part types; one BLAS thread, as it asks for itself;
* **a loop**: torch by vehicle, then all rules user by user in Python; its rankings are compared with ours.

The last two run once, the others ``--runs`` times, of which the median counts. The alternatives use
``--threads`` threads, ours one. On a machine that is busy with other things pass ``--threads 1``: threads that
wait for one another by spinning then take ten times as long, which says nothing about the alternatives.

The world is drawn by ``ranking_world.py`` from a seed; drawing it is not part of any time.
"""

from __future__ import annotations

import argparse
import dataclasses
import datetime
import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import torch
from implicit.cpu.als import AlternatingLeastSquares
from measure import Measurement, growth_exponent, machine, measure, table, write_json
from ranking_world import VIEW_END, World, make_world
from scipy.sparse import csr_matrix
from threadpoolctl import threadpool_limits

from holley_assets.ranking import (
    Candidates,
    EmbeddingScorer,
    Ranking,
    RankingOptions,
    build_candidates,
    rank_users,
)
from holley_assets.ranking.recommendations import wide_table

OURS = "ours: all rules (depth 20)"
DEPTH = 20
OPTIONS = RankingOptions(depth=DEPTH, maximum_per_part_type=2, purchase_exclusion_days=365)
DELIVERED = RankingOptions(depth=4, maximum_per_part_type=2, purchase_exclusion_days=365)
GROWTH = (50_000, 150_000, 475_000, 950_000)
# Scores that the alternatives hold at once: users of a large vehicle are taken in pieces.
PIECE_SCORES = 4_000_000

IntArray = npt.NDArray[np.int64]


class Arrays:
    """The world as the alternatives want it: integers and matrices, made before the clock starts."""

    def __init__(self, world: World, candidates: Candidates) -> None:
        users = world.users
        self.vehicles = candidates.find_vehicles(users["year"], users["make"], users["model"])
        self.user_vectors = world.user_embeddings[users["profile"].to_numpy()]
        order = np.array(
            [world.product_ids.index(base_sku) for base_sku in candidates.product_ids.to_pylist()]
        )
        self.product_vectors = world.product_embeddings[order]
        self.products = candidates.pair_product[candidates.row_pair]
        self.part_types = candidates.row_part_type
        self.row_offsets = candidates.row_offsets
        first_day = VIEW_END - datetime.timedelta(days=OPTIONS.purchase_exclusion_days)
        recent = world.purchases.filter(pc.greater_equal(world.purchases["order_date"], first_day))
        buyer = pc.index_in(recent["email_lower"], users["email_lower"]).to_numpy()
        bought = pc.fill_null(pc.index_in(recent["base_sku"], candidates.product_ids), -1).to_numpy()
        shape = (users.num_rows, len(candidates.product_ids))
        known = bought >= 0
        self.orders = csr_matrix(
            (np.ones(known.sum(), np.float32), (buyer[known], bought[known])), shape=shape
        )

    def groups(self) -> Iterator[tuple[IntArray, slice]]:
        """Users of each vehicle, at most so many that their scores fit, and the vehicle's candidate rows."""
        order = np.argsort(self.vehicles, kind="stable")
        starts = np.flatnonzero(np.diff(self.vehicles[order], prepend=-2))
        for start, stop in zip(starts, np.append(starts[1:], len(order)), strict=True):
            vehicle = self.vehicles[order[start]]
            rows = slice(int(self.row_offsets[vehicle]), int(self.row_offsets[vehicle + 1]))
            step = max(1, PIECE_SCORES // max(rows.stop - rows.start, 1))
            for first in range(start, stop, step):
                yield order[first : min(first + step, stop)], rows


def bare_numpy(arrays: Arrays) -> list[IntArray]:
    """Products of vectors and the best of each user; nothing else."""
    found = []
    for users, rows in arrays.groups():
        products = arrays.products[rows]
        scores = arrays.user_vectors[users] @ arrays.product_vectors[products].T
        depth = min(DEPTH, len(products))
        best = np.argpartition(scores, len(products) - depth, axis=1)[:, len(products) - depth :]
        best = np.take_along_axis(best, np.argsort(-np.take_along_axis(scores, best, 1), axis=1), 1)
        found.append(products[best])
    return found


def bare_torch(arrays: Arrays) -> list[torch.Tensor]:
    """The same with torch."""
    user_vectors, product_vectors = (
        torch.from_numpy(arrays.user_vectors),
        torch.from_numpy(arrays.product_vectors),
    )
    found = []
    for users, rows in arrays.groups():
        products = torch.from_numpy(arrays.products[rows])
        scores = user_vectors[torch.from_numpy(users)] @ product_vectors[products].T
        found.append(products[scores.topk(min(DEPTH, len(products)), dim=1).indices])
    return found


def implicit_recommend(arrays: Arrays, threads: int) -> list[IntArray]:
    """ALS's ``recommend`` for each vehicle's users among the vehicle's candidates."""
    model = AlternatingLeastSquares(factors=arrays.user_vectors.shape[1], num_threads=threads)
    model.user_factors, model.item_factors = arrays.user_vectors, arrays.product_vectors
    found = []
    for users, rows in arrays.groups():
        products = arrays.products[rows]
        best, _ = model.recommend(
            users,
            arrays.orders[users],
            N=min(DEPTH, len(products)),
            filter_already_liked_items=True,
            items=products,
        )
        found.append(best)
    return found


def python_loop(arrays: Arrays) -> dict[int, list[int]]:
    """Torch by vehicle, rules user by user: the straightforward way."""
    user_vectors, product_vectors = (
        torch.from_numpy(arrays.user_vectors),
        torch.from_numpy(arrays.product_vectors),
    )
    found: dict[int, list[int]] = {}
    for users, rows in arrays.groups():
        products = torch.from_numpy(arrays.products[rows])
        scores = user_vectors[torch.from_numpy(users)] @ product_vectors[products].T
        order = scores.argsort(dim=1, descending=True, stable=True)
        part_of, type_of = products.tolist(), arrays.part_types[rows].tolist()
        for place, user in enumerate(users.tolist()):
            ordered = set(
                arrays.orders.indices[arrays.orders.indptr[user] : arrays.orders.indptr[user + 1]].tolist()
            )
            shown: list[int] = []
            shown_of_type: dict[int, int] = {}
            for candidate in order[place].tolist():
                part, part_type = part_of[candidate], type_of[candidate]
                if part in ordered or shown_of_type.get(part_type, 0) == OPTIONS.maximum_per_part_type:
                    continue
                shown_of_type[part_type] = shown_of_type.get(part_type, 0) + 1
                shown.append(part)
                if len(shown) == DEPTH:
                    break
            found[user] = shown
    return found


def ours(world: World, candidates: Candidates, options: RankingOptions = OPTIONS) -> Ranking:
    """Every user with every rule."""
    scorer = EmbeddingScorer(world.user_embeddings, world.product_embeddings, world.product_ids)
    return rank_users(
        world.users, candidates, scorer, purchases=world.purchases, view_end=VIEW_END, options=options
    )


def agreement(arrays: Arrays, ranking: Ranking, lists: dict[int, list[int]]) -> float:
    """Share of users for whom the loop found our parts in our order.

    The loop's float32 products may swap parts whose scores are closer than their rounding: places agree if the
    true scores of the two parts do, to 1e-6. The world's users are sorted, so that positions are the same in both.
    """
    products = ranking.candidates.pair_product[ranking.candidates.row_pair[ranking.rows]]
    starts, counts = ranking.offsets[ranking.user_request], ranking.counts()
    users = np.repeat(np.arange(len(counts)), counts)
    place = np.arange(len(users)) - np.repeat(np.cumsum(counts) - counts, counts)
    lengths = np.array([len(lists[user]) for user in range(len(counts))])
    if not np.array_equal(lengths, counts):
        return float(np.mean(lengths == counts))
    found = np.concatenate([lists[user] for user in range(len(counts))])
    mine = products[starts[users] + place]
    differ = np.flatnonzero(mine != found)
    vectors = arrays.user_vectors[users[differ]].astype(np.float64)
    gap = np.einsum(
        "ij,ij->i", vectors, arrays.product_vectors[mine[differ]] - arrays.product_vectors[found[differ]]
    )
    return 1.0 - len(np.unique(users[differ[np.abs(gap) > 1e-6]])) / len(counts)


def steps(world: World, candidates: Candidates, runs: int) -> Iterator[Measurement]:
    """Our steps around the ranking, and the ranking that the e-mail needs."""
    users = world.users.num_rows

    def build() -> Candidates:
        return build_candidates(world.fitment, world.parts, view="serving", apply_rules=True)

    yield measure("ours: arrange candidates", build, runs=runs, candidates=world.fitment.num_rows)
    delivered = ours(world, candidates, DELIVERED)
    yield measure(
        "ours: rank for the e-mail (depth 4)",
        lambda: ours(world, candidates, DELIVERED),
        runs=runs,
        users=users,
    )

    def deliver() -> pa.Table:
        return wide_table(
            delivered,
            world.users,
            world.parts,
            "serving",
            minimum_parts=3,
            maximum_parts=4,
            generated_at=datetime.datetime.now(datetime.UTC),
            model_version="benchmark",
        )[0]

    yield measure("ours: delivered table", deliver, runs=runs, users=users)


def compare(world: World, candidates: Candidates, runs: int, threads: int) -> Iterator[Measurement]:
    """All users, depth 20: ours and the alternatives, and whether the loop agrees with ours."""
    users = world.users.num_rows
    ranking = ours(world, candidates)
    requests = ranking.request_count
    yield measure(OURS, lambda: ours(world, candidates), runs=runs, users=users, requests=requests)
    arrays = Arrays(world, candidates)
    torch.set_num_threads(threads)
    with threadpool_limits(limits=threads, user_api="blas"):
        yield measure("bare mathematics, torch", lambda: bare_torch(arrays), runs=runs, users=users)
        yield measure("bare mathematics, numpy", lambda: bare_numpy(arrays), runs=runs, users=users)
    with threadpool_limits(limits=1, user_api="blas"):
        yield measure(
            "implicit recommend, no type cap",
            lambda: implicit_recommend(arrays, threads),
            runs=1,
            users=users,
        )
    lists: dict[int, list[int]] = {}
    loop = measure("Python loop, all rules", lambda: lists.update(python_loop(arrays)), runs=1, users=users)
    yield dataclasses.replace(loop, figures={**loop.figures, "agreement": agreement(arrays, ranking, lists)})


def grow(runs: int, largest: int) -> tuple[list[Measurement], float | None]:
    """Our ranking at several numbers of users over one catalogue, and the exponent of its growth.

    Sizes are those up to twice ``largest``; below two of them there is no exponent.
    """
    rows = []
    sizes = [users for users in GROWTH if users <= 2 * largest]
    for users in sizes:
        world = make_world(users)
        candidates = build_candidates(world.fitment, world.parts, view="serving", apply_rules=True)
        rank = partial(ours, world, candidates)
        rows.append(measure(f"ours: {users:,} users", rank, runs=runs, requests=rank().request_count))
    exponent = growth_exponent(sizes, [row.seconds for row in rows]) if len(sizes) > 1 else None
    return rows, exponent


def main() -> None:
    """Parse options, measure, print and write."""
    parser = argparse.ArgumentParser(description="Ranking all users at full scale against the alternatives.")
    parser.add_argument("--users", type=int, default=475_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--json", type=Path, default=Path("data/benchmarks/ranking.json"))
    options = parser.parse_args()

    world = make_world(options.users)
    candidates = build_candidates(world.fitment, world.parts, view="serving", apply_rules=True)
    rows = [
        *steps(world, candidates, options.runs),
        *compare(world, candidates, options.runs, options.threads),
    ]
    growth, exponent = grow(options.runs, options.users)
    full = next(row for row in rows if row.name == OURS)
    others = [row for row in rows if not row.name.startswith("ours")]
    ratios = {
        row.name: {
            "seconds": round(row.seconds / full.seconds, 1),
            "cpu_seconds": round(row.cpu_seconds / full.cpu_seconds, 1),
        }
        for row in others
    }
    host = machine("numpy", "pyarrow", "torch", "implicit")
    print(table(rows), *([table(growth)] if growth else []), sep="\n\n")
    print("\nour time with all rules, times:")
    for name, ratio in ratios.items():
        print(f"  {name}: {ratio['seconds']} (processor time: {ratio['cpu_seconds']})")
    if exponent is not None:
        print(f"growth of ours with users: exponent {exponent:.2f}")
    print(f"machine: {host}")
    write_json(
        options.json,
        [*rows, *growth],
        benchmark="ranking",
        machine=host,
        threads=options.threads,
        times_ours=ratios,
        growth_exponent=exponent,
    )


if __name__ == "__main__":
    main()
