"""Systems that are made of two others: the hybrid of pipeline and graph, and the pipeline with similar parts.

How much of each is chosen on held-out visits before the cutoff, see :func:`choose_mixtures`; no click decides it.
"""

from __future__ import annotations

import datetime
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Float, Float64, Int, Int64

from holley_assets.ranking.candidates import Candidates, RankingError
from holley_assets.ranking.choices import log_totals
from holley_assets.ranking.encoding import codes_in
from holley_assets.ranking.ranker import Ranking, RankingOptions, rank_users, sort_users
from holley_assets.ranking.scorers import HistoryScorer, PairScorer, ScoreBlock, Scorer
from holley_assets.terms import TIERS

# Nothing is left out by date: what was bought before a visit is left out of its choices already.
_NEVER = datetime.date.max
ALPHAS = tuple(number / 10 for number in range(11))
BETAS = (0.0, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0)
# Standard errors by which a mixture must be better than its first parent.
PROVEN = 2.0
MIXTURE_SCHEMA = pa.schema(
    [
        ("system", pa.string()),
        ("tier", pa.string()),
        ("parameter", pa.string()),
        ("value", pa.float64()),
        ("gain", pa.float64()),
        ("standard_error", pa.float64()),
        ("visits", pa.int64()),
        ("chosen", pa.bool_()),
    ]
)


@dataclass(frozen=True)
class HybridScorer:
    """``α · ln p_sql + (1 − α) · ln p_gnn``, but for a constant of each user that changes no ranking.

    Attributes:
        temperature: what a score of ``gnn`` is multiplied by to give a logit; likewise ``sql_temperature``.
        alpha: share of ``sql`` for each profile.
    """

    gnn: Scorer
    sql: PairScorer
    temperature: float
    sql_temperature: float
    alpha: Float64[np.ndarray, "profiles"]
    name: str = "hybrid"
    profiles: Literal["given"] = "given"

    def bind(self, candidates: Candidates) -> ScoreBlock:
        gnn, sql = self.gnn.bind(candidates), self.sql.bind(candidates)

        def score(profiles: Int64[np.ndarray, "asked"], pairs: slice) -> Float64[np.ndarray, "scored pairs"]:
            share = self.alpha[profiles][:, None]
            of_sql = self.sql_temperature * sql(profiles, pairs)
            return np.asarray(
                share * of_sql + (1.0 - share) * self.temperature * gnn(profiles, pairs), np.float64
            )

        return score


@dataclass(frozen=True)
class SimilarPartsScorer:
    """``sql · (1 + β · similarity)``: popularity, more so for parts similar to what the user met.

    Attributes:
        similar: ``profile, base_sku, similarity``; a key must not repeat. Every other pair keeps the score of ``sql``.
    """

    sql: PairScorer
    similar: pa.Table
    beta: float
    name: str = "sql_similar"
    profiles: Literal["given"] = "given"

    def bind(self, candidates: Candidates) -> ScoreBlock:
        sql = self.sql.bind(candidates)
        similarity = similarity_scorer(self.similar, self.name).bind(candidates)

        def score(profiles: Int64[np.ndarray, "asked"], pairs: slice) -> Float64[np.ndarray, "scored pairs"]:
            return np.asarray(
                sql(profiles, pairs) * (1.0 + self.beta * similarity(profiles, pairs)), np.float64
            )

        return score


def similarity_scorer(similar: pa.Table, name: str = "similarity") -> HistoryScorer:
    """``profile, base_sku, similarity`` as scores; 0 for every other pair."""
    pairs = similar.select(["profile", "base_sku", "similarity"]).rename_columns(
        ["profile", "base_sku", "score"]
    )
    return HistoryScorer(_Nothing(), pairs, name=name)


@dataclass(frozen=True)
class _Nothing:
    """Zero for every profile and part."""

    name: str = "nothing"
    profiles: Literal["given"] = "given"

    def bind(self, candidates: Candidates) -> ScoreBlock:
        return lambda profiles, pairs: np.zeros((len(profiles), pairs.stop - pairs.start))


