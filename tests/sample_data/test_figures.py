"""A sample's distributions stand where those of the real data stand."""

from __future__ import annotations

import datetime

import numpy as np
import pytest
from sample_data.world import CUTOFF, INTENT_START, Happenings, World

from holley_assets.sample_data.browsing import Browsing
from holley_assets.sample_data.catalogue import part_type_allowed
from holley_assets.sample_data.clicks import Clicks, click_count
from holley_assets.sample_data.fits import ranges
from holley_assets.sample_data.parameters import microseconds
from holley_assets.sample_data.people import COLD, HOT, WARM
from holley_assets.sample_data.purchases import Purchases

DAYS_OF_EVENTS = (datetime.date(2026, 1, 15) - INTENT_START).days


@pytest.fixture
def purchases(happenings: Happenings) -> Purchases:
    return happenings.purchases


@pytest.fixture
def browsing(happenings: Happenings) -> Browsing:
    return happenings.browsing


@pytest.fixture
def clicks(happenings: Happenings) -> Clicks:
    return happenings.clicks


def test_most_users_are_cold_and_activity_makes_the_tiers(
    world: World, purchases: Purchases, browsing: Browsing
) -> None:
    tiers = np.bincount(world.users.tier, minlength=3) / world.parameters.users
    np.testing.assert_allclose(tiers, [0.98, 0.015, 0.005], atol=0.003)
    cutoff, intent, users = microseconds(CUTOFF), microseconds(INTENT_START), world.parameters.users
    viewers = browsing.view_person[(browsing.view_time < cutoff) & (browsing.view_person < users)]
    carters = browsing.cart_person[(browsing.cart_time < cutoff) & (browsing.cart_person < users)]
    in_window = (purchases.time >= intent) & (purchases.time < cutoff) & (purchases.buyer < users)
    hot = np.union1d(carters, purchases.buyer[in_window])
    np.testing.assert_array_equal(np.setdiff1d(hot, np.flatnonzero(world.users.tier == HOT)), [])
    warm = np.setdiff1d(viewers, hot)
    assert np.isin(warm, np.flatnonzero(world.users.tier != COLD)).all()
    assert np.isin(np.flatnonzero(world.users.tier == WARM), warm).mean() > 0.97
    assert np.isin(np.flatnonzero(world.users.tier == HOT), hot).mean() > 0.97


def test_orders(world: World, purchases: Purchases) -> None:
    line_time = purchases.time[purchases.line_purchase]
    lines = len(line_time) / world.parameters.scale
    assert lines == pytest.approx(228_000, rel=0.15)
    assert (line_time < microseconds(INTENT_START)).mean() == pytest.approx(0.5, abs=0.05)
    assert len(line_time) / len(purchases.time) == pytest.approx(2.1, abs=0.2)
    _, purchases_of = np.unique(purchases.buyer, return_counts=True)
    assert (purchases_of > 1).mean() == pytest.approx(0.18, abs=0.03)
    registered = np.unique(purchases.buyer) < world.parameters.users
    assert 0.15 < registered.mean() < 0.4


def test_prices_of_lines(world: World, purchases: Purchases) -> None:
    price = world.catalogue.price[world.catalogue.sku_product[purchases.line_sku]]
    found = np.histogram(price, [0, 50, 100, 200, 500, 1000, np.inf])[0] / len(price)
    np.testing.assert_allclose(found, np.array([63, 25, 25, 33, 13, 12]) / 171, atol=0.12)


def test_events_a_day(world: World, browsing: Browsing) -> None:
    per_day = DAYS_OF_EVENTS * world.parameters.scale
    assert len(browsing.view_time) / per_day == pytest.approx(16_000, rel=0.1)
    assert len(browsing.cart_time) / per_day == pytest.approx(3_500, rel=0.1)
    registered = (browsing.view_person < world.parameters.users).sum()
    assert registered / world.parameters.scale == pytest.approx(75_000, rel=0.3)
    assert (np.diff(browsing.item_cart) >= 0).all()


def test_samples_of_20_000_users_and_more_have_enough_clicks_to_decide(world: World, clicks: Clicks) -> None:
    assert clicks.viewed.sum() >= 2_500
    assert len(np.unique(clicks.user[clicks.viewed])) >= 1_800
    assert (world.users.tier[clicks.user] == COLD).mean() > 0.85
    assert (world.users.tier[clicks.user] != COLD).sum() > 100
    assert 2_000 <= click_count(475_000) <= 5_000
    assert click_count(2_000) == pytest.approx(click_count(20_000) / 10, rel=0.01)


