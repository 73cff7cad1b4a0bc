"""What earns its place: the model with one thing switched off at a time.

    python tests/benchmarks/ablations.py

trains on samples of 20,000 users (three seeds) with the settings of a run, once as it is and once for each
switch, prints a Markdown table and writes ``data/benchmarks/ablations-segment.json``: validation MRR, and the
lift in Hit Rate@4 over ``sql`` of cold users and of those with interactions in the window. ``--only`` chooses
switches. The difference to the model as it is is paired by seed, so that its spread is not that between samples.

Validation edges are the same for all switches of a seed, but for those that change the graph's weights.
"""

from __future__ import annotations

import argparse
import dataclasses
import math
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from peers import BASELINE, SYSTEMS, train_and_measure
from study import (
    RESULTS_FOLDER,
    Study,
    add_sample_arguments,
    finished_results,
    markdown,
    sample_study,
    tell,
    with_spread,
    write_results,
)
from torch_geometric.data import HeteroData

from holley_assets.evaluation.metrics import UserMetrics
from holley_assets.gnn.graph_schema import LOG_VISITORS
from holley_assets.gnn.model import ModelOptions
from holley_assets.gnn.towers import AttentionOptions
from holley_assets.gnn.training_options import TrainingOptions
from holley_assets.pipeline.options import training_options

FULL = "full model"
MEASURES = ("validation_mrr", "cold_lift", "history_lift")

Options = tuple[ModelOptions, TrainingOptions]


@dataclasses.dataclass(frozen=True)
class Switch:
    """One thing that is switched off.

    Attributes:
        options: changes how the network is built or trained.
        graph: changes a copy of the graph in place.
        run_settings: settings of the run that the tables and the graph are made with.
    """

    options: Callable[[ModelOptions, TrainingOptions], Options] = lambda model, training: (model, training)
    graph: Callable[[HeteroData], None] = lambda data: None
    run_settings: dict[str, Any] = dataclasses.field(default_factory=dict)


def _model(**changes: Any) -> Switch:
    return Switch(options=lambda model, training: (dataclasses.replace(model, **changes), training))


def _training(**changes: Any) -> Switch:
    return Switch(options=lambda model, training: (model, dataclasses.replace(training, **changes)))


def _no_part_type(data: HeteroData) -> None:
    data["product"].part_type.zero_()
    data.part_types = [""]


def _no_visitors(data: HeteroData) -> None:
    data.set_visitors.zero_()


def _popularity_alone(data: HeteroData) -> None:
    data["product"].features[:, LOG_VISITORS] = 0.0


def _with_attention(model: ModelOptions, training: TrainingOptions) -> Options:
    return dataclasses.replace(model, attention=AttentionOptions()), dataclasses.replace(training, loss="bce")


SWITCHES: dict[str, Switch] = {
    FULL: Switch(),
    "visitors": Switch(graph=_no_visitors),
    "messages from car to car": _model(hops=0),
    "personal vectors": _training(personal_precision=math.inf),
    "part type": Switch(graph=_no_part_type),
    "number of visitors": Switch(graph=_popularity_alone),
    "season": Switch(run_settings={"season_days": 0}),
    "nothing, but with attention": Switch(options=_with_attention),
}


def changed(study: Study, switch: Switch) -> Study:
    """The study with a changed copy of its graph."""
    data = study.graph.data.clone()
    switch.graph(data)
    copy = dataclasses.replace(study)
    # cached_property keeps its value in the instance's dictionary, where it may be put beforehand.
    copy.__dict__["graph"] = dataclasses.replace(study.graph, data=data)
    return copy


def lifts(metrics: UserMetrics, baseline: UserMetrics, tiers: np.ndarray) -> dict[str, float | None]:
    """Mean lift in Hit Rate@4 of cold users and of the others."""
    difference = metrics["hit_rate@4"] - baseline["hit_rate@4"]
    return {
        name: float(difference[inside].mean()) if inside.any() else None
        for name, inside in (("cold_lift", tiers == 0), ("history_lift", tiers > 0))
    }


def run_switch(study: Study, switch: Switch, seed: int, baseline: UserMetrics) -> dict[str, Any]:
    """Train with the switch off and measure."""
    start = time.monotonic()
    model_options, options = training_options(study.settings)
    model_options, options = switch.options(model_options, dataclasses.replace(options, seed=seed))
    result, metrics = train_and_measure(changed(study, switch), model_options, options)
    best = result.history[result.checkpoint.best_epoch]
    return {
        "seed": seed,
        "best_epoch": best.epoch,
        "epochs": result.history[-1].epoch,
        "validation_mrr": best.validation_mrr,
        **lifts(metrics, baseline, study.truth.tiers),
        "seconds": round(time.monotonic() - start, 1),
    }


def ablation_table(runs: dict[str, list[dict[str, Any]]]) -> str:
    """Each measure in points and, for a switch, what it changes against the full model, paired by seed."""
    full = {run["seed"]: run for run in runs.get(FULL, [])}
    header = ["without", "validation MRR", "Δ", "cold lift", "Δ", "warm and hot lift", "Δ", "best epoch"]
    rows = []
    for name, of_switch in runs.items():
        cells = [name]
        for measure in MEASURES:
            cells.append(with_spread([run[measure] for run in of_switch], sign=measure != "validation_mrr"))
            paired = [
                run[measure] - full[run["seed"]][measure]
                for run in of_switch
                if run["seed"] in full and run[measure] is not None
            ]
            cells.append("" if name == FULL else with_spread(paired, sign=True))
        rows.append([*cells, ", ".join(str(run["best_epoch"]) for run in of_switch)])
    return markdown(header, rows)


def main() -> None:
    """Run the study and print its table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_sample_arguments(parser, seeds=range(3), users=20_000)
    parser.add_argument("--only", nargs="+", choices=SWITCHES, help="these switches, beside the full model")
    arguments = parser.parse_args()
    output = arguments.output or RESULTS_FOLDER / f"ablations-{arguments.kind}.json"
    names = [name for name in SWITCHES if not arguments.only or name in (FULL, *arguments.only)]
    finished = finished_results(output, arguments).get("runs", {})
    runs: dict[str, list[dict[str, Any]]] = {name: finished.get(name, []) for name in names}
    for seed in arguments.seeds:
        study = sample_study(arguments, seed)
        baseline = SYSTEMS[BASELINE](study, seed)
        for name in names:
            if any(run["seed"] == seed for run in runs[name]):
                continue
            switch = SWITCHES[name]
            # Without settings of its own a switch shares the tables and the graph.
            own = sample_study(arguments, seed, **switch.run_settings) if switch.run_settings else study
            run = run_switch(own, switch, seed, baseline)
            runs[name].append(run)
            tell(f"{study.name}, without {name}: {run}" if name != FULL else f"{study.name}: {run}")
            write_results(output, {"runs": runs}, arguments)
    print(ablation_table(runs))


if __name__ == "__main__":
    main()
