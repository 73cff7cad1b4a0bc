"""The settings of a run, as a Dagster resource.

The first asset reads the environment once, validates it and freezes the result into the run's folder;
every later step reads it from there. A variable that changes while a run goes on changes nothing in it.
"""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

import dagster as dg
from pydantic import ValidationError

from holley_assets.core.event_log import run_lineage
from holley_assets.resources.storage.bucket import BucketStore
from holley_assets.resources.storage.interface import FileStore, FolderStore, publish_text
from holley_assets.resources.versions import versions
from holley_assets.settings import Settings, load_settings, read_settings

SETTINGS_FILE = "settings.json"
VERSIONS_FILE = "versions.json"


class SettingsResource(dg.ConfigurableResource["SettingsResource"]):
    """Settings from the environment, and as frozen by a run."""

    def load(self) -> Settings:
        """Settings as the environment has them now.

        Raises:
            SettingsError: one line that names each wrong variable, its value and what is allowed.
        """
        settings = load_settings()
        # Steps may start in another folder than the run's; a relative path is resolved once.
        run = settings.run.model_copy(update={"data_dir": settings.run.data_dir.expanduser().resolve()})
        return settings.model_copy(update={"run": run})

    def data_dir(self) -> Path:
        """Absolute path of ``HOLLEY_DATA_DIR``."""
        return self.load().run.data_dir

    def store(self) -> FileStore:
        """Files under ``HOLLEY_DATA_DIR``, or in the bucket of ``HOLLEY_STORAGE_BUCKET``."""
        return open_store(self.load())

    def freeze(self, settings: Settings, run_id: str) -> str:
        """Write the resolved settings where the run's files are and return where that is.

        The versions of packages and code stand beside them.
        """
        store = open_store(settings)
        key = settings_key(run_id)
        texts = {
            f"runs/{run_id}/{VERSIONS_FILE}": json.dumps(versions(), indent=2),
            # The settings come last: they are what later steps look for.
            key: settings.model_dump_json(indent=2),
        }
        for name, text in texts.items():
            publish_text(store, name, text + "\n")
        return store.location(key)

    def of_run(self, run: dg.DagsterRun) -> Settings:
        """Settings that ``run`` froze, or the run that it repeats; else the environment's, which it freezes.

        The last case is a run that someone starts by hand on a part of the graph, without its first asset.
        """
        found = self.frozen(run)
        if found is None:
            found = self.load()
            self.freeze(found, run.run_id)
        return found

    def frozen(self, run: dg.DagsterRun) -> Settings | None:
        """Settings that ``run`` froze, or the run that it repeats; ``None`` where none are kept that can be read."""
        store = self.store()
        for run_id in run_lineage(run):
            with contextlib.suppress(FileNotFoundError):
                text = store.local_path(settings_key(run_id)).read_text(encoding="utf-8")
                try:
                    return read_settings(text)
                except ValidationError:
                    # Of a version of this project with other settings.
                    return None
        return None


def open_store(settings: Settings) -> FileStore:
    """The bucket in production, where ``HOLLEY_DATA_DIR`` is scratch space; else ``HOLLEY_DATA_DIR`` itself."""
    if settings.run.env == "prod" and settings.storage.bucket:
        return BucketStore(
            settings.storage.bucket,
            settings.storage.folder,
            settings.run.data_dir,
            settings.storage.retry_seconds,
        )
    return FolderStore(settings.run.data_dir)


def settings_key(run_id: str) -> str:
    """Key of the frozen settings of a run."""
    return f"runs/{run_id}/{SETTINGS_FILE}"
