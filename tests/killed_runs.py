"""Kills runs at random moments, and says what customers then see and whether the next run ends well without help.

``python tests/killed_runs.py --data DATA_DIR --home DAGSTER_HOME --kills 100 --seed 0 [--job weekly_retrain]``, with
the folders of a weekly run whose model is the champion; both are changed. Without ``--job`` the staging, the checks and
the publication of the serving table run in a process of their own: every other kill comes before a random statement to
the warehouse, the rest at a random moment. With it the whole job runs from the command line, and its process group dies
at a random moment, that is mostly inside training. One line of JSON for each kill:
``{"killed": true, "at": 1.25, "seen": "old", "switch": "as it was", "again": true}``.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable
from pathlib import Path

# Imported before the first fork, so that a child is about its work from its first moment on.
import dagster._core.storage.sqlite_storage  # noqa: F401
import duckdb
import mlflow.store.model_registry.sqlalchemy_store
import mlflow.store.tracking.sqlalchemy_store
import mlflow.tracking  # noqa: F401
import sqlglot  # noqa: F401
import torch  # noqa: F401
from killed_publishing import FUSE, CountedConnection
from light_stores import lighten
from small_run import PROJECT, SMALL_RUN, execute_job

# Imported before the first fork, so that a child is about its work from its first moment on.
import holley_assets.definitions
import holley_assets.resources.tracking.model_registry  # noqa: F401
from holley_assets.resources.versions import versions
from holley_assets.resources.warehouse.duckdb.rows import only_row

ASSETS = ["mixed_recommendations", "serving_table"]
SHARES = ("25", "50")
# The last statements of a run, among which the replacement of the table is.
_LAST = 12
_COUNTED = "statements.txt"


def in_child(work: Callable[[], None]) -> int:
    """Start ``work`` in a process of its own; returns its number."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.setsid()
            with Path(os.devnull).open("w", encoding="utf-8") as nowhere:
                os.dup2(nowhere.fileno(), 1)
                os.dup2(nowhere.fileno(), 2)
            work()
            code = 0
        finally:
            os._exit(code)
    return child


def read_what_children_share(home: Path) -> None:
    """What every run reads anew: versions of packages, migrations of Dagster's stores. A child finds them read."""
    import dagster as dg

    lighten()
    versions()
    with dg.DagsterInstance.from_config(str(home)) as instance:
        instance.get_runs(limit=1)


def ended_well(child: int) -> bool:
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def publish(home: Path, data: Path, share: str, fuse: int = -1) -> None:
    """Stage, check and publish with a share, under the lease; dies before the statement that ``fuse`` counts to."""
    import dagster as dg

    from holley_assets.resources.lease import FolderLease, Holder

    os.environ["HOLLEY_SERVING_SHARE"] = share
    connect = duckdb.connect
    duckdb.connect = lambda *args, **kwargs: CountedConnection(connect(*args, **kwargs))  # type: ignore[assignment]
    FUSE.light(fuse)
    lease, run_id = FolderLease(data), str(uuid.uuid4())
    assert lease.acquire(Holder.here(run_id, "daily_score")) is None
    with dg.DagsterInstance.from_config(str(home)) as instance:
        assert execute_job("daily_score", instance=instance, only=ASSETS, run_id=run_id).success
    lease.release()
    (data / _COUNTED).write_text(str(FUSE.burnt), encoding="utf-8")


def job(name: str, home: Path, share: str) -> None:
    """A whole job from the command line."""
    environment = {**os.environ, "HOLLEY_SERVING_SHARE": share, "DAGSTER_HOME": str(home)}
    command = [
        sys.executable,
        "-m",
        "dagster",
        "job",
        "execute",
        "-m",
        "holley_assets.definitions",
        "-j",
        name,
    ]
    subprocess.run(command, cwd=PROJECT, env=environment, check=True)


def look(data: Path) -> dict[str, str]:
    """Digest of what customers see, and the switch, read by another process."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "seen.json"

        def read() -> None:
            with duckdb.connect(str(data / "warehouse.duckdb"), read_only=True) as connection:
                rows = (
                    "SELECT string_agg(md5(t::VARCHAR), '' ORDER BY email_lower) FROM holley_serving.{} AS t"
                )
                (table,) = only_row(connection.execute(rows.format("email_recommendations")))
                states = "SELECT string_agg(state, ' ' ORDER BY decided_at) FROM holley_serving.{}"
                (switch,) = only_row(connection.execute(states.format("email_recommendations_switch")))
            path.write_text(json.dumps({"table": str(hash_of(table)), "switch": switch}))

        assert ended_well(in_child(read)), "the warehouse cannot be read"
        found: dict[str, str] = json.loads(path.read_text())
        return found


def hash_of(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--data", type=Path, required=True)
    options.add_argument("--home", type=Path, required=True)
    options.add_argument("--kills", type=int, required=True)
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--job")
    chosen = options.parse_args()
    draw = random.Random(chosen.seed)
    os.environ |= {**SMALL_RUN, "HOLLEY_DATA_DIR": str(chosen.data), "HOLLEY_SERVING_MODE": "rollout"}

    if not chosen.job:
        read_what_children_share(chosen.home)

    def start(share: str, fuse: int = -1) -> int:
        if chosen.job:
            return in_child(lambda: job(chosen.job, chosen.home, share))
        return in_child(lambda: publish(chosen.home, chosen.data, share, fuse))

    tables: dict[str, dict[str, str]] = {}
    seconds = 0.0
    for share in SHARES:
        began = time.monotonic()
        assert ended_well(start(share)), "it does not end well undisturbed"
        seconds = time.monotonic() - began
        tables[share] = look(chosen.data)
    assert tables["25"]["table"] != tables["50"]["table"]
    switch = tables["50"]["switch"]
    present = "50"
    for number in range(chosen.kills):
        share = SHARES[SHARES.index(present) - 1]
        fuse = -1
        if number % 2 and not chosen.job:
            statements = int((chosen.data / _COUNTED).read_text(encoding="utf-8"))
            fuse = draw.randrange(statements - _LAST, statements)
        at = draw.uniform(0, seconds)
        child = start(share, fuse)
        if fuse < 0:
            time.sleep(at)
            os.killpg(child, signal.SIGKILL)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        seen = look(chosen.data)
        names = {tables[present]["table"]: "old", tables[share]["table"]: "new"}
        line = {
            "killed": status == -signal.SIGKILL,
            "at": round(at, 2) if fuse < 0 else f"statement {fuse}",
            "seen": names.get(seen["table"], "a mixture"),
            "switch": "as it was" if seen["switch"] == switch else seen["switch"],
            "again": ended_well(start(share)) and look(chosen.data)["table"] == tables[share]["table"],
        }
        print(json.dumps(line), flush=True)
        present = share


if __name__ == "__main__":
    main()
