"""Queries as BigQuery jobs: estimated first, kept within a budget, labelled, and never run twice."""

from __future__ import annotations

import dataclasses
import datetime
import hashlib
import re
import uuid
from collections.abc import Mapping

import google.api_core.exceptions as google_errors
from google.cloud import bigquery

from holley_assets.resources.warehouse.bigquery.client import patience, readable_errors
from holley_assets.resources.warehouse.bigquery.spending import Spending
from holley_assets.resources.warehouse.interface import Origin, WarehouseError
from holley_assets.settings import BigQuerySettings

PIPELINE = "holley_gnn"
GIB = 1 << 30
# Queries of one run that fail one after the other for the same text: more is no accident.
_ATTEMPTS = 20
_PARAMETER_TYPES: dict[type, str] = {bool: "BOOL", int: "INT64", float: "FLOAT64", str: "STRING"}


class BudgetError(WarehouseError):
    """A query was not started, because the run would have cost too much."""


@dataclasses.dataclass(frozen=True)
class Plan:
    """A query that BigQuery has looked at and not run."""

    name: str
    query: str
    parameters: Mapping[str, object]
    columns: list[str]
    bytes: int
    """What it would read."""


class QueryRunner:
    """Runs queries for one step of a run.

    Args:
        client: BigQuery's.
        settings: what a query and a run may cost.
        origin: the step; without one there is no job to find again.
        spending: of the run; without one there are this runner's queries to count alone.
    """

    def __init__(
        self,
        client: bigquery.Client,
        settings: BigQuerySettings,
        origin: Origin | None,
        spending: Spending | None,
    ) -> None:
        self._client = client
        self._settings = settings
        self._origin = origin
        self._spending = spending
        self._retry = patience(settings.retry_seconds)
        self.jobs: list[bigquery.QueryJob] = []

    def plan(self, name: str, query: str, parameters: Mapping[str, object]) -> Plan:
        """Ask what a query would read and give; nothing is read.

        Args:
            name: what is made, for people.
            query: one SELECT, with functions before it.
            parameters: values of its @parameters.

        Raises:
            WarehouseError: BigQuery refuses the query.
        """
        config = self._config(name, parameters)
        config.dry_run = True
        with readable_errors(f"query {name}"):
            # Left alone, the client goes on for another 40 minutes after its patience has ended.
            job = self._client.query(query, job_config=config, retry=self._retry, job_retry=None)
        columns = [field.name for field in job.schema or []]
        return Plan(name, query, dict(parameters), columns, int(job.total_bytes_processed or 0))

    def run(self, plan: Plan, destination: str | None = None) -> bigquery.QueryJob:
        """Run a query and wait for it.

        A job's id says which step of which run, which query and which parameters: a step that is tried again
        finds the job that it started before, running or done, instead of paying twice. One that failed is
        followed by another.

        Args:
            plan: the query, as :meth:`plan` estimated it.
            destination: ``dataset.table`` that takes the rows, replaced as a whole; none: an anonymous table.

        Raises:
            BudgetError: the run would cost more than it may.
            WarehouseError: BigQuery refuses the query.
        """
        identity = self._identity(plan, destination)
        self._keep_to_budget(plan, identity)
        config = self._config(plan.name, plan.parameters)
        config.maximum_bytes_billed = int(self._settings.maximum_gib_billed * GIB)
        if destination is not None:
            config.destination = f"{self._client.project}.{destination}"
            config.write_disposition = bigquery.WriteDisposition.WRITE_TRUNCATE
        with readable_errors(f"query {plan.name}"):
            job = self._start(plan, config, identity)
            job.result(retry=self._retry, job_retry=None)
        self.jobs.append(job)
        billed = int(job.total_bytes_billed or 0)
        if self._spending is not None and billed != plan.bytes:
            self._spending.write(identity, billed)
        return job

    def costs(self) -> dict[str, float]:
        """What the queries so far read, took and cost, by name."""
        billed = sum(int(job.total_bytes_billed or 0) for job in self.jobs)
        return {
            "bytes_billed": billed,
            "slot_seconds": round(sum(int(job.slot_millis or 0) for job in self.jobs) / 1000, 1),
            "estimated_dollars": round(self._settings.dollars(billed), 4),
        }

    def _config(self, name: str, parameters: Mapping[str, object]) -> bigquery.QueryJobConfig:
        return bigquery.QueryJobConfig(
            labels=job_labels(self._origin, name),
            use_legacy_sql=False,
            query_parameters=[query_parameter(key, value) for key, value in sorted(parameters.items())],
        )

    def _start(self, plan: Plan, config: bigquery.QueryJobConfig, identity: str) -> bigquery.QueryJob:
        for attempt in range(_ATTEMPTS):
            job_id = f"{PIPELINE}-{identity}-{attempt}"
            try:
                # The client cannot repeat a failed job under its id; the next attempt has another.
                return self._client.query(
                    plan.query, job_config=config, job_id=job_id, retry=self._retry, job_retry=None
                )
            except google_errors.Conflict:
                known = self._client.get_job(job_id, retry=self._retry)
                if isinstance(known, bigquery.QueryJob) and known.error_result is None:
                    return known
        raise WarehouseError(f"BigQuery: query {plan.name} failed {_ATTEMPTS} times in this run")

    def _identity(self, plan: Plan, destination: str | None) -> str:
        """What a query is called whenever a step of a run asks it."""
        run_id, step = (self._origin.run_id, self._origin.asset) if self._origin else (uuid.uuid4().hex, "")
        # Another step that asks the same wants to know how it is by now.
        asked = f"{step}\n{plan.query}\n{sorted(plan.parameters.items())}\n{destination}"
        digest = hashlib.sha256(asked.encode()).hexdigest()[:16]
        return re.sub(r"[^A-Za-z0-9_-]", "-", f"{run_id}-{plan.name}-{digest}")

    def _keep_to_budget(self, plan: Plan, identity: str) -> None:
        earlier = None
        if self._spending is None:
            others = sum(int(job.total_bytes_billed or 0) for job in self.jobs)
        else:
            earlier = self._spending.read(identity)
            self._spending.write(identity, plan.bytes)
            others = self._spending.total() - plan.bytes
        budget = self._settings.run_budget_dollars
        spent, next_one = self._settings.dollars(others), self._settings.dollars(plan.bytes)
        if spent + next_one > budget:
            if self._spending is not None:
                # What an earlier attempt has paid stays written down.
                if earlier is None:
                    self._spending.remove(identity)
                else:
                    self._spending.write(identity, earlier)
            raise BudgetError(
                f"BigQuery: query {plan.name} was not started: it would read {plan.bytes / GIB:,.1f} GiB for "
                f"${next_one:,.2f}, and the run, which has spent ${spent:,.2f}, would have cost "
                f"${spent + next_one:,.2f}; HOLLEY_BIGQUERY_RUN_BUDGET_DOLLARS={budget:g} allows less"
            )


def job_labels(origin: Origin | None, table: str) -> dict[str, str]:
    """Labels of a job of any kind: the pipeline, what is made, and the step and run that ask for it."""
    labels = {"pipeline": PIPELINE, "table": label(table)}
    if origin is not None:
        labels |= {"asset": label(origin.asset), "run_id": label(origin.run_id)}
    return labels


def query_parameter(name: str, value: object) -> bigquery.ScalarQueryParameter:
    """A value as a named parameter of its type.

    Raises:
        TypeError: no query takes such a value.
    """
    if isinstance(value, datetime.date) and not isinstance(value, datetime.datetime):
        return bigquery.ScalarQueryParameter(name, "DATE", value)
    if not isinstance(value, bool | int | float | str):
        raise TypeError(f"parameter {name} is a {type(value).__name__}; no query takes one")
    return bigquery.ScalarQueryParameter(name, _PARAMETER_TYPES[type(value)], value)


def label(text: str) -> str:
    """``text`` as the value of a BigQuery label: at most 63 lower-case letters, digits, ``_`` and ``-``."""
    return re.sub(r"[^a-z0-9_-]", "_", text.lower())[:63]
