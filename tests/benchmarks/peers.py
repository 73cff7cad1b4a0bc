"""The model against its peers: same users, same candidates, same rules.

    python tests/benchmarks/peers.py

generates samples of 40,000 users (five seeds), ranks their test users by every system, prints Markdown tables
and writes ``data/benchmarks/peers-segment.json``. With ``--kind null`` there is nothing to learn but
popularity. ``--source FOLDER --as-of … --intent-start …`` takes a folder of source tables instead, and the seeds
are then those of the systems alone. ``--systems`` chooses some; ``sql`` is always measured, for the comparison.

The seed of a sample is also that of every system that draws random numbers. Intervals of one seed are from
a paired bootstrap over users and stand in the JSON; the tables show mean and standard deviation over seeds.
"""

from __future__ import annotations

import argparse
import dataclasses
import math
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from collaborative import als, bpr, item_cosine, item_to_item, last_seen, lightgcn, spectral
from history_system import history_scorer, mixed_systems
from known_cars import known_cars
from plain_systems import PLAIN_SYSTEMS
from study import (
    RESULTS_FOLDER,
    Study,
    add_sample_arguments,
    finished_results,
    markdown,
    open_study,
    sample_study,
    tell,
    with_spread,
    write_results,
)

from holley_assets.evaluation.metrics import SCOPES, UserMetrics, summarise
from holley_assets.evaluation.report import plain
from holley_assets.evaluation.significance import compare
from holley_assets.gnn.controls import counted_popularity as counted
from holley_assets.gnn.controls import fitted_popularity as fitted
from holley_assets.gnn.embedding import Embeddings, embed
from holley_assets.gnn.model import ModelOptions
from holley_assets.gnn.sampling import NegativeOptions
from holley_assets.gnn.towers import AttentionOptions
from holley_assets.gnn.training import TrainingResult, train
from holley_assets.gnn.training_options import TrainingOptions
from holley_assets.pipeline.options import training_options
from holley_assets.ranking import EmbeddingScorer, PairScorer, RandomScorer
from holley_assets.sample_data.oracle import oracle_scores, oracle_user_scores

BASELINE, ORACLE = "sql", "oracle"
# Systems that read what only the generator of a sample knows.
NEEDS_TRUTH = (ORACLE, "known_cars")
RECENT_DAYS = 60
# Below the logarithm of any probability of the truth: a part that nobody ever clicks.
IMPOSSIBLE = -60.0

System = Callable[[Study, int], UserMetrics]


def train_and_measure(
    study: Study, model_options: ModelOptions, options: TrainingOptions
) -> tuple[TrainingResult, UserMetrics]:
    """Train on the training graph and rank the test users by the vectors that it gives."""
    data = study.graph.data
    result = train(data, model_options, options)
    vectors = embed(data, result.checkpoint, personal_precision=options.personal_precision)
    return result, study.measure(EmbeddingScorer(vectors.user, vectors.product, study.products))


def gnn(study: Study, seed: int) -> UserMetrics:
    """The model with the settings of a run, and what users' own histories add to it."""
    return study.measure(history_scorer(study, trained_vectors(study, seed)))


def mixture(name: str) -> System:
    """A system that is made of ``gnn`` and ``sql``, in shares that are chosen before the cutoff."""
    return lambda study, seed: study.measure(mixed_systems(study, trained_vectors(study, seed))[name])


def trained_vectors(study: Study, seed: int) -> Embeddings:
    """Vectors of the model with the settings of a run; those of the newest study are kept."""
    if not any(of is study and number == seed for of, number, _ in _NEWEST):
        model_options, options = training_options(study.settings)
        result = train(study.graph.data, model_options, dataclasses.replace(options, seed=seed))
        vectors = embed(study.graph.data, result.checkpoint, personal_precision=options.personal_precision)
        _NEWEST[:] = [(study, seed, vectors)]
    return _NEWEST[0][2]


_NEWEST: list[tuple[Study, int, Embeddings]] = []


def plain_heterogat(study: Study, seed: int) -> UserMetrics:
    """The graph attention network as the project's documents first had it, without what was added since.

    Binary cross-entropy on single edges, half of the negatives from the batch, 30 % from the parts that fit,
    learning rates 0.001 and 0.01, the best epoch by validation MRR. No fit to what visitors met, no personal vectors,
    no users shown without their history. ``SparseGATConv`` is ``GATConv``: a test proves messages and gradients
    equal. What it keeps of ours favours it: it starts as popularity, and its scores are corrected for how
    negatives were drawn.
    """
    model_options, options = training_options(study.settings)
    edges = dataclasses.replace(
        options.edges,
        negatives=NegativeOptions(options.edges.negatives.count, in_batch_share=0.5, fitment_share=0.3),
        embedding_learning_rate=0.001,
        learning_rate=0.01,
        standard_errors=0.0,
        cold_share=0.0,
    )
    before = dataclasses.replace(
        options, seed=seed, loss="bce", edges=edges, personal_precision=math.inf, strengths=()
    )
    shape = dataclasses.replace(model_options, hops=0, attention=AttentionOptions())
    return train_and_measure(study, shape, before)[1]


