"""What each system that is compared would have shown. Nothing here knows Dagster."""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow as pa

from holley_assets.core.time_windows import TimeWindows
from holley_assets.evaluation.systems import SYSTEMS
from holley_assets.pipeline.options import ranking_options
from holley_assets.ranking import PairScorer, RandomScorer, Scorer, build_candidates
from holley_assets.ranking.comparison import pair_scores, rank_systems
from holley_assets.settings import Settings


def system_scorers(
    popularity: pa.Table, gnn: Scorer, mixed: Mapping[str, Scorer] | None, *, seed: int
) -> dict[str, Scorer]:
    """A scorer for each of :data:`SYSTEMS`, in their order.

    Args:
        popularity: table of that name.
        gnn: the model.
        mixed: systems of role ``mixture``; None leaves them out.
        seed: of system ``random``.

    Raises:
        KeyError: a system has neither a score column nor a scorer here.
    """
    scorers: dict[str, Scorer] = {"gnn": gnn, "random": RandomScorer(seed), **(mixed or {})}
    for system in SYSTEMS:
        if system.score_column is not None:
            scorers[system.name] = PairScorer(pair_scores(popularity, system.score_column), name=system.name)
    wanted = [system.name for system in SYSTEMS if mixed is not None or system.role != "mixture"]
    return {name: scorers[name] for name in wanted}


def rank_all_systems(
    users: pa.Table,
    *,
    fitment: pa.Table,
    parts: pa.Table,
    popularity: pa.Table,
    gnn: Scorer,
    purchases: pa.Table,
    windows: TimeWindows,
    settings: Settings,
    apply_rules: bool,
    mixed: Mapping[str, Scorer] | None = None,
) -> pa.Table:
    """Rankings of ``users`` by every system as of the cutoff, one row a user, system and rank.

    Args:
        mixed: systems that are made of others, see :func:`.mixtures.mixed_scorers`; without it they are left out.
    """
    return rank_systems(
        users,
        build_candidates(fitment, parts, view="training", apply_rules=apply_rules),
        system_scorers(popularity, gnn, mixed, seed=settings.evaluation.seed),
        purchases=purchases,
        view_end=windows.cutoff,
        options=ranking_options(settings, settings.evaluation.depth),
    )
