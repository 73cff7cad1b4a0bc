"""The wide table, staged: what will be delivered if the checks agree."""

import dagster as dg
import pyarrow as pa

from holley_assets.assets.step import Step, inputs_of
from holley_assets.core.groups import (
    OWNERS,
    RECOMMENDATIONS,
)
from holley_assets.core.materialized import Materialized
from holley_assets.core.metadata_keys import SOURCE_KIND
from holley_assets.pipeline.delivery import DeliveryTables, recommendations_of_model, users_of_delivery
from holley_assets.resources.settings_resource import SettingsResource
from holley_assets.resources.step_resources import heavy_step


@dg.asset(
    group_name=RECOMMENDATIONS,
    owners=OWNERS,
    kinds={"arrow", "numpy"},
    ins=inputs_of(DeliveryTables),
    op_tags=heavy_step("score"),
)
def recommendations(
    context: dg.AssetExecutionContext,
    settings: SettingsResource,
    **loaded: pa.Table,
) -> Materialized:
    """One row a customer: three or four parts for the car, best first, with price, score and image.

    Staged, not delivered: the checks on this table decide whether `recommendations_table` may publish it.
    Scored on the graph as of `as_of`, with the latest purchases left out, by what the model's version says: the graph
    model, or `hybrid` where HOLLEY_SERVING_SYSTEM said so when it was trained. Customers that share a car and have no
    history share a ranking, which is computed once. A customer with fewer than three parts gets no row and is counted.
    `generated_at` is the start of the run's day, so that a repeated run gives the same table.
    """
    step = Step(context, settings)
    tables = DeliveryTables(**loaded)
    table, shown = recommendations_of_model(users_of_delivery(tables), tables, step.windows, step.settings)
    return dg.MaterializeResult(
        value=table, metadata={**shown, SOURCE_KIND: step.windows.source_kind, **step.took()}
    )
