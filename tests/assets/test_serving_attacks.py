"""Every way around the kill switch, the checks and the day that somebody found, on a copy of the small weekly run."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import dagster as dg
import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from promotion import promote_version
from small_run import FinishedRun, copied, execute_job, failure_of, set_environment

from holley_assets.assets import publisher
from holley_assets.assets.report import _serving
from holley_assets.assets.serving_plan import present_plan
from holley_assets.assets.step import Step
from holley_assets.resources.serving_switch import Switch, read_switch, record_decision
from holley_assets.resources.settings_resource import SettingsResource
from holley_assets.resources.warehouse.interface import ChangedError, Unchanged, Warehouse, WarehouseError
from holley_assets.resources.warehouse_resource import WarehouseResource

STAGE = ["mixed_recommendations"]
PUBLISH = ["serving_table"]
WHY = {"by": "ada", "reason": "wrong parts"}


class World:
    """A weekly run whose model is the champion and serves everybody, and what one may do after it."""

    def __init__(self, run: FinishedRun, instance: dg.DagsterInstance, patch: pytest.MonkeyPatch) -> None:
        self.run = run
        self.instance = instance
        self.patch = patch
        self.set(mode="full")

    def set(self, **settings: str) -> None:
        """Settings of the serving table, from now on."""
        for name, value in settings.items():
            self.patch.setenv(f"HOLLEY_SERVING_{name.upper()}", value)

    def execute(
        self, *only: str, job: str = "daily_score", why: dict[str, str] | None = None
    ) -> dg.ExecuteInProcessResult:
        config = {"serving_switch": why} if why is not None else None
        return execute_job(job, instance=self.instance, only=list(only) or None, config=config)

    def serve(self) -> None:
        """Stage, check and publish."""
        assert self.execute(*STAGE, *PUBLISH).success

    def refusal(self) -> str:
        """What the publisher says when the output is materialized alone."""
        before = self.served()
        result = self.execute(*PUBLISH)
        assert not result.success, "it was published"
        assert self.served().equals(before), "it was refused and written"
        said = failure_of(result, "serving_table")
        assert said.startswith("Not published, the previous table stays: ") and "\n" not in said
        return said

    def served(self, table: str = "email_recommendations") -> pa.Table:
        """A table of the serving dataset; empty where it is not there."""
        with duckdb.connect(str(self.run.data_dir / "warehouse.duckdb"), read_only=True) as connection:
            try:
                return connection.execute(f"SELECT * FROM holley_serving.{table} ORDER BY 1").to_arrow_table()
            except duckdb.CatalogException:
                return pa.table({})

    def graph_users(self) -> int:
        """How many customers get the graph's parts."""
        return int(pc.sum(pc.equal(self.served()["arm"], "graph")).as_py())

    def warehouse(self) -> Warehouse:
        settings = SettingsResource().load()
        return WarehouseResource().open(settings, settings.run.data_dir)

    def decide(self, state: str, run: str) -> None:
        """What another run, anywhere, writes down."""
        settings = SettingsResource().load()
        record_decision(self.warehouse(), settings, state, by="bob", reason="complaints", run_id=run)  # type: ignore[arg-type]

    def switch(self) -> Switch:
        return read_switch(self.warehouse(), SettingsResource().load())

    def staged(self) -> str:
        """The staged table of the mixture."""
        with duckdb.connect(str(self.run.data_dir / "warehouse.duckdb"), read_only=True) as connection:
            rows = connection.execute("SELECT table_name FROM duckdb_tables() WHERE schema_name = 'staging'")
            return next(str(name) for (name,) in rows.fetchall() if name.startswith("mixed"))


@pytest.fixture
def world(
    continued_run: tuple[FinishedRun, dg.DagsterInstance], monkeypatch: pytest.MonkeyPatch
) -> Iterator[World]:
    run, instance = continued_run
    promote(run)
    yield World(run, instance, monkeypatch)


def promote(run: FinishedRun) -> None:
    """Make the run's model the champion."""
    promote_version(run.table("trained_checkpoint")["model_version"][0].as_py())


@pytest.fixture(scope="module")
def served_run(weekly_run: FinishedRun, tmp_path_factory: pytest.TempPathFactory) -> FinishedRun:
    """A run whose table was published once; tests work on copies of it."""
    data_dir = tmp_path_factory.mktemp("served") / "data"
    with pytest.MonkeyPatch.context() as environment:
        set_environment(environment, data_dir)
        with copied(weekly_run, data_dir) as (run, instance):
            promote(run)
            World(run, instance, environment).serve()
    return run


