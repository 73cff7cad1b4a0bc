"""The whole weekly job, stage by stage and step by step: wall time, processor time and peak memory.

    python tests/benchmarks/end_to_end.py                       # full scale
    python tests/benchmarks/end_to_end.py --users 20000 475000  # `speed.py` tells how it grows

runs the job as the command line does, from source files that already exist, and writes
``data/benchmarks/end_to_end.json``. Where the source files do not exist yet they are generated first, which is
a row of its own and no part of the job. Every run starts from an empty data folder and removes it at its end;
``HOLLEY_`` settings of the environment hold for it.

A stage's wall time is the time in which any of its steps ran (two run at once), from the fork of a step's
process to its end; its memory is the most that any one process held.
"""

from __future__ import annotations

import argparse
import dataclasses
import datetime
import json
import multiprocessing
import os
import sys
import tempfile
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import dagster as dg
from measure import Measurement, machine, measure
from processes import Usage, WatchedCommand, watch
from study import RESULTS_FOLDER, markdown, tell

from holley_assets.core.table_specs import (
    TABLE_SPECS,
)
from holley_assets.core.time_windows import intent_start_of
from holley_assets.sample_data.generate import generate_sample
from holley_assets.sample_data.parameters import FULL_SCALE_USERS
from holley_assets.settings import load_settings

WORK_FOLDER = Path("data/benchmarks/end_to_end")
JOB = "weekly_retrain"
GENERATION = "sample data (no part of the job)"
WHOLE = "the whole job"
SQL, OTHER = "tables (SQL)", "windows, warnings"
STAGES = {
    **{spec.name: SQL for spec in TABLE_SPECS},
    "visitor_demand": "visitor_demand (SQL)",
    "graphs": "graphs",
    "trained_checkpoint": "training",
    "embeddings": "vectors",
    "recommendations": "ranking",
    "evaluation_rankings": "evaluation",
    "eval_report": "evaluation",
    "recommendations_table": "delivery",
}


@dataclass
class Step:
    """One step of a run.

    Attributes:
        start, end: seconds since the epoch.
    """

    name: str
    process: int
    start: float
    end: float = 0.0


@dataclass(frozen=True)
class Run:
    """The job at one size, by stage and by step."""

    users: int
    stages: list[Measurement]
    steps: list[Measurement]


def generate(folder: Path, arguments: argparse.Namespace, users: int) -> Measurement | None:
    """Make the source tables in a process of its own; None where they exist already."""
    make = partial(
        generate_sample,
        folder,
        users=users,
        kind=arguments.kind,
        seed=arguments.seed,
        as_of=arguments.as_of,
        intent_start=intent_start_of(load_settings().run, arguments.as_of),
    )
    existed = folder.exists()
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as executor:
        result = executor.submit(measure, GENERATION, make, runs=1).result()
    return None if existed else result


def run_job(arguments: argparse.Namespace, users: int) -> Run:
    """The job at one size, from an empty data folder."""
    folder = arguments.work / f"{arguments.kind}-{users}-seed-{arguments.seed}-{arguments.as_of}"
    generated = generate(folder / "sources", arguments, users)
    with tempfile.TemporaryDirectory(dir=folder, prefix="run-") as work:
        home, data = Path(work) / "home", Path(work) / "data"
        home.mkdir()
        environment = {
            **os.environ,
            "DAGSTER_HOME": str(home.resolve()),
            "HOLLEY_SOURCE_DIR": str((folder / "sources").resolve()),
            "HOLLEY_DATA_DIR": str(data.resolve()),
            "HOLLEY_AS_OF": str(arguments.as_of),
            "OMP_NUM_THREADS": str(arguments.threads),
        }
        command = [sys.executable, "-m", "dagster", "job", "execute"]
        watched = watch(
            [*command, "-m", "holley_assets.definitions", "-j", JOB],
            environment=environment,
            log=folder / "run.log",
        )
        with dg.DagsterInstance.from_config(str(home)) as instance:
            steps, figures = read_steps(instance)
    stages = [*summarise(steps, watched), whole(watched, figures)]
    if generated:
        stages.insert(0, generated)
    return Run(users, stages, each_step(steps, watched))


