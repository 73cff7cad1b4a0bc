"""Who gets whose parts: by a hash that anybody can recompute, and never back and forth."""

from __future__ import annotations

import hashlib

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holley_assets.ranking.arms import BUCKETS, SERVING_SCHEMA, mix_arms, user_buckets
from holley_assets.ranking.recommendations import WIDE_SCHEMA

USERS = [f"user{number}@example.com" for number in range(4000)]


def wide(users: list[str], version: str) -> pa.Table:
    """A wide table with one part, which names its system and its user."""
    columns = {name: pa.nulls(len(users), WIDE_SCHEMA.field(name).type) for name in WIDE_SCHEMA.names}
    columns["email_lower"] = pa.array(users)
    columns["rec_part_1"] = pa.array([f"{version}-{user}" for user in users], pa.string())
    columns["model_version"] = pa.array([version] * len(users), pa.string())
    return pa.table(columns, schema=WIDE_SCHEMA)


def arms(table: pa.Table) -> dict[str, str]:
    return dict(zip(table["email_lower"].to_pylist(), table["arm"].to_pylist(), strict=True))


def test_a_bucket_is_what_anybody_else_would_compute() -> None:
    expected = [int(hashlib.sha256(f"salt:{user}".encode()).hexdigest()[:15], 16) % BUCKETS for user in USERS]
    assert user_buckets(pa.array(USERS), "salt").to_pylist() == expected
    assert user_buckets(pa.chunked_array([USERS[:7], USERS[7:]]), "salt").to_pylist() == expected


def test_buckets_are_even_and_another_salt_draws_other_users() -> None:
    one, two = (
        arms(mix_arms(wide(USERS, "m1"), wide(USERS, "sql"), graph_buckets=5000, salt=salt))
        for salt in ("one", "two")
    )
    halves = [sum(arm == "graph" for arm in mixed.values()) for mixed in (one, two)]
    # Four standard deviations of a fair coin.
    assert all(abs(half - 2000) < 4 * 1000**0.5 for half in halves)
    agreeing = sum(one[user] == two[user] for user in USERS)
    assert abs(agreeing - 2000) < 4 * 1000**0.5


def test_nobody_goes_back_as_the_share_grows() -> None:
    graph, sql = wide(USERS, "m1"), wide(USERS, "sql")
    before: set[str] = set()
    for buckets in (0, 1000, 2500, 5000, 10_000):
        mixed = arms(mix_arms(graph, sql, graph_buckets=buckets, salt="holley"))
        chosen = {user for user, arm in mixed.items() if arm == "graph"}
        assert before <= chosen
        before = chosen
    assert before == set(USERS)


def test_each_row_is_whole_and_its_arm_s_own() -> None:
    mixed = mix_arms(wide(USERS, "m1"), wide(USERS, "sql"), graph_buckets=2500, salt="holley")
    assert mixed.schema.equals(SERVING_SCHEMA) and mixed.column_names[-2:] == ["arm", "assigned_arm"]
    assert mixed["email_lower"].to_pylist() == sorted(USERS)
    for row in mixed.to_pylist():
        version = "m1" if row["arm"] == "graph" else "sql"
        assert row["model_version"] == version
        assert row["rec_part_1"] == f"{version}-{row['email_lower']}"


def test_whom_the_graph_cannot_serve_gets_the_sql_pipeline_s_parts() -> None:
    mixed = arms(mix_arms(wide(USERS[:3], "m1"), wide(USERS[:5], "sql"), graph_buckets=10_000, salt="x"))
    assert [mixed[user] for user in USERS[:5]] == ["graph", "graph", "graph", "sql", "sql"]


def test_without_the_graph_everybody_is_on_sql() -> None:
    for graph in (None, wide(USERS, "m1")):
        mixed = mix_arms(graph, wide(USERS, "sql"), graph_buckets=0, salt="x")
        assert set(arms(mixed).values()) == {"sql"} and mixed.num_rows == len(USERS)


def test_what_the_hash_said_stands_beside_what_the_user_received() -> None:
    bucket_of = dict(zip(USERS, user_buckets(pa.array(USERS), "x").to_pylist(), strict=True))
    graph, sql = wide(USERS[:2000], "m1"), wide(USERS, "sql")
    before: set[str] = set()
    for buckets in (0, 1000, 5000, 10_000):
        rows = mix_arms(graph, sql, graph_buckets=buckets, salt="x").to_pylist()
        for row in rows:
            assigned = "graph" if bucket_of[row["email_lower"]] < buckets else "sql"
            received = assigned if row["email_lower"] in USERS[:2000] else "sql"
            assert (row["assigned_arm"], row["arm"]) == (assigned, received)
        chosen = {row["email_lower"] for row in rows if row["assigned_arm"] == "graph"}
        assert before <= chosen, "a growing share takes nobody away"
        before = chosen
    assert before == set(USERS)


def test_the_kill_switch_changes_what_is_received_and_not_what_was_assigned() -> None:
    graph, sql = wide(USERS, "m1"), wide(USERS, "sql")
    served = mix_arms(graph, sql, graph_buckets=5000, salt="x")
    killed = mix_arms(graph, sql, graph_buckets=0, assigned_buckets=5000, salt="x")
    assert set(arms(killed).values()) == {"sql"}
    assert killed.sort_by("email_lower")["assigned_arm"].equals(served["assigned_arm"])
    assert set(killed["assigned_arm"].to_pylist()) == {"graph", "sql"}
    with pytest.raises(ValueError, match="the first at most the second"):
        mix_arms(graph, sql, graph_buckets=5000, assigned_buckets=1000, salt="x")


@pytest.mark.parametrize("buckets", [-1, 10_001])
def test_a_share_beyond_everybody_is_refused(buckets: int) -> None:
    with pytest.raises(ValueError, match="graph_buckets"):
        mix_arms(None, wide(USERS, "sql"), graph_buckets=buckets, salt="x")


@settings(max_examples=30)
@given(
    graph=st.sets(st.sampled_from(USERS[:12])),
    sql=st.sets(st.sampled_from(USERS[:12])),
    buckets=st.integers(0, BUCKETS),
)
def test_one_row_for_each_user_that_any_arm_may_serve(graph: set[str], sql: set[str], buckets: int) -> None:
    mixed = mix_arms(wide(sorted(graph), "m1"), wide(sorted(sql), "sql"), graph_buckets=buckets, salt="x")
    bucket_of = dict(zip(USERS[:12], user_buckets(pa.array(USERS[:12]), "x").to_pylist(), strict=True))
    chosen = {user for user in graph if bucket_of[user] < buckets}
    assert arms(mixed) == {user: "graph" if user in chosen else "sql" for user in chosen | sql}
