"""Why the owner of a car gets these parts: what is shown, what a rule took out, and the sum of each score.

``holley explain`` and the report say the same, since both ask here. No import of Dagster.
"""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Sequence
from functools import reduce
from typing import TYPE_CHECKING, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from holley_assets.evaluation.vectors import temperature_of
from holley_assets.ranking import HistoryScorer, PairScorer, Scorer, build_candidates
from holley_assets.ranking.comparison import pair_scores
from holley_assets.ranking.ranker import RankingOptions
from holley_assets.ranking.rule_trace import Candidate, Verdict, trace_rules
from holley_assets.terms import CAR

if TYPE_CHECKING:
    from torch_geometric.data import HeteroData

    from holley_assets.gnn.score_terms import ScoreModel

# Other classes of cars that are named of those a part's term of messages is the sum of.
STRONGEST = 3


class Tables(Protocol):
    """Tabular assets of one run."""

    def table(
        self, asset: str, columns: list[str] | None = None, only: dict[str, object] | None = None
    ) -> pa.Table:
        """A tabular asset, the rows whose columns equal ``only``."""
        ...


@dataclasses.dataclass(frozen=True)
class Subject:
    """Who or what is explained. The address is not kept.

    Attributes:
        year, make, model: the car.
        tier: what was known of the customer; None where a car was asked for.
        profile: row of ``user_embeddings``, view ``serving``.
        orders: newest day on which the customer ordered each base SKU.
    """

    year: int
    make: str
    model: str
    tier: str | None
    profile: int
    orders: dict[str, datetime.date]

    @property
    def car(self) -> str:
        """The car in words."""
        return f"{self.year} {self.make} {self.model}"


@dataclasses.dataclass(frozen=True)
class PartScore:
    """The score of a part and what it is the sum of.

    Attributes:
        verdict: the part, its rank, and what became of it.
        terms: by name, in units of the score; they sum to :attr:`total`.
        from_cars: what the strongest other classes of cars add, among term ``messages``, in the same units.
        from_others: what all other classes of cars add, among term ``messages``, in the same units.
        from_itself: the rest of term ``messages``: what the car's own class said to others and hears back.
        history_reason: which part of the customer's history speaks for it most; None without any.
    """

    verdict: Verdict
    terms: dict[str, float]
    from_cars: dict[str, float]
    from_others: float
    from_itself: float
    history_reason: str | None

    @property
    def total(self) -> float:
        """Sum of the terms, in float64."""
        return float(sum(self.terms.values()))

    @property
    def rounding(self) -> float:
        """What the delivered score differs by: its vectors are stored as float32."""
        return self.verdict.candidate.score - self.total


class Ranked:
    """Every part that fits a car, by the model and by the SQL pipeline, after the rules and before them.

    Args:
        tables: of the run.
        subject: whose car it is.
        options: numbers in the rules.
    """

    def __init__(self, tables: Tables, subject: Subject, options: RankingOptions) -> None:
        history = tables.table("history_scores", only={"profile": subject.profile, "view": "serving"})
        vectors = (tables.table("user_embeddings"), tables.table("product_embeddings"))
        model = HistoryScorer.from_tables(*vectors, history, "serving")
        popularity = tables.table("popularity", only={"make": subject.make, "model": subject.model})
        pipeline = PairScorer(pair_scores(popularity, "serving_sql_score"), name="sql")
        self.view_end: datetime.date = tables.table("time_windows")["as_of"][0].as_py()
        self.added = {row["base_sku"]: (row["score"], row["reason"]) for row in history.to_pylist()}
        """What the customer's own history adds to the score of each base SKU, and which part of it."""
        self.by_model, self.by_sql = (
            trace_rules(candidates, subject.orders, view_end=self.view_end, options=options)
            for candidates in _candidates(tables, subject, (model, pipeline))
        )

    @property
    def shown(self) -> list[Verdict]:
        """Parts that the model shows, best first."""
        return shown_of(self.by_model)

    @property
    def shown_by_sql(self) -> list[Verdict]:
        """Parts that the SQL pipeline shows, best first."""
        return shown_of(self.by_sql)


def shown_of(verdicts: Sequence[Verdict]) -> list[Verdict]:
    """Those of ``verdicts`` that are shown, best first."""
    return [verdict for verdict in verdicts if verdict.slot is not None]


