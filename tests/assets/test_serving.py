"""The serving table from the first champion to the kill switch, on a copy of the small weekly run."""

from __future__ import annotations

import shutil
from collections.abc import Callable

import dagster as dg
import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from promotion import promote_version
from small_run import FinishedRun, execute_job, failure_of

from holley_assets.assets import publisher, serving, serving_plan
from holley_assets.ranking.arms import mix_arms, user_buckets
from holley_assets.resources.warehouse.interface import Warehouse
from holley_assets.settings import Settings

SERVING = dg.AssetKey("serving_table")
TABLE = "holley_serving.email_recommendations"
ONLY = ["mixed_recommendations", "serving_table"]

Continued = tuple[FinishedRun, dg.DagsterInstance]


def served(run: FinishedRun) -> pa.Table | None:
    """The serving table as the e-mail system reads it."""
    with duckdb.connect(str(run.data_dir / "warehouse.duckdb"), read_only=True) as connection:
        try:
            return connection.execute(f"SELECT * FROM {TABLE}").to_arrow_table()
        except duckdb.CatalogException:
            return None


def reasons(instance: dg.DagsterInstance) -> list[str]:
    """Why runs left the table alone, newest first."""
    records = instance.fetch_observations(dg.AssetRecordsFilter(asset_key=SERVING), limit=10).records
    return [str(record.asset_observation.metadata["reason"].value) for record in records]  # type: ignore[union-attr]


def graph_users(table: pa.Table) -> set[str]:
    return set(table.filter(pc.equal(table["arm"], "graph"))["email_lower"].to_pylist())


@pytest.fixture
def serve(
    continued_run: Continued, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., dg.ExecuteInProcessResult]:
    """Stage and publish the serving table with these settings."""
    _, instance = continued_run

    def run(
        job: str = "daily_score",
        only: list[str] | None = ONLY,
        why: dict[str, str] | None = None,
        **settings: str,
    ) -> dg.ExecuteInProcessResult:
        for name, value in settings.items():
            monkeypatch.setenv(f"HOLLEY_SERVING_{name.upper()}", value)
        return execute_job(
            job, instance=instance, only=only, config={"serving_switch": why} if why is not None else None
        )

    return run


@pytest.fixture
def promoted(continued_run: Continued) -> str:
    """The weekly run's model, as champion."""
    run, _ = continued_run
    return promote_version(run.table("trained_checkpoint")["model_version"][0].as_py()).model_version


def test_in_shadow_a_weekly_run_makes_the_sql_rows_and_touches_nothing(weekly_run: FinishedRun) -> None:
    assert served(weekly_run) is None
    assert not (weekly_run.data_dir / "assets" / "mixed_recommendations.parquet").exists()
    with dg.DagsterInstance.from_config(str(weekly_run.home)) as instance:
        assert instance.get_latest_materialization_event(SERVING) is None
        assert reasons(instance)[-1] == "HOLLEY_SERVING_MODE is shadow: the serving table is not touched"
    sql, graph = weekly_run.table("sql_recommendations"), weekly_run.table("recommendations")
    assert sql.column_names == graph.column_names
    assert set(sql["model_version"].to_pylist()) == {"sql"}
    # The same rules leave the same users with parts enough, whatever the scores.
    assert sql["email_lower"].equals(graph["email_lower"])
    assert not sql["rec_part_1"].equals(graph["rec_part_1"])


def test_a_model_that_nobody_promoted_serves_nobody(
    continued_run: Continued, serve: Callable[..., dg.ExecuteInProcessResult], monkeypatch: pytest.MonkeyPatch
) -> None:
    run, instance = continued_run
    for champion in (None, "20260101-other"):
        monkeypatch.setattr(
            "holley_assets.assets.serving_plan.champion_version", lambda settings, c=champion: c
        )
        assert serve(mode="full").success
    assert served(run) is None
    assert "only the champion 20260101-other fills" in reasons(instance)[0]
    assert "no model was ever promoted" in reasons(instance)[1]


