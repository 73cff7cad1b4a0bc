"""The champion as the asset graph shows it: promoted by a job, read by whoever scores or learns."""

from __future__ import annotations

import dagster as dg

from holley_assets.assets.model_choice import (
    reference_metadata,
)
from holley_assets.core.asset_keys import (
    CHAMPION_MODEL,
    TRAINED_CHECKPOINT,
)
from holley_assets.core.groups import (
    MODEL,
    OWNERS,
)
from holley_assets.core.metadata_keys import (
    MODEL_VERSION,
)
from holley_assets.resources.tracking.registered_model import RegisteredModel

champion_model = dg.AssetSpec(
    CHAMPION_MODEL,
    deps=[TRAINED_CHECKPOINT],
    group_name=MODEL,
    owners=OWNERS,
    kinds={"mlflow"},
    description="""The model that somebody promoted: `daily_score` delivers with it, the next training starts from it.

Alias `champion` of `holley-gnn` in MLflow's model registry. Job `promote` makes the challenger the champion, and
says here who did so, when and why.""",
)


def champion_materialization(model: RegisteredModel) -> dg.AssetMaterialization:
    """The event that tells the asset graph of a new champion, or of one that came back."""
    return dg.AssetMaterialization(
        asset_key=CHAMPION_MODEL,
        metadata={
            MODEL_VERSION: model.model_version,
            "registered_version": model.version,
            "as_of": model.as_of.isoformat(),
            "trained_by_run": model.dagster_run_id,
            "source": model.source or "not noted",
            "source_kind": model.source_kind or "not noted",
            "window": model.window or "not noted",
            "outcome": model.outcome or "not evaluated",
            "promoted_by": model.promoted_by or "",
            "promoted_at": model.promoted_at.isoformat() if model.promoted_at else "",
            "reason": model.promotion_reason or "",
            **reference_metadata(model.reference),
        },
    )
