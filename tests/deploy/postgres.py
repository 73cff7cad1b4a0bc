"""A PostgreSQL server of Debian's package, for as long as the tests run."""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class PostgresServer:
    """Where a server listens, as holley_assets/deploy/dagster.yaml is told."""

    port: int
    password: str

    @property
    def environment(self) -> dict[str, str]:
        """The variables that production's instance settings read."""
        return {
            "DAGSTER_PG_HOST": "127.0.0.1",
            "DAGSTER_PG_PORT": str(self.port),
            "DAGSTER_PG_DB": "postgres",
            "DAGSTER_PG_USERNAME": "postgres",
            "DAGSTER_PG_PASSWORD": self.password,
        }


def postgres_programs() -> Path | None:
    """Folder of ``initdb`` and ``pg_ctl``; ``None`` where PostgreSQL is not installed."""
    found = shutil.which("initdb")
    if found:
        return Path(found).parent
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda folder: int(folder.parent.name))
    return folders[-1] if folders else None


@contextmanager
def running_postgres(programs: Path) -> Iterator[PostgresServer]:
    """A new, empty server on a free port of loopback, with a password; stopped and removed at the end."""
    # Not below pytest's folder, which is its user's alone: PostgreSQL refuses to run as root.
    folder = Path(tempfile.mkdtemp(prefix="holley-postgres-"))
    server = PostgresServer(_free_port(), secrets.token_urlsafe(12))
    password_file = folder / "password"
    password_file.write_text(server.password)
    if os.geteuid() == 0:
        for path in (folder, password_file):
            shutil.chown(path, "postgres", "postgres")
    data = folder / "data"
    try:
        _run(
            [
                str(programs / "initdb"),
                "--username=postgres",
                # Dagster opens a connection for each event, and SCRAM takes each of them 3 ms to compute.
                "--auth=md5",
                f"--pwfile={password_file}",
                "--no-sync",
                f"--pgdata={data}",
            ]
        )
        options = (
            f"-p {server.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={folder} -c fsync=off"
        )
        control = [str(programs / "pg_ctl"), f"--pgdata={data}", f"--log={folder / 'log'}", "--wait"]
        _run([*control, f"--options={options}", "start"])
        try:
            yield server
        finally:
            _run([*control, "--mode=immediate", "stop"])
    finally:
        shutil.rmtree(folder)


def _run(command: Sequence[str]) -> None:
    # Root hands over to Debian's user of the server.
    user = ["runuser", "--user", "postgres", "--"] if os.geteuid() == 0 else []
    finished = subprocess.run(
        [*user, *command],
        cwd="/",
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    if finished.returncode:
        raise RuntimeError(f"{Path(command[0]).name} failed: {finished.stderr}")


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
