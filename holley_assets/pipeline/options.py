"""Settings and windows as the functions below the assets take them. Nothing here knows Dagster."""

from __future__ import annotations

import dataclasses
from collections.abc import Set
from typing import TYPE_CHECKING, Any

from holley_assets.core.time_windows import TimeWindows
from holley_assets.evaluation.gates import DecisionRule
from holley_assets.evaluation.report import EvaluationOptions
from holley_assets.ranking import RankingOptions
from holley_assets.ranking.leave_out import TierMinimums
from holley_assets.settings import Settings

if TYPE_CHECKING:
    from holley_assets.gnn.model import ModelOptions
    from holley_assets.gnn.training_options import TrainingOptions


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
        # A parameter of a query has a value: empty text stands for a setting that is unset.
        "consent_property": settings.run.consent_property or "",
        "image_hosts": settings.rules.image_hosts or "",
    }


def ranking_options(settings: Settings, depth: int) -> RankingOptions:
    """The rules' numbers, for rankings of ``depth`` parts."""
    return RankingOptions(
        depth=depth,
        maximum_per_part_type=settings.rules.maximum_per_part_type,
        purchase_exclusion_days=settings.rules.purchase_exclusion_days,
    )


def tier_minimums(settings: Settings) -> TierMinimums:
    """Orders before a tier of the SQL pipeline counts."""
    rules = settings.rules
    return TierMinimums(
        rules.sql_segment_minimum_orders, rules.sql_make_minimum_orders, rules.sql_pair_minimum_orders
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


def training_options(settings: Settings) -> tuple[ModelOptions, TrainingOptions]:
    """The shape of the network and how it learns. PyTorch is imported here, in the steps that need it."""
    from holley_assets.gnn.demand import FitOptions
    from holley_assets.gnn.model import ModelOptions
    from holley_assets.gnn.sampling import NegativeOptions
    from holley_assets.gnn.towers import AttentionOptions
    from holley_assets.gnn.training_options import EdgeOptions, TrainingOptions, resolve_device

    chosen, shape = settings.training, settings.model
    negatives = NegativeOptions(
        count=chosen.negatives,
        in_batch_share=chosen.negative_in_batch_share,
        fitment_share=chosen.negative_fitment_share,
    )
    options = TrainingOptions(
        # The strengths are tried by the training itself and are no setting.
        **same_fields(TrainingOptions, chosen, without={"strengths", "fit", "edges", "device"}),
        fit=FitOptions(steps=chosen.fit_steps),
        edges=EdgeOptions(**same_fields(EdgeOptions, chosen, without={"negatives"}), negatives=negatives),
        device=resolve_device(chosen.device),
    )
    # Layers that nothing trains would only add their first weights' noise to the checkpoint.
    with_attention = chosen.loss == "bce"
    attention = AttentionOptions(**same_fields(AttentionOptions, shape)) if with_attention else None
    return ModelOptions(embedding_dim=shape.embedding_dim, hops=shape.hops, attention=attention), options


def same_fields(options: type, section: object, without: Set[str] = frozenset()) -> dict[str, Any]:
    """Values of a settings section for the fields of a dataclass, which have the same names.

    Args:
        options: the dataclass.
        section: the settings.
        without: fields that are not taken from the section.

    Raises:
        AttributeError: the section has no setting of a field's name, so that its default would go unnoticed.
    """
    names = sorted({field.name for field in dataclasses.fields(options)} - without)
    missing = [name for name in names if not hasattr(section, name)]
    if missing:
        raise AttributeError(
            f"{type(section).__name__} has no setting {', '.join(missing)}, which {options.__name__} needs: "
            "give both the same name, or leave the field out"
        )
    return {name: getattr(section, name) for name in names}
