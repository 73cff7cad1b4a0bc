"""What all sections of the settings share."""

from __future__ import annotations

import datetime
import re
import types
import typing
import unicodedata
from pathlib import Path
from typing import Annotated, Any, ClassVar
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

PREFIX = "HOLLEY_"

# BigQuery: a project is 6–30 lower-case letters, digits and dashes, optionally below a domain; a dataset
# or table is letters, digits and underscores. Identifiers cannot be query parameters, so that these
# patterns are what stands between a setting and the text of a query.
_PROJECT = re.compile(r"(?:[a-z0-9.-]{1,64}:)?[a-z][a-z0-9-]{4,28}[a-z0-9]")
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,1023}")
_ISO_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
# Of the delivered table and of everything else that nobody serves from.
WORKING_DATASET = "temp_holley_gnn"
# In the dataset of the serving table: what experiments were declared to be, and whom they showed which parts.
LOG_TABLES = ("experiment_declarations", "experiment_exposures")

# Bounds are wide: they keep out what cannot be meant, such as a window of 800,000 days, not what is unusual.
Share = Annotated[float, Field(ge=0.0, le=1.0)]
Positive = Annotated[float, Field(gt=0.0, le=1e6)]
Count = Annotated[int, Field(ge=1, le=10_000_000)]
Days = Annotated[int, Field(ge=1, le=3650)]
Seed = Annotated[int, Field(ge=0, le=2**32 - 1)]
Processors = Annotated[int, Field(ge=1, le=1024)]
Gibibytes = Annotated[int, Field(ge=1, le=16_384)]
# A name of this length is a mistake wherever it stands.
Name = Annotated[str, Field(min_length=1, max_length=200)]
Day = Annotated[datetime.date, Field(ge=datetime.date(2000, 1, 1), le=datetime.date(2099, 12, 31))]


def is_identifier(text: str) -> bool:
    """Whether ``text`` may name a dataset, table or column in the text of a query."""
    return _IDENTIFIER.fullmatch(text) is not None


def is_project(text: str) -> bool:
    """Whether ``text`` may name a project in the text of a query."""
    return _PROJECT.fullmatch(text) is not None


def is_dataset(text: str) -> bool:
    """Whether ``text`` is ``dataset`` or ``project.dataset``."""
    *project, dataset = text.rsplit(".", 1)
    return is_identifier(dataset) and all(map(is_project, project))


def _project(value: str) -> str:
    if not is_project(value):
        raise ValueError("a project id: 6 to 30 lower-case letters, digits and dashes")
    return value


Project = Annotated[str, AfterValidator(_project)]


def _table(value: str) -> str:
    dataset, _, table = value.rpartition(".")
    if not is_dataset(dataset) or not is_identifier(table):
        raise ValueError("dataset.table or project.dataset.table")
    return value


Table = Annotated[str, AfterValidator(_table)]


class SettingsError(ValueError):
    """A setting has a value that is not allowed. The message is one line a person can act on."""


class Section(BaseSettings):
    """Settings that belong together: one prefix, one set of environment variables."""

    model_config = SettingsConfigDict(
        frozen=True,
        extra="ignore",
        env_ignore_empty=True,
        allow_inf_nan=False,
        # One setting may be bounded by another: a default is as wrong beside it as a value that somebody set.
        validate_default=True,
    )

    required_in_production: ClassVar[tuple[str, ...]] = ()
    """Fields without which ``HOLLEY_ENV=prod`` is refused; locally they may be unset."""

    @classmethod
    def secrets(cls) -> frozenset[str]:
        """Fields declared with ``exclude=True``.

        Their values stand in no file, log or record. A step that needs one reads it from its own environment,
        also where everything else comes from the settings that its run froze.
        """
        return frozenset(name for name, field in cls.model_fields.items() if field.exclude)

    @field_validator("*", mode="before")
    @classmethod
    def _is_readable(cls, value: Any, info: ValidationInfo) -> Any:
        """Refuses text that no log, file or query can hold, and dates that are read as seconds since 1970."""
        if not isinstance(value, str) or info.field_name is None:
            return value
        kinds = kinds_of(cls, info.field_name)
        if datetime.date in kinds:
            return parse_day(value)
        if any(unicodedata.category(character) == "Cs" for character in value):
            raise ValueError("text in UTF-8")
        # A path may hold any character, and white space of any kind parts the addresses of a secret.
        if not kinds & {Path, SecretStr} and any(map(_is_control, value)):
            raise ValueError("text without control characters or line breaks")
        return value


def kinds_of(section: type[Section], field: str) -> set[Any]:
    """Types that a value of ``field`` may have, ``None`` left out."""
    annotation = section.model_fields[field].annotation
    is_union = typing.get_origin(annotation) in (types.UnionType, typing.Union)
    parts = typing.get_args(annotation) if is_union else (annotation,)
    bare = (part.__origin__ if typing.get_origin(part) is Annotated else part for part in parts)
    return set(bare) - {type(None)}


def constraints_of(section: type[Section], field: str) -> dict[str, Any]:
    """Bounds of ``field`` by pydantic's names: ``ge``, ``gt``, ``le``, ``lt``, ``min_length``, ``max_length``."""
    information = section.model_fields[field]
    parts = [information, *(part for part in typing.get_args(information.annotation))]
    found = [item for part in parts for item in getattr(part, "metadata", getattr(part, "__metadata__", ()))]
    found += [inner for item in found for inner in getattr(item, "metadata", ())]
    names = ("ge", "gt", "le", "lt", "min_length", "max_length")
    return {name: getattr(item, name) for item in found for name in names if hasattr(item, name)}


def parse_day(text: str) -> datetime.date:
    """The day that an ISO date names.

    Raises:
        ValueError: it is no such date; the message says what is allowed.
    """
    try:
        if _ISO_DATE.fullmatch(text):
            return datetime.date.fromisoformat(text)
    except ValueError:
        pass
    raise ValueError("an ISO date such as 2026-02-01")


def _is_control(character: str) -> bool:
    # Cc: control characters; Cf: invisible ones, among them those that turn the direction of writing.
    return unicodedata.category(character) in {"Cc", "Cf", "Zl", "Zp"}


def names_a_user(address: str) -> bool:
    """Whether an address names a user or holds a password.

    Addresses are logged and frozen with the other settings, and a token may stand in the place of a user.
    """
    parts = urlsplit(address)
    # Not by the parts alone: what follows a slash in a password is no part of it to them.
    return parts.password is not None or (parts.scheme in ("http", "https") and "@" in address)


def variable_name(section: type[Section], field: str) -> str:
    """Name of the environment variable behind ``field`` of ``section``."""
    return f"{section.model_config.get('env_prefix', '')}{field}".upper()
