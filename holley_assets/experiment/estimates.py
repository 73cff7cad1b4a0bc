"""The difference between the arms with its interval: tea-tasting on the users of each period of constant share.

When the share grows from 10 to 50 %, most users of the graph's arm come from the later days and most of the other arm's
from the earlier ones: over all days together the days decide, not the arms (Simpson's paradox). So users are compared
within a period, and the differences are pooled with the weights of Cochran, ``n₁ n₀ / (n₁ + n₀)``, which are the
information that a period has.

A test asks whether the arms are one population, so its variance is that of both arms together. With each arm's own, an
arm of one in ten that happens to have no buyer yet looks surely worse: of experiments without any difference 20 % gave
an alarm (tests/benchmarks/README.md). A relative change has the variances of the arms, on the logarithm, where
few buyers make it wide.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from holley_assets.evaluation.gates import finite
from holley_assets.experiment.metrics import Metric

if TYPE_CHECKING:
    from tea_tasting.aggr import Aggregates

# A covariate that varies less than this part of its mean is a constant written in floating point.
_CONSTANT = 1e-9
_FEWEST_USERS = 2
# A relative interval that goes beyond it, +10,000 %, says nothing but that the SQL arm has next to none.
_LARGEST_CHANGE = 100.0


@dataclass(frozen=True)
class Pooled:
    """Both arms over all periods that have users of both.

    Attributes:
        control: aggregates whose mean is the weighted mean over periods, and whose variance divided by the count is the
            variance of that mean.
        treatment: the same of the graph's arm.
        control_as_one: ``control`` with the variances of both arms of a period together.
        treatment_as_one: the same of the graph's arm.
        information: Σ n₁ n₀ / (n₁ + n₀) over periods.
        left_out: users of periods without two users of either arm, which nothing can be compared with.
    """

    control: Aggregates
    treatment: Aggregates
    control_as_one: Aggregates
    treatment_as_one: Aggregates
    information: float
    left_out: int


@dataclass(frozen=True)
class Estimate:
    """The graph's arm minus the SQL arm. None where a number does not exist; relative 0.1 is +10 %."""

    effect: float
    interval: list[float] | None
    relative: float | None
    relative_interval: list[float] | None
    statistic: float | None
    p_value: float | None
    standard_error: float


def read_cells(table: pa.Table, metric: Metric) -> dict[int, Aggregates]:
    """Aggregates of the metric's columns by ``cell``; rows without a value are left out."""
    from tea_tasting.aggr import read_aggregates

    columns = [name for name in (metric.value, metric.denominator, metric.covariate) if name is not None]
    cells = table.select(["cell", *columns]).drop_null()
    pairs = [(left, right) for left in columns for right in columns if left < right]
    found: Any = read_aggregates(
        cells, "cell", has_count=True, mean_cols=columns, var_cols=columns, cov_cols=pairs
    )
    return dict(found)


