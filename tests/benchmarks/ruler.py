"""Expected Hit Rate@4: rankings judged by the truth of a sample, without the noise of clicks.

    python tests/benchmarks/ruler.py --kinds segment taste real_cars --traffics 1 0.3 0.1 0.03 --seeds 0 1 2

The expected Hit Rate@4 of four parts is the sum of their true chances over that of all parts that a user may be
given. It is averaged over the cold users, each car weighing as many as own it; and over clickers with interactions
before the cutoff, whose own tastes and what they met the truth knows. Slices are by the visits that a car's class
had before the cutoff. ``gap`` is the share of the way from ``sql`` to the oracle.

``--run DATA_DIR --sample FOLDER`` judges the ``evaluation_rankings`` and ``control_rankings`` of a run instead, on its
own test users. Results are printed as Markdown and written as JSON. ``expected_hits.py`` has the
formula on plain arrays, for experiments. None of this may be used by the product: it reads the truth.
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
import itertools
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from expected_hits import SLOTS, BoolArray, FloatArray, IntArray, choose, expected_hit_rate
from measure import reset_peak, status
from ruler_tables import BASELINE, EXPECTED, ORACLE, print_tables
from study import (
    RESULTS_FOLDER,
    Study,
    add_sample_arguments,
    finished_results,
    sample_study,
    tell,
    write_results,
)

from holley_assets.evaluation.car_traffic import NAMES, car_names, class_visits, slice_of
from holley_assets.evaluation.metrics import UserMetrics
from holley_assets.pipeline.options import ranking_options
from holley_assets.ranking import Candidates, Scorer, build_candidates, rank_users
from holley_assets.sample_data.oracle import oracle_scores, oracle_user_scores
from holley_assets.sample_data.parameters import KINDS


@dataclass(frozen=True)
class Panel:
    """Users whom rankings are judged on, and the truth about them.

    Attributes:
        users: email_lower, year, make, model, sorted by e-mail, [P].
        products: base SKU of each column, [N].
        chance: true chance of each part, [P, N].
        eligible: parts that the rules allow for the car and that the user did not order within a year, [P, N].
        weight: cold users whom a row stands for, [P].
        has_history: whether the user has interactions before the cutoff, [P].
        visits: visits of the class of the user's car, [P].
    """

    users: pa.Table
    products: list[str]
    chance: FloatArray
    eligible: BoolArray
    weight: FloatArray
    has_history: BoolArray
    visits: FloatArray

    def judge(self, rankings: pa.Table) -> FloatArray:
        """Expected Hit Rate@4 of each user by the rankings of one system: email_lower, rank, base_sku.

        Raises:
            ValueError: a ranked part is unknown, or a place is taken twice.
        """
        rows = rankings.filter(pc.less_equal(rankings["rank"], SLOTS))
        user = _places(rows["email_lower"], self.users["email_lower"])
        column = _places(rows["base_sku"], pa.chunked_array([pa.array(self.products, pa.string())]))
        if (column[user >= 0] < 0).any():
            raise ValueError(f"{int((column[user >= 0] < 0).sum())} ranked parts are unknown")
        place = rows["rank"].to_numpy().astype(np.int64) - 1
        ours = user >= 0
        if len(np.unique(user[ours] * SLOTS + place[ours])) < ours.sum():
            raise ValueError("rankings: a user has two parts at one rank")
        chosen = np.full((len(self.weight), SLOTS), -1)
        chosen[user[ours], place[ours]] = column[ours]
        return expected_hit_rate(self.chance, self.eligible, chosen)

    def summary(self, values: FloatArray) -> dict[str, Any]:
        """Means over the cold users, over users with a history, and over the cold users of each slice."""
        known = ~np.isnan(values)
        cold = known & ~self.has_history
        of = slice_of(self.visits)

        def mean(rows: BoolArray) -> float | None:
            return float(np.average(values[rows], weights=self.weight[rows])) if rows.any() else None

        total = self.weight[cold].sum()
        return {
            "cold": mean(cold),
            "history": mean(known & self.has_history),
            "slices": {
                name: {
                    "share": float(self.weight[cold & (of == row)].sum() / total),
                    EXPECTED: mean(cold & (of == row)),
                }
                for row, name in enumerate(NAMES)
            },
        }


def build_panel(
    users: pa.Table,
    weight: FloatArray,
    sample: Path,
    *,
    candidates: Candidates,
    purchases: pa.Table,
    visits: pa.Table,
    products: list[str],
) -> Panel:
    """Look up the truth about ``users``: email_lower, year, make, model, sorted by e-mail.

    Args:
        weight: cold users whom each one stands for.
        sample: folder of the sample.
        candidates: parts that the rules allow.
        purchases: email_lower, base_sku: ordered within the days that the rules look at.
        visits: of :func:`holley_assets.evaluation.car_traffic.class_visits`.
        products: base SKU of each column.
    """
    emails, columns = users["email_lower"], pa.chunked_array([pa.array(products, pa.string())])
    names = car_names(users).dictionary_encode()
    truth, own = oracle_scores(sample), oracle_user_scores(sample)
    of_car = np.zeros((len(names.dictionary), len(products)))
    car = _places(pa.chunked_array([car_names(truth)]), pa.chunked_array([names.dictionary]))
    _write_chances(of_car, car, truth, columns)
    chance = of_car[names.indices.to_numpy()]
    row = _places(own["email_lower"], emails)
    has_history = np.zeros(users.num_rows, bool)
    has_history[row[row >= 0]] = True
    chance[has_history] = 0.0
    _write_chances(chance, row, own, columns)

    eligible = np.zeros(chance.shape, bool)
    vehicle = candidates.find_vehicles(users["year"], users["make"], users["model"])
    column_of = _places(pa.chunked_array([candidates.product_ids]), columns)
    begin = np.append(candidates.row_offsets, 0)[vehicle]
    amount = np.append(np.diff(candidates.row_offsets), 0)[vehicle]
    user = np.repeat(np.arange(len(vehicle)), amount)
    place = begin[user] + np.arange(len(user)) - np.repeat(np.cumsum(amount) - amount, amount)
    eligible[user, column_of[candidates.pair_product[candidates.row_pair[place]]]] = True
    bought = _places(purchases["email_lower"], emails), _places(purchases["base_sku"], columns)
    known = (bought[0] >= 0) & (bought[1] >= 0)
    eligible[bought[0][known], bought[1][known]] = False

    seen = _places(pa.chunked_array([car_names(users)]), pa.chunked_array([car_names(visits)]))
    return Panel(
        users,
        products,
        chance,
        eligible,
        weight,
        has_history,
        np.append(visits["visits"].to_numpy(), np.nan)[seen],
    )


def _write_chances(chance: FloatArray, row: IntArray, truth: pa.Table, columns: pa.ChunkedArray) -> None:
    column = _places(truth["base_sku"], columns)
    known = (row >= 0) & (column >= 0)
    chance[row[known], column[known]] = np.exp(truth["score"].to_numpy()[known])


def _places(values: pa.ChunkedArray, vocabulary: pa.ChunkedArray) -> IntArray:
    """Position of each value in ``vocabulary``, −1 where it is not there."""
    known = vocabulary.cast(pa.string()).combine_chunks()
    found = pc.index_in(values.cast(pa.string()), value_set=known)
    place: IntArray = pc.fill_null(found, -1).to_numpy().astype(np.int64)
    return place


def recent_purchases(purchases: pa.Table, end: Any, days: int) -> pa.Table:
    """Orders of the ``days`` days before ``end``."""
    date = purchases["order_date"].to_numpy().astype("datetime64[D]")
    last = np.datetime64(end, "D")
    return purchases.filter(pa.array((date >= last - days) & (date < last)))


@dataclass(frozen=True)
class RulerStudy(Study):
    """A study whose test users are the panel, so that every system of ``peers.py`` can be judged by the truth.

    A cold user without orders stands for all cold users of the same car; clickers with a history for themselves.
    """

    @functools.cached_property
    def panel(self) -> Panel:
        """Whom the systems are judged on."""
        assert self.oracle_folder is not None, "the truth is known of samples alone"
        nodes = self.tables["user_nodes"].select(["email_lower", "year", "make", "model", "engagement_tier"])
        recent = recent_purchases(
            self.tables["user_purchases"], self.windows.cutoff, self.settings.rules.purchase_exclusion_days
        )
        own = oracle_user_scores(self.oracle_folder)["email_lower"]
        cold = pc.equal(nodes["engagement_tier"].cast(pa.string()), "cold").to_numpy()
        with_history = _places(nodes["email_lower"], own) >= 0
        ordered = _places(nodes["email_lower"], recent["email_lower"]) >= 0
        cars = car_names(nodes).dictionary_encode()
        car = cars.indices.to_numpy()
        owners = np.bincount(car[cold & ~with_history], minlength=len(cars.dictionary))
        plain = np.flatnonzero(cold & ~with_history & ~ordered)
        _, first = np.unique(car[plain], return_index=True)
        rows = np.concatenate([plain[first], np.flatnonzero(with_history & ~cold)])
        weight = np.concatenate([owners[car[plain[first]]], np.ones(len(rows) - len(first))]).astype(float)
        emails = nodes["email_lower"].cast(pa.string()).take(pa.array(rows))
        order = pc.sort_indices(emails).to_numpy()
        users = nodes.take(pa.array(rows[order])).drop_columns("engagement_tier")
        users = users.set_column(0, "email_lower", emails.take(pa.array(order)))
        return build_panel(
            users,
            weight[order],
            self.oracle_folder,
            candidates=self.candidates,
            purchases=recent,
            visits=class_visits(self.tables["fitment"], self.tables["visitor_demand"]),
            products=self.products,
        )

    @functools.cached_property
    def users(self) -> pa.Table:
        """The panel with each user's node of the training graph in ``profile``."""
        place = _places(self.panel.users["email_lower"], self.tables["user_nodes"]["email_lower"])
        profile = np.asarray(self.graph.user_profiles)[place].astype(np.int32)
        return self.panel.users.append_column("profile", pa.array(profile))

    def measure(self, scorer: Scorer, users: pa.Table | None = None) -> UserMetrics:
        """Expected Hit Rate@4 of each user of the panel."""
        ranking = rank_users(
            self.users if users is None else users,
            self.candidates,
            scorer,
            purchases=self.tables["user_purchases"],
            view_end=self.windows.cutoff,
            options=ranking_options(self.settings, SLOTS),
        )
        return {EXPECTED: self.panel.judge(ranking.to_table("system"))}


