"""What Dagster loads: quickly, in any environment, with every asset described and every promise in place."""

from __future__ import annotations

import dataclasses
import functools
import os
import re
import resource
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pyarrow as pa
import pytest
from dagster._core.execution.api import create_execution_plan
from dagster._core.execution.retries import RetryMode

from holley_assets.automation import leased_executor
from holley_assets.definitions import definitions
from holley_assets.resources.warehouse.interface import WarehouseError
from holley_assets.resources.warehouse_resource import WarehouseResource
from holley_assets.settings import load_settings

PROJECT = Path(__file__).parent.parent
GROUPS = {
    "1_sources": {
        "import_items",
        "import_items_tags",
        "import_orders",
        "ingestion_unified_attributes_schema_incremental",
        "ingestion_unified_schema_incremental",
        "treatment_interaction",
        "vehicle_product_fitment_data",
    },
    "2_graph_tables": {
        "co_purchased_edges",
        "co_viewed_edges",
        "daily_orders",
        "fitment",
        "fits_edges",
        "interaction_events",
        "machine_bursts",
        "machine_clicks",
        "interacts_edges",
        "order_lines",
        "ordered_pairs",
        "owns_edges",
        "parts",
        "popularity",
        "product_nodes",
        "source_rows",
        "test_clicks",
        "test_interactions",
        "time_windows",
        "user_accounts",
        "user_nodes",
        "user_purchases",
        "user_visits",
        "vehicle_nodes",
        "visitor_demand",
        "visitor_parts",
        "visitor_sets",
        "visitor_set_models",
    },
    "3_model": {
        "champion_model",
        "held_out_scores",
        "held_out_visits",
        "history_scores",
        "history_weights",
        "layer_embeddings",
        "mixture_weights",
        "product_embeddings",
        "serving_graph",
        "trained_checkpoint",
        "training_graph",
        "user_embeddings",
        "user_profiles",
    },
    "4_recommendations": {"mixed_recommendations", "recommendations", "similar_parts", "sql_recommendations"},
    "5_evaluation": {
        "control_rankings",
        "eval_report",
        "evaluation_rankings",
        "evaluation_rankings_before_rules",
        "machine_click_rankings",
        "run_comparison",
    },
    "7_experiment": {"experiment_outcomes", "experiment_readout"},
    "8_exploration": {"exploration"},
    "6_delivery": {
        "embedding_tables",
        "recommendations_table",
        "serving_switch",
        "serving_table",
        "similar_parts_table",
    },
}
NOT_BLOCKING = {
    "both_arms_have_their_users",
    "delivered_table_is_fresh",
    "events_reach_the_test_window",
    "every_source_table_answers",
    "experiment_is_not_over",
    "graph_does_no_harm",
    "kill_switch_is_off",
    "month_keeps_to_its_budget",
    "most_parts_have_similar_parts",
    "no_worse_than_the_previous_run",
    "nothing_drifted_since_the_previous_run",
    "served_table_is_fresh",
    "share_of_cold_users_is_usual",
    "similar_parts_are_mostly_those_of_the_last_table",
    "table_is_fresh",
    "table_is_there_and_did_not_shrink",
    "test_set_can_decide",
}
# Evaluated by sensors, in no run.
STANDING = {
    "delivered_table_is_fresh",
    "every_source_table_answers",
    "kill_switch_is_off",
    "served_table_is_fresh",
    "table_is_fresh",
    "table_is_there_and_did_not_shrink",
}
EXTERNAL = GROUPS["1_sources"]
# Decided on by two jobs of its own.
SWITCH = dg.AssetKey("serving_switch")
# Whoever can write the tables that others read, and the jobs in which that happens.
PUBLISHING = {"recommendations_table", "serving_table", "similar_parts_table", "roll_back"}
PUBLISHING_JOBS = {"weekly_retrain", "daily_score", "serve_sql_only", "serve_graph_again", "rollback"}
DECIDING_JOBS = {"serve_sql_only", "serve_graph_again"}


@pytest.fixture(scope="module")
def graph() -> dg.AssetGraph:
    return definitions.resolve_asset_graph()