def as_log_probabilities(
    ranking: pa.Table, users: pa.Table, candidates: Candidates, scorer: HybridScorer
) -> pa.Table:
    """Scores of a hybrid's ranking as ``α · ln p_sql + (1 − α) · ln p_gnn`` over all candidates of a user's car.

    Args:
        ranking: email_lower, score and others; of ``users`` by ``scorer``.
    """
    totals = _log_totals(users, candidates, scorer)
    emails = ranking["email_lower"].cast(pa.string()).combine_chunks()
    row = pc.index_in(emails, value_set=totals["email_lower"].combine_chunks()).to_numpy()
    scores = ranking["score"].to_numpy() - totals["log_total"].to_numpy()[row]
    return ranking.set_column(ranking.schema.get_field_index("score"), "score", pa.array(scores))


def ranked_by_log_probabilities(ranking: Ranking, users: pa.Table, scorer: HybridScorer) -> Ranking:
    """A hybrid's ranking with scores as :func:`as_log_probabilities` has them; the order stays.

    Args:
        ranking: of ``users`` by ``scorer``.
    """
    # Users of one request have the same car and profile, so that the first speaks for all.
    request, first = np.unique(ranking.user_request, return_index=True)
    asked, first = request[request >= 0], first[request >= 0]
    known = sort_users(users).take(pa.array(first))
    totals = _log_totals(known, ranking.candidates, scorer)
    place = pc.index_in(
        totals["email_lower"].combine_chunks(), value_set=known["email_lower"].combine_chunks()
    )
    total = np.zeros(ranking.request_count)
    total[asked[place.to_numpy()]] = totals["log_total"].to_numpy()
    scores = ranking.scores - np.repeat(total, np.diff(ranking.offsets))
    return replace(ranking, scores=scores)


def _log_totals(users: pa.Table, candidates: Candidates, scorer: HybridScorer) -> pa.Table:
    """``email_lower, log_total``: what a score of each user is above its logarithm of a probability."""
    parents = ((scorer.sql, scorer.sql_temperature), (scorer.gnn, scorer.temperature))
    of_sql, of_gnn = (log_totals(users, candidates, parent, temperature) for parent, temperature in parents)
    emails = of_sql["email_lower"].combine_chunks()
    names = users["email_lower"].combine_chunks().cast(pa.string())
    alpha = scorer.alpha[users["profile"].to_numpy()[pc.index_in(emails, value_set=names).to_numpy()]]
    total = alpha * of_sql["log_total"].to_numpy() + (1.0 - alpha) * of_gnn["log_total"].to_numpy()
    return pa.table({"email_lower": emails, "log_total": total})


@dataclass(frozen=True)
class Choices:
    """What was chosen on held-out visits, among everything that could have been shown.

    Attributes:
        offsets: first alternative of each visit; the last entry is their number.
        chosen: alternative that was chosen, and ``visit`` and ``weight`` of that choice.
        scores: of each system and alternative.
        tier: of each visit.
        pair: of the candidates, of each alternative.
    """

    offsets: Int[np.ndarray, "starts"]
    chosen: Int[np.ndarray, "choices"]
    visit: Int[np.ndarray, "choices"]
    weight: Float[np.ndarray, "choices"]
    scores: dict[str, Float[np.ndarray, "alternatives"]]
    tier: Int[np.ndarray, "starts-1"]
    pair: Int[np.ndarray, "alternatives"]


