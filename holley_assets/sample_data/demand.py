"""Who wants what: the known truth, and draws from it.

The utility of a part for a person is ``popularity + taste · trait``. Tastes belong to vehicles, as the sum of
a make's, a family's and a platform's; traits to parts, as the sum of a system's, a part type's and the part's
own. A choice takes part i of those that fit with probability ``exp(u_i) / Σ_j exp(u_j)``, the multinomial
logit (McFadden 1974), which is what the highest of utilities plus Gumbel noise amounts to.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from holley_assets.sample_data.catalogue import Catalogue
from holley_assets.sample_data.fits import Fits, ranges
from holley_assets.sample_data.parameters import SampleParameters
from holley_assets.sample_data.vehicles import Vehicles

DIMENSIONS = 6
# Standard deviations of the two halves of a utility. With about 300 parts to choose from, they put a third
# of all choices on a vehicle's four best parts and a tenth on the four most popular ones.
TASTE_DEVIATION = 2.0
PERSONAL_TASTE_DEVIATION = 0.7
TYPE_POPULARITY_DEVIATION = 0.45
PART_POPULARITY_DEVIATION = 0.45
# Hardly anybody wants some parts: the tail from which a quarter of the SKUs bought in a half-year is new.
UNPOPULARITY_MEAN = 0.6
# Variance shares of the sums that tastes and traits are.
TASTE_SHARES = {"make": 0.25, "family": 0.5, "platform": 0.25}
TRAIT_SHARES = {"system": 0.35, "type": 0.5, "part": 0.15}
# Parts below 50 are a tenth of the catalogue and more than a third of the lines.
CHEAP_POPULARITY = 1.6
# E-mails show popular parts more often, so that clicks lean towards them: popularity counts this much more.
CLICK_POPULARITY = 0.25
# Entries that one step of a personal draw expands, to bound memory.
CHUNK_ENTRIES = 2_000_000


@dataclass(frozen=True)
class Truth:
    """Popularity [N], traits [N, D] and tastes of vehicles [V, D]; in a null world all tastes are zero."""

    popularity: np.ndarray
    traits: np.ndarray
    tastes: np.ndarray
    personal_strength: float


def build_truth(parameters: SampleParameters, vehicles: Vehicles, catalogue: Catalogue) -> Truth:
    """Draw the truth of a sample."""
    random = parameters.random("truth")

    def component(share: float, codes: np.ndarray) -> np.ndarray:
        return np.sqrt(share) * random.normal(size=(int(codes.max()) + 1, DIMENSIONS))[codes]

    def unit(vectors: np.ndarray) -> np.ndarray:
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

    model = vehicles.vehicle_model
    tastes = (
        component(TASTE_SHARES["make"], vehicles.make_code[model])
        + component(TASTE_SHARES["family"], vehicles.family[model])
        + component(TASTE_SHARES["platform"], vehicles.platform)
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
    # The product of two random unit vectors has variance 1 / D. Unit vectors bound what a single vehicle or
    # part can reach, so that no one part takes most of a vehicle's demand, whatever the seed.
    strength = np.sqrt(DIMENSIONS) if parameters.kind == "segment" else 0.0
    return Truth(
        popularity,
        unit(traits),
        strength * TASTE_DEVIATION * unit(tastes),
        strength * PERSONAL_TASTE_DEVIATION,
    )


def _row_products(
    left: np.ndarray, left_row: np.ndarray, right: np.ndarray, right_row: np.ndarray
) -> np.ndarray:
    """Dot products of rows of ``left`` and ``right`` [., D], a pair of row numbers for each result.

    One dimension after the other: a matrix routine may add in an order that depends on where arrays lie in
    memory, and the same seed would not give the same bits.
    """
    total = np.zeros(len(left_row))
    for dimension in range(left.shape[1]):
        total += left[:, dimension][left_row] * right[:, dimension][right_row]
    return total


class Demand:
    """Choices among the parts that fit a vehicle; ``for_clicks`` leaves only what the rules allow."""

    def __init__(self, truth: Truth, fits: Fits, catalogue: Catalogue, *, for_clicks: bool) -> None:
        self.fits = fits
        self.truth = truth
        popularity = truth.popularity * (1.0 + CLICK_POPULARITY if for_clicks else 1.0)
        utility = np.empty(len(fits.part))
        for begin in range(0, len(utility), CHUNK_ENTRIES):
            piece = slice(begin, begin + CHUNK_ENTRIES)
            part = fits.part[piece]
            utility[piece] = popularity[part] + _row_products(
                truth.tastes, fits.vehicle[piece], truth.traits, part
            )
        if for_clicks:
            utility[~catalogue.plausible[fits.part]] = -np.inf
        self.utility = utility
        weight = np.exp(utility)
        total = np.bincount(fits.vehicle, weight, len(fits.start) - 1)
        # Every vehicle's probabilities sum to one, so that the running sum keeps its precision in all rows.
        self.probability = weight / total[fits.vehicle].clip(min=np.finfo(float).tiny)
        self._cumulative = np.concatenate([[0.0], np.cumsum(self.probability)])
        self.can_choose = total > 0.0

    def draw(self, vehicle: np.ndarray, random: np.random.Generator) -> np.ndarray:
        """Entries of ``fits`` that people with these vehicles choose; every vehicle must have parts."""
        return self._between(self.fits.start[vehicle], self.fits.start[vehicle + 1], random)

    def draw_like(self, entry: np.ndarray, system: np.ndarray, random: np.random.Generator) -> np.ndarray:
        """Entries of the same vehicle and system as ``entry``.

        A second line drawn like the first has the same distribution as a fresh choice, since
        Σ_s P(s) P(part | s) = P(part); only the two become dependent.
        """
        key = self.fits.vehicle.astype(np.int64) * 64 + system[self.fits.part]
        wanted = key[entry]
        return self._between(np.searchsorted(key, wanted), np.searchsorted(key, wanted, side="right"), random)

    def _between(self, start: np.ndarray, stop: np.ndarray, random: np.random.Generator) -> np.ndarray:
        low, high = self._cumulative[start], self._cumulative[stop]
        point = low + random.random(len(start)) * (high - low)
        entry = np.searchsorted(self._cumulative, point, side="right") - 1
        return np.clip(entry, start, stop - 1)

    def personal_probabilities(
        self, vehicle: np.ndarray, taste: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Choices of people [U] with tastes of their own [U, D] on top of their vehicle's.

        Returns the person, the entry of ``fits`` and the probability of every part that fits.
        """
        person, entry = ranges(self.fits.start[vehicle], self.fits.start[vehicle + 1])
        utility = self.utility[entry] + _row_products(taste, person, self.truth.traits, self.fits.part[entry])
        weight = np.exp(utility)
        total = np.bincount(person, weight, len(vehicle))
        return person, entry, weight / total[person]

    def draw_personal(
        self, vehicle: np.ndarray, taste: np.ndarray, draws: np.ndarray, random: np.random.Generator
    ) -> np.ndarray:
        """``draws[u]`` entries for each person u, one after the other, by their own tastes."""
        size = np.cumsum(self.fits.start[vehicle + 1] - self.fits.start[vehicle])
        chunk = size // CHUNK_ENTRIES
        bounds = np.searchsorted(chunk, np.arange(int(chunk[-1]) + 2)) if len(size) else np.array([0])
        chosen = []
        for begin, end in pairwise(bounds):
            person, entry, probability = self.personal_probabilities(vehicle[begin:end], taste[begin:end])
            cumulative = np.concatenate([[0.0], np.cumsum(probability)])
            first = np.searchsorted(person, np.arange(end - begin + 1))
            asker = np.repeat(np.arange(end - begin), draws[begin:end])
            low, high = cumulative[first[asker]], cumulative[first[asker + 1]]
            point = low + random.random(len(asker)) * (high - low)
            found = np.searchsorted(cumulative, point, side="right") - 1
            chosen.append(entry[np.clip(found, first[asker], first[asker + 1] - 1)])
        return np.concatenate(chosen) if chosen else np.zeros(0, np.int64)
