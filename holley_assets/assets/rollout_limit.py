"""How far the graph may be served: no further than the newest readout says, and nowhere after harm."""

from __future__ import annotations

import json
from typing import NamedTuple

from holley_assets.resources.settings_resource import open_store
from holley_assets.resources.storage.interface import StorageError
from holley_assets.resources.warehouse.interface import WarehouseError
from holley_assets.settings import Settings

# The newest readout of each experiment, under a name that stays.
KEPT_READOUTS = "experiments/"
NEXT_SHARE = "next_share"


class RolloutLimit(NamedTuple):
    """The share of the graph that a readout allows.

    Attributes:
        share: from 0, nobody, to 1.
        reason: in the readout's words.
    """

    share: float
    reason: str


def kept_readout(experiment: str) -> str:
    """Key of the newest readout of an experiment."""
    return f"{KEPT_READOUTS}{experiment}.json"


def rollout_limit(settings: Settings) -> RolloutLimit | None:
    """What the newest readout allows; None where nothing that is served is an experiment, or nobody has read it yet.

    A rollout obeys the share that the readout names. Mode ``ab`` keeps its half until the readout says harm, since
    it is a person who ends an experiment that merely found no effect.

    Raises:
        WarehouseError: there is a readout that cannot be read.
    """
    serving = settings.serving
    if (
        serving.mode not in ("rollout", "ab")
        or settings.experiment.declaration is None
        or serving.experiment is None
    ):
        return None
    key = kept_readout(serving.experiment)
    try:
        text = open_store(settings).local_path(key).read_text(encoding="utf-8")
        readout = json.loads(text)
        limit = RolloutLimit(float(readout[NEXT_SHARE]["share"]), str(readout[NEXT_SHARE]["reason"]))
        harmed = readout["decision"]["outcome"] == "harm"
    except FileNotFoundError:
        return None
    except (StorageError, OSError, ValueError, KeyError) as error:
        raise WarehouseError(
            f"the readout {key}, which mode {serving.mode} obeys, cannot be read: {error}"
        ) from error
    return limit if harmed or serving.mode == "rollout" else None
