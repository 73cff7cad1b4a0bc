"""The readout of an experiment as of a day: one plain dictionary, which the page, the checks and the alerts read.

A pure function of the declaration, the table of outcomes and the day. Read again with corrected outcomes, it gives the
corrected figures.
"""

from __future__ import annotations

import datetime
import math
from collections.abc import Mapping
from typing import Any, Literal

import pyarrow as pa

from holley_assets.evaluation.gates import reaches
from holley_assets.experiment.declaration import Declaration
from holley_assets.experiment.estimates import measure, measure_cells, read_cells
from holley_assets.experiment.looks import sequential_bounds, spent_alpha
from holley_assets.experiment.metrics import CLICK_RATE, TESTED, UNCAPPED_REVENUE, Metric
from holley_assets.experiment.outcomes import read_outcomes, window_over
from holley_assets.experiment.segments import (
    read_guardrails,
    read_lasting,
    read_novelty,
    read_secondary,
    read_tiers,
    read_versions,
    read_weeks,
)
from holley_assets.experiment.traffic import sample_ratio, summarise_traffic, warnings_about
from holley_assets.experiment.verdict import decide

# What the documents ask of the click rate before everybody gets the graph: 10 % more, relative.
GATE = 0.10
ExposureSource = Literal["sent", "published"]
_INTERVALS = ("interval", "relative_interval")
_FIGURES = ("statistic", "effect", "interval", "relative", "relative_interval")
RESULTS = (
    "primary",
    "gate",
    "secondary",
    "uncapped_revenue",
    "guardrails",
    "tiers",
    "weeks",
    "novelty",
    "lasting",
    "versions",
)


def read_experiment(
    declaration: Declaration,
    outcomes: pa.Table,
    *,
    as_of: datetime.date,
    exposure_source: ExposureSource = "published",
) -> dict[str, Any]:
    """Read the experiment.

    The comparison is that of the newest declared look: of the users whose window was over on its day. Between looks it
    stays as it is, since every further reading of new users would be a look that the bounds do not know of.

    Args:
        declaration: as frozen at the start.
        outcomes: one row a user, columns of :data:`.outcomes.OUTCOMES_SCHEMA`.
        as_of: the day of the readout, UTC.
        exposure_source: whether exposures are real sends or what was published.

    Returns:
        ``experiment`` (the declaration without its salt, its ``fingerprint`` and ``look_dates``), ``as_of``,
        ``exposure_source``, ``traffic``, ``mismatch``, ``warnings``, ``decision`` (``outcome`` and ``reason``),
        ``looks``, and the results: ``primary``, ``gate``, ``secondary``, ``uncapped_revenue``, ``guardrails``,
        ``tiers``, ``weeks``, ``novelty``, ``lasting``, ``versions``. Results are None before the first look and where
        the arms do not have their users; then no look has figures either.

    Raises:
        ValueError: see :func:`.outcomes.read_outcomes`.
    """
    users = read_outcomes(outcomes, declaration)
    mismatch = sample_ratio(users.exposed)
    traffic = summarise_traffic(users, declaration)
    compared = users.compared(declaration)
    looks = read_looks(compared, declaration, as_of, blind=mismatch["mismatch"])
    newest = next((look for look in reversed(looks) if look["statistic"] is not None), None)
    results: dict[str, Any] = dict.fromkeys(RESULTS)
    if newest is not None:
        results = _results(compared, declaration, newest)
    outcome, reason = decide(
        declaration,
        as_of,
        mismatch,
        looks,
        results["guardrails"] or [],
        results["novelty"],
        results["lasting"],
    )
    return {
        "experiment": {
            **declaration.model_dump(mode="json", exclude={"salt"}),
            "fingerprint": declaration.fingerprint(),
            "look_dates": [day.isoformat() for day in declaration.look_dates()],
        },
        "as_of": as_of.isoformat(),
        "exposure_source": exposure_source,
        "traffic": traffic,
        "mismatch": mismatch,
        "warnings": warnings_about(traffic, mismatch),
        "decision": {"outcome": outcome, "reason": reason},
        "looks": looks,
        **results,
    }


