"""A week in which what is delivered changes from the graph model to the hybrid and back."""

from __future__ import annotations

import datetime
from pathlib import Path

import dagster as dg
import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from assets.test_serving import ONLY, reasons
from experiment_world import declaration_text
from promotion import promote_version
from small_run import TRAINING, FinishedRun, execute_job, failure_of

from holley_assets.core.asset_keys import SERVING_TABLE
from holley_assets.core.metadata_keys import MODEL_VERSION, ROLLED_BACK_FROM
from holley_assets.evaluation.systems import delivered_system
from holley_assets.ranking.arms import user_buckets
from holley_assets.ranking.mixtures import chosen_value

WHO = {"by": "ada", "reason": "a test"}
SUNDAY = datetime.date(2026, 2, 1)


class Week:
    """The days after a small weekly run, with an experiment that starts on the first of them."""

    def __init__(
        self, run: FinishedRun, instance: dg.DagsterInstance, environment: pytest.MonkeyPatch, folder: Path
    ) -> None:
        self.run, self.instance, self.environment = run, instance, environment
        self.day = SUNDAY
        declaration = folder / "spring.toml"
        declaration.write_text(declaration_text())
        for name, value in {
            "HOLLEY_SERVING_MODE": "ab",
            "HOLLEY_SERVING_EXPERIMENT": "spring",
            "HOLLEY_EXPERIMENT_DECLARATION": str(declaration),
        }.items():
            environment.setenv(name, value)

    def begin(self, days: int) -> None:
        """So many days after Sunday."""
        self.day = SUNDAY + datetime.timedelta(days=days)
        self.environment.setenv("HOLLEY_AS_OF", self.day.isoformat())

    def refused(self, job: str, step: str, only: list[str] | None = None, **config: object) -> str:
        """What a person reads of the step of a job that fails, where customers keep what they had."""
        before = self.served()
        result = execute_job(job, instance=self.instance, only=only, config=config)
        assert self.served().equals(before)
        return failure_of(result, step)

    def do(self, job: str, only: list[str] | None = None, **config: object) -> None:
        """A job, or some of its assets, that ends well; ``config`` is that of its steps."""
        result = execute_job(job, instance=self.instance, only=only, config=config)
        assert result.success, [event.step_key for event in result.all_events if event.is_step_failure]

    def served(self) -> pa.Table:
        """What the e-mail system reads."""
        return self.table("holley_serving", "email_recommendations").sort_by("email_lower")

    def exposures(self) -> pa.Table:
        """The experiment's log of all days."""
        return self.table("holley_serving", "experiment_exposures").sort_by("email_lower")

    def table(self, dataset: str, name: str) -> pa.Table:
        """A table of the warehouse."""
        with duckdb.connect(str(self.run.data_dir / "warehouse.duckdb"), read_only=True) as connection:
            return connection.execute(f"FROM {dataset}.{name}").to_arrow_table()


