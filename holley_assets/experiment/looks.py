"""Bounds that hold however often the declared looks read the outcomes.

A test that is read five times at its usual limit gives 14 % false alarms instead of 5 %. Lan and DeMets (*Biometrika*
70, 1983) spend the 5 % over the looks, here by the function that resembles O'Brien and Fleming's bounds: next to
nothing at the first looks, nearly all at the last. By calendar time (Lan and DeMets, *Statistics in Medicine* 8, 1989):
what is spent depends on the day of a look, which is known beforehand, and how looks hang together on the users that
they had.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import numpy as np

# P(|Z| > 8) is 1e-15: a look whose part of alpha is smaller cannot stop anything, and no bound is searched for it.
LARGEST_BOUND = 8.0
# A look with fewer new users is taken to have so many more than the one before, which makes its bound a little higher:
# what differs less takes more nodes than are worth it.
LEAST_GROWTH = 1e-3
_NODES_PER_DEVIATION = 3
_NODES_OF_A_PANEL = 48


def spent_alpha(fraction: float, alpha: float) -> float:
    """Part of a two-sided ``alpha`` that may be spent up to ``fraction`` of the plan, in [0, alpha].

    Each tail has ``2 − 2 Φ(z / √fraction)`` with ``z`` the upper ``alpha / 4`` point, as in Lan and DeMets 1983: both
    tails together have ``alpha`` at the end.

    Raises:
        ValueError: where ``fraction`` is not in [0, 1].
    """
    from scipy.stats import norm

    if not 0.0 <= fraction <= 1.0:
        raise ValueError(f"the fraction of the plan is {fraction}; it must be from 0 to 1")
    if fraction == 0.0:
        return 0.0
    return float(4.0 * norm.sf(norm.isf(alpha / 4.0) / math.sqrt(fraction)))


def sequential_bounds(fractions: Sequence[float], information: Sequence[float], alpha: float) -> list[float]:
    """The limit of |z| at each look: together they give ``alpha`` false alarms.

    Found look by look: the density of the score of those that no look stopped before is integrated over the steps
    between looks (Armitage, McPherson and Rowe, *Journal of the Royal Statistical Society A* 132, 1969), and the limit
    is where the rest of them beyond it is what the look may spend.

    Args:
        fractions: of the plan by calendar at each look, rising, in (0, 1].
        information: of each look, positive and rising, in any unit, such as users.
        alpha: two-sided, of all looks together.

    Returns:
        one limit a look, at most :data:`LARGEST_BOUND`. A look depends on those before it alone, so that later looks
        change no earlier limit.

    Raises:
        ValueError: where the lists differ in length or do not rise.
    """
    if len(fractions) != len(information):
        raise ValueError(
            f"there are {len(fractions)} fractions for {len(information)} amounts of information"
        )
    if any(later <= earlier for values in (fractions, information) for earlier, later in _pairs(values)):
        raise ValueError("fractions and information must be positive and rise from look to look")
    grown = list(
        itertools.accumulate(information, lambda before, known: max(known, before * (1.0 + LEAST_GROWTH)))
    )
    steps = [math.sqrt(known - before) for before, known in _pairs(grown)]
    bounds: list[float] = []
    points, mass = np.zeros(1), np.ones(1)
    spent = 0.0
    for number, (fraction, known, step) in enumerate(zip(fractions, grown, steps, strict=True)):
        may_spend = spent_alpha(fraction, alpha) - spent
        bound = _bound(points, mass, step, math.sqrt(known), may_spend)
        spent += _beyond(bound, points, mass, step, math.sqrt(known))
        # The density is as wide as this step, and what is laid over it next is as wide as the next one.
        new_points, weights = _nodes(bound * math.sqrt(known), min(steps[number : number + 2]))
        apart = (new_points[:, None] - points[None, :]) / step  # [new, old]
        density = np.exp(-0.5 * apart**2) @ mass / (step * math.sqrt(2.0 * math.pi))
        points, mass = new_points, density * weights
        bounds.append(bound)
    return bounds


def _pairs(values: Sequence[float]) -> list[tuple[float, float]]:
    return list(zip([0.0, *values], values, strict=False))


def _nodes(limit: float, step: float) -> tuple[np.ndarray, np.ndarray]:
    """Points and weights over [−limit, limit], close enough for a density as wide as ``step``.

    Panels of equal width, each with Gauss and Legendre's: the rule for thousands of points at once takes seconds.
    """
    panels = math.ceil(2.0 * limit / step * _NODES_PER_DEVIATION / _NODES_OF_A_PANEL)
    points, weights = np.polynomial.legendre.leggauss(_NODES_OF_A_PANEL)
    half = limit / panels
    centres = half * (2.0 * np.arange(panels) + 1.0) - limit  # [panels]
    return (centres[:, None] + half * points).ravel(), np.tile(half * weights, panels)


def _beyond(bound: float, points: np.ndarray, mass: np.ndarray, step: float, scale: float) -> float:
    """Probability that no look stopped before and this one's |z| is beyond ``bound``."""
    from scipy.special import ndtr

    limit = bound * scale
    return float((ndtr((points - limit) / step) + ndtr((-points - limit) / step)) @ mass)


def _bound(points: np.ndarray, mass: np.ndarray, step: float, scale: float, may_spend: float) -> float:
    from scipy.optimize import brentq

    if may_spend <= _beyond(LARGEST_BOUND, points, mass, step, scale):
        return LARGEST_BOUND
    found = brentq(
        lambda bound: _beyond(bound, points, mass, step, scale) - may_spend, 0.0, LARGEST_BOUND, xtol=1e-10
    )
    return float(found)
