"""The evaluation report: JSON for tools, one HTML page for people."""

import datetime
from collections.abc import Mapping
from typing import Any

import dagster as dg
import pyarrow as pa

from holley_assets.assets.calibration import calibration_section
from holley_assets.assets.model_choice import reference_metadata
from holley_assets.assets.report_index import publish_index
from holley_assets.assets.run_changes import changes_between
from holley_assets.assets.step import Step, inputs_of
from holley_assets.checks.comparison_checks import NO_WORSE_THAN_BEFORE
from holley_assets.core.event_log import newest_materialization
from holley_assets.core.groups import EVALUATION, OWNERS
from holley_assets.core.materialized import Materialized
from holley_assets.core.metadata_keys import MODEL_VERSION
from holley_assets.core.time_windows import SAMPLE_SOURCE
from holley_assets.evaluation.labels import ground_truth
from holley_assets.evaluation.report import RunIdentity, to_json
from holley_assets.evaluation.report_assembly import ReportTables, assemble_report
from holley_assets.evaluation.report_sections import (
    embedding_points,
    headline_numbers,
    metrics_by_name,
    no_worse,
    training_vectors,
)
from holley_assets.evaluation.similar_examples import similar_parts_section
from holley_assets.pipeline.example_cars import ExampleOptions, example_section
from holley_assets.pipeline.mixtures import mixtures_section
from holley_assets.pipeline.options import evaluation_options, ranking_options
from holley_assets.resources.serving_switch import read_switch
from holley_assets.resources.settings_resource import SettingsResource
from holley_assets.resources.storage.artifacts import Reference
from holley_assets.resources.storage.interface import publish_text
from holley_assets.resources.tracking.records import EvaluationRecord
from holley_assets.resources.warehouse.interface import WarehouseError
from holley_assets.resources.warehouse_resource import WarehouseResource

JSON_FILE = "eval_report.json"
HTML_FILE = "eval_report.html"
LATEST_FILE = "latest_eval_report.json"


@dg.asset(
    group_name=EVALUATION,
    owners=OWNERS,
    kinds={"html", "mlflow"},
    ins=inputs_of(ReportTables),
)
def eval_report(
    context: dg.AssetExecutionContext,
    settings: SettingsResource,
    warehouse: WarehouseResource,
    **loaded: pa.Table,
) -> Materialized:
    """Did the graph beat the SQL pipeline, for whom, and how sure is that? One decision, with its reason.

    Reference to `eval_report.json`; beside it lies `eval_report.html`, one page that needs nothing else. Hit
    Rate@4 on cold users decides; the other documents' gates stand beside it. The decision respects its
    interval: too few clicks, or an interval that covers both sides of the threshold, is `inconclusive`.
    """
    step, tables = Step(context, settings), ReportTables(**loaded)
    examples = _examples(step, tables)
    report = _report(step, tables, serving=_serving(step, warehouse), examples=examples)
    page = step.artifacts.publish_text(_page(report, tables), HTML_FILE)
    reference = step.artifacts.publish_text(to_json(report), JSON_FILE)
    tracked = step.shown(step.journal.record(_record(report, tables, [reference, page])))
    index = publish_index(step.store, report, json_file=JSON_FILE, html_file=HTML_FILE)
    _publish_latest(step, to_json(report))
    decision = report["decision"]
    step.log.info(f"{decision['outcome']}: {decision['reason']} The page is {step.store.location(page.path)}")
    shown = {**_shown(step, report, page), "all_reports": dg.MetadataValue.path(index)}
    return dg.MaterializeResult(
        value=reference.to_table(),
        metadata={**shown, **reference_metadata(reference), **tracked, **step.took()},
    )


def _serving(step: Step, warehouse: WarehouseResource) -> dict[str, Any]:
    """What customers get at present; a report is made also where the warehouse cannot say."""
    mode = {"mode": step.settings.serving.mode}
    try:
        return {**mode, **read_switch(step.open(warehouse), step.settings).metadata}
    except WarehouseError as error:
        return {**mode, "kill_switch": None, "kill_switch_state": f"unknown: {error}"}


