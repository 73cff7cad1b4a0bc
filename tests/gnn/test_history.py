"""This very part, and what goes with it: answers worked out by hand."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pyarrow as pa
import pytest
import torch
from gnn.history_world import AS_OF, CUTOFF, KIND_WEIGHT, Visit, added_to, history_tables, learn_from

from holley_assets.gnn.history import (
    COMPONENTS,
    Base,
    HistoryEvents,
    Parts,
    blocks_of,
    conversion,
    pairs_of,
    similarity,
)
from holley_assets.gnn.history_tables import learn, read_histories, read_parts, score
from holley_assets.gnn.history_weights import HeldOut, HistoryWeights, fit_weights, hold_out

PARTS = [f"P{number:02}" for number in range(20)]


def only(**weights: float) -> HistoryWeights:
    """These weights, and no others."""
    values = np.array([weights.get(name, 0.0) for name in COMPONENTS])
    assert values.astype(bool).sum() == len(weights)
    return HistoryWeights(values, 0, 0, 0, 0.0)


def returning(users: int, *, first: str = "view", then: str = "order") -> list[Visit]:
    """Customers who meet one part on one day and the same part on a later one."""
    return [
        (f"r{number:03}", before, kind, PARTS[number % len(PARTS)])
        for number in range(users)
        for before, kind in ((9, first), (5, then))
    ]


def wandering(users: int) -> list[Visit]:
    """Customers who look at one part on one day and at another on a later one."""
    return [
        (f"w{number:03}", before, "view", PARTS[(number + shift) % len(PARTS)])
        for number in range(users)
        for before, shift in ((9, 0), (5, 1 + number % 19))
    ]


def test_similarity_is_the_cosine_of_the_people_who_met_each_part() -> None:
    """8 of 16 and of 25 people: 8 / 20; 3 of 16 and of 4: 3 / 8. Part 3 has nobody."""
    found = similarity(
        np.array([0, 0]), np.array([1, 2]), np.array([8.0, 3.0]), np.array([16.0, 25.0, 4.0, 0.0])
    )
    expected = np.zeros((4, 4))
    expected[0, 1] = expected[1, 0] = 0.4
    expected[0, 2] = expected[2, 0] = 0.375
    assert found.toarray() == pytest.approx(expected)
    nearest = similarity(
        np.array([0, 0]), np.array([1, 2]), np.array([8.0, 3.0]), np.array([16.0, 25.0, 4.0, 0.0]), 1
    )
    expected[0, 2] = 0.0
    assert nearest.toarray() == pytest.approx(expected)


def test_conversion_is_relative_to_all_and_careful_with_few_visitors() -> None:
    """30 buyers of 120 visitors are a quarter: (20 + 2.5) / (50 + 10) / 0.25, (10 + 2.5) / (70 + 10) / 0.25."""
    assert conversion(np.array([20.0, 10.0]), np.array([50.0, 70.0])) == pytest.approx([1.5, 0.625])
    assert conversion(np.zeros(2), np.array([50.0, 70.0])) == pytest.approx([1.0, 1.0])


def test_components_of_a_history_by_hand() -> None:
    """One owner, four parts that fit and are as likely as each other, and part 4 that does not fit.

    Part 0 viewed 30 and 14 days ago, part 1 put in the cart 7 days ago, part 2 viewed 20 and ordered 10 days ago,
    part 3 viewed 6 and ordered 500 days ago.
    """
    events = HistoryEvents(
        np.zeros(7, np.int64),
        np.array([0, 0, 1, 2, 2, 3, 3]),
        np.array([1000, 1016, 1023, 1010, 1020, 530, 1024]),
        np.array([0, 0, 1, 0, 2, 2, 0]),
    )
    # Part 0 goes with 1 (0.4) and with 4, which does not fit; part 2 was bought with 0 (0.5).
    co_viewed, co_purchased = np.zeros((5, 5)), np.zeros((5, 5))
    co_viewed[0, 1] = co_viewed[1, 0] = 0.4
    co_viewed[0, 4] = co_viewed[4, 0] = 0.9
    co_purchased[2, 0] = co_purchased[0, 2] = 0.5
    sparse = [similarity(*_pairs(matrix), np.ones(5)) for matrix in (co_viewed, co_purchased)]
    parts = Parts(np.array([2.0, 1.0, 1.0, 1.0, 1.0]), *sparse)
    base = Base(torch.ones(1, 1), torch.zeros(5, 1), np.array([0]), np.array([0, 4]), np.arange(4))
    found = pairs_of(events, np.array([1030]), parts, base, slice(0, 1))
    assert found.product.tolist() == [0, 1, 3]
    assert found.base == pytest.approx([0.25, 0.25, 0.25])
    assert found.bought == pytest.approx([0.25])
    by_name = {name: found.components[:, column].tolist() for column, name in enumerate(COMPONENTS)}
    assert by_name["viewed_ever_alike"] == [1, 0, 1]
    assert by_name["viewed_week_alike"] == pytest.approx([math.exp(-2), 0, math.exp(-6 / 7)])
    assert by_name["viewed_month_conversion"] == pytest.approx([2 * math.exp(-14 / 30), 0, math.exp(-6 / 30)])
    assert by_name["viewed_ever_taste"] == pytest.approx([1, 0, 1])
    assert by_name["cart_week_alike"] == pytest.approx([0, math.exp(-1), 0])
    # Four parts were met, two were bought.
    assert by_name["co_viewed_alike"] == pytest.approx([0.1, 0.1, 0])
    assert by_name["co_purchased_alike"] == pytest.approx([0.25, 0, 0])
    assert by_name["seen_co_purchased"] == pytest.approx([0.25, 0, 0])


def _pairs(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    one, other = np.nonzero(np.triu(matrix))
    return one, other, matrix[one, other]


def test_a_weight_is_a_share_of_all_choices_and_adds_to_the_logit_of_its_part_alone() -> None:
    """Twenty parts alike: 1/20 each. A weight of 0.2 for a viewed part: ln((0.05 + 0.2) / 0.05) = ln 5."""
    tables = history_tables([("sarah", 3, "view", "P07")], PARTS)
    found = added_to(tables, only(viewed_ever_alike=0.2))
    assert found == {"sarah": {"P07": pytest.approx(math.log(5))}}


def test_a_part_that_was_viewed_and_not_bought_comes_first() -> None:
    """Forty of hundred come back to what they saw; nothing tells the parts apart otherwise."""
    visits = [*returning(40), *wandering(60), ("sarah", 3, "view", "P07")]
    tables = history_tables(visits, PARTS, appeal={"P01": 1.0})
    weights = learn_from(tables)
    assert weights.visits == 100, "Sarah came once"
    assert weights.returns == 40
    added = added_to(tables, weights)["sarah"]
    logits = {sku: added.get(sku, 0.0) + (sku == "P01") for sku in PARTS}
    assert max(logits, key=lambda sku: logits[sku]) == "P07"


def test_sarah_finds_what_goes_with_what_she_bought() -> None:
    """She bought P05 last month. Thirty others bought it, and P13 on a later day; three did so of any other pair."""
    followers = [
        (f"f{number:03}", before, "order", sku)
        for number in range(30)
        for before, sku in ((40, "P05"), (5, "P13"))
    ]
    tables = history_tables(
        [*followers, ("sarah", 30, "order", "P05")],
        PARTS,
        co_purchased=[("P05", "P13", 8), *((sku, "P05", 3) for sku in PARTS[:4])],
        appeal=dict.fromkeys(PARTS[6:12], 1.0),
    )
    weights = learn_from(tables)
    added = added_to(tables, weights)["sarah"]
    logits = {sku: added.get(sku, 0.0) + (sku in PARTS[6:12]) for sku in PARTS if sku != "P05"}
    first_five = sorted(logits, key=lambda sku: -logits[sku])[:5]
    assert "P13" in first_five
    assert "P05" not in added
    # By the vectors alone six parts are before it.
    assert sum(sku in PARTS[6:12] for sku in PARTS) == 6


def test_where_nobody_returns_and_nothing_goes_together_all_weights_are_zero() -> None:
    tables = history_tables(wandering(200), PARTS, co_viewed=[("P00", "P10", 2)])
    weights = learn_from(tables)
    assert weights.visits == 200
    assert weights.returns == 0
    assert np.array_equal(weights.values, np.zeros(len(COMPONENTS)))
    assert weights.log_likelihood_gain == 0.0
    assert added_to(tables, weights) == {}


def test_who_came_once_teaches_nothing() -> None:
    once = [(f"o{number}", 5, "view", PARTS[number]) for number in range(20)]
    weights = learn_from(history_tables(once, PARTS))
    assert not weights.values.any()
    assert weights.returns == 0
    assert learn_from(history_tables([], PARTS, users=["new"])).visits == 0


def test_the_future_changes_nothing() -> None:
    """Visits on the day of the cutoff or later change neither weights nor scores of the training view."""
    known = [*returning(30), *wandering(30), ("sarah", 3, "view", "P07")]
    later = [("sarah", 0, "order", "P07"), ("sarah", -3, "view", "P09"), ("r000", -9, "view", "P11")]
    before, after = (history_tables(visits, PARTS) for visits in (known, [*known, *later]))
    weights, again = learn_from(before), learn_from(after)
    assert np.array_equal(weights.values, again.values)
    assert weights.values.any()
    assert added_to(before, weights) == added_to(after, again)
    served = added_to(after, again, "serving", AS_OF)["sarah"]
    assert "P09" in served
    assert "P07" not in served


def test_the_order_of_rows_and_the_size_of_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    tables = history_tables(
        [*returning(40), *wandering(40)], PARTS, co_viewed=[("P00", "P01", 5), ("P02", "P05", 9)]
    )
    shuffled = dataclasses.replace(
        tables,
        user_visits=tables.user_visits.take(
            np.random.default_rng(0).permutation(tables.user_visits.num_rows)
        ),
    )
    weights = learn_from(tables)
    expected = pa.Table.from_batches(
        list(score(tables, weights, "training", view_end=CUTOFF, exclusion_days=365))
    )
    monkeypatch.setattr("holley_assets.gnn.history.PAIRS_IN_BLOCK", 200)
    again = learn_from(shuffled)
    batches = list(score(shuffled, again, "training", view_end=CUTOFF, exclusion_days=365))
    assert len(batches) > 5
    assert again.values == pytest.approx(weights.values, abs=1e-9)
    assert pa.Table.from_batches(batches).drop_columns("score").equals(expected.drop_columns("score"))


def test_blocks_are_all_owners_once() -> None:
    base = Base(
        torch.ones(5, 1), torch.zeros(3, 1), np.array([0, -1, 0, 0, 0]), np.array([0, 3]), np.arange(3)
    )
    events = HistoryEvents(*(np.array([0, 2, 4]) for _ in range(4)))
    assert [number for block in blocks_of(events, base) for number in range(block.start, block.stop)] == list(
        range(5)
    )


def test_what_was_held_out_is_the_last_day_with_the_strongest_meeting_of_each_part() -> None:
    """On the last day P02 was viewed and ordered, P03 viewed; P01 was bought before and may not be shown."""
    visits: list[Visit] = [
        ("sarah", 20, "order", "P01"),
        ("sarah", 20, "view", "P02"),
        ("sarah", 5, "view", "P01"),
        ("sarah", 5, "view", "P02"),
        ("sarah", 5, "order", "P02"),
        ("sarah", 5, "view", "P03"),
    ]
    tables = history_tables(visits, PARTS)
    histories = read_histories(tables, "training", CUTOFF, vectors="cold_profile")
    held = hold_out(
        histories.events, read_parts(tables, "training", 365), histories.base, np.array([1.0, 3.0, 5.0])
    )
    assert held.weight.tolist() == [5.0, 1.0]
    assert held.components[:, COMPONENTS.index("viewed_ever_alike")].tolist() == [1.0, 0.0]
    assert held.totals[0, COMPONENTS.index("viewed_ever_alike")] == 1.0
    assert held.rest == pytest.approx([0.95])


def test_visits_that_mixtures_are_chosen_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """A first visit is that of somebody unknown; a last one is of who had looked, or ordered, before."""
    visits: list[Visit] = [
        ("anna", 9, "view", "P01"),
        ("anna", 5, "view", "P02"),
        ("anna", 5, "order", "P02"),
        ("bert", 9, "order", "P03"),
        ("bert", 2, "view", "P04"),
        ("once", 3, "cart", "P05"),
        ("late", 0, "view", "P06"),
        # Of another season: the day before the thirty.
        ("past", 31, "view", "P07"),
        ("back", 31, "view", "P08"),
        ("back", 30, "view", "P09"),
    ]
    tables = history_tables(visits, PARTS)
    monkeypatch.setattr("holley_assets.gnn.history_tables.VISITS_AT_LEAST", 1)
    learned = learn(tables, cutoff=CUTOFF, kind_weight=KIND_WEIGHT, exclusion_days=365, held_out_days=30)
    rows = learned.visits.to_pylist()
    assert [(row["tier"], row["profile"], row["base_sku"], row["weight"]) for row in rows] == [
        ("cold", 0, "P01", 1.0),
        ("cold", 0, "P03", 5.0),
        ("cold", 0, "P05", 3.0),
        ("warm", 1, "P02", 5.0),
        ("warm", 2, "P09", 1.0),
        ("hot", 3, "P04", 1.0),
    ]
    assert len({row["visit"] for row in rows}) == 6
    met = [(row["email_lower"].split("@")[0], (CUTOFF - row["visit_date"]).days) for row in rows]
    assert met == [("anna", 9), ("bert", 9), ("once", 3), ("anna", 5), ("back", 30), ("bert", 2)]
    # Where the days have fewer than three, the newest of before them join, and no other.
    monkeypatch.setattr("holley_assets.gnn.history_tables.VISITS_AT_LEAST", 3)
    few = learn(tables, cutoff=CUTOFF, kind_weight=KIND_WEIGHT, exclusion_days=365, held_out_days=5).visits
    cold = [row["email_lower"].split("@")[0] for row in few.to_pylist() if row["tier"] == "cold"]
    assert cold == ["anna", "bert", "once"]
    similar = {(row["profile"], row["base_sku"]): row["similarity"] for row in learned.scores.to_pylist()}
    assert similar == {(1, "P01"): 1.0, (2, "P08"): 1.0}, (
        "bought parts are not shown again, and last visits are not known"
    )


def test_an_order_keeps_a_part_away_for_a_year_and_ends_what_was_seen_until_that_day() -> None:
    """P01 was ordered 365 days before the cutoff, P02 366; P03 was viewed on the day of its order, P04 a day later."""
    visits: list[Visit] = [
        ("sarah", 365, "order", "P01"),
        ("sarah", 9, "view", "P01"),
        ("sarah", 366, "order", "P02"),
        ("sarah", 9, "view", "P02"),
        ("sarah", 400, "order", "P03"),
        ("sarah", 400, "view", "P03"),
        ("sarah", 400, "order", "P04"),
        ("sarah", 399, "view", "P04"),
    ]
    assert set(added_to(history_tables(visits, PARTS), only(viewed_ever_alike=0.2))["sarah"]) == {
        "P02",
        "P04",
    }


@pytest.mark.parametrize(
    ("component", "weight"),
    [
        # 3 / (0.01 + λ) = 5 / (1 + λ) + 1
        ("viewed_ever_alike", (math.sqrt(3.01**2 + 4 * 2.94) - 3.01) / 2),
        ("cart_ever_alike", (math.sqrt(3.01**2 + 4 * 2.94) - 3.01) / 2),
        # The same evidence does not prove that only the last week counts: 3 / 0.01 < 5 + 1 / 0.003.
        ("viewed_week_alike", 0.0),
        ("co_viewed_alike", 0.0),
    ],
)
def test_five_visits_tell_how_often_people_return_and_not_by_which_rule(
    component: str, weight: float
) -> None:
    """Three of five chose the one part that the component speaks of, which has a chance of 1 % without it."""
    chosen = np.zeros((5, len(COMPONENTS)))
    chosen[:3, COMPONENTS.index(component)] = 1.0
    totals = np.zeros((5, len(COMPONENTS)))
    totals[:, COMPONENTS.index(component)] = 1.0
    owner = np.arange(5)
    held = HeldOut(owner, owner, chosen, np.full(5, 0.01), np.ones(5), totals, np.ones(5))
    values = fit_weights(held).values
    assert values[COMPONENTS.index(component)] == pytest.approx(weight, abs=1e-4)
    assert np.count_nonzero(values) == (weight > 0)
