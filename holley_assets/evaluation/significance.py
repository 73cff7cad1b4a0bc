"""How sure a difference between two systems is.

Both systems are measured on the same users, so every test here is paired: what a user does under one
system is held against what the same user does under the other.
"""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Num

from holley_assets.evaluation.metrics import SCOPES, HeldOutClicks, UserMetrics

ALPHA = 0.05
POWER = 0.80
COMPARISON = ("hit_rate@4_delta", "ci95", "mcnemar_p", "recall@10_relative", "mrr_relative")


@dataclass(frozen=True)
class Bootstrap:
    """How the paired bootstrap resamples: number of draws, level of the interval, seed."""

    draws: int = 1000
    confidence: float = 0.95
    seed: int = 0


def mcnemar_p_value(treatment: Num[np.ndarray, "users"], baseline: Num[np.ndarray, "users"]) -> float | None:
    """Two-sided p-value of McNemar's exact test on paired binary outcomes.

    Under the null hypothesis a discordant user (a hit for one system only) is as likely to favour either, so
    the wins among the discordant users follow Binomial(discordant, 1/2) (McNemar 1947; exact form: Agresti,
    *Categorical Data Analysis*, 10.1).

    Args:
        treatment, baseline: 0 or 1 of the same users.

    Returns:
        None without users; 1.0 with users but none discordant: nothing speaks against the null hypothesis.
    """
    if len(treatment) == 0:
        return None
    wins = int((treatment > baseline).sum())
    discordant = int((treatment != baseline).sum())
    # Takes half a second to load, which every process of a run would pay that only knows the report's settings.
    from scipy.stats import binomtest

    return float(binomtest(wins, discordant, 0.5).pvalue) if discordant else 1.0


def bootstrap_means(
    values: Float[np.ndarray, "users metrics"], *, draws: int, seed: int | list[int]
) -> Float[np.ndarray, "{draws} metrics"]:
    """Means of ``values`` in resamples of the users with replacement.

    Rows of a user stay together, which keeps the pairing. Users with equal rows are interchangeable, so one
    multinomial draw over the distinct rows has exactly the distribution of as many draws of a user: the cost does
    not grow with the users, and no matrix of draws and users exists.

    Args:
        values: one row a user, of one user at least.
        draws: resamples.
        seed: seed of the random generator.
    """
    rows, counts = np.unique(values, axis=0, return_counts=True)  # [rows, metrics], [rows]
    users = len(values)
    resampled = np.random.default_rng(seed).multinomial(users, counts / users, size=draws)  # [draws, rows]
    means: np.ndarray = resampled @ rows / users
    return means


def interval(samples: Float[np.ndarray, "draws"], confidence: float) -> list[float] | None:
    """Percentile interval [low, high] of bootstrap samples; None when any of them does not exist."""
    if not np.isfinite(samples).all():
        return None
    tail = (1.0 - confidence) / 2.0
    low, high = np.quantile(samples, [tail, 1.0 - tail])
    return [float(low), float(high)]


def relative_lift(treatment: float, baseline: float) -> float | None:
    """``treatment / baseline − 1``; None for a baseline of 0, over which no relative lift exists."""
    return treatment / baseline - 1.0 if baseline > 0 else None


def minimal_detectable_lift(
    users: int, discordant_share: float, *, alpha: float = ALPHA, power: float = POWER
) -> float | None:
    """Smallest absolute lift that McNemar's test at level ``alpha`` sees with probability ``power``.

    The sample size for a lift δ with a share ψ of discordant users is
    ``n = (z₁₋α⸝₂ √ψ + z_power √(ψ − δ²))² / δ²`` (Miettinen 1968; Connor, *Biometrics* 43, 1987, eq. 3).
    Solved for δ it is ``δ = c √ψ`` with
    ``c = (z₁₋α⸝₂ √n + z_power √(n + z_power² − z₁₋α⸝₂²)) / (n + z_power²)``.
    A lift cannot exceed the share of discordant users, so where few are discordant ψ is at least δ itself,
    which gives ``δ = c²``.

    Args:
        users: n, test users.
        discordant_share: ψ, share of users that are a hit for one of the two systems only, in [0, 1].
        alpha: level of the two-sided test.
        power: probability to see a lift of that size.

    Returns:
        The lift, in (0, 1]; None when no lift at all is detectable with so few users.
    """
    normal = statistics.NormalDist()
    critical, extra = normal.inv_cdf(1.0 - alpha / 2.0), normal.inv_cdf(power)
    under_root = users + extra**2 - critical**2
    if users < 1 or under_root < 0:
        return None
    scale = (critical * math.sqrt(users) + extra * math.sqrt(under_root)) / (users + extra**2)
    lift = scale * max(math.sqrt(discordant_share), scale)
    return lift if lift <= 1.0 else None


