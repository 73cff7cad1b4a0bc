"""The one door to MLflow: a client with bounded waiting, and errors of one line.

MLflow is imported when it is first needed: the import takes seconds.
"""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

from holley_assets.settings import Settings

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

DATABASE_FILE = "mlflow.db"


class TrackingError(RuntimeError):
    """The tracking store cannot be reached or refuses what it is given. The message is one line."""


@contextlib.contextmanager
def as_tracking_errors() -> Iterator[None]:
    """Turn what MLflow raises where its store fails into a :class:`TrackingError`."""
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except (MlflowException, SQLAlchemyError, OSError) as error:
        raise TrackingError(f"MLflow: {' '.join(str(error).split())}") from error


def store_uri(settings: Settings) -> str:
    """The settings' tracking server, or a SQLite store under ``HOLLEY_DATA_DIR``."""
    if settings.tracking.tracking_uri:
        return settings.tracking.tracking_uri
    settings.run.data_dir.mkdir(parents=True, exist_ok=True)
    return f"sqlite:///{settings.run.data_dir / DATABASE_FILE}"


def open_client(uri: str) -> MlflowClient:
    """Client of a tracking server or store, for runs and for the model registry."""
    # MLflow reports usage to its makers unless told not to, before it is imported.
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("DO_NOT_TRACK", "true")
    from mlflow.tracking import MlflowClient

    # A line for each schema migration of a new SQLite store helps nobody.
    for name in ("alembic", "mlflow.store.db.utils"):
        logging.getLogger(name).setLevel(logging.WARNING)
    return MlflowClient(tracking_uri=uri, registry_uri=uri)
