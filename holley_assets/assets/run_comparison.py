"""Against the run before: is the new model worse, and did anything drift?"""

import dataclasses
from collections.abc import Iterator, Mapping
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
from holley_assets.assets.step import Step, inputs_of
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
from holley_assets.core.materialized import Materialized
from holley_assets.core.metadata_keys import (
    MODEL_VERSION,
    SOURCE_KIND,
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
from holley_assets.evaluation.systems import TREATMENT, delivered_system
from holley_assets.evaluation.vectors import vector_matrix, vectors_of_view
from holley_assets.resources.settings_resource import SettingsResource
from holley_assets.resources.storage.side_files import DamagedFileError, set_aside
from holley_assets.settings import CheckSettings

NO_WORSE = "no_worse"


@dataclasses.dataclass(frozen=True)
class ComparedTables:
    """What a run is compared by; each field is the asset of that name."""

    user_nodes: pa.Table
    user_profiles: pa.Table
    product_nodes: pa.Table
    parts: pa.Table
    user_embeddings: pa.Table
    product_embeddings: pa.Table
    recommendations: pa.Table
    evaluation_rankings: pa.Table
    test_clicks: pa.Table
    test_interactions: pa.Table


@dg.asset(
    key=RUN_COMPARISON,
    group_name=EVALUATION,
    owners=OWNERS,
    kinds={"arrow", "numpy"},
    deps=["training_graph"],
    ins=inputs_of(ComparedTables),
    check_specs=COMPARISON_CHECKS,
    # With checks of its own, an asset annotated as MaterializeResult is taken to have no value.
    dagster_type=dg.Any,
)
def run_comparison(
    context: dg.AssetExecutionContext,
    settings: SettingsResource,
    **loaded: pa.Table,
) -> Materialized:
    """One row a measure: this run, the run before it, and what is too much.

    Hit Rate@4 of what is delivered by tier, nodes and edges of the graph, the mix of part types, the share of users who
    are shown other parts and how far the best part leads: beyond a limit the model is not promoted. Features and
    vectors that drifted: somebody should look. Vectors of two trainings may be turned against one another, so that
    their similarities are compared, their centre after the best turn, and the lengths that they had before they were
    brought to one. The run before is the newest successful one on the same kind of source that was not itself
    worse, or whose model was promoted all the same.
    """
    step, tables = Step(context, settings), ComparedTables(**loaded)
    memory, values = _remember(step, tables)
    previous, measures, users_compared = _compare(step, memory, values)
    memory.save(step.artifacts)
    previous_id = previous.run_id if previous else None
    return dg.MaterializeResult(
        value=measures_table(measures, previous_id),
        metadata={
            **_plain({**memory.summary.numbers, **{measure.name: measure.value for measure in measures}}),
            "users_compared": users_compared,
            "previous_run": previous_id or "none",
            NO_WORSE: not objections(measures, "worse"),
            SOURCE_KIND: step.windows.source_kind,
            MODEL_VERSION: tables.product_embeddings[MODEL_VERSION][0].as_py(),
            **step.took(),
        },
        check_results=comparison_verdicts(measures, previous_id),
    )


def _remember(step: Step, tables: ComparedTables) -> tuple[RunMemory, dict[str, np.ndarray]]:
    """What is kept of this run, and the values whose distributions are watched."""
    users, products = (
        vectors_of_view(table, "serving") for table in (tables.user_embeddings, tables.product_embeddings)
    )
    norms = {"user": users["norm"].to_numpy(), "product": products["norm"].to_numpy()}
    system = delivered_system(tables.product_embeddings[MODEL_VERSION][0].as_py())
    # A hybrid's scores are logarithms of probabilities already.
    temperature = float(norms["user"].max() * norms["product"].max()) if system == TREATMENT else 1.0
    values = {
        **_features(tables.product_nodes, tables.user_nodes),
        **_scores(tables.recommendations, temperature=temperature),
    }
    labels = ground_truth(step.settings.evaluation.labels, tables.test_clicks, tables.test_interactions)
    metrics = compute_metrics(tables.evaluation_rankings, labels, tables.user_nodes, [system])[system]
    shown, parts = tables.recommendations, tables.parts
    summary = RunSummary(
        hit_rates={scope: row["hit_rate@4"] for scope, row in metrics.items()},
        test_users={scope: int(row["users"] or 0) for scope, row in metrics.items()},
        graph=_graph_counts(step.instance),
        part_types=delivered(shown, parts)["part_types"],
        distributions={name: distribution(found) for name, found in values.items()},
        shown=delivered_exposure(shown, parts, tables.product_nodes, tables.user_nodes),
        norms={kind: norm_statistics(lengths) for kind, lengths in norms.items()},
    )
    samples = _vector_samples(tables.user_nodes, tables.user_profiles, users, products)
    return RunMemory(summary, shown_parts(shown), pa.concat_tables(samples)), values


def _compare(
    step: Step, memory: RunMemory, values: Mapping[str, np.ndarray]
) -> tuple[PreviousRun | None, list[Measure], int]:
    """The run before, every measure against it, and how many users both have; without one there is no measure."""
    previous, before = _memory_before(step)
    if before is None:
        return previous, [], 0
    changed, common = users_changed(before.shown, memory.shown)
    measures = compare_runs(
        before.summary,
        memory.summary,
        values,
        users_changed=changed,
        vectors=drift_by_kind(before.vectors, memory.vectors),
        thresholds=_thresholds(step.settings.checks),
    )
    return previous, measures, common


def _memory_before(step: Step) -> tuple[PreviousRun | None, RunMemory | None]:
    """The newest run that may be a yardstick and of which something is kept; what is damaged of one is set aside."""
    promoted = {
        made.metadata["trained_by_run"]
        for made in materializations(step.instance, CHAMPION_MODEL, limit=50)
        if "trained_by_run" in made.metadata
    }
    for run in previous_runs(step.instance, RUN_COMPARISON, step.windows.source_kind):
        if run.metadata.get(NO_WORSE) or run.run_id in promoted:
            try:
                memory = RunMemory.load(step.store, run.run_id)
            except DamagedFileError as error:
                summary = step.store.artifact_key(run.run_id, SUMMARY_FILE)
                step.log.warning(set_aside(step.store, summary, error))
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
