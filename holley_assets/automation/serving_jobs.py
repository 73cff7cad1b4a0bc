"""Jobs that take the graph off the serving table at once, and put it back."""

from __future__ import annotations

import dagster as dg

from holley_assets.assets.serving_switch import SERVE_GRAPH_AGAIN, SERVE_SQL_ONLY
from holley_assets.automation.jobs import DELIVERING, RUN_TAGS, STANDING_CHECKS, SWITCH
from holley_assets.core.asset_keys import MIXED, SERVING_SWITCH, SERVING_TABLE, SQL_RECOMMENDATIONS

# What the launchpad shows to be filled in.
_WHO_AND_WHY = {"ops": {SERVING_SWITCH.to_user_string(): {"config": {"by": "", "reason": ""}}}}

# No graph, no model: what broke there cannot keep users from the SQL pipeline's parts.
_WITHOUT_GRAPH = (
    dg.AssetSelection.assets(SQL_RECOMMENDATIONS).upstream() | dg.AssetSelection.assets(MIXED, SERVING_TABLE)
) - STANDING_CHECKS

serve_sql_only = dg.define_asset_job(
    SERVE_SQL_ONLY,
    selection=SWITCH | _WITHOUT_GRAPH | dg.AssetSelection.checks_for_assets(MIXED),
    tags=RUN_TAGS,
    config=_WHO_AND_WHY,
    description="The kill switch: put all users of the serving table back on the SQL pipeline, in one run that "
    "needs no graph and no model. The decision is written down before anything else and stays, whatever runs on "
    "schedule, until serve_graph_again.",
)

serve_graph_again = dg.define_asset_job(
    SERVE_GRAPH_AGAIN,
    selection=SWITCH | DELIVERING,
    tags=RUN_TAGS,
    config=_WHO_AND_WHY,
    description="Let the kill switch go: deliver as of today with the champion and fill the serving table as "
    "HOLLEY_SERVING_MODE says. Say by whom and why, as the configuration of serving_switch.",
)