@pytest.fixture
def week(
    continued_run: tuple[FinishedRun, dg.DagsterInstance], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Week:
    return Week(*continued_run, monkeypatch, tmp_path)


def test_a_week_in_which_the_system_changes_and_back_mixes_nothing_and_moves_nobody(week: Week) -> None:
    # Sunday: the graph model is promoted and delivered. The setting alone changes nothing.
    graph = version(week.run)
    promote_version(graph)
    week.do("daily_score", ONLY)
    assert_one_system(week, graph)
    sunday = week.served()
    week.environment.setenv("HOLLEY_SERVING_SYSTEM", "hybrid")
    week.do("daily_score", ONLY)
    assert week.served().equals(sunday)

    # The next training makes a hybrid, which serves nobody until somebody promotes it.
    week.do("weekly_retrain", TRAINING)
    hybrid = version(week.run)
    assert (delivered_system(graph), delivered_system(hybrid)) == ("gnn", "hybrid")
    week.do("daily_score", ONLY)
    assert f"of model {hybrid}, and only the champion {graph} fills" in reasons(week.instance)[0]
    assert week.served().equals(sunday)
    assert models(week.table("temp_holley_gnn", "recommendations")) == {hybrid}
    assert_is_the_hybrid(week.run, week.run.table("recommendations"))

    # Promoted and taken back before it served anybody, it is nothing to go back to.
    promote_version(hybrid)
    promote_version(graph)
    refused = week.refused("rollback", "roll_back", roll_back=WHO)
    assert f"is of {hybrid} and sql alone" in refused and f"{graph} and sql, " in refused

    # Tuesday: the hybrid is the champion and is delivered, though the setting is the graph model's again.
    week.begin(2)
    promote_version(hybrid)
    week.environment.setenv("HOLLEY_SERVING_SYSTEM", "gnn")
    week.do("daily_score")
    assert_one_system(week, hybrid)
    tuesday = week.served()
    assert not parts(tuesday).equals(parts(sunday))

    # The kill switch wins over either system, and what comes back after it is the champion's.
    for job, champion in (("serve_sql_only", None), ("serve_graph_again", hybrid)):
        week.do(job, ["serving_switch", *ONLY], serving_switch=WHO)
        assert_one_system(week, champion)
    assert week.served().equals(tuesday)

    # Wednesday: back to the version of before, under its own name, row for row.
    week.begin(3)
    week.do("rollback", roll_back=WHO)
    assert_one_system(week, graph, staged=False)
    assert week.served().equals(sunday)
    event = week.instance.get_latest_materialization_event(SERVING_TABLE)
    assert event is not None and event.asset_materialization is not None
    rolled_back = event.asset_materialization.metadata
    assert (rolled_back[MODEL_VERSION].value, rolled_back[ROLLED_BACK_FROM].value) == (graph, hybrid)
    stale = week.refused("daily_score", "serving_table", ["serving_table"])
    assert f"of model {hybrid}, and only the champion {graph} fills" in stale

    # Saturday: a delivery as on any other day.
    week.begin(6)
    week.do("daily_score")
    assert_one_system(week, graph)
    assert_each_user_was_exposed_once_a_day(week, {0: "gnn", 2: "hybrid", 3: "gnn", 6: "gnn"})


def version(run: FinishedRun) -> str:
    return str(run.table("trained_checkpoint")["model_version"][0].as_py())


def models(table: pa.Table) -> set[str]:
    return set(table["model_version"].to_pylist())


def parts(table: pa.Table) -> pa.Table:
    """The first part of each user whom the hash assigned to the graph."""
    chosen = table.filter(pc.equal(table["assigned_arm"], "graph"))
    return chosen.select(["email_lower", "rec_part_1"])


def assert_one_system(week: Week, champion: str | None, *, staged: bool = True) -> None:
    """The graph's arm holds the champion's rows alone, whole and as staged; None is the kill switch."""
    table = week.served()
    assert models(table) == ({champion, "sql"} if champion else {"sql"})
    names = {"graph": "recommendations", "sql": "sql_recommendations"}
    rows = {arm: week.run.table(name).to_pylist() for arm, name in names.items()} if staged else {}
    judged = {(arm, row["email_lower"]): row for arm, found in rows.items() for row in found}
    buckets = user_buckets(table["email_lower"], "holley:spring").to_pylist()
    for row, bucket in zip(table.to_pylist(), buckets, strict=True):
        arm, assigned = row.pop("arm"), row.pop("assigned_arm")
        assert assigned == ("graph" if bucket < 5000 else "sql")
        assert arm == (assigned if champion else "sql")
        assert row["model_version"] == (champion if arm == "graph" else "sql")
        assert not staged or row == judged[arm, row["email_lower"]]
    if champion:
        assert models(week.table("temp_holley_gnn", "recommendations")) == {champion}
    log = week.exposures()
    log = log.filter(pc.equal(log["exposure_day"], pa.scalar(week.day)))
    for column in ("email_lower", "assigned_arm", "model_version", "rec_part_1", "rec_part_4"):
        assert log[column].equals(table[column]), column
    assert log["received_arm"].equals(table["arm"])
    systems = {"graph": delivered_system(champion or ""), "sql": "sql"}
    assert log["system"].to_pylist() == [systems[arm] for arm in table["arm"].to_pylist()]


def assert_each_user_was_exposed_once_a_day(week: Week, systems: dict[int, str]) -> None:
    """One row a user and day, in one arm on all days; who received the graph's arm received the day's system."""
    log = week.exposures().select(["email_lower", "exposure_day", "assigned_arm", "system"]).to_pylist()
    assert len({(row["email_lower"], row["exposure_day"]) for row in log}) == len(log) > 4000
    expected = {SUNDAY + datetime.timedelta(days=day): system for day, system in systems.items()}
    arms: dict[str, str] = {}
    for row in log:
        assert arms.setdefault(row["email_lower"], row["assigned_arm"]) == row["assigned_arm"]
        of_graph = row["assigned_arm"] == "graph"
        assert row["system"] == (expected[row["exposure_day"]] if of_graph else "sql")
    assert {row["exposure_day"] for row in log} == set(expected)


def assert_is_the_hybrid(run: FinishedRun, delivered: pa.Table) -> None:
    """Scores of some rows from the vectors, the histories and the pipeline's scores as of the run's day."""
    mixtures = run.table("mixture_weights")
    nodes, profiles = run.table("user_nodes").to_pylist(), run.table("user_profiles").to_pylist()
    users = {node["email_lower"]: {**node, **profile} for node, profile in zip(nodes, profiles, strict=True)}
    base_skus = {row["sku"]: row["base_sku"] for row in run.table("parts").to_pylist()}
    fitting: dict[tuple[object, ...], list[str]] = {}
    for row in run.table("fitment").to_pylist():
        if row["serving_sku"] is not None:
            car = (str(row["year"]), row["make"], row["model"])
            fitting.setdefault(car, []).append(row["base_sku"])
    sql = {
        (row["make"], row["model"], row["base_sku"]): row["serving_sql_score"]
        for row in run.table("popularity").to_pylist()
    }
    vectors, lengths = {}, {}
    for name, key in (("user_embeddings", "profile"), ("product_embeddings", "base_sku")):
        rows = [row for row in run.table(name).to_pylist() if row["view"] == "serving"]
        vectors[name] = {row[key]: np.array(row["embedding"]) for row in rows}
        lengths[name] = max(row["norm"] for row in rows)
    added = {
        (row["profile"], row["base_sku"]): row["score"]
        for row in run.table("history_scores").to_pylist()
        if row["view"] == "serving"
    }
    temperature = lengths["user_embeddings"] * lengths["product_embeddings"]
    tiers = {name: user["serving_engagement_tier"] for name, user in users.items()}
    rows = delivered.to_pylist()
    some = [*rows[::100], *(row for row in rows if tiers[row["email_lower"]] != "cold")][:60]
    assert {tiers[row["email_lower"]] for row in some} >= {"cold", "warm"}
    for row in some:
        user = users[row["email_lower"]]
        profile, car = user["serving_profile"], (row["year"], row["make"], row["model"])
        parts = fitting[car]
        graph = temperature * np.array(
            [
                vectors["user_embeddings"][profile] @ vectors["product_embeddings"][part]
                + added.get((profile, part), 0.0)
                for part in parts
            ]
        )
        pipeline = chosen_value(mixtures, "sql_temperature") * np.array(
            [sql[(row["make"], row["model"], part)] for part in parts]
        )
        alpha = chosen_value(mixtures, "alpha", user["serving_engagement_tier"])
        mixed = alpha * logarithms(pipeline) + (1 - alpha) * logarithms(graph)
        shown = [base_skus[row[f"rec_part_{slot}"]] for slot in (1, 2, 3)]
        scores = [row[f"rec{slot}_score"] for slot in (1, 2, 3)]
        assert scores == pytest.approx([mixed[parts.index(part)] for part in shown], abs=1e-4)


def logarithms(logits: np.ndarray) -> np.ndarray:
    return np.asarray(logits - np.logaddexp.reduce(logits))
