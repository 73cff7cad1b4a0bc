"""Rank the customers of a finished run again, in shards, by the workers of a Dask cluster, and compare with the run.

    python -m holley_assets.console.sharded_ranking --workers 2
    python -m holley_assets.console.sharded_ranking --scheduler tcp://HOST:8786 --shards 32

``HOLLEY_DATA_DIR`` is a folder that every worker sees. Needs the extra ``cluster``.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import pyarrow as pa

from holley_assets.console.errors import ConsoleError
from holley_assets.console.run_files import RunFiles
from holley_assets.core.time_windows import TimeWindows
from holley_assets.pipeline.delivery import DeliveryTables, recommendations_of_model, users_of_delivery
from holley_assets.ranking.sharding import merge_shards, take_shard

Map = Callable[[Callable[[int], pa.Table], Sequence[int]], Iterable[pa.Table]]


def rank_shard(data_dir: Path, number: int, shards: int) -> pa.Table:
    """Recommendations of one shard, from the newest run's tables: what asset ``recommendations`` makes of all users.

    Args:
        data_dir: of the run.
        number: of the shard, from 0.
        shards: how many there are.

    Raises:
        ConsoleError: no run has finished there.
    """
    files = RunFiles(data_dir)
    tables = DeliveryTables(
        **{field.name: files.table(field.name) for field in dataclasses.fields(DeliveryTables)}
    )
    table, _ = recommendations_of_model(
        take_shard(users_of_delivery(tables), number, shards),
        tables,
        TimeWindows.from_table(files.table("time_windows")),
        files.settings(files.find_run("latest")),
    )
    return table


def rank_in_shards(data_dir: Path, shards: int, mapped: Map) -> pa.Table:
    """Recommendations of all users.

    Args:
        data_dir: as :func:`rank_shard`.
        mapped: calls a function for each number; ``map`` does, and so does a cluster.
    """

    def rank(number: int) -> pa.Table:
        return rank_shard(data_dir, number, shards)

    return merge_shards(mapped(rank, range(shards)))


def rank_on_cluster(
    data_dir: Path, shards: int, *, scheduler: str | None, workers: int, processes: bool = True
) -> pa.Table:
    """The same by Dask: on the cluster at ``scheduler``, or by ``workers`` of this machine.

    Args:
        processes: whether each worker of this machine has a process of its own, or a thread of this one.

    Raises:
        ConsoleError: Dask is not installed.
    """
    try:
        from distributed import Client, LocalCluster
    except ModuleNotFoundError as error:
        raise ConsoleError(
            f"{error.name} is not installed: install the extra with pip install --constraint "
            "holley_assets/deploy/constraints.txt '.[cluster]'"
        ) from None
    # Processes of one thread each: ranking holds the interpreter's lock most of the time.
    local = {"n_workers": workers, "threads_per_worker": 1, "processes": processes}
    with contextlib.ExitStack() as opened:
        cluster = scheduler or opened.enter_context(LocalCluster(**local, dashboard_address=None))
        client = opened.enter_context(Client(cluster))
        return rank_in_shards(
            data_dir, shards, lambda rank, numbers: client.gather(client.map(rank, numbers, pure=False))
        )


def main() -> None:
    """Rank in shards and say whether the rows are those of the run."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--scheduler", help="address of a running cluster; unset: processes of this machine")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="processes of this machine")
    parser.add_argument("--shards", type=int, help="unset: four for each worker")
    arguments = parser.parse_args()
    files = RunFiles()
    shards = arguments.shards or 4 * arguments.workers
    ranked = rank_on_cluster(files.folder, shards, scheduler=arguments.scheduler, workers=arguments.workers)
    same = ranked.equals(files.table("recommendations").combine_chunks())
    print(f"{ranked.num_rows:,} rows from {shards} shards: {'those' if same else 'NOT those'} of the run")
    sys.exit(not same)


if __name__ == "__main__":
    try:
        main()
    except ConsoleError as error:
        sys.exit(f"Error: {error}")
