"""Error rates of the experiment's readout: on a real experiment's customers reshuffled, and on simulated experiments.

``PYTHONPATH="$PWD" python tests/benchmarks/experiment.py --hillstrom ../shared/data/hillstrom/hillstrom.parquet``
reshuffles the 21,306 customers without mail 1,000 times into two arms, between which there is no difference, and reads
each at one look and at five; then it reads 200 experiments of each kind of ``tests/experiment_world.py`` look by look
until one decides, and 200 of each world of ``tests/experiment_truth.py``: on a sample whose truth is known, by the
queries of production. ``--reshuffles``, ``--simulations``, ``--kinds``, ``--truths`` and ``--users`` choose others;
without ``--hillstrom``, with ``--simulations 0`` and with ``--truths 0``, a part is left out. Prints the tables of
README.md. Half an hour on one core.
"""

from __future__ import annotations

import argparse
import datetime
import math
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from statistics import NormalDist
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from experiment_truth import USERS_WITH_A_CAR, WORLDS, Sample
from experiment_world import END, KINDS, START, crossed, decide, declare, outcome_table, simulate

from holley_assets.experiment.estimates import measure
from holley_assets.experiment.metrics import TESTED
from holley_assets.experiment.outcomes import read_outcomes
from holley_assets.experiment.readout import read_looks
from holley_assets.experiment.traffic import sample_ratio
from holley_assets.experiment.verdict import DECISIONS

REVENUE = TESTED["revenue_per_user"]


def reshuffled(
    customers: pa.Table, rng: np.random.Generator, share: float, **columns: np.ndarray
) -> pa.Table:
    """The customers in two arms by chance, first exposed on days spread over seven weeks."""
    return outcome_table(
        rng.random(len(customers)) < share,
        share=share,
        day=rng.integers(0, 50, len(customers)),
        clicks=customers["visit"].to_numpy(),
        **columns,
    )


def read_nothing(file: Path, reshuffles: int) -> None:
    """False alarms where nothing differs, and what the covariate takes off the interval."""
    rows = pq.read_table(file)
    customers = rows.filter(pc.equal(rows["segment"], "No E-Mail"))
    rng = np.random.default_rng(0)
    dollars = customers["history"].to_numpy()
    # A window before that tells half of the dollars' spread.
    before = dollars + rng.normal(0.0, dollars.std(), len(dollars))
    correlation = float(np.corrcoef(dollars, before)[0, 1])
    alarms: Counter[str] = Counter()
    shortened = []
    for _ in range(reshuffles):
        table = reshuffled(customers, rng, 0.5, order_value=dollars, order_value_before=before)
        users = read_outcomes(table, declare()).exposed
        alarms["mismatch"] += sample_ratio(users)["mismatch"]
        looks = read_looks(users, declare(looks=5), END)
        # A single look is the last of them, with its usual limit.
        alarms["click rate, one look"] += abs(looks[-1]["statistic"]) >= NormalDist().inv_cdf(0.975)
        alarms["click rate, five looks"] += crossed(looks)
        found = measure(users, REVENUE, 0.95)
        alarms["dollars, unadjusted"] += found["unadjusted"]["p_value"] < 0.05
        alarms["dollars, adjusted"] += found["estimate"]["p_value"] < 0.05
        shortened.append(found["estimate"]["standard_error"] / found["unadjusted"]["standard_error"])
        # One customer in 175 spent anything, and the graph has one in ten: far from a normal distribution.
        rare = declare(looks=5, share=0.1, primary_metric="revenue_per_user")
        table = reshuffled(customers, rng, 0.1, order_value=customers["spend"].to_numpy())
        looks = read_looks(read_outcomes(table, rare).exposed, rare, END)
        alarms["rare orders, share of 10 %, five looks"] += crossed(looks)
    print(f"{reshuffles} reshuffles of {len(customers)} customers\n\n| read | false alarms |\n| --- | ---: |")
    for name, count in alarms.items():
        print(f"| {name} | {100.0 * count / reshuffles:.1f} % |")
    print(
        f"\ncorrelation {correlation:.3f}: the interval should have {math.sqrt(1 - correlation**2):.3f} of its length, "
        f"and has {np.mean(shortened):.3f} (from {min(shortened):.3f} to {max(shortened):.3f})\n"
    )


def show(decided: dict[str, list[dict[str, Any]]]) -> None:
    """A row for each truth: how often it was decided in which way, and after how many days."""
    print(f"| truth | {' | '.join(DECISIONS)} | mean days |")
    print(f"| --- |{' ---: |' * (len(DECISIONS) + 1)}")
    for truth, readouts in decided.items():
        counts = Counter(readout["decision"]["outcome"] for readout in readouts)
        days = [(datetime.date.fromisoformat(readout["as_of"]) - START).days for readout in readouts]
        shares = " | ".join(f"{100.0 * counts[outcome] / len(readouts):.1f} %" for outcome in DECISIONS)
        print(f"| {truth} | {shares} | {np.mean(days):.0f} |", flush=True)


def _always(table: pa.Table) -> Callable[[datetime.date], pa.Table]:
    return lambda day: table


def simulate_all(kinds: list[str], simulations: int) -> None:
    """How often each kind of experiment is decided in which way."""
    declaration = declare(looks=4, guardrails={"unsubscribe_rate": 0.5})
    print(f"{simulations} experiments of each kind\n")
    decided = {}
    for kind in kinds:
        tables = (simulate(kind, seed) for seed in range(simulations))
        decided[kind] = [decide(_always(table), declaration) for table in tables]
    show(decided)


def simulate_truths(simulations: int, users: int) -> None:
    """The same on the truth of a sample, by the queries of production."""
    decided: dict[str, list[dict[str, Any]]] = {world: [] for world in WORLDS}
    with TemporaryDirectory() as folder:
        sample = Sample(Path(folder), math.ceil(users * len(WORLDS) / USERS_WITH_A_CAR))
        for seed in range(simulations):
            experiment = sample.experiment(WORLDS, users, seed)
            for world, readouts in decided.items():
                readouts.append(experiment.decide(world))
            if (seed + 1) % 20 == 0 or seed + 1 == simulations:
                print(f"\n{seed + 1} experiments of {users} users on each truth of a sample\n")
                show(decided)


def main() -> None:
    """All parts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hillstrom", type=Path)
    parser.add_argument("--reshuffles", type=int, default=1000)
    parser.add_argument("--simulations", type=int, default=200)
    parser.add_argument("--truths", type=int, default=200)
    parser.add_argument("--users", type=int, default=4000)
    parser.add_argument("--kinds", nargs="+", choices=list(KINDS), default=list(KINDS))
    options = parser.parse_args()
    if options.hillstrom is not None:
        read_nothing(options.hillstrom, options.reshuffles)
    if options.simulations:
        simulate_all(options.kinds, options.simulations)
    if options.truths:
        simulate_truths(options.truths, options.users)


if __name__ == "__main__":
    main()
