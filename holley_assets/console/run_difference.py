"""What two runs differ by, from the files that each left in its folder."""

from __future__ import annotations

import dataclasses
import itertools
import json
from collections.abc import Mapping
from typing import Any

import pyarrow.parquet as pq

from holley_assets.assets.run_memory import SHOWN_FILE, users_changed
from holley_assets.console.run_files import RunFiles
from holley_assets.evaluation.metrics import SCOPES
from holley_assets.evaluation.run_settings import (
    flat,
    settings_that_differ,
    that_differ,
    versions_that_differ,
)
from holley_assets.evaluation.systems import BASELINE, TREATMENT

METRICS = ("hit_rate@4", "recall@10", "mrr")


@dataclasses.dataclass(frozen=True)
class RunDifference:
    """Two runs side by side; a number that a run does not have is None.

    Attributes:
        runs: both ids.
        facts: day, model, what it is delivered as, and decision of both, by name.
        settings: those that differ, both values by name.
        versions: of packages and of the code that differ; None where a run kept none.
        metrics: both values by scope, system and metric, of what each run delivers and of the SQL pipeline.
        lifts: Hit Rate@4 of what is delivered less that of the SQL pipeline, with its interval, of both, by scope.
        graph: nodes, edges and densities of the training graph that differ.
        came, went: base SKUs that only the second, or only the first, learned from; None where a model is gone.
        users_changed: share of the common users who are shown another set of parts.
        users_compared: common users.
    """

    runs: tuple[str, str]
    facts: dict[str, tuple[str, str]]
    settings: dict[str, tuple[str, str]]
    versions: dict[str, tuple[str, str]] | None
    metrics: dict[tuple[str, str, str], tuple[float | None, float | None]]
    lifts: dict[str, tuple[tuple[float, float, float] | None, tuple[float, float, float] | None]]
    graph: dict[str, tuple[float | None, float | None]]
    came: list[str]
    went: list[str]
    users_changed: float | None
    users_compared: int


def compare(files: RunFiles, before: str, now: str) -> RunDifference:
    """Compare two runs, each named by its id, the beginning of it, or ``latest``.

    Raises:
        ConsoleError: a run is unknown or lacks a file.
    """
    runs = (files.find_run(before), files.find_run(now))
    first, second = (files.report(run) for run in runs)
    shown = [pq.read_table(files.path(run, SHOWN_FILE)) for run in runs]
    changed, common = users_changed(*shown)
    products = [_products(files, run) for run in runs]
    delivered = (_delivered_system(first), _delivered_system(second))
    return RunDifference(
        runs,
        {
            "as of": (str(first["as_of"]), str(second["as_of"])),
            "model": (str(first["model_version"]), str(second["model_version"])),
            "delivered as": delivered,
            "decision": (str(first["decision"]["outcome"]), str(second["decision"]["outcome"])),
        },
        settings_that_differ(
            *(json.loads(files.path(run, "settings.json").read_text("utf-8")) for run in runs)
        ),
        _versions(files, runs),
        {
            key: (_metric(first, *key), _metric(second, *key))
            for key in itertools.product(SCOPES, dict.fromkeys((*delivered, BASELINE)), METRICS)
        },
        {scope: (_lift(first, scope), _lift(second, scope)) for scope in SCOPES},
        that_differ(flat(first["graph"], depth=2), flat(second["graph"], depth=2)),
        sorted(products[1] - products[0]),
        sorted(products[0] - products[1]),
        changed,
        common,
    )


def _versions(files: RunFiles, runs: tuple[str, str]) -> dict[str, tuple[str, str]] | None:
    """Both versions of what differs; runs of before versions were kept have none."""
    paths = [files.folder / "runs" / run / "versions.json" for run in runs]
    if not all(path.exists() for path in paths):
        return None
    before, now = (json.loads(path.read_text("utf-8")) for path in paths)
    return versions_that_differ(before, now)


def _delivered_system(report: Mapping[str, Any]) -> str:
    """What a run delivers; reports of before there was a choice do not say it."""
    return str(report.get("delivered_system", TREATMENT))


def _metric(report: Mapping[str, Any], scope: str, system: str, metric: str) -> float | None:
    value: float | None = report["metrics"].get(system, {}).get(scope, {}).get(metric)
    return value


def _lift(report: Mapping[str, Any], scope: str) -> tuple[float, float, float] | None:
    """Difference and both ends of its interval; None where the tier is empty."""
    found = report["comparison"].get(scope, {})
    delta, interval = found.get("hit_rate@4_delta"), found.get("ci95")
    return None if delta is None or interval is None else (delta, *interval)


def _products(files: RunFiles, run: str) -> set[str]:
    """Base SKUs that a run's model knows."""
    from holley_assets.gnn.vocabularies import read_vocabularies

    return set(read_vocabularies(files.path(run, "model.pt"))["products"])
