"""Job `rollback`: the previous champion and its tables come back together, or nothing is touched."""

from __future__ import annotations

import datetime
import json
from pathlib import Path

import dagster as dg
import pyarrow as pa
import pytest
from experiment_world import declaration_text
from small_run import failure_of
from tracking_world import delivery_of, evaluation_of, training_of

from holley_assets.assets.model_choice import choose_checkpoint
from holley_assets.assets.publisher import PublisherResource
from holley_assets.automation import rollback as rollback_module
from holley_assets.automation.rollback import rollback
from holley_assets.core.asset_keys import (
    CHAMPION_MODEL,
    DELIVERED_TABLE,
    SERVING_TABLE,
)
from holley_assets.core.output_tables import EXPOSURES_TABLE
from holley_assets.ranking.arms import SERVING_SCHEMA, user_buckets
from holley_assets.ranking.recommendations import WIDE_SCHEMA
from holley_assets.resources.serving_switch import State, record_decision
from holley_assets.resources.settings_resource import SettingsResource
from holley_assets.resources.tracking.journal import TrackingJournal
from holley_assets.resources.tracking.mlflow_store import TrackingError
from holley_assets.resources.tracking.model_registry import open_model_registry
from holley_assets.resources.warehouse.duckdb.warehouse import DuckDBWarehouse
from holley_assets.resources.warehouse.interface import MissingTableError, Warehouse
from holley_assets.resources.warehouse_resource import WarehouseResource

NOW = datetime.datetime(2026, 2, 9, tzinfo=datetime.UTC)
RESOURCE = SettingsResource()
FIRST, SECOND, THIRD = "20260201-first", "20260202-second", "20260203-third"
DELIVERED = ("temp_holley_gnn", "recommendations")
SERVED = ("holley_serving", "email_recommendations")


