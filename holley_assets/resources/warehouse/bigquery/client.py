"""BigQuery's client: opened for a run, patient with quotas, and clear about what it was refused."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator

import google.api_core.exceptions as google_errors
import google.auth.exceptions as auth_errors
import requests
from dagster_gcp import BigQueryResource
from google.api_core.client_options import ClientOptions
from google.api_core.retry import Retry
from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery
from google.cloud.bigquery_storage import BigQueryReadClient

from holley_assets.resources.warehouse.interface import WarehouseError
from holley_assets.settings import BigQuerySettings
from holley_assets.texts import for_log, without_values

_REQUEST_LINE = re.compile(r"^(?:\d{3} )?(?:GET|POST|PUT|PATCH|DELETE) \S+: ")
_MESSAGE_LENGTH = 300


def open_client(settings: BigQuerySettings) -> bigquery.Client:
    """A client with Application Default Credentials; an emulator is asked without any.

    Raises:
        WarehouseError: there are no credentials.
    """
    if settings.emulator is not None:
        return bigquery.Client(
            project=settings.project,
            credentials=AnonymousCredentials(),
            location=settings.location,
            client_options=ClientOptions(api_endpoint=settings.emulator),
        )
    resource = BigQueryResource(project=settings.project, location=settings.location)
    with _credentials_at_hand(), resource.get_client() as client:
        # The resource cleans up after credentials that it was given; it was given none, and closes no client.
        return client


def open_read_client(settings: BigQuerySettings) -> BigQueryReadClient | None:
    """A client of the Storage API, which streams tables; ``None`` where there is an emulator.

    An emulator serves it, if at all, on another port and without TLS. bqemulator 1.4.0 cannot read anonymous
    results through it, which this project never does: it reads tables that it named.

    Raises:
        WarehouseError: there are no credentials.
    """
    if settings.emulator is not None:
        return None
    with _credentials_at_hand():
        return BigQueryReadClient()


@contextlib.contextmanager
def _credentials_at_hand() -> Iterator[None]:
    try:
        yield
    except auth_errors.DefaultCredentialsError as error:
        raise WarehouseError(
            "BigQuery: there are no Application Default Credentials; run "
            "`gcloud auth application-default login`, or give the pod a service account"
        ) from error


def patience(seconds: float) -> Retry:
    """How a request is repeated: with growing, random waits, on 429, on rate limits and on server errors."""
    return bigquery.DEFAULT_RETRY.with_timeout(seconds)


@contextlib.contextmanager
def readable_errors(doing: str) -> Iterator[None]:
    """Turn what BigQuery answers into one line that says what was refused and what to do.

    Args:
        doing: what is done, such as ``query fitment`` or ``reading project.dataset.table``.

    Raises:
        WarehouseError: whatever BigQuery or the network refused.
    """
    try:
        yield
    except google_errors.RetryError as error:
        raise WarehouseError(
            f"BigQuery: {doing} was refused for as long as HOLLEY_BIGQUERY_RETRY_SECONDS allows; "
            f"the last answer: {without_values(_message(error.cause or error))}"
        ) from None
    except google_errors.Forbidden as error:
        advice = (
            "wait, or ask for more quota"
            if any("quota" in str(detail.get("reason")).lower() for detail in error.errors)
            else "grant the role that holley_assets/deploy/README.md lists for it"
        )
        raise WarehouseError(f"BigQuery: {doing} is not permitted ({_message(error)}); {advice}") from error
    except google_errors.NotFound as error:
        raise WarehouseError(
            f"BigQuery: {doing} failed, something does not exist: {_message(error)}"
        ) from error
    except google_errors.GoogleAPICallError as error:
        # Of a query that met a value it cannot use, BigQuery quotes the value; so would the trace of the error.
        raise WarehouseError(f"BigQuery: {doing} failed: {without_values(_message(error))}") from None
    except auth_errors.GoogleAuthError as error:
        raise WarehouseError(f"BigQuery: {doing} failed: {_message(error)}") from error
    except requests.RequestException as error:
        raise WarehouseError(f"BigQuery: {doing} failed, no answer: {_message(error)}") from error


def _message(error: BaseException) -> str:
    """First line of an error, without the address that was asked."""
    text = str(getattr(error, "message", None) or error).strip()
    line = _REQUEST_LINE.sub("", text.splitlines()[0] if text else type(error).__name__)
    return for_log(line, _MESSAGE_LENGTH)
