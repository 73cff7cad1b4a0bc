"""What users' own histories add to the scores: weights that are learned, and one row a user and part."""

import datetime
from collections.abc import Iterator
from typing import TYPE_CHECKING

import dagster as dg
import numpy as np
import pyarrow as pa

from holley_assets.assets.step import Step
from holley_assets.checks.table_checks import check_table, table_check_specs
from holley_assets.core.groups import MODEL, table_spec
from holley_assets.core.materialized import Materialized
from holley_assets.core.table_specs import HISTORY_SCORES
from holley_assets.resources.io_manager import write_parquet
from holley_assets.resources.settings_resource import SettingsResource
from holley_assets.resources.step_resources import heavy_step
from holley_assets.terms import View

if TYPE_CHECKING:
    from holley_assets.gnn.history_tables import HistoryTables
    from holley_assets.gnn.history_weights import HistoryWeights

# The fields of HistoryTables. Its module imports torch, so that they stand here again; a test compares them.
HISTORY_TABLE_NAMES = (
    "user_visits",
    "user_nodes",
    "user_profiles",
    "product_nodes",
    "co_viewed_edges",
    "co_purchased_edges",
    "fitment",
    "user_embeddings",
    "product_embeddings",
)


@dg.multi_asset(
    name="history",
    op_tags=heavy_step("score"),
    specs=[
        table_spec(
            "history_weights",
            deps=HISTORY_TABLE_NAMES,
            group=MODEL,
            kinds={"numpy"},
            description="""One row a component of what a user's own history says, with its weight.

A component is a part that was seen and not bought since, by kind and age, or a part that goes with one that was
met. A weight is a share of all choices, learned from each customer's last visit before the cutoff; where nobody
returns it is 0. The same weights score the evaluation and the delivery.""",
        ),
        table_spec(
            "held_out_visits",
            deps=HISTORY_TABLE_NAMES,
            group=MODEL,
            kinds={"arrow"},
            description="""One row a part that a customer met on a visit before the cutoff that mixtures of systems
are chosen on.

First visits stand for cold customers, of whom nothing was known; last visits for warm and hot ones. Those of as many
days before the cutoff as clicks are taken after it, at most 600 a tier; where these are few, the newest 100.""",
        ),
        table_spec(
            "held_out_scores",
            deps=["history_weights", *HISTORY_TABLE_NAMES],
            group=MODEL,
            kinds={"numpy"},
            description="""What the histories before the last visits of `held_out_visits` add: as `history_scores`.""",
        ),
        table_spec(
            HISTORY_SCORES.name,
            # One step makes all four: a job that needs these scores runs the whole step.
            deps=["history_weights", "held_out_visits", "held_out_scores", *HISTORY_TABLE_NAMES],
            group=MODEL,
            kinds={"numpy"},
            description=HISTORY_SCORES.description,
        ),
    ],
    ins={name: dg.AssetIn(name) for name in HISTORY_TABLE_NAMES},
    check_specs=table_check_specs(HISTORY_SCORES),
)
def history(
    context: dg.AssetExecutionContext,
    settings: SettingsResource,
    **loaded: pa.Table,
) -> Iterator[Materialized]:
    """Learn the weights as of the cutoff, and score both views with them."""
    from holley_assets.gnn.history_tables import HistoryTables, learn

    step, tables = Step(context, settings), HistoryTables(**loaded)
    run, rules = step.settings.run, step.settings.rules
    learned = learn(
        tables,
        cutoff=step.windows.cutoff,
        kind_weight=np.array([run.view_weight, run.cart_weight, run.order_weight]),
        exclusion_days=rules.purchase_exclusion_days,
        held_out_days=run.test_days,
    )
    yield _weights_result(step, learned.weights)
    yield dg.MaterializeResult("held_out_visits", value=learned.visits)
    yield dg.MaterializeResult("held_out_scores", value=learned.scores)
    yield _scores_result(step, tables, learned.weights)


def _weights_result(step: Step, weights: "HistoryWeights") -> Materialized:
    from holley_assets.gnn.history import COMPONENTS

    return dg.MaterializeResult(
        "history_weights",
        value=pa.table({"component": list(COMPONENTS), "weight": weights.values}),
        metadata={
            "last_visits": weights.visits,
            "choices": weights.choices,
            "choices_of_parts_seen_before": weights.returns,
            "log_likelihood_gain": weights.log_likelihood_gain,
            **step.took(),
        },
    )


def _scores_result(step: Step, tables: "HistoryTables", weights: "HistoryWeights") -> Materialized:
    """Both views' scores, written as they come and checked where they lie."""
    from holley_assets.gnn.history_tables import SCORE_SCHEMA, score

    step.begin()
    path = step.staging_path(dg.AssetKey(HISTORY_SCORES.name))
    views: tuple[tuple[View, datetime.date], ...] = (
        ("training", step.windows.cutoff),
        ("serving", step.windows.as_of),
    )
    exclusion_days = step.settings.rules.purchase_exclusion_days
    batches = (
        batch
        for view, end in views
        for batch in score(tables, weights, view, view_end=end, exclusion_days=exclusion_days)
    )
    write_parquet(pa.RecordBatchReader.from_batches(SCORE_SCHEMA, batches), path)
    checks = check_table(
        HISTORY_SCORES,
        path,
        step.asset_paths(HISTORY_SCORES.referenced_tables),
        previous=None,
        minimum_share=step.settings.checks.minimum_rows_share,
    )
    return dg.MaterializeResult(HISTORY_SCORES.name, value=path, metadata=step.took(), check_results=checks)