@pytest.fixture
def instance(
    empty_mlflow_database: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> dg.DagsterInstance:
    monkeypatch.setenv("HOLLEY_DATA_DIR", str(tmp_path))
    (tmp_path / "mlflow.db").write_bytes(empty_mlflow_database)
    return dg.DagsterInstance.ephemeral()


def set_champions(*names: str) -> None:
    """Train models on the days of one week and promote one after the other."""
    journal, registry = (
        TrackingJournal(RESOURCE.load(), RESOURCE.store()),
        open_model_registry(RESOURCE.load()),
    )
    for day, name in enumerate(names, start=1):
        training = training_of(name, RESOURCE.store(), day)
        for record in (training, evaluation_of(training), delivery_of(training)):
            assert journal.record(record).problems == ()
        model = registry.by_model_version(training.model_version)
        assert model is not None
        registry.promote(model.version, by="ada", reason="won", forced=False, now=NOW)


def tables() -> Warehouse:
    """The warehouse without the guard that keeps everybody but the publisher from the serving table."""
    data_dir = RESOURCE.load().run.data_dir
    return DuckDBWarehouse(
        sources={}, assets={}, database=data_dir / "warehouse.duckdb", temporary_directory=data_dir / "tmp"
    )


def fill(table: tuple[str, str], *versions: str, day: int) -> None:
    """Rows of February ``day``: one of each version, and in the serving table each user in the arm of the row."""
    users = [f"{v}-{n}@x.org" for v in versions for n in range(3)]
    models = [v for v in versions for _ in range(3)]
    columns: dict[str, object] = {
        name: pa.nulls(len(users), WIDE_SCHEMA.field(name).type) for name in WIDE_SCHEMA.names
    }
    columns |= {
        "email_lower": users,
        "model_version": models,
        "generated_at": [datetime.datetime(2026, 2, day, tzinfo=datetime.UTC)] * len(users),
    }
    if table == SERVED:
        columns |= {
            name: ["sql" if model == "sql" else "graph" for model in models]
            for name in ("arm", "assigned_arm")
        }
    tables().replace_table(
        *table, pa.table(columns, schema=SERVING_SCHEMA if table == SERVED else WIDE_SCHEMA)
    )


def fill_served(version: str, *, share: float, day: int) -> None:
    """Rows of February ``day``: the hash assigns ``share`` of 40 users to the graph, which shows ``version``."""
    users = [f"{n}@x.org" for n in range(40)]
    buckets = user_buckets(pa.array(users), "holley:spring").to_pylist()
    arms = ["graph" if bucket < share * 10_000 else "sql" for bucket in buckets]
    assert {"graph", "sql"} == set(arms)
    columns: dict[str, object] = {
        name: pa.nulls(len(users), SERVING_SCHEMA.field(name).type) for name in SERVING_SCHEMA.names
    }
    columns |= {
        "email_lower": users,
        "model_version": [version if arm == "graph" else "sql" for arm in arms],
        "generated_at": [datetime.datetime(2026, 2, day, tzinfo=datetime.UTC)] * len(users),
        "arm": arms,
        "assigned_arm": arms,
    }
    tables().replace_table(*SERVED, pa.table(columns, schema=SERVING_SCHEMA))


def content(table: tuple[str, str]) -> tuple[set[str], int]:
    """Model versions in a table, and its day."""
    found = tables().read_table(*table)
    return set(found["model_version"].to_pylist()), found["generated_at"][0].as_py().day


def pull(state: State) -> None:
    opened = WarehouseResource().open(RESOURCE.load(), RESOURCE.load().run.data_dir)
    record_decision(opened, RESOURCE.load(), state, by="bob", reason="wrong parts", run_id=f"run-{state}")


def execute(instance: dg.DagsterInstance, **config: object) -> dg.ExecuteInProcessResult:
    warehouse = WarehouseResource()
    return rollback.execute_in_process(
        run_config={"ops": {"roll_back": {"config": {"by": "grace", "reason": "complaints", **config}}}},
        resources={
            "settings": RESOURCE,
            "publisher": PublisherResource(settings=RESOURCE, warehouse=warehouse),
        },
        instance=instance,
        raise_on_error=False,
    )


def champion() -> str:
    found = open_model_registry(RESOURCE.load()).champion()
    assert found is not None
    return found.model_version


@pytest.fixture
def week(instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch) -> dg.DagsterInstance:
    """Two champions in turn: the second filled both tables twice, and a third model was staged since."""
    monkeypatch.setenv("HOLLEY_SERVING_MODE", "full")
    monkeypatch.setenv("HOLLEY_AS_OF", "2026-02-06")
    set_champions("first", "second")
    for day, version in ((1, FIRST), (2, FIRST), (3, SECOND), (4, SECOND), (5, THIRD)):
        fill(DELIVERED, version, day=day)
    for day, versions in ((1, ["sql"]), (2, [FIRST, "sql"]), (3, [SECOND, "sql"]), (4, [SECOND, "sql"])):
        fill(SERVED, *versions, day=day)
    return instance


def test_champion_and_tables_come_back_together(week: dg.DagsterInstance) -> None:
    assert execute(week).success
    assert champion() == FIRST
    assert content(SERVED) == ({FIRST, "sql"}, 2), "the newest that the first champion filled"
    assert content(DELIVERED) == ({FIRST}, 2)
    for key in (DELIVERED_TABLE, SERVING_TABLE, CHAMPION_MODEL):
        event = week.get_latest_materialization_event(key)
        assert event is not None and event.asset_materialization is not None
        assert event.asset_materialization.metadata["model_version"].value == FIRST
        assert "complaints" in str(event.asset_materialization.metadata["reason"].value)


def test_a_rollback_that_was_cut_off_is_run_again(
    week: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    def down(*args: object, **kwargs: object) -> None:
        raise TrackingError("the server is down")

    with monkeypatch.context() as patch:
        patch.setattr(rollback_module, "restore_champion", down)
        assert "Not rolled back: the server is down" in failure_of(execute(week), "roll_back")
    assert (champion(), content(SERVED)) == (FIRST, ({FIRST, "sql"}, 2)), (
        "the decision holds from its word on"
    )
    chosen = choose_checkpoint(week, dg.DagsterRun(job_name="daily_score"), RESOURCE.load())
    assert chosen.model_version == FIRST, "the next daily run does not deliver what was rolled back"
    assert execute(week).success
    assert (champion(), content(SERVED), content(DELIVERED)) == (FIRST, ({FIRST, "sql"}, 2), ({FIRST}, 2))

    again = failure_of(execute(week), "roll_back")
    assert again == "Not rolled back: there was no champion before the present one"
    assert (champion(), content(SERVED)) == (FIRST, ({FIRST, "sql"}, 2))


def test_a_serving_table_that_the_kill_switch_filled_stays(week: dg.DagsterInstance) -> None:
    fill(SERVED, "sql", day=6)
    assert execute(week).success
    assert (champion(), content(SERVED)) == (FIRST, ({"sql"}, 6))


def test_what_a_kill_switch_that_was_let_go_had_filled_is_not_what_comes_back(
    week: dg.DagsterInstance,
) -> None:
    """Its version is newer than those of the champion that comes back."""
    fill(SERVED, "sql", day=5)
    fill(SERVED, SECOND, "sql", day=6)
    assert execute(week).success
    assert (champion(), content(SERVED)) == (FIRST, ({FIRST, "sql"}, 2))


def test_in_shadow_only_the_delivered_table_comes_back(instance: dg.DagsterInstance) -> None:
    set_champions("first", "second")
    fill(DELIVERED, FIRST, day=1)
    fill(DELIVERED, SECOND, day=2)
    for versions in ([FIRST, "sql"], [SECOND, "sql"]):
        fill(SERVED, *versions, day=2)
    assert execute(instance).success
    assert (champion(), content(DELIVERED)) == (FIRST, ({FIRST}, 1))
    assert content(SERVED) == ({SECOND, "sql"}, 2), "in shadow mode the serving table is not touched"


@pytest.mark.parametrize("pulled_by", ["setting", "record"])
def test_while_the_kill_switch_is_on_no_graph_row_comes_back(
    week: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch, pulled_by: str
) -> None:
    if pulled_by == "setting":
        monkeypatch.setenv("HOLLEY_SERVING_KILL_SWITCH", "true")
    else:
        pull("on")
    assert execute(week).success
    assert (champion(), content(SERVED), content(DELIVERED)) == (FIRST, ({"sql"}, 1), ({FIRST}, 2))


def test_a_switch_that_is_pulled_between_plan_and_replacement_holds(
    week: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = rollback_module.plan_return

    def pulled_then(*arguments: object) -> list[rollback_module.Return]:
        planned = plan(*arguments)  # type: ignore[arg-type]
        pull("on")
        return planned

    monkeypatch.setattr(rollback_module, "plan_return", pulled_then)
    refused = failure_of(execute(week), "roll_back")
    assert "the kill switch is on since" in refused and "by bob: wrong parts; run serve_sql_only" in refused
    assert content(SERVED) == ({SECOND, "sql"}, 4)
    monkeypatch.undo()


@pytest.fixture
def experiment(
    week: dg.DagsterInstance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> dg.DagsterInstance:
    """The week as an experiment in which half of the users get the graph."""
    path = tmp_path / "spring.toml"
    path.write_text(declaration_text())
    monkeypatch.setenv("HOLLEY_EXPERIMENT_DECLARATION", str(path))
    monkeypatch.setenv("HOLLEY_SERVING_EXPERIMENT", "spring")
    monkeypatch.setenv("HOLLEY_SERVING_MODE", "ab")
    return week


@pytest.mark.parametrize("share", [0.5, 0.1])
def test_what_comes_back_is_logged_where_the_present_share_assigned_it(
    experiment: dg.DagsterInstance, share: float
) -> None:
    """Of 10 % that came back as of 50 % the readout would say that the graph lost users."""
    fill_served(FIRST, share=share, day=3)
    fill_served(SECOND, share=0.5, day=4)
    assert execute(experiment).success
    assert content(SERVED) == ({FIRST, "sql"}, 3)
    if share != 0.5:
        with pytest.raises(MissingTableError):
            tables().read_table("holley_serving", EXPOSURES_TABLE)
        return
    log = tables().read_table("holley_serving", EXPOSURES_TABLE)
    served = tables().read_table(*SERVED)
    assert log["share"].unique().to_pylist() == [0.5]
    assert log.num_rows == served.num_rows and log["assigned_arm"].equals(served["assigned_arm"])


def test_a_readout_of_harm_between_plan_and_replacement_holds(
    experiment: dg.DagsterInstance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill_served(FIRST, share=0.5, day=3)
    fill_served(SECOND, share=0.5, day=4)
    plan = rollback_module.plan_return

    def harmed_then(*arguments: object) -> list[rollback_module.Return]:
        planned = plan(*arguments)  # type: ignore[arg-type]
        kept = tmp_path / "experiments" / "spring.json"
        kept.parent.mkdir()
        readout = {
            "decision": {"outcome": "harm"},
            "next_share": {"share": 0.0, "reason": "Clicks are fewer."},
        }
        kept.write_text(json.dumps(readout))
        return planned

    monkeypatch.setattr(rollback_module, "plan_return", harmed_then)
    refused = failure_of(execute(experiment), "roll_back")
    assert "others than are to get them: the readout takes the graph's parts from everybody" in refused
    assert content(SERVED) == ({SECOND, "sql"}, 4)


def test_only_a_version_within_the_present_share_comes_back(
    week: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOLLEY_SERVING_MODE", "rollout")
    monkeypatch.setenv("HOLLEY_SERVING_SHARE", "0")
    assert execute(week, dry_run=True).success
    assert execute(week).success
    assert (champion(), content(SERVED)) == (FIRST, ({"sql"}, 1))


def test_a_dry_run_says_what_there_is_and_touches_nothing(week: dg.DagsterInstance) -> None:
    assert execute(week, dry_run=True).success
    assert (champion(), content(SERVED), content(DELIVERED)) == (SECOND, ({SECOND, "sql"}, 4), ({THIRD}, 5))
    observed = {}
    for key in (SERVING_TABLE, DELIVERED_TABLE):
        (record,) = week.fetch_observations(dg.AssetRecordsFilter(asset_key=key), limit=5).records
        assert record.asset_observation is not None
        observed[key] = record.asset_observation.metadata
        assert f"of 2026-02-02, {FIRST}" in str(observed[key]["comes_back"].value)
        assert observed[key]["old"].value is False
    kept = observed[SERVING_TABLE]["kept"]
    assert isinstance(kept, dg.TableMetadataValue)
    rows = [dict(record.data) for record in kept.records]
    assert [(row["day"], row["models"], row["rows"]) for row in rows] == [
        ("2026-02-04", f"{SECOND} and sql", 6),
        ("2026-02-03", f"{SECOND} and sql", 6),
        ("2026-02-02", f"{FIRST} and sql", 6),
        ("2026-02-01", "sql", 3),
    ]


def test_rows_that_are_old_are_warned_of(week: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOLLEY_AS_OF", "2026-02-09")
    assert execute(week, dry_run=True).success
    monkeypatch.setenv("HOLLEY_AS_OF", "2026-02-10")
    assert execute(week, dry_run=True).success
    records = week.fetch_observations(dg.AssetRecordsFilter(asset_key=SERVING_TABLE), limit=5).records
    assert [record.asset_observation.metadata["old"].value for record in records] == [True, False]  # type: ignore


def test_without_a_table_to_go_back_to_nothing_is_touched(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_champions("first", "second")
    fill(DELIVERED, FIRST, day=1)
    fill(DELIVERED, SECOND, day=2)
    fill(SERVED, SECOND, "sql", day=2)
    monkeypatch.setenv("HOLLEY_SERVING_MODE", "full")
    refused = failure_of(execute(instance), "roll_back")
    assert refused.startswith("Not rolled back: no kept version of holley_serving.email_recommendations")
    assert "serve_sql_only" in refused and "\n" not in refused
    assert (champion(), content(DELIVERED)) == (SECOND, ({SECOND}, 2))


@pytest.mark.parametrize("config", [{"by": " "}, {"reason": ""}])
def test_who_and_why_come_first(week: dg.DagsterInstance, config: dict[str, str]) -> None:
    assert "say by whom" in failure_of(execute(week, **config), "roll_back")
    assert (champion(), content(SERVED)[1]) == (SECOND, 4)


def test_a_checkpoint_that_is_gone_cannot_come_back(week: dg.DagsterInstance, tmp_path: Path) -> None:
    (tmp_path / "runs" / "first" / "model.pt").unlink()
    assert "the checkpoint of version 1 cannot be used" in failure_of(execute(week), "roll_back")
    assert (champion(), content(SERVED)[1]) == (SECOND, 4)
