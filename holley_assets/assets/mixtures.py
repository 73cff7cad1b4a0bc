"""How much of which system a mixture holds, chosen before the cutoff."""

import dagster as dg
import pyarrow as pa

from holley_assets.assets.step import Step, inputs_of
from holley_assets.core.groups import MODEL, OWNERS
from holley_assets.core.materialized import Materialized
from holley_assets.evaluation.vectors import temperature_of
from holley_assets.pipeline.mixtures import MixtureTables, read_held_out_choices
from holley_assets.pipeline.options import tier_minimums
from holley_assets.ranking.mixtures import choose_mixtures, chosen_value
from holley_assets.resources.settings_resource import SettingsResource
from holley_assets.terms import TIERS


@dg.asset(group_name=MODEL, owners=OWNERS, kinds={"arrow", "numpy"}, ins=inputs_of(MixtureTables))
def mixture_weights(
    context: dg.AssetExecutionContext, settings: SettingsResource, **loaded: pa.Table
) -> Materialized:
    """One row a value of a parameter that was tried: what `hybrid` and `sql_similar` are made of.

    `alpha` is the share of `sql` in `hybrid`, for each tier; `beta` is how much similarity counts in `sql_similar`.
    Chosen on `held_out_visits`, which are before the cutoff; no click is looked at. The pipeline is counted without the
    orders of each visitor from the visit on. `gain` is over the first value (mean log-likelihood for alpha, mean
    reciprocal rank for beta) with its paired standard error; a value must be better by two of them to be chosen.
    """
    step, tables = Step(context, settings), MixtureTables(**loaded)
    choices = read_held_out_choices(tables, tier_minimums(step.settings), cutoff=step.windows.cutoff)
    table = choose_mixtures(choices, temperature_of(tables.user_embeddings, tables.product_embeddings))
    return dg.MaterializeResult(
        value=table,
        metadata={
            **{f"alpha_{tier}": chosen_value(table, "alpha", tier) for tier in TIERS},
            "beta": chosen_value(table, "beta"),
            "visits": len(choices.tier),
            **step.took(),
        },
    )
