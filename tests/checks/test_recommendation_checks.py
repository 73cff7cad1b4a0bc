"""Each rule on the delivered table, broken on purpose in an otherwise sound one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import dagster as dg
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from small_run import FinishedRun

from holley_assets.checks.recommendation_checks import (
    DELIVERED_PARTS,
    RULES,
    check_recommendations,
    rule_parameters,
)
from holley_assets.core.time_windows import (
    TimeWindows,
)
from holley_assets.resources.settings_resource import SettingsResource
from holley_assets.resources.warehouse_resource import WarehouseResource

Change = Callable[[pa.Table, FinishedRun], pa.Table]


def put(table: pa.Table, row: int, **values: object) -> pa.Table:
    """``table`` with other values in one row."""
    for name, value in values.items():
        column = table[name].to_pylist()
        column[row] = value
        table = table.set_column(
            table.schema.get_field_index(name), name, pa.array(column, table.schema.field(name).type)
        )
    return table


def twice(table: pa.Table, run: FinishedRun) -> pa.Table:
    return pa.concat_tables([table, table.slice(0, 1)])


def third_slot_empty(table: pa.Table, run: FinishedRun) -> pa.Table:
    return put(table, 0, rec_part_3=None, rec3_price=None, rec3_score=None, rec3_image=None)


def same_part(table: pa.Table, run: FinishedRun) -> pa.Table:
    return put(table, 0, rec_part_2=table["rec_part_1"][0].as_py())


def refurbished(table: pa.Table, run: FinishedRun) -> pa.Table:
    tags = pq.read_table(run.source_dir / "import_items_tags.parquet")
    tagged = tags.filter(pc.match_substring(pc.utf8_lower(pc.fill_null(tags["Tags"], "")), "refurb"))
    return put(table, 0, rec_part_1=tagged["PartNumber"][0].as_py().strip().upper())


def warranty(table: pa.Table, run: FinishedRun) -> pa.Table:
    return put(table, 0, rec_part_1="WARRANTY-36")


def too_cheap(table: pa.Table, run: FinishedRun) -> pa.Table:
    return put(table, 0, rec1_price=49.99)


def plain_http(table: pa.Table, run: FinishedRun) -> pa.Table:
    return put(table, 0, rec4_image="http://images.example.com/a.jpg")


def rising(table: pa.Table, run: FinishedRun) -> pa.Table:
    return put(table, 0, rec2_score=table["rec1_score"][0].as_py() + 1.0)


def not_a_number(table: pa.Table, run: FinishedRun) -> pa.Table:
    return put(table, 0, rec2_score=float("nan"))


def one_type(table: pa.Table, run: FinishedRun) -> pa.Table:
    parts = run.table("parts")
    types = parts.group_by("part_type").aggregate([("sku", "count")]).sort_by([("sku_count", "descending")])
    of_type = parts.filter(
        pc.equal(parts["part_type"].cast(pa.string()), types["part_type"][0].cast(pa.string()))
    )
    skus = of_type["sku"].slice(0, 3).to_pylist()
    return put(table, 0, **{f"rec_part_{slot}": sku for slot, sku in enumerate(skus, start=1)})


def ordered(table: pa.Table, run: FinishedRun) -> pa.Table:
    purchase = run.table("user_purchases").slice(0, 1).to_pylist()[0]
    row = table["email_lower"].to_pylist().index(purchase["email_lower"])
    return put(table, row, rec_part_1=purchase["base_sku"])


def other_car(table: pa.Table, run: FinishedRun) -> pa.Table:
    return put(table, 0, year="1901")


BREAKS: Mapping[str, list[Change]] = {
    "one_row_a_user": [twice],
    "first_three_slots_are_filled": [third_slot_empty],
    "no_part_twice_for_a_user": [same_part],
    "no_refurbished_part": [refurbished],
    "no_service_item": [warranty],
    "every_price_reaches_the_minimum": [too_cheap],
    "every_image_is_https": [plain_http],
    "scores_never_rise": [rising, not_a_number],
    "no_part_type_too_often": [one_type],
    "no_part_ordered_within_a_year": [ordered],
    "every_part_fits_the_vehicle": [other_car, warranty],
}


def check(run: FinishedRun, table: pa.Table, folder: Path) -> dict[str, dg.AssetCheckResult]:
    """Results of all checks on ``table``, as if the run had staged it."""
    staged = folder / "recommendations.parquet"
    pq.write_table(table, staged)
    settings = SettingsResource().load()
    windows = TimeWindows.from_table(run.table("time_windows"))
    warehouse = WarehouseResource().open(
        settings.model_copy(update={"run": settings.run.model_copy(update={"data_dir": run.data_dir})}),
        windows.source_location,
        {"recommendations": staged, DELIVERED_PARTS: folder / f"{DELIVERED_PARTS}.parquet"},
    )
    results = check_recommendations(warehouse, rule_parameters(settings, windows), settings, folder)
    return {str(result.check_name): result for result in results}


def test_every_rule_is_broken_below() -> None:
    assert set(BREAKS) == {rule.name for rule in RULES}


def test_the_staged_table_keeps_every_rule(
    weekly_run: FinishedRun, run_settings: Path, tmp_path: Path
) -> None:
    results = check(weekly_run, weekly_run.table("recommendations"), tmp_path)
    assert {name for name, result in results.items() if not result.passed} == set()
    assert len(results) == len(RULES) + 1


@pytest.mark.parametrize(
    ("rule", "change"), [(rule, change) for rule, changes in BREAKS.items() for change in changes]
)
def test_a_broken_rule_is_found(
    weekly_run: FinishedRun, run_settings: Path, tmp_path: Path, rule: str, change: Change
) -> None:
    table = weekly_run.table("recommendations")
    table = table.cast(
        pa.schema([(f.name, pa.string() if pa.types.is_dictionary(f.type) else f.type) for f in table.schema])
    )
    result = check(weekly_run, change(table, weekly_run), tmp_path)[rule]
    assert not result.passed
    violations = result.metadata["violations"].value
    assert isinstance(violations, int) and 1 <= violations <= 4, "of one row, at most every slot"
    examples = result.metadata["examples"]
    assert isinstance(examples, dg.TableMetadataValue) and 1 <= len(examples.records) <= 3
    shown = f"{result.description}{result.metadata}"
    assert "@" not in shown and "email_lower_hash" in shown


def test_too_few_users_are_found(weekly_run: FinishedRun, run_settings: Path, tmp_path: Path) -> None:
    table = weekly_run.table("recommendations")
    kept = table.slice(0, int(np.floor(table.num_rows * 0.8)))
    result = check(weekly_run, kept, tmp_path)["enough_users_get_recommendations"]
    assert not result.passed
    assert result.metadata["value"].value == kept.num_rows


def test_no_users_at_all_are_too_few(weekly_run: FinishedRun, run_settings: Path, tmp_path: Path) -> None:
    result = check(weekly_run, weekly_run.table("recommendations").slice(0, 0), tmp_path)
    assert not result["enough_users_get_recommendations"].passed