def read_choices(visits: pa.Table, candidates: Candidates, scorers: dict[str, Scorer]) -> Choices:
    """Scores of all that each visit could have chosen.

    Args:
        visits: ``visit, year, make, model, profile, tier, base_sku, weight``; one row a choice.
        scorers: by name; what a profile is must be the same for all of them.
    """
    numbers, first = np.unique(visits["visit"].to_numpy(), return_index=True)
    users = visits.select(["year", "make", "model", "profile"]).take(pa.array(first))
    # The ranker knows users by a text, in its order.
    names = pa.array([f"{number:012d}" for number in numbers.tolist()], pa.string())
    users = users.append_column("email_lower", names)
    everything = max(int(np.diff(candidates.row_offsets).max(initial=0)), 1)
    options = RankingOptions(everything, everything, 1)
    scores: dict[str, np.ndarray] = {}
    offsets, rows = np.zeros(1, np.int64), np.empty(0, np.int64)
    for name, scorer in scorers.items():
        ranking = rank_users(users, candidates, scorer, purchases=None, view_end=_NEVER, options=options)
        offsets, rows, scores[name] = _by_row(ranking)
    visit = np.searchsorted(numbers, visits["visit"].to_numpy())
    product = codes_in(visits["base_sku"], candidates.product_ids)
    count = max(len(candidates.product_ids), 1)
    alternative = np.repeat(np.arange(len(numbers)), np.diff(offsets)) * count
    pair = candidates.row_pair[rows]
    keys = alternative + candidates.pair_product[pair]
    place = np.minimum(np.searchsorted(keys, visit * count + product), max(len(keys) - 1, 0))
    known = (
        (product >= 0) & (keys[place] == visit * count + product) if len(keys) else np.zeros(len(visit), bool)
    )
    tier = pc.index_in(visits["tier"], value_set=pa.array(TIERS)).to_numpy()[first]
    weight = visits["weight"].to_numpy()[known]
    return Choices(offsets, place[known], visit[known], weight, scores, tier, pair)


def _by_row(
    ranking: Ranking,
) -> tuple[Int[np.ndarray, "starts"], Int[np.ndarray, "alternatives"], Float[np.ndarray, "alternatives"]]:
    """Offsets, rows and scores of each user's parts, in the order of their base SKUs."""
    counts = ranking.counts()
    user = np.repeat(np.arange(len(counts)), counts)
    offsets = np.concatenate([[0], np.cumsum(counts)])
    entry = np.arange(len(user)) - offsets[user] + ranking.offsets[ranking.user_request[user]]
    order = np.lexsort((ranking.rows[entry], user))
    return offsets, ranking.rows[entry[order]], ranking.scores[entry[order]]


def log_softmax(
    logits: Float[np.ndarray, "alternatives"], offsets: Int[np.ndarray, "starts"]
) -> Float[np.ndarray, "alternatives"]:
    """``logits`` less the logarithm of the sum of their exponentials, visit by visit."""
    counts = np.diff(offsets)
    filled = np.flatnonzero(counts)
    totals = np.zeros(len(counts))
    if len(filled):
        totals[filled] = np.logaddexp.reduceat(logits, offsets[filled])
    return logits - np.repeat(totals, counts)


def mean_of_visits(values: Float[np.ndarray, "choices"], choices: Choices) -> Float[np.ndarray, "visits"]:
    """Weighted mean of what each choice has, visit by visit; NaN for a visit without a choice."""
    count = len(choices.tier)
    weight = np.bincount(choices.visit, choices.weight, count)
    total = np.bincount(choices.visit, choices.weight * values, count)
    mean: np.ndarray = np.divide(total, weight, out=np.full(count, np.nan), where=weight > 0)
    return mean


def reciprocal_ranks_of_choices(
    scores: Float[np.ndarray, "alternatives"], choices: Choices
) -> Float[np.ndarray, "choices"]:
    """Reciprocal rank of each choice among the alternatives of its visit; a tie counts half a rank."""
    counts = np.diff(choices.offsets)[choices.visit]
    choice = np.repeat(np.arange(len(counts)), counts)
    place = np.arange(len(choice)) - np.repeat(np.cumsum(counts) - counts, counts)
    other = scores[choices.offsets[choices.visit][choice] + place]
    own = scores[choices.chosen][choice]
    ahead = (other > own) + 0.5 * (other == own)
    # Every choice ties with itself.
    return np.asarray(1.0 / (0.5 + np.bincount(choice, ahead, len(counts))), np.float64)


