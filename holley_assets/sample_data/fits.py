"""Which parts fit which vehicles."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from holley_assets.sample_data.catalogue import Catalogue
from holley_assets.sample_data.parameters import FULL_SCALE_PRODUCTS, SampleParameters
from holley_assets.sample_data.vehicles import Vehicles

# Parts that the rules allow for a year, make and model, on average, at full scale. A smaller catalogue has
# fewer for each, though not in proportion: 243 of 4,000 products.
MEAN_PLAUSIBLE_PARTS = 350.0
MEAN_PLAUSIBLE_EXPONENT = 0.2
# Years a part covers: log-normal, median 10 and 90th percentile 26; overlap with the years that models were
# built takes this down to the 8 and 23 of real fitment.
LOG_SPAN_MEAN = float(np.log(17.0))
LOG_SPAN_DEVIATION = 0.75
# Pareto exponent of how many families a part fits: few parts fit nearly everything, most one family.
BREADTH_EXPONENT = 0.9
# Without a bound, one part could draw most of all pairs, and the others would fit next to nothing.
MAXIMUM_BREADTH = 60.0
SAME_GROUP_SHARE = 0.75
MAXIMUM_ROUNDS = 10


@dataclass(frozen=True)
class Fits:
    """The parts of each vehicle v, ``part[start[v]:start[v + 1]]``, sorted by system, then part.

    ``vehicle`` repeats the row number for each entry.
    """

    start: Int[np.ndarray, "starts"]
    part: Int[np.ndarray, "entries"]
    vehicle: Int[np.ndarray, "entries"]


def ranges(
    start: Int[np.ndarray, "rows"], stop: Int[np.ndarray, "rows"]
) -> tuple[Int[np.ndarray, "entries"], Int[np.ndarray, "entries"]]:
    """Concatenate ``arange(start[i], stop[i])`` for all i; also give the i of each element."""
    length = stop - start
    owner = np.repeat(np.arange(len(start)), length)
    position = np.arange(len(owner)) - np.repeat(np.cumsum(length) - length, length)
    return owner, start[owner] + position


def _family_vehicles(
    vehicles: Vehicles,
) -> tuple[Float[np.ndarray, "families"], Float[np.ndarray, "families"]]:
    """Owner share of each family and its number of vehicles."""
    families = len(vehicles.family_group)
    return (
        np.bincount(vehicles.family, vehicles.owner_share, families),
        np.bincount(vehicles.family, minlength=families).astype(float),
    )


def _weighted_choice(
    random: np.random.Generator, weight: Float[np.ndarray, "rows"], count: int
) -> Int[np.ndarray, "{count}"]:
    """``count`` draws with probability proportional to ``weight``."""
    cumulative = np.cumsum(weight)
    drawn = np.searchsorted(cumulative, random.random(count) * cumulative[-1], "right")
    entry: np.ndarray = drawn.clip(max=len(weight) - 1)
    return entry


@dataclass(frozen=True)
class _Reach:
    """What decides the vehicles of each part: its own family, how many others, and its span of years."""

    own_family: Int[np.ndarray, "products"]
    breadth: Float[np.ndarray, "products"]
    first_year: Int[np.ndarray, "products"]
    last_year: Int[np.ndarray, "products"]


def _draw_reach(random: np.random.Generator, vehicles: Vehicles, count: int) -> _Reach:
    share, size = _family_vehicles(vehicles)
    own_family = _weighted_choice(random, share**0.4 * size**0.4, count)
    # The span lies around a vehicle that people own.
    by_family = np.argsort(vehicles.family, kind="stable")
    weight = np.concatenate([[0.0], np.cumsum(vehicles.owner_share[by_family] ** 0.5)])
    first = np.searchsorted(vehicles.family[by_family], np.arange(len(share) + 1))
    low, high = weight[first[own_family]], weight[first[own_family + 1]]
    found = np.searchsorted(weight, low + random.random(count) * (high - low), side="right") - 1
    year = vehicles.vehicle_year[by_family[np.clip(found, first[own_family], first[own_family + 1] - 1)]]
    breadth = np.minimum(1.0 + random.pareto(BREADTH_EXPONENT, count), MAXIMUM_BREADTH)
    span = np.exp(random.normal(LOG_SPAN_MEAN, LOG_SPAN_DEVIATION, count)) * breadth**0.15
    first_year = np.floor(year - random.random(count) * span).astype(np.int64)
    last_year = first_year + np.maximum(np.round(span).astype(np.int64), 1) - 1
    return _Reach(own_family, breadth, first_year, np.maximum(last_year, year))


def build_fits(parameters: SampleParameters, vehicles: Vehicles, catalogue: Catalogue) -> Fits:
    """Give each part its own family, then add families until vehicles have as many parts as real ones.

    A part covers one span of years. In every family it fits, it fits all vehicles built in that span.
    """
    random = parameters.random("fits")
    count = catalogue.products
    reach = _draw_reach(random, vehicles, count)
    part, family = _choose_pairs(random, vehicles, catalogue, reach)
    by_year = _FamilyYears(vehicles)
    pair, row = ranges(*by_year.within(family, reach.first_year[part], reach.last_year[part]))
    vehicle, part_of = by_year.order[row], part[pair]
    order = np.argsort((vehicle * np.int64(64) + catalogue.system[part_of]) * np.int64(count) + part_of)
    vehicle, part_of = vehicle[order], part_of[order]
    return Fits(
        start=np.searchsorted(vehicle, np.arange(len(vehicles.vehicle_model) + 1)),
        part=part_of.astype(np.int32),
        vehicle=vehicle.astype(np.int32),
    )


class _FamilyYears:
    """Vehicles in order of family and year; ``order`` tells the vehicle at each position."""

    def __init__(self, vehicles: Vehicles) -> None:
        self.order = np.lexsort((vehicles.vehicle_year, vehicles.family))
        self._key = (vehicles.family * np.int64(4096) + vehicles.vehicle_year)[self.order]

    def within(
        self,
        family: Int[np.ndarray, "pairs"],
        first_year: Int[np.ndarray, "pairs"],
        last_year: Int[np.ndarray, "pairs"],
    ) -> tuple[Int[np.ndarray, "pairs"], Int[np.ndarray, "pairs"]]:
        """First position of each family's vehicles in a span of years, and the one after the last."""
        low = np.searchsorted(self._key, family * np.int64(4096) + first_year)
        return low, np.searchsorted(self._key, family * np.int64(4096) + last_year, side="right")