def compare_scope(
    treatment: UserMetrics,
    baseline: UserMetrics,
    inside: Bool[np.ndarray, "users"],
    bootstrap: Bootstrap,
    stream: int,
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Comparison and power of the users ``inside``; see :func:`compare`."""
    users = int(inside.sum())
    if users == 0:
        missing = (
            "discordant_share",
            "minimal_detectable_lift",
            "recall@10_relative_ci95",
            "mrr_relative_ci95",
        )
        return dict.fromkeys(COMPARISON), {"users": 0, "wins": 0, "losses": 0, **dict.fromkeys(missing)}
    hits, baseline_hits = treatment["hit_rate@4"][inside], baseline["hit_rate@4"][inside]
    recall, baseline_recall = treatment["recall@10"][inside], baseline["recall@10"][inside]
    ranks, baseline_ranks = treatment["mrr"][inside], baseline["mrr"][inside]

    columns = np.column_stack([hits - baseline_hits, recall, baseline_recall, ranks, baseline_ranks])
    means = bootstrap_means(columns, draws=bootstrap.draws, seed=[bootstrap.seed, stream])  # [draws, 5]
    with np.errstate(divide="ignore", invalid="ignore"):
        recall_lifts, rank_lifts = means[:, 1] / means[:, 2] - 1.0, means[:, 3] / means[:, 4] - 1.0
    discordant_share = float((hits != baseline_hits).mean())
    comparison = {
        "hit_rate@4_delta": float((hits - baseline_hits).mean()),
        "ci95": interval(means[:, 0], bootstrap.confidence),
        "mcnemar_p": mcnemar_p_value(hits, baseline_hits),
        "recall@10_relative": relative_lift(float(recall.mean()), float(baseline_recall.mean())),
        "mrr_relative": relative_lift(float(ranks.mean()), float(baseline_ranks.mean())),
    }
    power = {
        "users": users,
        "wins": int((hits > baseline_hits).sum()),
        "losses": int((hits < baseline_hits).sum()),
        "discordant_share": discordant_share,
        "minimal_detectable_lift": minimal_detectable_lift(users, discordant_share),
        "recall@10_relative_ci95": interval(recall_lifts, bootstrap.confidence),
        "mrr_relative_ci95": interval(rank_lifts, bootstrap.confidence),
    }
    return comparison, power


def compare(
    treatment: UserMetrics, baseline: UserMetrics, truth: HeldOutClicks, bootstrap: Bootstrap | None = None
) -> tuple[dict[str, dict[str, Any]], dict[str, dict[str, Any]]]:
    """Hold one system against another on the same users, overall and by tier.

    Args:
        treatment: metrics of each test user under the system on trial (``gnn``).
        baseline: the same under the system to beat (``sql``).
        truth: the test users.
        bootstrap: resampling; each scope has its own random stream, so that one tier's interval does not
            depend on another tier's users.

    Returns:
        Two tables by scope. ``comparison``: ``hit_rate@4_delta`` (absolute), its interval ``ci95``,
        ``mcnemar_p``, ``recall@10_relative`` and ``mrr_relative`` (0.1 is +10 %); None where a number does
        not exist. ``power``: ``users``, ``wins`` and ``losses`` (users that are a hit for one system only),
        ``discordant_share``, ``minimal_detectable_lift`` at 80 % power and 5 % level, and the intervals of
        the relative lifts.
    """
    bootstrap = bootstrap or Bootstrap()
    comparison, power = {}, {}
    for stream, scope in enumerate(SCOPES):
        comparison[scope], power[scope] = compare_scope(
            treatment, baseline, truth.in_scope(scope), bootstrap, stream
        )
    return comparison, power
