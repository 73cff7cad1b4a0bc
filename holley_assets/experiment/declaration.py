"""What an experiment will compare and how it will be decided, written down before it starts.

One small TOML file. Whoever chooses the metric, the looks or the rule after seeing outcomes finds a gain where none is,
so the declaration is frozen at the start and known by its fingerprint: another fingerprint is another experiment.
"""

from __future__ import annotations

import datetime
import hashlib
import json
import math
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    model_validator,
)

PrimaryMetric = Literal["click_rate", "conversion", "revenue_per_user"]
Guardrail = Literal["unsubscribe_rate", "delivered_share", "average_order_value"]
MovedUsers = Literal["exclude", "first_arm"]
_FINGERPRINT_DIGITS = 16


def _no_boolean(value: Any) -> Any:
    # Python takes True for 1, and TOML's true would be one look, or a share of everybody.
    if isinstance(value, bool):
        raise ValueError("must be a number, not true or false")
    return value


def _plain_date(value: Any) -> Any:
    # A time of day in another zone would be another day in UTC without anybody noticing.
    if isinstance(value, datetime.datetime):
        raise ValueError("must be a day without a time, such as 2026-03-01; days are UTC")
    return value


Share = Annotated[float, BeforeValidator(_no_boolean), Field(gt=0.0, lt=1.0)]
Day = Annotated[datetime.date, BeforeValidator(_plain_date)]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Rule(_Section):
    """How sure a decision has to be."""

    alpha: Annotated[float, BeforeValidator(_no_boolean), Field(gt=0.0, le=0.2)] = Field(
        default=0.05,
        description="Probability of a false alarm of the primary metric over all looks together, two-sided.",
    )
    power: Annotated[float, BeforeValidator(_no_boolean), Field(ge=0.5, lt=1.0)] = Field(
        default=0.8, description="Probability to see the minimal effect where it is true; for the power plan."
    )
    novelty_days: Annotated[int, BeforeValidator(_no_boolean), Field(ge=0, le=366)] = Field(
        default=14,
        description="Days from the start in which a gain may come from what is merely new: ahead of the planned end it "
        "must be there among users who came after them too. 0: none.",
    )


class Windows(_Section):
    """For how many days after a user's first exposure an outcome counts."""

    click_days: Annotated[int, BeforeValidator(_no_boolean), Field(ge=1, le=90)] = 7
    order_days: Annotated[int, BeforeValidator(_no_boolean), Field(ge=1, le=90)] = 14


