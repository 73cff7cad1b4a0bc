"""The promises on what the e-mail system will read: those on every staged table, and that arms are kept."""

from collections.abc import Iterator

import dagster as dg
import pyarrow as pa

from holley_assets.checks.recommendation_checks import (
    RULES,
    Rule,
    check_in_warehouse,
    recommendation_check_specs,
)
from holley_assets.core.asset_keys import (
    MIXED,
)
from holley_assets.core.event_log import (
    newest_materialization,
)
from holley_assets.core.metadata_keys import (
    ASSIGNED_BUCKETS,
    GRAPH_BUCKETS,
    MODEL_VERSION,
)
from holley_assets.core.time_windows import (
    TimeWindows,
)
from holley_assets.resources.settings_resource import SettingsResource
from holley_assets.resources.warehouse_resource import WarehouseResource

SERVING_RULES = (
    *RULES,
    Rule(
        "every_user_is_in_the_right_arm",
        "The graph's parts go only to users whom the salted hash of the address chose, and are the champion's; "
        "all others are the SQL pipeline's.",
        "users are shown another arm's parts",
    ),
)
_ASSET = MIXED.to_user_string()


@dg.multi_asset_check(name="serving_checks", specs=recommendation_check_specs(_ASSET, SERVING_RULES))
def serving_checks(
    context: dg.AssetCheckExecutionContext,
    settings: SettingsResource,
    warehouse: WarehouseResource,
    time_windows: pa.Table,
) -> Iterator[dg.AssetCheckResult]:
    """All blocking checks on the mixed table, in one step."""
    staged = newest_materialization(context.instance, MIXED)
    if staged is None:
        raise dg.Failure(f"{_ASSET} was never materialized: there is nothing to check", allow_retries=False)
    parameters = {
        # As the environment has it now, as the publisher will ask: a run that is repeated has older settings.
        "salt": settings.load().serving.hash_salt,
        "graph_buckets": staged.metadata[GRAPH_BUCKETS],
        "assigned_buckets": staged.metadata[ASSIGNED_BUCKETS],
        "graph_model_version": staged.metadata[MODEL_VERSION],
    }
    windows = TimeWindows.from_table(time_windows)
    yield from check_in_warehouse(context, settings, warehouse, windows, _ASSET, SERVING_RULES, parameters)
