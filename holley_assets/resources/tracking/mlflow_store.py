"""The one door to MLflow: a client with bounded waiting, and errors of one line.

MLflow is imported when it is first needed: the import takes seconds.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from holley_assets.settings import Settings, TrackingSettings

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

DATABASE_FILE = "mlflow.db"
ARTIFACT_FOLDER = "mlflow_artifacts"
# What MLflow answers to a request that will never be right, however often it is sent.
_REFUSALS = frozenset({"INVALID_PARAMETER_VALUE", "RESOURCE_DOES_NOT_EXIST", "BAD_REQUEST"})

_NO_ANSWER = re.compile(
    r"API request to (?P<server>\w+://[^/\s]+).*"
    r"Caused by (NewConnection|NameResolution|ConnectTimeout|ReadTimeout)Error",
    re.DOTALL,
)
# The system's reason; where time ran out it has none.
_REASON = re.compile(r"\[Errno -?\d+\] (?P<words>[\w ]+)")


class TrackingError(RuntimeError):
    """The tracking store cannot be reached or refuses what it is given. The message is one line."""


class TrackingRefusedError(TrackingError):
    """The tracking store will never take what it was given, so that trying again is no use."""


@contextlib.contextmanager
def as_tracking_errors() -> Iterator[None]:
    """Turn what MLflow raises where its store fails into a :class:`TrackingError`."""
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except (MlflowException, SQLAlchemyError, OSError) as error:
        refused = isinstance(error, MlflowException) and error.error_code in _REFUSALS
        kind = TrackingRefusedError if refused else TrackingError
        raise kind(_in_one_line(str(error))) from error


def _in_one_line(words: str) -> str:
    """What MLflow says; of a server that does not answer, who does not, why, and what to do."""
    silent = _NO_ANSWER.search(words)
    if silent is None:
        return f"MLflow: {' '.join(words.split())}"
    reason = _REASON.search(words)
    return (
        f"MLflow: {silent['server']} does not answer ({reason['words'] if reason else 'no answer in time'}): "
        "start it, or set HOLLEY_MLFLOW_TRACKING_URI to where it is"
    )


def store_uri(settings: Settings) -> str:
    """The settings' tracking server, or a SQLite store under ``HOLLEY_DATA_DIR``."""
    if settings.tracking.tracking_uri:
        return settings.tracking.tracking_uri
    settings.run.data_dir.mkdir(parents=True, exist_ok=True)
    return sqlite_uri(settings.run.data_dir / DATABASE_FILE)


def sqlite_uri(path: Path) -> str:
    """Address of a SQLite file, whatever its folders are called.

    SQLAlchemy decodes what is written as ``%20`` from 2.1 on and takes it as it stands before. Where a folder is
    called so, MLflow, which does not, leaves an empty folder of the encoded name beside it.

    Raises:
        TrackingError: no address names the file.
    """
    from sqlalchemy import make_url

    for written in (str(path), str(path).replace("%", "%25")):
        uri = f"sqlite:///{written}"
        if make_url(uri).database == str(path):
            return uri
    raise TrackingError(f"MLflow: no address names {str(path)!r}; choose another HOLLEY_DATA_DIR")


def open_client(uri: str, waiting: TrackingSettings) -> MlflowClient:
    """Client of a tracking server or store, for runs and for the model registry.

    Args:
        waiting: how long a request may take, and how often it is sent again.
    """
    # MLflow reports usage to its makers unless told not to, before it is imported.
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("DO_NOT_TRACK", "true")
    # MLflow takes these from the environment alone. A server could ask for any wait by a header.
    os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] = str(waiting.timeout_seconds)
    os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] = str(waiting.retries)
    os.environ["MLFLOW_HTTP_RESPECT_RETRY_AFTER_HEADER"] = "false"
    from mlflow.tracking import MlflowClient

    # A line for each schema migration of a new SQLite store helps nobody.
    for name in ("alembic", "mlflow.store.db.utils"):
        logging.getLogger(name).setLevel(logging.WARNING)
    return MlflowClient(tracking_uri=uri, registry_uri=uri)
