"""Every case of what a run may do to the serving table."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from holley_assets.assets.rollout_limit import RolloutLimit, rollout_limit
from holley_assets.assets.serving_plan import ServingPlan, plan_serving
from holley_assets.resources.warehouse.interface import WarehouseError
from holley_assets.settings import ServingSettings, SettingsError, load_settings


def plan(mode: str, *, share: int = 10, **case: object) -> ServingPlan:
    facts = {"kill_switch": False, "ever_served": True, "staged": "m1", "champion": "m1", **case}
    return plan_serving(ServingSettings.model_construct(mode=mode, share=share), **facts)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("mode", "share", "buckets"),
    [
        ("ab", 10, 5000),
        ("rollout", 10, 1000),
        ("rollout", 25, 2500),
        ("rollout", 100, 10_000),
        ("full", 10, 10_000),
    ],
)
def test_the_champion_fills_the_share_that_the_mode_says(mode: str, share: int, buckets: int) -> None:
    found = plan(mode, share=share)
    assert (found.touched, found.graph_buckets, found.model_version) == (True, buckets, "m1")


@pytest.mark.parametrize("champion", [None, "m1"])
def test_in_shadow_the_table_is_not_touched(champion: str | None) -> None:
    assert not plan("shadow", champion=champion).touched


@pytest.mark.parametrize("mode", ["ab", "rollout", "full"])
@pytest.mark.parametrize(("staged", "champion"), [("m2", "m1"), ("m2", None), (None, "m1")])
def test_nobody_but_the_champion_fills_it(mode: str, staged: str | None, champion: str | None) -> None:
    found = plan(mode, staged=staged, champion=champion)
    assert not found.touched
    assert "champion" in found.reason or "promoted" in found.reason


@pytest.mark.parametrize("mode", ["shadow", "ab", "rollout", "full"])
def test_the_kill_switch_wins_over_every_mode(mode: str) -> None:
    found = plan(mode, kill_switch=True, staged=None, champion=None)
    assert (found.touched, found.graph_buckets, found.kill_switch) == (True, 0, True)
    assert found.assigned_buckets == {"shadow": 0, "ab": 5000, "rollout": 1000, "full": 10_000}[mode]


@pytest.mark.parametrize(
    ("share", "allowed", "buckets"),
    [(10, 0.25, 1000), (25, 0.25, 2500), (50, 0.25, 2500), (100, 0.5, 5000), (100, 1.0, 10_000)],
)
def test_a_rollout_goes_no_further_than_its_readout_allows(share: int, allowed: float, buckets: int) -> None:
    found = plan("rollout", share=share, limit=RolloutLimit(allowed, "The look shows no harm."))
    assert (found.touched, found.graph_buckets, found.assigned_buckets) == (True, buckets, buckets)
    held = buckets < share * 100
    assert found.reason == (
        f"mode rollout: {buckets / 100:g} % of the users get the parts of champion m1"
        + (f", not the {share} % that is set. The look shows no harm." if held else "")
    )


@pytest.mark.parametrize("case", [{}, {"staged": None}, {"staged": "m2"}, {"champion": None}])
def test_harm_takes_the_graph_s_parts_from_everybody_and_nobody_changes_arms(case: dict[str, object]) -> None:
    found = plan("rollout", share=25, limit=RolloutLimit(0.0, "Clicks are fewer."), **case)
    assert (found.touched, found.graph_buckets, found.assigned_buckets) == (True, 0, 2500)
    assert not found.kill_switch and not found.model_version
    assert found.reason == "the readout takes the graph's parts from everybody: Clicks are fewer."


def readout_of(outcome: str, share: float) -> str:
    return json.dumps(
        {"decision": {"outcome": outcome}, "next_share": {"share": share, "reason": "So it is."}}
    )


def test_the_limit_is_that_of_the_newest_readout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    declaration = tmp_path / "spring.toml"
    declaration.touch()
    variables = {
        "HOLLEY_DATA_DIR": str(tmp_path),
        "HOLLEY_SERVING_MODE": "rollout",
        "HOLLEY_SERVING_EXPERIMENT": "spring",
        "HOLLEY_EXPERIMENT_DECLARATION": str(declaration),
    }
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    kept = tmp_path / "experiments" / "spring.json"
    kept.parent.mkdir()
    assert rollout_limit(load_settings()) is None, "nobody has read it yet"
    kept.write_text(readout_of("keep running", 0.25))
    assert rollout_limit(load_settings()) == RolloutLimit(0.25, "So it is.")
    kept.write_text("{}")
    with pytest.raises(
        WarehouseError, match=r"experiments/spring.json, which mode rollout obeys, cannot be read"
    ):
        rollout_limit(load_settings())
    kept.write_text(readout_of("harm", 0.0))
    assert rollout_limit(load_settings()) == RolloutLimit(0.0, "So it is.")
    for name, value in (("HOLLEY_SERVING_MODE", "full"), ("HOLLEY_SERVING_EXPERIMENT", "summer")):
        with monkeypatch.context() as patched:
            patched.setenv(name, value)
            assert rollout_limit(load_settings()) is None
    monkeypatch.setenv("HOLLEY_SERVING_MODE", "ab")
    assert rollout_limit(load_settings()) == RolloutLimit(0.0, "So it is."), (
        "harm ends an experiment by itself"
    )
    for outcome, share in (
        ("keep running", 0.25),
        ("stop for no effect", 0.0),
        ("invalid", 0.5),
        ("ship", 1.0),
    ):
        kept.write_text(readout_of(outcome, share))
        assert rollout_limit(load_settings()) is None, outcome
    monkeypatch.delenv("HOLLEY_EXPERIMENT_DECLARATION")
    assert rollout_limit(load_settings()) is None


def test_there_is_nothing_to_take_back_where_the_graph_never_served() -> None:
    assert not plan("shadow", kill_switch=True, ever_served=False).touched


@pytest.mark.parametrize(
    ("variable", "value", "allowed"),
    [
        ("HOLLEY_SERVING_MODE", "everybody", "shadow, ab, rollout or full"),
        ("HOLLEY_SERVING_SHARE", "101", "a whole number from 0 to 100"),
        ("HOLLEY_SERVING_DATASET", "temp_holley_gnn", "whose tables nobody serves from"),
        ("HOLLEY_SERVING_TABLE", "emails; DROP TABLE x", "letters, digits and _"),
        ("HOLLEY_SERVING_KILL_SWITCH", "perhaps", "true or false"),
    ],
)
def test_a_wrong_setting_is_one_line(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, allowed: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(SettingsError) as error:
        load_settings()
    assert f"{variable}={value}" in str(error.value) and allowed in str(error.value)
    assert "\n" not in str(error.value)
