"""The proof that a staged table may be published: its checks passed, on these very bytes."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import dagster as dg

from holley_assets.checks.verdicts import (
    unproven,
)
from holley_assets.core.event_log import (
    Materialization,
    newest_materialization,
)
from holley_assets.core.metadata_keys import (
    CHECKSUM,
)
from holley_assets.resources.io_manager import (
    asset_file,
)
from holley_assets.resources.storage.interface import FileStore, checksum


class ProvenTable(NamedTuple):
    """A staged file that the checks saw, and what is known about it."""

    path: Path
    staged: Materialization
    sha256: str


def prove(
    instance: dg.DagsterInstance,
    store: FileStore,
    asset: dg.AssetKey,
    required_checks: Iterable[dg.AssetCheckKey],
) -> ProvenTable:
    """Re-read the verdict of every check from the event log, for exactly the data that is to be published.

    Raises:
        dg.Failure: a check failed, did not run or judged other data. The message names it.
    """
    problems = unproven(instance, required_checks)
    if problems:
        raise dg.Failure(
            f"Not published, the previous table stays: {'; '.join(problems)}", allow_retries=False
        )
    path = store.local_path(asset_file(asset))
    judged = newest_materialization(instance, asset)
    found = checksum(path)
    seen = judged.metadata.get(CHECKSUM) if judged else None
    if judged is None or seen != found:
        raise dg.Failure(
            f"Not published, the previous table stays: {path.name} has SHA-256 {found}, "
            f"the checks saw {seen}",
            allow_retries=False,
        )
    return ProvenTable(path, judged, found)
