"""Did the graph beat the SQL pipeline? Rankings of the test users by every system, and the report."""

import time
from typing import Any

import dagster as dg
import pyarrow as pa

from holley_assets.assets.live_baseline import read_live_baseline, with_live_baseline
from holley_assets.assets.mixtures import mixed_scorers
from holley_assets.assets.system_rankings import rank_all_systems
from holley_assets.assets.vectors import temperature_of
from holley_assets.core.failures import (
    one_line,
)
from holley_assets.core.groups import (
    EVALUATION,
    OWNERS,
)
from holley_assets.core.time_windows import (
    TimeWindows,
)
from holley_assets.evaluation.labels import ground_truth, labelled_users
from holley_assets.ranking import HistoryScorer
from holley_assets.ranking.comparison import users_with_profiles
from holley_assets.resources.settings_resource import SettingsResource
from holley_assets.resources.warehouse.interface import WarehouseError
from holley_assets.resources.warehouse_resource import WarehouseResource, origin_of
from holley_assets.settings import SettingsError


def _evaluation_rankings(name: str, description: str, *, apply_rules: bool) -> dg.AssetsDefinition:
    @dg.asset(
        name=name, description=description, group_name=EVALUATION, owners=OWNERS, kinds={"arrow", "numpy"}
    )
    def rankings(
        context: dg.AssetExecutionContext,
        settings: SettingsResource,
        warehouse: WarehouseResource,
        time_windows: pa.Table,
        user_nodes: pa.Table,
        user_profiles: pa.Table,
        user_embeddings: pa.Table,
        product_embeddings: pa.Table,
        history_scores: pa.Table,
        mixture_weights: pa.Table,
        fitment: pa.Table,
        parts: pa.Table,
        popularity: pa.Table,
        user_purchases: pa.Table,
        test_clicks: pa.Table,
        test_interactions: pa.Table,
    ) -> dg.MaterializeResult:
        started = time.monotonic()
        run_settings = settings.of_run(context.run)
        labels = ground_truth(run_settings.evaluation.labels, test_clicks, test_interactions)
        users = labelled_users(users_with_profiles(user_nodes, user_profiles, "profile"), labels)
        windows = TimeWindows.from_table(time_windows)
        gnn = HistoryScorer.from_tables(user_embeddings, product_embeddings, history_scores, "training")
        table = rank_all_systems(
            users,
            fitment=fitment,
            parts=parts,
            popularity=popularity,
            gnn=gnn,
            mixed=mixed_scorers(
                gnn,
                mixture_weights,
                popularity=popularity,
                history_scores=history_scores,
                users=pa.table(
                    {
                        "engagement_tier": user_nodes["engagement_tier"],
                        "profile": user_profiles["profile"],
                    }
                ),
                temperature=temperature_of(user_embeddings, product_embeddings),
            ),
            purchases=user_purchases,
            windows=windows,
            settings=run_settings,
            apply_rules=apply_rules,
        )
        metadata: dict[str, Any] = {"test_users": users.num_rows}
        # The live table has the rules in it: without them there is nothing to compare it with.
        if run_settings.evaluation.live_table and apply_rules:
            with one_line(SettingsError, WarehouseError):
                opened = warehouse.open(run_settings, windows.source_location, origin=origin_of(context))
                live = read_live_baseline(
                    opened, users["email_lower"].combine_chunks(), cutoff=windows.cutoff
                )
            table = with_live_baseline(table, live)
            metadata |= {
                "sql_is": run_settings.evaluation.live_table,
                "sql_generated": live.generated.isoformat(),
                "sql_days_before_the_cutoff": (windows.cutoff - live.generated).days,
                "sql_users": live.users,
            }
        return dg.MaterializeResult(
            value=table,
            metadata={**metadata, "seconds": round(time.monotonic() - started, 2)},
        )

    return rankings


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