class Declaration(_Section):
    """An experiment as it was declared; every field is frozen.

    ``share`` is the part of users that is to get the graph; what was really served in a period stands with the
    exposures. Effects and margins are relative: 0.1 is 10 % of the SQL arm's value. Days are UTC.
    """

    name: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{2,62}$")]
    salt: Annotated[str, StringConstraints(min_length=1, max_length=200)]
    share: Share
    primary_metric: PrimaryMetric
    minimal_effect: Annotated[float, BeforeValidator(_no_boolean), Field(gt=0.0, le=10.0)]
    start: Day
    planned_end: Day
    looks: tuple[Day, ...] | Annotated[int, BeforeValidator(_no_boolean), Field(ge=1, le=366)]
    moved_users: MovedUsers = "exclude"
    order_value_quantile: Annotated[float, BeforeValidator(_no_boolean), Field(gt=0.5, le=1.0)] = Field(
        default=0.999,
        description="A user's order value is capped at this quantile of those who bought; 1 caps nothing.",
    )
    guardrails: Mapping[Guardrail, Share] = Field(
        default={}, description="Largest relative loss that is still accepted, by guardrail."
    )
    rule: Rule = Rule()
    windows: Windows = Windows()

    @model_validator(mode="after")
    def _dates_fit(self) -> Self:
        if self.planned_end <= self.start:
            raise ValueError(f"planned_end {self.planned_end} must be after start {self.start}")
        last_start = self.planned_end - datetime.timedelta(days=self.window_days)
        if last_start < self.start:
            raise ValueError(
                f"planned_end {self.planned_end} comes before the window of {self.window_days} days of a user who was "
                f"first exposed on {self.start} is over; choose {self.start + datetime.timedelta(self.window_days)} or "
                "later"
            )
        if isinstance(self.looks, int):
            if self.looks > self.days:
                raise ValueError(
                    f"looks = {self.looks} is more than one a day: from {self.start} to {self.planned_end} "
                    f"there are {self.days} days"
                )
            return self
        if not self.looks:
            raise ValueError("looks is an empty list; name at least one day, the last being planned_end")
        if list(self.looks) != sorted(set(self.looks)):
            raise ValueError("looks must be days in rising order, each once")
        if self.looks[0] <= self.start or self.looks[-1] != self.planned_end:
            raise ValueError(
                f"the first look must be after start {self.start} and the last on planned_end {self.planned_end}; "
                f"they are {self.looks[0]} and {self.looks[-1]}"
            )
        return self

    @property
    def days(self) -> int:
        """Days from the start to the planned end."""
        return (self.planned_end - self.start).days

    @property
    def window_days(self) -> int:
        """Days after the first exposure for which the primary metric counts outcomes."""
        return self.windows.click_days if self.primary_metric == "click_rate" else self.windows.order_days

    def look_dates(self) -> tuple[datetime.date, ...]:
        """The days of the declared looks, the last being the planned end; a number of looks is spread evenly."""
        if not isinstance(self.looks, int):
            return self.looks
        return tuple(
            self.start + datetime.timedelta(days=math.ceil(number * self.days / self.looks))
            for number in range(1, self.looks + 1)
        )

    def outcome_parameters(self) -> dict[str, object]:
        """Values of the parameters that only ``sql/experiment/experiment_outcomes.sql`` has."""
        return {
            "experiment": self.name,
            "experiment_start": self.start,
            "experiment_end": self.planned_end,
            "click_days": self.windows.click_days,
            "order_days": self.windows.order_days,
            "order_value_quantile": self.order_value_quantile,
        }

    def fingerprint(self) -> str:
        """16 hexadecimal digits of SHA-256 over every field, defaults included, in one fixed form.

        The order of the file's lines, its comments and whether a default is written out change nothing; a number of
        looks and the days that it stands for are the same.
        """
        fields = self.model_dump(mode="json") | {"looks": [day.isoformat() for day in self.look_dates()]}
        canonical = json.dumps(fields, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
        return hashlib.sha256(canonical.encode("ascii")).hexdigest()[:_FINGERPRINT_DIGITS]


def parse_declaration(text: str, source: str = "the declaration") -> Declaration:
    """The declaration that ``text`` (TOML) holds.

    Args:
        text: the file's text.
        source: what an error calls it.

    Raises:
        ValueError: where the text is no TOML, or a field is missing, unknown or out of bounds. Every such field is
            named, with what it must be.
    """
    try:
        fields = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"{source} is no TOML: {error}") from error
    try:
        return Declaration.model_validate(fields)
    except ValidationError as error:
        problems = [_problem(detail) for detail in error.errors()]
        raise ValueError(f"{source}: {'; '.join(dict.fromkeys(problems))}") from error


def read_declaration(path: Path) -> Declaration:
    """The declaration in the TOML file at ``path``; see :func:`parse_declaration`.

    Raises:
        ValueError: where there is no such file, or its text is no declaration.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(
            f"{path} cannot be read ({error}); it must be a TOML file that declares the experiment"
        ) from error
    return parse_declaration(text, str(path))


def _problem(detail: Any) -> str:
    # Behind looks pydantic names which of its two forms it tried; the reader wrote the field alone.
    parts = detail["loc"][:1] if detail["loc"][:1] == ("looks",) else detail["loc"]
    field = ".".join(str(part) for part in parts if part != "[key]")
    if detail["type"] == "missing":
        return f"{field} is missing"
    if detail["type"] == "extra_forbidden":
        return f"{field} is no field of a declaration; check its spelling"
    message = detail["msg"].removeprefix("Value error, ")
    return f"{field}: {message}" if field else message
