"""Real years, makes and models, and the platforms that they share under other names.

``real_cars.csv`` holds them: platform, make, model, first and last year. The README of this folder tells where
they are from. How many people own each is made up, as nobody publishes it.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Int, Shaped

from holley_assets.sample_data.parameters import SampleParameters
from holley_assets.sample_data.vehicle_names import MAKE_GROUPS, ORPHAN_VEHICLES
from holley_assets.sample_data.vehicles import OWNER_EXPONENT, SIBLING_SHARE, Vehicles

REAL_CARS_FILE = Path(__file__).with_name("real_cars.csv")
# Those that most customers of a shop for performance parts own, in order.
FAVOURITES: tuple[tuple[str, str], ...] = (
    ("FORD", "MUSTANG"), ("CHEVROLET", "CAMARO"), ("CHEVROLET", "C,K-10/20/30"), ("CHEVROLET", "CORVETTE"),
    ("FORD", "F150"), ("CHEVROLET", "SILVERADO"), ("PONTIAC", "FIREBIRD"), ("DODGE", "CHALLENGER"),
    ("JEEP", "WRANGLER"), ("DODGE", "CHARGER"), ("CHEVROLET", "NOVA"), ("CHEVROLET", "MONTE CARLO"),
    ("HONDA", "CIVIC"), ("CHEVROLET", "EL CAMINO"), ("FORD", "BRONCO"), ("FORD", "RANGER"),
    ("CHEVROLET", "S10/T10"), ("BUICK", "REGAL"), ("TOYOTA", "TACOMA"), ("NISSAN", "350Z"),
)  # fmt: skip
# Owners by rank, flatter than where every favourite has many more model years: the first model has 11 % of them.
REAL_OWNER_OFFSET = 3.0
# Spread of the logarithm of owners between the years of a model.
YEAR_DEVIATION = 0.8


@dataclass(frozen=True)
class _Spans:
    """Rows of the file: the model, as a code into ``names``, its platform and years."""

    names: list[tuple[str, str]]
    model: Int[np.ndarray, "spans"]
    platform: Int[np.ndarray, "spans"]
    first_year: Int[np.ndarray, "spans"]
    last_year: Int[np.ndarray, "spans"]

    def siblings(self, model: int) -> Int[np.ndarray, "siblings"]:
        """Models, the given one among them, that share a platform with it."""
        shared = np.isin(self.platform, self.platform[self.model == model])
        return np.unique(self.model[shared])


def _read_spans() -> _Spans:
    with REAL_CARS_FILE.open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if (row["make"], row["model"]) not in ORPHAN_VEHICLES]
    names = sorted({(row["make"], row["model"]) for row in rows})
    code = {name: number for number, name in enumerate(names)}
    return _Spans(
        names,
        np.array([code[row["make"], row["model"]] for row in rows]),
        *(np.array([int(row[column]) for row in rows]) for column in ("platform", "first_year", "last_year")),
    )


def _choose_models(
    spans: _Spans, count: int, random: np.random.Generator
) -> tuple[Int[np.ndarray, "models"], Int[np.ndarray, "models"], Bool[np.ndarray, "models"]]:
    """Models in order of their owners, each followed by its siblings; their ranks, and which ones lead."""
    favourites = [spans.names.index(name) for name in FAVOURITES]
    others = random.permutation(np.setdiff1d(np.arange(len(spans.names)), favourites))
    chosen: dict[int, int] = {}
    leads: list[bool] = []
    rank = 0
    for leader in [*favourites, *others.tolist()]:
        if leader in chosen:
            continue
        for model in [leader, *spans.siblings(leader).tolist()]:
            if model not in chosen and len(chosen) < count:
                chosen[model] = rank
                leads.append(model == leader)
        rank += 1
    return np.array(list(chosen)), np.array(list(chosen.values())), np.array(leads)


def build_real_vehicles(parameters: SampleParameters) -> Vehicles:
    """Choose ``parameters.models`` real models, or all there are; whole groups of siblings come together."""
    random = parameters.random("real cars")
    spans = _read_spans()
    chosen, rank, leads = _choose_models(spans, parameters.models, random)
    position = np.full(len(spans.names), -1)
    position[chosen] = np.arange(len(chosen))
    kept = np.flatnonzero(position[spans.model] >= 0)
    length = spans.last_year[kept] - spans.first_year[kept] + 1
    span = np.repeat(kept, length)
    year = spans.first_year[span] + np.arange(len(span)) - np.repeat(np.cumsum(length) - length, length)
    order = np.lexsort((year, position[spans.model[span]]))
    span, year = span[order], year[order]
    model = position[spans.model[span]]
    _, platform = np.unique(spans.platform[span], return_inverse=True)

    makes = np.array([spans.names[code][0] for code in chosen])
    _, make_code = np.unique(makes, return_inverse=True)
    years = np.bincount(model)
    share = (rank + REAL_OWNER_OFFSET) ** -OWNER_EXPONENT
    share *= np.where(leads, 1.0, SIBLING_SHARE) * np.minimum(years / 20.0, 1.0)
    year_share = np.exp(random.normal(0.0, YEAR_DEVIATION, len(year)))
    owner_share = share[model] * year_share / np.bincount(model, year_share)[model]
    return Vehicles(
        makes=makes,
        models=np.array([spans.names[code][1] for code in chosen]),
        make_code=make_code,
        family_group=_platform_groups(platform, makes[model]),
        vehicle_model=model,
        vehicle_year=year,
        line=model,
        family=platform,
        platform=platform,
        owner_share=owner_share / owner_share.sum(),
    )


def _platform_groups(
    platform: Int[np.ndarray, "vehicles"], make: Shaped[np.ndarray, "vehicles"]
) -> Int[np.ndarray, "platforms"]:
    """Manufacturer of each platform: the group of the make of its first car, or that make alone."""
    _, first = np.unique(platform, return_index=True)
    group_of = {name: makes[0] for makes in MAKE_GROUPS for name in makes}
    _, group = np.unique([group_of.get(name, name) for name in make[first].tolist()], return_inverse=True)
    return group
