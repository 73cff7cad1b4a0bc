"""What customers would see: a few cars of the report, the graph's parts beside those of the SQL pipeline."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from functools import reduce
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from holley_assets.evaluation.car_traffic import class_visits
from holley_assets.evaluation.example_cars import (
    EACH,
    GROUPS,
    UNSEEN,
    ExampleCar,
    cars_with_owners,
    in_order,
    largest_difference,
)
from holley_assets.pipeline.explanation import (
    PartScore,
    Ranked,
    Subject,
    owner_without_history,
    score_parts,
    shown_of,
)
from holley_assets.ranking.ranker import RankingOptions
from holley_assets.ranking.rule_trace import Verdict, trace_rules

if TYPE_CHECKING:
    from holley_assets.gnn.score_terms import ScoreModel

# Cars with least traffic that are searched for a part that other cars brought, where the six have none.
SEARCHED = 20
_SOLD = {
    "segment": ("serving_segment_orders", "orders by owners of the make and model"),
    "make": ("serving_make_orders", "orders by owners of the make"),
    "global": ("serving_orders", "orders by everybody"),
}


class LoadedTables:
    """Tables in memory, as :class:`.explanation.Tables`.

    Args:
        tables: by name of the asset.
    """

    def __init__(self, tables: Mapping[str, pa.Table]) -> None:
        self._tables = tables

    def table(
        self, asset: str, columns: list[str] | None = None, only: dict[str, object] | None = None
    ) -> pa.Table:
        """A table, the rows whose columns equal ``only``."""
        table = self._tables[asset]
        if only:
            masks = [pc.equal(table[name], value) for name, value in only.items()]
            table = table.filter(reduce(pc.and_, masks))
        return table if columns is None else table.select(columns)


@dataclasses.dataclass(frozen=True)
class ExampleOptions:
    """What the section depends on beside the tables.

    Attributes:
        ranking: numbers in the rules.
        minimum_parts: fewer parts give no row, so that such a car is passed over.
        personal_precision: see :meth:`holley_assets.gnn.score_terms.ScoreModel.terms`.
        pictures: whether the addresses of images are of pictures that exist.
    """

    ranking: RankingOptions
    minimum_parts: int
    personal_precision: float
    pictures: bool


@dataclasses.dataclass(frozen=True)
class _Shown:
    """A car with what both systems show to an owner without history, and the score of every part that fits."""

    car: ExampleCar
    subject: Subject
    ranked: Ranked
    scores: dict[str, PartScore]


class _Examples:
    def __init__(self, tables: LoadedTables, model: ScoreModel, options: ExampleOptions) -> None:
        self.tables, self.model, self.options = tables, model, options
        users = tables.table("user_nodes")
        visits = class_visits(tables.table("fitment"), tables.table("visitor_demand"))
        self.cars = cars_with_owners(users, visits)

    def choose(self) -> list[tuple[str, _Shown]]:
        """:data:`EACH` cars of each group by its order, no make and model twice; one without a row is passed over."""
        chosen: list[tuple[str, _Shown]] = []
        taken: set[tuple[str, str]] = set()
        for group in GROUPS:
            found = 0
            for car in in_order(self.cars, group):
                if found == EACH:
                    break
                if (car.make, car.model) not in taken and (shown := self.shown(car)) is not None:
                    chosen.append((group, shown))
                    taken.add((car.make, car.model))
                    found += 1
        return chosen

    def shown(self, car: ExampleCar) -> _Shown | None:
        """What an owner without history gets; None where that is no row."""
        subject = owner_without_history(self.tables, self.model.graph, car.year, car.make, car.model)
        ranked = Ranked(self.tables, subject, self.options.ranking)
        if len(ranked.shown) < self.options.minimum_parts:
            return None
        parts, _ = score_parts(
            self.tables,
            self.model,
            subject,
            ranked,
            ranked.by_model,
            personal_precision=self.options.personal_precision,
        )
        return _Shown(car, subject, ranked, {part.verdict.candidate.base_sku: part for part in parts})

    def through_another_car(self, chosen: Sequence[_Shown]) -> dict[str, Any] | None:
        """The part that is shown only for what the car hears of others, and to which they add most; None if none is."""
        searched = [shown for shown in chosen if self._brought(shown)]
        if not searched:
            known = {shown.car for shown in chosen}
            more = [car for car in in_order(self.cars, UNSEEN) if car not in known][:SEARCHED]
            searched = [shown for car in more if (shown := self.shown(car)) and self._brought(shown)]
        brought = [(shown, part) for shown in searched for part in self._brought(shown)]
        if not brought:
            return None
        shown, part = max(brought, key=lambda pair: pair[1].from_others)
        return {
            "car": shown.car.name,
            "visits": shown.car.visits,
            "part": self._part(part.verdict),
            "rank": part.verdict.rank,
            "rank_without": self._ranked_without(shown)[part.verdict.candidate.base_sku].rank,
            "added": part.from_others,
            "from_cars": {car: value for car, value in part.from_cars.items() if value > 0},
        }

    def _brought(self, shown: _Shown) -> list[PartScore]:
        """Parts that would not be shown without what other cars add to their scores."""
        without = self._ranked_without(shown)
        bases = [verdict.candidate.base_sku for verdict in shown.ranked.shown]
        return [
            shown.scores[base]
            for base in bases
            if without[base].slot is None and shown.scores[base].from_others > 0
        ]

    def _ranked_without(self, shown: _Shown) -> dict[str, Verdict]:
        candidates = [
            verdict.candidate._replace(
                score=verdict.candidate.score - shown.scores[verdict.candidate.base_sku].from_others
            )
            for verdict in shown.ranked.by_model
        ]
        ranked = trace_rules(candidates, {}, view_end=shown.ranked.view_end, options=self.options.ranking)
        return {verdict.candidate.base_sku: verdict for verdict in ranked}

    def described(self, group: str, shown: _Shown) -> dict[str, Any]:
        """One car of the section."""
        by_model = {verdict.candidate.base_sku: verdict for verdict in shown.ranked.by_model}
        sold = self._sold(shown.subject)
        graph, sql = (
            [
                {
                    **self._part(verdict),
                    "rank": by_model[verdict.candidate.base_sku].rank,
                    "rule": by_model[verdict.candidate.base_sku].rule,
                    "score": by_model[verdict.candidate.base_sku].candidate.score,
                    "terms": _terms(shown.scores[verdict.candidate.base_sku]),
                    "from_cars": shown.scores[verdict.candidate.base_sku].from_cars,
                    "sql_score": sql_scores[verdict.candidate.base_sku],
                    "sold": sold.get(verdict.candidate.base_sku),
                }
                for verdict in verdicts
            ]
            for sql_scores in (_scores(shown.ranked.by_sql),)
            for verdicts in (shown.ranked.shown, shown_of(shown.ranked.by_sql))
        )
        return {
            "group": group,
            "car": shown.car.name,
            "owners": shown.car.owners,
            "visits": shown.car.visits,
            "graph": graph,
            "sql": sql,
            "difference": largest_difference(graph, sql),
        }

    def _part(self, verdict: Verdict) -> dict[str, Any]:
        part = verdict.candidate
        (row,) = self.tables.table(
            "parts", ["serving_price", "serving_image"], only={"sku": part.sku}
        ).to_pylist()
        return {
            "base_sku": part.base_sku,
            "sku": part.sku,
            "part_type": part.part_type,
            "price": row["serving_price"],
            "image": row["serving_image"],
        }

    def _sold(self, subject: Subject) -> dict[str, str]:
        """Why the SQL pipeline ranks each part as it does: the orders that its tier counts."""
        rows = self.tables.table("popularity", only={"make": subject.make, "model": subject.model})
        said = {}
        for row in rows.to_pylist():
            column, words = _SOLD[row["serving_tier"]]
            said[row["base_sku"]] = f"{row[column]:,} {words}"
        return said


def _scores(verdicts: Sequence[Verdict]) -> dict[str, float]:
    return {verdict.candidate.base_sku: verdict.candidate.score for verdict in verdicts}


def _terms(part: PartScore) -> dict[str, float]:
    """The terms, largest first."""
    order = sorted(part.terms, key=lambda name: -abs(part.terms[name]))
    return {name: part.terms[name] for name in order}


def example_section(
    tables: Mapping[str, pa.Table], model: ScoreModel, options: ExampleOptions
) -> dict[str, Any]:
    """Six cars side by side, with what differs and why, and one part that was found through another car.

    Args:
        tables: assets user_nodes, user_profiles, user_embeddings, product_embeddings, history_scores, popularity,
            fitment, parts, visitor_demand and time_windows.
        model: the weights that made the vectors of ``product_embeddings``, on the serving graph.

    Returns:
        ``cars``, ``through_another_car`` (None where no such part was found) and ``pictures``.
    """
    examples = _Examples(LoadedTables(tables), model, options)
    chosen = examples.choose()
    return {
        "cars": [examples.described(group, shown) for group, shown in chosen],
        "through_another_car": examples.through_another_car([shown for _, shown in chosen]),
        "pictures": options.pictures,
    }