def read_looks(
    compared: pa.Table, declaration: Declaration, as_of: datetime.date, *, blind: bool = False
) -> list[dict[str, Any]]:
    """Every declared look in order, with figures where it is over.

    Args:
        compared: the users that are compared.
        declaration: the experiment.
        as_of: the day of the readout.
        blind: without figures.

    Returns:
        ``number``, ``date``, ``spent`` (of alpha until then), ``users`` by arm, ``bound`` of |statistic| and its
        ``level`` as that of an interval, and the primary metric's ``statistic``, ``effect``, ``interval``, ``relative``
        and ``relative_interval``. All after ``spent`` are None for a look that is to come, and for one at which no
        more users of both arms had their window behind them than at the look before.
    """
    from scipy.stats import norm

    metric, alpha = TESTED[declaration.primary_metric], declaration.rule.alpha
    looks: list[dict[str, Any]] = []
    read: list[tuple[dict[str, Any], float, float, dict[int, Any]]] = []
    for number, day in enumerate(declaration.look_dates(), start=1):
        fraction = (day - declaration.start).days / declaration.days
        look = {
            "number": number,
            "date": day.isoformat(),
            "spent": spent_alpha(fraction, alpha),
            **dict.fromkeys(("users", "bound", "level", *_FIGURES)),
        }
        looks.append(look)
        if blind or day > as_of:
            continue
        cells = read_cells(window_over(compared, metric, declaration, day), metric)
        # Whether there is a statistic does not hang on the level.
        found = measure_cells(cells, metric, 1.0 - alpha)
        if found["estimate"] is None or found["estimate"]["statistic"] is None:
            continue
        if not read or found["information"] > read[-1][2]:
            read.append((look, fraction, found["information"], cells))
    bounds = sequential_bounds(
        [fraction for _, fraction, _, _ in read], [information for _, _, information, _ in read], alpha
    )
    for (look, _, _, cells), bound in zip(read, bounds, strict=True):
        level = float(1.0 - 2.0 * norm.sf(bound))
        found = measure_cells(cells, metric, level)
        figures = {name: found["estimate"][name] for name in _FIGURES}
        look.update(users=found["users"], bound=bound, level=level, **figures)
    return looks


def _results(compared: pa.Table, declaration: Declaration, newest: dict[str, Any]) -> dict[str, Any]:
    day, level = datetime.date.fromisoformat(newest["date"]), newest["level"]

    def rows(metric: Metric) -> pa.Table:
        return window_over(compared, metric, declaration, day)

    primary = TESTED[declaration.primary_metric]
    of_primary = rows(primary)
    clicks = measure(rows(CLICK_RATE), CLICK_RATE, level)
    weeks = read_weeks(of_primary, primary, level)
    return {
        "primary": measure(of_primary, primary, level),
        "gate": _gate(clicks),
        "secondary": read_secondary(rows, declaration, level),
        "uncapped_revenue": measure(rows(UNCAPPED_REVENUE), UNCAPPED_REVENUE, level),
        "guardrails": read_guardrails(rows, declaration, level),
        "tiers": read_tiers(of_primary, primary, level),
        "weeks": weeks,
        "novelty": read_novelty(weeks),
        "lasting": read_lasting(of_primary, primary, declaration),
        "versions": read_versions(of_primary, primary, level),
    }


def _gate(clicks: dict[str, Any]) -> dict[str, Any]:
    """The documents' gate: ``threshold``, ``relative``, ``interval``, ``passes`` and whether it ``surely`` does."""
    estimate = clicks["estimate"] or {"relative": None, "relative_interval": None}
    relative, interval = estimate["relative"], estimate["relative_interval"]
    return {
        "threshold": GATE,
        "relative": relative,
        "interval": interval,
        "passes": relative is not None and reaches(relative, GATE),
        "surely": interval is not None and reaches(interval[0], GATE),
    }


def readout_metrics(readout: Mapping[str, Any]) -> dict[str, float]:
    """The users by arm, the mismatch and the estimates of each metric, by dotted names."""
    found: dict[str, Any] = {"mismatch.p_value": readout["mismatch"]["p_value"]}
    for arm, counts in readout["traffic"]["arms"].items():
        found[f"users.{arm}"] = counts["users"]
    for row in [readout["primary"], *(readout["secondary"] or []), *(readout["guardrails"] or [])]:
        for name, value in ((row or {}).get("estimate") or {}).items():
            ends = zip(("low", "high"), value, strict=True) if name in _INTERVALS and value else [("", value)]
            found |= {".".join(filter(None, (row["name"], name, end))): each for end, each in ends}
    return {
        name: float(value)
        for name, value in found.items()
        if isinstance(value, int | float) and math.isfinite(value)
    }
