"""Names of the assets on the way to the serving table."""

from __future__ import annotations

import dagster as dg

SQL_RECOMMENDATIONS = dg.AssetKey("sql_recommendations")
MIXED = dg.AssetKey("mixed_recommendations")
SERVING_TABLE = dg.AssetKey("serving_table")
