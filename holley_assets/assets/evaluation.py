"""Did the graph beat the SQL pipeline? Rankings of the test users by every system, and the report."""

import dataclasses
from typing import Any

import dagster as dg
import pyarrow as pa

from holley_assets.assets.live_baseline import read_live_baseline, with_live_baseline
from holley_assets.assets.step import Step, inputs_of
from holley_assets.core.failures import (
    one_line,
)
from holley_assets.core.groups import (
    EVALUATION,
    OWNERS,
)
from holley_assets.core.materialized import Materialized
from holley_assets.evaluation.labels import ground_truth, labelled_users, without_users
from holley_assets.evaluation.vectors import temperature_of
from holley_assets.pipeline.delivery import DeliveryTables
from holley_assets.pipeline.mixtures import mixed_scorers
from holley_assets.pipeline.system_rankings import rank_all_systems
from holley_assets.ranking import HistoryScorer
from holley_assets.ranking.comparison import users_with_profiles
from holley_assets.resources.settings_resource import SettingsResource
from holley_assets.resources.warehouse.interface import WarehouseError
from holley_assets.resources.warehouse_resource import WarehouseResource
from holley_assets.settings import Settings, SettingsError


@dataclasses.dataclass(frozen=True)
class RankingTables(DeliveryTables):
    """What test users are ranked by, as customers are, and what they clicked; each field is the asset of that name."""

    test_clicks: pa.Table
    test_interactions: pa.Table


@dataclasses.dataclass(frozen=True)
class MachineRankingTables(RankingTables):
    """The same for users whose e-mails a machine clicked."""

    machine_clicks: pa.Table


def _evaluation_rankings(
    name: str, description: str, *, apply_rules: bool, tables_of: type[RankingTables] = RankingTables
) -> dg.AssetsDefinition:
    @dg.asset(
        name=name,
        description=description,
        group_name=EVALUATION,
        owners=OWNERS,
        kinds={"arrow", "numpy"},
        ins=inputs_of(tables_of),
    )
    def rankings(
        context: dg.AssetExecutionContext,
        settings: SettingsResource,
        warehouse: WarehouseResource,
        **loaded: pa.Table,
    ) -> Materialized:
        step, tables = Step(context, settings), tables_of(**loaded)
        users = _ranked_users(tables, step.settings)
        gnn = HistoryScorer.from_tables(
            tables.user_embeddings, tables.product_embeddings, tables.history_scores, "training"
        )
        profiles = tables.user_profiles["profile"]
        mixed = mixed_scorers(
            gnn,
            tables.mixture_weights,
            popularity=tables.popularity,
            history_scores=tables.history_scores,
            users=pa.table({"tier": tables.user_nodes["engagement_tier"], "profile": profiles}),
            temperature=temperature_of(tables.user_embeddings, tables.product_embeddings),
        )
        table = rank_all_systems(
            users,
            fitment=tables.fitment,
            parts=tables.parts,
            popularity=tables.popularity,
            gnn=gnn,
            mixed=mixed,
            purchases=tables.user_purchases,
            windows=step.windows,
            settings=step.settings,
            apply_rules=apply_rules,
        )
        metadata: dict[str, Any] = {"test_users": users.num_rows}
        # The live table has the rules in it: without them there is nothing to compare it with.
        if step.settings.evaluation.live_table and apply_rules:
            table, of_live = _with_live_table(step, warehouse, users["email_lower"].combine_chunks(), table)
            metadata |= of_live
        return dg.MaterializeResult(value=table, metadata={**metadata, **step.took()})

    return rankings


def _ranked_users(tables: RankingTables, settings: Settings) -> pa.Table:
    """The test users, with their profiles; of :class:`MachineRankingTables`, those whom machines' clicks would add."""
    users = users_with_profiles(tables.user_nodes, tables.user_profiles, "profile")
    labels = ground_truth(settings.evaluation.labels, tables.test_clicks, tables.test_interactions)
    if isinstance(tables, MachineRankingTables):
        return labelled_users(users, without_users(tables.machine_clicks, labels))
    return labelled_users(users, labels)


def _with_live_table(
    step: Step, warehouse: WarehouseResource, users: pa.Array, rankings: pa.Table
) -> tuple[pa.Table, dict[str, Any]]:
    """Rankings with the live pipeline's table as system `sql`, and what the UI shows of that table."""
    cutoff = step.windows.cutoff
    with one_line(SettingsError, WarehouseError):
        live = read_live_baseline(step.open(warehouse), users, cutoff=cutoff)
    return with_live_baseline(rankings, live), {
        "sql_is": step.settings.evaluation.live_table,
        "sql_generated": live.generated.isoformat(),
        "sql_days_before_the_cutoff": (cutoff - live.generated).days,
        "sql_users": live.users,
    }


evaluation_rankings = _evaluation_rankings(
    "evaluation_rankings",
    """One row a test user, system and rank from 1 to 20: what each system would have shown at the cutoff.

All systems rank the same users over the same parts with the same rules and the same code, so that only the
scores differ. Systems: `gnn`, `sql` (the pipeline to beat, computed here or, with HOLLEY_EVALUATION_LIVE_TABLE,
the four parts that the live one showed), `hybrid` (α · ln p of `sql` + (1 − α) · ln p of `gnn`), `sql_similar` (`sql`,
more so for parts similar to what the user met), `popularity` (all orders alone) and `random`.""",
    apply_rules=True,
)
evaluation_rankings_before_rules = _evaluation_rankings(
    "evaluation_rankings_before_rules",
    """One row a test user, system and rank, over every part that fits, without the rules.

Tells what the model learned apart from what the rules allow: no price limit, no exclusions, no limit to a
part type.""",
    apply_rules=False,
)
machine_click_rankings = _evaluation_rankings(
    "machine_click_rankings",
    """One row a user, system and rank for the users whom clicks of machines alone would make test users.

Apart from `evaluation_rankings`: the report reads it to show the comparison with `machine_clicks` beside that without
them.""",
    apply_rules=True,
    tables_of=MachineRankingTables,
)
