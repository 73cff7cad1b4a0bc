"""Settings and windows as the functions below the assets take them. Nothing here knows Dagster."""

from __future__ import annotations

from holley_assets.core.time_windows import TimeWindows
from holley_assets.evaluation.gates import DecisionRule
from holley_assets.evaluation.report import EvaluationOptions
from holley_assets.ranking import RankingOptions
from holley_assets.settings import Settings


def query_parameters(settings: Settings, windows: TimeWindows) -> dict[str, object]:
    """Named parameters of the SQL files: the windows, and the settings of the run and of the rules by name.

    A value is never part of a query's text; a query takes those parameters that it names.
    """
    return {
        **settings.rules.model_dump(),
        **settings.run.model_dump(),
        "as_of": windows.as_of,
        "cutoff": windows.cutoff,
        "intent_start": windows.intent_start,
    }


def ranking_options(settings: Settings, depth: int) -> RankingOptions:
    """The rules' numbers, for rankings of ``depth`` parts."""
    return RankingOptions(
        depth=depth,
        maximum_per_part_type=settings.rules.maximum_per_part_type,
        purchase_exclusion_days=settings.rules.purchase_exclusion_days,
    )


def evaluation_options(settings: Settings) -> EvaluationOptions:
    """What is measured and what decides."""
    chosen = settings.evaluation
    return EvaluationOptions(
        rule=DecisionRule(chosen.clear_win, chosen.marginal, chosen.minimum_clicks, chosen.confidence),
        bootstrap_draws=chosen.bootstrap_draws,
        seed=chosen.seed,
        label_source=chosen.labels,
    )
