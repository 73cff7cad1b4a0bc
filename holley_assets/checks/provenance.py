"""What a staged table was made from and judged by, against what there is now.

A verdict holds for the data that it judged, for the inputs that these were made from, for the settings of the rules and
for the day. Dagster notes with every materialization which materialization of each input it saw; the file's checksum
stands on both. A rule's settings are those that the run froze which evaluated the check.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import dagster as dg
from pydantic import BaseModel

from holley_assets.core.asset_keys import TIME_WINDOWS
from holley_assets.core.event_log import (
    Materialization,
    materialization_at,
    newest_evaluation,
    newest_materialization,
)
from holley_assets.core.metadata_keys import AS_OF, CHECKSUM, WINDOWS_CHECKSUM
from holley_assets.settings import Section, Settings, variable_name

Lineage = Mapping[dg.AssetKey, Sequence[dg.AssetKey]]
"""Assets and the assets that each is made from, down to the first."""

_POINTER = "dagster/input_event_pointer/"


def lineage_of(
    asset: dg.AssetKey,
    assets: Iterable[dg.AssetsDefinition],
    *,
    without: Iterable[dg.AssetKey] = (),
) -> dict[dg.AssetKey, list[dg.AssetKey]]:
    """``asset`` and what it is made from, of those that ``assets`` make; nothing behind ``without``."""
    parents: dict[dg.AssetKey, set[dg.AssetKey]] = {}
    for definition in assets:
        for key, dependencies in definition.asset_deps.items():
            parents[key] = set(dependencies)
    left_out = set(without)
    found: dict[dg.AssetKey, list[dg.AssetKey]] = {}
    waiting = [asset]
    while waiting:
        key = waiting.pop()
        if key in found:
            continue
        found[key] = sorted((parents[key] & parents.keys()) - left_out, key=dg.AssetKey.to_user_string)
        waiting.extend(found[key])
    return found


def stale_inputs(instance: dg.DagsterInstance, lineage: Lineage) -> list[str]:
    """Inputs that were made anew, with other content, since an asset was made from them; each in a few words."""
    problems: list[str] = []
    newest: dict[dg.AssetKey, _Made | None] = {key: _newest(instance, key) for key in lineage}
    for asset, parents in sorted(lineage.items(), key=lambda item: item[0].to_user_string()):
        made = newest[asset]
        if made is None:
            problems.append(f"{asset.to_user_string()} was never materialized, or its history was wiped")
            continue
        for parent in parents:
            now = newest[parent]
            if now is None:
                continue
            seen = made.inputs.get(parent)
            if seen == now.materialization.storage_id or _same_content(instance, parent, seen, now):
                continue
            problems.append(_another_version(asset, made, parent, now))
        windows = newest.get(TIME_WINDOWS)
        if asset == TIME_WINDOWS or TIME_WINDOWS in parents or windows is None:
            continue
        # Whoever depends on them through others alone has no pointer to them, and a record of its own.
        if made.materialization.metadata.get(WINDOWS_CHECKSUM) != windows.materialization.metadata[CHECKSUM]:
            problems.append(_another_version(asset, made, TIME_WINDOWS, windows))
    return problems


def other_rules(
    instance: dg.DagsterInstance,
    checks: Iterable[dg.AssetCheckKey],
    frozen: Callable[[dg.DagsterRun], Settings | None],
    present: Settings,
) -> list[str]:
    """Settings of the rules under which verdicts were given and that are others now; each in a few words.

    Args:
        frozen: settings that a run worked with; None where they are gone.
        present: settings as the environment has them now.
    """
    runs: dict[str, list[str]] = {}
    for check in checks:
        newest = newest_evaluation(instance, check)
        if newest is not None:
            runs.setdefault(newest.run_id, []).append(check.name)
    problems: list[str] = []
    for run_id, names in sorted(runs.items()):
        run = instance.get_run_by_id(run_id)
        judged = frozen(run) if run is not None else None
        if judged is None:
            problems.append(
                f"nobody knows the settings by which run {run_id[:8]} judged {names[0]}: its files are gone"
            )
            continue
        problems += [
            f"run {run_id[:8]} judged by {name}={was}, and it is {now}"
            for section in ("rules", "checks")
            for name, was, now in _changed(getattr(judged, section), getattr(present, section))
        ]
    return problems


def other_day(
    instance: dg.DagsterInstance, checks: Iterable[dg.AssetCheckKey], staged: Materialization, day: str
) -> list[str]:
    """Days, of the staged rows or of the verdicts on them, that are not ``day``; each in a few words."""
    problems = []
    if staged.metadata.get(AS_OF) != day:
        problems.append(f"the staged rows are of {staged.metadata.get(AS_OF)}, the run is of {day}")
    for check in checks:
        newest = newest_evaluation(instance, check)
        if newest is not None:
            metadata = newest.evaluation.metadata
            judged = metadata[AS_OF].value if AS_OF in metadata else None
            if judged != day:
                problems.append(f"{check.name} judged as of {judged}, the run is of {day}")
    return problems


class _Made:
    """A materialization and the inputs that it saw."""

    def __init__(self, materialization: Materialization, inputs: Mapping[dg.AssetKey, int | None]) -> None:
        self.materialization = materialization
        self.inputs = inputs


def _newest(instance: dg.DagsterInstance, asset: dg.AssetKey) -> _Made | None:
    materialization = newest_materialization(instance, asset)
    if materialization is None:
        return None
    tags = materialization.tags
    inputs = {
        dg.AssetKey.from_user_string(name.removeprefix(_POINTER)): int(value) if value.isdigit() else None
        for name, value in tags.items()
        if name.startswith(_POINTER)
    }
    return _Made(materialization, inputs)


def _same_content(instance: dg.DagsterInstance, asset: dg.AssetKey, seen: int | None, now: _Made) -> bool:
    """Whether the file that was seen has the checksum of the newest: the same again is no other version."""
    if seen is None:
        return False
    before = materialization_at(instance, asset, seen)
    checksum = before.metadata.get(CHECKSUM) if before is not None else None
    return checksum is not None and checksum == now.materialization.metadata.get(CHECKSUM)


def _another_version(asset: dg.AssetKey, made: _Made, parent: dg.AssetKey, now: _Made) -> str:
    return (
        f"{asset.to_user_string()} (run {_short(made)}) was made from another version of "
        f"{parent.to_user_string()} than the newest (run {_short(now)})"
    )


def _short(made: _Made) -> str:
    return made.materialization.run_id[:8]


def _changed(judged: BaseModel, present: Section) -> list[tuple[str, object, object]]:
    return [
        (variable_name(type(present), name), getattr(judged, name), getattr(present, name))
        for name in type(present).model_fields
        if getattr(judged, name) != getattr(present, name)
    ]
