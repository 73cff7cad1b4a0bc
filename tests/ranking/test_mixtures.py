"""Hybrid and similar parts: answers worked out by hand."""

from __future__ import annotations

import datetime
import math

import numpy as np
import pyarrow as pa
import pytest

from holley_assets.ranking import (
    Candidates,
    EmbeddingScorer,
    PairScorer,
    RankingError,
    RankingOptions,
    Scorer,
    build_candidates,
    rank_users,
)
from holley_assets.ranking.mixtures import (
    BETAS,
    HybridScorer,
    SimilarPartsScorer,
    as_log_probabilities,
    choose_mixtures,
    chosen_value,
    log_softmax,
    mean_of_visits,
    ranked_by_log_probabilities,
    read_choices,
    reciprocal_ranks_of_choices,
    similarity_scorer,
)

SKUS = ["A", "B", "C", "D"]
ONE_CAR = {"make": "FORD", "model": "GT"}


def candidates() -> Candidates:
    """Four parts that fit a 1967; D alone fits no 1968."""
    fitment = pa.table(
        {
            "year": [1967] * 4 + [1968] * 3,
            "make": ["FORD"] * 7,
            "model": ["GT"] * 7,
            **{key: [*SKUS, *SKUS[:3]] for key in ("base_sku", "sku", "serving_sku")},
        }
    )
    return build_candidates(
        fitment, pa.table({"sku": SKUS, "part_type": SKUS}), view="training", apply_rules=True
    )


def sql(*scores: float) -> PairScorer:
    cars = {name: [value] * 4 for name, value in ONE_CAR.items()}
    return PairScorer(
        pa.table({**cars, "base_sku": SKUS, "score": pa.array(scores, pa.float64())}), name="sql"
    )


def gnn(*rows: list[float]) -> EmbeddingScorer:
    """Scores of each profile, exactly."""
    return EmbeddingScorer(np.array(rows, np.float32), np.eye(4, dtype=np.float32), SKUS)


# Visit, profile, tier, base SKU and weight.
Visit = tuple[int, int, str, str, float]


def visits(*rows: Visit) -> pa.Table:
    """``visit, profile, tier, base_sku, weight``, all with a 1967."""
    number, profile, tier, base_sku, weight = (list(column) for column in zip(*rows, strict=True))
    return pa.table(
        {
            "visit": number,
            "year": [1967] * len(rows),
            **{name: [value] * len(rows) for name, value in ONE_CAR.items()},
            "profile": profile,
            "tier": tier,
            "base_sku": base_sku,
            "weight": weight,
        }
    )


def test_a_hybrid_is_the_weighted_mean_of_both_logarithms() -> None:
    """sql: ln of 1, 2, 3, 4 tenths after its temperature; gnn: all alike for profile 0, ln of 4, 3, 2, 1 for 1."""
    tenths = np.log([0.1, 0.2, 0.3, 0.4])
    model = gnn([0, 0, 0, 0], list(tenths[::-1] / 2))
    scorer = HybridScorer(model, sql(*(tenths / 5)), 2.0, 5.0, np.array([0.25, 0.75]))
    found = scorer.bind(candidates())(np.array([0, 1]), slice(0, 4))
    assert found[0] == pytest.approx(0.25 * tenths)
    assert found[1] == pytest.approx(0.75 * tenths + 0.25 * tenths[::-1], abs=1e-6)
    # In no order, and one whose car nothing fits.
    users = pa.table(
        {
            "email_lower": ["c", "b", "a"],
            "year": [1900, 1968, 1967],
            "make": ["FORD"] * 3,
            "model": ["GT"] * 3,
        }
    )
    users = users.append_column("profile", pa.array([1, 1, 0], pa.int32()))
    ranking = pa.table(
        {"email_lower": ["a", "b"], "base_sku": ["D", "C"], "score": [found[0, 3], found[1, 2]]}
    )
    scores = as_log_probabilities(ranking, users, candidates(), scorer)["score"].to_pylist()
    # 1967: 0.25 · ln 0.4 + 0.75 · ln 1/4. 1968 has no D: 0.75 · ln(3 / 6) + 0.25 · ln(2 / 9).
    assert scores[0] == pytest.approx(0.25 * math.log(0.4) + 0.75 * math.log(0.25))
    assert scores[1] == pytest.approx(0.75 * math.log(0.5) + 0.25 * math.log(2 / 9), abs=1e-6)