def test_a_clicks_view_comes_within_the_half_hour_and_others_do_not(world: World, clicks: Clicks) -> None:
    own = clicks.view_time[: clicks.viewed.sum()] - clicks.time[clicks.viewed]
    assert ((own > 0) & (own < 30 * 60_000_000)).all()
    np.testing.assert_array_equal(
        world.catalogue.sku_product[clicks.view_sku[: len(own)]],
        world.fits.part[clicks.entry[clicks.viewed]],
    )
    assert 0.1 < (~clicks.viewed).mean() < 0.22


def test_owners_gather_on_a_few_vehicles(world: World) -> None:
    share = np.bincount(world.vehicles.vehicle_model, world.vehicles.owner_share)
    assert world.vehicles.models[np.argmax(share)] == "MUSTANG"
    model = world.vehicles.vehicle_model
    top = np.argsort(-world.vehicles.owner_share)[:3]
    assert (1969, "CAMARO") in {
        (int(world.vehicles.vehicle_year[row]), str(world.vehicles.models[model[row]])) for row in top
    }
    assert np.sort(share)[::-1][:20].sum() > 0.5


def test_vehicles_have_hundreds_of_parts_and_parts_fit_for_years(world: World) -> None:
    plausible = world.catalogue.plausible[world.fits.part]
    parts = np.bincount(world.fits.vehicle[plausible], minlength=len(world.vehicles.vehicle_model))
    assert parts.mean() == pytest.approx(350 * (world.catalogue.products / 25_000) ** 0.2, rel=0.02)
    model = world.vehicles.vehicle_model[world.fits.vehicle]
    pair = world.fits.part.astype(np.int64) * len(world.vehicles.models) + model
    order = np.lexsort((world.vehicles.vehicle_year[world.fits.vehicle], pair))
    year = world.vehicles.vehicle_year[world.fits.vehicle[order]]
    first = np.flatnonzero(np.diff(pair[order], prepend=-1))
    span = year[np.append(first[1:], len(year)) - 1] - year[first] + 1
    assert np.median(span) == pytest.approx(8, abs=2)
    assert np.percentile(span, 90) == pytest.approx(23, abs=4)
    breadth = np.bincount(world.fits.part, minlength=world.catalogue.products)
    assert np.percentile(breadth, 99) > 5 * np.median(breadth)


def test_a_part_fits_a_vehicle_once_and_only_in_years_it_was_built(world: World) -> None:
    entry, _ = ranges(world.fits.start[:-1], world.fits.start[1:])
    np.testing.assert_array_equal(entry, world.fits.vehicle)
    pair = world.fits.vehicle.astype(np.int64) * world.catalogue.products + world.fits.part
    assert len(np.unique(pair)) == len(pair)


def test_new_products_are_neither_bought_nor_viewed_before_they_are_on_sale(
    world: World, purchases: Purchases, browsing: Browsing
) -> None:
    launch = world.catalogue.launch_day[world.catalogue.sku_product] * 86_400_000_000
    assert (launch > microseconds(INTENT_START)).mean() > 0.02
    assert (purchases.time[purchases.line_purchase] >= launch[purchases.line_sku]).all()
    assert (browsing.view_time >= launch[browsing.view_sku]).all()
    assert (launch < microseconds(CUTOFF)).all()


def test_a_tail_of_parts_is_bought_for_the_first_time(world: World, purchases: Purchases) -> None:
    now = purchases.time[purchases.line_purchase] >= microseconds(INTENT_START)
    unseen = ~np.isin(np.unique(purchases.line_sku[now]), purchases.line_sku[~now])
    assert unseen.mean() > 0.2


@pytest.mark.parametrize(
    ("name", "allowed"),
    [
        ("Carburetor", True),
        ("Carburetor Gasket", False),
        ("Window Decal Set", False),
        ("Woodruff Key", False),
        ("Flat Washer", False),
        ("Hose Clamp", False),
        ("Flywheel Bolt", False),
        ("Engine Bolt Kit", True),
        ("Engine Cylinder Head Bolt", True),
        ("Radiator Cap", False),
        ("Distributor Cap and Rotor Kit", True),
        ("Wheel Hub Cap", True),
        ("Wheel Cap Set", True),
        ("UNKNOWN", True),
    ],
)
def test_part_types_that_the_rules_exclude(name: str, allowed: bool) -> None:
    assert part_type_allowed(name) is allowed
