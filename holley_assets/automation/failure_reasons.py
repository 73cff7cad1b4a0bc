"""Why a run failed, as people read it: what, where, and what to do."""

from __future__ import annotations

import re
from collections.abc import Iterator

import dagster as dg
from dagster._core.errors import DagsterAssetCheckFailedError
from dagster._core.events import JobFailureData
from dagster._core.executor.child_process_executor import ChildProcessCrashException
from dagster_shared.error import SerializableErrorInfo

from holley_assets.automation.alert_texts import check_line, first_line, message, severity_of
from holley_assets.automation.alerts import Severity
from holley_assets.texts import mask_addresses

# The name of a class of this project says nothing to who reads its message.
_OWN_CLASS = re.compile(r"^holley_assets\.[\w.]+: ")

# What engines, Python and PyTorch say, and what a person can do. What the project refuses says so itself.
_MEMORY = (
    "give the run more memory, or lower HOLLEY_COMPUTE_STEPS_AT_ONCE, which runs fewer steps at once, or "
    "HOLLEY_SAMPLE_USERS where the data are a sample"
)
_ADVICE = (
    (re.compile(r"No space left on device|Disk quota exceeded"), "free space there and start the run again"),
    (
        re.compile(r"Permission denied|Read-only file system|Operation not permitted"),
        "let the user of the run write there, or set HOLLEY_DATA_DIR to a folder that can be written",
    ),
    (
        re.compile(r"SIGKILL|MemoryError|Out of Memory|can't allocate memory|Cannot allocate memory", re.I),
        _MEMORY,
    ),
    (
        re.compile(r"Failed to read file|cannot be read as Parquet|No magic bytes found"),
        "a file of these tables is damaged: export them again",
    ),
    (
        re.compile(r": the table is missing|: column \w+ is (missing|[A-Z0-9<>]+; expected)"),
        "export the table again, or set HOLLEY_SOURCE_DIR to the right folder; sql/README.md says what it must hold",
    ),
)


def reason(instance: dg.DagsterInstance, run: dg.DagsterRun) -> str:
    """Why a run failed, in one paragraph: failed checks and steps, errors first, each with what is to be done."""
    failed = [evaluation for _, evaluation in evaluations(instance, run.run_id) if not evaluation.passed]
    failed.sort(key=lambda evaluation: severity_of([evaluation]) is not Severity.ERROR)
    errors = [evaluation for evaluation in failed if severity_of([evaluation]) is Severity.ERROR]
    checks = [check_line(evaluation) for evaluation in errors]
    warnings = [check_line(evaluation) for evaluation in failed[len(errors) :]]
    steps = list(failures(instance, run.run_id, checks_told=bool(errors)))
    said = message([*checks, *steps, *warnings], []).splitlines()
    why = ". ".join(line.strip().rstrip(".") for line in said if line.strip())
    return f"{run.job_name} failed. {why}. Run {run.run_id}"


def evaluations(instance: dg.DagsterInstance, run_id: str) -> Iterator[tuple[float, dg.AssetCheckEvaluation]]:
    """When each check of a run was evaluated, and how."""
    records = instance.get_records_for_run(run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION).records
    for record in records:
        event = record.event_log_entry.dagster_event
        if event is not None:
            yield record.event_log_entry.timestamp, event.asset_check_evaluation_data


def failures(instance: dg.DagsterInstance, run_id: str, *, checks_told: bool) -> Iterator[str]:
    """The steps that failed with the first line of their errors; where none did, what Dagster says of the run.

    Args:
        checks_told: leave out a step that a blocking check ended, since the check has said more.
    """
    kinds = {
        dg.DagsterEventType.STEP_FAILURE,
        dg.DagsterEventType.RUN_FAILURE,
        dg.DagsterEventType.ENGINE_EVENT,
    }
    entries = [
        record.event_log_entry for record in instance.get_records_for_run(run_id, of_type=kinds).records
    ]
    events = [entry.dagster_event for entry in entries if entry.dagster_event]
    steps = [event for event in events if event.is_step_failure]
    for event in steps:
        data = event.step_failure_data
        if checks_told and data.error and data.error.cls_name == DagsterAssetCheckFailedError.__name__:
            continue
        words = data.user_failure_data.description if data.user_failure_data else None
        if words is None and data.error and data.error.cls_name == ChildProcessCrashException.__name__:
            words = _end_of_process(events, event.step_key)
        if words is None:
            words = _own_words(data.error)
        yield f"ERROR: step {event.step_key}: {with_advice(first_line(str(words)))}"
    if not steps:
        ends = [event for event in events if event.event_type is dg.DagsterEventType.RUN_FAILURE]
        said = next((_run_error(event) for event in ends), None)
        told = with_advice(said) if said else "Dagster says nothing of it"
        yield f"ERROR: the run died without a failed step: {told}"


def with_advice(words: str) -> str:
    """What went wrong, followed by what a person can do about it, where this project knows."""
    advice = next((text for pattern, text in _ADVICE if pattern.search(words)), None)
    return words if advice is None else f"{words.rstrip('.')}: {advice}"


def _own_words(error: SerializableErrorInfo | None) -> str:
    """What was raised: Dagster wraps what it does not know into errors of its own, which say where and not what."""
    while error is not None and error.cause is not None and (error.cls_name or "").startswith("Dagster"):
        error = error.cause
    words = _OWN_CLASS.sub("", error.message) if error is not None else ""
    # The words of a library may quote a row.
    return mask_addresses(words)[0] or "failed"


def _end_of_process(events: list[dg.DagsterEvent], step: str | None) -> str | None:
    """How the process of a step ended, as the executor tells it: the error itself has no words."""
    told = (str(event.message) for event in events if event.step_key == step and event.is_engine_event)
    ends = (re.search(r"child process for step \S+ (.*?)\.(?: |$)", words) for words in told)
    return next((f"its process {found[1]}" for found in ends if found), None)


def _run_error(event: dg.DagsterEvent) -> str | None:
    """What ended a run outside its steps, such as another run's lease; else what Dagster says of it."""
    # A run that a daemon found dead has no such data.
    data = event.event_specific_data
    error = data.error if isinstance(data, JobFailureData) else None
    return first_line(error.message.partition(": ")[2] or error.message) if error else event.message