def read_steps(instance: dg.DagsterInstance) -> tuple[list[Step], dict[str, int]]:
    """Steps of the newest run, in the order of their start, and what its training worked on."""
    steps: dict[str, Step] = {}
    figures: dict[str, int] = {}
    (run,) = instance.get_runs(limit=1)
    for entry in instance.all_logs(run.run_id):
        event, name = entry.dagster_event, entry.step_key
        if event is None or name is None:
            continue
        if event.event_type is dg.DagsterEventType.STEP_START:
            steps[name] = Step(name, int(event.pid or 0), entry.timestamp)
        elif event.event_type is dg.DagsterEventType.STEP_SUCCESS:
            steps[name].end = entry.timestamp
        elif event.event_type is dg.DagsterEventType.ASSET_MATERIALIZATION:
            materialization = event.step_materialization_data.materialization
            metadata = materialization.metadata
            if materialization.asset_key.to_user_string() == "training_graph":
                counts: Any = metadata["nodes"].value
                figures |= {f"{kind} nodes": int(count) for kind, count in counts.items()}
            if "epochs" in metadata:
                epochs: Any = metadata["epochs"].value
                figures["epochs"] = int(epochs)
    return sorted(steps.values(), key=lambda step: step.start), figures


def summarise(steps: Iterable[Step], watched: WatchedCommand) -> list[Measurement]:
    """What each stage took, in the order of the stages."""
    of_stage: dict[str, list[Step]] = {}
    for step in steps:
        of_stage.setdefault(STAGES.get(step.name, OTHER), []).append(step)
    order = [*dict.fromkeys(STAGES.values()), OTHER]
    return [
        _measurement(
            name, busy_seconds(of_stage[name]), [watched.processes[s.process] for s in of_stage[name]]
        )
        for name in order
        if name in of_stage
    ]


def busy_seconds(steps: Sequence[Step]) -> float:
    """Time in which at least one of ``steps``, given in the order of their start, was running."""
    total, reached = 0.0, 0.0
    for step in steps:
        total += max(0.0, step.end - max(step.start, reached))
        reached = max(reached, step.end)
    return total


def whole(watched: WatchedCommand, figures: dict[str, int]) -> Measurement:
    """The job from its command to its exit, with what starts and logs the steps."""
    return _measurement(WHOLE, watched.seconds, list(watched.processes.values()), **figures)


def each_step(steps: Iterable[Step], watched: WatchedCommand) -> list[Measurement]:
    """What each step took, from its process's first event to its last, the longest first."""
    measured = [
        _measurement(step.name, step.end - step.start, [watched.processes[step.process]]) for step in steps
    ]
    return sorted(measured, key=lambda measurement: -measurement.seconds)


def _measurement(name: str, seconds: float, usages: Sequence[Usage], **figures: object) -> Measurement:
    peak = max(usage.peak_mib for usage in usages)
    return Measurement(
        name, seconds, [round(seconds, 2)], sum(usage.cpu_seconds for usage in usages), peak, peak, figures
    )


def plain_table(measurements: Sequence[Measurement]) -> str:
    """Wall time, processor time and peak memory."""
    rows = [[m.name, f"{m.seconds:.1f}", f"{m.cpu_seconds:.1f}", f"{m.peak_mib:,.0f}"] for m in measurements]
    return markdown(["", "seconds", "CPU seconds", "peak MiB"], rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--users", type=int, nargs="+", default=[FULL_SCALE_USERS])
    parser.add_argument("--kind", choices=("segment", "null"), default="segment")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--as-of", type=datetime.date.fromisoformat, default=datetime.date(2026, 2, 15))
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="threads of PyTorch")
    parser.add_argument("--work", type=Path, default=WORK_FOLDER, help="source files are kept here")
    parser.add_argument("--output", type=Path, default=RESULTS_FOLDER / "end_to_end.json")
    arguments = parser.parse_args()
    runs: list[Run] = []
    for users in arguments.users:
        tell(f"{users:,} users")
        runs.append(run_job(arguments, users))
        print(f"\n{users:,} users\n\n{plain_table(runs[-1].stages)}\n")
        print(", ".join(f"{count:,} {name}" for name, count in runs[-1].stages[-1].figures.items()) + "\n")
        print(f"{plain_table(runs[-1].steps)}\n", flush=True)
        content = {
            "machine": machine("dagster", "duckdb", "torch"),
            "threads": arguments.threads,
            "runs": [dataclasses.asdict(run) for run in runs],
        }
        arguments.output.parent.mkdir(parents=True, exist_ok=True)
        arguments.output.write_text(json.dumps(content, indent=2) + "\n")


if __name__ == "__main__":
    main()
