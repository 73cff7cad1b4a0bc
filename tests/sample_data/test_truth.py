"""The truth behind a sample: choices follow it, the oracle tells it, and a null world has no tastes."""

from __future__ import annotations

import datetime
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from sample_data.world import AS_OF, INTENT_START, Happenings, World, build_world

from holley_assets.sample_data import generate_sample, oracle_scores, oracle_user_scores
from holley_assets.sample_data.parameters import SampleKind
from holley_assets.sample_data.people import COLD

DRAWS = 200_000


def frequencies(entry: np.ndarray, world: World, vehicle: int) -> np.ndarray:
    """Share of each of a vehicle's parts among choices."""
    start, stop = world.fits.start[vehicle], world.fits.start[vehicle + 1]
    return np.bincount(entry - start, minlength=stop - start) / len(entry)


def total_variation(one: np.ndarray, other: np.ndarray) -> float:
    """Half the absolute difference of two distributions: 0 where equal, 1 where disjoint."""
    return float(np.abs(one - other).sum() / 2)


def expected_variation(probability: np.ndarray, draws: int) -> float:
    """Total variation that sampling alone gives: mean absolute deviation of binomial shares, √(2pq/πn)."""
    return float(np.sqrt(2 * probability * (1 - probability) / np.pi / draws).sum() / 2)


def logit(utility: np.ndarray) -> np.ndarray:
    """Shares of the exponentials along the last axis."""
    weight: np.ndarray = np.exp(utility)
    return np.asarray(weight / weight.sum(axis=-1, keepdims=True))


def utilities(world: World, vehicle: int) -> np.ndarray:
    """[K, parts] utilities of a vehicle's parts for people with each own taste, from the definition."""
    part = world.fits.part[world.fits.start[vehicle] : world.fits.start[vehicle + 1]]
    tastes = world.truth.tastes[vehicle] + world.truth.own_tastes
    return np.asarray(world.truth.popularity[part] + tastes @ world.truth.traits[part].T)


def test_owners_choose_with_the_mean_of_the_logit_probabilities_of_all_own_tastes(world: World) -> None:
    vehicle = int(np.argmax(world.vehicles.owner_share))
    start, stop = world.fits.start[vehicle], world.fits.start[vehicle + 1]
    probability = logit(utilities(world, vehicle)).mean(axis=0)
    np.testing.assert_allclose(world.demand.probability[start:stop], probability, rtol=1e-9)
    people = np.arange(DRAWS) + world.parameters.users
    entry = world.shop.entries(people, np.full(DRAWS, vehicle), np.random.default_rng(0))
    found = total_variation(frequencies(entry, world, vehicle), probability)
    assert found < 1.3 * expected_variation(probability, DRAWS)


def test_a_second_line_of_the_same_system_has_the_same_distribution(world: World) -> None:
    random = np.random.default_rng(1)
    vehicle = int(np.argmax(world.vehicles.owner_share))
    taste = world.shop.own_taste(np.arange(DRAWS))
    first = world.demand.draw(np.full(DRAWS, vehicle), taste, random)
    second = world.demand.draw_like(first, taste, world.catalogue.system, random)
    system = world.catalogue.system[world.fits.part]
    np.testing.assert_array_equal(system[first], system[second])
    probability = world.demand.probability[world.fits.start[vehicle] : world.fits.start[vehicle + 1]]
    # Systems repeat, so that half as many draws are independent at worst.
    found = total_variation(frequencies(second, world, vehicle), probability)
    assert found < 2.0 * expected_variation(probability, DRAWS)


def test_own_tastes_shift_the_choice_of_their_person_alone(world: World) -> None:
    vehicle = int(np.argmax(world.vehicles.owner_share))
    start = world.fits.start[vehicle]
    tastes = np.array([3, 5])
    person, entry, probability = world.demand.own_probabilities(np.array([vehicle, vehicle]), tastes)
    expected = logit(utilities(world, vehicle)[tastes])
    np.testing.assert_allclose(probability, expected.ravel(), rtol=1e-9)
    np.testing.assert_array_equal(person, np.repeat([0, 1], expected.shape[1]))
    np.testing.assert_array_equal(entry[person == 1] - start, np.arange(expected.shape[1]))
    chosen = world.demand.draw(
        np.full(2 * DRAWS, vehicle), np.repeat(tastes, DRAWS), np.random.default_rng(2)
    )
    for row, half in enumerate((chosen[:DRAWS], chosen[DRAWS:])):
        found = total_variation(frequencies(half, world, vehicle), expected[row])
        assert found < 1.3 * expected_variation(expected[row], DRAWS)
    assert total_variation(*expected) > 0.2


