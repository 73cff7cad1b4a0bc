"""One version of the model in the registry, and what speaks against making it the champion."""

from __future__ import annotations

import dataclasses
import datetime
import json
from typing import TYPE_CHECKING, Self

from holley_assets.core.time_windows import SAMPLE_SOURCE
from holley_assets.resources.storage.artifacts import Reference

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion

# The only outcome of a report by which a model is promoted without force.
CLEAR_WIN = "clear_win"


class PromotionRefused(RuntimeError):  # noqa: N818  (an answer, not an error)
    """A model may not become the champion. The message is one line that says why."""


@dataclasses.dataclass(frozen=True)
class RegisteredModel:
    """One version of the registered model.

    Attributes:
        version: its number in the registry, from 1 up.
        model_version: name of the weights, as in the delivered table.
        reference: the checkpoint, with its checksum.
        dagster_run_id: the run that trained it.
        as_of: the day of its data.
        outcome: decision of its report; None before evaluation.
        gates_passed: whether every gate of the report passed; None before evaluation.
        checks_passed: whether every blocking check of its run passed.
        failed_gates: names of the gates that did not pass.
        started_from: what its training started from, in words; None for a training from nothing.
        source: where its data came from: sample, parquet or bigquery; None where nobody noted it.
        source_kind: the kind of that data; of a sample, its generator and size.
        window: first and last day but one of what it learnt from, in words.
        promoted_by: who last made it the champion; None for one that never was.
        promoted_at: when, UTC.
        promotion_reason: why.
        withdrawn_by: who sent it away as champion; None where nobody did, or where it was promoted again since.
        withdrawal_reason: why.
    """

    version: int
    model_version: str
    reference: Reference
    dagster_run_id: str
    as_of: datetime.date
    outcome: str | None = None
    gates_passed: bool | None = None
    checks_passed: bool = False
    failed_gates: tuple[str, ...] = ()
    started_from: str | None = None
    source: str | None = None
    source_kind: str | None = None
    window: str | None = None
    promoted_by: str | None = None
    promoted_at: datetime.datetime | None = None
    promotion_reason: str | None = None
    withdrawn_by: str | None = None
    withdrawal_reason: str | None = None

    @property
    def age(self) -> tuple[datetime.date, int]:
        """Sorts versions by the day of their data, then by when they were registered."""
        return self.as_of, self.version

    def may_serve(self, source: str) -> bool:
        """Whether it may serve customers of a source: what learnt from generated customers serves no real ones."""
        return source == SAMPLE_SOURCE or self.source != SAMPLE_SOURCE

    @classmethod
    def from_mlflow(cls, found: ModelVersion) -> Self:
        """A version as its tags tell it."""
        tags = found.tags
        gates: dict[str, bool] = json.loads(tags["gates"]) if "gates" in tags else {}
        return cls(
            version=int(found.version),
            model_version=tags["model_version"],
            reference=Reference(**json.loads(tags["checkpoint"])),
            dagster_run_id=tags["dagster_run_id"],
            as_of=datetime.date.fromisoformat(tags["as_of"]),
            outcome=tags.get("outcome"),
            gates_passed=flag(tags.get("gates_passed")),
            checks_passed=bool(flag(tags.get("checks_passed"))),
            failed_gates=tuple(sorted(name for name, passed in gates.items() if not passed)),
            started_from=tags.get("started_from"),
            source=tags.get("source"),
            source_kind=tags.get("source_kind"),
            window=tags.get("window"),
            promoted_by=tags.get("promoted_by"),
            promoted_at=datetime.datetime.fromisoformat(tags["promoted_at"])
            if "promoted_at" in tags
            else None,
            promotion_reason=tags.get("promotion_reason"),
            withdrawn_by=tags.get("withdrawn_by"),
            withdrawal_reason=tags.get("withdrawal_reason"),
        )


def reasons_not_to_promote(model: RegisteredModel, champion: RegisteredModel | None) -> list[str]:
    """What speaks against making ``model`` the champion, and may be overruled."""
    found = []
    if model.withdrawn_by is not None:
        found.append(f"{model.withdrawn_by} rolled it back: {model.withdrawal_reason}")
    if not model.checks_passed:
        found.append("its checks did not all pass, or its table was never delivered")
    if model.gates_passed is None:
        found.append("it was never evaluated")
    elif not model.gates_passed:
        found.append(f"gates failed: {', '.join(model.failed_gates)}")
    if model.outcome is not None and model.outcome != CLEAR_WIN:
        found.append(f"its outcome is {model.outcome}, and without force only a {CLEAR_WIN} is promoted")
    if champion is not None and model.age < champion.age:
        found.append(
            f"it is of {model.as_of}, older than the champion, version {champion.version} of {champion.as_of}"
        )
    return found


def require_source(model: RegisteredModel, source: str) -> None:
    """Make sure that ``model`` may serve customers of ``source``; force does not help.

    Raises:
        PromotionRefused: it learnt from generated customers and these are real.
    """
    if not model.may_serve(source):
        raise PromotionRefused(
            f"version {model.version} ({model.model_version}) learnt from a sample ({model.source_kind}), and no "
            f"sample's model ever serves the customers of {source}: train on them with weekly_retrain"
        )


def flag(value: str | None) -> bool | None:
    """A tag as a truth value."""
    return None if value is None else value == "true"