def ruler_study(study: Study) -> RulerStudy:
    """The same data set with the panel for test users."""
    return RulerStudy(**{field.name: getattr(study, field.name) for field in dataclasses.fields(Study)})


def judge_run(data: Path, sample: Path) -> dict[str, dict[str, Any]]:
    """Every system of the newest run in ``data``, on its own test users: system → :meth:`Panel.summary`."""
    tables = {
        name: pq.read_table(data / "assets" / f"{name}.parquet")
        for name in (
            "evaluation_rankings",
            "control_rankings",
            "user_nodes",
            "fitment",
            "parts",
            "product_nodes",
            "user_purchases",
            "visitor_demand",
            "time_windows",
        )
    }
    from holley_assets.settings import load_settings

    rankings = pa.concat_tables(
        [
            tables[name].select(["email_lower", "system", "rank", "base_sku"])
            for name in ("evaluation_rankings", "control_rankings")
        ],
        promote_options="permissive",
    )
    rankings = rankings.set_column(1, "system", rankings["system"].cast(pa.string()))
    emails = pc.unique(rankings["email_lower"].cast(pa.string())).sort()
    place = _places(pa.chunked_array([emails]), tables["user_nodes"]["email_lower"])
    users = tables["user_nodes"].select(["email_lower", "year", "make", "model"]).take(pa.array(place))
    users = users.set_column(0, "email_lower", emails)
    panel = build_panel(
        users,
        np.ones(len(place)),
        sample,
        candidates=build_candidates(tables["fitment"], tables["parts"], view="training", apply_rules=True),
        purchases=recent_purchases(
            tables["user_purchases"],
            tables["time_windows"]["cutoff"][0].as_py(),
            load_settings().rules.purchase_exclusion_days,
        ),
        visits=class_visits(tables["fitment"], tables["visitor_demand"]),
        products=tables["product_nodes"]["base_sku"].cast(pa.string()).to_pylist(),
    )
    part_type = tables["product_nodes"]["part_type"].cast(pa.string()).combine_chunks().dictionary_encode()
    # Parts of no type are a type of their own, as in the rules.
    codes = pc.fill_null(part_type.indices, len(part_type.dictionary)).to_numpy().astype(np.int64)
    best = choose(panel.chance, panel.eligible, codes)
    return {
        **{
            system: panel.summary(panel.judge(rankings.filter(pc.equal(rankings["system"], system))))
            for system in pc.unique(rankings["system"]).to_pylist()
        },
        ORACLE: panel.summary(expected_hit_rate(panel.chance, panel.eligible, best)),
    }


