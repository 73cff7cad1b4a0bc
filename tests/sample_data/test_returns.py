"""Views, orders and clicks that go back to what their person had met."""

from __future__ import annotations

import numpy as np
import pytest
from sample_data.world import CUTOFF, Happenings, World, build_happenings, build_world

from holley_assets.sample_data.browsing import Views, _with_returns
from holley_assets.sample_data.met_parts import MetParts
from holley_assets.sample_data.oracle import user_scores_table
from holley_assets.sample_data.parameters import microseconds
from holley_assets.sample_data.people import COLD


@pytest.fixture(scope="module")
def always() -> tuple[World, Happenings]:
    """A world in which whoever can go back to something does."""
    world = build_world(4_000, return_share=1.0)
    return world, build_happenings(world)


def test_later_sessions_go_back_to_what_earlier_ones_viewed() -> None:
    """By hand: person 0 has sessions at 10 (two views) and 20; person 1 one session; person 2 two of one view."""
    person = np.array([0, 0, 0, 0, 1, 1, 2, 2])
    session = np.array([10, 10, 20, 20, 10, 10, 5, 30])
    views = Views(person, np.arange(8), np.arange(100, 108), np.arange(200, 208))
    result = _with_returns(views, session, 1.0, np.random.default_rng(0))
    np.testing.assert_array_equal(result.entry[[0, 1, 4, 5, 6]], [100, 101, 104, 105, 106])
    assert set(result.entry[2:4]) <= {100, 101}
    assert result.entry[7] == 106
    np.testing.assert_array_equal(result.sku - result.entry, 100)
    never = _with_returns(views, session, 0.0, np.random.default_rng(0))
    np.testing.assert_array_equal(never.entry, views.entry)


def test_a_return_to_a_return_ends_at_the_part_that_was_viewed_first() -> None:
    """One person, one view a session: with every later one a return, all are of the first part."""
    views = Views(np.zeros(50, int), np.arange(50), np.arange(50), np.arange(50))
    result = _with_returns(views, np.arange(50), 1.0, np.random.default_rng(1))
    np.testing.assert_array_equal(result.entry, 0)


def test_met_parts_are_viewed_or_in_the_cart_before_the_cutoff_and_not_bought(
    always: tuple[World, Happenings],
) -> None:
    world, happenings = always
    browsing, purchases, met = happenings.browsing, happenings.purchases, happenings.met
    user = np.repeat(np.arange(world.parameters.users), met.amount(np.arange(world.parameters.users)))
    part = world.fits.part[met.entry]
    np.testing.assert_array_equal(world.fits.vehicle[met.entry], world.users.vehicle[user])
    assert world.catalogue.plausible[part].all()
    product = world.catalogue.sku_product
    viewed = browsing.view_time < microseconds(CUTOFF)
    carted = browsing.cart_time[browsing.item_cart] < microseconds(CUTOFF)
    seen = set(zip(browsing.view_person[viewed], product[browsing.view_sku[viewed]], strict=True)) | set(
        zip(browsing.cart_person[browsing.item_cart][carted], product[browsing.item_sku[carted]], strict=True)
    )
    bought = set(zip(purchases.buyer[purchases.line_purchase], product[purchases.line_sku], strict=True))
    found = set(zip(user, part, strict=True))
    assert found
    assert found <= seen - bought
    assert (world.users.tier[user] != COLD).all()


def test_clicks_go_back_where_there_is_something_to_go_back_to(always: tuple[World, Happenings]) -> None:
    world, happenings = always
    clicks, met = happenings.clicks, happenings.met
    user = np.repeat(np.arange(world.parameters.users), met.amount(np.arange(world.parameters.users)))
    pairs = set(zip(user, met.entry, strict=True))
    able = met.amount(clicks.user) > 0
    assert able.sum() > 10
    assert all(pair in pairs for pair in zip(clicks.user[able], clicks.entry[able], strict=True))
    never = build_happenings(build_world(4_000, return_share=0.0)).clicks
    assert np.mean([pair in pairs for pair in zip(never.user[able], never.entry[able], strict=True)]) < 0.5


def test_orders_go_back_to_a_view_of_an_earlier_day(always: tuple[World, Happenings]) -> None:
    world, happenings = always
    purchases, browsing = happenings.purchases, happenings.browsing
    day = 86_400_000_000
    product = world.catalogue.sku_product
    launched = world.catalogue.launch_day[product[purchases.line_sku]] * day
    time = purchases.time[purchases.line_purchase]
    # Late enough for every earlier view to be in the window and on sale.
    line = np.flatnonzero(time > np.maximum(microseconds(world.parameters.intent_start), launched) + 21 * day)
    first: dict[tuple[int, int], int] = {}
    for person, part, when in zip(
        browsing.view_person, product[browsing.view_sku], browsing.view_time, strict=True
    ):
        first[person, part] = min(when, first.get((person, part), when))
    buyer = purchases.buyer[purchases.line_purchase]
    ahead = [time[row] - first[buyer[row], product[purchases.line_sku[row]]] for row in line]
    assert len(ahead) > 100
    assert min(ahead) >= day


def test_scores_of_users_are_their_own_choice_and_what_they_met(world: World, happenings: Happenings) -> None:
    """By hand for one user who met part a twice and part b once: 0.7 · own + 0.3 · (2/3 for a, 1/3 for b)."""
    people = np.unique(happenings.clicks.user)
    user = people[world.users.tier[people] != COLD][0]
    vehicle = world.users.vehicle[user]
    taste = world.shop.own_taste(np.array([user]))
    _, entry, own = world.click_demand.own_probabilities(np.array([vehicle]), taste)
    a, b = entry[own > 0.0][[4, 1]]
    start = np.zeros(world.parameters.users + 1, int)
    start[user + 1 :] = 3
    met = MetParts(start, np.array([a, b, a]))
    table = user_scores_table(
        world.parameters, world.shop, world.click_demand, happenings.clicks, met
    ).to_pandas()
    mine = table[table["email_lower"] == world.users.emails[user].as_py()]
    found = dict(zip(mine["base_sku"], np.exp(mine["score"]), strict=True))
    expected = 0.7 * own
    expected[entry == a] += 0.3 * 2 / 3
    expected[entry == b] += 0.3 / 3
    skus = world.catalogue.base_skus[world.fits.part[entry]]
    assert world.parameters.return_share == 0.3
    assert found.keys() == set(skus[expected > 0.0])
    np.testing.assert_allclose([found.get(sku, 0.0) for sku in skus], expected, rtol=1e-9)
    # Who met nothing is given the own choice alone.
    other = people[world.users.tier[people] != COLD][1]
    theirs = table[table["email_lower"] == world.users.emails[other].as_py()]
    _, _, alone = world.click_demand.own_probabilities(
        world.users.vehicle[[other]], world.shop.own_taste(np.array([other]))
    )
    np.testing.assert_allclose(np.sort(np.exp(theirs["score"])), np.sort(alone[alone > 0.0]), rtol=1e-9)
    assert set(table["email_lower"]) == {
        world.users.emails[row].as_py() for row in people if world.users.tier[row] != COLD
    }
