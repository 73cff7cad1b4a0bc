"""How many visitors look at the whole shop: told by how often two parts of one visitor fit no common car."""

import itertools
import math
from collections.abc import Mapping, Sequence

import pytest
from gnn.two_cars import two_cars

from holley_assets.gnn.shop_visitors import SEVERAL_CARS, STANDARD_ERRORS, share_of_shop_visitors

# Parts that visitors met together.
Sets = Sequence[tuple[str, ...]]
FIRST, SECOND = "ABCDEF", "GHIJKL"
TWO_CARS = {"first": FIRST, "second": SECOND}
OF_OWNERS = [*itertools.combinations(FIRST, 2), *itertools.combinations(SECOND, 2)]
OF_ANY = list(itertools.combinations(FIRST + SECOND, 2))


def share_of(sets: Sets, fits: Mapping[str, str] | None = None, visitors: int = 1) -> float:
    return share_of_shop_visitors(
        two_cars(*((list(parts), visitors) for parts in sets), fits=fits or TWO_CARS)
    )


def expected_share(sets: Sets) -> float:
    """The formula on plain lists: two parts of one visitor, and the last part of the visitor half the way round."""

    def apart(one: str, other: str) -> bool:
        return (one in FIRST) != (other in FIRST)

    half = len(sets) // 2
    own = sum(apart(parts[0], parts[-1]) for parts in sets) / len(sets)
    others = sum(apart(parts[0], sets[index - half][-1]) for index, parts in enumerate(sets)) / len(sets)
    error = math.sqrt((own * (1 - own) + others * (1 - others)) / len(sets))
    ratio = (own - STANDARD_ERRORS * error) / others
    return min(1.0, max(0.0, (ratio - SEVERAL_CARS) / (1.0 - SEVERAL_CARS)))


def test_owners_are_no_visitors_of_the_whole_shop() -> None:
    assert share_of(OF_OWNERS) == 0.0


def test_who_meets_any_two_parts_looks_at_the_whole_shop() -> None:
    """36 of 66 pairs have no common car. The share is what this proves: two standard errors less."""
    share = share_of(OF_ANY)
    assert share == pytest.approx(expected_share(OF_ANY))
    assert share == pytest.approx(0.5192, abs=1e-4)


def test_more_visitors_prove_more() -> None:
    three = list(itertools.combinations(FIRST + SECOND, 3))
    share = share_of(three)
    assert share == pytest.approx(expected_share(three))
    assert share > share_of(OF_ANY)


def test_some_households_with_two_cars_are_no_visitors_of_the_whole_shop() -> None:
    """One visitor in thirty met parts for both cars: less than the share of owners with several."""
    assert share_of([*OF_OWNERS, ("A", "G")]) == 0.0


def test_a_part_of_the_visitors_gives_a_part_of_the_share() -> None:
    apart = [pair for pair in OF_ANY if pair not in OF_OWNERS]
    mixed = [*OF_OWNERS, *apart[:12]]
    share = share_of(mixed)
    assert share == pytest.approx(expected_share(mixed))
    assert 0.05 < share < 0.5


@pytest.mark.parametrize(
    ("sets", "fits"),
    [
        ([], None),
        ([("A",), ("G",)], None),
        ([("A", "G")], None),
        # One car fits all parts, so that parts of two visitors say nothing either.
        (OF_ANY, {"first": FIRST + SECOND}),
    ],
)
def test_where_nothing_tells_the_share_is_zero(sets: Sets, fits: dict[str, str] | None) -> None:
    assert share_of(sets, fits) == 0.0


def test_sets_that_nobody_met_in_this_view_do_not_count() -> None:
    assert share_of(OF_ANY, visitors=0) == 0.0