def load_in_subprocess(code: str, settings: dict[str, str]) -> tuple[str, float]:
    """Output of ``code`` after the definitions were loaded, and the processor seconds that it took."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    finished = subprocess.run(
        [sys.executable, "-W", "error::UserWarning:holley_assets", "-c", code],
        cwd=PROJECT,
        env={**os.environ, **settings},
        capture_output=True,
        text=True,
        check=False,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert finished.returncode == 0, finished.stderr
    return finished.stdout, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def test_definitions_load_in_three_seconds_and_import_nothing_heavy() -> None:
    code = (
        "from holley_assets.definitions import definitions; definitions.get_repository_def(); import sys;"
        "heavy = {'torch', 'torch_geometric', 'mlflow', 'matplotlib', 'scipy', 'dagstermill', 'IPython'};"
        "print(*heavy & set(sys.modules))"
    )
    output, seconds = load_in_subprocess(code, {})
    assert output.split() == []
    # Processor time: what else the machine does is not what this promises.
    assert seconds < 3.0


def test_definitions_load_with_settings_that_are_wrong() -> None:
    wrong = {"HOLLEY_ENV": "staging", "HOLLEY_AS_OF": "yesterday", "HOLLEY_SAMPLE_USERS": "many"}
    code = (
        "from holley_assets.definitions import definitions; definitions.get_repository_def(); print('loaded')"
    )
    output, _ = load_in_subprocess(code, wrong)
    assert output.split() == ["loaded"]


NO_NETWORK = """
import socket

def refuse(*arguments, **options):
    raise AssertionError(f"the network was asked for: {arguments}")

for name in ("connect", "connect_ex", "sendto"):
    setattr(socket.socket, name, refuse)
for name in ("create_connection", "getaddrinfo", "gethostbyname"):
    setattr(socket, name, refuse)
"""


@pytest.mark.parametrize(
    ("environment", "executor"), [("local", "multiprocess"), ("prod", "multiprocess"), ("prod", "k8s")]
)
def test_definitions_are_valid_without_network_and_credentials(
    tmp_path: Path, environment: str, executor: str
) -> None:
    """Neither loading nor validating them asks for anything that only a deployed environment has."""
    code = f"""{NO_NETWORK}
import sys

import dagster as dg

from holley_assets.definitions import definitions

dg.Definitions.validate_loadable(definitions)
for name in ("weekly_retrain", "daily_score"):
    job = definitions.resolve_job_def(name)
    dg.validate_run_config(job)
    print(job.executor_def.name)
