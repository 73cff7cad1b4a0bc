"""From scores to probabilities of a choice among all parts that a user may be shown."""

from __future__ import annotations

import datetime

import numpy as np
import pyarrow as pa

from holley_assets.ranking.candidates import Candidates
from holley_assets.ranking.ranker import RankingOptions, rank_users
from holley_assets.ranking.scorers import Scorer


def log_totals(users: pa.Table, candidates: Candidates, scorer: Scorer, temperature: float) -> pa.Table:
    """``email_lower, log_total``: ``ln Σ exp(temperature · score)`` over the candidates of each user's vehicle.

    ``exp(temperature · score − log_total)`` is then the probability that the user chooses a part, once it chooses
    one of them (McFadden 1974's conditional logit). A user without candidates has no row.

    Args:
        users: email_lower, year, make, model, and profile where the scorer wants it.
        temperature: what turns a score into a logit.
    """
    everything = max(int(np.diff(candidates.row_offsets).max(initial=0)), 1)
    ranking = rank_users(
        users,
        candidates,
        scorer,
        purchases=None,
        view_end=datetime.date.max,
        options=RankingOptions(everything, maximum_per_part_type=everything, purchase_exclusion_days=1),
    )
    logits = temperature * ranking.scores
    counts = np.diff(ranking.offsets)
    filled = np.flatnonzero(counts)
    totals = np.full(len(counts) + 1, np.nan)
    totals[filled] = np.logaddexp.reduceat(logits, ranking.offsets[filled]) if len(filled) else []
    # One more entry at the end: request −1 has no parts.
    table = pa.table({"email_lower": ranking.email_lower, "log_total": totals[ranking.user_request]})
    return table.filter(pa.array(np.isfinite(totals[ranking.user_request])))
