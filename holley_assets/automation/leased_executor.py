"""Executors that hold the lease for as long as a run works, and pull the kill switch before they wait for it.

The last thing that a run's process prints is what ended it, or what its report says.

The run's own process holds it: one that dies lets it go, and steps that outlive it find out when they write.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping

import dagster as dg
from dagster._core.events import EngineEventData
from dagster._core.execution.context.system import PlanOrchestrationContext
from dagster._core.execution.plan.plan import ExecutionPlan
from dagster._core.execution.retries import RetryMode
from dagster._core.execution.step_dependency_config import StepDependencyConfig

from holley_assets.assets.serving_switch import pull_at_once
from holley_assets.automation.alert_texts import first_line
from holley_assets.automation.failure_reasons import reason, with_advice
from holley_assets.automation.last_words import say_last
from holley_assets.core.asset_keys import EVAL_REPORT
from holley_assets.core.metadata_keys import WAITS_FOR
from holley_assets.resources.lease import Holder, Lease, hold, release
from holley_assets.resources.run_lease import open_leases
from holley_assets.settings import LeaseSettings, SettingsError, load_section


class LeasedExecutor(dg.Executor):
    """Works as another executor does, between taking the lease and letting it go."""

    def __init__(self, inner: dg.Executor) -> None:
        self._inner = inner

    @property
    def retries(self) -> RetryMode:
        """Those of the other executor."""
        return self._inner.retries

    @property
    def step_dependency_config(self) -> StepDependencyConfig:
        """That of the other executor."""
        return self._inner.step_dependency_config

    def execute(
        self, plan_context: PlanOrchestrationContext, execution_plan: ExecutionPlan
    ) -> Iterator[dg.DagsterEvent]:
        """Pull the kill switch, if the run is to; take the lease, waiting if need be; execute the plan; let it go.

        Raises:
            LeaseError: another run holds it for longer than this one may wait.
            SettingsError: the kill switch cannot be pulled with these settings.
            WarehouseError: its record cannot be written.
        """
        run, failed, answer = plan_context.dagster_run, False, None
        try:
            for event in self._leased(plan_context, execution_plan):
                failed = failed or event.is_step_failure
                answer = _answer(event) or answer
                yield event
        except Exception as error:
            # Steps that failed have said more than the executor, which raises for a process that was killed.
            told = f"{run.job_name} failed. {with_advice(first_line(str(error)))}. Run {run.run_id}"
            say_last(reason(plan_context.instance, run) if failed else told)
            raise
        if failed:
            say_last(reason(plan_context.instance, run))
        elif answer is not None:
            say_last(answer)

    def _leased(
        self, plan_context: PlanOrchestrationContext, execution_plan: ExecutionPlan
    ) -> Iterator[dg.DagsterEvent]:
        run = plan_context.dagster_run
        pulled = pull_at_once(run)
        if pulled is not None:
            yield _event(plan_context, f"The kill switch is {pulled.words}")
        leases: list[Lease] = []
        try:
            leases = open_leases()
            wait = load_section(LeaseSettings).wait_minutes * 60
        except SettingsError as error:
            # The first step says the same in one line, as the failure of a step that people look at.
            yield _event(plan_context, f"No lease is taken: {error}")
        else:
            for words in hold(leases, Holder.here(run.run_id, run.job_name), wait):
                yield _event(plan_context, words, {WAITS_FOR: words})
        try:
            yield from self._inner.execute(plan_context, execution_plan)
        finally:
            release(leases)


def _answer(event: dg.DagsterEvent) -> str | None:
    """Decision, reason and path of the report that a run has just written."""
    if not event.is_step_materialization or event.asset_key != EVAL_REPORT:
        return None
    metadata = event.step_materialization_data.materialization.metadata
    said = {name: str(metadata[name].value) for name in ("decision", "reason", "report") if name in metadata}
    return (
        " ".join([f"{said['decision']}.", said["reason"], f"Report: {said['report']}"])
        if len(said) == 3
        else None
    )


def _event(
    plan_context: PlanOrchestrationContext, words: str, metadata: Mapping[str, str] | None = None
) -> dg.DagsterEvent:
    texts = {name: dg.MetadataValue.text(text) for name, text in (metadata or {}).items()}
    return dg.DagsterEvent.engine_event(plan_context, words, EngineEventData(metadata=texts))


def leased(inner: dg.ExecutorDefinition) -> dg.ExecutorDefinition:
    """``inner``, of the same name and configuration, under the lease."""
    return dg.ExecutorDefinition(
        name=inner.name,
        config_schema=inner.config_schema,  # type: ignore[arg-type]
        requirements=inner.get_requirements,
        executor_creation_fn=functools.partial(_create, inner),
        description=inner.description,
    )


def _create(inner: dg.ExecutorDefinition, context: dg.InitExecutorContext) -> dg.Executor:
    assert inner.executor_creation_fn is not None, "every executor of Dagster's can be made"
    return LeasedExecutor(inner.executor_creation_fn(context))