def choose_mixtures(choices: Choices, temperature: float) -> pa.Table:
    """How much of ``sql`` each tier's hybrid holds, and how much similarity counts, in :data:`MIXTURE_SCHEMA`.

    ``sql_temperature`` makes probabilities of the pipeline's scores: that of the highest likelihood. ``alpha`` has the
    highest mean log-likelihood over the visits of its tier, ``beta`` the highest mean reciprocal rank over the visits
    of users with a history, for it changes the scale of the scores. A mixture has to prove itself: the smallest value
    is kept, which is the graph or the pipeline alone, unless the gain over it is more than :data:`PROVEN` paired
    standard errors. Few visits prove nothing, and a tier without a visit takes 0. ``gain`` is over the smallest value.

    Args:
        choices: with scores ``gnn``, ``sql`` and ``similarity``.
        temperature: what a score of ``gnn`` is multiplied by to give a logit.
    """
    sql_temperature = _sql_temperature(choices)
    gnn = log_softmax(temperature * choices.scores["gnn"], choices.offsets)
    sql = log_softmax(sql_temperature * choices.scores["sql"], choices.offsets)
    likelihoods = [
        mean_of_visits(
            log_softmax(alpha * sql + (1.0 - alpha) * gnn, choices.offsets)[choices.chosen], choices
        )
        for alpha in ALPHAS
    ]
    ranks = [
        mean_of_visits(
            reciprocal_ranks_of_choices(
                choices.scores["sql"] * (1.0 + beta * choices.scores["similarity"]), choices
            ),
            choices,
        )
        for beta in BETAS
    ]
    rows = [_row("hybrid", None, "sql_temperature", sql_temperature)]
    for number, tier in enumerate(TIERS):
        rows += _curve(
            "hybrid", tier, "alpha", ALPHAS, [values[choices.tier == number] for values in likelihoods]
        )
    rows += _curve("sql_similar", None, "beta", BETAS, [values[choices.tier > 0] for values in ranks])
    return pa.Table.from_pylist(rows, schema=MIXTURE_SCHEMA)


def chosen_value(mixtures: pa.Table, parameter: str, tier: str | None = None) -> float:
    """The value of a parameter that was chosen, of a tier where it has one.

    Raises:
        RankingError: there is not exactly one.
    """
    values = [
        row["value"]
        for row in mixtures.to_pylist()
        if row["parameter"] == parameter and row["chosen"] and row["tier"] == tier
    ]
    if len(values) != 1:
        raise RankingError(f"mixture_weights: {len(values)} values of {parameter} are chosen for tier {tier}")
    return float(values[0])


def _sql_temperature(choices: Choices) -> float:
    # Half a second to import, and the definitions import this module.
    from scipy.optimize import minimize_scalar

    scores = choices.scores["sql"]
    if not len(choices.chosen) or np.ptp(scores) == 0.0:
        return 1.0

    def loss(logarithm: float) -> float:
        found = log_softmax(np.exp(logarithm) * scores, choices.offsets)[choices.chosen]
        return -float(choices.weight @ found)

    # From a hundredth to three times the scores: 10 · ln(1 + orders) and its neighbours lie well within.
    result = minimize_scalar(
        loss, bounds=(np.log(1e-2), np.log(3.0)), method="bounded", options={"xatol": 1e-3}
    )
    return float(np.exp(result.x))


def _curve(
    system: str,
    tier: str | None,
    parameter: str,
    values: tuple[float, ...],
    results: list[Float[np.ndarray, "visits"]],
) -> list[dict[str, object]]:
    """A row for each value of a parameter; ``results`` are of the same visits for each."""
    known = np.isfinite(results[0])
    count = int(known.sum())
    gains = np.array([result[known] - results[0][known] for result in results])
    means = gains.mean(axis=1) if count else np.zeros(len(values))
    errors = gains.std(axis=1, ddof=1) / np.sqrt(count) if count > 1 else None
    best = int(np.argmax(means))
    if errors is None or means[best] <= PROVEN * errors[best]:
        best = 0
    return [
        _row(
            system,
            tier,
            parameter,
            value,
            gain=float(means[number]) if count else None,
            standard_error=None if errors is None else float(errors[number]),
            visits=count,
            chosen=number == best,
        )
        for number, value in enumerate(values)
    ]


def _row(
    system: str,
    tier: str | None,
    parameter: str,
    value: float,
    *,
    gain: float | None = None,
    standard_error: float | None = None,
    visits: int | None = None,
    chosen: bool = True,
) -> dict[str, object]:
    return {
        "system": system,
        "tier": tier,
        "parameter": parameter,
        "value": value,
        "gain": gain,
        "standard_error": standard_error,
        "visits": visits,
        "chosen": chosen,
    }
