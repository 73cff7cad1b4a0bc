"""The rules on what is delivered, recomputed from the source facts.

The ranker applied them already. These queries share no code with it: they look at a staged table as the
e-mail system would and ask the catalogue, the fitment data and the orders. Whatever a customer may see is staged
first and judged here: the graph's table, and the mixed table of graph and SQL pipeline.
"""

import dataclasses
import itertools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import dagster as dg
import pyarrow as pa
import pyarrow.parquet as pq

from holley_assets.checks.delivery_size import check_delivery_size, delivery_size_spec
from holley_assets.checks.staged_table import stage_recommendations
from holley_assets.checks.violations import find_violations, open_tables, threshold_verdict, verdict
from holley_assets.core.event_log import previous_rows
from holley_assets.core.failures import (
    one_line,
)
from holley_assets.core.metadata_keys import AS_OF
from holley_assets.core.time_windows import (
    TimeWindows,
)
from holley_assets.resources.io_manager import asset_file
from holley_assets.resources.settings_resource import SettingsResource
from holley_assets.resources.storage.interface import checksum
from holley_assets.resources.warehouse.interface import Warehouse, WarehouseError
from holley_assets.resources.warehouse_resource import WarehouseResource, origin_of
from holley_assets.settings import Settings

CHECKED = "recommendations"
ENOUGH_USERS = "enough_users_get_recommendations"
# The staged table in long form, which the queries under sql/checks/ read as if it were an asset.
DELIVERED_PARTS = "delivered_parts"


@dataclasses.dataclass(frozen=True)
class Rule:
    """A promise; ``sql/checks/<name>.sql`` selects what breaks it and ``broken`` says what such a row is."""

    name: str
    description: str
    broken: str


RULES = (
    Rule("one_row_a_user", "No user has two rows.", "users have more than one row"),
    Rule(
        "first_three_slots_are_filled",
        "Every row fills at least HOLLEY_RULE_MINIMUM_PARTS slots, from the first on, each with price, score "
        "and image.",
        "users have an unfilled slot",
    ),
    Rule("no_part_twice_for_a_user", "No base SKU fills two slots of a user.", "parts are shown twice"),
    Rule(
        "no_refurbished_part", "No part that either table of tags calls refurbished.", "slots are refurbished"
    ),
    Rule("no_service_item", "Nothing of EXT-, GIFT-, WARRANTY-, SERVICE-, PREAUTH-.", "slots are no parts"),
    Rule(
        "every_price_reaches_the_minimum",
        "Every price is at least HOLLEY_RULE_MINIMUM_PRICE, here and in the catalogue.",
        "slots are too cheap",
    ),
    Rule("every_image_is_https", "Every image has an https address.", "slots have no https image"),
    Rule(
        "scores_never_rise", "Scores are finite and do not rise from slot to slot.", "scores are out of order"
    ),
    Rule(
        "no_part_type_too_often",
        "No user is shown more than HOLLEY_RULE_MAXIMUM_PER_PART_TYPE parts of one type.",
        "part types are shown too often",
    ),
    Rule(
        "no_part_ordered_within_a_year",
        "No part that the user ordered within HOLLEY_RULE_PURCHASE_EXCLUSION_DAYS, in any colour.",
        "slots were ordered recently",
    ),
    Rule(
        "every_part_fits_the_vehicle",
        "The fitment data pairs every variant shown with the user's year, make and model.",
        "slots do not fit",
    ),
)


def recommendation_check_specs(asset: str, rules: Sequence[Rule] = RULES) -> list[dg.AssetCheckSpec]:
    """The promises on a staged table, all blocking."""
    enough_users = Rule(
        ENOUGH_USERS,
        "prod: at least HOLLEY_CHECK_MINIMUM_USERS users; local: at least HOLLEY_CHECK_MINIMUM_USERS_SHARE of "
        "the users whose vehicle has parts enough. Never none.",
        broken="",
    )
    return [
        dg.AssetCheckSpec(
            rule.name,
            asset=asset,
            additional_deps=["time_windows"],
            blocking=True,
            description=rule.description,
        )
        for rule in (enough_users, *rules)
    ]


def rule_parameters(settings: Settings, windows: TimeWindows) -> dict[str, object]:
    """Named parameters of the queries under ``sql/checks/``."""
    return {**settings.rules.model_dump(), "as_of": windows.as_of}


def check_recommendations(
    warehouse: Warehouse,
    parameters: Mapping[str, object],
    settings: Settings,
    folder: Path,
    *,
    asset: str = CHECKED,
    rules: Sequence[Rule] = RULES,
) -> Iterator[dg.AssetCheckResult]:
    """Run every check.

    Args:
        warehouse: knows the sources, the assets, :data:`DELIVERED_PARTS` at ``folder`` and, under the name
            ``recommendations``, the staged table.
        parameters: from :func:`rule_parameters`, and what further rules need.
        settings: the run's.
        folder: for the results of the queries.
        asset: whose promises these are.
        rules: what is promised beside enough users.
    """
    warehouse.query_to_parquet(DELIVERED_PARTS, parameters, folder / f"{DELIVERED_PARTS}.parquet")
    yield _enough_users(warehouse, parameters, settings, folder, asset)
    yield from check_rules(warehouse, parameters, folder, asset=asset, rules=rules)


