"""The jobs that compute, and the checks that no job runs."""

from __future__ import annotations

import dagster as dg

from holley_assets.checks.source_watch import ANSWERS
from holley_assets.core.asset_keys import (
    DELIVERED_TABLE,
    EXPERIMENT_OUTCOMES,
    EXPERIMENT_READOUT,
    EXPLORATION,
    SERVING_SWITCH,
    SERVING_TABLE,
)
from holley_assets.resources.warehouse.source_tables import SOURCE_TABLES

TRAINING = dg.AssetSelection.assets("trained_checkpoint")

# What comes in and what goes out is checked by the daemon, whether or not anything runs.
STANDING_CHECKS = dg.AssetSelection.checks_for_assets(
    *SOURCE_TABLES, DELIVERED_TABLE, SERVING_TABLE, SERVING_SWITCH
) | dg.AssetSelection.checks(ANSWERS)

# Decided on by two jobs of its own and by nobody else.
SWITCH = dg.AssetSelection.assets(SERVING_SWITCH) - STANDING_CHECKS

# Read by a job of its own: neither a training nor a delivery waits for it.
EXPERIMENT = dg.AssetSelection.assets(EXPERIMENT_OUTCOMES, EXPERIMENT_READOUT)

# The notebook: people ask for it, and no training waits for it.
NOTEBOOK = dg.AssetSelection.assets(EXPLORATION)

# ``AssetSelection.all()`` leaves out checks that stand on their own; "everything" means those too.
EVERYTHING = (
    (dg.AssetSelection.all() | dg.AssetSelection.all_asset_checks())
    - STANDING_CHECKS
    - SWITCH
    - EXPERIMENT
    - NOTEBOOK
    - dg.AssetSelection.checks_for_assets(EXPERIMENT_READOUT)
)

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
    dg.AssetSelection.assets(DELIVERED_TABLE, SERVING_TABLE, "embedding_tables").upstream()
    - TRAINING
    - SWITCH
    - STANDING_CHECKS
) | dg.AssetSelection.checks_for_assets("recommendations", "mixed_recommendations")

daily_score = dg.define_asset_job(
    "daily_score",
    selection=DELIVERING,
    tags=RUN_TAGS,
    description="Deliver as of today with the newest model that passed; nothing is trained or evaluated.",
)

read_experiment = dg.define_asset_job(
    "read_experiment",
    selection=EXPERIMENT,
    tags=RUN_TAGS,
    description="Read the experiment on customers as of the newest delivery: what users did since they were shown "
    "parts, and the decision. Without an experiment it says so and ends.",
)

explore = dg.define_asset_job(
    "explore",
    selection=NOTEBOOK,
    tags=RUN_TAGS,
    description="Run the notebook of holley_assets/explore on the tables of the newest run, and keep it.",
)
