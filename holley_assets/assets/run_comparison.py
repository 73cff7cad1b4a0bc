"""Against the run before: is the new model worse, and did anything drift?"""

import dataclasses
import time
from collections.abc import Iterator
from typing import Any

import dagster as dg
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from holley_assets.assets.run_memory import (
    SUMMARY_FILE,
    RunMemory,
    drift_by_kind,
    shown_parts,
    users_changed,
    vector_sample,
)
from holley_assets.assets.vectors import vector_matrix, vectors_of_view
from holley_assets.checks.comparison_checks import (
    COMPARISON_CHECKS,
    comparison_verdicts,
)
from holley_assets.core.asset_keys import (
    CHAMPION_MODEL,
    RUN_COMPARISON,
)
from holley_assets.core.event_log import (
    PreviousRun,
    materializations,
    newest_materialization,
    previous_runs,
)
from holley_assets.core.groups import (
    EVALUATION,
    OWNERS,
)
from holley_assets.core.metadata_keys import (
    MODEL_VERSION,
    SOURCE_KIND,
)
from holley_assets.core.time_windows import (
    TimeWindows,
)
from holley_assets.evaluation.drift import norm_statistics
from holley_assets.evaluation.exposure import delivered, delivered_exposure
from holley_assets.evaluation.labels import ground_truth
from holley_assets.evaluation.metrics import compute_metrics
from holley_assets.evaluation.run_comparison import (
    SCORE_LEADS,
    SCORES,
    Measure,
    RunSummary,
    Thresholds,
    compare_runs,
    distribution,
    measures_table,
    objections,
)
from holley_assets.evaluation.systems import TREATMENT
from holley_assets.resources.settings_resource import SettingsResource
from holley_assets.resources.storage.artifacts import ArtifactStore
from holley_assets.resources.storage.side_files import DamagedFileError, set_aside
from holley_assets.settings import CheckSettings

NO_WORSE = "no_worse"


@dg.asset(
    key=RUN_COMPARISON,
    group_name=EVALUATION,
    owners=OWNERS,
    kinds={"arrow", "numpy"},
    deps=["training_graph"],
    check_specs=COMPARISON_CHECKS,
    # With checks of its own, an asset annotated as MaterializeResult is taken to have no value.
    dagster_type=dg.Any,
)
def run_comparison(
    context: dg.AssetExecutionContext,
    settings: SettingsResource,
    time_windows: pa.Table,
    user_nodes: pa.Table,
    user_profiles: pa.Table,
    product_nodes: pa.Table,
    parts: pa.Table,
    user_embeddings: pa.Table,
    product_embeddings: pa.Table,
    recommendations: pa.Table,
    evaluation_rankings: pa.Table,
    test_clicks: pa.Table,
    test_interactions: pa.Table,
) -> dg.MaterializeResult:
    """One row a measure: this run, the run before it, and what is too much.

    Hit Rate@4 by tier, nodes and edges of the graph, the mix of part types, the share of users who are shown
    other parts and how far the best part leads: beyond a limit the model is not promoted. Features and vectors
    that drifted: somebody should look. Vectors of two trainings may be turned against one another, so that their
    similarities are compared, their centre after the best turn, and the lengths that they had before they were
    brought to one. The run before is the newest successful one on the same kind of source that was not itself
    worse, or whose model was promoted all the same.
    """
    started = time.monotonic()
    run_settings = settings.of_run(context.run)
    windows = TimeWindows.from_table(time_windows)
    serving_users, serving_products = (
        vectors_of_view(table, "serving") for table in (user_embeddings, product_embeddings)
    )
    norms = {
        "user": serving_users["norm"].to_numpy(),
        "product": serving_products["norm"].to_numpy(),
    }
    values = {
        **_features(product_nodes, user_nodes),
        **_scores(recommendations, temperature=float(norms["user"].max() * norms["product"].max())),
    }
    labels = ground_truth(run_settings.evaluation.labels, test_clicks, test_interactions)
    metrics = compute_metrics(evaluation_rankings, labels, user_nodes, [TREATMENT])[TREATMENT]
    memory = RunMemory(
        RunSummary(
            hit_rates={scope: row["hit_rate@4"] for scope, row in metrics.items()},
            test_users={scope: int(row["users"] or 0) for scope, row in metrics.items()},
            graph=_graph_counts(context.instance),
            part_types=delivered(recommendations, parts)["part_types"],
            distributions={name: distribution(found) for name, found in values.items()},
            shown=delivered_exposure(recommendations, parts, product_nodes, user_nodes),
            norms={kind: norm_statistics(lengths) for kind, lengths in norms.items()},
        ),
        shown_parts(recommendations),
        pa.concat_tables(_vector_samples(user_nodes, user_profiles, serving_users, serving_products)),
    )
    previous, before = _memory_before(context.instance, settings, windows.source_kind, context.log)
    measures: list[Measure] = []
    changed, common = None, 0
    if before is not None:
        changed, common = users_changed(before.shown, memory.shown)
        measures = compare_runs(
            before.summary,
            memory.summary,
            values,
            users_changed=changed,
            vectors=drift_by_kind(before.vectors, memory.vectors),
            thresholds=_thresholds(run_settings.checks),
        )
    memory.save(ArtifactStore(settings.store(), context.run.run_id))
    previous_id = previous.run_id if previous else None
    return dg.MaterializeResult(
        value=measures_table(measures, previous_id),
        metadata={
            **_plain({**memory.summary.numbers, **{measure.name: measure.value for measure in measures}}),
            "users_compared": common,
            "previous_run": previous_id or "none",
            NO_WORSE: not objections(measures, "worse"),
            SOURCE_KIND: windows.source_kind,
            MODEL_VERSION: product_embeddings[MODEL_VERSION][0].as_py(),
            "seconds": round(time.monotonic() - started, 2),
        },
        check_results=comparison_verdicts(measures, previous_id),
    )


