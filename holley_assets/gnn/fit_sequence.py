"""Which fit comes next: a few strong priors first, then weaker ones, for as long as held-out visitors gain.

Stages follow one another, and each is kept only where the held-out visitors confirm it:

* ``popularity``: one number a part;
* ``levels``: vectors of cars and parts, with visitors' cars as fitment and popularity tell them;
* ``visitors``: visitors' cars are inferred anew, by what has been learned, before each fit;
* ``messages``: cars exchange messages over the parts that fit both.

Within a stage each fit starts from the last one, under a weaker prior.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from holley_assets.gnn.checkpoint import Epoch

POPULARITY, LEVELS, VISITORS, MESSAGES = STAGES = ("popularity", "levels", "visitors", "messages")
# A stage ends when this many fits in a row are worse than its best by more than this share of the loss. Under the
# strongest priors fits differ by less, for nothing is learned yet.
PATIENCE, CLEAR_LOSS = 2, 1e-3
# A later stage starts this many strengths before the best one of ``levels``.
HEAD_START = 4


class Fit(NamedTuple):
    """One fit: its stage, the strength of its priors, and whether it is the stage's first."""

    stage: str
    strength: float
    is_first: bool


def next_fit(history: Sequence[Epoch], strengths: Sequence[float]) -> Fit | None:
    """The fit after those of ``history``; None when all stages are done."""
    stage = history[-1].stage
    if stage not in STAGES:
        return Fit(POPULARITY, math.inf, is_first=True)
    if stage != POPULARITY:
        worse = _loss(best_of(history, stage)) * (1.0 + CLEAR_LOSS)
        last = [epoch for epoch in history if epoch.stage == stage][-PATIENCE:]
        gains = len(last) < PATIENCE or any(_loss(epoch) <= worse for epoch in last)
        weaker = [strength for strength in strengths if strength < (history[-1].strength or math.inf)]
        if weaker and gains:
            return Fit(stage, weaker[0], is_first=False)
    if stage == MESSAGES or not strengths:
        return None
    start = 0
    if stage != POPULARITY:
        of_levels = best_of(history, LEVELS).strength or math.inf
        start = max(0, list(strengths).index(of_levels) - HEAD_START)
    return Fit(STAGES[STAGES.index(stage) + 1], strengths[start], is_first=True)


def best_of(history: Sequence[Epoch], *stages: str) -> Epoch:
    """The fit of ``stages`` that predicts held-out visitors best; the first of equals."""
    return min((epoch for epoch in history if epoch.stage in stages), key=_loss)


def _loss(epoch: Epoch) -> float:
    return math.inf if epoch.validation_loss is None else epoch.validation_loss
