"""Makes, models, model years, the platforms below them and how many people own each."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int, Shaped

from holley_assets.sample_data.parameters import SampleParameters
from holley_assets.sample_data.vehicle_names import MAKE_GROUPS, MODEL_ENDINGS, MODEL_WORDS, NAMED_FAMILIES

# Shares of the models: those with a name of their own, those with a long life, and the rest, built for a
# year or two. A fifth of the models with about 20 years and a tail of short ones gives the 9,750
# year/make/models for 2,000 models of full scale and a median fitment span of 8 years.
NAMED_SHARE = 0.12
LONG_LIVED_SHARE = 0.2
# Owners by rank of the family: Mustang has 11 % of them, the top 40 models most.
OWNER_EXPONENT = 1.05
OWNER_OFFSET = 1.2
SIBLING_SHARE = 0.3
LAST_YEAR = 2024


@dataclass(frozen=True)
class Vehicles:
    """Models and vehicles; a vehicle is a year, make and model, sorted by model, then year.

    ``platform`` numbers the generations of all lines: related models of one generation share it. ``family``
    numbers what parts are made for: where names are made up, a line with all its platforms; where cars are real,
    one platform.
    ``owner_share`` sums to 1 over all vehicles.
    """

    makes: Shaped[np.ndarray, "models"]
    models: Shaped[np.ndarray, "models"]
    make_code: Int[np.ndarray, "models"]
    family_group: Int[np.ndarray, "families"]  # manufacturer of the family
    vehicle_model: Int[np.ndarray, "vehicles"]
    vehicle_year: Int[np.ndarray, "vehicles"]
    line: Int[np.ndarray, "vehicles"]  # models with related tastes
    family: Int[np.ndarray, "vehicles"]
    platform: Int[np.ndarray, "vehicles"]
    owner_share: Float[np.ndarray, "vehicles"]


@dataclass
class _ModelRows:
    """Models in the order they are made up, as plain lists: thousands, not millions."""

    makes: list[str]
    models: list[str]
    family: list[int]
    group: list[int]
    first_year: list[int]
    last_year: list[int]
    generations: list[list[tuple[int, int]]]


def _group_of(make: str) -> int:
    return next(index for index, makes in enumerate(MAKE_GROUPS) if make in makes)


def _named_models(count: int) -> _ModelRows:
    rows = _ModelRows([], [], [], [], [], [], [])
    for family in NAMED_FAMILIES:
        if len(rows.makes) >= count:
            break
        rows.group.append(_group_of(family.models[0].make))
        rows.generations.append(list(family.generations))
        for model in family.models:
            rows.makes.append(model.make)
            rows.models.append(model.model)
            rows.family.append(len(rows.group) - 1)
            rows.first_year.append(model.first_year)
            rows.last_year.append(model.last_year)
    return rows


def _add_made_up_models(rows: _ModelRows, count: int, long_lived: int, random: np.random.Generator) -> None:
    """Add families of one to three models until there are ``count`` models, the first of them long-lived."""
    names = random.permutation(len(MODEL_WORDS) * len(MODEL_ENDINGS))
    # American makes have most of the aftermarket.
    group_share = np.array([5.0, 4.0, 4.0, *[1.0] * (len(MAKE_GROUPS) - 3)])
    group_share /= group_share.sum()
    made_up = 0
    while len(rows.makes) < count:
        lives_long = len(rows.makes) < long_lived
        size = min(int(random.choice([1, 2, 3], p=[0.6, 0.3, 0.1])), count - len(rows.makes))
        life = int(random.integers(10, 34)) if lives_long else int(min(random.geometric(0.7), 4))
        first = int(random.integers(1946, LAST_YEAR - life + 2))
        group = int(random.choice(len(MAKE_GROUPS), p=group_share))
        starts = [first]
        while starts[-1] + 3 <= first + life - 1:
            starts.append(starts[-1] + int(random.integers(4, 10)))
        starts = [start for start in starts if start <= first + life - 1]
        ends = [start - 1 for start in starts[1:]] + [first + life - 1]
        rows.group.append(group)
        rows.generations.append(list(zip(starts, ends, strict=True)))
        for _ in range(size):
            name = int(names[made_up % len(names)])
            again = made_up // len(names)
            ending = f" MARK {again + 1}" if again else ""
            trim = int(random.integers(0, max(1, life // 4)))
            rows.makes.append(str(random.choice(MAKE_GROUPS[group])))
            rows.models.append(
                MODEL_WORDS[name // len(MODEL_ENDINGS)] + MODEL_ENDINGS[name % len(MODEL_ENDINGS)] + ending
            )
            rows.family.append(len(rows.group) - 1)
            rows.first_year.append(first + trim)
            rows.last_year.append(first + life - 1)
            made_up += 1


def build_made_up_vehicles(parameters: SampleParameters) -> Vehicles:
    """Make up the vehicles: well-known models first, then long-lived ones, then the tail."""
    random = parameters.random("vehicles")
    count = parameters.models
    rows = _named_models(max(2, round(count * NAMED_SHARE)))
    _add_made_up_models(rows, max(count, len(rows.makes)), round(count * LONG_LIVED_SHARE), random)

    # One row for each year of each generation of the model's family that the model was built in.
    vehicle_model: list[np.ndarray] = []
    vehicle_year: list[np.ndarray] = []
    platform: list[np.ndarray] = []
    first_platform = np.cumsum([0, *[len(generations) for generations in rows.generations]])
    for model, family in enumerate(rows.family):
        for index, (start, end) in enumerate(rows.generations[family]):
            years = np.arange(max(start, rows.first_year[model]), min(end, rows.last_year[model]) + 1)
            vehicle_model.append(np.full(len(years), model))
            vehicle_year.append(years)
            platform.append(np.full(len(years), first_platform[family] + index))
    model_of = np.concatenate(vehicle_model)
    year_of = np.concatenate(vehicle_year)

    model_share = (np.array(rows.family) + OWNER_OFFSET) ** -OWNER_EXPONENT
    # A sibling has fewer owners than the model that gives the family its name, and fewer for a short life.
    leads = np.diff(rows.family, prepend=-1) > 0
    years = np.bincount(model_of, minlength=len(model_share))
    model_share *= np.where(leads, 1.0, SIBLING_SHARE * np.minimum(years / 20.0, 1.0))
    is_classic = (year_of >= 1964) & (year_of <= 1972)
    year_share = np.exp(random.normal(0.0, 0.5, len(year_of))) * np.where(is_classic, 2.5, 1.0)
    is_1969_camaro = (np.array(rows.models)[model_of] == "CAMARO") & (year_of == 1969)
    year_share[is_1969_camaro] = 14.0
    year_share /= np.bincount(model_of, year_share)[model_of]
    owner_share = model_share[model_of] * year_share
    _, make_code = np.unique(rows.makes, return_inverse=True)
    return Vehicles(
        makes=np.array(rows.makes),
        models=np.array(rows.models),
        make_code=make_code,
        family_group=np.array(rows.group),
        vehicle_model=model_of,
        vehicle_year=year_of,
        line=np.array(rows.family)[model_of],
        family=np.array(rows.family)[model_of],
        platform=np.concatenate(platform),
        owner_share=owner_share / owner_share.sum(),
    )
