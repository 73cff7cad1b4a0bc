"""The systems that are compared, each declared once: rankings, metrics, plots, page and gates read this list.

To add a system, add an entry and its scores. A system whose scores are a column of table ``popularity`` names
that column; any other gets its scorer in :mod:`holley_assets.assets.evaluation`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Role = Literal[
    "treatment", "baseline", "compared", "mixture", "count", "count_by_car", "layer", "history_count"
]


@dataclass(frozen=True)
class System:
    """One system.

    Attributes:
        name: value of column ``system`` in rankings, and key of the report.
        label: what it is, in words that end the sentence "<name> is …".
        colour: of its bars in plots, as ``#rrggbb``.
        role: ``treatment`` is compared with ``baseline`` and the difference decides. A system that is ``compared`` is
            shown beside them, and so is a ``mixture``, which is made of others. A ``count`` reads the same data as
            the treatment without tastes, and a gain must hold against the better count too. A ``count_by_car``, a
            ``layer`` (the treatment with fewer layers) and a ``history_count`` (of users who have a history) are shown
            and decide nothing; reports without rows of the last two leave them out.
        score_column: column of table ``popularity`` that scores it; None where its scores come from elsewhere.
    """

    name: str
    label: str
    colour: str
    role: Role
    score_column: str | None = None


# Colours that are distinguishable with any colour vision (after Okabe & Ito 2008), darkened for contrast on white.
# The order is that of tables and plots.
SYSTEMS: tuple[System, ...] = (
    System("gnn", "the graph model", "#1f5fa8", "treatment"),
    System("hybrid", "a mixture of both", "#8a4f9e", "mixture"),
    System("sql", "today's pipeline", "#b4530a", "baseline", score_column="sql_score"),
    System("sql_similar", "the pipeline that favours what is like what the user met", "#a88a00", "mixture"),
    System("popularity", "a ranking by all orders", "#6b7784", "compared", score_column="popularity_score"),
    System("random", "chance, the floor", "#a3adb7", "compared"),
)
CONTROLS: tuple[System, ...] = (
    System("fitted_popularity", "how often a part is chosen among those of the car", "#5b6875", "count"),
    System("counted_popularity", "how many visitors looked at a part", "#5b6875", "count"),
    System("visitor_demand", "how many visitors wanted a part for the very car", "#5b6875", "count_by_car"),
    System("levels", "the graph model by levels alone", "#5b6875", "layer"),
    System("levels_visitors", "the graph model by levels and visitors' cars", "#5b6875", "layer"),
    System("levels_messages", "the graph model by levels, visitors' cars and messages", "#5b6875", "layer"),
    System("item_to_item", "what visitors met together with what the user met", "#5b6875", "history_count"),
    System("last_seen", "what the user met, newest first", "#5b6875", "history_count"),
)

BY_NAME: Mapping[str, System] = {system.name: system for system in (*SYSTEMS, *CONTROLS)}


def _names(systems: tuple[System, ...], *roles: Role) -> tuple[str, ...]:
    return tuple(system.name for system in systems if not roles or system.role in roles)


SYSTEM_NAMES = _names(SYSTEMS)
COUNTS = _names(CONTROLS, "count")
(TREATMENT,) = _names(SYSTEMS, "treatment")
(BASELINE,) = _names(SYSTEMS, "baseline")
(COUNT_BY_CAR,) = _names(CONTROLS, "count_by_car")
# What a model may be delivered as: the graph model itself, or a mixture whose name its version ends in.
DELIVERED_SYSTEMS = (TREATMENT, "hybrid")
LAYER_SYSTEMS = _names(CONTROLS, "layer")
HISTORY_COUNTS = _names(CONTROLS, "history_count")


def version_as(version: str, system: str) -> str:
    """Version of a model that is judged and delivered as ``system``: the weights' own for the graph model.

    Raises:
        ValueError: no model is delivered as ``system``.
    """
    if system not in DELIVERED_SYSTEMS:
        raise ValueError(f"no model is delivered as {system}, but as {' or '.join(DELIVERED_SYSTEMS)}")
    return version if system == TREATMENT else f"{version}-{system}"


def delivered_system(model_version: str) -> str:
    """What the model of this version is judged and delivered as; inverse of :func:`version_as`."""
    of_version = (system for system in DELIVERED_SYSTEMS if model_version.endswith(f"-{system}"))
    return next(of_version, TREATMENT)
