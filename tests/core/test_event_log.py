"""The one reader of materializations."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from holley_assets.core.event_log import materializations, newest_materialization

ASSET = dg.AssetKey("table")
PACKAGE = Path(__file__).parents[2] / "holley_assets"


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    """A log with 45 materializations of the asset, numbered from 0, and one of another."""
    with dg.DagsterInstance.ephemeral() as opened:
        for number in range(45):
            opened.report_runless_asset_event(dg.AssetMaterialization(ASSET, metadata={"number": number}))
        opened.report_runless_asset_event(dg.AssetMaterialization("other", metadata={"number": 99}))
        yield opened


def test_all_are_read_newest_first_over_pages(instance: dg.DagsterInstance) -> None:
    read = list(materializations(instance, ASSET))
    assert [made.metadata["number"] for made in read] == list(range(44, -1, -1))
    assert all(one.storage_id > two.storage_id for one, two in itertools.pairwise(read))
    assert all(one.at >= two.at for one, two in itertools.pairwise(read))


@pytest.mark.parametrize("limit", [0, 1, 19, 20, 21, 44, 45, 46])
def test_a_limit_is_kept_within_and_across_pages(instance: dg.DagsterInstance, limit: int) -> None:
    read = [made.metadata["number"] for made in materializations(instance, ASSET, limit=limit)]
    assert read == list(range(44, 44 - min(limit, 45), -1))


def test_the_newest_is_the_first_and_none_without_any(instance: dg.DagsterInstance) -> None:
    newest = newest_materialization(instance, ASSET)
    assert newest is not None
    assert newest.metadata["number"] == 44
    assert newest_materialization(instance, dg.AssetKey("never_made")) is None


def test_nobody_else_pages_through_the_log() -> None:
    readers = [
        path.relative_to(PACKAGE).as_posix()
        for path in sorted(PACKAGE.rglob("*.py"))
        if "fetch_materializations" in path.read_text(encoding="utf-8")
    ]
    assert readers == ["core/event_log.py"]
