"""Candidates, rules and the one ranker, on numpy and Arrow.

Whatever scores a part (the graph network, the SQL pipeline, chance, a peer in a benchmark), the same code
decides who may see it and in which order::

    from holley_assets.ranking import PairScorer, RankingOptions, build_candidates, rank_users

    candidates = build_candidates(fitment, parts, view="training", apply_rules=True)
    options = RankingOptions(depth=20, maximum_per_part_type=2, purchase_exclusion_days=365)
    scorer = PairScorer(popularity.select(["make", "model", "base_sku", "sql_score"]).rename_columns(
        ["make", "model", "base_sku", "score"]))
    ranking = rank_users(users, candidates, scorer, purchases=purchases, view_end=cutoff, options=options)
    ranking.to_table("sql")     # email_lower, system, rank, base_sku, sku, score

The rules, in the order in which they act:

1. parts that fit the user's year, make and model, in an eligible variant (``fitment.sku``);
2. none whose base SKU the user ordered in the days before the view's end;
3. best score first, equal scores by base SKU;
4. a part type at most so many times (parts without a type count as one type);
5. the first ``depth`` of what is left.

A system with another source of scores is a small class (:class:`~holley_assets.ranking.scorers.Scorer`)::

    class FactorScorer:
        name, profiles = "als", "given"
        def bind(self, candidates):
            item = factors_in_the_order_of(candidates.product_ids)
            return lambda profiles, pairs: user[profiles] @ item[candidates.pair_product[pairs]].T
"""

from holley_assets.ranking.candidates import Candidates, RankingError, build_candidates
from holley_assets.ranking.ranker import Ranking, RankingOptions, rank_users
from holley_assets.ranking.scorers import (
    EmbeddingScorer,
    HistoryScorer,
    PairScorer,
    ProfileScorer,
    RandomScorer,
    ScoreBlock,
    Scorer,
)
from holley_assets.terms import View

__all__ = [
    "Candidates",
    "EmbeddingScorer",
    "HistoryScorer",
    "PairScorer",
    "ProfileScorer",
    "RandomScorer",
    "Ranking",
    "RankingError",
    "RankingOptions",
    "ScoreBlock",
    "Scorer",
    "View",
    "build_candidates",
    "rank_users",
]
