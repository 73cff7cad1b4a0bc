"""Ranking metrics as pure functions of a hit matrix.

A system's rankings and the held-out clicks become one boolean matrix, ``hits[u, r]``: is the part at rank
``r + 1`` of test user ``u`` among the parts that ``u`` clicked? Every metric is a function of that matrix
and of the number of parts each user clicked, as in RelBench. Every test user is a row for every system: a
user whom a system has no ranking for is a row without hits, so that no system gains by silence.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Bool, Float64, Int, Int8, Int64

from holley_assets.terms import TIERS

SCOPES = ("overall", *TIERS)
DEPTH = 20
METRICS = ("hit_rate@4", "recall@1", "recall@5", "recall@10", "recall@20", "mrr", "ndcg@10")

UserMetrics = dict[str, Float64[np.ndarray, "users"]]
"""Metric name → one value for each test user, in the order of :class:`HeldOutClicks`."""

MetricTable = dict[str, dict[str, dict[str, int | float | None]]]
"""System → scope → ``users`` and the metrics; a metric of an empty scope is None."""


class EvaluationError(ValueError):
    """Rankings or clicks are not what the metrics are defined on. The message says which and where."""


@dataclass(frozen=True)
class HeldOutClicks:
    """What each test user clicked: the ground truth that all systems are held to.

    Attributes:
        emails: the test users, sorted strings.
        tiers: index into :data:`TIERS`, as of the cutoff.
        products: the clicked base SKUs, sorted strings.
        relevant_pairs: sorted ``user * len(products) + product`` of the distinct clicked pairs.
        relevant_counts: distinct parts clicked by each user; at least 1.
    """

    emails: pa.Array
    tiers: Int8[np.ndarray, "users"]
    products: pa.Array
    relevant_pairs: Int64[np.ndarray, "pairs"]
    relevant_counts: Int64[np.ndarray, "users"]

    @property
    def users(self) -> int:
        """Number of test users."""
        return len(self.emails)

    def in_scope(self, scope: str) -> Bool[np.ndarray, "users"]:
        """Flags of the users of ``scope``, one of :data:`SCOPES`."""
        if scope == "overall":
            return np.ones(self.users, dtype=bool)
        in_tier: np.ndarray = self.tiers == TIERS.index(scope)
        return in_tier


def string_column(table: pa.Table, name: str, *, what: str) -> pa.Array:
    """Column ``name`` as one plain string array.

    Raises:
        EvaluationError: the column is missing or holds nulls.
    """
    if name not in table.column_names:
        raise EvaluationError(
            f"{what} has no column {name}; it has {', '.join(table.column_names) or 'none'}"
        )
    column = table.column(name).cast(pa.string()).combine_chunks()
    if column.null_count:
        raise EvaluationError(f"{what}: {column.null_count} of {len(column)} rows have no {name}")
    return column


def _sorted_unique(values: pa.Array) -> pa.Array:
    unique = pc.unique(values)
    return unique.take(pc.array_sort_indices(unique))


def _index_in(values: pa.Array, value_set: pa.Array) -> Int64[np.ndarray, "rows"]:
    """Position of each value in ``value_set``, −1 where it is not there."""
    index = pc.fill_null(pc.index_in(values, value_set=value_set), -1)
    position: np.ndarray = index.to_numpy(zero_copy_only=False).astype(np.int64)
    return position


def held_out_clicks(clicks: pa.Table, users: pa.Table) -> HeldOutClicks:
    """Distinct clicked parts of each test user, with the user's tier.

    Args:
        clicks: email_lower, base_sku; one row a click, repeated pairs count once.
        users: email_lower, engagement_tier; may hold more users than those who clicked.

    Raises:
        EvaluationError: a null or missing column, a user with two rows, a clicking user without a row, or a
            tier that is none of :data:`TIERS`.
    """
    click_emails = string_column(clicks, "email_lower", what="clicks")
    click_products = string_column(clicks, "base_sku", what="clicks")
    emails, products = _sorted_unique(click_emails), _sorted_unique(click_products)

    row_of_user = _index_in(string_column(users, "email_lower", what="users"), emails)
    tier_of_user = _index_in(string_column(users, "engagement_tier", what="users"), pa.array(TIERS))
    known = row_of_user >= 0
    if (tier_of_user[known] < 0).any():
        raise EvaluationError(f"users: an engagement_tier is none of {', '.join(TIERS)}")
    rows_of_user = np.bincount(row_of_user[known], minlength=len(emails))
    if (rows_of_user > 1).any():
        raise EvaluationError(f"users: {int((rows_of_user > 1).sum())} test users have more than one row")
    if (rows_of_user == 0).any():
        raise EvaluationError(f"users: {int((rows_of_user == 0).sum())} users with test clicks have no row")
    tiers = np.empty(len(emails), dtype=np.int8)
    tiers[row_of_user[known]] = tier_of_user[known]

    pairs = np.unique(_index_in(click_emails, emails) * len(products) + _index_in(click_products, products))
    counts = np.bincount(pairs // max(len(products), 1), minlength=len(emails))
    return HeldOutClicks(emails, tiers, products, pairs, counts)


def hit_matrix(
    rankings: pa.Table, system: str, truth: HeldOutClicks, *, depth: int = DEPTH
) -> Bool[np.ndarray, "users {depth}"]:
    """Of each user and rank: is the part at that rank among the user's clicked parts?

    Args:
        rankings: email_lower, system, rank (from 1), base_sku. Rows of users without test clicks and ranks
            beyond ``depth`` are not looked at.
        system: the system whose rows are read.
        truth: the test users and what they clicked.
        depth: columns of the matrix.

    Raises:
        EvaluationError: a user's ranks are not 1, 2, … n without gap or repeat, or a part appears twice in a
            user's ranking: metrics of such a ranking would flatter or punish the system for a defect.
    """
    rows = rankings.filter(pc.equal(rankings.column("system").cast(pa.string()), system))
    what = f"rankings of system {system}"
    user = _index_in(string_column(rows, "email_lower", what=what), truth.emails)
    ours = user >= 0
    rows, user = rows.filter(pa.array(ours)), user[ours]
    product_names = string_column(rows, "base_sku", what=what)
    if rows.column("rank").null_count:
        raise EvaluationError(f"{what}: {rows.column('rank').null_count} rows have no rank")
    rank = rows.column("rank").to_numpy().astype(np.int64)

    order = np.lexsort((rank, user))
    sorted_user, sorted_rank = user[order], rank[order]
    first_row = np.searchsorted(sorted_user, sorted_user, side="left")
    wrong = sorted_rank != np.arange(len(order)) - first_row + 1
    if wrong.any():
        raise EvaluationError(
            f"{what}: {len(np.unique(sorted_user[wrong]))} users have ranks that are not 1, 2, … n, each once"
        )
    code = product_names.dictionary_encode().indices.to_numpy(zero_copy_only=False).astype(np.int64)
    if len(np.unique(user * (len(code) + 1) + code)) < len(code):
        raise EvaluationError(f"{what}: a part appears twice in one user's ranking")

    product = _index_in(product_names, truth.products)
    within = (rank <= depth) & (product >= 0)
    is_hit = np.isin(user[within] * len(truth.products) + product[within], truth.relevant_pairs)
    hits = np.zeros((truth.users, depth), dtype=bool)
    hits[user[within], rank[within] - 1] = is_hit
    return hits


def hit_rate_at(hits: Bool[np.ndarray, "users depth"], k: int) -> Float64[np.ndarray, "users"]:
    """1 where any of the first ``k`` parts was clicked, else 0."""
    return np.asarray(hits[:, :k].any(axis=1), dtype=np.float64)


def recall_at(
    hits: Bool[np.ndarray, "users depth"], relevant_counts: Int[np.ndarray, "users"], k: int
) -> Float64[np.ndarray, "users"]:
    """Share of the user's clicked parts among the first ``k``."""
    return np.asarray(hits[:, :k].sum(axis=1) / relevant_counts)


