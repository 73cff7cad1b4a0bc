"""The tables, the graph and the weights of the newest run, from wherever the run put them."""

from __future__ import annotations

import contextlib
import functools
from typing import TYPE_CHECKING

import dagster as dg
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import ValidationError

from holley_assets.core.metadata_keys import MODEL_VERSION
from holley_assets.core.time_windows import TimeWindows
from holley_assets.pipeline.options import ranking_options
from holley_assets.ranking.ranker import RankingOptions
from holley_assets.resources.io_manager import asset_file
from holley_assets.resources.settings_resource import SettingsResource, open_store, settings_key
from holley_assets.resources.storage.artifacts import ArtifactStore, Reference
from holley_assets.settings import Settings, SettingsError, read_settings

if TYPE_CHECKING:
    from dagstermill import DagstermillExecutionContext
    from torch_geometric.data import HeteroData

    from holley_assets.gnn.checkpoint import Checkpoint

_WEIGHTS = "model.pt"


class ExploredTables:
    """Tabular assets by name, and what belongs to them.

    In production they are read from the bucket, else from ``HOLLEY_DATA_DIR``. Nothing is written.

    Args:
        settings: where the files are.
    """

    def __init__(self, settings: Settings) -> None:
        self._store = open_store(settings)

    def table(
        self, asset: str, columns: list[str] | None = None, only: dict[str, object] | None = None
    ) -> pa.Table:
        """A tabular asset, the rows whose columns equal ``only``.

        Raises:
            FileNotFoundError: no run has written it.
        """
        path = self._store.local_path(asset_file(dg.AssetKey(asset)))
        filters = [(name, "==", value) for name, value in only.items()] if only else None
        return pq.read_table(path, columns=columns, filters=filters, partitioning=None)

    def frame(self, asset: str, columns: list[str] | None = None) -> pd.DataFrame:
        """A tabular asset for pandas; days are ``datetime64``.

        Raises:
            FileNotFoundError: no run has written it.
        """
        found: pd.DataFrame = self.table(asset, columns).to_pandas(date_as_object=False)
        return found

    @functools.cached_property
    def windows(self) -> TimeWindows:
        """The day of the tables and what follows from it."""
        return TimeWindows.from_table(self.table("time_windows"))

    @functools.cached_property
    def model_version(self) -> str:
        """The model that made the vectors."""
        return str(self.table("product_embeddings", [MODEL_VERSION])[MODEL_VERSION][0])

    @functools.cached_property
    def settings(self) -> Settings:
        """Settings of the run that made the vectors.

        Raises:
            SettingsError: they are of another version of this project; one line.
        """
        run_id = str(self.table("serving_graph")["run_id"][0])
        text = self._store.local_path(settings_key(run_id)).read_text(encoding="utf-8")
        try:
            return read_settings(text)
        except ValidationError:
            raise SettingsError(
                f"the settings of run {run_id} are of another version of this project: run weekly_retrain again"
            ) from None

    @property
    def ranking(self) -> RankingOptions:
        """Numbers in the rules, as that run had them."""
        return ranking_options(self.settings, self.settings.rules.maximum_parts)

    @functools.cached_property
    def graph(self) -> HeteroData:
        """The graph as of the day of the tables."""
        from holley_assets.gnn.graph import load_graph

        reference = Reference.from_table(self.table("serving_graph"))
        return load_graph(ArtifactStore(self._store, reference.run_id).locate(reference))

    @functools.cached_property
    def checkpoint(self) -> Checkpoint:
        """The weights that made the vectors: of the newest training, or of an earlier one.

        Raises:
            FileNotFoundError: they are gone.
        """
        from holley_assets.gnn.checkpoint import Checkpoint

        keys = self._store.keys(self._store.artifact_folder(_WEIGHTS))
        others = [key for key in keys if key.endswith(f"/{_WEIGHTS}")]
        newest = self.table("trained_checkpoint", ["path"])["path"].to_pylist()
        for key in dict.fromkeys([*newest, *others]):
            # Those of an old run may have been removed.
            with contextlib.suppress(FileNotFoundError):
                checkpoint = Checkpoint.load(self._store.local_path(key))
                if self.model_version.endswith(f"-{checkpoint.fingerprint[:12]}"):
                    return checkpoint
        raise FileNotFoundError(
            f"the weights of model {self.model_version} are gone: run weekly_retrain again"
        )


def open_tables(context: DagstermillExecutionContext | None = None) -> ExploredTables:
    """The tables of the run's settings, or without a context those that the ``HOLLEY_`` variables name.

    Args:
        context: of a notebook that Dagster runs.

    Raises:
        SettingsError: a variable is wrong; one line.
    """
    resource = SettingsResource()
    return ExploredTables(resource.load() if context is None else resource.of_run(context.run))
