"""Settings are all read at once, refused in one line, and show no secret."""

from __future__ import annotations

import os
from typing import ClassVar

import pytest
from pydantic import BaseModel, Field, ValidationError
from pydantic_settings import SettingsConfigDict

from holley_assets.settings import (
    SECTIONS,
    Section,
    SettingsError,
    likely_setting,
    load_settings,
    loading,
    read_settings,
    variable_name,
)


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("HOLLEY_"):
            monkeypatch.delenv(name)


class AlarmSettings(Section):
    """A section with a secret."""

    model_config = SettingsConfigDict(env_prefix="HOLLEY_ALARM_")
    required_in_production: ClassVar[tuple[str, ...]] = ("url",)

    url: str | None = Field(None, description="where to ring", exclude=True, min_length=20)
    volume: int = Field(3, description="how loud")


class AllSettings(BaseModel):
    """Settings of a project with one section."""

    alarm: AlarmSettings


def required_variables() -> list[str]:
    return [
        variable_name(section, field)
        for section in SECTIONS.values()
        for field in section.required_in_production
    ]


def test_production_names_every_variable_that_is_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOLLEY_ENV", "prod")
    with pytest.raises(SettingsError) as raised:
        load_settings()
    line = str(raised.value)
    assert "\n" not in line
    assert required_variables()
    assert [name for name in required_variables() if name not in line] == []


def test_production_names_only_what_is_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOLLEY_ENV", "prod")
    monkeypatch.setenv("HOLLEY_MLFLOW_TRACKING_URI", "https://mlflow.example.com")
    monkeypatch.setattr(loading, "SECTIONS", {**SECTIONS, "alarm": AlarmSettings})
    with pytest.raises(SettingsError, match="HOLLEY_ALARM_URL") as raised:
        load_settings()
    assert "HOLLEY_MLFLOW_TRACKING_URI" not in str(raised.value)


def test_a_laptop_needs_no_variable() -> None:
    assert load_settings().run.env == "local"


def test_required_fields_exist_and_may_be_unset_locally() -> None:
    for section in SECTIONS.values():
        for field in section.required_in_production:
            assert section.model_fields[field].default is None, variable_name(section, field)


def test_several_wrong_values_are_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOLLEY_ENV", "staging")
    monkeypatch.setenv("HOLLEY_MODEL_HEADS", "7")
    with pytest.raises(SettingsError) as raised:
        load_settings()
    assert "HOLLEY_ENV=staging" in str(raised.value) and "HOLLEY_MODEL_HEADS=7" in str(raised.value)


@pytest.mark.parametrize("user", ["ann:hunter2", "hunter2", "ann:a/hunter2", "ann:a@hunter2"])
@pytest.mark.parametrize("variable", ["HOLLEY_MLFLOW_TRACKING_URI", "HOLLEY_ALERT_UI_URL"])
def test_a_user_in_an_address_is_refused_and_not_repeated(
    monkeypatch: pytest.MonkeyPatch, variable: str, user: str
) -> None:
    monkeypatch.setenv(variable, f"https://{user}@example.com")
    with pytest.raises(SettingsError, match=rf"{variable}=https://\(hidden\)@example.com is not") as raised:
        load_settings()
    assert "hunter2" not in str(raised.value) and "ann" not in str(raised.value)


def test_a_database_may_be_asked_by_a_user_without_a_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOLLEY_MLFLOW_TRACKING_URI", "postgresql://mlflow@db.example.com/mlflow")
    assert load_settings().tracking.tracking_uri == "postgresql://mlflow@db.example.com/mlflow"