print(*sorted({{"dagster_k8s", "kubernetes", "google.cloud.bigquery", "google.cloud.storage"}} & set(sys.modules)))
"""
    # No home folder with credentials, and no machine that could hand out some.
    settings = {
        "HOLLEY_ENV": environment,
        "HOLLEY_COMPUTE_EXECUTOR": executor,
        "HOME": str(tmp_path),
        "GOOGLE_APPLICATION_CREDENTIALS": str(tmp_path / "absent.json"),
    }
    output, _ = load_in_subprocess(code, settings)
    *names, imported = output.split("\n")[:3]
    assert names == ["multiprocess" if executor == "multiprocess" else "k8s"] * 2
    # Clients are imported by the steps that use them; those of Kubernetes only where pods are asked for.
    assert imported.split() == (["dagster_k8s", "kubernetes"] if executor == "k8s" else [])


def test_an_executor_that_does_not_exist_is_one_line() -> None:
    finished = subprocess.run(
        [sys.executable, "-c", "import holley_assets.definitions"],
        cwd=PROJECT,
        env={**os.environ, "HOLLEY_COMPUTE_EXECUTOR": "celery"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode != 0
    assert (
        finished.stderr.strip()
        .splitlines()[-1]
        .endswith("HOLLEY_COMPUTE_EXECUTOR=celery is not allowed; allowed: multiprocess or k8s")
    )


def test_every_asset_is_in_its_group(graph: dg.AssetGraph) -> None:
    found: dict[str, set[str]] = {}
    for node in graph.asset_nodes:
        found.setdefault(str(node.group_name), set()).add(node.key.to_user_string())
    assert found == GROUPS


def test_groups_are_listed_as_the_data_flow(graph: dg.AssetGraph) -> None:
    """The UI lists them by name: what an asset reads is of its own group or of one above it."""
    for node in graph.asset_nodes:
        for key in node.parent_keys:
            assert str(graph.get(key).group_name) <= str(node.group_name), (key, node.key)


def test_every_asset_says_what_it_is_and_whose(graph: dg.AssetGraph) -> None:
    for node in graph.asset_nodes:
        name = node.key.to_user_string()
        assert node.description and len(node.description) > 10, name
        assert node.kinds, name
        if name in EXTERNAL:
            assert not node.is_materializable
            columns = node.metadata["dagster/column_schema"].columns
            assert columns and all(column.description and len(column.type) < 20 for column in columns), name
        else:
            assert node.owners == ["team:recommendations"], name


def test_every_check_reads_as_a_promise(graph: dg.AssetGraph) -> None:
    for key in graph.asset_check_keys:
        spec = graph.get_check_spec(key)
        assert "_" in spec.name and spec.description, spec.name
        assert spec.blocking != (spec.name in NOT_BLOCKING), spec.name


def test_lineage_is_what_the_queries_read(graph: dg.AssetGraph) -> None:
    parents = {key.to_user_string() for key in graph.get(dg.AssetKey("order_lines")).parent_keys}
    assert parents == {"import_orders", "interaction_events", "user_accounts", "time_windows"}


def test_every_made_asset_comes_after_the_time_windows(graph: dg.AssetGraph) -> None:
    windows = dg.AssetKey("time_windows")
    for node in graph.asset_nodes:
        if node.is_materializable and node.key not in (windows, SWITCH):
            assert windows in graph.get_ancestor_asset_keys(node.key), node.key


def test_the_time_windows_are_drawn_to_what_reads_a_source_and_to_nothing_else(graph: dg.AssetGraph) -> None:
    """An edge to every asset would hide in the UI how the data flow."""
    windows = dg.AssetKey("time_windows")
    sources = {dg.AssetKey(name) for name in EXTERNAL}
    assert graph.get(windows).child_keys == {
        node.key for node in graph.asset_nodes if node.is_materializable and node.parent_keys & sources
    }


@pytest.mark.parametrize("job", ["weekly_retrain", "daily_score", "serve_sql_only", "serve_graph_again"])
def test_every_step_of_a_job_waits_for_the_time_windows(job: str) -> None:
    """Dagster keeps no order between two assets without those in between: each job holds a whole way to each."""
    graph = definitions.resolve_job_def(job).asset_layer
    selected = graph.selected_asset_keys
    reached, waiting = set(), [dg.AssetKey("time_windows")]
    assert waiting[0] in selected
    while waiting:
        key = waiting.pop()
        if key in selected and key not in reached:
            reached.add(key)
            waiting.extend(graph.asset_graph.get(key).child_keys)
    assert selected - reached == {SWITCH} & selected


def test_weekly_retrain_is_everything(graph: dg.AssetGraph) -> None:
    job = definitions.resolve_job_def("weekly_retrain")
    assert job.asset_layer.selected_asset_keys == {
        node.key
        for node in graph.asset_nodes
        if node.is_materializable
        and node.key != SWITCH
        and node.group_name not in {"7_experiment", "8_exploration"}
    }
    assert job.asset_layer.asset_graph.asset_check_keys == {
        key
        for key in graph.asset_check_keys
        if key.name not in STANDING and key.asset_key != dg.AssetKey("experiment_readout")
    }


def test_the_experiment_is_read_by_a_job_of_its_own(graph: dg.AssetGraph) -> None:
    for job in definitions.resolve_all_job_defs():
        selected = {key.to_user_string() for key in job.asset_layer.selected_asset_keys}
        if not job.name.startswith("__"):
            assert bool(selected & GROUPS["7_experiment"]) == (job.name == "read_experiment"), job.name
    read = definitions.resolve_job_def("read_experiment").asset_layer
    assert {key.to_user_string() for key in read.selected_asset_keys} == GROUPS["7_experiment"]
    assert len(read.asset_graph.asset_check_keys) == 3
    parents = {key.to_user_string() for key in graph.get(dg.AssetKey("experiment_outcomes")).parent_keys}
    assert parents == {
        "interaction_events",
        "machine_bursts",
        "order_lines",
        "parts",
        "serving_table",
        "time_windows",
        "treatment_interaction",
        "user_accounts",
    }


def test_the_notebook_is_run_by_a_job_of_its_own() -> None:
    notebook = dg.AssetKey("exploration")
    for job in definitions.resolve_all_job_defs():
        selected = job.asset_layer.selected_asset_keys
        if not job.name.startswith("__"):
            assert selected == {notebook} if job.name == "explore" else notebook not in selected, job.name


@pytest.mark.parametrize(
    "job", ["weekly_retrain", "daily_score", "explore", "serve_sql_only", "serve_graph_again"]
)
def test_no_job_runs_what_the_daemon_evaluates(job: str) -> None:
    checks = definitions.resolve_job_def(job).asset_layer.asset_graph.asset_check_keys
    assert not {key.name for key in checks} & STANDING


def test_daily_score_delivers_and_does_not_train() -> None:
    selected = {
        key.to_user_string()
        for key in definitions.resolve_job_def("daily_score").asset_layer.selected_asset_keys
    }
    assert {"recommendations", "recommendations_table", "serving_graph"} <= selected
    assert not selected & {
        "trained_checkpoint",
        "eval_report",
        "evaluation_rankings",
        "test_clicks",
    }


def test_the_kill_switch_needs_no_graph_and_no_model() -> None:
    selected = {
        key.to_user_string()
        for key in definitions.resolve_job_def("serve_sql_only").asset_layer.selected_asset_keys
    }
    assert {"serving_switch", "sql_recommendations", "mixed_recommendations", "serving_table"} <= selected
    assert not selected & {*GROUPS["3_model"], "recommendations", "recommendations_table"}


def ops_with(resource: str) -> dict[str, set[str]]:
    """Steps of every job that ask for a resource."""
    found = {}
    for job in definitions.resolve_all_job_defs():
        ops = {node.definition for node in job.nodes_in_topological_order}
        found[job.name] = {op.name for op in ops if resource in getattr(op, "required_resource_keys", ())}
    return found


def test_nobody_publishes_but_who_is_listed_here() -> None:
    """Another way to the serving table must go through the publisher, and be thought of."""
    by_job = ops_with("publisher")
    implicit = {name for name in by_job if name.startswith("__")}
    assert set().union(*by_job.values()) == PUBLISHING
    assert {name for name, ops in by_job.items() if ops} - implicit == PUBLISHING_JOBS


def test_only_the_publisher_calls_what_replaces_a_table_that_others_read() -> None:
    callers = {
        str(path.relative_to(PROJECT))
        for path in (PROJECT / "holley_assets").rglob("*.py")
        if re.search(r"\.(publish_staged|restore_snapshot)\(", path.read_text(encoding="utf-8"))
    }
    assert callers == {
        "holley_assets/assets/publisher.py",
        # BigQuery replaces a table by staging it first.
        "holley_assets/resources/warehouse/bigquery/tables.py",
    }


def test_the_warehouse_lets_nobody_else_replace_the_serving_table(tmp_path: Path) -> None:
    settings = load_settings()
    run = settings.run.model_copy(update={"data_dir": tmp_path})
    opened = WarehouseResource().open(settings.model_copy(update={"run": run}), tmp_path)
    with pytest.raises(WarehouseError, match="by the publisher alone"):
        opened.replace_table(
            settings.serving_dataset, settings.serving.table, pa.table({"email_lower": ["x"]})
        )


def test_every_job_that_writes_holds_the_lease() -> None:
    for job in definitions.resolve_all_job_defs():
        creation = job.executor_def.executor_creation_fn
        leased = isinstance(creation, functools.partial) and creation.func is leased_executor._create
        assert leased == (job.name != "promote"), job.name


def test_the_kill_switch_is_decided_on_by_two_jobs_before_anything_else(graph: dg.AssetGraph) -> None:
    for job in definitions.resolve_all_job_defs():
        if not job.name.startswith("__") and job.asset_layer.selected_asset_keys:
            assert (SWITCH in job.asset_layer.selected_asset_keys) == (job.name in DECIDING_JOBS), job.name
            if job.name in DECIDING_JOBS:
                active = create_execution_plan(job).start(RetryMode.DISABLED)
                # Entered and never left: leaving it says that not all steps were executed.
                (first,) = active.__enter__().get_steps_to_execute(limit=1)
                assert first.key == SWITCH.to_user_string()
    # The UI asks whether one is sure to start a job that leaves out what one of its assets depends on.
    assert graph.get(SWITCH).child_keys == set()


def test_the_graph_waits_for_the_tables_that_its_check_recounts(graph: dg.AssetGraph) -> None:
    from holley_assets.checks.graph_checks import recounted_tables

    parents = graph.get(dg.AssetKey("training_graph")).parent_keys
    assert {dg.AssetKey(name) for name in recounted_tables()} <= parents


def test_nothing_is_learned_from_sources_whose_rows_do_not_add_up(graph: dg.AssetGraph) -> None:
    for name in ("training_graph", "serving_graph"):
        assert dg.AssetKey("source_rows") in graph.get(dg.AssetKey(name)).parent_keys
    # The daily job makes no test set, and nothing that waits for one.
    assert dg.AssetKey("test_clicks") not in graph.get(dg.AssetKey("source_rows")).parent_keys


def test_histories_take_the_tables_that_their_asset_loads() -> None:
    from holley_assets.assets.history import HISTORY_TABLE_NAMES
    from holley_assets.gnn.history_tables import HistoryTables

    assert {field.name for field in dataclasses.fields(HistoryTables)} == set(HISTORY_TABLE_NAMES)


def test_a_failed_gate_does_not_start_the_run_again(tmp_path: Path) -> None:
    (tmp_path / "dagster.yaml").write_text((PROJECT / "dagster.yaml").read_text())
    with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        assert instance.get_settings("run_retries")["retry_on_asset_or_op_failure"] is False
        assert not instance.telemetry_enabled


@pytest.mark.parametrize(
    ("job", "step", "asked"),
    [
        ("promote", "promote_model", {"by": "", "reason": "", "force": False}),
        ("rollback", "roll_back", {"by": "", "reason": "", "dry_run": False}),
        ("serve_sql_only", "serving_switch", {"by": "", "reason": ""}),
        ("serve_graph_again", "serving_switch", {"by": "", "reason": ""}),
    ],
)
def test_the_launchpad_shows_what_a_person_fills_in(job: str, step: str, asked: dict[str, object]) -> None:
    found = definitions.resolve_job_def(job)
    assert found.run_config == {"ops": {step: {"config": asked}}}
    assert dg.validate_run_config(found, found.run_config)