def test_what_a_hybrid_delivers_has_the_logarithms_of_probabilities() -> None:
    """b and c share the car, c ordered the best part; a comes first by name alone; nothing fits the car of d."""
    tenths = np.log([0.1, 0.2, 0.3, 0.4])
    scorer = HybridScorer(
        gnn([0, 0, 0, 0], list(tenths[::-1] / 2)), sql(*(tenths / 5)), 2.0, 5.0, np.array([0.25, 0.75])
    )
    users = pa.table(
        {
            "email_lower": ["d", "a", "b", "c"],
            "year": [1900, 1968, 1967, 1967],
            "make": ["FORD"] * 4,
            "model": ["GT"] * 4,
            "profile": pa.array([0, 1, 0, 0], pa.int32()),
        }
    )
    bought = pa.table({"email_lower": ["c"], "base_sku": ["D"], "order_date": [datetime.date(2026, 1, 31)]})
    ranking = rank_users(
        users,
        candidates(),
        scorer,
        purchases=bought,
        view_end=datetime.date(2026, 2, 1),
        options=RankingOptions(4, 2, 365),
    )
    found = ranked_by_log_probabilities(ranking, users, scorer).to_table("hybrid").to_pylist()
    shown = {(row["email_lower"], row["base_sku"]): row["score"] for row in found}
    assert [row["base_sku"] for row in found] == [*"CBA", *"DCBA", *"CBA"]
    # What was bought is no choice, but one of the parts that fit.
    for user in "bc":
        assert shown[user, "C"] == pytest.approx(0.25 * math.log(0.3) + 0.75 * math.log(0.25))
    assert shown["b", "D"] == pytest.approx(0.25 * math.log(0.4) + 0.75 * math.log(0.25))
    assert shown["a", "C"] == pytest.approx(0.75 * math.log(0.5) + 0.25 * math.log(2 / 9), abs=1e-6)


def test_similar_parts_multiply_popularity_and_leave_everybody_else_alone() -> None:
    similar = pa.table({"profile": [1, 1], "base_sku": ["A", "C"], "similarity": [1.0, 0.5]})
    scorer = SimilarPartsScorer(sql(1.0, 7.0, 2.0, 0.0), similar, beta=10.0)
    found = scorer.bind(candidates())(np.array([0, 1]), slice(0, 4))
    assert found.tolist() == [[1.0, 7.0, 2.0, 0.0], [11.0, 7.0, 12.0, 0.0]]


def test_logarithms_of_shares_and_ranks_visit_by_visit() -> None:
    offsets = np.array([0, 2, 2, 5])
    shares = np.exp(log_softmax(np.log([1.0, 3.0, 2.0, 2.0, 4.0]), offsets))
    assert shares == pytest.approx([0.25, 0.75, 0.25, 0.25, 0.5])
    found = read_choices(
        visits(
            (7, 0, "cold", "B", 1.0),
            (8, 0, "warm", "D", 1.0),
            (9, 1, "hot", "C", 5.0),
            (9, 1, "hot", "X", 5.0),
        ),
        candidates(),
        {"gnn": gnn([4, 3, 2, 1], [1, 2, 2, 3])},
    )
    assert found.scores["gnn"].tolist() == [4, 3, 2, 1, 4, 3, 2, 1, 1, 2, 2, 3]
    assert found.chosen.tolist() == [1, 7, 10]
    assert found.tier.tolist() == [0, 1, 2]
    # Second, fourth; and behind D, level with B: two and a half.
    assert reciprocal_ranks_of_choices(found.scores["gnn"], found).tolist() == [0.5, 0.25, 0.4]


