"""Who wants what: the known truth, and draws from it.

The utility of a part for a person is ``popularity + (taste + own taste) · trait``. Tastes belong to vehicles,
as the sum of a make's, a line's and a platform's; own tastes to people, whatever they drive; traits to parts,
as the sum of a system's, a part type's and the part's own. A choice takes part i of those that fit with
probability ``exp(u_i) / Σ_j exp(u_j)``, the multinomial logit (McFadden 1974), which is what the highest of
utilities plus Gumbel noise amounts to. Views, orders and clicks all follow it: who learns from the first two
learns what the third will be.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
from jaxtyping import Float, Int

from holley_assets.sample_data.catalogue import Catalogue
from holley_assets.sample_data.fits import Fits, ranges
from holley_assets.sample_data.parameters import SampleKind, SampleParameters
from holley_assets.sample_data.vehicles import Vehicles

DIMENSIONS = 6
# Own tastes that there are. A finite number lets the oracle sum over them without error.
OWN_TASTES = 32
TYPE_POPULARITY_DEVIATION = 0.45
PART_POPULARITY_DEVIATION = 0.45
# Hardly anybody wants some parts: the tail from which a quarter of the SKUs bought in a half-year is new.
UNPOPULARITY_MEAN = 0.6
# Variance shares of the sum that traits are.
TRAIT_SHARES = {"system": 0.35, "type": 0.5, "part": 0.15}
# Parts below 50 are a tenth of the catalogue and more than a third of the lines.
CHEAP_POPULARITY = 1.6
# Entries that one step of a draw expands, to bound memory.
CHUNK_ENTRIES = 2_000_000


@dataclass(frozen=True)
class Tastes:
    """How strong tastes are: standard deviations of utilities, and what vehicles' tastes are made of.

    ``make``, ``line`` and ``platform`` are shares of the variance and sum to 1.
    """

    vehicle: float
    own: float
    make: float
    line: float
    platform: float


# With about 300 parts to choose from, those of ``segment`` put a third of all choices on a vehicle's four best
# parts and a tenth on the four most popular ones. Where platforms are real, so is what their siblings under
# other names share.
TASTES: dict[SampleKind, Tastes] = {
    "segment": Tastes(vehicle=2.0, own=0.7, make=0.25, line=0.5, platform=0.25),
    "taste": Tastes(vehicle=0.9, own=1.6, make=0.25, line=0.5, platform=0.25),
    "real_cars": Tastes(vehicle=2.0, own=0.7, make=0.15, line=0.25, platform=0.6),
    "null": Tastes(vehicle=0.0, own=0.0, make=0.25, line=0.5, platform=0.25),
}


@dataclass(frozen=True)
class Truth:
    """Popularity and traits of parts, tastes of vehicles, and the own tastes that people may have.

    In a null world all tastes are zero, and there is one own taste.
    """

    popularity: Float[np.ndarray, "products"]
    traits: Float[np.ndarray, "products dimension"]
    tastes: Float[np.ndarray, "vehicles dimension"]
    own_tastes: Float[np.ndarray, "tastes dimension"]


def build_truth(parameters: SampleParameters, vehicles: Vehicles, catalogue: Catalogue) -> Truth:
    """Draw the truth of a sample."""
    random = parameters.random("truth")

    def component(share: float, codes: Int[np.ndarray, "rows"]) -> Float[np.ndarray, "rows dimension"]:
        drawn: np.ndarray = np.sqrt(share) * random.normal(size=(int(codes.max()) + 1, DIMENSIONS))[codes]
        return drawn

    def unit(vectors: Float[np.ndarray, "rows dimension"]) -> Float[np.ndarray, "rows dimension"]:
        of_length_one: np.ndarray = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        return of_length_one

    strength = TASTES[parameters.kind]
    tastes = (
        component(strength.make, vehicles.make_code[vehicles.vehicle_model])
        + component(strength.line, vehicles.line)
        + component(strength.platform, vehicles.platform)
    )
    # A part without a type has the traits of one of its own.
    part_type = np.where(catalogue.part_type < 0, len(catalogue.types.names), catalogue.part_type)
    traits = (
        component(TRAIT_SHARES["system"], catalogue.system)
        + component(TRAIT_SHARES["type"], part_type)
        + component(TRAIT_SHARES["part"], np.arange(catalogue.products))
    )
    popularity = (
        TYPE_POPULARITY_DEVIATION * random.normal(size=len(catalogue.types.names) + 1)[part_type]
        + PART_POPULARITY_DEVIATION * random.normal(size=catalogue.products)
        - random.exponential(UNPOPULARITY_MEAN, catalogue.products)
        + CHEAP_POPULARITY * (catalogue.price < 50.0)
    )
    # Own tastes come in opposite pairs, so that they favour no part.
    own = parameters.random("own tastes").normal(size=(OWN_TASTES // 2, DIMENSIONS))
    own = np.concatenate([own, -own]) if strength.own else np.zeros((1, DIMENSIONS))
    # The product of two random unit vectors has variance 1 / D. Unit vectors bound what a single vehicle or
    # part can reach, so that no one part takes most of a vehicle's demand, whatever the seed.
    scale = np.sqrt(DIMENSIONS)
    return Truth(
        popularity,
        unit(traits),
        scale * strength.vehicle * unit(tastes),
        scale * strength.own * (unit(own) if strength.own else own),
    )


def _own_weight(
    taste: Float[np.ndarray, "dimension"], traits: Float[np.ndarray, "products dimension"]
) -> Float[np.ndarray, "products"]:
    """Exponentials of an own taste times traits."""
    rows = np.arange(len(traits))
    weight: np.ndarray = np.exp(_row_products(taste[None], np.zeros_like(rows), traits, rows))
    return weight


def _row_products(
    left: Float[np.ndarray, "_ dimension"],
    left_row: Int[np.ndarray, "pairs"],
    right: Float[np.ndarray, "_ dimension"],
    right_row: Int[np.ndarray, "pairs"],
) -> Float[np.ndarray, "pairs"]:
    """Dot products of rows of ``left`` and ``right``, a pair of row numbers for each result.

    One dimension after the other: a matrix routine may add in an order that depends on where arrays lie in
    memory, and the same seed would not give the same bits.
    """
    total = np.zeros(len(left_row))
    for dimension in range(left.shape[1]):
        total += left[:, dimension][left_row] * right[:, dimension][right_row]
    return total


class Demand:
    """Choices among the parts that fit a vehicle; ``for_clicks`` leaves only what the rules allow.

    ``weight`` is the exponential of each entry's utility but for the person's own taste.
    """

    def __init__(self, truth: Truth, fits: Fits, catalogue: Catalogue, *, for_clicks: bool) -> None:
        self.fits = fits
        self.truth = truth
        weight = np.empty(len(fits.part))
        for begin in range(0, len(weight), CHUNK_ENTRIES):
            piece = slice(begin, begin + CHUNK_ENTRIES)
            part = fits.part[piece]
            weight[piece] = np.exp(
                truth.popularity[part] + _row_products(truth.tastes, fits.vehicle[piece], truth.traits, part)
            )
        if for_clicks:
            weight[~catalogue.plausible[fits.part]] = 0.0
        self.weight = weight
        # [K, N] what each own taste multiplies a part's weight by.
        self._own_weight = np.stack([_own_weight(taste, truth.traits) for taste in truth.own_tastes])
        self.can_choose = np.bincount(fits.vehicle, weight, len(fits.start) - 1) > 0.0

    @cached_property
    def probability(self) -> Float[np.ndarray, "entries"]:
        """Probability of each entry among a vehicle's, for an owner whose own taste may be any."""
        fits = self.fits
        mean = np.zeros(len(self.weight))
        for own in self._own_weight:
            weight = self.weight * own[fits.part]
            total = np.bincount(fits.vehicle, weight, len(fits.start) - 1)
            mean += weight / total.clip(min=np.finfo(float).tiny)[fits.vehicle]
        return mean / len(self._own_weight)

    def draw(
        self,
        vehicle: Int[np.ndarray, "choices"],
        own_taste: Int[np.ndarray, "choices"],
        random: np.random.Generator,
    ) -> Int[np.ndarray, "choices"]:
        """Entries of ``fits`` that people with these vehicles and own tastes choose; vehicles must have parts."""
        return self._choose(self.fits.start[vehicle], self.fits.start[vehicle + 1], own_taste, random)

    def draw_like(
        self,
        entry: Int[np.ndarray, "choices"],
        own_taste: Int[np.ndarray, "choices"],
        system: Int[np.ndarray, "products"],
        random: np.random.Generator,
    ) -> Int[np.ndarray, "choices"]:
        """Entries of the same vehicle and system as ``entry``, which people with the same own tastes chose.

        A second line drawn like the first has the same distribution as a fresh choice, since
        Σ_s P(s) P(part | s) = P(part); only the two become dependent.
        """
        key = self.fits.vehicle.astype(np.int64) * 64 + system[self.fits.part]
        wanted = key[entry]
        start, stop = np.searchsorted(key, wanted), np.searchsorted(key, wanted, side="right")
        return self._choose(start, stop, own_taste, random)

    def own_probabilities(
        self, vehicle: Int[np.ndarray, "people"], own_taste: Int[np.ndarray, "people"]
    ) -> tuple[Int[np.ndarray, "entries"], Int[np.ndarray, "entries"], Float[np.ndarray, "entries"]]:
        """Choices of people whose own tastes are known.

        Returns the person, the entry of ``fits`` and the probability of every part that fits, in this order.
        """
        person, entry = ranges(self.fits.start[vehicle], self.fits.start[vehicle + 1])
        weight = self.weight[entry] * self._own_weight[own_taste[person], self.fits.part[entry]]
        return person, entry, weight / np.bincount(person, weight, len(vehicle))[person]

    def _choose(
        self,
        start: Int[np.ndarray, "choices"],
        stop: Int[np.ndarray, "choices"],
        own_taste: Int[np.ndarray, "choices"],
        random: np.random.Generator,
    ) -> Int[np.ndarray, "choices"]:
        """An entry from ``start[i]`` to ``stop[i]`` by the own taste of i; equal starts have equal stops.

        Each range and own taste is expanded once, whatever the number of choices from it.
        """
        point = random.random(len(start))
        key = start * np.int64(len(self._own_weight)) + own_taste
        order = np.argsort(key, kind="stable")
        first = np.append(np.flatnonzero(np.diff(key[order], prepend=-1)), len(order))
        asked = order[first[:-1]]
        begin, length, taste = start[asked], (stop - start)[asked], own_taste[asked]
        chosen = np.empty(len(start), np.int64)
        chunk = np.cumsum(length) // CHUNK_ENTRIES
        bounds = np.searchsorted(chunk, np.arange(int(chunk[-1]) + 2)) if len(chunk) else np.zeros(1, int)
        for low, high in pairwise(bounds):
            pair, entry = ranges(begin[low:high], begin[low:high] + length[low:high])
            own = self._own_weight[taste[low:high][pair], self.fits.part[entry]]
            cumulative = np.concatenate([[0.0], np.cumsum(self.weight[entry] * own)])
            edge = np.concatenate([[0], np.cumsum(length[low:high])])
            row = order[first[low] : first[high]]
            of = np.repeat(np.arange(high - low), np.diff(first[low : high + 1]))
            floor, ceiling = cumulative[edge[of]], cumulative[edge[of + 1]]
            found = np.searchsorted(cumulative, floor + point[row] * (ceiling - floor), side="right") - 1
            chosen[row] = entry[np.clip(found, edge[of], edge[of + 1] - 1)]
        return chosen
