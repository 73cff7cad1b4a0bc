"""Where the serving table is."""

from __future__ import annotations

import datetime
from typing import get_args

import pytest

from holley_assets.core.output_tables import DECLARATIONS_TABLE, EXPOSURES_TABLE
from holley_assets.evaluation.systems import DELIVERED_SYSTEMS
from holley_assets.resources.warehouse.interface import check_identifiers, snapshot_name
from holley_assets.settings import ServingSettings, SettingsError, load_section, load_settings
from holley_assets.settings.run import RunSettings


@pytest.mark.parametrize(
    ("env", "project", "expected"),
    [
        ("prod", "email-system", "email-system.holley_serving"),
        ("prod", None, "holley_serving"),
        # DuckDB knows no projects.
        ("local", "email-system", "holley_serving"),
    ],
)
def test_it_is_below_another_project_only_in_production(env: str, project: str | None, expected: str) -> None:
    settings = load_settings().model_copy(
        update={"run": RunSettings(env=env), "serving": ServingSettings(project=project)}
    )
    assert settings.serving_dataset == expected


def test_a_wrong_project_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOLLEY_SERVING_PROJECT", "Email System")
    with pytest.raises(
        SettingsError, match=r"^HOLLEY_SERVING_PROJECT=Email System is not allowed; .* dashes$"
    ):
        load_section(ServingSettings)


@pytest.mark.parametrize("name", [EXPOSURES_TABLE, DECLARATIONS_TABLE.upper(), "a" * 1001, "a-b"])
def test_it_takes_the_place_of_no_record_and_leaves_room_for_the_names_of_its_versions(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv("HOLLEY_SERVING_TABLE", name)
    with pytest.raises(SettingsError, match=r"^HOLLEY_SERVING_TABLE=\S+ is not allowed; allowed: [^;]+$"):
        load_section(ServingSettings)


def test_the_longest_name_has_versions() -> None:
    table = ServingSettings(table="a" * 1000).table
    check_identifiers(snapshot_name(table, datetime.datetime(2026, 2, 1, tzinfo=datetime.UTC)))


def test_a_system_that_no_model_is_delivered_as_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    assert load_section(ServingSettings).system == "gnn"
    monkeypatch.setenv("HOLLEY_SERVING_SYSTEM", "sql")
    with pytest.raises(
        SettingsError, match=r"^HOLLEY_SERVING_SYSTEM=sql is not allowed; allowed: gnn or hybrid$"
    ):
        load_section(ServingSettings)


def test_every_system_of_the_setting_is_one_that_is_delivered() -> None:
    assert get_args(ServingSettings.model_fields["system"].annotation) == DELIVERED_SYSTEMS
