"""Why a customer, or the owner of a car, gets these parts: from the tables and the checkpoint of a run."""

from __future__ import annotations

import dataclasses
import datetime
import difflib
import functools
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from holley_assets.console.errors import ConsoleError
from holley_assets.console.run_files import RunFiles
from holley_assets.evaluation.vectors import temperature_of
from holley_assets.pipeline.options import ranking_options
from holley_assets.ranking import HistoryScorer, PairScorer, Scorer, build_candidates
from holley_assets.ranking.comparison import pair_scores
from holley_assets.ranking.rule_trace import Candidate, Verdict, trace_rules

if TYPE_CHECKING:
    from torch_geometric.data import HeteroData

# Classes of cars that are named of those a part's term of messages is the sum of.
STRONGEST = 3
# Cars that the car learns from, in the summary.
SIMILAR = 5


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
        from_cars: what the strongest neighbours add, among term ``messages``, in the same units.
        history_reason: which part of the customer's history speaks for it most; None without any.
    """

    verdict: Verdict
    terms: dict[str, float]
    from_cars: dict[str, float]
    history_reason: str | None

    @property
    def total(self) -> float:
        """Sum of the terms, in float64."""
        return float(sum(self.terms.values()))

    @property
    def rounding(self) -> float:
        """What the delivered score differs by: its vectors are stored as float32."""
        return self.verdict.candidate.score - self.total


@dataclasses.dataclass(frozen=True)
class Explanation:
    """All that is said of one customer or car.

    Attributes:
        shown: parts that the model shows, best first.
        sql: parts that the SQL pipeline would show, best first.
        removed: parts that ranked above the last one shown and were taken out by a rule.
        parts: those whose scores are explained.
        similar: cars that the car learns from and how strongly, strongest first.
    """

    run_id: str
    model_version: str
    subject: Subject
    shown: list[Verdict]
    sql: list[Verdict]
    removed: list[Verdict]
    parts: list[PartScore]
    similar: dict[str, float]


def explain(
    files: RunFiles, *, email: str | None, car: str | None, run: str | None = None, part: str | None = None
) -> Explanation:
    """Explain what one customer, or an owner without history of one car, gets.

    Args:
        email: of a customer; exactly one of this and ``car`` is given.
        car: year, make and model.
        run: whose tables are meant; they are those of the newest run, and another name is an error.
        part: explain this part alone, whether or not it is shown.

    Raises:
        ConsoleError: a name is unknown; the message says what to do and names no address.
    """
    run_id = _run_of_tables(files, run)
    settings = files.settings(run_id)
    subject = _by_email(files, email) if email is not None else _by_car(files, str(car))
    options = ranking_options(settings, settings.rules.maximum_parts)
    products = files.table("product_embeddings")
    history = files.table("history_scores", only={"profile": subject.profile, "view": "serving"})
    model = HistoryScorer.from_tables(files.table("user_embeddings"), products, history, "serving")
    popularity = files.table("popularity", only={"make": subject.make, "model": subject.model})
    pipeline = PairScorer(pair_scores(popularity, "serving_sql_score"), name="sql")
    view_end = files.table("time_windows")["as_of"][0].as_py()
    ranked, by_sql = (
        trace_rules(_candidates(files, subject, scorer), subject.orders, view_end=view_end, options=options)
        for scorer in (model, pipeline)
    )
    shown = _shown(ranked)
    if len(shown) < settings.rules.minimum_parts and part is None:
        raise ConsoleError(
            f"A {subject.car} has {len(shown)} parts after the rules, below the {settings.rules.minimum_parts} of "
            "an e-mail, so that nothing is delivered: ask for one part with --part"
        )
    last = shown[-1].rank if shown else 0
    asked = shown if part is None else [_named(files, ranked, part, subject)]
    version = str(products["model_version"][0])
    parts, similar = _score(files, subject, asked, version, history, settings.training.personal_precision)
    return Explanation(
        run_id,
        version,
        subject,
        shown,
        _shown(by_sql),
        [verdict for verdict in ranked if verdict.rule is not None and verdict.rank < last],
        parts,
        similar,
    )


def _run_of_tables(files: RunFiles, wanted: str | None) -> str:
    """The run that wrote the tables; any other's have been replaced."""
    wrote = str(files.table("serving_graph")["run_id"][0])
    if wanted is not None and not wrote.startswith(wanted) and files.find_run(wanted) != wrote:
        raise ConsoleError(
            f"The tables of run {wanted} were replaced by those of run {wrote}: leave --run out, or repeat that run "
            "with its HOLLEY_AS_OF and a HOLLEY_DATA_DIR of its own"
        )
    return wrote


