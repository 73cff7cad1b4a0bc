"""Who would be lost at a join without a word: users are counted before their vehicles are looked up."""

import dagster as dg
import pyarrow as pa
import pyarrow.compute as pc

from holley_assets.checks.violations import share_verdict
from holley_assets.resources.io_manager import asset_file, read_parquet
from holley_assets.resources.settings_resource import SettingsResource
from holley_assets.terms import CAR
from holley_assets.texts import for_log

VEHICLES_ARE_KNOWN = "most_vehicles_are_in_the_fitment_table"
# So many of the commonest vehicles that nothing fits are named.
NAMED = 10


def vehicles_without_fitment(users: pa.Table, fitment: pa.Table) -> pa.Table:
    """``year, make, model, users`` of each vehicle that no row of ``fitment`` names, the commonest first.

    Args:
        users: year, make and model of each user.
        fitment: year, make and model of each part that fits; they may repeat.
    """
    owned = users.group_by(list(CAR)).aggregate([([], "count_all")]).rename_columns({"count_all": "users"})
    fitted = fitment.group_by(list(CAR)).aggregate([])
    missing = _joinable(owned).join(_joinable(fitted), keys=list(CAR), join_type="left anti")
    return missing.sort_by(
        [("users", "descending"), ("make", "ascending"), ("model", "ascending"), ("year", "ascending")]
    )


@dg.asset_check(
    name=VEHICLES_ARE_KNOWN,
    asset="user_nodes",
    additional_deps=["fitment"],
    blocking=True,
    description="At least HOLLEY_CHECK_USUAL_VEHICLES_SHARE of the users have a vehicle that the fitment table names, "
    "or a person should look; below HOLLEY_CHECK_MINIMUM_VEHICLES_SHARE the run stops. Where the two tables spell "
    "makes, models or years in different ways, the others would get nothing.",
)
def most_vehicles_are_in_the_fitment_table(
    context: dg.AssetCheckExecutionContext, settings: SettingsResource
) -> dg.AssetCheckResult:
    """Counted over all users with a vehicle, before any of them is lost."""
    chosen = settings.of_run(context.run).checks
    store = settings.store()
    users, fitment = (
        read_parquet(store.local_path(asset_file(dg.AssetKey(name))), columns=list(CAR))
        for name in ("user_nodes", "fitment")
    )
    missing = vehicles_without_fitment(users, fitment)
    lost = pc.sum(missing["users"]).as_py() or 0
    share = 1.0 - lost / users.num_rows if users.num_rows else float("nan")
    named = ", ".join(
        f"{row['year']} {row['make']} {row['model']} ({row['users']:,})"
        for row in missing.slice(0, NAMED).to_pylist()
    )
    needed, usual = chosen.minimum_vehicles_share, chosen.usual_vehicles_share
    words = (
        f"{share:.1%} of {users.num_rows:,} users have a vehicle that the fitment table names; {usual:.0%} is usual, "
        f"{needed:.0%} is needed. {lost:,} users of {missing.num_rows:,} other vehicles get nothing"
    )
    return share_verdict(
        asset="user_nodes",
        check=VEHICLES_ARE_KNOWN,
        share=share,
        needed=needed,
        usual=usual,
        description=f"{words}, the commonest: {for_log(named)}" if named else words,
    )


def _joinable(table: pa.Table) -> pa.Table:
    """The same with year, make and model in the types that a join takes."""
    types = {"year": pa.int64(), "make": pa.string(), "model": pa.string()}
    return table.cast(pa.schema([(field.name, types.get(field.name, field.type)) for field in table.schema]))