def test_choices_are_those_that_fit_the_car_in_whatever_order_visits_come() -> None:
    """D fits no 1968, and is next in line behind C of the visit before."""
    table = visits((9, 1, "hot", "C", 1.0), (7, 0, "cold", "D", 1.0), (8, 0, "warm", "A", 2.0))
    table = table.set_column(1, "year", pa.array([1967, 1968, 1967]))
    found = read_choices(table, candidates(), {"gnn": gnn([4, 3, 2, 1], [1, 2, 2, 3])})
    assert found.offsets.tolist() == [0, 3, 7, 11]
    assert found.tier.tolist() == [0, 1, 2]
    assert found.chosen.tolist() == [9, 3]
    assert (found.visit.tolist(), found.weight.tolist()) == ([2, 1], [1.0, 2.0])


def test_choices_of_a_visit_count_by_their_weight() -> None:
    found = read_choices(
        visits((1, 0, "cold", "A", 1.0), (1, 0, "cold", "B", 3.0), (2, 0, "cold", "X", 1.0)),
        candidates(),
        {"gnn": gnn([4, 3, 2, 1])},
    )
    means = mean_of_visits(found.scores["gnn"][found.chosen], found)
    assert means[0] == (4 + 3 * 3) / 4 and np.isnan(means[1])


def choose(sql_scores: list[float], gnn_rows: list[list[float]], similar: pa.Table, *rows: Visit) -> pa.Table:
    scorers: dict[str, Scorer] = {
        "gnn": gnn(*gnn_rows),
        "sql": sql(*sql_scores),
        "similarity": similarity_scorer(similar),
    }
    return choose_mixtures(read_choices(visits(*rows), candidates(), scorers), temperature=1.0)


NOTHING_SIMILAR = pa.table(
    {
        "profile": pa.array([], pa.int32()),
        "base_sku": pa.array([], pa.string()),
        "similarity": pa.array([], pa.float64()),
    }
)


def test_each_tier_takes_the_parent_that_foretells_it() -> None:
    """Cold users choose by sql, which says nothing of hot ones; the graph predicts those. No warm user came."""
    cold = [(number, 0, "cold", "DDDC"[number % 4], 1.0) for number in range(40)]
    hot = [(100 + number, 1, "hot", "A", 1.0) for number in range(40)]
    table = choose([0, 0, 1, 2], [[3, 0, 0, 0], [3, 0, 0, 0]], NOTHING_SIMILAR, *cold, *hot)
    assert chosen_value(table, "alpha", "cold") == 1.0
    assert chosen_value(table, "alpha", "hot") == 0.0
    assert chosen_value(table, "alpha", "warm") == 0.0
    curve = [row for row in table.to_pylist() if row["tier"] == "cold"]
    assert [row["value"] for row in curve] == pytest.approx(np.linspace(0.0, 1.0, 11))
    assert {row["visits"] for row in curve} == {40}
    assert curve[0]["gain"] == 0.0
    assert curve[-1]["gain"] > 2 * curve[-1]["standard_error"] > 0
    (warm,) = [row for row in table.to_pylist() if row["tier"] == "warm" and row["chosen"]]
    assert warm["gain"] is None
    assert warm["visits"] == 0


@pytest.mark.parametrize(
    ("count", "by_sql", "proven"), [(20, 14, False), (20, 17, True), (30, 19, False), (30, 20, True)]
)
def test_a_mixture_that_is_not_clearly_better_than_the_graph_is_not_taken(
    count: int, by_sql: int, proven: bool
) -> None:
    """So many visits choose what the pipeline prefers, and the others what the graph prefers.

    The gain is 1.95, 4.0, 1.96 and 2.07 standard errors.
    """
    rows = [(number, 0, "cold", "B" if number < by_sql else "A", 1.0) for number in range(count)]
    table = choose([0, 1, 0, 0], [[0.5, 0, 0, 0]], NOTHING_SIMILAR, *rows)
    curve = [row for row in table.to_pylist() if row["tier"] == "cold"]
    best = max(curve, key=lambda row: row["gain"])
    assert best["gain"] > 0
    assert (best["gain"] > 2 * best["standard_error"]) == proven
    assert chosen_value(table, "alpha", "cold") == (best["value"] if proven else 0.0)


