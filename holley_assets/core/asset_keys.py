"""Keys of the assets that more than one layer names."""

from __future__ import annotations

import dagster as dg

# The first of every run: the day, and which source tables stand behind it.
TIME_WINDOWS = dg.AssetKey("time_windows")
TRAINED_CHECKPOINT = dg.AssetKey("trained_checkpoint")
CHAMPION_MODEL = dg.AssetKey("champion_model")
EMBEDDING_TABLES = dg.AssetKey("embedding_tables")
RUN_COMPARISON = dg.AssetKey("run_comparison")
EVAL_REPORT = dg.AssetKey("eval_report")
# On the way to the delivered table.
STAGED = dg.AssetKey("recommendations")
DELIVERED_TABLE = dg.AssetKey("recommendations_table")
# On the way to the table of similar parts.
SIMILAR_PARTS = dg.AssetKey("similar_parts")
SIMILAR_PARTS_TABLE = dg.AssetKey("similar_parts_table")
# On the way to the serving table.
SQL_RECOMMENDATIONS = dg.AssetKey("sql_recommendations")
MIXED = dg.AssetKey("mixed_recommendations")
SERVING_TABLE = dg.AssetKey("serving_table")
SERVING_SWITCH = dg.AssetKey("serving_switch")
# The experiment on customers.
EXPERIMENT_OUTCOMES = dg.AssetKey("experiment_outcomes")
EXPERIMENT_READOUT = dg.AssetKey("experiment_readout")
# The notebook that a job of its own runs.
EXPLORATION = dg.AssetKey("exploration")
