"""Plausible rankings, clicks and catalogues for the evaluation tests."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from holley_assets.evaluation.report import RunIdentity
from holley_assets.evaluation.systems import SYSTEM_NAMES

PART_TYPES = ("Carburetor", "Intake Manifold", "Exhaust Header", "Fuel Pump", "Camshaft", "Wheel", None)


@dataclass(frozen=True)
class World:
    """Everything that a report is built from."""

    run: RunIdentity
    clicks: pa.Table
    users: pa.Table
    rankings: pa.Table
    products: pa.Table


def make_world(*, users: int = 400, products: int = 300, skill: float = 0.35, seed: int = 0) -> World:
    """Users who click parts; systems of different skill put the clicked part first with some probability."""
    random = np.random.default_rng(seed)
    skus = np.array([f"550-{number:04d}" for number in range(products)])
    emails = np.array([f"user{number:06d}@example.com" for number in range(users)])
    tiers = np.array(["cold", "warm", "hot"])[random.choice(3, size=users, p=[0.9, 0.07, 0.03])]
    clicked = random.integers(0, products, size=users)
    depth = 20
    tables = []
    for system, share in zip(
        SYSTEM_NAMES, (skill, skill * 0.9, skill * 0.75, skill * 0.7, skill * 0.6, 0.02), strict=True
    ):
        ranking = random.permuted(np.tile(np.arange(products), (users, 1)), axis=1)[:, :depth]
        hit_at = random.geometric(0.25, size=users) - 1
        placed = (
            (random.random(users) < share) & (hit_at < depth) & ~(ranking == clicked[:, None]).any(axis=1)
        )
        ranking[placed, hit_at[placed]] = clicked[placed]
        scores = -np.sort(-random.normal(0.4, 0.15, size=(users, depth)), axis=1)
        tables.append(
            pa.table(
                {
                    "email_lower": np.repeat(emails, depth),
                    "system": [system] * (users * depth),
                    "rank": np.tile(np.arange(1, depth + 1), users),
                    "base_sku": skus[ranking.ravel()],
                    "score": scores.ravel(),
                }
            )
        )
    catalogue = pa.table(
        {
            "base_sku": skus,
            "part_type": pa.array(
                [PART_TYPES[i] for i in random.integers(0, len(PART_TYPES), size=products)]
            ),
            "log_popularity": np.log1p(random.zipf(1.6, size=products) - 1.0),
        }
    )
    return World(
        run=RunIdentity("run-1", datetime.date(2026, 2, 1), datetime.date(2026, 1, 2), "v1"),
        clicks=pa.table({"email_lower": emails, "base_sku": skus[clicked]}),
        users=pa.table({"email_lower": emails, "engagement_tier": tiers}),
        rankings=pa.concat_tables(tables),
        products=catalogue,
    )


def count_like(world: World, system: str) -> pa.Table:
    """Rankings of the controls: one equals ``system``, the other ``random``; by car it is ``gnn``."""
    tables = []
    systems = {"fitted_popularity": system, "counted_popularity": "random", "visitor_demand": "gnn"}
    for control, like in systems.items():
        rankings = world.rankings.filter(pc.equal(world.rankings["system"], like))
        names = pa.array([control] * rankings.num_rows)
        tables.append(rankings.set_column(rankings.schema.get_field_index("system"), "system", names))
    return pa.concat_tables(tables)


@pytest.fixture(scope="session")
def control_like() -> Callable[[World, str], pa.Table]:
    """:func:`count_like`."""
    return count_like


@pytest.fixture(scope="session")
def world() -> World:
    """A small world that all tests may share: tables are immutable."""
    return make_world()


@pytest.fixture(scope="session")
def build_world() -> Callable[..., World]:
    """:func:`make_world`, for tests that need another world."""
    return make_world