def pair_system(column: str) -> System:
    """A system whose scores are a column of table ``popularity``."""

    def measured(study: Study, seed: int) -> UserMetrics:
        popularity = study.tables["popularity"]
        scores = popularity.select(["make", "model", "base_sku"]).append_column("score", popularity[column])
        return study.measure(PairScorer(scores, name=column))

    return measured


def popularity_60_days(study: Study, seed: int) -> UserMetrics:
    """Orders of the last days before the cutoff, by anybody."""
    lines = study.tables["order_lines"]
    first_day = np.datetime64(study.windows.cutoff, "D") - RECENT_DAYS
    dates = lines["order_date"].to_numpy().astype("datetime64[D]")
    recent = (dates >= first_day) & (dates < np.datetime64(study.windows.cutoff, "D"))
    lines = lines.filter(pc.and_(pa.array(recent), lines["counts_as_order"]))
    product = pc.index_in(lines["base_sku"].cast(pa.string()), value_set=pa.array(study.products))
    known = product.drop_null().to_numpy()
    return study.measure_matrix(np.log1p(np.bincount(known, minlength=len(study.products)))[None])


def random(study: Study, seed: int) -> UserMetrics:
    """Chance."""
    return study.measure(RandomScorer(seed))


def fitted_popularity(study: Study, seed: int) -> UserMetrics:
    """One number a part, fitted to all that the model reads: better counting without tastes."""
    model_options, options = training_options(study.settings)
    trained = train(study.graph.data, model_options, dataclasses.replace(options, seed=seed, strengths=()))
    return study.measure_matrix(fitted(study.graph.data, trained.checkpoint)[None])


def counted_popularity(study: Study, seed: int) -> UserMetrics:
    """Everybody who ever looked at a part, with the season: what the untrained model ranks by."""
    return study.measure_matrix(counted(study.graph.data)[None])


def visitor_demand(study: Study, seed: int) -> UserMetrics:
    """Demand of visitors for the part, year, make and model, counted and not learned from."""
    demand, products = study.tables["visitor_demand"], pa.array(study.products, pa.string())
    demand = demand.filter(pc.is_valid(demand["weight"]))
    cars = _car(demand).dictionary_encode()
    of_car = np.zeros((len(cars.dictionary) + 1, len(products)), np.float32)
    weights = demand.select(["base_sku"]).append_column("score", pc.log1p(demand["weight"]))
    _fill(of_car, cars.indices, weights, products)
    row = pc.fill_null(pc.index_in(_car(study.users), value_set=cars.dictionary), len(cars.dictionary))
    return study.measure_matrix(of_car[row.to_numpy()])


def oracle(study: Study, seed: int) -> UserMetrics:
    """The truth behind a sample: no system can be expected to do better."""
    assert study.oracle_folder is not None
    products, users = pa.array(study.products, pa.string()), study.users
    truth = oracle_scores(study.oracle_folder)
    cars = _car(truth).dictionary_encode()
    of_car = np.full((len(cars.dictionary) + 1, len(products)), IMPOSSIBLE, np.float32)
    _fill(of_car, cars.indices, truth, products)
    row = pc.fill_null(pc.index_in(_car(users), value_set=cars.dictionary), len(cars.dictionary))
    scores = of_car[row.to_numpy()]
    own = oracle_user_scores(study.oracle_folder)
    user = pc.index_in(own["email_lower"].cast(pa.string()), value_set=users["email_lower"].combine_chunks())
    scores[pc.unique(user).drop_null().to_numpy()] = IMPOSSIBLE
    _fill(scores, user.combine_chunks(), own, products)
    return study.measure_matrix(scores)


def _car(table: pa.Table) -> pa.Array:
    columns = [table[name].cast(pa.string()).combine_chunks() for name in ("year", "make", "model")]
    return pc.binary_join_element_wise(*columns, "\x1f")


def _fill(scores: np.ndarray, rows: pa.Array, table: pa.Table, products: pa.Array) -> None:
    """Write ``table``'s scores where row and product are known."""
    column = pc.index_in(table["base_sku"].cast(pa.string()), value_set=products).combine_chunks()
    known = pc.and_(pc.is_valid(rows), pc.is_valid(column))
    at = rows.filter(known).to_numpy(), column.filter(known).to_numpy()
    scores[at] = table["score"].combine_chunks().filter(known).to_numpy()


def by_matrix(scores: Callable[[Study, int], np.ndarray]) -> System:
    """A system from a function that gives scores of the test users."""
    return lambda study, seed: study.measure_matrix(scores(study, seed))


SYSTEMS: dict[str, System] = {
    "gnn": gnn,
    "hybrid": mixture("hybrid"),
    "sql_similar": mixture("sql_similar"),
    BASELINE: pair_system("sql_score"),
    "popularity": pair_system("popularity_score"),
    "popularity_60_days": popularity_60_days,
    "random": random,
    "item_cosine": by_matrix(item_cosine),
    "als": by_matrix(als),
    "bpr": by_matrix(bpr),
    "lightgcn": by_matrix(lightgcn),
    "spectral": by_matrix(spectral),
    "item_to_item": by_matrix(item_to_item),
    "last_seen": by_matrix(last_seen),
    "plain_heterogat": plain_heterogat,
    **PLAIN_SYSTEMS,
    "known_cars": known_cars,
    "fitted_popularity": fitted_popularity,
    "counted_popularity": counted_popularity,
    "visitor_demand": visitor_demand,
    ORACLE: oracle,
}


