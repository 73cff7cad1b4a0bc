"""Every section together: read, validated, and wrong values in one line."""

from __future__ import annotations

import datetime
import difflib
import functools
import os
import re
import typing
from collections.abc import Mapping, Set
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, SecretStr, ValidationError

from holley_assets.settings.automation import AlertSettings, ScheduleSettings
from holley_assets.settings.bigquery import BigQuerySettings
from holley_assets.settings.compute import ComputeSettings
from holley_assets.settings.experiment import ExperimentSettings
from holley_assets.settings.judging import CheckSettings, EvaluationSettings, RuleSettings
from holley_assets.settings.learning import ModelSettings, TrainingSettings
from holley_assets.settings.lease import LeaseSettings
from holley_assets.settings.run import RunSettings
from holley_assets.settings.section import (
    PREFIX,
    WORKING_DATASET,
    Section,
    SettingsError,
    constraints_of,
    kinds_of,
    variable_name,
)
from holley_assets.settings.serving import ServingSettings
from holley_assets.settings.storage import StorageSettings
from holley_assets.settings.tracking import TrackingSettings
from holley_assets.settings.warehouse import WarehouseSettings
from holley_assets.settings.watching import WatchSettings
from holley_assets.texts import for_log

AnySection = TypeVar("AnySection", bound=Section)

_USER_OF_ADDRESS = re.compile(r"//\S*@")
_LONGEST_SHOWN = 200
# Share of two names' letters that agree where one is a slip of the other: one or two letters of twenty.
_NEARLY = 0.9
_RANGES: dict[Any, str] = {int: "a whole number", float: "a number", datetime.date: "an ISO date"}
_KINDS: dict[Any, str] = {str: "text without control characters", Path: "a path", SecretStr: "text"}
# What DuckDB keeps for itself, and where tables wait for their checks.
_RESERVED_DATASETS = ("main", "temp", "system", "information_schema", "pg_catalog", "staging")


class Settings(BaseModel):
    """All settings of one run."""

    model_config = ConfigDict(frozen=True)

    run: RunSettings
    rules: RuleSettings
    model: ModelSettings
    training: TrainingSettings
    evaluation: EvaluationSettings
    checks: CheckSettings
    serving: ServingSettings
    experiment: ExperimentSettings
    warehouse: WarehouseSettings
    bigquery: BigQuerySettings
    storage: StorageSettings
    tracking: TrackingSettings
    compute: ComputeSettings
    lease: LeaseSettings
    schedule: ScheduleSettings
    watch: WatchSettings
    alerts: AlertSettings

    @property
    def serving_dataset(self) -> str:
        """Dataset of the serving table, as the warehouse is told; in production below another project if need be."""
        project = self.serving.project if self.run.env == "prod" else None
        return f"{project}.{self.serving.dataset}" if project else self.serving.dataset


SECTIONS: dict[str, type[Section]] = {
    name: typing.cast(type[Section], field.annotation) for name, field in Settings.model_fields.items()
}


def known_variables() -> set[str]:
    """Names of all environment variables that are settings."""
    return {variable_name(section, field) for section in SECTIONS.values() for field in section.model_fields}


def unknown_variables() -> list[str]:
    """Variables that start with ``HOLLEY_`` and are no setting: misspelled, most likely."""
    return sorted(name for name in os.environ if name.startswith(PREFIX) and name not in known_variables())


def likely_setting(name: str) -> str | None:
    """The setting whose name is nearly ``name``, which was most likely meant; None where none is."""
    return next(iter(difflib.get_close_matches(name, sorted(known_variables()), n=1, cutoff=_NEARLY)), None)


def allowed_words(section: type[Section], field: str) -> str:
    """What a setting may be, in words; its meaning says more where it is text."""
    (kind,) = kinds_of(section, field)
    bounds = constraints_of(section, field)
    if typing.get_origin(kind) is Literal or kind is bool:
        words = ["true", "false"] if kind is bool else list(typing.get_args(kind))
        return f"{', '.join(words[:-1])} or {words[-1]}"
    if kind in _RANGES:
        low = f"from {_written(bounds['ge'])}" if "ge" in bounds else f"above {_written(bounds['gt'])}"
        high = f"to {_written(bounds['le'])}" if "le" in bounds else f"to below {_written(bounds['lt'])}"
        return f"{_RANGES[kind]} {low} {high}"
    if kind is str and "max_length" in bounds:
        return f"text of {bounds.get('min_length', 1)} to {bounds['max_length']} characters"
    return _KINDS[kind]


def _written(bound: object) -> str:
    return f"{bound:,.12g}" if isinstance(bound, int | float) else str(bound)


def _allowed(section: type[Section], field: str, error: Mapping[str, Any]) -> str:
    # A validator of this project says itself what it wants.
    return str(error["ctx"]["error"]) if error["type"] == "value_error" else allowed_words(section, field)


def _shown(section: type[Section], field: str, value: object) -> str:
    """A wrong value as a log may show it, in one line."""
    if field in section.secrets():
        return "(hidden)"
    return for_log(_USER_OF_ADDRESS.sub("//(hidden)@", str(value)), _LONGEST_SHOWN)


