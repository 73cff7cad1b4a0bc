"""Output tables in BigQuery: replaced, staged, restored, and in another project too, against the emulator."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from bigquery_emulator import BigQueryEmulator
from resources.conftest import OUTPUT, WORKING, Open

from holley_assets.resources.warehouse.bigquery.warehouse import BigQueryWarehouse
from holley_assets.resources.warehouse.interface import (
    ChangedError,
    MissingTableError,
    Unchanged,
    WarehouseError,
    snapshot_name,
)

TABLE = "recommendations"
OTHER_PROJECT = "email-system"


def table(*values: str) -> pa.Table:
    return pa.table({"email_lower": pa.array(values)})


def delivered(warehouse: BigQueryWarehouse) -> list[str]:
    return sorted(warehouse.read_table(OUTPUT, TABLE)["email_lower"].to_pylist())


class TestPublishing:
    def test_a_table_is_replaced_described_and_restored(self, open_warehouse: Open) -> None:
        warehouse = open_warehouse()
        written = []
        for name in ("first", "second", "third", "fourth"):
            warehouse.replace_table(OUTPUT, TABLE, table(name))
            written.append(warehouse.describe_table(OUTPUT, TABLE).last_modified)
        snapshots = warehouse.list_snapshots(OUTPUT, TABLE)
        assert snapshots == [snapshot_name(TABLE, at) for at in reversed(written[:3])]
        warehouse.drop_snapshot(OUTPUT, TABLE, snapshots[2])
        assert warehouse.list_snapshots(OUTPUT, TABLE) == snapshots[:2]
        assert warehouse.restore_snapshot(OUTPUT, TABLE, snapshots[1]) == 1
        assert delivered(warehouse) == ["second"]
        described = warehouse.describe_table(OUTPUT, TABLE)
        assert (described.rows, described.columns) == (1, {"email_lower": "STRING"})
        assert described.last_modified > written[-1]

    def test_a_table_of_another_project_is_replaced_and_restored_there(
        self, open_warehouse: Open, emulator: BigQueryEmulator
    ) -> None:
        other = f"{OTHER_PROJECT}.{OUTPUT}"
        with emulator.client() as client:
            client.create_dataset(other)
        warehouse = open_warehouse("run-values")
        warehouse.require_writable([other])
        warehouse.replace_table(OUTPUT, "served", table("ours"), keep_snapshot=False)
        for name in ("first", "second"):
            warehouse.replace_table(other, "served", table(name))
        assert warehouse.describe_table(other, "served").location == f"{other}.served"
        assert warehouse.value_counts(other, "served", ["email_lower"]) == {("second",): 1}
        (snapshot,) = warehouse.list_snapshots(other, "served")
        assert warehouse.restore_snapshot(other, "served", snapshot) == 1
        assert warehouse.read_table(other, "served").to_pydict() == {"email_lower": ["first"]}
        assert warehouse.read_table(OUTPUT, "served").to_pydict() == {"email_lower": ["ours"]}
        assert warehouse.list_snapshots(OUTPUT, "served") == []
        with pytest.raises(MissingTableError, match=f"^{other}.gone does not exist$"):
            warehouse.describe_table(other, "gone")
        for wrong in ("Not A Project.x", "short.x", "a`b.x"):
            with pytest.raises(WarehouseError, match="is not the id of a project"):
                warehouse.read_table(wrong, "served")

    def test_a_staged_table_is_checked_and_published_as_it_is(
        self, open_warehouse: Open, write_query: Callable[[str], None], tmp_path: Path
    ) -> None:
        warehouse = open_warehouse()
        warehouse.replace_table(OUTPUT, TABLE, table("old"))
        pq.write_table(table("new", "newer"), tmp_path / "new.parquet")
        staged = warehouse.stage_table(TABLE, tmp_path / "new.parquet", "0123456789abcdef0123")
        assert staged == "recommendations_staged_0123456789abcdef"
        write_query(f"SELECT email_lower FROM `{WORKING}.recommendations` ORDER BY email_lower")
        judged = warehouse.with_staged({TABLE: staged}).query_to_parquet(
            "judged", {}, tmp_path / "judged.parquet"
        )
        assert pq.read_table(judged.path).to_pydict() == {"email_lower": ["new", "newer"]}
        assert delivered(warehouse) == ["old"]
        assert warehouse.publish_staged(staged, OUTPUT, TABLE) == 2
        assert delivered(warehouse) == ["new", "newer"]
        with pytest.raises(WarehouseError, match="does not exist or has expired: stage and check"):
            warehouse.publish_staged("recommendations_staged_gone", OUTPUT, TABLE)

    def test_a_guarded_table_is_replaced_while_its_condition_holds_and_never_without_one(
        self, open_warehouse: Open, tmp_path: Path
    ) -> None:
        warehouse = open_warehouse(guarded=[(OUTPUT, "guarded")])
        pq.write_table(table("new", "newer"), tmp_path / "new.parquet")
        staged = warehouse.stage_table("guarded", tmp_path / "new.parquet", "0123456789abcdef")
        record = Unchanged(OUTPUT, "record", 1)
        with pytest.raises(ChangedError, match="is gone"):
            warehouse.publish_staged(staged, OUTPUT, "guarded", unless_changed=record)
        warehouse.append_rows(OUTPUT, "record", table("first decision"))
        assert warehouse.publish_staged(staged, OUTPUT, "guarded", unless_changed=record) == 2
        assert warehouse.publish_staged(staged, OUTPUT, "guarded", unless_changed=record) == 2
        (snapshot,) = warehouse.list_snapshots(OUTPUT, "guarded")
        warehouse.append_rows(OUTPUT, "record", table("second decision"))
        before = warehouse.read_table(OUTPUT, "guarded").to_pydict()
        changed_since: list[Callable[[], object]] = [
            lambda: warehouse.publish_staged(staged, OUTPUT, "guarded", unless_changed=record),
            lambda: warehouse.restore_snapshot(OUTPUT, "guarded", snapshot, unless_changed=record),
        ]
        for replace in changed_since:
            with pytest.raises(ChangedError, match="has no longer 1 rows"):
                replace()
        unguarded: list[Callable[[], object]] = [
            lambda: warehouse.publish_staged(staged, OUTPUT, "guarded"),
            lambda: warehouse.restore_snapshot(OUTPUT, "guarded", snapshot),
            lambda: warehouse.replace_table(OUTPUT, "guarded", table("by hand")),
        ]
        for replace in unguarded:
            with pytest.raises(WarehouseError, match="by the publisher alone"):
                replace()
        assert warehouse.read_table(OUTPUT, "guarded").to_pydict() == before
        two = record._replace(rows=2)
        assert warehouse.restore_snapshot(OUTPUT, "guarded", snapshot, unless_changed=two) == 2

    def test_rows_are_counted_by_values_as_they_are_now(self, open_warehouse: Open) -> None:
        warehouse = open_warehouse("run-values")
        for names, counts in ((("a", "b", "a"), {("a",): 2, ("b",): 1}), (("c",), {("c",): 1})):
            warehouse.replace_table(OUTPUT, "valued", table(*names), keep_snapshot=False)
            assert warehouse.value_counts(OUTPUT, "valued", ["email_lower"]) == counts
        with pytest.raises(WarehouseError, match="is not an identifier"):
            warehouse.value_counts(OUTPUT, "valued", ["email_lower, 1"])

    def test_embeddings_arrive_as_arrays(self, open_warehouse: Open) -> None:
        rows = pa.table(
            {"base_sku": ["A"], "embedding": [[0.5, 0.25]], "run_id": ["r"], "model_version": ["m"]}
        )
        warehouse = open_warehouse()
        warehouse.replace_table(OUTPUT, "product_embeddings", rows, keep_snapshot=False)
        assert warehouse.describe_table(OUTPUT, "product_embeddings").columns["embedding"] == ["FLOAT64"]
        assert warehouse.read_table(OUTPUT, "product_embeddings").to_pylist() == rows.to_pylist()

    @pytest.mark.parametrize("name", ["a b", 't"; DROP TABLE x', "a.b"])
    def test_names_are_identifiers(self, open_warehouse: Open, name: str) -> None:
        with pytest.raises(WarehouseError, match="is not an identifier"):
            open_warehouse().replace_table(OUTPUT, name, table("a"))
