"""What all sections of the settings share."""

from __future__ import annotations

import re
from typing import Annotated, ClassVar
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field
from pydantic_settings import BaseSettings, SettingsConfigDict

PREFIX = "HOLLEY_"

# BigQuery: a project is 6–30 lower-case letters, digits and dashes, optionally below a domain; a dataset
# or table is letters, digits and underscores. Identifiers cannot be query parameters, so that these
# patterns are what stands between a setting and the text of a query.
PROJECT_PATTERN = re.compile(r"^(?:[a-z0-9.-]+:)?[a-z][a-z0-9-]{4,28}[a-z0-9]$")
IDENTIFIER_PATTERN = re.compile(r"^[A-Za-z_][A-Za-z0-9_]{0,1023}$")
# Of the delivered table and of everything else that nobody serves from.
WORKING_DATASET = "temp_holley_gnn"

Share = Annotated[float, Field(ge=0.0, le=1.0)]
Positive = Annotated[float, Field(gt=0.0)]
Count = Annotated[int, Field(ge=1)]


def _project(value: str) -> str:
    if not PROJECT_PATTERN.match(value):
        raise ValueError("a project id: 6 to 30 lower-case letters, digits and dashes")
    return value


Project = Annotated[str, AfterValidator(_project)]


class SettingsError(ValueError):
    """A setting has a value that is not allowed. The message is one line a person can act on."""


class Section(BaseSettings):
    """Settings that belong together: one prefix, one set of environment variables."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", env_ignore_empty=True)

    required_in_production: ClassVar[tuple[str, ...]] = ()
    """Fields without which ``HOLLEY_ENV=prod`` is refused; locally they may be unset."""

    @classmethod
    def secrets(cls) -> frozenset[str]:
        """Fields declared with ``exclude=True``.

        Their values stand in no file, log or record. A step that needs one reads it from its own environment,
        also where everything else comes from the settings that its run froze.
        """
        return frozenset(name for name, field in cls.model_fields.items() if field.exclude)


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
