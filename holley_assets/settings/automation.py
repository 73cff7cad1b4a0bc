"""When the project runs by itself, and whom it tells when something went wrong."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import SettingsConfigDict

from holley_assets.settings.section import PREFIX, Section, names_a_user

# Minute, hour, day of month, month, day of week: the least and greatest number of each, and names for numbers.
_CRON_FIELDS: tuple[tuple[int, int, str], ...] = (
    (0, 59, ""),
    (0, 23, ""),
    (1, 31, ""),
    (1, 12, "jan feb mar apr may jun jul aug sep oct nov dec"),
    (0, 7, "sun mon tue wed thu fri sat"),
)
_CRON_TERM = re.compile(r"(?:\*|(?P<first>\w+)(?:-(?P<last>\w+))?)(?:/(?P<step>[1-9]\d?))?", re.ASCII)


def _is_cron_field(field: str, allowed: tuple[int, int, str]) -> bool:
    low, high, names = allowed
    numbers = {name: place + low for place, name in enumerate(names.split())}
    for term in field.lower().split(","):
        matched = _CRON_TERM.fullmatch(term)
        if matched is None:
            return False
        ends = [end for end in (matched["first"], matched["last"]) if end is not None]
        places = [numbers.get(end, int(end) if end.isdecimal() else -1) for end in ends]
        if not all(low <= place <= high for place in places) or places != sorted(places):
            return False
    return True


class ScheduleSettings(Section):
    """When the jobs start by themselves. Read when Dagster loads the schedules, in UTC."""

    model_config = SettingsConfigDict(env_prefix=PREFIX + "SCHEDULE_")

    retrain: str = Field("0 3 * * 1", max_length=100, description="cron string of weekly_retrain, in UTC")
    score: str = Field(
        "0 5 * * *", max_length=100, description="cron string of daily_score, in UTC, on the days it is due"
    )
    score_every_days: Annotated[int, Field(ge=1, le=7)] = Field(
        2, description="daily_score is due every so many days, counted on from 1970-01-01 across months"
    )

    read: str = Field("0 7 * * *", max_length=100, description="cron string of read_experiment, in UTC")

    @field_validator("retrain", "score", "read")
    @classmethod
    def _has_five_fields(cls, value: str) -> str:
        fields = value.split(" ")
        if len(fields) != len(_CRON_FIELDS) or not all(map(_is_cron_field, fields, _CRON_FIELDS)):
            raise ValueError("a cron string of five fields, such as 0 3 * * 1")
        return value


class AlertSettings(Section):
    """Whom the alerts go to."""

    model_config = SettingsConfigDict(env_prefix=PREFIX + "ALERT_")

    urls: SecretStr | None = Field(
        None, exclude=True, description="apprise addresses that alerts go to, separated by spaces; a secret"
    )
    ui_url: str | None = Field(
        None,
        max_length=1000,
        description="address of the Dagster UI, to which alerts link, such as https://dagster.example.com",
    )

    @property
    def addresses(self) -> list[str]:
        """The apprise addresses, one by one."""
        return self.urls.get_secret_value().split() if self.urls else []

    @field_validator("ui_url")
    @classmethod
    def _holds_no_password(cls, value: str | None) -> str | None:
        if value is not None and not value.startswith(("http://", "https://")):
            raise ValueError("an address such as https://dagster.example.com")
        if value is not None and names_a_user(value):
            raise ValueError("an address without a user or password: it stands in every alert")
        return value

    @field_validator("urls")
    @classmethod
    def _have_schemes(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not all("://" in url for url in value.get_secret_value().split()):
            raise ValueError("apprise addresses, such as slack://… or mailto://…, separated by spaces")
        return value