def check_rules(
    warehouse: Warehouse, parameters: Mapping[str, object], folder: Path, *, asset: str, rules: Sequence[Rule]
) -> Iterator[dg.AssetCheckResult]:
    """Run the query of each rule, which finds what breaks it.

    Args:
        warehouse: knows what the queries read, the staged table among it.
        folder: for the results of the queries.
        asset: whose promises these are.

    Raises:
        WarehouseError: the warehouse refuses a query.
    """
    for rule in rules:
        result = warehouse.query_to_parquet(rule.name, parameters, folder / f"{rule.name}.parquet")
        with open_tables({"broken": result.path}) as connection:
            violations = find_violations(connection, "SELECT * FROM broken")
        yield verdict(asset=asset, check=rule.name, violations=violations, broken=rule.broken)


def _enough_users(
    warehouse: Warehouse, parameters: Mapping[str, object], settings: Settings, folder: Path, asset: str
) -> dg.AssetCheckResult:
    result = warehouse.query_to_parquet(ENOUGH_USERS, parameters, folder / f"{ENOUGH_USERS}.parquet")
    counts = pq.read_table(result.path).to_pylist()[0]
    delivered, possible = counts["users_with_recommendations"], counts["users_with_enough_parts"]
    if settings.run.env == "prod":
        minimum: float = settings.checks.minimum_users
    else:
        minimum = max(1.0, settings.checks.minimum_users_share * possible)
    return threshold_verdict(
        asset=asset,
        check=ENOUGH_USERS,
        value=delivered,
        low=minimum,
        description=f"{delivered:,} users have recommendations, at least {minimum:,.0f} expected; "
        f"{possible:,} of {counts['users']:,} have a vehicle with at least {settings.rules.minimum_parts} "
        "eligible parts",
    )


def check_in_warehouse(
    context: dg.AssetCheckExecutionContext,
    settings: SettingsResource,
    warehouse: WarehouseResource,
    windows: TimeWindows,
    asset: str,
    rules: Sequence[Rule],
    parameters: Mapping[str, object],
    others: Sequence[dg.AssetCheckResult] = (),
) -> Iterator[dg.AssetCheckResult]:
    """Load staged recommendations into the warehouse and run every check on them there; pass ``others`` on.

    Each result names the staged table and its fingerprint, by which :func:`..staged_table.publish_judged` finds it.

    Raises:
        dg.Failure: the warehouse refuses a step.
    """
    run_settings = settings.of_run(context.run)
    path = settings.store().local_path(asset_file(dg.AssetKey(asset)))
    with one_line(WarehouseError), TemporaryDirectory() as name:
        folder = Path(name)
        opened = warehouse.open(
            run_settings,
            windows.source_location,
            {DELIVERED_PARTS: folder / f"{DELIVERED_PARTS}.parquet"},
            origin=origin_of(context),
        )
        staged = stage_recommendations(opened, asset, path, checksum(path))
        judged = check_recommendations(
            opened.with_staged({CHECKED: staged.name}),
            {**rule_parameters(run_settings, windows), **parameters},
            run_settings,
            folder,
            asset=asset,
            rules=rules,
        )
        for result in itertools.chain(judged, others):
            day = {AS_OF: dg.MetadataValue.text(windows.as_of.isoformat())}
            yield result._replace(metadata={**result.metadata, **staged.metadata(), **day})


@dg.multi_asset_check(
    name="recommendation_checks", specs=[*recommendation_check_specs(CHECKED), delivery_size_spec(CHECKED)]
)
def recommendation_checks(
    context: dg.AssetCheckExecutionContext,
    settings: SettingsResource,
    warehouse: WarehouseResource,
    time_windows: pa.Table,
) -> Iterator[dg.AssetCheckResult]:
    """All blocking checks on the staged table, in one step.

    The step loads the table into the warehouse, under a name of its own, and checks it there.
    """
    windows = TimeWindows.from_table(time_windows)
    path = settings.store().local_path(asset_file(dg.AssetKey(CHECKED)))
    size = check_delivery_size(
        CHECKED,
        pq.ParquetFile(path).metadata.num_rows,
        previous_rows(context.instance, CHECKED, windows.source_kind),
        settings.of_run(context.run).checks.minimum_rows_share,
    )
    yield from check_in_warehouse(context, settings, warehouse, windows, CHECKED, RULES, {}, [size])
