"""The evaluation report: JSON for tools, one HTML page for people."""

import datetime
import time
from typing import Any

import dagster as dg
import pyarrow as pa

from holley_assets.assets.mixtures import mixtures_section
from holley_assets.assets.model_choice import (
    reference_metadata,
)
from holley_assets.assets.options import evaluation_options
from holley_assets.assets.report_sections import (
    calibration_section,
    embedding_points,
    graph_section,
    headline_numbers,
    metrics_by_name,
    nearest_section,
    nearest_vehicles,
    no_worse,
    previous_run_section,
    training_section,
    training_vectors,
    visits_of_test_users,
)
from holley_assets.checks.comparison_checks import NO_WORSE_THAN_BEFORE
from holley_assets.core.event_log import (
    newest_materialization,
)
from holley_assets.core.groups import (
    EVALUATION,
    OWNERS,
)
from holley_assets.core.metadata_keys import (
    MODEL_VERSION,
)
from holley_assets.core.time_windows import (
    TimeWindows,
)
from holley_assets.resources.settings_resource import SettingsResource
from holley_assets.resources.storage.artifacts import ArtifactStore, Reference
from holley_assets.resources.tracking.journal import TrackingJournal
from holley_assets.resources.tracking.records import EvaluationRecord

JSON_FILE = "eval_report.json"
HTML_FILE = "eval_report.html"
LATEST_FILE = "latest_eval_report.json"


@dg.asset(group_name=EVALUATION, owners=OWNERS, kinds={"html", "mlflow"})
def eval_report(
    context: dg.AssetExecutionContext,
    settings: SettingsResource,
    time_windows: pa.Table,
    trained_checkpoint: pa.Table,
    evaluation_rankings: pa.Table,
    evaluation_rankings_before_rules: pa.Table,
    control_rankings: pa.Table,
    visitor_demand: pa.Table,
    test_clicks: pa.Table,
    test_interactions: pa.Table,
    user_nodes: pa.Table,
    user_profiles: pa.Table,
    user_embeddings: pa.Table,
    product_nodes: pa.Table,
    interacts_edges: pa.Table,
    fits_edges: pa.Table,
    fitment: pa.Table,
    product_embeddings: pa.Table,
    history_scores: pa.Table,
    mixture_weights: pa.Table,
    recommendations: pa.Table,
    parts: pa.Table,
    run_comparison: pa.Table,
) -> dg.MaterializeResult:
    """Did the graph beat the SQL pipeline, for whom, and how sure is that? One decision, with its reason.

    Reference to `eval_report.json`; beside it lies `eval_report.html`, one page that needs nothing else. Hit
    Rate@4 on cold users decides; the other documents' gates stand beside it. The decision respects its
    interval: too few clicks, or an interval that covers both sides of the threshold, is `inconclusive`.
    """
    from holley_assets.evaluation.exposure import delivered
    from holley_assets.evaluation.labels import dropped_labels, ground_truth
    from holley_assets.evaluation.report import RunIdentity, build_report, to_json
    from holley_assets.evaluation.report_page import render

    started = time.monotonic()
    run_settings = settings.of_run(context.run)
    source = run_settings.evaluation.labels
    windows = TimeWindows.from_table(time_windows)
    products, vectors = training_vectors(product_embeddings, product_nodes)
    labels = ground_truth(source, test_clicks, test_interactions)
    report = build_report(
        run=RunIdentity(
            run_id=context.run.run_id,
            as_of=windows.as_of,
            cutoff=windows.cutoff,
            model_version=trained_checkpoint[MODEL_VERSION][0].as_py(),
        ),
        clicks=labels,
        clicks_dropped=dropped_labels(
            source,
            *(
                _metadata(context.instance, table).get("dropped", {})
                for table in ("test_clicks", "test_interactions")
            ),
        ),
        users=user_nodes,
        rankings=evaluation_rankings,
        rankings_before_rules=evaluation_rankings_before_rules,
        products=product_nodes,
        control_rankings=control_rankings,
        visits=visits_of_test_users(user_nodes, labels, fitment, visitor_demand),
        options=evaluation_options(run_settings),
        extras={
            "training": training_section(trained_checkpoint),
            "graph": graph_section(
                _metadata(context.instance, "training_graph"), interacts_edges, fits_edges
            ),
            "delivered": delivered(recommendations, parts),
            "nearest": {
                **nearest_section(products, vectors),
                "vehicles with the most owners": nearest_vehicles(user_nodes, user_profiles, user_embeddings),
            },
            "previous_run": previous_run_section(run_comparison),
            "mixtures": mixtures_section(mixture_weights, evaluation_rankings, user_nodes),
            "calibration": calibration_section(
                evaluation_rankings,
                labels,
                user_nodes,
                user_profiles,
                user_embeddings,
                product_embeddings,
                history_scores,
                fitment,
                parts,
            ),
        },
    )
    text = to_json(report)
    artifacts = ArtifactStore(settings.store(), context.run.run_id)
    page_reference = artifacts.publish_text(
        render(report, embedding_points=embedding_points(products, vectors)), HTML_FILE
    )
    reference = artifacts.publish_text(text, JSON_FILE)
    trained = Reference.from_table(trained_checkpoint)
    tracked = TrackingJournal(run_settings, settings.store()).record(
        EvaluationRecord(
            written_at=datetime.datetime.now(datetime.UTC),
            dagster_run_id=trained.run_id,
            model_version=report["model_version"],
            outcome=report["decision"]["outcome"],
            gates={
                **{gate["name"]: gate["passed"] for gate in report["gates"]},
                NO_WORSE_THAN_BEFORE: no_worse(run_comparison),
            },
            metrics=metrics_by_name(report),
            headline=headline_numbers(report),
            artifacts=[reference, page_reference],
        )
    )
    if tracked.warning:
        context.log.warning(tracked.warning)
    # Last, so that whoever reads the newest report finds its run complete.
    store = settings.store()
    staged = store.staging_path(LATEST_FILE)
    staged.write_text(text, encoding="utf-8")
    store.publish(staged, LATEST_FILE)
    return dg.MaterializeResult(
        value=reference.to_table(),
        metadata={
            "decision": report["decision"]["outcome"],
            "reason": report["decision"]["reason"],
            "report": dg.MetadataValue.path(store.location(page_reference.path)),
            "latest": dg.MetadataValue.path(store.location(LATEST_FILE)),
            "test_clicks": report["test_set"]["clicks"],
            "labels": report["label_source"],
            "addresses_hidden": report["addresses_hidden"],
            **headline_numbers(report),
            **reference_metadata(reference),
            **tracked.metadata,
            "seconds": round(time.monotonic() - started, 2),
        },
    )


def _metadata(instance: dg.DagsterInstance, asset: str) -> dict[str, Any]:
    """Metadata of an asset's newest materialization; empty where there is none."""
    newest = newest_materialization(instance, dg.AssetKey(asset))
    return dict(newest.metadata) if newest else {}
