"""Kinds of samples and their traffic: real cars, strong own tastes, fewer visitors."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from sample_data.world import AS_OF, INTENT_START, World, build_happenings, build_world

from holley_assets.sample_data import generate_sample, oracle_scores
from holley_assets.sample_data.generate import build_vehicles
from holley_assets.sample_data.parameters import SampleParameters
from holley_assets.sample_data.people import COLD
from holley_assets.sample_data.real_cars import REAL_CARS_FILE
from holley_assets.sample_data.vehicle_names import ORPHAN_VEHICLES


@pytest.fixture(scope="module")
def real() -> World:
    return build_world(20_000, "real_cars")


def cosine(one: np.ndarray, other: np.ndarray) -> float:
    return float(one @ other / np.linalg.norm(one) / np.linalg.norm(other))


def vehicle_row(world: World, make: str, model: str, year: int) -> int:
    vehicles = world.vehicles
    rows = (vehicles.makes == make) & (vehicles.models == model)
    (row,) = np.flatnonzero(rows[vehicles.vehicle_model] & (vehicles.vehicle_year == year))
    return int(row)


def parts_of(world: World, vehicle: int) -> set[int]:
    return set(world.fits.part[world.fits.start[vehicle] : world.fits.start[vehicle + 1]].tolist())


def test_real_cars_are_those_of_the_file_each_once(real: World) -> None:
    with REAL_CARS_FILE.open(newline="") as file:
        known = {
            (row["make"], row["model"], year)
            for row in csv.DictReader(file)
            for year in range(int(row["first_year"]), int(row["last_year"]) + 1)
        }
    vehicles = real.vehicles
    model = vehicles.vehicle_model
    cars = list(
        zip(
            vehicles.makes[model].tolist(),
            vehicles.models[model].tolist(),
            vehicles.vehicle_year.tolist(),
            strict=True,
        )
    )
    assert len(known) == 10_785
    assert set(cars) <= known
    assert len(set(cars)) == len(cars)
    assert not {(make, name) for make, name, _ in cars} & set(ORPHAN_VEHICLES)
    assert all(make == make.strip().upper() and name == name.strip().upper() for make, name, _ in known)
    order = np.lexsort((vehicles.vehicle_year, model))
    np.testing.assert_array_equal(order, np.arange(len(order)))
    assert vehicles.owner_share.sum() == pytest.approx(1.0)
    assert len(vehicles.models) == real.parameters.models


def test_siblings_under_other_names_share_a_platforms_parts_and_most_of_its_tastes(real: World) -> None:
    camaro = vehicle_row(real, "CHEVROLET", "CAMARO", 1985)
    firebird = vehicle_row(real, "PONTIAC", "FIREBIRD", 1985)
    later = vehicle_row(real, "CHEVROLET", "CAMARO", 1995)
    assert real.vehicles.platform[camaro] == real.vehicles.platform[firebird]
    assert parts_of(real, camaro) == parts_of(real, firebird)
    assert parts_of(real, camaro) != parts_of(real, later)
    assert parts_of(real, camaro) & parts_of(real, later)
    tastes = real.truth.tastes
    platform = real.vehicles.platform
    # Two cars of a platform with other makes: 0.6 of the variance is shared.
    pairs = [
        (rows[0], rows[-1])
        for rows in (np.flatnonzero(platform == code) for code in np.unique(platform))
        if real.vehicles.make_code[real.vehicles.vehicle_model[rows[0]]]
        != real.vehicles.make_code[real.vehicles.vehicle_model[rows[-1]]]
    ]
    assert len(pairs) > 10
    assert 0.4 < np.mean([cosine(tastes[one], tastes[other]) for one, other in pairs]) < 0.75


def test_there_are_no_more_real_models_than_the_file_has() -> None:
    parameters = SampleParameters.resolve(
        users=475_000,
        kind="real_cars",
        seed=0,
        as_of=AS_OF,
        intent_start=INTENT_START,
        products=None,
        models=None,
        test_days=30,
    )
    with REAL_CARS_FILE.open(newline="") as file:
        models = {(row["make"], row["model"]) for row in csv.DictReader(file)} - set(ORPHAN_VEHICLES)
    vehicles = build_vehicles(parameters)
    assert len(vehicles.models) == len(models)
    assert vehicles.models[np.argmax(np.bincount(vehicles.vehicle_model, vehicles.owner_share))] == "MUSTANG"


def test_own_tastes_say_more_than_cars_in_taste_and_less_in_segment(world: World) -> None:
    taste = build_world(20_000, "taste")
    for one, stronger in ((taste, True), (world, False)):
        own = np.linalg.norm(one.truth.own_tastes, axis=1)
        cars = np.linalg.norm(one.truth.tastes, axis=1)
        assert bool(own.min() > cars.max()) is stronger
        assert bool(own.max() < cars.min()) is not stronger
    np.testing.assert_array_equal(taste.fits.part, world.fits.part)


@pytest.mark.parametrize("traffic", [0.1, 0.3, 2.0])
def test_traffic_multiplies_visitors_views_and_orders_and_leaves_clicks(traffic: float) -> None:
    full = build_happenings(build_world(8_000))
    world = build_world(8_000, traffic=traffic)
    some = build_happenings(world)
    full_world = build_world(8_000)

    def counts(one: object) -> np.ndarray:
        purchases, browsing, skus = one.purchases, one.browsing, len(world.catalogue.skus)  # type: ignore[attr-defined]
        # A crawler views every variant once, whatever the traffic.
        return np.array(
            [len(purchases.time), len(browsing.view_time) - skus, len(browsing.cart_time)], dtype=float
        )

    np.testing.assert_allclose(counts(some) / counts(full), traffic, rtol=0.15)
    active = [(one.users.tier != COLD).mean() for one in (world, full_world)]
    assert active[0] / active[1] == pytest.approx(traffic, rel=0.4)
    assert len(some.clicks.user) == pytest.approx(len(full.clicks.user), rel=0.1)
    np.testing.assert_array_equal(world.fits.part, full_world.fits.part)
    np.testing.assert_array_equal(world.truth.tastes, full_world.truth.tastes)


def test_the_truth_of_a_sample_does_not_depend_on_its_traffic(tmp_path: Path) -> None:
    tables = []
    for traffic in (0.02, 1.0):
        folder = tmp_path / f"{traffic}"
        generate_sample(
            folder,
            users=1_000,
            kind="real_cars",
            seed=4,
            as_of=AS_OF,
            intent_start=INTENT_START,
            traffic=traffic,
        )
        tables.append(oracle_scores(folder))
    assert tables[0].equals(tables[1])
