"""The report as one HTML page: no script, readable without a network, prints well.

Nothing is loaded but the shop's pictures of a few parts, once they are in sight, where the run's source is no sample.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import pyarrow as pa

from holley_assets.evaluation import plots
from holley_assets.evaluation.example_cars import TERM_NOTES
from holley_assets.evaluation.formatting import (
    addend,
    count,
    decimal,
    difference,
    dollars,
    magnitude,
    number,
    probability,
    relative,
    share,
    span,
)
from holley_assets.evaluation.gates import DecisionRule, gates, reaches
from holley_assets.evaluation.labels import LABEL_UNITS, LABELS
from holley_assets.evaluation.metrics import METRICS, SCOPES
from holley_assets.evaluation.page_template import CONTENTS, page_style, page_template, with_contents
from holley_assets.evaluation.systems import BASELINE, SYSTEMS
from holley_assets.texts import for_log, mask_all

HEADLINES = {
    "clear_win": "Clear win",
    "marginal": "Marginal gain",
    "neutral": "No difference",
    "worse": "Worse",
    "inconclusive": "Inconclusive",
}
METRIC_NAMES = {
    "hit_rate@4": "Hit Rate@4",
    "recall@1": "Recall@1",
    "recall@5": "Recall@5",
    "recall@10": "Recall@10",
    "recall@20": "Recall@20",
    "mrr": "MRR",
    "ndcg@10": "NDCG@10",
    "hit_rate@4_delta": "Hit Rate@4, difference",
    "recall@10_relative": "Recall@10, relative",
    "mrr_relative": "MRR, relative",
}


def best_systems(metrics: Mapping[str, Any]) -> dict[str, dict[str, set[str]]]:
    """Scope → metric → the systems with the highest value; empty where no system has one."""
    best: dict[str, dict[str, set[str]]] = {}
    for scope in SCOPES:
        best[scope] = {}
        for metric in METRICS:
            values = {system: table[scope][metric] for system, table in metrics.items()}
            highest = max((value for value in values.values() if value is not None), default=None)
            best[scope][metric] = {
                system for system, value in values.items() if value is not None and value == highest
            }
    return best


def gate_rows(report: Mapping[str, Any], rule: DecisionRule) -> list[dict[str, Any]]:
    """The gates of the report with their meaning, origin, interval and whether all of it passes."""
    described = {gate.name: gate for gate in gates(rule)}
    rows = []
    for row in report["gates"]:
        gate = described[row["name"]]
        is_relative = row["metric"].endswith("_relative")
        power, comparison = report["power"]["scopes"][row["tier"]], report["comparison"][row["tier"]]
        bounds = power[f"{row['metric']}_ci95"] if is_relative else comparison["ci95"]
        rows.append(
            {
                **row,
                "meaning": gate.meaning,
                "source": gate.source,
                "decides": gate.decides,
                "relative": is_relative,
                "interval": bounds,
                "sure": bounds is not None and reaches(bounds[0], row["threshold"]),
            }
        )
    return rows


def against_promotion(report: Mapping[str, Any], gates: Sequence[Mapping[str, Any]]) -> list[str]:
    """What a promotion would be refused for, in words, as far as a report knows it; empty for a clear win."""
    found = []
    outcome = report["decision"]["outcome"]
    if outcome != "clear_win":
        found.append(f"the decision is {HEADLINES[outcome].lower()}, and only a clear win is promoted")
    failed = [
        f"{METRIC_NAMES[gate['metric']].split(',')[0]}, {gate['tier']}"
        for gate in gates
        if not gate["passed"]
    ]
    if failed:
        found.append(f"gates not passed: {' and '.join(failed)}")
    if not report.get("previous_run", {}).get("no_worse", True):
        found.append("it is worse than the run before")
    return found


def draw_plots(
    report: Mapping[str, Any], rule: DecisionRule, points: pa.Table | None
) -> tuple[dict[str, Any], dict[str, str]]:
    """Every plot by name, None where the report holds nothing to draw; and why others could not be drawn, by name."""
    mix = {
        system: report["exposure"][system]["part_types"] for system in (report["delivered_system"], BASELINE)
    }
    if "delivered" in report:
        mix["delivered"] = report["delivered"]["part_types"]
    training, graph = (report.get(name) for name in ("training", "graph"))
    lift = partial(
        plots.lift_by_tier,
        report["comparison"],
        report["metrics"],
        rule,
        treatment=report["delivered_system"],
    )
    drawings: dict[str, Callable[[], Any]] = {
        "lift": partial(lift, narrow=False),
        "lift_narrow": partial(lift, narrow=True),
        "training": lambda: plots.training_curves(training) if training else None,
        "scores": lambda: plots.score_distributions(report["scores"]),
        "part_types": lambda: plots.part_type_mix(mix),
        "degrees": lambda: (
            plots.degree_distributions(graph["degrees"]) if graph and "degrees" in graph else None
        ),
        "embedding": lambda: plots.embedding_picture(points) if points is not None else None,
    }
    drawn: dict[str, Any] = dict.fromkeys(drawings)
    missing: dict[str, str] = {}
    for name, draw in drawings.items():
        try:
            drawn[name] = draw()
        except (ArithmeticError, LookupError, OSError, RuntimeError, TypeError, ValueError) as error:
            # A picture beside the numbers: without it the report still says everything.
            missing[name] = for_log(f"{type(error).__name__}: {error}")
    return drawn, missing


def render(report: Mapping[str, Any], *, embedding_points: pa.Table | None = None) -> str:
    """The page.

    Args:
        report: what :func:`.report.build_report` returns. Extra sections that the page knows: ``training``
            (:func:`.training_summary.summarise_training`), ``graph`` (``nodes``, ``edges`` and ``density`` by
            type, ``degrees`` as :func:`.graph_summary.degree_distribution` by title), ``delivered``
            (:func:`.exposure.delivered`), ``calibration`` (:func:`.calibration.calibration`), ``previous_run``
            (``run_id``, ``no_worse`` and ``measures`` with the columns of
            :data:`.run_comparison.MEASURES_SCHEMA`), ``example_cars`` (see
            :func:`holley_assets.pipeline.example_cars.example_section`), ``similar_parts``
            (:func:`.similar_examples.similar_parts_section`) and ``nearest``
            (title → :func:`.embedding_views.nearest`). A section that is absent is left out.
        embedding_points: x, y, group of the 2-D picture (:func:`.embedding_views.embedding_map`).

    Returns:
        HTML text.
    An e-mail address in any text is hidden. A plot that cannot be drawn is left out, and the page says why.
    """
    report, _ = mask_all(report)
    rule = DecisionRule.of_report(report)
    drawn, missing = draw_plots(report, rule, embedding_points)
    template = page_template(
        "holley_assets.evaluation",
        "report.html.jinja",
        {
            "count": count,
            "share": share,
            "difference": difference,
            "magnitude": magnitude,
            "relative": relative,
            "decimal": decimal,
            "number": number,
            "probability": probability,
            "span": span,
            "addend": addend,
            "dollars": dollars,
        },
    )
    page = template.render(
        report=report,
        style=page_style(),
        headline=HEADLINES[report["decision"]["outcome"]],
        gates=(judged := gate_rows(report, rule)),
        against_promotion=against_promotion(report, judged),
        is_sample=report.get("source") == "sample",
        plots=drawn,
        missing_plots=missing,
        best=best_systems(report["metrics"]),
        best_before=best_systems(report["metrics_before_rules"]),
        labels=LABELS[report["label_source"]],
        unit=LABEL_UNITS[report["label_source"]],
        scopes=("cold", "warm", "hot", "overall"),
        metrics=METRICS,
        systems=SYSTEMS,
        treatment=report["delivered_system"],
        baseline=BASELINE,
        metric_names=METRIC_NAMES,
        term_notes=TERM_NOTES,
        contents=CONTENTS,
    )
    return with_contents(page)
