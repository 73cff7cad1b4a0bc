"""Every setting of a run: typed, validated, with its reason.

A setting is an environment variable that starts with ``HOLLEY_``. :func:`load_settings` reads and
validates all of them at once; assets unwrap what they need and pass plain values on, so that nothing
below this package reads the environment.
"""

from holley_assets.settings.automation import AlertSettings, ScheduleSettings
from holley_assets.settings.bigquery import BigQuerySettings
from holley_assets.settings.compute import ComputeSettings
from holley_assets.settings.experiment import ExperimentSettings
from holley_assets.settings.judging import CheckSettings, EvaluationSettings, RuleSettings
from holley_assets.settings.learning import ModelSettings, TrainingSettings
from holley_assets.settings.lease import LeaseSettings
from holley_assets.settings.loading import (
    SECTIONS,
    Settings,
    allowed_words,
    known_variables,
    likely_setting,
    load_section,
    load_settings,
    load_settings_of_switch,
    read_settings,
    unknown_variables,
)
from holley_assets.settings.run import RunSettings, is_production
from holley_assets.settings.section import (
    LOG_TABLES,
    PREFIX,
    WORKING_DATASET,
    Section,
    SettingsError,
    is_dataset,
    is_identifier,
    is_project,
    parse_day,
    variable_name,
)
from holley_assets.settings.serving import ServingSettings
from holley_assets.settings.storage import StorageSettings
from holley_assets.settings.tracking import TrackingSettings
from holley_assets.settings.warehouse import WarehouseSettings
from holley_assets.settings.watching import WatchSettings

__all__ = [
    "LOG_TABLES",
    "PREFIX",
    "SECTIONS",
    "WORKING_DATASET",
    "AlertSettings",
    "BigQuerySettings",
    "CheckSettings",
    "ComputeSettings",
    "EvaluationSettings",
    "ExperimentSettings",
    "LeaseSettings",
    "ModelSettings",
    "RuleSettings",
    "RunSettings",
    "ScheduleSettings",
    "Section",
    "ServingSettings",
    "Settings",
    "SettingsError",
    "StorageSettings",
    "TrackingSettings",
    "TrainingSettings",
    "WarehouseSettings",
    "WatchSettings",
    "allowed_words",
    "is_dataset",
    "is_identifier",
    "is_production",
    "is_project",
    "known_variables",
    "likely_setting",
    "load_section",
    "load_settings",
    "load_settings_of_switch",
    "parse_day",
    "read_settings",
    "unknown_variables",
    "variable_name",
]
