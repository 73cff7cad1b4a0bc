"""The files of runs under a data folder, as the commands read them. No import of Dagster or PyTorch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import ValidationError

from holley_assets.console.errors import ConsoleError
from holley_assets.settings import Settings, SettingsError, load_settings, read_settings

_FIRST = "run weekly_retrain first, or set HOLLEY_DATA_DIR to the folder that it wrote to"


class RunFiles:
    """What lies under ``HOLLEY_DATA_DIR``.

    Args:
        folder: read instead, whatever the settings say.

    Raises:
        ConsoleError: a setting is wrong, or files are asked for of production, where they lie in a bucket.
    """

    def __init__(self, folder: Path | None = None) -> None:
        if folder is not None:
            self.folder = folder
            return
        try:
            settings = load_settings()
        except SettingsError as error:
            raise ConsoleError(str(error)) from None
        if settings.run.env == "prod":
            raise ConsoleError(
                "This command reads a data folder: copy assets/ and runs/ from the bucket into one, "
                "set HOLLEY_DATA_DIR to it and HOLLEY_ENV to local"
            )
        self.folder = settings.run.data_dir.expanduser().resolve()

    def runs(self) -> list[str]:
        """Runs that left a report, newest first."""
        reports = sorted(
            (self.folder / "runs").glob("*/eval_report.json"), key=lambda path: -path.stat().st_mtime
        )
        return [path.parent.name for path in reports]

    def find_run(self, name: str) -> str:
        """The run whose id is ``name`` or begins with it; ``latest`` is the newest.

        Raises:
            ConsoleError: there is none, or more than one.
        """
        known = self.runs()
        if not known:
            raise ConsoleError(f"No run has left a report under {self.folder}: {_FIRST}")
        found = known[:1] if name == "latest" else [run for run in known if run.startswith(name)]
        if len(found) == 1:
            return found[0]
        problem = "is not the id of a run" if not found else f"begins the ids of {len(found)} runs"
        raise ConsoleError(f"{name!r} {problem}: give one of {', '.join(known[:5])}, or latest")

    def report(self, run_id: str) -> dict[str, Any]:
        """``eval_report.json`` of a run."""
        content: dict[str, Any] = json.loads(self.path(run_id, "eval_report.json").read_text("utf-8"))
        return content

    def path(self, run_id: str, name: str) -> Path:
        """File ``name`` of a run.

        Raises:
            ConsoleError: it is gone.
        """
        path = self.folder / "runs" / run_id / name
        if not path.exists():
            raise ConsoleError(f"Run {run_id} has no {name} under {self.folder / 'runs'}: name another run")
        return path

    def settings(self, run_id: str) -> Settings:
        """Settings that a run froze."""
        try:
            return read_settings(self.path(run_id, "settings.json").read_text("utf-8"))
        except ValidationError:
            raise ConsoleError(
                f"The settings of run {run_id} are of another version of this project: run weekly_retrain again"
            ) from None

    def table(
        self, asset: str, columns: list[str] | None = None, only: dict[str, object] | None = None
    ) -> pa.Table:
        """A tabular asset, the rows whose columns equal ``only``.

        Raises:
            ConsoleError: no run has written it.
        """
        path = self.folder / "assets" / f"{asset}.parquet"
        if not path.exists():
            raise ConsoleError(f"There is no {path}: {_FIRST}")
        filters = [(name, "==", value) for name, value in only.items()] if only else None
        return pq.read_table(path, columns=columns, filters=filters, partitioning=None)
