"""Every section together: read, validated, and wrong values in one line."""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from holley_assets.settings.automation import AlertSettings, ScheduleSettings
from holley_assets.settings.bigquery import BigQuerySettings
from holley_assets.settings.compute import ComputeSettings
from holley_assets.settings.judging import CheckSettings, EvaluationSettings, RuleSettings
from holley_assets.settings.learning import ModelSettings, TrainingSettings
from holley_assets.settings.run import RunSettings
from holley_assets.settings.section import PREFIX, Section, SettingsError, variable_name
from holley_assets.settings.serving import ServingSettings
from holley_assets.settings.storage import StorageSettings
from holley_assets.settings.tracking import TrackingSettings
from holley_assets.settings.warehouse import WarehouseSettings
from holley_assets.settings.watching import WatchSettings

AnySection = TypeVar("AnySection", bound=Section)

_USER_OF_ADDRESS = re.compile(r"//\S*@")


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
    warehouse: WarehouseSettings
    bigquery: BigQuerySettings
    storage: StorageSettings
    tracking: TrackingSettings
    compute: ComputeSettings
    schedule: ScheduleSettings
    watch: WatchSettings
    alerts: AlertSettings

    @property
    def serving_dataset(self) -> str:
        """Dataset of the serving table, as the warehouse is told; in production below another project if need be."""
        project = self.serving.project if self.run.env == "prod" else None
        return f"{project}.{self.serving.dataset}" if project else self.serving.dataset


SECTIONS: dict[str, type[Section]] = {
    "run": RunSettings,
    "rules": RuleSettings,
    "model": ModelSettings,
    "training": TrainingSettings,
    "evaluation": EvaluationSettings,
    "checks": CheckSettings,
    "serving": ServingSettings,
    "warehouse": WarehouseSettings,
    "bigquery": BigQuerySettings,
    "storage": StorageSettings,
    "tracking": TrackingSettings,
    "compute": ComputeSettings,
    "schedule": ScheduleSettings,
    "watch": WatchSettings,
    "alerts": AlertSettings,
}


def known_variables() -> set[str]:
    """Names of all environment variables that are settings."""
    return {variable_name(section, field) for section in SECTIONS.values() for field in section.model_fields}


def unknown_variables() -> list[str]:
    """Variables that start with ``HOLLEY_`` and are no setting: misspelled, most likely."""
    return sorted(name for name in os.environ if name.startswith(PREFIX) and name not in known_variables())


def _allowed(error: dict[str, Any]) -> str:
    context = error.get("ctx", {})
    kind = error["type"]
    if kind == "literal_error":
        return str(context["expected"]).replace("'", "")
    if kind == "value_error":
        return str(context["error"])
    bounds = {
        "greater_than": ("a number above", "gt"),
        "greater_than_equal": ("a number from", "ge"),
        "less_than": ("a number below", "lt"),
        "less_than_equal": ("a number up to", "le"),
    }
    if kind in bounds:
        words, key = bounds[kind]
        return f"{words} {context[key]}" + (" up" if kind == "greater_than_equal" else "")
    types = {
        "bool": "true or false",
        "int": "a whole number",
        "float": "a number",
        "date": "an ISO date such as 2026-02-01",
    }
    for name, words in types.items():
        if kind.startswith(name):
            return words
    return str(error["msg"])


def _shown(section: type[Section], field: str, value: object) -> str:
    """A wrong value as a log may show it."""
    return "(hidden)" if field in section.secrets() else _USER_OF_ADDRESS.sub("//(hidden)@", str(value))


def load_section(section: type[AnySection]) -> AnySection:
    """Read and validate one section.

    Raises:
        SettingsError: one line that names each wrong variable, its value and what is allowed.
    """
    try:
        return section()
    except ValidationError as error:
        problems = []
        for detail in error.errors():
            field = str(detail["loc"][0])
            value = _shown(section, field, detail["input"])
            problems.append(
                f"{variable_name(section, field)}={value} is not allowed; allowed: {_allowed(dict(detail))}"
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


def load_settings() -> Settings:
    """Read and validate every setting.

    Raises:
        SettingsError: one line that names each wrong variable, its value and what is allowed; or each variable
            that production needs and that is not set.
    """
    # A step asks for them dozens of times, and reading some hundred variables takes ten milliseconds.
    return _load(frozenset(item for item in os.environ.items() if item[0].upper().startswith(PREFIX)))


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
    settings = Settings(**sections)  # type: ignore[arg-type]
    if settings.run.env == "prod" and (missing := missing_in_production(sections)):
        raise SettingsError(f"HOLLEY_ENV=prod needs variables that are not set: {', '.join(missing)}")
    return settings
