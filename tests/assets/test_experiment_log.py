"""What a publication logs of an experiment, when the declaration is frozen, and what stops a delivery."""

from __future__ import annotations

import datetime
from pathlib import Path

import pytest
from experiment_world import declaration_text

from holley_assets.assets import publisher
from holley_assets.assets.experiment_log import (
    DeclarationError,
    declared_experiment,
    frozen_declaration,
    start_experiment,
)
from holley_assets.assets.publisher import Serving
from holley_assets.assets.publishing import PublicationRefused
from holley_assets.assets.serving_plan import Present, ServingPlan
from holley_assets.resources.serving_switch import Switch
from holley_assets.resources.warehouse.duckdb.warehouse import DuckDBWarehouse
from holley_assets.resources.warehouse.interface import Exposures, Unchanged
from holley_assets.settings import ServingSettings, Settings, load_settings
from holley_assets.settings.experiment import ExperimentSettings

DECLARATION = declaration_text("2026-03-02", "2026-03-30")
BEFORE, START, LATER, END = (
    datetime.date(2026, 3, 1),
    datetime.date(2026, 3, 2),
    datetime.date(2026, 3, 9),
    datetime.date(2026, 3, 30),
)


class World:
    """A declaration in a file, settings that agree with it, and an empty warehouse."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "spring.toml"
        self.serving = ServingSettings(mode="ab", experiment="spring")
        self.declared = True
        self.warehouse = DuckDBWarehouse(
            sources={}, assets={}, database=folder / "warehouse.duckdb", temporary_directory=folder
        )
        self.declare()

    def declare(self, *changes: tuple[str, str]) -> None:
        text = DECLARATION
        for old, new in changes:
            assert old in text
            text = text.replace(old, new)
        self.path.write_text(text)

    @property
    def settings(self) -> Settings:
        path = self.path if self.declared else None
        # A file may be gone by the time that it is read.
        experiment = ExperimentSettings.model_construct(declaration=path)
        return load_settings().model_copy(update={"serving": self.serving, "experiment": experiment})

    def start(self, day: datetime.date, percent: int = 50) -> tuple[Exposures | None, list[str]]:
        return start_experiment(
            self.warehouse, self.settings, day=day, assigned_buckets=percent * 100, run_id="run-1"
        )

    def frozen_rows(self) -> int:
        return len(self.warehouse.read_table("holley_serving", "experiment_declarations"))


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_without_a_declaration_nothing_is_logged_and_nothing_written(world: World) -> None:
    world.declared = False
    assert declared_experiment(world.settings) is None
    assert world.start(START) == (None, [])
    assert not (world.path.parent / "warehouse.duckdb").exists()


def test_what_ranked_the_graph_s_parts_is_what_the_model_is_delivered_as(world: World) -> None:
    found, _ = start_experiment(
        world.warehouse,
        world.settings,
        day=START,
        assigned_buckets=5000,
        run_id="run-1",
        model_version="20260302-0123456789ab-hybrid",
    )
    assert found is not None and found.systems == {"graph": "hybrid", "sql": "sql"}


def test_the_first_delivery_on_or_after_the_start_freezes_it_once(world: World) -> None:
    assert world.start(BEFORE) == (None, [])
    assert frozen_declaration(world.warehouse, world.settings, "spring") is None
    found, warnings = world.start(START)
    assert warnings == [
        "experiment spring starts with this delivery: its declaration is frozen, and each delivery until 2026-03-30 is "
        "logged"
    ]
    assert found == Exposures(
        "holley_serving",
        "experiment_exposures",
        "spring",
        START,
        0.5,
        {"graph": "gnn", "sql": "sql"},
        "run-1",
    )
    frozen = frozen_declaration(world.warehouse, world.settings, "spring")
    assert frozen is not None and frozen.declaration == declared_experiment(world.settings)
    assert frozen_declaration(world.warehouse, world.settings, "summer") is None
    assert world.start(LATER)[1] == []
    assert world.start(END)[0] is not None
    assert world.frozen_rows() == 1


def test_a_start_that_was_missed_is_made_up(world: World) -> None:
    found, _ = world.start(LATER)
    assert found is not None and found.day == LATER and world.frozen_rows() == 1


def test_after_the_planned_end_nothing_is_logged(world: World) -> None:
    world.start(START)
    found, warnings = world.start(END + datetime.timedelta(days=1))
    assert found is None
    assert warnings == ["experiment spring ended on 2026-03-30: nothing is logged"]


def test_a_change_after_the_start_names_what_differs(world: World) -> None:
    world.start(START)
    world.declare(("click_rate", "conversion"), ("looks = 4", "looks = 2\n[rule]\nalpha = 0.1"))
    with pytest.raises(DeclarationError) as error:
        world.start(LATER)
    said = str(error.value)
    assert said.startswith(
        "experiment spring has started and its declaration is frozen: looks is 2026-03-16, "
    )
    assert "primary_metric is conversion and was click_rate" in said
    assert "rule.alpha is 0.1 and was 0.05" in said
    assert "rule.power" not in said and "salt" not in said
    assert said.endswith("put the file back, or declare an experiment of another name")
    # What is written in another way is the same; so is what has another order.
    world.declare(("looks = 4", "looks = 4\n[rule]\nalpha = 0.05"))
    assert world.start(LATER)[0] is not None


def test_another_name_is_another_experiment(world: World) -> None:
    world.start(START)
    world.declare(('"spring"', '"summer"'), ("minimal_effect = 0.1", "minimal_effect = 0.2"))
    world.serving = ServingSettings(mode="ab", experiment="summer")
    found, _ = world.start(LATER)
    assert found is not None and found.experiment == "summer"
    assert world.frozen_rows() == 2


@pytest.mark.parametrize(
    ("serving", "percent", "said"),
    [
        ({"mode": "ab"}, 50, "HOLLEY_SERVING_EXPERIMENT=None and the declaration has name = spring"),
        (
            {"mode": "ab", "experiment": "spring", "salt": "x"},
            50,
            "HOLLEY_SERVING_SALT=x and the declaration has salt = holley",
        ),
        (
            {"mode": "full", "experiment": "spring"},
            100,
            "HOLLEY_SERVING_MODE=full assigns 1 of the users to the graph and the declaration has share = 0.5",
        ),
        (
            {"mode": "rollout", "experiment": "spring"},
            51,
            "HOLLEY_SERVING_MODE=rollout assigns 0.51 of the users",
        ),
    ],
)
def test_arms_that_are_not_the_declared_ones_stop_the_start(
    world: World, serving: dict[str, str], percent: int, said: str
) -> None:
    world.serving = ServingSettings(**serving)  # type: ignore[arg-type]
    with pytest.raises(DeclarationError, match=r"^experiment spring: ") as error:
        world.start(START, percent)
    assert said in str(error.value)
    assert frozen_declaration(world.warehouse, world.settings, "spring") is None
    found, (warning,) = world.start(BEFORE, percent)
    assert found is None and warning.startswith(
        "from 2026-03-02 on this stops the delivery: experiment spring: "
    )


def test_a_rollout_starts_below_the_share_and_grows(world: World) -> None:
    world.serving = ServingSettings(mode="rollout", experiment="spring")
    shares = []
    for day, percent in ((START, 10), (LATER, 50), (END, 100)):
        found, _ = world.start(day, percent)
        assert found is not None
        shares.append(found.share)
    assert shares == [0.1, 0.5, 1.0]
    world.serving = ServingSettings(mode="rollout", experiment="spring", salt="other")
    with pytest.raises(DeclarationError, match="HOLLEY_SERVING_SALT=other"):
        world.start(END, 100)


def test_a_file_that_is_gone_or_wrong_is_one_line(world: World) -> None:
    world.declare(("share = 0.5", "share = 2"))
    with pytest.raises(DeclarationError, match=r"^HOLLEY_EXPERIMENT_DECLARATION: .*share"):
        world.start(START)
    world.path.unlink()
    with pytest.raises(DeclarationError, match=r"^HOLLEY_EXPERIMENT_DECLARATION: .* cannot be read"):
        world.start(START)


@pytest.mark.parametrize(("kill_switch", "urgent"), [(False, False), (True, False), (False, True)])
def test_a_wrong_declaration_keeps_nobody_from_the_kill_switch_or_a_rollback(
    world: World, monkeypatch: pytest.MonkeyPatch, kill_switch: bool, urgent: bool
) -> None:
    world.path.unlink()
    monkeypatch.setattr(publisher, "begin_record", lambda *_: None)
    plan = ServingPlan("", touched=True, assigned_buckets=5000, kill_switch=kill_switch)
    present = Present(plan, Switch(None, False, Unchanged("d", "t", 1)))
    logged: list[Exposures | None] = []

    def replace(_: Unchanged, exposures: Exposures | None) -> int:
        logged.append(exposures)
        return 7

    serving = Serving(world.warehouse, world.settings, START, "run-1", urgent=urgent)
    if not (kill_switch or urgent):
        with pytest.raises(PublicationRefused, match="HOLLEY_EXPERIMENT_DECLARATION"):
            serving.as_decided(lambda: present, replace)
        assert logged == []
        return
    rows, _, (warning,) = serving.as_decided(lambda: present, replace)
    assert (rows, logged) == (7, [None])
    assert warning.startswith("Nothing is logged of the experiment: HOLLEY_EXPERIMENT_DECLARATION")
