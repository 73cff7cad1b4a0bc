"""Which fit comes next: a few strong priors first, then weaker ones, for as long as held-out visitors gain.

Stages follow one another:

* ``popularity``: one number a part. The best strength of its prior is that of biases in all later stages;
* ``levels``: vectors of cars and parts, with visitors' cars as fitment and popularity tell them;
* ``visitors``: visitors' cars are inferred anew, by what has been learned, before each fit;
* ``messages``: cars exchange messages over the parts that fit both, at the strength that was best without them.

Within a stage each fit starts from the last one, under a weaker prior. Held-out visitors choose among the first three
stages by likelihood. The likelihood of all parts says little about messages: it counts the many cars with traffic,
and what messages change is the top of the list of the few without. On samples with a known truth, at equal strength,
messages gained up to three points of expected Hit Rate@4 and never lost more than 0.3, also where the likelihood was
against them. So they are kept unless visitors find what they met clearly further down
(:data:`holley_assets.gnn.training.REFUTED`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from holley_assets.gnn.checkpoint import Epoch

POPULARITY, LEVELS, VISITORS, MESSAGES = STAGES = ("popularity", "levels", "visitors", "messages")
# Stages among which the likelihood of held-out visitors chooses.
CHOSEN_BY_LIKELIHOOD = ("start", POPULARITY, LEVELS, VISITORS)
# What the precisions of biases are multiplied by, the strongest first. A part's popularity follows the number of its
# visitors without any bias: where traffic is thin, a bias beside it tells chance.
BIAS_STRENGTHS = (64.0, 16.0, 4.0, 1.0)
# A stage ends when this many fits in a row are worse than its best by more than this share of the loss. Under the
# strongest priors fits differ by less, for nothing is learned yet.
PATIENCE, CLEAR_LOSS = 2, 1e-3
# A later stage starts this many strengths before the best one of the stages before it.
HEAD_START = 4


class Fit(NamedTuple):
    """One fit: its stage, the strength of its priors, and whether it is the stage's first.

    The strength is that of biases in ``popularity`` and that of vectors in the other stages.
    """

    stage: str
    strength: float
    is_first: bool


def next_fit(history: Sequence[Epoch], strengths: Sequence[float]) -> Fit | None:
    """The fit after those of ``history``; None when all stages are done."""
    stage = history[-1].stage
    if stage not in STAGES:
        return Fit(POPULARITY, BIAS_STRENGTHS[0], is_first=True)
    of_stage = BIAS_STRENGTHS if stage == POPULARITY else strengths
    weaker = [strength for strength in of_stage if strength < (history[-1].strength or math.inf)]
    goes_on = history[-1].strength != strength_of_messages(history) if stage == MESSAGES else _gains(history)
    if weaker and goes_on:
        return Fit(stage, weaker[0], is_first=False)
    if stage == MESSAGES or not strengths:
        return None
    following = STAGES[STAGES.index(stage) + 1]
    if following == LEVELS:
        return Fit(LEVELS, strengths[0], is_first=True)
    target = best_of(history, LEVELS).strength if following == VISITORS else strength_of_messages(history)
    if target is None:
        return None
    start = max(0, list(strengths).index(target) - HEAD_START)
    return Fit(following, strengths[start], is_first=True)


def strength_of_messages(history: Sequence[Epoch]) -> float | None:
    """The strength at which cars exchange messages; None where held-out visitors prefer plain popularity."""
    best = best_of(history, *CHOSEN_BY_LIKELIHOOD)
    return best.strength if best.stage in (LEVELS, VISITORS) else None


def bias_strength(history: Sequence[Epoch]) -> float:
    """The strength of the priors of biases that predicts held-out visitors best."""
    strength = best_of(history, POPULARITY).strength
    assert strength is not None, "each fit of popularity has a strength"
    return strength


def _gains(history: Sequence[Epoch]) -> bool:
    """Whether a fit of the last few of the present stage is about as good as the stage's best, or better."""
    stage = history[-1].stage
    worse = _loss(best_of(history, stage)) * (1.0 + CLEAR_LOSS)
    last = [epoch for epoch in history if epoch.stage == stage][-PATIENCE:]
    return len(last) < PATIENCE or any(_loss(epoch) <= worse for epoch in last)


def best_of(history: Sequence[Epoch], *stages: str) -> Epoch:
    """The fit of ``stages`` that predicts held-out visitors best; the first of equals."""
    return min((epoch for epoch in history if epoch.stage in stages), key=_loss)


def _loss(epoch: Epoch) -> float:
    return math.inf if epoch.validation_loss is None else epoch.validation_loss