def pool(cells: Mapping[int, Aggregates]) -> Pooled | None:
    """One pair of aggregates from those by cell (twice the period, one more for the graph).

    The weighted means and their variances are put together here, so that tea-tasting does everything after that: the
    ratio, the delta method, the covariate, the interval. None without a period that has users of both arms.
    """
    periods = sorted({cell // 2 for cell in cells})
    pairs = [
        (cells[2 * period], cells[2 * period + 1])
        for period in periods
        if all(
            cell in cells and cells[cell].count() >= _FEWEST_USERS for cell in (2 * period, 2 * period + 1)
        )
    ]
    if not pairs:
        return None
    information = [pair[0].count() * pair[1].count() / (pair[0].count() + pair[1].count()) for pair in pairs]
    weights = [part / sum(information) for part in information]
    control, treatment = ([pair[arm] for pair in pairs] for arm in (0, 1))
    as_one = [_as_one(*pair) for pair in pairs]
    control_as_one, treatment_as_one = ([pair[arm] for pair in as_one] for arm in (0, 1))
    used = sum(pair[0].count() + pair[1].count() for pair in pairs)
    return Pooled(
        control=_weighted(control, weights),
        treatment=_weighted(treatment, weights),
        control_as_one=_weighted(control_as_one, weights),
        treatment_as_one=_weighted(treatment_as_one, weights),
        information=sum(information),
        left_out=sum(cell.count() for cell in cells.values()) - used,
    )


def _as_one(control: Aggregates, treatment: Aggregates) -> tuple[Aggregates, Aggregates]:
    """Both arms with their own means and the variances within the arms, pooled."""
    from tea_tasting.aggr import Aggregates

    free = [arm.count() - 1 for arm in (control, treatment)]

    def pooled(of_control: float, of_treatment: float) -> float:
        return float((free[0] * of_control + free[1] * of_treatment) / sum(free))

    variances = {name: pooled(control.var(name), treatment.var(name)) for name in control.var_}
    covariances = {names: pooled(control.cov(*names), treatment.cov(*names)) for names in control.cov_}
    first, second = (
        Aggregates(count_=arm.count(), mean_=arm.mean_, var_=variances, cov_=covariances)
        for arm in (control, treatment)
    )
    return first, second


def _weighted(parts: list[Aggregates], weights: list[float]) -> Aggregates:
    from tea_tasting.aggr import Aggregates

    if len(parts) == 1:
        return parts[0]
    users = sum(part.count() for part in parts)
    weighted = list(zip(parts, weights, strict=True))
    first = parts[0]
    return Aggregates(
        count_=users,
        mean_={name: sum(weight * part.mean(name) for part, weight in weighted) for name in first.mean_},
        var_={
            name: users * sum(weight**2 * part.var(name) / part.count() for part, weight in weighted)
            for name in first.var_
        },
        cov_={
            names: users * sum(weight**2 * part.cov(*names) / part.count() for part, weight in weighted)
            for names in first.cov_
        },
    )


def estimate(pooled: Pooled, metric: Metric, level: float, covariate: str | None = None) -> Estimate:
    """The difference of ``metric`` with an interval of ``level``, relative by the delta method on the logarithm.

    Args:
        pooled: both arms.
        metric: whose columns the aggregates hold.
        level: of the interval, in (0, 1).
        covariate: column to adjust by (CUPED: Deng, Xu, Kohavi and Walker, *WSDM* 2013); None: unadjusted.
    """
    from tea_tasting.metrics import RatioOfMeans

    analysis = RatioOfMeans(
        metric.value,
        metric.denominator,
        covariate,
        None,
        alternative="two-sided",
        confidence_level=level,
        equal_var=False,
        use_t=False,
    )
    found = _analyse(analysis, _raised(pooled.control_as_one, pooled.treatment_as_one, metric))
    apart = _analyse(analysis, (pooled.control, pooled.treatment))
    if found is None:
        return Estimate(_difference(pooled, metric), None, None, None, None, None, 0.0)
    effect = float(found.effect_size)
    statistic = finite(found.statistic)
    # On the scale of the logarithm nothing at or below zero has a place.
    positive = apart is not None and min(apart.control, apart.treatment) > 0
    interval = _ends(apart.rel_effect_size_ci_lower, apart.rel_effect_size_ci_upper) if positive else None
    return Estimate(
        effect=effect,
        interval=_ends(found.effect_size_ci_lower, found.effect_size_ci_upper),
        relative=finite(apart.rel_effect_size) if apart is not None and apart.control > 0 else None,
        relative_interval=None if interval is None or interval[1] > _LARGEST_CHANGE else interval,
        statistic=statistic,
        p_value=finite(found.pvalue),
        standard_error=abs(effect / statistic) if statistic else _standard_error(found, level),
    )


def _analyse(analysis: Any, arms: tuple[Aggregates, Aggregates]) -> Any:
    """tea-tasting's result.

    None where a mean is so near to zero that the ratio of the arms has no size, and where a covariate tells a metric
    whole, so that rounding leaves a variance below zero.
    """
    # Where no user differs from another, the interval of width 0 is none, and scipy would say so in warnings.
    with np.errstate(all="ignore"):
        try:
            return analysis.analyze_aggregates(*arms)
        except (OverflowError, ValueError):
            return None


def _raised(control: Aggregates, treatment: Aggregates, metric: Metric) -> tuple[Aggregates, Aggregates]:
    """Both arms with means that are as much larger: the difference stays, and no ratio of them overflows."""
    from tea_tasting.aggr import Aggregates

    if metric.denominator is not None:
        return control, treatment
    name = metric.value
    more = 1.0 + max(abs(arm.mean(name)) + math.sqrt(arm.var(name)) for arm in (control, treatment))
    first, second = (
        Aggregates(
            count_=arm.count(),
            mean_={**arm.mean_, name: arm.mean(name) + more},
            var_=arm.var_,
            cov_=arm.cov_,
        )
        for arm in (control, treatment)
    )
    return first, second


def _difference(pooled: Pooled, metric: Metric) -> float:
    control, treatment = (
        arm.mean(metric.value) / arm.mean(metric.denominator) for arm in (pooled.control, pooled.treatment)
    )
    return float(treatment - control)


def adjusts(pooled: Pooled, metric: Metric) -> bool:
    """Whether the metric's covariate says anything: it is there and varies within the arms."""
    if metric.covariate is None:
        return False
    spread = [arm.var(metric.covariate) for arm in (pooled.control, pooled.treatment)]
    centre = [abs(arm.mean(metric.covariate)) for arm in (pooled.control, pooled.treatment)]
    return bool(math.sqrt(max(spread)) > _CONSTANT * max(1.0, *centre))


def measure(table: pa.Table, metric: Metric, level: float) -> dict[str, Any]:
    """A metric over the users of ``table``; see :func:`measure_cells`."""
    return measure_cells(read_cells(table, metric), metric, level)


def measure_cells(cells: Mapping[int, Aggregates], metric: Metric, level: float) -> dict[str, Any]:
    """A metric as the readout holds it, with intervals of ``level``.

    Returns:
        ``name``, ``label``, ``kind``, ``level``, ``users`` by arm and ``left_out``; ``control`` and ``treatment``, the
        values of the arms (weighted over periods, not adjusted); ``information``; ``estimate`` and ``unadjusted``, each
        as :class:`Estimate`: the first is with the covariate where it says anything; ``covariate``: whether it is
        ``used``, its ``correlation`` with the metric and the part of the variance that it takes away (``reduction``).
        Without a period of both arms the numbers are None.
    """
    described = {"name": metric.name, "label": metric.label, "kind": metric.kind, "level": level}
    users = {
        "sql": sum(cell.count() for key, cell in cells.items() if key % 2 == 0),
        "graph": sum(cell.count() for key, cell in cells.items() if key % 2 == 1),
    }
    pooled = pool(cells)
    if pooled is None or (
        metric.denominator is not None
        and min(arm.mean(metric.denominator) for arm in (pooled.control, pooled.treatment)) <= 0
    ):
        return {
            **described,
            "users": users,
            "left_out": sum(users.values()),
            **dict.fromkeys(("control", "treatment", "information", "estimate", "unadjusted")),
            "covariate": {"used": False, "correlation": None, "reduction": None},
        }
    plain = estimate(pooled, metric, level)
    used = adjusts(pooled, metric)
    adjusted = estimate(pooled, metric, level, metric.covariate) if used else plain
    if adjusted.interval is None:
        used, adjusted = False, plain
    # Both arms together, as tea-tasting takes the coefficient.
    total = pooled.control + pooled.treatment
    of_metric = total.var(metric.value)
    correlation = (
        total.cov(metric.value, metric.covariate) / math.sqrt(of_metric * total.var(metric.covariate))
        if used and metric.covariate is not None and of_metric > 0
        else None
    )
    return {
        **described,
        "users": users,
        "left_out": pooled.left_out,
        "control": pooled.control.mean(metric.value) / pooled.control.mean(metric.denominator),
        "treatment": pooled.treatment.mean(metric.value) / pooled.treatment.mean(metric.denominator),
        "information": pooled.information,
        "estimate": asdict(adjusted),
        "unadjusted": asdict(plain),
        "covariate": {
            "used": used,
            "correlation": correlation,
            "reduction": 1.0 - (adjusted.standard_error / plain.standard_error) ** 2
            if used and plain.standard_error
            else None,
        },
    }


def _ends(low: float, high: float) -> list[float] | None:
    return [float(low), float(high)] if math.isfinite(low) and math.isfinite(high) else None


def _standard_error(found: Any, level: float) -> float:
    """From the interval, where the difference is exactly zero; 0 where no user differs from another."""
    from scipy.stats import norm

    half = (found.effect_size_ci_upper - found.effect_size_ci_lower) / 2.0
    return float(half / norm.isf((1.0 - level) / 2.0)) if math.isfinite(half) else 0.0