@pytest.mark.parametrize(
    "address", ["localhost:5000", "127.0.0.1:5000", "mlflow.example.com", "./mlruns", "https://"]
)
def test_a_tracking_server_without_a_scheme_is_refused(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    """MLflow takes it for a folder, and refuses what is recorded there when the training is over."""
    monkeypatch.setenv("HOLLEY_MLFLOW_TRACKING_URI", address)
    with pytest.raises(SettingsError) as raised:
        load_settings()
    assert str(raised.value).startswith(
        f"HOLLEY_MLFLOW_TRACKING_URI={address} is not allowed; allowed: an address such as https://mlflow"
    )


@pytest.mark.parametrize(
    "address",
    [
        "http://localhost:5000",
        "sqlite:////data/mlflow.db",
        "mysql+pymysql://db.example.com/mlflow",
        "databricks",
    ],
)
def test_a_tracking_server_or_a_database_is_an_address(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    monkeypatch.setenv("HOLLEY_MLFLOW_TRACKING_URI", address)
    assert load_settings().tracking.tracking_uri == address


def test_a_wrong_secret_is_not_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "SECTIONS", {"alarm": AlarmSettings})
    monkeypatch.setenv("HOLLEY_ALARM_URL", "short-secret")
    with pytest.raises(SettingsError, match=r"HOLLEY_ALARM_URL=\(hidden\)") as raised:
        load_settings()
    assert "short-secret" not in str(raised.value)


def test_a_secret_is_not_frozen_and_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a run froze holds no secret; whoever reads it back has the secret of its own environment."""
    monkeypatch.setenv("HOLLEY_ALARM_URL", "https://example.com/secret-1")
    monkeypatch.setenv("HOLLEY_ALARM_VOLUME", "5")
    frozen = AllSettings(alarm=AlarmSettings()).model_dump_json()
    assert "secret-1" not in frozen
    monkeypatch.setenv("HOLLEY_ALARM_URL", "https://example.com/secret-2")
    monkeypatch.setenv("HOLLEY_ALARM_VOLUME", "9")
    thawed = AllSettings.model_validate_json(frozen)
    assert thawed.alarm.url == "https://example.com/secret-2"
    assert thawed.alarm.volume == 5


@pytest.mark.parametrize(
    ("variable", "value", "allowed"),
    [
        ("HOLLEY_SAMPLE_TRAFFIC", "0", "a number above 0 to 10"),
        ("HOLLEY_SAMPLE_TRAFFIC", "11", "a number above 0 to 10"),
        ("HOLLEY_SAMPLE_TRAFFIC", "nan", "a number above 0 to 10"),
        ("HOLLEY_SAMPLE_TRAFFIC", "much", "a number above 0 to 10"),
        ("HOLLEY_SAMPLE_KIND", "odd", "segment, taste, real_cars or null"),
    ],
)
def test_samples_that_cannot_be_made(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, allowed: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(SettingsError, match=f"^{variable}={value} is not allowed; allowed: {allowed}$"):
        load_settings()


def test_the_setting_that_was_meant_is_found_and_no_other() -> None:
    assert likely_setting("HOLLEY_SAMPLE_USER") == "HOLLEY_SAMPLE_USERS"
    assert likely_setting("HOLLEY_DATADIR") == "HOLLEY_DATA_DIR"
    assert likely_setting("HOLLEY_TOKEN") is None and likely_setting("HOLLEY_SAMPLE_COLOUR") is None


def test_a_run_s_settings_are_read_with_the_secrets_of_the_present(monkeypatch: pytest.MonkeyPatch) -> None:
    # Reading is remembered: neither another text nor another secret may give what was read before.
    monkeypatch.setenv("HOLLEY_ALERT_URLS", "json://first.example")
    monkeypatch.setenv("HOLLEY_SAMPLE_USERS", "700")
    written = load_settings().model_dump_json()
    monkeypatch.setenv("HOLLEY_SAMPLE_USERS", "800")
    assert "first.example" not in written
    assert read_settings(written).run.sample_users == 700
    monkeypatch.setenv("HOLLEY_ALERT_URLS", "json://second.example")
    urls = read_settings(written).alerts.urls
    assert urls is not None
    assert urls.get_secret_value() == "json://second.example"
    other = read_settings(load_settings().model_dump_json())
    assert other.run.sample_users == 800
    with pytest.raises(ValidationError):
        read_settings('{"run": {}}')
