"""Settings as the functions below the assets take them."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from pathlib import Path

import pytest

from holley_assets.pipeline.options import ranking_options, same_fields, training_options
from holley_assets.settings import load_settings

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@dataclasses.dataclass(frozen=True)
class Section:
    """Two settings."""

    width: int = 3
    depth: int = 4


@dataclasses.dataclass(frozen=True)
class Options:
    """What takes one of the settings by name."""

    width: int = 0
    other: int = 7


def test_a_field_without_a_setting_of_its_name_is_an_error() -> None:
    with pytest.raises(AttributeError, match=r"Section has no setting other, which Options needs"):
        same_fields(Options, Section())


def test_fields_that_are_left_out_keep_their_defaults() -> None:
    assert Options(**same_fields(Options, Section(), without={"other"})) == Options(width=3, other=7)


def test_settings_reach_training_and_rules(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOLLEY_TRAINING_FIT_STEPS", "17")
    monkeypatch.setenv("HOLLEY_TRAINING_PATIENCE", "9")
    monkeypatch.setenv("HOLLEY_MODEL_EMBEDDING_DIM", "24")
    settings = load_settings()
    shape, options = training_options(settings)
    assert (shape.embedding_dim, options.fit.steps, options.edges.patience) == (24, 17, 9)
    rules = ranking_options(settings, 5)
    assert (rules.depth, rules.maximum_per_part_type, rules.purchase_exclusion_days) == (5, 2, 365)


def test_benchmarks_need_neither_dagster_nor_their_extra() -> None:
    """All but the one that reads the events of Dagster's jobs, and the one whose peer is the extra."""
    modules = sorted({path.stem for path in BENCHMARKS.glob("*.py")} - {"end_to_end", "ranking"})
    code = f"sys.modules['implicit'] = None; import {', '.join(modules)}; print('dagster' in sys.modules)"
    path = os.pathsep.join([str(BENCHMARKS.parents[1]), str(BENCHMARKS), str(BENCHMARKS.parent)])
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; {code}"],
        env={**os.environ, "PYTHONPATH": path},
        check=False,
        timeout=120,
        capture_output=True,
        text=True,
    )
    assert done.stdout.splitlines()[-1:] == ["False"], done.stderr
