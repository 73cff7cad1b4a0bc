"""Jobs that take the graph off the serving table at once, and put it back."""

from __future__ import annotations

import dagster as dg

from holley_assets.automation.jobs import DELIVERING, RUN_TAGS, STANDING_CHECKS
from holley_assets.core.asset_keys import (
    MIXED,
    SERVING_TABLE,
    SQL_RECOMMENDATIONS,
)
from holley_assets.core.tags import (
    KILL_SWITCH_TAG,
    OFF,
    ON,
)

# No graph, no model: what broke there cannot keep users from the SQL pipeline's parts.
_WITHOUT_GRAPH = (
    dg.AssetSelection.assets(SQL_RECOMMENDATIONS).upstream() | dg.AssetSelection.assets(MIXED, SERVING_TABLE)
) - STANDING_CHECKS

serve_sql_only = dg.define_asset_job(
    "serve_sql_only",
    selection=_WITHOUT_GRAPH | dg.AssetSelection.checks_for_assets(MIXED),
    tags={**RUN_TAGS, KILL_SWITCH_TAG: ON},
    description="The kill switch: put all users of the serving table back on the SQL pipeline, in one run that "
    "needs no graph and no model. It stays so, whatever runs on schedule, until serve_graph_again.",
)

serve_graph_again = dg.define_asset_job(
    "serve_graph_again",
    selection=DELIVERING,
    tags={**RUN_TAGS, KILL_SWITCH_TAG: OFF},
    description="Let the kill switch go: deliver as of today with the champion and fill the serving table as "
    "HOLLEY_SERVING_MODE says.",
)
