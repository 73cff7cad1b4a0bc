"""Parquet between assets."""

from __future__ import annotations

from pathlib import Path

import dagster as dg
import pyarrow as pa
import pyarrow.parquet as pq

from holley_assets.core.asset_keys import TIME_WINDOWS
from holley_assets.core.metadata_keys import AS_OF, CHECKSUM, WINDOWS_CHECKSUM
from holley_assets.core.time_windows import SAMPLE_SOURCE, TimeWindows
from holley_assets.resources.lease import FolderLease
from holley_assets.resources.settings_resource import SettingsResource
from holley_assets.resources.storage.interface import FileStore, checksum
from holley_assets.resources.table_metadata import parquet_metadata

# Few distinct values over many rows: a dictionary-encoded column is a tenth of the memory, and joins and
# groups on it compare integers.
LOW_CARDINALITY_COLUMNS = frozenset(
    {
        "make",
        "model",
        "part_type",
        "engagement_tier",
        "serving_engagement_tier",
        "system",
        "tier",
        "serving_tier",
        "view",
        "interaction",
        "ineligible_reason",
        "serving_ineligible_reason",
        "vehicle_problem",
    }
)


class ParquetIOManager(dg.ConfigurableIOManager):
    """Writes each asset to ``assets/<asset>.parquet`` of the run's store and reads it back as a ``pa.Table``.

    An asset hands over a table, a stream of record batches (written as it comes, never held whole) or the
    path of a Parquet file that is already written (moved, not copied). A reader sees the previous file
    or the new one. Loading maps the file and encodes columns of few values as dictionaries; an input's
    metadata ``{"columns": [...]}`` limits what is read.
    """

    settings: SettingsResource

    def handle_output(self, context: dg.OutputContext, obj: pa.Table | pa.RecordBatchReader | Path) -> None:
        """Write ``obj`` and put rows, bytes, checksum, columns and a preview on the materialization.

        Raises:
            LeaseError: another run has taken over the data folder: this step outlived its run.
        """
        FolderLease(self.settings.data_dir()).require(context.run_id)
        store = self.settings.store()
        key = asset_file(context.asset_key)
        if isinstance(obj, Path):
            staged = obj
        else:
            staged = store.staging_path(key)
            write_parquet(obj, staged)
        metadata = parquet_metadata(staged, context.asset_key.path[-1])
        metadata[CHECKSUM] = dg.MetadataValue.text(checksum(staged))
        metadata |= self._of_the_run(context.asset_key, obj)
        store.publish(staged, key)
        metadata["path"] = dg.MetadataValue.path(store.location(key))
        context.add_output_metadata(metadata)

    def _of_the_run(self, key: dg.AssetKey, obj: object) -> dict[str, dg.MetadataValue]:
        """Day and source of the run: tables of two days, or of a sample and of customers, look alike otherwise."""
        made_in = {}
        if key == TIME_WINDOWS and isinstance(obj, pa.Table):
            windows = obj
        else:
            try:
                path = self.settings.store().local_path(asset_file(TIME_WINDOWS))
            except FileNotFoundError:
                return {}
            windows = read_parquet(path)
            made_in = {WINDOWS_CHECKSUM: dg.MetadataValue.text(checksum(path))}
        found = TimeWindows.from_table(windows)
        invented = {"generated_sample": dg.MetadataValue.bool(True)} if found.source == SAMPLE_SOURCE else {}
        return {
            AS_OF: dg.MetadataValue.text(found.as_of.isoformat()),
            "source": dg.MetadataValue.text(found.source),
            **made_in,
            **invented,
        }

    def load_input(self, context: dg.InputContext) -> pa.Table:
        """Read an upstream asset."""
        path = self.settings.store().local_path(asset_file(context.asset_key))
        columns = (context.definition_metadata or {}).get("columns")
        return read_parquet(path, columns=columns)


def read_windows(store: FileStore) -> TimeWindows:
    """The windows that the newest run fixed.

    Raises:
        FileNotFoundError: no run did; the message says what to materialize.
    """
    return TimeWindows.from_table(read_parquet(store.local_path(asset_file(TIME_WINDOWS))))


def asset_file(key: dg.AssetKey) -> str:
    """Store key of an asset's Parquet file."""
    return f"assets/{'__'.join(key.path)}.parquet"


def write_parquet(data: pa.Table | pa.RecordBatchReader, path: Path) -> None:
    """Write a table or a stream to ``path``, compressed with zstd.

    Raises:
        TypeError: ``data`` is neither.
    """
    if not isinstance(data, (pa.Table, pa.RecordBatchReader)):
        raise TypeError(
            f"an asset returns a pyarrow Table, RecordBatchReader or Path, not {type(data).__name__}"
        )
    try:
        with pq.ParquetWriter(path, data.schema, compression="zstd") as writer:
            if isinstance(data, pa.Table):
                writer.write_table(data)
            else:
                for batch in data:
                    writer.write_batch(batch)
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def read_parquet(path: Path, columns: list[str] | None = None) -> pa.Table:
    """Read ``path`` memory-mapped, with :data:`LOW_CARDINALITY_COLUMNS` dictionary-encoded."""
    encoded = [name for name in pq.read_schema(path).names if name in LOW_CARDINALITY_COLUMNS]
    file = pq.ParquetFile(path, memory_map=True, read_dictionary=encoded)
    try:
        # A file of several row groups has a dictionary in each, and Arrow groups by one alone.
        return file.read(columns=columns).unify_dictionaries()
    finally:
        file.close()
