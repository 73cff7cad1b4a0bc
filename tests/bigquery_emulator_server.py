"""Starts bqemulator with what BigQuery does and it does not, as of 1.4.0.

- A query with functions before it (``CREATE TEMP FUNCTION …; SELECT …``) ignores its parameters, and one that names
  a parameter in a comment miscounts them: here they become literals.
- A query's destination table is not written: here it is, with sums of INT64 as INT64.
- A job forgets its labels: here it keeps them.
- Rows that a statement inserts leave the row count of their table and when it changed as they were: here both follow.
- A copy job with WRITE_TRUNCATE keeps the columns and the row count of the table that it replaces: here it replaces
  the table.
- A job id that exists is used again: here it is refused with 409, as BigQuery does.
- Requests read through one connection to DuckDB in threads of their own, so that one may get the rows of another: here
  they take turns in one thread, and a second thread is refused.
- A dry run estimates no bytes: here each is ``EMULATED_BYTES`` long (1 GiB), and so is each query.

Started by ``bigquery_emulator.py`` in a process of its own, with the arguments of ``bqemulator start``.
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Callable
from typing import Any

import duckdb
import fastapi.routing
import pyarrow as pa
from bqemulator.api.routes import jobs
from bqemulator.catalog.ddl_sync import sync_created_table
from bqemulator.cli import main
from bqemulator.domain.errors import AlreadyExistsError, InvalidQueryError
from bqemulator.jobs import executor
from bqemulator.storage.engine import DuckDBEngine
from bqemulator.storage.sql_identifiers import quoted_table_ref

EMULATED_BYTES = os.environ.get("EMULATED_BYTES", str(1 << 30))
_LITERALS = {
    "STRING": "{!r}",
    "INT64": "{}",
    "FLOAT64": "CAST('{}' AS FLOAT64)",
    "DATE": "DATE '{}'",
    "BOOL": "{}",
}

_emulated_query_job = jobs._handle_query_job
_emulated_copy = executor._copy_table_into_destination
_emulated_execute = DuckDBEngine.execute


def with_literals(query: str, parameters: list[dict[str, Any]]) -> str:
    """``query`` with the values of its parameters in their place."""
    values = {
        parameter["name"]: _LITERALS[parameter["parameterType"]["type"]].format(
            parameter["parameterValue"]["value"]
        )
        for parameter in parameters
    }
    return re.sub(r"@(\w+)", lambda match: values.get(match[1], match[0]), query)


def write_destination(job_id: str, destination: dict[str, str], ctx: Any) -> None:
    """Write the rows of a finished query to its destination table."""
    names = destination["projectId"], destination["datasetId"], destination["tableId"]
    rows = executor.JOB_RESULTS[job_id]
    sums = [pa.types.is_decimal(field.type) and field.type.scale == 0 for field in rows.schema]
    types = [pa.int64() if is_sum else field.type for field, is_sum in zip(rows.schema, sums, strict=True)]
    rows = rows.cast(pa.schema(zip(rows.column_names, types, strict=True)))
    ctx.engine.connection.register("finished_query", rows)
    ctx.engine.execute(f"CREATE OR REPLACE TABLE {quoted_table_ref(*names)} AS FROM finished_query")
    ctx.engine.connection.unregister("finished_query")
    sync_created_table(f"CREATE OR REPLACE TABLE `{'.'.join(names)}` AS SELECT 1", names[0], ctx)


def note_inserted_rows(query: str, ctx: Any) -> None:
    """Let the catalog know of the tables that a query inserted rows into."""
    for name in set(re.findall(r"INSERT INTO `([^`]+)`", query)):
        names = name.split(".")
        found = ctx.engine.execute(f"SELECT count(*) FROM {quoted_table_ref(*names)}").fetchone()
        changed = {"num_rows": int(found[0]), "last_modified_time": ctx.clock.now()}
        ctx.catalog.update_table(ctx.catalog.get_table(*names).model_copy(update=changed))


async def handle_query_job(
    project_id: str, job_id: str, config: dict[str, Any], *, dry_run: bool, ctx: Any, **others: Any
) -> Any:
    """The emulator's own handling of a query, and the rest."""
    query = config["query"]
    if not dry_run and ctx.catalog.get_job(project_id, job_id) is not None:
        raise AlreadyExistsError(f"Already Exists: Job {project_id}:{job_id}")
    query["query"] = with_literals(query["query"], query.pop("queryParameters", []))
    answer = await _emulated_query_job(project_id, job_id, config, dry_run=dry_run, ctx=ctx, **others)
    if dry_run:
        assert isinstance(answer, dict), "a dry run has no job"
        answer["statistics"]["totalBytesProcessed"] = EMULATED_BYTES
        answer["statistics"]["query"]["totalBytesProcessed"] = EMULATED_BYTES
        return answer
    assert not isinstance(answer, dict), "what is run is a job"
    if answer.error_result is None and "destinationTable" in query:
        write_destination(job_id, query["destinationTable"], ctx)
    if answer.error_result is None:
        note_inserted_rows(query["query"], ctx)
    answer.configuration["labels"] = config.get("labels", {})
    answer.statistics["totalSlotMs"] = "1000"
    answer.statistics.setdefault("query", {}).update(
        totalBytesProcessed=EMULATED_BYTES, totalBytesBilled=EMULATED_BYTES, totalSlotMs="1000"
    )
    return answer


async def copy_table(
    *, dst_proj: str, dst_ds: str, dst_table_id: str, write_disposition: str, ctx: Any, **others: Any
) -> None:
    """The emulator's own copy, to a table that is not there yet."""
    if write_disposition == "WRITE_TRUNCATE" and ctx.catalog.get_table(dst_proj, dst_ds, dst_table_id):
        ctx.engine.execute(f"DROP TABLE {quoted_table_ref(dst_proj, dst_ds, dst_table_id)}")
        ctx.catalog.delete_table(dst_proj, dst_ds, dst_table_id)
    await _emulated_copy(
        dst_proj=dst_proj,
        dst_ds=dst_ds,
        dst_table_id=dst_table_id,
        write_disposition=write_disposition,
        ctx=ctx,
        **others,
    )


async def answer_in_turn(answer: Callable[..., Any], *positional: Any, **named: Any) -> Any:
    """Answer a request in the thread of the event loop."""
    return answer(*positional, **named)


def execute_in_one_thread(engine: DuckDBEngine, *statement: Any) -> duckdb.DuckDBPyConnection:
    """The emulator's own statement, which no second thread may run on the connection."""
    if threading.current_thread() is not threading.main_thread():
        # The clients repeat what an internal error ends, for ten minutes.
        raise InvalidQueryError("a second thread reads through the one connection")
    return _emulated_execute(engine, *statement)


if __name__ == "__main__":
    fastapi.routing.run_in_threadpool = answer_in_turn  # type: ignore[attr-defined, assignment]
    DuckDBEngine.execute = execute_in_one_thread  # type: ignore[method-assign, assignment]
    jobs._handle_query_job = handle_query_job
    executor._copy_table_into_destination = copy_table
    main()