@pytest.fixture
def served_world(
    served_run: FinishedRun, run_settings: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[World]:
    """A world that has served."""
    with copied(served_run, run_settings) as (run, instance):
        yield World(run, instance, monkeypatch)


class TestTheSwitchIsAskedLast:
    def test_pulled_by_setting_after_the_rows_were_staged(self, world: World) -> None:
        """The output alone, and with it a run that is executed again from failure."""
        assert world.execute(*STAGE).success
        world.set(kill_switch="true")
        assert (
            "the kill switch is on by HOLLEY_SERVING_KILL_SWITCH=true; run serve_sql_only" in world.refusal()
        )

    def test_pulled_by_a_job_after_the_rows_were_staged(self, world: World) -> None:
        """A slower daily run that began before and ends after."""
        assert world.execute(*STAGE).success
        world.decide("on", "faster")
        said = world.refusal()
        assert "the kill switch is on since" in said and "by bob: complaints; run serve_sql_only" in said

    def test_pulled_between_the_question_and_the_replacement(self, served_world: World) -> None:
        world = served_world
        assert world.graph_users() > 0
        assert world.execute(*STAGE).success
        asked = present_plan
        pulls = iter(["on"])

        def ask_then_pull(*arguments: object) -> object:
            present = asked(*arguments)  # type: ignore[arg-type]
            for state in pulls:
                world.decide(state, "in between")
            return present

        world.patch.setattr(publisher, "present_plan", ask_then_pull)
        assert "the kill switch is on since" in world.refusal()

    def test_mode_share_and_salt_are_those_of_now(self, served_world: World) -> None:
        world = served_world
        world.set(mode="rollout", share="10")
        assert "HOLLEY_SERVING_MODE=rollout is 10% now; run daily_score" in world.refusal()
        world.set(mode="shadow")
        assert "HOLLEY_SERVING_MODE is shadow" in world.refusal()
        world.set(mode="full", salt="other")
        assert "another HOLLEY_SERVING_SALT" in world.refusal()
        world.set(salt="holley", experiment="spring")
        assert "HOLLEY_SERVING_EXPERIMENT" in world.refusal()


def fails(_: object) -> Warehouse:
    raise WarehouseError("nobody answers")


class TestThePulledSwitchIsRemembered:
    def test_by_the_report_which_says_since_when_by_whom_and_why(self, world: World) -> None:
        world.decide("on", "elsewhere")
        assert world.execute("eval_report", job="weekly_retrain").success
        report = json.loads((world.run.data_dir / "latest_eval_report.json").read_text(encoding="utf-8"))
        decision = world.switch().decision
        assert decision is not None
        assert report["serving"] == {
            "mode": "full",
            "kill_switch": True,
            "kill_switch_state": decision.words,
            "kill_switch_since": decision.decided_at.isoformat(),
            "kill_switch_by": "bob",
            "kill_switch_reason": "complaints",
            "kill_switch_run": "elsewhere",
        }
        (page,) = (world.run.data_dir / "runs" / report["run_id"]).glob("eval_report.html")
        assert f"the kill switch is {decision.words}. Everybody gets" in page.read_text(encoding="utf-8")

    def test_a_warehouse_that_does_not_answer_stops_no_report(self, world: World) -> None:
        step = SimpleNamespace(settings=SettingsResource().load(), open=fails)
        assert _serving(cast(Step, step), WarehouseResource()) == {
            "mode": "full",
            "kill_switch": None,
            "kill_switch_state": "unknown: nobody answers",
        }

    def test_by_every_later_run_whatever_became_of_the_job(self, served_world: World) -> None:
        world = served_world
        world.patch.setenv("HOLLEY_SOURCE_DIR", "/nowhere")
        failed = world.execute("serving_switch", "time_windows", job="serve_sql_only", why=WHY)
        assert "HOLLEY_SOURCE_DIR=/nowhere is not allowed" in failure_of(failed, "time_windows")
        world.patch.delenv("HOLLEY_SOURCE_DIR")
        assert world.switch().is_on
        # The event log is wiped, and somebody reports a materialization by hand.
        for asset in ("mixed_recommendations", "serving_switch"):
            world.instance.wipe_assets([dg.AssetKey(asset)])
        world.instance.report_runless_asset_event(
            dg.AssetMaterialization("mixed_recommendations", metadata={"kill_switch": False})
        )
        world.serve()
        assert world.graph_users() == 0
        decision = world.switch().decision
        assert decision is not None and (decision.decided_by, decision.reason) == ("ada", "wrong parts")
        event = world.instance.get_latest_materialization_event(dg.AssetKey("serving_table"))
        assert event is not None and event.asset_materialization is not None
        shown = {name: value.value for name, value in event.asset_materialization.metadata.items()}
        assert (shown["kill_switch"], shown["kill_switch_by"], shown["kill_switch_reason"]) == (
            True,
            *WHY.values(),
        )
        assert shown["kill_switch_since"] == decision.decided_at.isoformat()

    def test_pulled_in_shadow_before_serving_ever_began(self, world: World) -> None:
        world.set(mode="shadow")
        world.decide("on", "early")
        assert world.execute(*STAGE).success and world.served().num_columns == 0
        world.set(mode="full")
        world.serve()
        assert world.graph_users() == 0

    def test_let_go_by_its_own_job_with_a_reason_and_nothing_else(self, world: World) -> None:
        world.decide("on", "pull")
        refused = world.execute("serving_switch", job="serve_graph_again")
        assert "say by whom and why" in failure_of(refused, "serving_switch")
        assert world.execute("serving_switch", job="__ASSET_JOB", why=WHY).success, "it shows the state"
        assert world.switch().is_on
        assert world.execute("serving_switch", job="serve_graph_again", why=WHY).success
        assert not world.switch().is_on and "off since" in world.switch().words
        world.serve()
        assert world.graph_users() > 0

    def test_the_later_decision_wins_not_the_later_end(self, world: World) -> None:
        world.decide("on", "pull")
        assert world.execute(*STAGE).success
        world.decide("off", "release")
        assert "were staged while the kill switch was on" in world.refusal()
        assert world.execute(*STAGE).success
        world.decide("on", "pull again")
        assert "the kill switch is on" in world.refusal()

    def test_a_clock_that_is_behind_makes_no_decision_earlier(self, world: World) -> None:
        for number, state in enumerate(["on", "off", "on", "off", "on"]):
            world.decide(state, f"run {number}")
        rows = world.served("email_recommendations_switch").sort_by("decided_at")
        assert rows["state"].to_pylist() == ["on", "off", "on", "off", "on"]
        world.decide("off", "run 4")
        assert world.switch().is_on, "a run decides once: it may be tried again"


class TestAVerdictBelongsToWhatItJudged:
    def test_an_input_that_was_made_anew_since(self, served_world: World) -> None:
        """Its own checks pass: it is as good as the one before, and another."""
        world = served_world
        assert world.execute("parts").success
        assert world.execute(*PUBLISH).success, "the same content again is no other version"
        world.patch.setenv("HOLLEY_RULE_MINIMUM_PRICE", "60")
        assert world.execute("parts").success
        world.patch.delenv("HOLLEY_RULE_MINIMUM_PRICE")
        said = world.refusal()
        assert "was made from another version of parts than the newest" in said and "run daily_score" in said

    def test_another_day(self, served_world: World) -> None:
        world = served_world
        world.patch.setenv("HOLLEY_AS_OF", "2026-02-08")
        assert world.execute("time_windows").success
        assert "another version of time_windows" in world.refusal()

    def test_rules_that_were_laxer(self, world: World) -> None:
        world.patch.setenv("HOLLEY_RULE_MINIMUM_PRICE", "5")
        assert world.execute(*STAGE).success
        world.patch.delenv("HOLLEY_RULE_MINIMUM_PRICE")
        said = world.refusal()
        assert "judged by HOLLEY_RULE_MINIMUM_PRICE=5.0, and it is 50.0" in said and "run daily_score" in said

    def test_an_older_day_goes_beside_the_newer_rows(self, served_world: World) -> None:
        world = served_world
        newer = world.served()
        later = pa.array([value.replace(day=20) for value in newer["generated_at"].to_pylist()])
        place = newer.schema.get_field_index("generated_at")
        later_rows = newer.set_column(
            place, newer.schema.field(place), later.cast(newer.schema.field(place).type)
        )
        with duckdb.connect(str(world.run.data_dir / "warehouse.duckdb")) as connection:
            connection.register("later", later_rows)
            connection.execute("CREATE OR REPLACE TABLE holley_serving.email_recommendations AS FROM later")
        kept = world.served()
        assert world.execute(*PUBLISH).success
        assert world.served().equals(kept)
        assert world.served("email_recommendations_of_20260201").num_rows == kept.num_rows
        world.set(older_day="replace")
        assert world.execute(*PUBLISH).success
        assert world.served().equals(newer)


def test_a_replacement_needs_a_reading_of_the_switch(served_world: World) -> None:
    world = served_world
    staged = world.staged()
    with pytest.raises(WarehouseError, match="by the publisher alone"):
        world.warehouse().publish_staged(staged, "holley_serving", "email_recommendations")
    stale = Unchanged("holley_serving", "email_recommendations_switch", 99)
    with pytest.raises(ChangedError, match="it had 99"):
        world.warehouse().publish_staged(
            staged, "holley_serving", "email_recommendations", unless_changed=stale
        )