def reciprocal_rank(hits: Bool[np.ndarray, "users depth"]) -> Float64[np.ndarray, "users"]:
    """1 / rank of the first hit, 0 where there is none within the matrix' depth."""
    return np.where(hits.any(axis=1), 1.0 / (hits.argmax(axis=1) + 1), 0.0)


def ndcg_at(
    hits: Bool[np.ndarray, "users depth"], relevant_counts: Int[np.ndarray, "users"], k: int
) -> Float64[np.ndarray, "users"]:
    """Normalised discounted cumulative gain with binary relevance.

    Gain at rank r is 1 / log2(r + 1) (Järvelin & Kekäläinen 2002); the ideal ranking opens with
    ``min(relevant, k)`` hits.
    """
    discount = 1.0 / np.log2(np.arange(2, k + 2))  # [k]
    width = min(k, hits.shape[1])
    gain = hits[:, :width] @ discount[:width]
    ideal = np.concatenate([[0.0], np.cumsum(discount)])[np.minimum(relevant_counts, k)]
    return np.asarray(gain / ideal)


def user_metrics(
    hits: Bool[np.ndarray, "users depth"], relevant_counts: Int[np.ndarray, "users"]
) -> UserMetrics:
    """All of :data:`METRICS` for each user, from the hit matrix and the number of clicked parts."""
    return {
        "hit_rate@4": hit_rate_at(hits, 4),
        **{f"recall@{k}": recall_at(hits, relevant_counts, k) for k in (1, 5, 10, 20)},
        "mrr": reciprocal_rank(hits),
        "ndcg@10": ndcg_at(hits, relevant_counts, 10),
    }