def _examples(step: Step, tables: ReportTables) -> dict[str, Any] | None:
    """A few cars with what their owners would see; None where the vectors are not of the model that was evaluated."""
    from holley_assets.gnn.checkpoint import Checkpoint
    from holley_assets.gnn.graph import load_graph
    from holley_assets.gnn.score_terms import ScoreModel

    trained, made_by = (
        tables.trained_checkpoint[MODEL_VERSION][0],
        tables.product_embeddings[MODEL_VERSION][0],
    )
    if trained.as_py() != made_by.as_py():
        step.log.info(f"The report names no parts: the vectors are of model {made_by}, not of {trained}")
        return None
    graph, weights = (
        step.artifacts.locate(Reference.from_table(table))
        for table in (tables.serving_graph, tables.trained_checkpoint)
    )
    rules = step.settings.rules
    return example_section(
        {**vars(tables), "time_windows": step.windows.to_table()},
        ScoreModel(load_graph(graph), Checkpoint.load(weights)),
        ExampleOptions(
            ranking=ranking_options(step.settings, rules.maximum_parts),
            minimum_parts=rules.minimum_parts,
            personal_precision=step.settings.training.personal_precision,
            pictures=step.windows.source != SAMPLE_SOURCE,
        ),
    )


def _report(
    step: Step, tables: ReportTables, *, serving: Mapping[str, Any], examples: Mapping[str, Any] | None
) -> dict[str, Any]:
    options = evaluation_options(step.settings)
    labels = ground_truth(options.label_source, tables.test_clicks, tables.test_interactions)
    report = assemble_report(
        tables,
        run=RunIdentity(
            run_id=step.run_id,
            as_of=step.windows.as_of,
            cutoff=step.windows.cutoff,
            model_version=tables.trained_checkpoint[MODEL_VERSION][0].as_py(),
        ),
        options=options,
        graph_statistics=_metadata(step.instance, "training_graph"),
        dropped={
            table: _metadata(step.instance, table).get("dropped", {})
            for table in ("test_clicks", "test_interactions")
        },
        extras={
            "serving": serving,
            "example_cars": examples,
            "similar_parts": similar_parts_section(
                tables.similar_parts, tables.parts, pictures=step.windows.source != SAMPLE_SOURCE
            ),
            "source": step.windows.source,
            "mixtures": mixtures_section(
                tables.mixture_weights, tables.evaluation_rankings, tables.user_nodes
            ),
            "calibration": calibration_section(tables, labels),
        },
    )
    previous = report["previous_run"]
    if previous["run_id"] is not None:
        parts = tables.product_nodes["base_sku"].to_pylist()
        previous |= changes_between(step.store, previous["run_id"], step.run_id, parts)
    return report


def _page(report: Mapping[str, Any], tables: ReportTables) -> str:
    # Seconds of imports that no other step needs.
    from holley_assets.evaluation.report_page import render

    products, vectors = training_vectors(tables.product_embeddings, tables.product_nodes)
    return render(report, embedding_points=embedding_points(products, vectors))


def _record(report: Mapping[str, Any], tables: ReportTables, artifacts: list[Reference]) -> EvaluationRecord:
    return EvaluationRecord(
        written_at=datetime.datetime.now(datetime.UTC),
        dagster_run_id=Reference.from_table(tables.trained_checkpoint).run_id,
        model_version=report["model_version"],
        outcome=report["decision"]["outcome"],
        gates={
            **{gate["name"]: gate["passed"] for gate in report["gates"]},
            NO_WORSE_THAN_BEFORE: no_worse(tables.run_comparison),
        },
        metrics=metrics_by_name(report),
        headline=headline_numbers(report),
        artifacts=artifacts,
    )


def _publish_latest(step: Step, text: str) -> None:
    """The newest report under a name that stays; last, so that whoever reads it finds its run complete."""
    publish_text(step.store, LATEST_FILE, text)


def _shown(step: Step, report: Mapping[str, Any], page: Reference) -> dict[str, Any]:
    # Seconds of imports that no other step needs.
    from holley_assets.evaluation.report_summary import summarise

    return {
        "summary": dg.MetadataValue.md(summarise(report, step.store.location(page.path))),
        "decision": report["decision"]["outcome"],
        "reason": report["decision"]["reason"],
        "report": dg.MetadataValue.path(step.store.location(page.path)),
        "latest": dg.MetadataValue.path(step.store.location(LATEST_FILE)),
        "test_clicks": report["test_set"]["clicks"],
        "labels": report["label_source"],
        "source": report["source"],
        "kill_switch_state": report["serving"]["kill_switch_state"],
        "addresses_hidden": report["addresses_hidden"],
        **headline_numbers(report),
    }


def _metadata(instance: dg.DagsterInstance, asset: str) -> dict[str, Any]:
    """Metadata of an asset's newest materialization; empty where there is none."""
    newest = newest_materialization(instance, dg.AssetKey(asset))
    return dict(newest.metadata) if newest else {}
