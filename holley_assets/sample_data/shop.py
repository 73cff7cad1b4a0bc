"""The shop, where people with vehicles choose variants of parts."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Int

from holley_assets.sample_data.catalogue import Catalogue
from holley_assets.sample_data.demand import Demand
from holley_assets.sample_data.parameters import MICROSECONDS_PER_DAY
from holley_assets.sample_data.people import Users
from holley_assets.sample_data.vehicles import Vehicles


def first_of_pairs(group: Int[np.ndarray, "rows"], item: Int[np.ndarray, "rows"]) -> Bool[np.ndarray, "rows"]:
    """Mask of the rows whose item occurs for the first time in its group."""
    _, first_seen = np.unique(group * (np.int64(item.max(initial=0)) + 1) + item, return_index=True)
    is_first = np.zeros(len(item), dtype=bool)
    is_first[first_seen] = True
    return is_first


class Shop:
    """Draws variants of parts for people, by the tastes of their vehicles and their own."""

    def __init__(
        self,
        catalogue: Catalogue,
        vehicles: Vehicles,
        users: Users,
        demand: Demand,
        *,
        own_taste_seed: int,
    ) -> None:
        self.catalogue = catalogue
        self.vehicles = vehicles
        self.users = users
        self.demand = demand
        self._own_taste_seed = np.uint64(own_taste_seed)
        # Where there are no tastes, overall sales are to tell popularity without the bias of how many
        # vehicles a part fits, or a model would learn to undo that bias and find something where there is
        # to be nothing.
        self.guests_follow_popularity = not demand.truth.tastes.any()

    def own_taste(self, person: Int[np.ndarray, "choices"]) -> Int[np.ndarray, "choices"]:
        """Which of the truth's own tastes each person has: always the same one, all equally likely.

        The finaliser of SplitMix64 (Steele, Lea and Flood 2014) mixes the number of the person, so that nobody
        has to be stored.
        """
        with np.errstate(over="ignore"):
            mixed = person.astype(np.uint64) + (self._own_taste_seed + np.uint64(1)) * np.uint64(
                0x9E3779B97F4A7C15
            )
            mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
            mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
            mixed ^= mixed >> np.uint64(31)
        return (mixed % np.uint64(len(self.demand.truth.own_tastes))).astype(np.int64)

    def entries(
        self,
        person: Int[np.ndarray, "choices"],
        vehicle: Int[np.ndarray, "choices"],
        random: np.random.Generator,
        *,
        demand: Demand | None = None,
    ) -> Int[np.ndarray, "choices"]:
        """Entries of the fits, a choice for each row; ``person`` may repeat."""
        demand = demand or self.demand
        entry = demand.draw(vehicle, self.own_taste(person), random)
        if self.guests_follow_popularity:
            guest = np.flatnonzero(person >= len(self.users.tier))
            entry[guest] = self._popular_entries(len(guest), random)
        return entry

    def _popular_entries(self, count: int, random: np.random.Generator) -> Int[np.ndarray, "{count}"]:
        """Parts by their popularity in the whole shop, each for one of the vehicles it fits."""
        fits, popularity = self.demand.fits, self.demand.truth.popularity
        owners = self.vehicles.owner_share[fits.vehicle]
        weight = owners / np.bincount(fits.part, owners, self.catalogue.products)[fits.part]
        cumulative = np.cumsum(weight * np.exp(popularity)[fits.part])
        found = np.searchsorted(cumulative, random.random(count) * cumulative[-1], side="right")
        entry: np.ndarray = found.clip(max=len(cumulative) - 1)
        return entry

    def variants(
        self, entry: Int[np.ndarray, "choices"], random: np.random.Generator
    ) -> Int[np.ndarray, "choices"]:
        """A variant of each chosen part that is made for the vehicle's year, mostly the main one."""
        product = self.demand.fits.part[entry]
        year = self.vehicles.vehicle_year[self.demand.fits.vehicle[entry]]
        first = self.catalogue.first_sku[product]
        amount = self.catalogue.first_sku[product + 1] - first
        other = first + (random.random(len(entry)) * amount).astype(np.int64)
        sku = np.where(random.random(len(entry)) < 0.4, other, first)
        made: np.ndarray = np.where(self.catalogue.sku_first_year[sku] <= year, sku, first)
        return made

    def launched(
        self, sku: Int[np.ndarray, "choices"], time: Int[np.ndarray, "choices"]
    ) -> Bool[np.ndarray, "choices"]:
        """Whether each part was on sale. Dropping choices of later parts leaves the others' proportions."""
        launch_day = self.catalogue.launch_day[self.catalogue.sku_product[sku]]
        launched: np.ndarray = launch_day * MICROSECONDS_PER_DAY <= time
        return launched

    def draw_vehicles(self, count: int, random: np.random.Generator) -> Int[np.ndarray, "{count}"]:
        """Vehicles of ``count`` people, as owned; only those that some part fits."""
        share = np.cumsum(np.where(self.demand.can_choose, self.vehicles.owner_share, 0.0))
        found = np.searchsorted(share, random.random(count) * share[-1], side="right")
        vehicle: np.ndarray = found.clip(max=len(share) - 1)
        return vehicle