def test_a_rollout_that_grows_and_then_is_killed(
    continued_run: Continued, serve: Callable[..., dg.ExecuteInProcessResult], promoted: str
) -> None:
    run, _ = continued_run
    graph, sql = (_rows(run.table(name)) for name in ("recommendations", "sql_recommendations"))

    assert serve(mode="rollout", share="25").success
    quarter = served(run)
    assert quarter is not None and quarter.column_names[-2:] == ["arm", "assigned_arm"]
    buckets = user_buckets(quarter["email_lower"], "holley").to_pylist()
    for row, bucket in zip(quarter.to_pylist(), buckets, strict=True):
        arm = row.pop("arm")
        assert arm == row.pop("assigned_arm") == ("graph" if bucket < 2500 else "sql")
        assert row == (graph if arm == "graph" else sql)[row["email_lower"]]

    assert serve(share="50").success
    half = served(run)
    assert half is not None and graph_users(quarter) < graph_users(half)
    assert serve(mode="ab").success
    assert _rows(served(run)) == _rows(half), "half of the users are the same half in both modes"

    # What the graph and the model are made of is gone; the kill switch does not ask for it.
    shutil.rmtree(run.data_dir / "runs")
    for asset in (
        "recommendations",
        "user_embeddings",
        "trained_checkpoint",
        "serving_graph",
        "visitor_demand",
    ):
        (run.data_dir / "assets" / f"{asset}.parquet").unlink()
    killed = serve("serve_sql_only", only=None, why={"by": "ada", "reason": "complaints"})
    assert killed.success
    assert not {"graphs", "embeddings", "recommendations"} & {
        event.step_key for event in killed.all_events if event.step_key
    }
    everybody = served(run)
    assert everybody is not None and graph_users(everybody) == set()
    assert {row["email_lower"] for row in everybody.to_pylist()} == set(sql)

    assert everybody["assigned_arm"].to_pylist() == half["assigned_arm"].to_pylist()


def test_a_mixed_table_that_breaks_a_promise_is_not_served(
    continued_run: Continued,
    serve: Callable[..., dg.ExecuteInProcessResult],
    promoted: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run, _ = continued_run
    assert serve(mode="rollout", share="10").success
    before = _rows(served(run))
    mix = mix_arms
    monkeypatch.setattr(serving, "mix_arms", lambda *a, **k: mix(*a, **{**k, "salt": "another"}))
    broken = serve(share="50")
    assert not broken.success
    failed = {
        evaluation.check_name for evaluation in broken.get_asset_check_evaluations() if not evaluation.passed
    }
    assert failed == {"every_user_is_in_the_right_arm"}
    assert _rows(served(run)) == before

    # Nor can anybody publish it alone, from the UI.
    alone = serve(only=["serving_table"])
    assert "mixed_recommendations: every_user_is_in_the_right_arm failed" in failure_of(
        alone, "serving_table"
    )
    assert _rows(served(run)) == before


def test_a_champion_that_changed_since_staging_is_noticed(
    continued_run: Continued,
    serve: Callable[..., dg.ExecuteInProcessResult],
    promoted: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run, _ = continued_run
    monkeypatch.setattr(publisher, "present_plan", other_champion)
    result = serve(mode="full")
    assert not result.success
    assert "only the champion 20260101-other fills" in failure_of(result, "serving_table")
    assert served(run) is None


def other_champion(warehouse: Warehouse, settings: Settings, staged: str | None) -> serving_plan.Present:
    """The plan where somebody promoted another model since the rows were staged."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(serving_plan, "champion_version", lambda _: "20260101-other")
        return serving_plan.present_plan(warehouse, settings, staged)


def _table(table: pa.Table | None) -> pa.Table:
    assert table is not None
    return table


def _rows(table: pa.Table | None) -> dict[str, dict[str, object]]:
    return {row["email_lower"]: row for row in _table(table).to_pylist()}


@pytest.fixture(autouse=True)
def _kept(request: pytest.FixtureRequest) -> None:
    """A second copy of the assets, for a test that throws some away."""
    if "serve" in request.fixturenames:
        run, _ = request.getfixturevalue("continued_run")
        shutil.copytree(run.data_dir / "assets", run.data_dir.parent / "kept")
