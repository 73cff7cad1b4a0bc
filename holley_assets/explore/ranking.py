"""How the ranking of a car comes about, as frames."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Sequence

import pandas as pd

from holley_assets.evaluation.car_traffic import class_visits
from holley_assets.evaluation.example_cars import POPULAR, ExampleCar, cars_with_owners, in_order
from holley_assets.explore.tables import ExploredTables
from holley_assets.pipeline.explanation import Ranked, owner_without_history, score_parts
from holley_assets.terms import CAR


@dataclasses.dataclass(frozen=True)
class CarRanking:
    """What an owner without history of one car gets, and why.

    Attributes:
        car: whose owner is meant.
        parts: one row a part that fits, best first: base_sku, part_type, ``score`` and its ``rank`` before the rules,
            ``outcome`` (the slot, the rule that took it out, or behind the last slot) and ``sql_rank``.
        terms: of the parts that are shown, by base SKU: one column a term, in units of the score. A row sums to the
            score.
        similar: how strongly the car hears of other classes of cars, strongest first.
    """

    car: ExampleCar
    parts: pd.DataFrame
    terms: pd.DataFrame
    similar: pd.Series


def known_cars(tables: ExploredTables) -> list[ExampleCar]:
    """Each car that customers have and parts fit, most visits first."""
    visits = class_visits(tables.table("fitment"), tables.table("visitor_demand"))
    cars = cars_with_owners(tables.table("user_nodes", list(CAR)), visits)
    seen = list(in_order(cars, POPULAR))
    return seen + [car for car in cars if car not in set(seen)]


def find_car(cars: Sequence[ExampleCar], name: str | None) -> ExampleCar:
    """The car of that name, or without a name the first.

    Args:
        cars: as of :func:`known_cars`.
        name: year, make and model in any case.

    Raises:
        ValueError: no customer has it, or no part fits it; it names cars that are written alike.
    """
    if name is None:
        return cars[0]
    wanted = " ".join(name.upper().split())
    by_name = {car.name: car for car in cars}
    if wanted not in by_name:
        near = difflib.get_close_matches(wanted, by_name, 3) or list(by_name)[:3]
        raise ValueError(f"no customer has a {wanted} that parts fit: name a car such as {', '.join(near)}")
    return by_name[wanted]


def rank_car(tables: ExploredTables, car: ExampleCar) -> CarRanking:
    """Rank the parts that fit ``car`` as the delivery does, and take their scores apart."""
    from holley_assets.gnn.score_terms import ScoreModel

    model = ScoreModel(tables.graph, tables.checkpoint)
    subject = owner_without_history(tables, tables.graph, car.year, car.make, car.model)
    ranked = Ranked(tables, subject, tables.ranking)
    scores, similar = score_parts(
        tables,
        model,
        subject,
        ranked,
        ranked.shown,
        personal_precision=tables.settings.training.personal_precision,
    )
    sql_rank = {verdict.candidate.base_sku: verdict.rank for verdict in ranked.by_sql}
    types = tables.table("product_nodes", ["base_sku", "part_type"])
    type_of = dict(zip(*(types[name].to_pylist() for name in types.column_names), strict=True))
    parts = [
        {
            "rank": verdict.rank,
            "base_sku": verdict.candidate.base_sku,
            "part_type": type_of[verdict.candidate.base_sku],
            "score": verdict.candidate.score,
            "outcome": f"slot {verdict.slot}" if verdict.slot else verdict.rule or "behind the last slot",
            "sql_rank": sql_rank[verdict.candidate.base_sku],
        }
        for verdict in ranked.by_model
    ]
    terms = pd.DataFrame(
        [score.terms for score in scores],
        index=pd.Index([score.verdict.candidate.base_sku for score in scores], name="base_sku"),
    )
    return CarRanking(
        car, pd.DataFrame(parts), terms, pd.Series(similar, name="strength", dtype=float).rename_axis("car")
    )
