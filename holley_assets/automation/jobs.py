"""The two jobs."""

from __future__ import annotations

import dagster as dg

TRAINING = dg.AssetSelection.assets("trained_checkpoint")

# ``AssetSelection.all()`` leaves out checks that stand on their own; "everything" means those too.
EVERYTHING = dg.AssetSelection.all() | dg.AssetSelection.all_asset_checks()

# Tags, since Dagster's Helm chart has no setting for either.
RUN_TAGS = {
    # A failed gate is an answer, not an accident; only a run whose process died is started again.
    "dagster/retry_on_asset_or_op_failure": "false",
    # Seconds. A run that hangs would hold up the queue for ever.
    "dagster/max_runtime": str(6 * 60 * 60),
}

weekly_retrain = dg.define_asset_job(
    "weekly_retrain",
    selection=EVERYTHING,
    tags=RUN_TAGS,
    description="Train on the graph as of the cutoff, evaluate on the clicks after it, deliver as of today.",
)

# From the sources to both tables: what customers see, and what only we look at.
DELIVERING = (
    dg.AssetSelection.assets("recommendations_table", "serving_table", "embedding_tables").upstream()
    - TRAINING
) | dg.AssetSelection.checks_for_assets("recommendations", "mixed_recommendations")

daily_score = dg.define_asset_job(
    "daily_score",
    selection=DELIVERING,
    tags=RUN_TAGS,
    description="Deliver as of today with the newest model that passed; nothing is trained or evaluated.",
)
