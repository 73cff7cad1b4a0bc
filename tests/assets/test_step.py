"""What a step is given: seconds of its parts, its day, and the files of assets."""

import datetime
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import Mock

import dagster as dg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from small_run import failure_of

from holley_assets.assets.step import Step, with_windows
from holley_assets.core.materialized import Materialized
from holley_assets.core.time_windows import TimeWindows
from holley_assets.resources.io_manager import ParquetIOManager
from holley_assets.resources.settings_resource import SettingsResource

DAY = datetime.date(2026, 2, 1)


@pytest.fixture
def data_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOLLEY_DATA_DIR", str(tmp_path))
    return tmp_path


@pytest.fixture
def step(data_dir: Path) -> Step:
    """The step of an asset, with a clock of its own."""
    return Step(Mock(), SettingsResource())


def test_seconds_are_those_since_the_part_began(step: Step, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([100.0, 101.254, 103.0, 103.5])
    monkeypatch.setattr("holley_assets.assets.step.time.monotonic", lambda: next(clock))
    step.begin()
    assert step.took() == {"seconds": 1.25}
    step.begin()
    assert step.took() == {"seconds": 0.5}


def test_files_of_assets_are_found_by_name(step: Step, tmp_path: Path) -> None:
    (tmp_path / "assets").mkdir()
    pq.write_table(pa.table({"x": [1]}), tmp_path / "assets" / "fitment.parquet")
    assert step.asset_paths(["fitment"]) == {"fitment": tmp_path / "assets" / "fitment.parquet"}
    with pytest.raises(FileNotFoundError, match=r"parts.parquet does not exist: materialize it first"):
        step.asset_paths(["fitment", "parts"])


def test_what_reads_a_source_comes_after_the_time_windows() -> None:
    assert with_windows(["parts", "import_orders"]) == ["import_orders", "parts", "time_windows"]
    assert with_windows(["user_nodes", "parts"]) == ["parts", "user_nodes"]


def windows_of(day: datetime.date) -> TimeWindows:
    return TimeWindows(
        day, day - datetime.timedelta(30), day - datetime.timedelta(180), "parquet", "somewhere"
    )


class World:
    """Windows, an asset that comes after them, and one that comes after that and reads its run's day."""

    def __init__(self) -> None:
        self.day = DAY
        self.read: list[datetime.date] = []

        @dg.asset
        def time_windows() -> Materialized:
            return dg.MaterializeResult(value=windows_of(self.day).to_table())

        @dg.asset(deps=[time_windows])
        def accounts() -> Materialized:
            return dg.MaterializeResult(value=pa.table({"x": [1]}))

        @dg.asset(deps=[accounts])
        def report(context: dg.AssetExecutionContext, settings: SettingsResource) -> Materialized:
            self.read.append(Step(context, settings).windows.as_of)
            return dg.MaterializeResult(value=pa.table({"x": [1]}))

        settings = SettingsResource()
        self.definitions = dg.Definitions(
            # The last comes first where nothing else orders them.
            assets=[report, accounts, time_windows],
            jobs=[dg.define_asset_job("everything")],
            resources={"settings": settings, "io_manager": ParquetIOManager(settings=settings)},
            executor=dg.in_process_executor,
        )
        self.instance = dg.DagsterInstance.ephemeral()

    def run(self, *only: str) -> dg.ExecuteInProcessResult:
        return self.definitions.resolve_job_def("everything").execute_in_process(
            instance=self.instance,
            raise_on_error=False,
            asset_selection=[dg.AssetKey(name) for name in only] or None,
        )


@pytest.fixture
def world(data_dir: Path) -> Iterator[World]:
    made = World()
    with made.instance:
        yield made


class TestTheDayOfARun:
    def test_is_what_its_first_step_fixed(self, world: World) -> None:
        assert world.run().success
        assert world.read == [DAY]

    def test_is_the_newest_for_one_asset_alone(self, world: World) -> None:
        assert world.run("time_windows", "accounts").success
        world.day = DAY + datetime.timedelta(7)
        assert world.run("report").success
        assert world.read == [DAY], "nobody asks the clock again"

    def test_is_nobodys_where_no_run_fixed_one(self, world: World) -> None:
        said = failure_of(world.run("report"), "report")
        assert "time_windows.parquet does not exist: materialize it first" in said

    def test_is_no_earlier_runs_where_its_own_is_not_there_yet(self, world: World) -> None:
        """Without the asset in between Dagster starts both at once."""
        assert world.run().success
        world.day = DAY + datetime.timedelta(7)
        result = world.run("report", "time_windows")
        said = failure_of(result, "report")
        assert "report started before time_windows of its run was there" in said and "\n" not in said
        assert world.read == [DAY]