def score_systems(rankings: pa.Table, truth: HeldOutClicks, systems: Sequence[str]) -> dict[str, UserMetrics]:
    """Metrics of every test user for every system.

    Raises:
        EvaluationError: a system has not one row while others have some (a misspelled name would otherwise
            look like a system that always misses), or its rankings are malformed (:func:`hit_matrix`).
    """
    present = set(pc.unique(string_column(rankings, "system", what="rankings")).to_pylist())
    missing = [system for system in systems if system not in present]
    if present and missing:
        raise EvaluationError(
            f"rankings hold no row of system {', '.join(missing)}; they hold {', '.join(sorted(present))}"
        )
    return {
        system: user_metrics(hit_matrix(rankings, system, truth), truth.relevant_counts) for system in systems
    }


def summarise(values: Mapping[str, UserMetrics], truth: HeldOutClicks) -> MetricTable:
    """Mean over the users of each scope; None where a scope has no user, since its mean does not exist."""
    table: MetricTable = {}
    for system, metrics in values.items():
        table[system] = {}
        for scope in SCOPES:
            inside = truth.in_scope(scope)
            users = int(inside.sum())
            row: dict[str, int | float | None] = {"users": users}
            for name in METRICS:
                row[name] = float(metrics[name][inside].mean()) if users else None
            table[system][scope] = row
    return table


def compute_metrics(
    rankings: pa.Table, clicks: pa.Table, users: pa.Table, systems: Sequence[str]
) -> MetricTable:
    """Metrics of every system, overall and by engagement tier, on the same test users.

    Args:
        rankings: email_lower, system, rank, base_sku (more columns are ignored).
        clicks: email_lower, base_sku.
        users: email_lower, engagement_tier as of the cutoff.
        systems: which systems, in the order of the result.

    Raises:
        EvaluationError: see :func:`held_out_clicks` and :func:`score_systems`.
    """
    truth = held_out_clicks(clicks, users)
    return summarise(score_systems(rankings, truth, systems), truth)
