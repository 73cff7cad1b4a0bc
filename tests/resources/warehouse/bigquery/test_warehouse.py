"""The BigQuery warehouse through Google's client, against the emulator: costs, retries, refusals."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from bigquery_emulator import BigQueryEmulator
from flaky_server import FlakyServer
from resources.conftest import OUTPUT, WORKING, Open

from holley_assets.resources.warehouse.bigquery.client import patience
from holley_assets.resources.warehouse.bigquery.jobs import BudgetError
from holley_assets.resources.warehouse.bigquery.reads import download
from holley_assets.resources.warehouse.bigquery.spending import Spending
from holley_assets.resources.warehouse.interface import WarehouseError
from holley_assets.resources.warehouse.source_tables import SourceTableError, validate_source_tables
from holley_assets.resources.warehouse.sql_files import QueryError


@pytest.fixture
def flaky(emulator: BigQueryEmulator) -> Iterator[FlakyServer]:
    """A server before the emulator that refuses what a test tells it to."""
    with FlakyServer(emulator.url) as server:
        yield server


class TestQueries:
    def test_a_query_says_what_it_cost(
        self, open_warehouse: Open, write_query: Callable[[str], None], tmp_path: Path
    ) -> None:
        write_query("SELECT @day AS day, x FROM UNNEST([3, 1, 2]) AS x\nORDER BY x")
        result = open_warehouse("run-costs").query_to_parquet(
            "rows", {"day": datetime.date(2026, 2, 1)}, tmp_path / "rows.parquet"
        )
        assert pq.read_table(result.path).to_pydict() == {
            "day": [datetime.date(2026, 2, 1)] * 3,
            "x": [1, 2, 3],
        }
        assert result.costs == {"bytes_billed": 1 << 30, "slot_seconds": 1.0, "estimated_dollars": 0.0061}

    def test_dropped_rows_are_counted_and_left_out(
        self, open_warehouse: Open, write_query: Callable[[str], None], tmp_path: Path
    ) -> None:
        write_query(
            """
            SELECT x, IF(x > 2, 'too large', NULL) AS drop_reason, IF(x = 2, 5, 0) AS duplicate_rows
            FROM UNNEST([1, 2, 3, 4]) AS x ORDER BY x
            """
        )
        result = open_warehouse().query_to_parquet("judged_rows", {}, tmp_path / "rows.parquet")
        assert result.dropped == {"duplicate row": 5, "too large": 2}
        assert pq.read_table(result.path).to_pydict() == {"x": [1, 2]}

    def test_no_row_at_all_is_a_file_with_columns(
        self, open_warehouse: Open, write_query: Callable[[str], None], tmp_path: Path
    ) -> None:
        write_query("SELECT x, CAST(x AS STRING) AS text FROM UNNEST([1]) AS x WHERE x > 1")
        result = open_warehouse().query_to_parquet("no_rows", {}, tmp_path / "rows.parquet")
        assert (result.rows, pq.read_schema(result.path)) == (
            0,
            pa.schema([("x", pa.int64()), ("text", pa.string())]),
        )

    def test_a_step_that_is_tried_again_finds_its_job(
        self,
        open_warehouse: Open,
        write_query: Callable[[str], None],
        emulator: BigQueryEmulator,
        tmp_path: Path,
    ) -> None:
        write_query("SELECT RAND() AS number")
        first, again = (
            pq.read_table(open_warehouse("run-again").query_to_parquet("again", {}, tmp_path / name).path)
            for name in ("first.parquet", "again.parquet")
        )
        assert first.equals(again), "the query ran once"
        other = open_warehouse("run-other").query_to_parquet("again", {}, tmp_path / "other.parquet")
        assert not pq.read_table(other.path).equals(first), "another run runs it anew"
        with emulator.client() as client:
            (job,) = [job for job in client.list_jobs(page_size=1000) if "run-again" in job.job_id]
            assert {
                "pipeline": "holley_gnn",
                "asset": "fitment",
                "run_id": "run-again",
            }.items() <= job.labels.items()

    def test_another_step_that_asks_the_same_asks_anew(
        self, open_warehouse: Open, write_query: Callable[[str], None], tmp_path: Path
    ) -> None:
        write_query("SELECT RAND() AS number")
        first, other = (
            pq.read_table(
                open_warehouse("run-steps", step=step).query_to_parquet("asked", {}, tmp_path / step).path
            )
            for step in ("judges", "publishes")
        )
        assert not first.equals(other), "a table may have changed between judging and publishing it"

    def test_a_job_that_failed_is_followed_by_another(
        self, open_warehouse: Open, write_query: Callable[[str], None], tmp_path: Path
    ) -> None:
        write_query("SELECT IF(EXISTS(SELECT 1 FROM `warehouse_work.late`), 1, 0) AS x")
        with pytest.raises(WarehouseError, match=r"BigQuery: query late_rows failed.*late"):
            open_warehouse("run-late").query_to_parquet("late_rows", {}, tmp_path / "rows.parquet")
        write_query("SELECT 1 AS x")
        open_warehouse("run-late").query_to_parquet("late", {}, tmp_path / "late.parquet")
        write_query("SELECT IF(EXISTS(SELECT 1 FROM `warehouse_work.late`), 1, 0) AS x")
        result = open_warehouse("run-late").query_to_parquet("late_rows", {}, tmp_path / "rows.parquet")
        assert pq.read_table(result.path).to_pydict() == {"x": [1]}

    def test_a_run_stops_before_it_spends_more_than_it_may(
        self, open_warehouse: Open, write_query: Callable[[str], None], tmp_path: Path
    ) -> None:
        # Every query of the emulator is one GiB; three are allowed, in whatever steps.
        budget = {"run_budget_dollars": 3.0, "dollars_per_tib": 1024.0}
        for number in range(3):
            write_query(f"SELECT {number} AS x")
            open_warehouse("run-budget", **budget).query_to_parquet("cheap", {}, tmp_path / "rows.parquet")
        write_query("SELECT 4 AS x")
        with pytest.raises(BudgetError) as error:
            open_warehouse("run-budget", **budget).query_to_parquet("dear", {}, tmp_path / "dear.parquet")
        assert str(error.value) == (
            "BigQuery: query dear was not started: it would read 1.0 GiB for $1.00, and the run, which has spent "
            "$3.00, would have cost $4.00; HOLLEY_BIGQUERY_RUN_BUDGET_DOLLARS=3 allows less"
        )
        assert not (tmp_path / "dear.parquet").exists()

    def test_steps_that_start_at_once_keep_to_the_budget_together(
        self,
        open_warehouse: Open,
        write_query: Callable[[str], None],
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        budget = {"run_budget_dollars": 1.5, "dollars_per_tib": 1024.0}
        total, answers = Spending.total, {}

        def ask(step: str) -> str:
            warehouse = open_warehouse("run-at-once", step=step, **budget)
            try:
                warehouse.query_to_parquet(f"of_{step}", {}, tmp_path / f"{step}.parquet")
            except BudgetError as error:
                return str(error)
            return "started"

        def total_after_the_other_step(spending: Spending) -> int:
            monkeypatch.setattr(Spending, "total", total)
            answers["second"] = ask("second")
            return total(spending)

        write_query("SELECT 1 AS x")
        monkeypatch.setattr(Spending, "total", total_after_the_other_step)
        answers["first"] = ask("first")
        assert answers["first"] == "started", "the other step saw it and gave way"
        assert "which has spent $1.00, would have cost $2.00" in answers["second"]

    def test_a_step_that_is_tried_again_counts_once(
        self, open_warehouse: Open, write_query: Callable[[str], None], tmp_path: Path
    ) -> None:
        budget = {"run_budget_dollars": 1.5, "dollars_per_tib": 1024.0}
        write_query("SELECT 2 AS x")
        rows = tmp_path / "rows.parquet"
        for _ in range(2):
            rows.unlink(missing_ok=True)
            open_warehouse("run-twice", **budget).query_to_parquet("twice", {}, rows)
            assert pq.read_table(rows).to_pylist() == [{"x": 2}], "twice $1.00 would be more than the budget"

    def test_what_a_step_paid_stays_counted_where_it_may_not_go_on(
        self, open_warehouse: Open, write_query: Callable[[str], None], tmp_path: Path
    ) -> None:
        budget = {"run_budget_dollars": 2.5, "dollars_per_tib": 1024.0}
        for name in ("first", "second"):
            write_query(f"SELECT '{name}' AS x")
            open_warehouse("run-paid", **budget).query_to_parquet(name, {}, tmp_path / "rows.parquet")
        budget["run_budget_dollars"] = 1.5
        for _ in range(2):
            with pytest.raises(BudgetError, match=r"has spent \$1.00, would have cost \$2.00"):
                open_warehouse("run-paid", **budget).query_to_parquet("second", {}, tmp_path / "rows.parquet")

    def test_rows_are_streamed_where_the_storage_api_is(
        self, emulator: BigQueryEmulator, tmp_path: Path
    ) -> None:
        rows = pa.table(
            {
                "number": list(range(20_000)),
                "nested": [[{"name": "x", "value": n / 4}] for n in range(20_000)],
                "day": pa.array([datetime.date(2026, 2, 1)] * 20_000),
            }
        )
        pq.write_table(rows, tmp_path / "rows.parquet")
        emulator.load_parquet(WORKING, "streamed", tmp_path / "rows.parquet")
        with emulator.client() as client:
            read = download(
                client,
                emulator.read_client(),
                f"{WORKING}.streamed",
                tmp_path / "read.parquet",
                patience(10.0),
            )
        assert read == 20_000
        assert pq.read_table(tmp_path / "read.parquet").sort_by("number").equals(rows)

    def test_missing_parameter_is_named(self, open_warehouse: Open, tmp_path: Path) -> None:
        with pytest.raises(QueryError, match="query order_lines: no value for as_of, intent_start"):
            open_warehouse().query_to_parquet("order_lines", {}, tmp_path / "rows.parquet")


class TestRefusals:
    @pytest.mark.parametrize(
        ("status", "reason", "message"),
        [
            (
                403,
                "accessDenied",
                "query rows is not permitted .*the role that holley_assets/deploy/README.md",
            ),
            (403, "quotaExceeded", "query rows is not permitted .*wait, or ask for more quota"),
            (404, "notFound", "query rows failed, something does not exist: Refused by a test"),
            (400, "invalidQuery", "query rows failed: Refused by a test"),
        ],
    )
    def test_what_is_refused_is_one_line(
        self,
        open_warehouse: Open,
        write_query: Callable[[str], None],
        flaky: FlakyServer,
        tmp_path: Path,
        status: int,
        reason: str,
        message: str,
    ) -> None:
        write_query("SELECT 1 AS x")
        flaky.refuse("/jobs", status, reason, times=100)
        with pytest.raises(WarehouseError, match=message) as error:
            open_warehouse(emulator=flaky.url).query_to_parquet("rows", {}, tmp_path / "rows.parquet")
        assert "\n" not in str(error.value)
        assert flaky.refused == 1, "trying again would not help"

    @pytest.mark.parametrize(("status", "reason"), [(429, "rateLimitExceeded"), (503, "backendError")])
    def test_what_is_refused_for_a_while_is_tried_again(
        self,
        open_warehouse: Open,
        write_query: Callable[[str], None],
        flaky: FlakyServer,
        tmp_path: Path,
        status: int,
        reason: str,
    ) -> None:
        write_query("SELECT 1 AS x")
        flaky.refuse("/jobs", status, reason, times=2)
        result = open_warehouse(emulator=flaky.url).query_to_parquet("rows", {}, tmp_path / "rows.parquet")
        assert (result.rows, flaky.refused) == (1, 2)

    def test_a_quota_that_stays_exhausted_ends_in_one_line(
        self, open_warehouse: Open, write_query: Callable[[str], None], flaky: FlakyServer, tmp_path: Path
    ) -> None:
        write_query("SELECT 1 AS x")
        flaky.refuse("/jobs", 429, "rateLimitExceeded", times=100)
        with pytest.raises(
            WarehouseError, match="HOLLEY_BIGQUERY_RETRY_SECONDS allows; the last answer: Refused"
        ):
            open_warehouse(emulator=flaky.url, retry_seconds=1.5).query_to_parquet(
                "rows", {}, tmp_path / "rows.parquet"
            )
        assert flaky.refused > 1

    def test_an_address_where_nobody_answers(self, open_warehouse: Open) -> None:
        warehouse = open_warehouse(emulator="http://127.0.0.1:9", retry_seconds=0.5)
        with pytest.raises(WarehouseError, match=r"BigQuery: reading holley-emulated\.warehouse_output\.x "):
            warehouse.describe_table(OUTPUT, "x")

    def test_missing_datasets_and_columns_are_named_together(
        self, open_warehouse: Open, emulator: BigQueryEmulator, tmp_path: Path
    ) -> None:
        pq.write_table(pa.table({"ITEM": ["a"], "ORDER_DATE": [1]}), tmp_path / "orders.parquet")
        emulator.load_parquet("elsewhere", "import_orders", tmp_path / "orders.parquet")
        warehouse = open_warehouse(data_company_dataset="elsewhere", company_dataset="nowhere")
        with pytest.raises(SourceTableError) as error:
            validate_source_tables(warehouse)
        for problem in (
            "treatment_interaction: the table is missing; expected nowhere.treatment_interaction in BigQuery",
            "import_orders: column SHIP_TO_EMAIL is missing; expected STRING, found columns ITEM, ORDER_DATE",
            "import_orders: column ORDER_DATE is INT64; expected STRING",
        ):
            assert problem in str(error.value)
