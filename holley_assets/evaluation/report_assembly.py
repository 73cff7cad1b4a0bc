"""The whole report of a run, from the tables that the run left."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from holley_assets.evaluation.exposure import delivered
from holley_assets.evaluation.labels import dropped_labels, ground_truth
from holley_assets.evaluation.machine_clicks import machine_clicks_section
from holley_assets.evaluation.report import EvaluationOptions, RunIdentity, build_report
from holley_assets.evaluation.report_sections import (
    graph_section,
    nearest_section,
    nearest_vehicles,
    previous_run_section,
    training_section,
    training_vectors,
    visits_of_test_users,
)


@dataclass(frozen=True)
class ReportTables:
    """What a report is made of; each field is the table of that name."""

    trained_checkpoint: pa.Table
    evaluation_rankings: pa.Table
    evaluation_rankings_before_rules: pa.Table
    control_rankings: pa.Table
    visitor_demand: pa.Table
    test_clicks: pa.Table
    test_interactions: pa.Table
    machine_bursts: pa.Table
    machine_clicks: pa.Table
    machine_click_rankings: pa.Table
    user_nodes: pa.Table
    user_profiles: pa.Table
    user_embeddings: pa.Table
    product_nodes: pa.Table
    interacts_edges: pa.Table
    fits_edges: pa.Table
    fitment: pa.Table
    product_embeddings: pa.Table
    history_scores: pa.Table
    mixture_weights: pa.Table
    recommendations: pa.Table
    parts: pa.Table
    run_comparison: pa.Table
    popularity: pa.Table
    serving_graph: pa.Table
    similar_parts: pa.Table


def assemble_report(
    tables: ReportTables,
    *,
    run: RunIdentity,
    options: EvaluationOptions,
    graph_statistics: Mapping[str, Any],
    dropped: Mapping[str, Mapping[str, int]],
    extras: Mapping[str, Any],
) -> dict[str, Any]:
    """:func:`.report.build_report` with the sections that the tables hold.

    Args:
        graph_statistics: ``nodes``, ``edges`` and ``density`` of the training graph by type.
        dropped: rows of ``test_clicks`` and of ``test_interactions`` that could not be used, by reason.
        extras: sections that are made elsewhere, such as ``mixtures`` and ``calibration``.

    Raises:
        EvaluationError: malformed rankings or clicks.
    """
    labels = ground_truth(options.label_source, tables.test_clicks, tables.test_interactions)
    products, vectors = training_vectors(tables.product_embeddings, tables.product_nodes)
    owners = nearest_vehicles(tables.user_nodes, tables.user_profiles, tables.user_embeddings)
    return build_report(
        run=run,
        clicks=labels,
        clicks_dropped=dropped_labels(
            options.label_source, dropped["test_clicks"], dropped["test_interactions"]
        ),
        users=tables.user_nodes,
        rankings=tables.evaluation_rankings,
        rankings_before_rules=tables.evaluation_rankings_before_rules,
        products=tables.product_nodes,
        control_rankings=tables.control_rankings,
        visits=visits_of_test_users(tables.user_nodes, labels, tables.fitment, tables.visitor_demand),
        options=options,
        extras={
            "training": training_section(tables.trained_checkpoint),
            "graph": graph_section(graph_statistics, tables.interacts_edges, tables.fits_edges),
            "delivered": delivered(tables.recommendations, tables.parts),
            "nearest": {
                **nearest_section(products, vectors),
                "vehicles with the most owners": owners,
            },
            "machine_clicks": machine_clicks_section(
                tables.machine_bursts,
                tables.machine_clicks,
                labels=labels,
                users=tables.user_nodes,
                rankings=pa.concat_tables([tables.evaluation_rankings, tables.machine_click_rankings]),
                run=run,
                options=options,
            ),
            "previous_run": previous_run_section(tables.run_comparison),
            **extras,
        },
    )
