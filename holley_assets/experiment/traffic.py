"""Who was exposed, and whether the arms have the users that they should have."""

from __future__ import annotations

import warnings
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from holley_assets.experiment.declaration import Declaration
from holley_assets.experiment.outcomes import ARMS, CONTROL, TREATMENT, Outcomes

# Below it the arms do not differ by chance (Fabijan et al., *KDD* 2019): users of one of them were lost or added.
MISMATCH_LEVEL = 0.001


def sample_ratio(exposed: pa.Table) -> dict[str, Any]:
    """Whether the users of each arm are as many as the shares say, within each period of constant share.

    Every exposed user counts, moved ones in their first arm and those whose window is open too: what is checked is the
    assignment, not the outcome. The test of a period is tea-tasting's (exact below 1,000 users, else χ² with one degree
    of freedom); Fisher's method puts the periods together.

    Returns:
        ``p_value`` (None without a period in which both arms can have users), ``level``, ``mismatch`` and ``periods``:
        each with ``period``, ``share``, ``first_day`` (on which a user of it was first exposed), ``sql``, ``graph``,
        ``expected_graph`` and ``p_value``. A period whose share is 0 or 1 has a p-value of 1, or of 0 where a user is
        in the arm that nobody was to be in.
    """
    from scipy.stats import combine_pvalues

    counted = exposed.group_by(["period", "share", "assigned_arm"]).aggregate(
        [("email_lower", "count"), ("first_exposure", "min")]
    )
    periods: dict[int, dict[str, Any]] = {}
    for row in counted.to_pylist():
        period = periods.setdefault(
            row["period"],
            {
                "period": row["period"],
                "share": row["share"],
                "first_day": row["first_exposure_min"].isoformat(),
                **dict.fromkeys(ARMS, 0),
            },
        )
        period[row["assigned_arm"]] = row["email_lower_count"]
        period["first_day"] = min(period["first_day"], row["first_exposure_min"].isoformat())
    found = [periods[period] for period in sorted(periods)]
    for period in found:
        period["expected_graph"] = period["share"] * (period[CONTROL] + period[TREATMENT])
        period["p_value"] = _ratio_p_value(period)
    tested = [period["p_value"] for period in found]
    p_value = None
    if tested:
        with warnings.catch_warnings():
            # The logarithm of a p-value of 0 is minus infinity, and the answer 0 is right.
            warnings.simplefilter("ignore", RuntimeWarning)
            p_value = float(combine_pvalues(tested, method="fisher").pvalue)
    return {
        "p_value": p_value,
        "level": MISMATCH_LEVEL,
        "mismatch": p_value is not None and p_value < MISMATCH_LEVEL,
        "periods": found,
    }


def _ratio_p_value(period: dict[str, Any]) -> float:
    from tea_tasting.aggr import Aggregates
    from tea_tasting.metrics import SampleRatio

    share = period["share"]
    if share in (0.0, 1.0):
        return 1.0 if period[CONTROL if share == 1.0 else TREATMENT] == 0 else 0.0
    counts: dict[object, Aggregates] = {arm: Aggregates(count_=period[arm]) for arm in ARMS}
    ratio = SampleRatio(share / (1.0 - share), correction=False)
    return float(ratio.analyze(counts, CONTROL, TREATMENT).pvalue)


def summarise_traffic(outcomes: Outcomes, declaration: Declaration) -> dict[str, Any]:
    """Counts of the users that were exposed.

    Returns:
        ``users``; ``arms``: by arm the ``users``, the share ``received_as_assigned`` (None without users),
        ``exposures`` (days), ``clicks``, ``machine_clicks``, ``moved`` users and those whose ``click_window_open`` or
        ``order_window_open``; ``moved_users``: what was declared; ``persons_in_two_arms``: persons with addresses in
        both arms; ``outside``: rows of other days; ``first_exposure`` and ``last_exposure``: first and last day on
        which a user was first exposed, ISO or None; ``model_versions`` and ``systems`` that were served.
    """
    exposed = outcomes.exposed
    days = pc.min_max(exposed["first_exposure"]).as_py()
    return {
        "users": len(exposed),
        "arms": {arm: _of_arm(exposed.filter(pc.equal(exposed["assigned_arm"], arm))) for arm in ARMS},
        "moved_users": declaration.moved_users,
        "persons_in_two_arms": _persons_in_two_arms(exposed),
        "outside": outcomes.outside,
        "first_exposure": days["min"].isoformat() if days["min"] else None,
        "last_exposure": days["max"].isoformat() if days["max"] else None,
        "model_versions": sorted(pc.unique(exposed["model_version"]).drop_null().to_pylist()),
        "systems": sorted(pc.unique(exposed["system"]).drop_null().to_pylist()),
    }


def _of_arm(rows: pa.Table) -> dict[str, Any]:
    def total(name: str) -> int:
        return int(pc.sum(rows[name], min_count=0).as_py())

    return {
        "users": len(rows),
        "received_as_assigned": total("received_as_assigned") / len(rows) if len(rows) else None,
        "exposures": total("exposures"),
        "clicks": total("clicks"),
        "machine_clicks": total("machine_clicks"),
        "moved": total("moved"),
        "click_window_open": len(rows) - total("click_window_over"),
        "order_window_open": len(rows) - total("order_window_over"),
    }


def _persons_in_two_arms(exposed: pa.Table) -> int:
    arms = exposed.group_by(["person"]).aggregate([("assigned_arm", "count_distinct")])
    return int(pc.sum(pc.equal(arms["assigned_arm_count_distinct"], len(ARMS)), min_count=0).as_py())


def warnings_about(traffic: dict[str, Any], mismatch: dict[str, Any]) -> list[str]:
    """What a reader must know of the users beside the result, one sentence each."""
    found = []
    moved = {arm: traffic["arms"][arm]["moved"] for arm in ARMS}
    if sum(moved.values()):
        found.append(_about_moved(moved, traffic["moved_users"], mismatch))
    if traffic["persons_in_two_arms"]:
        found.append(
            f"Persons with addresses in both arms, who saw both: {traffic['persons_in_two_arms']:,}. That makes the "
            "arms more alike than they are."
        )
    for arm in ARMS:
        users, received = traffic["arms"][arm]["users"], traffic["arms"][arm]["received_as_assigned"]
        if received is not None and received < 1.0:
            # A share of nearly all would be written as 100 %.
            others = round(users * (1.0 - received))
            found.append(
                f"{others:,} of {users:,} users of the {arm} arm did not receive what they were assigned. Users are "
                "compared by assignment, so these make the arms more alike."
            )
    if traffic["outside"]:
        found.append(
            f"Users who were first exposed on days outside the experiment and count nowhere: {traffic['outside']:,}."
        )
    return found


def _about_moved(moved: dict[str, int], treatment: str, mismatch: dict[str, Any]) -> str:
    counted = (
        f"Users seen in two arms: {sum(moved.values()):,} (first in sql: {moved[CONTROL]:,}, first in graph: "
        f"{moved[TREATMENT]:,})"
    )
    if treatment == "first_arm":
        return f"{counted}. They count in their first arm, which makes the arms more alike."
    even = all(period["share"] == 0.5 for period in mismatch["periods"])
    if even and moved[CONTROL] == moved[TREATMENT]:
        return f"{counted}. They are left out."
    return (
        f"{counted}. They are left out. One arm loses more of them than the other, and whoever is seen on more days is "
        'more often seen in two arms, so the result is biased; moved_users = "first_arm" is not.'
    )
