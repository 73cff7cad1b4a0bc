"""Is a run worse than the one before it, and did anything drift? One row a measure, and what speaks against it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import pyarrow as pa
from jaxtyping import Num

from holley_assets.evaluation.drift import VectorDrift
from holley_assets.evaluation.metrics import SCOPES
from holley_assets.evaluation.stability import (
    bin_counts,
    population_stability_index,
    reference_edges,
    total_variation,
)

# How far the best part is ahead of the third, as a logit: what of the scores says how users are ranked.
SCORE_LEADS = "score_leads"
# Cosines: each training scales them by its own longest vectors.
SCORES = "scores"
# Drops within so many standard errors are chance: the test users of two weeks are others.
STANDARD_ERRORS = 2.0

Kind = Literal["worse", "drift", "shown"]

MEASURES_SCHEMA = pa.schema(
    [
        pa.field("measure", pa.string(), nullable=False),
        pa.field("kind", pa.string(), nullable=False),
        pa.field("before", pa.float64()),
        pa.field("now", pa.float64()),
        pa.field("value", pa.float64()),
        pa.field("limit", pa.float64()),
        pa.field("kept", pa.bool_()),
        pa.field("previous_run", pa.string()),
    ]
)


@dataclass(frozen=True)
class Thresholds:
    """What is too much; see the settings of the same names."""

    hit_rate_drop: float = 0.02
    graph_change: float = 0.25
    part_type_change: float = 0.3
    users_changed: float = 0.95
    psi: float = 0.25
    model_psi: float = 0.75
    norm_change: float = 0.25


@dataclass(frozen=True)
class RunSummary:
    """What is kept of a run, so that the next ones can be compared with it.

    Attributes:
        hit_rates: Hit Rate@4 of the graph by scope; None where a tier is empty.
        test_users: by scope.
        graph: nodes and edges of the training graph by type.
        part_types: slots of the delivered table by part type.
        distributions: by name, the inner edges of ten equal bins and the counts in them.
        shown: numbers for plots over time: coverage, concentration and the like.
        norms: statistics of the vectors' lengths before they are brought to one, by what they are of; see
            :func:`.drift.norm_statistics`.
    """

    hit_rates: Mapping[str, float | None]
    test_users: Mapping[str, int]
    graph: Mapping[str, float]
    part_types: Mapping[str, int]
    distributions: Mapping[str, Mapping[str, list[float]]]
    shown: Mapping[str, float | None] = field(default_factory=dict)
    norms: Mapping[str, Mapping[str, float]] = field(default_factory=dict)

    @property
    def numbers(self) -> dict[str, float | None]:
        """What is plotted over time, whatever run it is compared with."""
        return {
            **{f"{scope}_hit_rate_at_4": rate for scope, rate in self.hit_rates.items()},
            **self.shown,
            **{
                f"{kind}_norm_{name}": value
                for kind, statistics in self.norms.items()
                for name, value in statistics.items()
            },
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> RunSummary:
        """Inverse of ``dataclasses.asdict``."""
        return cls(**values)


@dataclass(frozen=True)
class Measure:
    """One thing that is compared.

    Attributes:
        kind: ``worse``: beyond its limit the model is not promoted; ``drift``: somebody should look; ``shown``:
            no limit.
        value: what the limit is about, often a change.
        kept: whether the limit was kept; None without one.
    """

    name: str
    kind: Kind
    before: float | None
    now: float | None
    value: float | None
    limit: float | None = None

    @property
    def kept(self) -> bool | None:
        """Nothing to compare is nothing to object to; a value that is no number is."""
        if self.limit is None or self.value is None:
            return None
        return bool(math.isfinite(self.value) and self.value <= self.limit)

    @property
    def objection(self) -> str:
        """A broken limit in words."""
        numbers = f"{self.value:.3g}, at most {self.limit:.3g}"
        if self.before is not None and self.now is not None:
            numbers += f" (from {self.before:.4g} to {self.now:.4g})"
        return f"{self.name} is {numbers}"


def distribution(values: Num[np.ndarray, "rows"]) -> dict[str, list[float]]:
    """Edges and counts of ten equal bins, for :attr:`RunSummary.distributions`."""
    edges = reference_edges(np.asarray(values, float))
    return {
        "edges": edges,
        "counts": [float(count) for count in bin_counts(np.asarray(values, float), edges)],
    }


def compare_runs(
    before: RunSummary,
    now: RunSummary,
    values: Mapping[str, Num[np.ndarray, "_"]],
    *,
    users_changed: float | None,
    vectors: Mapping[str, VectorDrift],
    thresholds: Thresholds,
) -> list[Measure]:
    """Every measure of a run against an earlier one.

    Args:
        before: of the earlier run.
        now: of this run.
        values: this run's values behind ``now.distributions``, to be counted in the earlier run's bins.
        users_changed: share of the common users who are shown other parts.
        vectors: drift of the vectors by what they are of.
        thresholds: the limits.
    """
    return [
        *(_hit_rate(scope, before, now, thresholds) for scope in SCOPES),
        *_graph(before, now, thresholds),
        Measure(
            "part_type_change",
            "worse",
            None,
            None,
            total_variation(before.part_types, now.part_types),
            thresholds.part_type_change,
        ),
        Measure("users_changed_share", "worse", None, None, users_changed, thresholds.users_changed),
        *(
            _distribution(name, _index(known, values[name]), thresholds)
            for name, known in before.distributions.items()
            if name in values
        ),
        *(measure for name, drift in vectors.items() for measure in _vectors(name, drift, thresholds)),
        *_norms(before, now, thresholds),
    ]


def objections(measures: Iterable[Measure], kind: Kind) -> list[str]:
    """Broken limits of a kind, each in words."""
    return [measure.objection for measure in measures if measure.kind == kind and measure.kept is False]


def measures_table(measures: Iterable[Measure], previous_run: str | None) -> pa.Table:
    """One row a measure, in :data:`MEASURES_SCHEMA`."""
    return pa.Table.from_pylist(
        [
            {
                "measure": measure.name,
                "kind": measure.kind,
                "before": measure.before,
                "now": measure.now,
                "value": measure.value,
                "limit": measure.limit,
                "kept": measure.kept,
                "previous_run": previous_run,
            }
            for measure in measures
        ],
        schema=MEASURES_SCHEMA,
    )


def _hit_rate(scope: str, before: RunSummary, now: RunSummary, thresholds: Thresholds) -> Measure:
    """The drop of Hit Rate@4; a drop that chance explains is within the limit, however large.

    The limit is the threshold or two standard errors of the difference of two shares, whichever is more.
    """
    was, is_now = before.hit_rates.get(scope), now.hit_rates.get(scope)
    name = f"{scope}_hit_rate_at_4_drop"
    if was is None or is_now is None:
        return Measure(name, "worse", was, is_now, None)
    variance = sum(
        rate * (1 - rate) / max(summary.test_users[scope], 1)
        for rate, summary in ((was, before), (is_now, now))
    )
    limit = max(thresholds.hit_rate_drop, STANDARD_ERRORS * math.sqrt(variance))
    return Measure(name, "worse", was, is_now, was - is_now, limit)


def _graph(before: RunSummary, now: RunSummary, thresholds: Thresholds) -> list[Measure]:
    return [
        Measure(
            f"{name}_change",
            "worse",
            was,
            now.graph[name],
            abs(now.graph[name] - was) / was if was else None,
            thresholds.graph_change,
        )
        for name, was in before.graph.items()
        if name in now.graph
    ]


def _index(known: Mapping[str, list[float]], values: Num[np.ndarray, "rows"]) -> float | None:
    counts = [int(count) for count in known["counts"]]
    return population_stability_index(counts, bin_counts(np.asarray(values, float), known["edges"]))


def _distribution(name: str, index: float | None, thresholds: Thresholds) -> Measure:
    """Scores that are spread otherwise are another model; features that are, other data."""
    if name == SCORE_LEADS:
        return Measure(f"{name}_psi", "worse", None, None, index, thresholds.model_psi)
    if name == SCORES:
        return Measure(f"{name}_psi", "shown", None, None, index)
    return Measure(f"{name}_psi", "drift", None, None, index, thresholds.psi)


def _norms(before: RunSummary, now: RunSummary, thresholds: Thresholds) -> list[Measure]:
    """Relative changes of lengths; the mean's has a limit."""
    measures = []
    for kind, statistics in before.norms.items():
        for name, was in statistics.items():
            is_now = now.norms.get(kind, {}).get(name)
            if is_now is None or was == 0:
                continue
            limited = name == "mean"
            measures.append(
                Measure(
                    f"{kind}_norm_{name}_change",
                    "drift" if limited else "shown",
                    was,
                    is_now,
                    abs(is_now - was) / was,
                    thresholds.norm_change if limited else None,
                )
            )
    return measures


def _vectors(name: str, drift: VectorDrift, thresholds: Thresholds) -> list[Measure]:
    return [
        Measure(f"{name}_similarity_psi", "drift", None, None, drift.similarity_psi, thresholds.model_psi),
        Measure(f"{name}_similarity_correlation", "shown", None, None, drift.similarity_correlation),
        Measure(f"{name}_centroid_shift", "shown", None, None, drift.centroid_shift),
        Measure(f"{name}_mean_vector_length", "shown", None, None, drift.spread),
        Measure(f"{name}_compared", "shown", None, None, float(drift.common)),
    ]