def test_draws_are_the_same_however_many_entries_are_expanded_at_once(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    random = np.random.default_rng(5)
    vehicle = world.shop.draw_vehicles(4_000, random)
    taste = world.shop.own_taste(np.arange(4_000))
    whole = world.demand.draw(vehicle, taste, np.random.default_rng(6))
    monkeypatch.setattr("holley_assets.sample_data.demand.CHUNK_ENTRIES", 5_000)
    np.testing.assert_array_equal(world.demand.draw(vehicle, taste, np.random.default_rng(6)), whole)
    start, stop = world.fits.start[vehicle], world.fits.start[vehicle + 1]
    assert ((start <= whole) & (whole < stop)).all()
    assert len(world.demand.draw(vehicle[:0], taste[:0], random)) == 0


def test_everybody_keeps_one_own_taste_and_all_are_equally_likely(world: World) -> None:
    taste = world.shop.own_taste(np.arange(DRAWS))
    np.testing.assert_array_equal(taste[7_000:7_100], world.shop.own_taste(np.arange(7_000, 7_100)))
    amount = np.bincount(taste, minlength=len(world.truth.own_tastes))
    expected = DRAWS / len(amount)
    assert np.abs(amount - expected).max() < 4.5 * np.sqrt(expected)
    # Neighbours are as strange to each other as anybody.
    assert (taste[1:] == taste[:-1]).mean() == pytest.approx(1 / len(amount), abs=0.003)
    np.testing.assert_allclose(world.truth.own_tastes.sum(axis=0), 0.0, atol=1e-12)


def mean_log_probability(world: World, entry: np.ndarray) -> tuple[float, float, float]:
    """Mean log-probability of clicks on ``entry``, what the oracle expects for the vehicles, and the error."""
    probability, fits = world.click_demand.probability, world.fits
    log_probability = np.log(np.where(probability > 0.0, probability, 1.0))
    count = len(fits.start) - 1
    mean = np.bincount(fits.vehicle, probability * log_probability, count)
    square = np.bincount(fits.vehicle, probability * log_probability**2, count)
    vehicle = fits.vehicle[entry]
    error = np.sqrt((square - mean**2)[vehicle].sum()) / len(vehicle)
    return float(log_probability[entry].mean()), float(mean[vehicle].mean()), float(error)


def test_the_clicks_of_a_sample_come_as_often_as_the_oracle_says(
    world: World, happenings: Happenings
) -> None:
    """Over all cold clickers, the probability of what they clicked is what the truth leads to expect."""
    clicks = happenings.clicks
    fresh = world.users.tier[clicks.user] == COLD
    found, expected, error = mean_log_probability(world, clicks.entry[fresh])
    assert found == pytest.approx(expected, abs=4 * error)
    assert world.catalogue.plausible[world.fits.part[clicks.entry]].all()


@pytest.mark.parametrize("kind", ["segment", "taste", "real_cars"])
def test_visits_follow_the_truth_of_clicks(kind: SampleKind) -> None:
    """What visitors view among plausible parts has the probabilities of clicks, up to the visitors' own tastes."""
    world = build_world(20_000, kind)
    people = np.arange(DRAWS) + world.parameters.users
    vehicle = world.shop.draw_vehicles(DRAWS, np.random.default_rng(8))
    entry = world.shop.entries(people, vehicle, np.random.default_rng(9))
    plausible = world.catalogue.plausible[world.fits.part]
    found, expected, _ = mean_log_probability(world, entry[plausible[entry]])
    # Own tastes for implausible parts make some people's plausible views rarer than their clicks.
    assert found == pytest.approx(expected, abs=0.04)


def test_the_oracle_tells_a_distribution_for_each_vehicle(sample: Path) -> None:
    scores = oracle_scores(sample).to_pandas()
    assert not scores.duplicated(["year", "make", "model", "base_sku"]).any()
    total = np.exp(scores["score"]).groupby([scores["year"], scores["make"], scores["model"]]).sum()
    np.testing.assert_allclose(total, 1.0, rtol=1e-9)
    people = oracle_user_scores(sample).to_pandas()
    np.testing.assert_allclose(np.exp(people["score"]).groupby(people["email_lower"]).sum(), 1.0, rtol=1e-9)


def within_vehicle_spread(folder: Path) -> float:
    """How much the difference of two parts' scores varies between the vehicles both fit."""
    scores = oracle_scores(folder).to_pandas()
    wide = scores.pivot_table(index=["year", "make", "model"], columns="base_sku", values="score")
    broadest = wide.count().nlargest(12).index
    difference = wide[broadest].sub(wide[broadest[0]], axis=0)
    return float(difference.std().max())


def test_a_null_world_ranks_parts_alike_for_all_vehicles(tmp_path: Path, sample: Path) -> None:
    generate_sample(
        tmp_path / "null", users=1_500, kind="null", seed=3, as_of=AS_OF, intent_start=INTENT_START
    )
    assert within_vehicle_spread(tmp_path / "null") < 1e-9
    assert within_vehicle_spread(sample) > 0.5


def test_a_null_world_has_the_same_parts_vehicles_and_users_and_no_own_tastes() -> None:
    segment, null = build_world(1_000), build_world(1_000, "null")
    assert segment.catalogue.skus.equals(null.catalogue.skus)
    np.testing.assert_array_equal(segment.fits.part, null.fits.part)
    np.testing.assert_array_equal(segment.users.vehicle, null.users.vehicle)
    np.testing.assert_array_equal(segment.truth.popularity, null.truth.popularity)
    assert not null.truth.tastes.any()
    assert not null.truth.own_tastes.any()
    assert segment.truth.tastes.any()


def test_overall_sales_of_a_null_world_tell_popularity_whatever_a_part_fits() -> None:
    """Guests buy by popularity alone: how many vehicles a part fits says nothing beyond its sales."""
    null = build_world(2_000, "null")
    guests = np.full(DRAWS, null.parameters.users)
    entry = null.shop.entries(
        guests, null.shop.draw_vehicles(DRAWS, np.random.default_rng(3)), np.random.default_rng(4)
    )
    sold = np.bincount(null.fits.part[entry], minlength=null.catalogue.products) / DRAWS
    weight = np.exp(null.truth.popularity) * (np.bincount(null.fits.part, minlength=len(sold)) > 0)
    probability = weight / weight.sum()
    assert total_variation(sold, probability) < 1.3 * expected_variation(probability, DRAWS)


def test_siblings_of_a_generation_share_their_tastes_but_for_the_make(world: World) -> None:
    vehicles, tastes = world.vehicles, world.truth.tastes
    model = vehicles.vehicle_model

    def taste(make: str, name: str, year: int) -> np.ndarray:
        row = (vehicles.makes[model] == make) & (vehicles.models[model] == name)
        return np.asarray(tastes[row & (vehicles.vehicle_year == year)][0])

    def cosine(one: np.ndarray, other: np.ndarray) -> float:
        return float(one @ other / np.linalg.norm(one) / np.linalg.norm(other))

    camaro = taste("CHEVROLET", "CAMARO", 1969)
    np.testing.assert_array_equal(camaro, taste("CHEVROLET", "CAMARO", 1967))
    assert cosine(camaro, taste("PONTIAC", "FIREBIRD", 1969)) > 0.4
    every = tastes / np.linalg.norm(tastes, axis=1, keepdims=True)
    assert abs(float((every @ every.T).mean())) < 0.3


def test_most_demand_is_for_what_an_oracle_ranks_first_and_less_for_what_is_popular(world: World) -> None:
    """The gap that a graph can close: four best parts of the vehicle against the four most popular ones."""
    share = world.vehicles.owner_share
    probability = world.click_demand.probability
    popularity = np.where(
        world.catalogue.plausible, np.bincount(world.fits.part, probability * share[world.fits.vehicle]), -1.0
    )

    def covered(score: np.ndarray) -> float:
        order = np.lexsort((-score, world.fits.vehicle))
        rank = np.arange(len(order)) - world.fits.start[world.fits.vehicle[order]]
        top = order[rank < 4]
        return float((probability[top] * share[world.fits.vehicle[top]]).sum())

    oracle, popular = covered(probability), covered(popularity[world.fits.part])
    assert 0.25 < oracle < 0.5
    assert popular < 0.5 * oracle


def test_as_of_is_the_end_of_everything_but_a_few_wrong_clocks(sample: Path) -> None:
    end = datetime.datetime(AS_OF.year, AS_OF.month, AS_OF.day, tzinfo=datetime.UTC)
    for table, column in (
        ("ingestion_unified_schema_incremental", "client_event_timestamp"),
        ("treatment_interaction", "interaction_timestamp_micros"),
        ("ingestion_unified_attributes_schema_incremental", "update_timestamp"),
    ):
        times = pq.read_table(sample / f"{table}.parquet", columns=[column])[column].drop_null().to_pylist()
        late = sum(time >= end for time in times)
        assert late <= 0.001 * len(times)