def run_seed(study: Study, seed: int, names: list[str]) -> dict[str, Any]:
    """Metrics of every system and its comparison with ``sql``, by scope."""
    values: dict[str, UserMetrics] = {}
    for name in dict.fromkeys([BASELINE, *names]):
        if name in NEEDS_TRUTH and study.oracle_folder is None:
            continue
        start = time.monotonic()
        values[name] = SYSTEMS[name](study, seed)
        seconds = time.monotonic() - start
        tell(f"{study.name}: {name} {100 * values[name]['hit_rate@4'].mean():.1f} ({seconds:.0f} s)")
    return {
        "study": study.name,
        "seed": seed,
        "metrics": summarise(values, study.truth),
        "comparison": {
            name: compare(value, values[BASELINE], study.truth)[0]
            for name, value in values.items()
            if name != BASELINE
        },
    }


def gap_closed(run: dict[str, Any], system: str, scope: str) -> float | None:
    """Share of the Hit Rate@4 gap between ``sql`` and the oracle that ``system`` closes."""
    metrics = {name: scopes[scope]["hit_rate@4"] for name, scopes in run["metrics"].items()}
    if metrics.get(ORACLE) is None or metrics[ORACLE] <= metrics[BASELINE]:
        return None
    return float((metrics[system] - metrics[BASELINE]) / (metrics[ORACLE] - metrics[BASELINE]))


def metrics_table(runs: list[dict[str, Any]], metric: str) -> str:
    """Mean and spread over seeds of one metric, in points, by system and scope."""
    users = {scope: [run["metrics"][BASELINE][scope]["users"] for run in runs] for scope in SCOPES}
    header = [f"{metric}, points", *(f"{scope} ({np.mean(users[scope]):.0f} users)" for scope in SCOPES)]
    rows = [
        [name, *(with_spread([run["metrics"][name][scope][metric] for run in runs]) for scope in SCOPES)]
        for name in runs[0]["metrics"]
    ]
    return markdown(header, rows)


def comparison_table(runs: list[dict[str, Any]], scope: str) -> str:
    """Lift over ``sql`` in one scope: Hit Rate@4 with its p-values, Recall@10, MRR and the gap closed."""
    rows = []
    for name in runs[0]["comparison"]:
        each = [run["comparison"][name][scope] for run in runs]
        p_values = ["–" if row["mcnemar_p"] is None else f"{row['mcnemar_p']:.1g}" for row in each]
        rows.append(
            [
                name,
                with_spread([row["hit_rate@4_delta"] for row in each], sign=True),
                ", ".join(p_values),
                with_spread([row["recall@10_relative"] for row in each], sign=True),
                with_spread([row["mrr_relative"] for row in each], sign=True),
                with_spread([gap_closed(run, name, scope) for run in runs]),
            ]
        )
    header = [
        f"{scope}, against sql",
        "Hit Rate@4, points",
        "McNemar p of each seed",
        "Recall@10, %",
        "MRR, %",
        "gap to the oracle closed, %",
    ]
    return markdown(header, rows)


def studies(arguments: argparse.Namespace, seeds: list[int]) -> Iterator[tuple[int, Study]]:
    """The data set of each seed."""
    for seed in seeds:
        if arguments.source is None:
            yield seed, sample_study(arguments, seed)
        else:
            yield (
                seed,
                open_study(
                    arguments.source,
                    arguments.work / arguments.source.name,
                    name=f"{arguments.source.name} {seed}",
                    as_of=arguments.as_of,
                    intent_start=arguments.intent_start,
                ),
            )


def main() -> None:
    """Run the study and print its tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_sample_arguments(parser, seeds=range(5), users=40_000)
    parser.add_argument("--source", type=Path, help="folder of source tables instead of samples")
    parser.add_argument("--systems", nargs="+", choices=SYSTEMS, default=list(SYSTEMS))
    arguments = parser.parse_args()
    label = arguments.kind if arguments.source is None else arguments.source.name
    output = arguments.output or RESULTS_FOLDER / f"peers-{label}.json"
    runs: list[dict[str, Any]] = finished_results(output, arguments).get("runs", [])
    finished = {run["seed"] for run in runs}
    for seed, study in studies(arguments, [seed for seed in arguments.seeds if seed not in finished]):
        runs.append(plain(run_seed(study, seed, arguments.systems)))
        write_results(output, {"runs": runs}, arguments)
    for metric in ("hit_rate@4", "recall@10", "mrr"):
        print(metrics_table(runs, metric), end="\n\n")
    for scope in SCOPES:
        print(comparison_table(runs, scope), end="\n\n")


if __name__ == "__main__":
    main()
