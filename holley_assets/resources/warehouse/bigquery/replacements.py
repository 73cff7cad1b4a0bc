"""Replacements in BigQuery that look at a condition, and log whom they expose, in the job that replaces the rows."""

from __future__ import annotations

import datetime

import google.api_core.exceptions as google_errors
from google.cloud import bigquery

from holley_assets.resources.warehouse.bigquery.client import patience, readable_errors
from holley_assets.resources.warehouse.bigquery.jobs import job_labels
from holley_assets.resources.warehouse.bigquery.schema import columns_of_schema, schema_of_arrow
from holley_assets.resources.warehouse.exposures import (
    CLUSTERED_BY,
    DAY_COLUMN,
    EXPOSURES_SCHEMA,
    log_statements,
)
from holley_assets.resources.warehouse.interface import (
    ChangedError,
    Exposures,
    Origin,
    Unchanged,
    WarehouseError,
    check_identifiers,
)
from holley_assets.settings import BigQuerySettings, is_project

# Metadata come within a second. Without a limit a connection that is cut without a word holds up its caller for ever.
_ANSWER_SECONDS = 10.0
# By which a statement that failed for its condition is told from one that failed otherwise.
_CHANGED = "holley: the condition of this replacement does not hold"


class GuardedReplacements:
    """Names and finds tables, and replaces their rows under a condition.

    Args:
        client: BigQuery's.
        settings: project, datasets and patience.
        origin: the step of a run that asks.
    """

    def __init__(self, client: bigquery.Client, settings: BigQuerySettings, origin: Origin | None) -> None:
        self._client = client
        self._settings = settings
        self._origin = origin
        self._retry = patience(settings.retry_seconds)

    def full_name(self, dataset: str, table: str) -> str:
        """``project.dataset.table`` of a table; ``dataset`` may name a project, or else is of the client's.

        Raises:
            WarehouseError: a name is not what BigQuery allows, and may not stand in the text of a query.
        """
        project, _, name = dataset.rpartition(".")
        check_identifiers(name, table)
        if project and not is_project(project):
            raise WarehouseError(f"{project!r} is not the id of a project")
        return f"{project or self._client.project}.{name}.{table}"

    def _replace_unless_changed(self, source: str, target: str, condition: Unchanged) -> None:
        """One statement that reads the condition and the rows, and replaces the table as a whole or not at all."""
        text = f"SELECT replacement.* FROM `{source}` AS replacement WHERE {self._condition(condition)}"
        config = bigquery.QueryJobConfig(
            destination=target, write_disposition=bigquery.WriteDisposition.WRITE_TRUNCATE
        )
        self._run_unless_changed(text, target, condition, config)

    def _replace_and_log(
        self,
        source: str,
        target: str,
        current: bigquery.Table | None,
        condition: Unchanged,
        exposures: Exposures,
    ) -> int:
        """One transaction that reads the condition, logs the exposures and replaces the rows; returns how many.

        A transaction changes rows and no columns: a table of other columns is replaced before it.
        """
        staged = self._find(source)
        assert staged is not None, "looked for before"
        log = self.full_name(exposures.dataset, exposures.table)
        with readable_errors(f"preparing {target}"):
            table = bigquery.Table(log, schema=schema_of_arrow(EXPOSURES_SCHEMA))
            table.time_partitioning = bigquery.TimePartitioning(field=DAY_COLUMN)
            table.clustering_fields = list(CLUSTERED_BY)
            self._client.create_table(table, exists_ok=True, retry=self._retry)
            if current is None:
                self._client.create_table(bigquery.Table(target, schema=staged.schema), retry=self._retry)
        if current is not None and columns_of_schema(current.schema) != columns_of_schema(staged.schema):
            self._replace_unless_changed(source, target, condition)
        columns = ", ".join(f"`{field.name}`" for field in staged.schema)
        now = datetime.datetime.now(datetime.UTC)
        statements = [
            "BEGIN TRANSACTION",
            f"SELECT {self._condition(condition)}",
            *log_statements(f"`{log}`", f"`{source}`", exposures, now),
            f"DELETE FROM `{target}` WHERE TRUE",
            f"INSERT INTO `{target}` ({columns}) SELECT {columns} FROM `{source}`",
            "COMMIT TRANSACTION",
        ]
        text = "".join(f"{statement};\n" for statement in statements)
        self._run_unless_changed(text, target, condition, bigquery.QueryJobConfig())
        return int(staged.num_rows or 0)

    def _condition(self, condition: Unchanged) -> str:
        """An expression that is true while the condition holds, and an error otherwise."""
        record = self.full_name(condition.dataset, condition.table)
        if self._find(record) is None:
            raise ChangedError(f"{record} is gone, it had {condition.rows} rows")
        counted = f"(SELECT COUNT(*) FROM `{record}`) = {int(condition.rows)}"
        return f"IF({counted}, TRUE, ERROR('{_CHANGED}'))"

    def _run_unless_changed(
        self, text: str, target: str, condition: Unchanged, config: bigquery.QueryJobConfig
    ) -> None:
        config.use_legacy_sql = False
        config.use_query_cache = False
        config.labels = job_labels(self._origin, target.rpartition(".")[2])
        try:
            with readable_errors(f"replacing {target}"):
                job = self._client.query(text, job_config=config, retry=self._retry, job_retry=None)
                job.result(retry=self._retry, job_retry=None)
        except WarehouseError as error:
            if _CHANGED in str(error) or _CHANGED in str(error.__cause__):
                record = self.full_name(condition.dataset, condition.table)
                raise ChangedError(f"{record} has no longer {condition.rows} rows") from error
            raise

    def _find(self, table: str) -> bigquery.Table | None:
        reference = bigquery.TableReference.from_string(table, default_project=self._client.project)
        try:
            with readable_errors(f"reading {reference}"):
                return self._client.get_table(reference, retry=self._retry, timeout=_ANSWER_SECONDS)
        except WarehouseError as error:
            if isinstance(error.__cause__, google_errors.NotFound):
                return None
            raise
