"""An MLflow server with a SQLite backend: a real server on loopback."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

START_SECONDS = 120.0
# Without it a server starts eight processes more for jobs that nobody sends.
QUIET = {
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
}


@dataclass
class MlflowServer:
    """A server that can be stopped, killed and started again with what it had.

    ``HOLLEY_MLFLOW_TRACKING_URI=server.url`` points a run at it.
    """

    folder: Path
    port: int
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Address of the server, the same after every start."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start and wait until it answers; one that runs goes on."""
        if self.process is not None:
            return
        log = self.folder / "server.log"
        command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(self.port)]
        command += ["--workers", "1", "--backend-store-uri", f"sqlite:///{self.folder / 'mlflow.db'}"]
        command += ["--artifacts-destination", (self.folder / "artifacts").as_uri()]
        environment = {name: value for name, value in os.environ.items() if not name.startswith("MLFLOW_")}
        with log.open("ab") as output:
            self.process = subprocess.Popen(
                command,
                cwd=self.folder,
                env={**environment, **QUIET},
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        deadline = time.monotonic() + START_SECONDS
        while not self._answers():
            assert self.process.poll() is None, log.read_text()[-2000:]
            assert time.monotonic() < deadline, log.read_text()[-2000:]
            time.sleep(0.1)

    def kill(self) -> None:
        """End it and its workers at once, in the middle of whatever they do."""
        if self.process is not None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self.process = None

    def _answers(self) -> bool:
        try:
            urllib.request.urlopen(f"{self.url}/health", timeout=5).close()
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            return False
        return True


@contextmanager
def running_mlflow(folder: Path, empty_database: bytes) -> Iterator[MlflowServer]:
    """Start a server on a free port with its files under ``folder``, and kill it at the end."""
    (folder / "mlflow.db").write_bytes(empty_database)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    server = MlflowServer(folder, port)
    try:
        server.start()
        yield server
    finally:
        server.kill()
