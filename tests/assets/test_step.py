"""What a step is given: seconds of its parts, its day, and the files of assets."""

from __future__ import annotations

from pathlib import Path
from unittest.mock import Mock

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from holley_assets.assets import step as step_module
from holley_assets.assets.step import Step
from holley_assets.resources.settings_resource import SettingsResource


@pytest.fixture
def step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Step:
    """The step of an asset that reads no day, with a clock of its own."""
    monkeypatch.setenv("HOLLEY_DATA_DIR", str(tmp_path))
    context = Mock()
    context.op_execution_context.op.name = "mixture_weights"
    return Step(context, SettingsResource())


def test_seconds_are_those_since_the_part_began(step: Step, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([100.0, 101.254, 103.0, 103.5])
    monkeypatch.setattr(step_module.time, "monotonic", lambda: next(clock))
    step.begin()
    assert step.took() == {"seconds": 1.25}
    step.begin()
    assert step.took() == {"seconds": 0.5}


def test_a_step_that_reads_no_day_has_none(step: Step) -> None:
    with pytest.raises(ValueError, match="step mixture_weights does not read time_windows"):
        _ = step.windows


def test_files_of_assets_are_found_by_name(step: Step, tmp_path: Path) -> None:
    (tmp_path / "assets").mkdir()
    pq.write_table(pa.table({"x": [1]}), tmp_path / "assets" / "fitment.parquet")
    assert step.asset_paths(["fitment"]) == {"fitment": tmp_path / "assets" / "fitment.parquet"}
    with pytest.raises(FileNotFoundError, match=r"parts.parquet does not exist: materialize it first"):
        step.asset_paths(["fitment", "parts"])
