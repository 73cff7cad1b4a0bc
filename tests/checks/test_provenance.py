"""What a table was made from, against what there is now."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import dagster as dg
import pytest

from holley_assets.checks.provenance import stale_inputs
from holley_assets.core.materialized import Materialized

WINDOWS, ACCOUNTS, NODES = (dg.AssetKey(name) for name in ("time_windows", "accounts", "nodes"))
LINEAGE = {WINDOWS: [], ACCOUNTS: [WINDOWS], NODES: [ACCOUNTS]}


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as ephemeral:
        yield ephemeral


def make(instance: dg.DagsterInstance, key: dg.AssetKey, **metadata: str) -> None:
    """Materialize ``key`` from its newest inputs, as a run does, with what the IO manager says of it."""
    shown: Mapping[str, str] = metadata

    @dg.asset(key=key, deps=LINEAGE[key])
    def made() -> Materialized:
        return dg.MaterializeResult(metadata=shown)

    assert dg.materialize([made], instance=instance).success


def make_all(instance: dg.DagsterInstance, day: str) -> None:
    make(instance, WINDOWS, sha256=day)
    make(instance, ACCOUNTS, sha256="accounts", time_windows_sha256=day)
    make(instance, NODES, sha256="nodes", time_windows_sha256=day)


def test_what_was_made_once_in_order_is_as_new_as_its_inputs(instance: dg.DagsterInstance) -> None:
    make_all(instance, "monday")
    assert stale_inputs(instance, LINEAGE) == []


def test_windows_that_were_fixed_anew_count_for_all_behind_them(instance: dg.DagsterInstance) -> None:
    make_all(instance, "monday")
    make(instance, WINDOWS, sha256="tuesday")
    said = stale_inputs(instance, LINEAGE)
    assert [line.partition(" (run")[0] for line in said] == ["accounts", "nodes"]
    assert all("was made from another version of time_windows than the newest" in line for line in said)


def test_another_day_is_seen_where_what_lies_between_is_the_same_on_both(
    instance: dg.DagsterInstance,
) -> None:
    """The accounts are those of Monday to the byte; what was counted from them until Monday is not."""
    make_all(instance, "monday")
    make(instance, WINDOWS, sha256="tuesday")
    make(instance, ACCOUNTS, sha256="accounts", time_windows_sha256="tuesday")
    (said,) = stale_inputs(instance, LINEAGE)
    assert said.startswith("nodes (run ") and "another version of time_windows" in said


def test_the_same_windows_again_are_no_other_version(instance: dg.DagsterInstance) -> None:
    make_all(instance, "monday")
    make(instance, WINDOWS, sha256="monday")
    assert stale_inputs(instance, LINEAGE) == []


def test_what_says_nothing_of_its_windows_is_of_others(instance: dg.DagsterInstance) -> None:
    make_all(instance, "monday")
    make(instance, NODES, sha256="nodes")
    (said,) = stale_inputs(instance, LINEAGE)
    assert said.startswith("nodes ")