def load_section(section: type[AnySection], read: Set[str] | None = None) -> AnySection:
    """Read and validate one section.

    Args:
        read: fields that are read; the others have their defaults, whatever the environment says. None reads all.

    Raises:
        SettingsError: one line that names each wrong variable, its value and what is allowed.
    """
    left_out = section.model_fields.keys() - read if read is not None else set[str]()
    defaults = {name: section.model_fields[name].get_default(call_default_factory=True) for name in left_out}
    try:
        return section(**defaults)
    except ValidationError as error:
        problems = []
        for detail in error.errors():
            field = str(detail["loc"][0])
            value = _shown(section, field, detail["input"])
            problems.append(
                f"{variable_name(section, field)}={value} is not allowed; allowed: {_allowed(section, field, detail)}"
            )
        raise SettingsError("; ".join(problems)) from None


def missing_in_production(sections: Mapping[str, Section]) -> list[str]:
    """Variables that ``HOLLEY_ENV=prod`` needs and that are not set."""
    return [
        variable_name(type(section), field)
        for section in sections.values()
        for field in section.required_in_production
        if getattr(section, field) is None
    ]


def shared_datasets(settings: Settings) -> list[str]:
    """What is wrong with datasets that are written: each is this project's own, and of one purpose.

    BigQuery tells names apart by case and DuckDB does not, and neither does whoever reads them: all are compared
    without case, and without their projects.
    """
    bigquery = settings.bigquery
    protected = {
        WORKING_DATASET: "the delivered table",
        **dict.fromkeys(_RESERVED_DATASETS, "the local warehouse itself"),
        bigquery.company_dataset: "HOLLEY_BIGQUERY_COMPANY_DATASET",
        bigquery.data_company_dataset: "HOLLEY_BIGQUERY_DATA_COMPANY_DATASET",
    }
    problems = []
    for variable, dataset in (
        ("HOLLEY_BIGQUERY_WORKING_DATASET", bigquery.working_dataset),
        ("HOLLEY_SERVING_DATASET", settings.serving.dataset),
    ):
        taken = {name.rpartition(".")[2].lower(): owner for name, owner in protected.items()}
        if (owner := taken.get(dataset.lower())) is not None:
            problems.append(
                f"{variable}={dataset} is not allowed; allowed: a dataset of its own, this is that of {owner}"
            )
        protected[dataset] = variable
    return problems


def load_settings() -> Settings:
    """Read and validate every setting.

    Raises:
        SettingsError: one line that names each wrong variable, its value and what is allowed; or each variable
            that production needs and that is not set.
    """
    # A step asks for them dozens of times, and reading some hundred variables takes ten milliseconds.
    return _load(_environment())


def read_settings(text: str) -> Settings:
    """Settings as a run wrote them down; those that are not written, such as passwords, as the environment has them.

    Raises:
        ValidationError: they are of a version of this project with other settings.
    """
    # A step asks for them several times, and each section looks at the whole environment.
    return _read(text, _environment())


@functools.lru_cache(maxsize=1)
def _read(text: str, environment: frozenset[tuple[str, str]]) -> Settings:
    """Settings of ``text`` and of ``environment``, which is that of the process."""
    return Settings.model_validate_json(text)


def _environment() -> frozenset[tuple[str, str]]:
    return frozenset(item for item in os.environ.items() if item[0].upper().startswith(PREFIX))


@functools.lru_cache(maxsize=1)
def _load(environment: frozenset[tuple[str, str]]) -> Settings:
    """Settings of ``environment``, which is that of the process; they are frozen, so that all may share them."""
    sections: dict[str, Section] = {}
    problems: list[str] = []
    for name, section in SECTIONS.items():
        try:
            sections[name] = load_section(section)
        except SettingsError as error:
            problems.append(str(error))
    if problems:
        raise SettingsError("; ".join(problems))
    settings = Settings.model_validate(sections)
    if settings.run.env == "prod" and (missing := missing_in_production(sections)):
        raise SettingsError(f"HOLLEY_ENV=prod needs variables that are not set: {', '.join(missing)}")
    if problems := shared_datasets(settings):
        raise SettingsError("; ".join(problems))
    return settings


# Where the record of the kill switch is.
_OF_SWITCH = {
    "run": {"env", "data_dir"},
    "serving": {"kill_switch", "project", "dataset", "table"},
    "bigquery": set(BigQuerySettings.model_fields),
    "warehouse": set[str](),
}


def load_settings_of_switch() -> Settings:
    """What the kill switch's record is found by, validated; where other settings are wrong, their defaults.

    Nothing that is wrong elsewhere, such as a source folder that is gone, may keep a person from pulling it.

    Raises:
        SettingsError: a setting is wrong by which the record is found.
    """
    try:
        settings = load_settings()
    except SettingsError:
        sections: dict[str, Any] = {
            name: load_section(SECTIONS[name], fields) for name, fields in _OF_SWITCH.items()
        }
        sections |= {name: of.model_construct() for name, of in SECTIONS.items() if name not in sections}
        settings = Settings.model_construct(None, **sections)
    # Steps may start in another folder than the run's.
    run = settings.run.model_copy(update={"data_dir": settings.run.data_dir.expanduser().resolve()})
    return settings.model_copy(update={"run": run})
