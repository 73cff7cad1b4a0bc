"""Samples that several test files read, and the world behind one of them."""

from __future__ import annotations

from pathlib import Path

import pytest
from sample_data.world import AS_OF, INTENT_START, Happenings, World, build_happenings, build_world

from holley_assets.sample_data import generate_sample


@pytest.fixture(scope="session")
def world() -> World:
    """The world of a sample of 20,000 users."""
    return build_world(20_000)


@pytest.fixture(scope="session")
def happenings(world: World) -> Happenings:
    """What the people of that world did."""
    return build_happenings(world)


@pytest.fixture(scope="session")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sample of 4,000 users on disk."""
    folder = tmp_path_factory.mktemp("samples") / "segment"
    generate_sample(folder, users=4_000, kind="segment", seed=3, as_of=AS_OF, intent_start=INTENT_START)
    return folder
