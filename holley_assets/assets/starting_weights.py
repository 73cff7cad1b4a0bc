"""What a training starts from: nothing, the champion's weights, or a checkpoint that somebody names."""

from __future__ import annotations

import dataclasses
import datetime
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from holley_assets.core.tags import FULL_REBUILD_TAG
from holley_assets.resources.storage.artifacts import ArtifactError, ArtifactStore
from holley_assets.resources.storage.interface import StorageError
from holley_assets.resources.tracking.mlflow_store import TrackingError
from holley_assets.resources.tracking.model_registry import open_model_registry
from holley_assets.resources.tracking.registered_model import RegisteredModel
from holley_assets.settings import Settings

if TYPE_CHECKING:
    from holley_assets.gnn.checkpoint import Checkpoint
    from holley_assets.gnn.model import ModelOptions


@dataclasses.dataclass(frozen=True)
class StartingWeights:
    """Weights to start from, or None; what they are, or None; and the reason, in words."""

    checkpoint: Checkpoint | None
    started_from: str | None
    reason: str

    @property
    def name(self) -> str:
        """What they are, in a word where they are nothing."""
        return self.started_from or "nothing"


def choose_starting_weights(
    settings: Settings,
    model_options: ModelOptions,
    artifacts: ArtifactStore,
    *,
    as_of: datetime.date,
    tags: Mapping[str, str],
) -> StartingWeights:
    """The checkpoint of ``HOLLEY_TRAINING_WARM_START``; else the champion, unless a full rebuild is due.

    A champion that cannot be used, or that the registry cannot name, is no reason not to train: the training
    starts from nothing and says why. One that has seen later data never teaches an earlier day.

    Args:
        model_options: shape of the network; weights of another shape are of no use.
        as_of: the run's day.
        tags: of the run.

    Raises:
        CheckpointError: HOLLEY_TRAINING_WARM_START names a file that is no checkpoint.
    """
    from holley_assets.gnn.checkpoint import CheckpointError

    named = settings.training.warm_start
    if named is not None:
        return StartingWeights(_load(named), named.name, "HOLLEY_TRAINING_WARM_START names it")
    if tags.get(FULL_REBUILD_TAG, "").lower() == "true":
        return StartingWeights(None, None, f"full rebuild: tag {FULL_REBUILD_TAG}")
    try:
        champion = _champion_to_start_from(settings, as_of)
        checkpoint = _load(artifacts.locate(champion.reference))
    except _FromNothing as reason:
        return StartingWeights(None, None, str(reason))
    except (TrackingError, ArtifactError, StorageError, CheckpointError) as error:
        return StartingWeights(None, None, f"the champion cannot be had: {error}")
    name = f"champion, version {champion.version} ({champion.model_version})"
    if checkpoint.options != model_options:
        return StartingWeights(None, None, f"the {name}, is a network of another shape")
    return StartingWeights(checkpoint, name, "weekly training goes on from the champion")


def _load(path: Path) -> Checkpoint:
    """The checkpoint in a file.

    Raises:
        CheckpointError: the file was cut off, or holds something else; one line.
    """
    from holley_assets.gnn.checkpoint import Checkpoint, CheckpointError

    try:
        return Checkpoint.load(path)
    except (
        pickle.UnpicklingError,
        RuntimeError,
        EOFError,
        OSError,
        TypeError,
        ValueError,
        LookupError,
    ) as error:
        if isinstance(error, CheckpointError):
            raise
        raise CheckpointError(
            f"{path} cannot be read as a checkpoint, {type(error).__name__}: name another or none"
        ) from None


class _FromNothing(Exception):  # noqa: N818  (a reason, not an error)
    """Why a training starts from nothing."""


def _champion_to_start_from(settings: Settings, as_of: datetime.date) -> RegisteredModel:
    registry = open_model_registry(settings)
    champion, rebuilt = registry.champion(), registry.newest_from_nothing()
    days = settings.training.full_rebuild_days
    if champion is None:
        raise _FromNothing("no model was ever promoted")
    if rebuilt is None or (as_of - rebuilt.as_of).days >= days:
        last = "there was none yet" if rebuilt is None else f"the last one was as of {rebuilt.as_of}"
        raise _FromNothing(f"full rebuild, every {days} days: {last}")
    if champion.as_of > as_of:
        raise _FromNothing(f"the champion is of {champion.as_of}, after this run's day")
    return champion