def _memory_before(
    instance: dg.DagsterInstance, settings: SettingsResource, source_kind: str, log: dg.DagsterLogManager
) -> tuple[PreviousRun | None, RunMemory | None]:
    """The newest run that may be a yardstick and of which something is kept; what is damaged of one is set aside."""
    promoted = {
        made.metadata["trained_by_run"]
        for made in materializations(instance, CHAMPION_MODEL, limit=50)
        if "trained_by_run" in made.metadata
    }
    for run in previous_runs(instance, RUN_COMPARISON, source_kind):
        if run.metadata.get(NO_WORSE) or run.run_id in promoted:
            store = settings.store()
            try:
                memory = RunMemory.load(store, run.run_id)
            except DamagedFileError as error:
                log.warning(set_aside(store, store.artifact_key(run.run_id, SUMMARY_FILE), error))
                continue
            if memory is not None:
                return run, memory
    return None, None


def _graph_counts(instance: dg.DagsterInstance) -> dict[str, float]:
    newest = newest_materialization(instance, dg.AssetKey("training_graph"))
    statistics: dict[str, Any] = dict(newest.metadata) if newest else {}
    return {
        f"{group}.{name}": float(count)
        for group in ("nodes", "edges")
        for name, count in statistics.get(group, {}).items()
    }


def _features(product_nodes: pa.Table, user_nodes: pa.Table) -> dict[str, np.ndarray]:
    """Features whose distribution is watched."""
    columns = {
        "prices": product_nodes["serving_price"],
        "log_popularity": product_nodes["serving_log_popularity"],
        "fitment_breadth": product_nodes["fitment_breadth"],
        "vehicle_years": user_nodes["year"],
    }
    return {name: pc.drop_null(column).to_numpy().astype(float) for name, column in columns.items()}


def _scores(recommendations: pa.Table, *, temperature: float) -> dict[str, np.ndarray]:
    """Scores whose distribution is watched; ``temperature`` makes a logit of a cosine."""
    first, third = (
        recommendations[f"rec{slot}_score"].to_numpy(zero_copy_only=False).astype(float) for slot in (1, 3)
    )
    return {SCORES: first, SCORE_LEADS: (first - third) * temperature}


def _vector_samples(
    user_nodes: pa.Table, user_profiles: pa.Table, profiles: pa.Table, products: pa.Table
) -> Iterator[pa.Table]:
    """Vectors under names that mean the same in every run: base SKUs, and cars whose owners have no history."""
    yield vector_sample(
        "parts", products["base_sku"].combine_chunks().cast(pa.string()), vector_matrix(products)
    )

    owners = user_nodes.select(["year", "make", "model"]).append_column(
        "profile", user_profiles["serving_profile"]
    )
    owners = owners.filter(pc.equal(user_nodes["serving_engagement_tier"].cast(pa.string()), "cold"))
    # Owners without history share a profile; one who ordered long ago may have another.
    groups = owners.group_by(["make", "model", "year", "profile"]).aggregate([([], "count_all")])
    groups = groups.sort_by([("count_all", "descending"), ("profile", "ascending")])
    cars = pc.binary_join_element_wise(
        groups["make"].cast(pa.string()),
        groups["model"].cast(pa.string()),
        groups["year"].cast(pa.string()),
        " ",
    ).to_numpy(zero_copy_only=False)
    names, first = np.unique(cars.astype(str), return_index=True)
    row_of = np.argsort(profiles["profile"].to_numpy())
    yield vector_sample(
        "vehicles",
        pa.array(names, pa.string()),
        vector_matrix(profiles)[row_of[groups["profile"].to_numpy()[first]]],
    )


def _thresholds(checks: CheckSettings) -> Thresholds:
    return Thresholds(**{field.name: getattr(checks, field.name) for field in dataclasses.fields(Thresholds)})


def _plain(numbers: dict[str, float | None]) -> dict[str, float]:
    """What is a number; Dagster plots those, and nothing where a run has none."""
    return {name: float(value) for name, value in numbers.items() if value is not None and np.isfinite(value)}
