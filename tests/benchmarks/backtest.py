"""Does the lift last? The evaluation repeated at past cutoffs of one data set.

    python tests/benchmarks/backtest.py

generates a sample of 20,000 users whose clicks cover three test windows, moves ``as_of`` back by the test
days twice, trains and evaluates at each cutoff as a run would, prints a Markdown table and writes
``data/benchmarks/backtest-segment.json`` with the full evaluation reports. ``--source FOLDER`` takes a folder of
source tables with enough clicks instead. Several ``--seeds`` give a table each.
"""

from __future__ import annotations

import argparse
import dataclasses
import datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from study import (
    RESULTS_FOLDER,
    Study,
    add_sample_arguments,
    finished_results,
    markdown,
    open_study,
    sample_study,
    tell,
    write_results,
)

from holley_assets.evaluation.backtest import summarise_backtest
from holley_assets.evaluation.report import RunIdentity, build_report
from holley_assets.gnn.checkpoint import Checkpoint
from holley_assets.gnn.controls import counted_popularity, fitted_popularity
from holley_assets.gnn.embedding import embed
from holley_assets.gnn.training import train
from holley_assets.pipeline.options import evaluation_options, ranking_options, training_options
from holley_assets.pipeline.system_rankings import rank_all_systems
from holley_assets.ranking import EmbeddingScorer, rank_users
from holley_assets.ranking.comparison import RANKING_COLUMNS


def evaluate(study: Study, seed: int) -> dict[str, Any]:
    """Train at the study's cutoff and build the report that a run builds."""
    model_options, options = training_options(study.settings)
    data = study.graph.data
    checkpoint = train(data, model_options, dataclasses.replace(options, seed=seed)).checkpoint
    vectors = embed(data, checkpoint, personal_precision=options.personal_precision)
    rank = partial(
        rank_all_systems,
        study.users,
        fitment=study.tables["fitment"],
        parts=study.tables["parts"],
        popularity=study.tables["popularity"],
        gnn=EmbeddingScorer(vectors.user, vectors.product, study.products),
        purchases=study.tables["user_purchases"],
        windows=study.windows,
        settings=study.settings,
    )
    version = checkpoint.version(study.windows.as_of)
    return build_report(
        run=RunIdentity(study.name, study.windows.as_of, study.windows.cutoff, version),
        clicks=study.tables["test_clicks"],
        clicks_dropped=study.clicks_dropped,
        users=study.tables["user_nodes"],
        rankings=rank(apply_rules=True),
        rankings_before_rules=rank(apply_rules=False),
        products=study.tables["product_nodes"],
        control_rankings=control_rankings(study, checkpoint),
        options=evaluation_options(study.settings),
    )


def control_rankings(study: Study, checkpoint: Checkpoint) -> pa.Table:
    """Rankings by popularity counted on the data that the model reads."""
    column = study.users.schema.get_field_index("profile")
    alike = study.users.set_column(column, "profile", pa.array(np.zeros(study.users.num_rows, np.int32)))
    rankings = []
    counts = {
        "fitted_popularity": fitted_popularity(study.graph.data, checkpoint),
        "counted_popularity": counted_popularity(study.graph.data),
    }
    for system, popularity in counts.items():
        ranking = rank_users(
            alike,
            study.candidates,
            EmbeddingScorer(np.ones((1, 1), np.float32), popularity[:, None], study.products),
            purchases=study.tables["user_purchases"],
            view_end=study.windows.cutoff,
            options=ranking_options(study.settings, study.settings.evaluation.depth),
        )
        rankings.append(ranking.to_table(system).select(RANKING_COLUMNS))
    return pa.concat_tables(rankings)


def backtest_table(summary: dict[str, Any]) -> str:
    """Lift by cutoff, and its mean and spread."""

    def points(value: float | None) -> str:
        return "–" if value is None else f"{100 * value:+.1f}"

    rows = [
        [
            row["cutoff"],
            str(row["users"]),
            points(row["lift"]),
            "–" if row["ci95"] is None else " … ".join(points(end) for end in row["ci95"]),
            row["outcome"],
        ]
        for row in summary["rows"]
    ]
    spread = summary["standard_deviation"]
    rows.append(
        [
            "mean ± spread",
            "",
            points(summary["mean"]) + ("" if spread is None else f" ± {100 * spread:.1f}"),
            f"{summary['positive']} of {summary['measured']} above 0",
            "",
        ]
    )
    header = ["cutoff", f"{summary['tier']} users", "Hit Rate@4 lift, points", "95 % interval", "decision"]
    return markdown(header, rows)


def study_at(arguments: argparse.Namespace, seed: int, step: int) -> Study:
    """The data set as of ``step`` test windows before its end."""
    as_of = arguments.as_of - datetime.timedelta(days=step * arguments.window_days)
    if arguments.source is None:
        return sample_study(arguments, seed, as_of=as_of, test_days=arguments.window_days)
    return open_study(
        arguments.source,
        arguments.work / arguments.source.name,
        name=arguments.source.name,
        as_of=as_of,
        intent_start=arguments.intent_start,
        test_days=arguments.window_days,
    )


def main() -> None:
    """Run the study and print a table for each seed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_sample_arguments(parser, seeds=[0], users=20_000)
    parser.add_argument("--source", type=Path, help="folder of source tables instead of samples")
    parser.add_argument("--cutoffs", type=int, default=3, help="how many, test days apart")
    parser.add_argument("--window-days", type=int, default=30, help="days of each test window")
    arguments = parser.parse_args()
    # A sample has clicks in its own test days alone: they must cover all windows.
    arguments.test_days = arguments.cutoffs * arguments.window_days
    label = arguments.kind if arguments.source is None else arguments.source.name
    output = arguments.output or RESULTS_FOLDER / f"backtest-{label}.json"
    results: list[dict[str, Any]] = finished_results(output, arguments).get("backtests", [])
    finished = {result["seed"] for result in results}
    for seed in [seed for seed in arguments.seeds if seed not in finished]:
        reports = []
        for step in range(arguments.cutoffs):
            reports.append(evaluate(study_at(arguments, seed, step), seed))
            tell(f"seed {seed}, cutoff {reports[-1]['cutoff']}: {reports[-1]['decision']['reason']}")
        summary = summarise_backtest(reports)
        results.append({"seed": seed, "summary": summary, "reports": reports})
        write_results(output, {"backtests": results}, arguments)
        print(backtest_table(summary), end="\n\n")


if __name__ == "__main__":
    main()