def _by_email(files: RunFiles, email: str) -> Subject:
    address = email.strip().lower()
    users = files.table("user_nodes", only={"email_lower": address})
    if not users.num_rows:
        raise ConsoleError(
            "No customer of this run has that e-mail address and a vehicle: look for a typing error, or ask with "
            '--car "YEAR MAKE MODEL"'
        )
    user = users.to_pylist()[0]
    profiles = files.table("user_profiles", ["serving_profile"], only={"email_lower": address})
    purchases = files.table("user_purchases", only={"email_lower": address}).to_pylist()
    orders: dict[str, datetime.date] = {}
    for row in purchases:
        orders[row["base_sku"]] = max(orders.get(row["base_sku"], row["order_date"]), row["order_date"])
    return Subject(
        user["year"],
        user["make"],
        user["model"],
        user["serving_engagement_tier"],
        profiles["serving_profile"][0].as_py(),
        orders,
    )


def _by_car(files: RunFiles, car: str) -> Subject:
    users = files.table("user_nodes", ["year", "make", "model"])
    names = pc.binary_join_element_wise(
        users["year"].cast(pa.string()),
        users["make"].cast(pa.string()),
        users["model"].cast(pa.string()),
        " ",
    )
    wanted = " ".join(car.upper().split())
    owners = np.flatnonzero(pc.equal(names, wanted).to_numpy(zero_copy_only=False))
    if not len(owners):
        known = sorted(set(names.to_pylist()))
        near = difflib.get_close_matches(wanted, known, 3) or known[:3]
        raise ConsoleError(f"No customer of this run has a {wanted}: ask for a car such as {', '.join(near)}")
    first = int(owners[0])
    row = users.slice(first, 1).to_pylist()[0]
    profile = files.table("user_profiles", ["serving_profile"])["serving_profile"][first].as_py()
    return Subject(row["year"], row["make"], row["model"], None, _cold_profile(files, profile), {})


def _candidates(files: RunFiles, subject: Subject, scorer: Scorer) -> list[Candidate]:
    """Every part that fits the car, with its score."""
    fitment = files.table(
        "fitment", only={"year": subject.year, "make": subject.make, "model": subject.model}
    )
    parts = files.table("parts")
    candidates = build_candidates(fitment, parts, view="serving", apply_rules=False)
    scores = scorer.bind(candidates)(np.array([subject.profile]), slice(0, len(candidates.pair_product)))[0]
    base_skus = candidates.product_ids.take(pa.array(candidates.pair_product)).to_pylist()
    variants = dict(zip(*(fitment[name].to_pylist() for name in ("base_sku", "serving_sku")), strict=True))
    type_of: dict[str, str | None] = {}
    reasons: dict[str, str] = {}
    for row in parts.select(["sku", "base_sku", "part_type", "serving_ineligible_reason"]).to_pylist():
        type_of[row["sku"]] = row["part_type"]
        if row["serving_ineligible_reason"]:
            reasons.setdefault(row["base_sku"], row["serving_ineligible_reason"])
    return [
        Candidate(base, type_of.get(variants[base]), variants[base], float(score), reasons.get(base))
        for base, score in zip(base_skus, scores, strict=True)
    ]