def run_cell(study: RulerStudy, seed: int, names: list[str]) -> dict[str, Any]:
    """Summary, seconds and memory of every system in one world."""
    from peers import SYSTEMS

    systems: dict[str, Any] = {}
    for name in dict.fromkeys([BASELINE, ORACLE, *names]):
        reset_peak()
        start, processor = time.monotonic(), time.process_time()
        values = SYSTEMS[name](study, seed)[EXPECTED]
        systems[name] = {
            **study.panel.summary(values),
            "seconds": time.monotonic() - start,
            # What other work on the machine does not change.
            "cpu_seconds": time.process_time() - processor,
            # Of the process while the system runs: the tables of the study stand in it too.
            "peak_mib": status("VmHWM"),
        }
        tell(
            f"{study.name}: {name} cold {100 * (systems[name]['cold'] or 0):.2f}, with a history "
            f"{100 * (systems[name]['history'] or 0):.2f} ({systems[name]['seconds']:.0f} s, "
            f"{systems[name]['cpu_seconds']:.0f} s of processors, {systems[name]['peak_mib']:,.0f} MiB)"
        )
    return systems


def main() -> None:
    """Judge the systems in every world and print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_sample_arguments(parser, seeds=range(3), users=40_000)
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=["segment", "taste", "real_cars"])
    parser.add_argument("--traffics", nargs="+", type=float, default=[1.0])
    parser.add_argument("--systems", nargs="+", default=["popularity", "visitor_demand", "gnn"])
    parser.add_argument("--run", type=Path, help="data folder of a run whose rankings are judged")
    parser.add_argument("--sample", type=Path, help="with --run: folder of its sample")
    arguments = parser.parse_args()
    output = arguments.output or RESULTS_FOLDER / "ruler.json"
    if arguments.run is not None:
        if arguments.sample is None:
            parser.error("--run needs --sample, the folder whose truth the run was drawn from")
        cells = [
            {"kind": "run", "traffic": 1.0, "seed": 0, "systems": judge_run(arguments.run, arguments.sample)}
        ]
        print_tables(cells)
        return
    cells = finished_results(output, arguments).get("cells", [])
    done = {(cell["kind"], cell["traffic"], cell["seed"]) for cell in cells}
    for kind, traffic, seed in itertools.product(arguments.kinds, arguments.traffics, arguments.seeds):
        if (kind, traffic, seed) in done:
            continue
        world = argparse.Namespace(**{**vars(arguments), "kind": kind, "traffic": traffic})
        study = ruler_study(sample_study(world, seed))
        systems = run_cell(study, seed, arguments.systems)
        cells.append({"kind": kind, "traffic": traffic, "seed": seed, "systems": systems})
        write_results(output, {"cells": cells}, arguments)
    print_tables(cells)


if __name__ == "__main__":
    main()
