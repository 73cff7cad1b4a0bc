"""The promises on what the e-mail system will read: those on every staged table, and that arms are kept."""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import dagster as dg
import pyarrow as pa

from holley_assets.assets.model_choice import MODEL_VERSION
from holley_assets.assets.serving import GRAPH_BUCKETS
from holley_assets.assets.serving_keys import MIXED
from holley_assets.assets.time_windows import TimeWindows
from holley_assets.checks.recommendation_checks import (
    CHECKED,
    DELIVERED_PARTS,
    RULES,
    Rule,
    check_recommendations,
    recommendation_check_specs,
    rule_parameters,
)
from holley_assets.checks.verdicts import newest_materialization
from holley_assets.resources.io_manager import asset_file
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
    run_settings = settings.of_run(context.run)
    windows = TimeWindows.from_table(time_windows)
    staged = newest_materialization(context.instance, MIXED)
    if staged is None:
        raise dg.Failure(f"{_ASSET} was never materialized: there is nothing to check", allow_retries=False)
    parameters = {
        **rule_parameters(run_settings, windows),
        "salt": run_settings.serving.salt,
        "graph_buckets": staged.metadata[GRAPH_BUCKETS],
        "graph_model_version": staged.metadata[MODEL_VERSION],
    }
    with TemporaryDirectory(dir=run_settings.run.data_dir) as folder:
        opened = warehouse.open(
            run_settings,
            windows.source_location,
            {
                CHECKED: settings.store().local_path(asset_file(MIXED)),
                DELIVERED_PARTS: Path(folder) / f"{DELIVERED_PARTS}.parquet",
            },
        )
        yield from check_recommendations(
            opened, parameters, run_settings, Path(folder), asset=_ASSET, rules=SERVING_RULES
        )