def _shown(verdicts: Sequence[Verdict]) -> list[Verdict]:
    return [verdict for verdict in verdicts if verdict.slot is not None]


def _named(files: RunFiles, ranked: Sequence[Verdict], part: str, subject: Subject) -> Verdict:
    """The part that is asked for by its SKU or base SKU."""
    wanted = part.strip().upper()
    variants = files.table("parts", ["base_sku"], only={"sku": wanted})["base_sku"].to_pylist()
    for verdict in ranked:
        if verdict.candidate.base_sku in {wanted, *variants}:
            return verdict
    known = bool(variants) or files.table("parts", ["base_sku"], only={"base_sku": wanted}).num_rows > 0
    problem = f"does not fit a {subject.car}" if known else "is not a part of this run"
    example = f": ask for a part that fits it, such as {ranked[0].candidate.base_sku}" if ranked else ""
    raise ConsoleError(f"{wanted!r} {problem}{example}")


def _cold_profile(files: RunFiles, profile: int) -> int:
    """The profile of the same car without any history."""
    return int(_serving_graph(files)["user"].cold_profile[profile])


def _serving_graph(files: RunFiles) -> HeteroData:
    return _graph_of(files.folder / str(files.table("serving_graph")["path"][0]))


@functools.lru_cache(maxsize=1)
def _graph_of(path: Path) -> HeteroData:
    from holley_assets.gnn.graph import load_graph

    return load_graph(path)


def _score(
    files: RunFiles,
    subject: Subject,
    verdicts: Sequence[Verdict],
    version: str,
    history: pa.Table,
    personal_precision: float,
) -> tuple[list[PartScore], dict[str, float]]:
    """Each part's terms in units of the score, and the cars that the car learns from."""
    from holley_assets.console.checkpoints import checkpoint_of
    from holley_assets.gnn.score_terms import TERMS, score_terms

    graph = _serving_graph(files)
    skus = [verdict.candidate.base_sku for verdict in verdicts]
    found = score_terms(
        graph,
        checkpoint_of(files, version),
        subject.profile,
        skus,
        personal_precision=personal_precision,
    )
    users, products = (files.table(f"{kind}_embeddings", ["view", "norm"]) for kind in ("user", "product"))
    temperature = temperature_of(users, products, "serving")
    added = {row["base_sku"]: (row["score"], row["reason"]) for row in history.to_pylist()}
    cars = [class_name(graph.classes[place]) for place in found.neighbours]
    parts = []
    for row, verdict in enumerate(verdicts):
        score, reason = added.get(verdict.candidate.base_sku, (0.0, None))
        terms = dict(zip(TERMS, (found.logits[row] / temperature).tolist(), strict=True))
        heard = found.from_neighbours[row] / temperature
        strongest = np.argsort(-np.abs(heard), kind="stable")[:STRONGEST]
        parts.append(
            PartScore(
                verdict,
                {**terms, "history": float(score)},
                {cars[place]: float(heard[place]) for place in strongest},
                reason if score else None,
            )
        )
    own = int(graph["user"].vehicle_class[subject.profile])
    similar = {
        car: float(strength)
        for car, strength, place in zip(cars, found.strength, found.neighbours, strict=True)
        if place != own
    }
    return parts, dict(list(similar.items())[:SIMILAR])


def class_name(key: str) -> str:
    """Make, model and years of a class, for people; years in a row as the first and the last."""
    from holley_assets.gnn.arrow_keys import SEPARATOR
    from holley_assets.gnn.classes import cars_of

    cars = [car.split(SEPARATOR) for car in cars_of(key)]
    years = [int(year) for *_, year in cars]
    in_a_row = len(years) > 1 and years == list(range(years[0], years[-1] + 1))
    span = f"{years[0]}–{years[-1]}" if in_a_row else ", ".join(str(year) for year in years)
    return " ".join([*cars[0][:-1], span])