def test_similarity_counts_as_much_as_it_foretells() -> None:
    """D sells ten times as well as A, which is similar: users with a history choose A, or D all the same."""
    similar = pa.table({"profile": pa.array([1], pa.int32()), "base_sku": ["A"], "similarity": [1.0]})
    sales, nothing = [1.0, 0.5, 0.5], [[0.0, 0.0, 0.0, 0.0]] * 2
    for chosen, beta in (("A", 10.0), ("D", 0.0)):
        rows = [(number, 1, "warm", chosen, 1.0) for number in range(20)]
        table = choose([*sales, 10.0], nothing, similar, *rows)
        assert chosen_value(table, "beta") == beta
    assert [row["value"] for row in table.to_pylist() if row["parameter"] == "beta"] == list(BETAS)
    # The largest weight makes 101 of one: enough for 100.5 sales, not for 101.5.
    for often, beta in ((100.5, 100.0), (101.5, 0.0)):
        rows = [(number, 1, "warm", "A", 1.0) for number in range(3)]
        table = choose([*sales, often], nothing, similar, *rows)
        assert chosen_value(table, "beta") == beta
    # A visit of somebody unknown does not count, whatever was similar.
    rows = [(number, 1, "cold", "A", 1.0) for number in range(20)]
    cold = choose([*sales, 10.0], nothing, similar, *rows)
    assert chosen_value(cold, "beta") == 0.0


def test_without_any_visit_the_graph_stands_alone() -> None:
    scorers: dict[str, Scorer] = {
        "gnn": gnn([0, 0, 0, 0]),
        "sql": sql(1, 2, 3, 4),
        "similarity": similarity_scorer(NOTHING_SIMILAR),
    }
    nobody = visits((1, 0, "cold", "A", 1.0)).slice(0, 0)
    table = choose_mixtures(read_choices(nobody, candidates(), scorers), 1.0)
    assert [chosen_value(table, "alpha", tier) for tier in ("cold", "warm", "hot")] == [0.0, 0.0, 0.0]
    assert chosen_value(table, "beta") == 0.0
    assert chosen_value(table, "sql_temperature") == 1.0
    with pytest.raises(RankingError, match="0 values of gamma are chosen for tier None"):
        chosen_value(table, "gamma")


def test_the_graph_s_temperature_makes_logits_of_its_scores() -> None:
    """The graph foretells B by ln 9 after its temperature: 3/4 of the likelihood; the pipeline knows nothing."""
    scorers: dict[str, Scorer] = {
        "gnn": gnn([0, 1, 0, 0]),
        "sql": sql(1, 1, 1, 1),
        "similarity": similarity_scorer(NOTHING_SIMILAR),
    }
    rows = [(number, 0, "cold", "B", 1.0) for number in range(4)]
    table = choose_mixtures(read_choices(visits(*rows), candidates(), scorers), math.log(9))
    curve = [row for row in table.to_pylist() if row["tier"] == "cold"]
    assert curve[-1]["gain"] == pytest.approx(math.log(1 / 4) - math.log(9 / 12))
    # Half of either is ln 9 / 2: 3 of 6.
    assert curve[5]["gain"] == pytest.approx(math.log(3 / 6) - math.log(9 / 12))
    assert chosen_value(table, "sql_temperature") == 1.0


@pytest.mark.parametrize(
    ("weights", "temperature"),
    [
        # Choices of 1 : 2 : 4 : 8 for scores 1, 2, 3, 4 are exponentials of ln 2 times the score.
        ({"A": 1.0, "B": 2.0, "C": 4.0, "D": 8.0}, math.log(2)),
        # No temperature explains these best: three at most, a hundredth at least.
        ({"D": 1.0}, 3.0),
        ({"A": 1.0}, 0.01),
    ],
)
def test_the_temperature_makes_scores_the_shares_that_were_chosen(
    weights: dict[str, float], temperature: float
) -> None:
    rows = [(number, 0, "cold", sku, weight) for number, (sku, weight) in enumerate(weights.items())]
    table = choose([1, 2, 3, 4], [[0, 0, 0, 0]], NOTHING_SIMILAR, *rows)
    assert chosen_value(table, "sql_temperature") == pytest.approx(temperature, rel=0.02)