def _choose_pairs(
    random: np.random.Generator, vehicles: Vehicles, catalogue: Catalogue, reach: _Reach
) -> tuple[Int[np.ndarray, "pairs"], Int[np.ndarray, "pairs"]]:
    """Distinct parts and families that fit, each part's own family first, up to the target size.

    Every round draws twice as many pairs as the one before: late rounds mostly meet pairs that are there.
    """
    families = np.int64(len(vehicles.family_group))
    count = catalogue.products
    mean_parts = MEAN_PLAUSIBLE_PARTS * (count / FULL_SCALE_PRODUCTS) ** MEAN_PLAUSIBLE_EXPONENT
    target = mean_parts * len(vehicles.vehicle_model)
    share, size = _family_vehicles(vehicles)
    weight = share**0.25 * size**0.5
    groups = vehicles.family_group
    by_group = np.argsort(groups, kind="stable")
    group_first = np.searchsorted(groups[by_group], np.arange(groups.max() + 2))
    cumulative = np.concatenate([[0.0], np.cumsum(weight[by_group])])

    by_year = _FamilyYears(vehicles)

    pairs = np.arange(count) * families + reach.own_family
    for round_number in range(MAXIMUM_ROUNDS):
        part = _weighted_choice(random, reach.breadth, count << round_number)
        group = groups[reach.own_family[part]]
        low, high = cumulative[group_first[group]], cumulative[group_first[group + 1]]
        found = np.searchsorted(cumulative, low + random.random(len(part)) * (high - low), side="right") - 1
        within = by_group[np.clip(found, group_first[group], group_first[group + 1] - 1)]
        anywhere = _weighted_choice(random, weight, len(part))
        family = np.where(random.random(len(part)) < SAME_GROUP_SHARE, within, anywhere)
        pairs = np.concatenate([pairs, part * families + family])
        _, first_seen = np.unique(pairs, return_index=True)
        pairs = pairs[np.sort(first_seen)]
        part, family = pairs // families, pairs % families
        low, high = by_year.within(family, reach.first_year[part], reach.last_year[part])
        covered = high - low
        # Pairs without a common year are of no use, but for a part's own family.
        useful = (covered > 0) | (np.arange(len(pairs)) < count)
        pairs = pairs[useful]
        total = np.cumsum((covered * catalogue.plausible[part])[useful])
        if total[-1] >= target:
            pairs = pairs[: max(count, int(np.searchsorted(total, target)) + 1)]
            break
    return pairs // families, pairs % families
