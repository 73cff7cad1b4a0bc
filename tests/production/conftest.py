"""Production on loopback and what its jobs leave there, made once for all files of this folder.

The files go on with one story in the order of their names. Each can be run alone.
"""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa
import pytest
from bigquery_emulator import BigQueryEmulator

from production.production_world import OUTPUT, Production, Weekly, running_production


@pytest.fixture(scope="package")
def production(
    tmp_path_factory: pytest.TempPathFactory,
    bigquery_emulator: BigQueryEmulator,
    empty_mlflow_database: bytes,
) -> Iterator[Production]:
    folder = tmp_path_factory.mktemp("production")
    with running_production(folder, bigquery_emulator, empty_mlflow_database) as world:
        yield world


@pytest.fixture(scope="package")
def weekly(production: Production) -> Weekly:
    """``weekly_retrain`` from the command line."""
    production.execute("weekly_retrain")
    with production.instance() as instance:
        (run,) = instance.get_runs()
    delivered = production.table(OUTPUT, "recommendations")
    (version,) = delivered["model_version"].unique().to_pylist()
    return Weekly(run.run_id, version, delivered)


@pytest.fixture(scope="package")
def serving(production: Production, weekly: Weekly) -> pa.Table:
    """The serving table after ``promote`` and a ``daily_score`` that gives half of the users the graph's parts."""
    with pytest.MonkeyPatch.context() as patched:
        production.promote()
        patched.setenv("HOLLEY_SERVING_MODE", "ab")
        production.do("daily_score")
    return production.served()
