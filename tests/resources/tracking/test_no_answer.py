"""A tracking server that does not answer: who, why and what to do, in the words of MLflow's own errors."""

from __future__ import annotations

import pytest
from mlflow.exceptions import MlflowException

from holley_assets.resources.tracking.mlflow_store import (
    TrackingError,
    TrackingRefusedError,
    as_tracking_errors,
)

# As MLflow writes them, with the addresses of nobody.
ASKED = "API request to {}/api/2.0/mlflow/runs/create failed with exception HTTPConnectionPool(host='h', port=5): Max "
LATE = "no answer in time"
CAUSES = {
    "NewConnectionError(\"HTTPConnection(host='h', port=5): Failed to establish a new connection: "
    '[Errno 111] Connection refused"))': "Connection refused",
    "NameResolutionError(\"HTTPConnection(host='h', port=5): Failed to resolve 'h' "
    '([Errno -2] Name or service not known)"))': "Name or service not known",
    "ConnectTimeoutError(<HTTPConnection(host='h', port=5) at 0x7f>, 'Connection to h timed out.'))": LATE,
    "ReadTimeoutError(\"HTTPConnectionPool(host='h', port=5): Read timed out. (read timeout=10)\"))": LATE,
}


@pytest.mark.parametrize("server", ["http://127.0.0.1:9", "https://mlflow.example.com"])
@pytest.mark.parametrize(("cause", "reason"), CAUSES.items())
def test_one_line_names_the_server_the_reason_and_the_variable(server: str, cause: str, reason: str) -> None:
    with pytest.raises(TrackingError) as raised, as_tracking_errors():
        raise MlflowException(
            ASKED.format(server) + f"retries exceeded with url: /api/2.0 (Caused by {cause}"
        )
    assert str(raised.value) == (
        f"MLflow: {server} does not answer ({reason}): start it, or set HOLLEY_MLFLOW_TRACKING_URI to where it is"
    )
    assert not isinstance(raised.value, TrackingRefusedError), "it may answer later: nothing is set aside"


def test_what_a_server_says_is_passed_on() -> None:
    words = (
        "API request to https://h/api failed with exception HTTPSConnectionPool: (Caused by SSLError(...))"
    )
    with pytest.raises(TrackingError) as raised, as_tracking_errors():
        raise MlflowException(f"{words}\n  hint")
    assert str(raised.value) == f"MLflow: {words} hint"