def _candidates(tables: Tables, subject: Subject, scorers: Sequence[Scorer]) -> list[list[Candidate]]:
    """Every part that fits the car, with its score by each of ``scorers``."""
    fitment = tables.table(
        "fitment", only={"year": subject.year, "make": subject.make, "model": subject.model}
    )
    parts = tables.table("parts")
    parts = parts.filter(pc.is_in(parts["base_sku"], value_set=fitment["base_sku"].combine_chunks()))
    candidates = build_candidates(fitment, parts, view="serving", apply_rules=False)
    base_skus = candidates.product_ids.take(pa.array(candidates.pair_product)).to_pylist()
    variants = dict(zip(*(fitment[name].to_pylist() for name in ("base_sku", "serving_sku")), strict=True))
    type_of: dict[str, str | None] = {}
    reasons: dict[str, str] = {}
    for row in parts.select(["sku", "base_sku", "part_type", "serving_ineligible_reason"]).to_pylist():
        type_of[row["sku"]] = row["part_type"]
        if row["serving_ineligible_reason"]:
            reasons.setdefault(row["base_sku"], row["serving_ineligible_reason"])
    everything = slice(0, len(candidates.pair_product))
    return [
        [
            Candidate(base, type_of.get(variants[base]), variants[base], float(score), reasons.get(base))
            for base, score in zip(
                base_skus, scorer.bind(candidates)(np.array([subject.profile]), everything)[0], strict=True
            )
        ]
        for scorer in scorers
    ]


def score_parts(
    tables: Tables,
    model: ScoreModel,
    subject: Subject,
    ranked: Ranked,
    verdicts: Sequence[Verdict],
    *,
    personal_precision: float,
) -> tuple[list[PartScore], dict[str, float]]:
    """Each part's terms in units of the score, and how strongly the car learns from which others, strongest first."""
    from holley_assets.gnn.score_terms import TERMS

    graph = model.graph
    skus = [verdict.candidate.base_sku for verdict in verdicts]
    found = model.terms(subject.profile, skus, personal_precision=personal_precision)
    users, products = (tables.table(f"{kind}_embeddings", ["view", "norm"]) for kind in ("user", "product"))
    temperature = temperature_of(users, products, "serving")
    cars = [class_name(graph.classes[place]) for place in found.neighbours]
    own = int(graph["user"].vehicle_class[subject.profile])
    is_other = found.neighbours != own
    parts = []
    for row, verdict in enumerate(verdicts):
        score, reason = ranked.added.get(verdict.candidate.base_sku, (0.0, None))
        terms = dict(zip(TERMS, (found.logits[row] / temperature).tolist(), strict=True))
        heard = found.from_neighbours[row] / temperature
        others = np.flatnonzero(is_other)
        strongest = others[np.argsort(-np.abs(heard[others]), kind="stable")[:STRONGEST]]
        parts.append(
            PartScore(
                verdict,
                {**terms, "history": float(score)},
                {cars[place]: float(heard[place]) for place in strongest},
                float(heard[is_other].sum()),
                float(heard[~is_other].sum()),
                reason if score else None,
            )
        )
    strengths = zip(cars, found.strength, is_other, strict=True)
    return parts, {car: float(strength) for car, strength, other in strengths if other}


def owner_without_history(tables: Tables, graph: HeteroData, year: int, make: str, model: str) -> Subject:
    """An owner of a car, of whom nothing else is known.

    Args:
        tables: ``user_nodes`` and ``user_profiles``; some customer has the car.
        graph: the serving graph.
    """
    owned = tables.table("user_nodes", list(CAR))
    is_owner = reduce(
        pc.and_, [pc.equal(owned[name], value) for name, value in zip(CAR, (year, make, model), strict=True)]
    )
    first = pc.index(is_owner, True).as_py()
    profile = tables.table("user_profiles", ["serving_profile"])["serving_profile"][first].as_py()
    return Subject(year, make, model, None, cold_profile(graph, profile), {})


def cold_profile(graph: HeteroData, profile: int) -> int:
    """The profile of the same car without any history."""
    return int(graph["user"].cold_profile[profile])


def class_name(key: str) -> str:
    """Make, model and years of a class, for people; years in a row as the first and the last."""
    from holley_assets.gnn.arrow_keys import SEPARATOR
    from holley_assets.gnn.classes import cars_of

    cars = [car.split(SEPARATOR) for car in cars_of(key)]
    years = [int(year) for *_, year in cars]
    in_a_row = len(years) > 1 and years == list(range(years[0], years[-1] + 1))
    span = f"{years[0]}–{years[-1]}" if in_a_row else ", ".join(str(year) for year in years)
    return " ".join([*cars[0][:-1], span])
