"""`dagster-daemon run` as a process of its own, with all that it starts, and how it dies."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import dagster as dg
import yaml
from small_run import PROJECT
from webhook import Webhook

from holley_assets.automation.local_run_launcher import LocalRunLauncher

# Seconds. The machine of a test may be busy with others.
PATIENCE = 180.0
# Whoever kills the tests leaves no daemon behind; a code server that hears of none ends by itself.
_DYING_WITH_PARENT = ["setpriv", "--pdeathsig", "KILL", "--"] if shutil.which("setpriv") else []


class DaemonProcess:
    """A daemon on SQLite with the project's own instance settings, and the folder through which jobs are told."""

    def __init__(self, folder: Path, webhook: Webhook) -> None:
        self.folder = folder
        self.webhook = webhook
        self._processes: list[subprocess.Popen[bytes]] = []
        home = folder / "home"
        home.mkdir()
        settings = yaml.safe_load((PROJECT / "dagster.yaml").read_text())
        assert settings["run_launcher"]["class"] == LocalRunLauncher.__name__
        # Only the waits are shorter.
        settings["run_launcher"]["config"] = {"patience_seconds": 1}
        settings["run_monitoring"]["poll_interval_seconds"] = 1
        settings["run_coordinator"] = {
            "module": "dagster.core.run_coordinator",
            "class": "QueuedRunCoordinator",
            "config": {"dequeue_interval_seconds": 1},
        }
        (home / "dagster.yaml").write_text(yaml.safe_dump(settings))
        environment = {name: value for name, value in os.environ.items() if not name.startswith("HOLLEY_")}
        self._environment = {
            **environment,
            "DAGSTER_HOME": str(home),
            "STAND_IN_FOLDER": str(folder),
            "HOLLEY_ALERT_URLS": webhook.url,
            "PYTHONPATH": os.pathsep.join([str(PROJECT), str(PROJECT / "tests")]),
        }
        self.instance = dg.DagsterInstance.from_config(str(home))

    def start(self) -> None:
        """Begin to work, if it does not already."""
        if self._processes and self._processes[-1].poll() is None:
            return
        with (self.folder / "daemon.log").open("ab") as log:
            process = subprocess.Popen(
                [
                    *_DYING_WITH_PARENT,
                    *[sys.executable, "-m", "dagster._daemon", "run", "-m", "automation.process_stand_ins"],
                ],
                cwd=self.folder,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                # A group of its own, which can be killed as a whole.
                start_new_session=True,
            )
        self._processes.append(process)

    def kill(self) -> None:
        """Kill the daemon alone: its code server, and the run that works below it, go on."""
        self._processes[-1].kill()
        self._processes[-1].wait()

    def kill_all(self) -> None:
        """Kill the daemon, its code servers and their runs at once, as a machine that is switched off does."""
        for process in self._processes:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def wait_until(self, condition: Callable[[], object], what: str) -> None:
        """Ask again until ``condition`` holds."""
        deadline = time.monotonic() + PATIENCE
        while not condition():
            log = self.folder / "daemon.log"
            assert time.monotonic() < deadline, f"{what} did not come:\n{log.read_text()[-4000:]}"
            time.sleep(0.1)


@contextlib.contextmanager
def daemon_process(folder: Path, webhook: Webhook) -> Iterator[DaemonProcess]:
    """A daemon that was not started yet; whatever is left of it ends."""
    daemon = DaemonProcess(folder, webhook)
    try:
        yield daemon
    finally:
        daemon.kill_all()
        daemon.instance.dispose()
