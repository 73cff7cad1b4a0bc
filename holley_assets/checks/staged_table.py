"""The table that waits in the warehouse for its checks: what they judged is what may be published.

A verdict is on an asset, which is a file. What customers get is a table in the warehouse. So the file is loaded
first, the checks run on the loaded table, and each result carries the table's name and a fingerprint of its rows.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryDirectory

import dagster as dg
import pyarrow.parquet as pq

from holley_assets.core.event_log import newest_evaluation
from holley_assets.resources.warehouse.interface import Warehouse, WarehouseError, staged_name

STAGED_TABLE = "staged_table"
STAGED_FINGERPRINT = "staged_fingerprint"


@dataclasses.dataclass(frozen=True)
class StagedTable:
    """A staged table and what is in it."""

    name: str
    fingerprint: str
    """Number of rows, and a number that any change to one of them changes."""

    def metadata(self) -> dict[str, dg.MetadataValue]:
        """As it stands on a check's result."""
        return {
            STAGED_TABLE: dg.MetadataValue.text(self.name),
            STAGED_FINGERPRINT: dg.MetadataValue.text(self.fingerprint),
        }


def stage_recommendations(warehouse: Warehouse, asset: str, path: Path, version: str) -> StagedTable:
    """Load recommendations into the warehouse, beside the table that customers get.

    Args:
        warehouse: the run's.
        asset: which recommendations; the staged table is named for it and ``version``.
        path: Parquet file.
        version: its SHA-256, in hexadecimal.

    Raises:
        WarehouseError: the warehouse refuses it.
    """
    name = warehouse.stage_table(asset, path, version)
    return StagedTable(name, fingerprint(warehouse, name))


def fingerprint(warehouse: Warehouse, staged: str) -> str:
    """Fingerprint of the rows of a staged table, in whatever order they are.

    Raises:
        WarehouseError: there is no such table.
    """
    judged = warehouse.with_staged({"recommendations": staged})
    with TemporaryDirectory() as folder:
        result = judged.query_to_parquet(STAGED_FINGERPRINT, {}, Path(folder) / "fingerprint.parquet")
        (row,) = pq.read_table(result.path).to_pylist()
    return f"{row['row_count']} rows, {row['fingerprint']}"


def judged_table(instance: dg.DagsterInstance, checks: Iterable[dg.AssetCheckKey]) -> StagedTable | None:
    """The staged table that the newest results of ``checks`` are about; ``None`` where they disagree."""
    found = set()
    for check in checks:
        newest = newest_evaluation(instance, check)
        if newest is not None and STAGED_TABLE in newest.evaluation.metadata:
            values = {name: str(value.value) for name, value in newest.evaluation.metadata.items()}
            found.add(StagedTable(values[STAGED_TABLE], values[STAGED_FINGERPRINT]))
    return found.pop() if len(found) == 1 else None


def judged_name(
    warehouse: Warehouse,
    instance: dg.DagsterInstance,
    checks: Iterable[dg.AssetCheckKey],
    asset: dg.AssetKey,
    version: str,
) -> str:
    """Name of the staged table in the warehouse that the checks of ``asset`` judged, as it was when they did.

    Args:
        warehouse: the run's.
        instance: whose event log has the verdicts.
        checks: those on ``asset``; whether they passed is :func:`..verdicts.unproven`'s to say.
        asset: whose file was staged.
        version: the file's SHA-256, in hexadecimal.

    Raises:
        WarehouseError: the staged table is another, is not as it was when it was judged, or is gone.
    """
    staged = judged_table(instance, checks)
    if (
        staged is None
        or staged.name != staged_name(asset.path[-1], version)
        or fingerprint(warehouse, staged.name) != staged.fingerprint
    ):
        raise WarehouseError(
            "Not published, the previous table stays: the staged table in the warehouse is not the one that the "
            f"checks saw; run the checks on {asset.path[-1]} again"
        )
    return staged.name
