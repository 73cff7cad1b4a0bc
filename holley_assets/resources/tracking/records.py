"""What is told to MLflow: a training, its evaluation, its delivery, and the readout of an experiment.

Each can be written down and sent later.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

import pydantic

from holley_assets.resources.storage.artifacts import Reference

Number = float | int
Parameter = str | int | float | bool | None


# The statistic of a training that says how long it took.
TRAINING_SECONDS = "training/seconds"


class _Record(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(frozen=True)

    written_at: datetime.datetime


class TrainingRecord(_Record):
    """A training: an MLflow run of its own, and a version in the model registry.

    Attributes:
        dagster_run_id: the run that trained.
        model_version: name of the weights.
        as_of: the day of the data.
        checkpoint: copied to the MLflow run.
        parameters: settings that shaped the training.
        statistics: numbers without a step, such as node counts and the best validation MRR.
        curves: one mapping an epoch, with its number as ``epoch``.
        started_from: what the weights started from; None for nothing.
        learnt_from: ``source``, ``source_kind`` and ``window`` of the data.
    """

    kind: Literal["training"] = "training"
    dagster_run_id: str
    model_version: str
    as_of: datetime.date
    checkpoint: Reference
    parameters: Mapping[str, Parameter]
    statistics: Mapping[str, Number | None]
    curves: Sequence[Mapping[str, Number | None]]
    started_from: str | None
    learnt_from: Mapping[str, str] = {}


class EvaluationRecord(_Record):
    """A report on a training.

    Attributes:
        dagster_run_id: the run that trained.
        model_version: name of the weights.
        outcome: decision of the report.
        gates: whether each gate passed.
        metrics: every number of the report by its dotted name, for the MLflow run.
        headline: the few that stand on the registered version.
        artifacts: copied to the MLflow run.
    """

    kind: Literal["evaluation"] = "evaluation"
    dagster_run_id: str
    model_version: str
    outcome: str
    gates: Mapping[str, bool]
    metrics: Mapping[str, Number | None]
    headline: Mapping[str, Number]
    artifacts: list[Reference]


class DeliveryRecord(_Record):
    """A model whose table was delivered, which happens only when every blocking check passed.

    Attributes:
        dagster_run_id: the run that delivered.
        model_version: name of the weights.
    """

    kind: Literal["delivery"] = "delivery"
    dagster_run_id: str
    model_version: str


class ReadoutRecord(_Record):
    """A readout of an experiment on customers: an MLflow run of its own.

    Attributes:
        dagster_run_id: the run that read.
        experiment: its name.
        as_of: the day of the readout.
        outcome: the decision.
        metrics: numbers of the readout by their dotted names.
        artifacts: copied to the MLflow run.
    """

    kind: Literal["readout"] = "readout"
    dagster_run_id: str
    experiment: str
    as_of: datetime.date
    outcome: str
    metrics: Mapping[str, Number | None]
    artifacts: list[Reference]


AnyRecord = TrainingRecord | EvaluationRecord | DeliveryRecord | ReadoutRecord
Record = Annotated[AnyRecord, pydantic.Field(discriminator="kind")]
_READER: pydantic.TypeAdapter[Record] = pydantic.TypeAdapter(Record)


def read_record(text: str) -> AnyRecord:
    """Inverse of ``record.model_dump_json()``."""
    return _READER.validate_json(text)
