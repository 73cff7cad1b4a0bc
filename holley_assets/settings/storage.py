"""Where files lie in production."""

from __future__ import annotations

import re
from typing import Annotated, ClassVar

from pydantic import Field, field_validator
from pydantic_settings import SettingsConfigDict

from holley_assets.settings.section import PREFIX, Section

# https://cloud.google.com/storage/docs/buckets#naming
_BUCKET_PATTERN = re.compile(r"[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]")
_FOLDER_PATTERN = re.compile(r"[A-Za-z0-9_-]+(/[A-Za-z0-9_-]+)*")


class StorageSettings(Section):
    """Where files lie in production."""

    model_config = SettingsConfigDict(env_prefix=PREFIX + "STORAGE_")
    required_in_production: ClassVar[tuple[str, ...]] = ("bucket",)

    bucket: str | None = Field(
        None, description="prod: Cloud Storage bucket of assets, checkpoints, graphs and reports"
    )
    folder: str = Field(
        "gnn", max_length=200, description="prod: folder in the bucket that everything lies in"
    )
    retry_seconds: Annotated[int, Field(ge=1, le=86_400)] = Field(
        120, description="prod: how long a request to Cloud Storage that may be sent again is sent again"
    )

    @field_validator("bucket")
    @classmethod
    def _is_a_bucket(cls, value: str | None) -> str | None:
        if value is not None and not _BUCKET_PATTERN.fullmatch(value):
            raise ValueError("the name of a bucket, without gs://")
        return value

    @field_validator("folder")
    @classmethod
    def _is_a_folder(cls, value: str) -> str:
        if not _FOLDER_PATTERN.fullmatch(value):
            raise ValueError("folder names of letters, digits, - and _, with / between them")
        return value
