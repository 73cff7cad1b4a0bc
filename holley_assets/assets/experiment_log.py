"""What the publisher asks about the experiment: whether one runs, whether it is the one that started, what it logs.

A declaration is frozen by the first delivery on or after its start, in a table of the warehouse that only ever grows.
From then on a file that says something else stops the delivery, and so do arms that are not the declared ones.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any, NamedTuple

import pyarrow as pa

from holley_assets.core.output_tables import DECLARATIONS_TABLE, EXPOSURES_TABLE
from holley_assets.evaluation.systems import BASELINE, delivered_system
from holley_assets.experiment.declaration import Declaration, read_declaration
from holley_assets.ranking.arms import BUCKETS, GRAPH_ARM, SQL_ARM
from holley_assets.resources.warehouse.interface import Exposures, MissingTableError, Warehouse
from holley_assets.settings import ServingSettings, Settings

_SCHEMA = pa.schema(
    [
        pa.field("experiment", pa.string(), nullable=False),
        pa.field("fingerprint", pa.string(), nullable=False),
        pa.field("declaration", pa.string(), nullable=False),
        pa.field("frozen_at", pa.timestamp("us", "UTC"), nullable=False),
        pa.field("run_id", pa.string(), nullable=False),
    ]
)


class DeclarationError(ValueError):
    """The experiment is not what was declared. The message is one line that says what differs."""


class Frozen(NamedTuple):
    """A declaration as it was when its experiment started."""

    declaration: Declaration
    frozen_at: datetime.datetime


def declared_experiment(settings: Settings) -> Declaration | None:
    """The declaration that ``HOLLEY_EXPERIMENT_DECLARATION`` names; None where it is unset.

    Raises:
        DeclarationError: the file cannot be read, or is no declaration.
    """
    path = settings.experiment.declaration
    if path is None:
        return None
    try:
        return read_declaration(path.expanduser())
    except ValueError as error:
        raise DeclarationError(f"HOLLEY_EXPERIMENT_DECLARATION: {error}") from error


def require_agreement(
    declaration: Declaration, serving: ServingSettings, *, assigned_buckets: int, started: bool
) -> None:
    """Make sure that the arms are the declared ones: name, salt and, until the start, the share.

    A share may change later on, by setting: the readout compares within the periods of each. A rollout may start below
    the declared share.

    Raises:
        DeclarationError: one differs. The message names the setting, its value and the declared one.
    """
    problems = [
        f"{variable}={found} and the declaration has {field} = {expected}"
        for variable, field, found, expected in (
            ("HOLLEY_SERVING_EXPERIMENT", "name", serving.experiment, declaration.name),
            ("HOLLEY_SERVING_SALT", "salt", serving.salt, declaration.salt),
        )
        if found != expected
    ]
    declared = round(declaration.share * BUCKETS)
    agrees = assigned_buckets <= declared if serving.mode == "rollout" else assigned_buckets == declared
    if not started and not agrees:
        problems.append(
            f"HOLLEY_SERVING_MODE={serving.mode} assigns {assigned_buckets / BUCKETS:g} of the users to the graph and "
            f"the declaration has share = {declaration.share:g}"
        )
    if problems:
        raise DeclarationError(f"experiment {declaration.name}: {'; '.join(problems)}")


def frozen_declaration(warehouse: Warehouse, settings: Settings, name: str) -> Frozen | None:
    """The declaration of experiment ``name`` as it was frozen; None while it has not started.

    Raises:
        WarehouseError: the record cannot be read.
    """
    try:
        record = warehouse.read_table(settings.serving_dataset, DECLARATIONS_TABLE)
    except MissingTableError:
        return None
    rows = [row for row in record.to_pylist() if row["experiment"] == name]
    if not rows:
        return None
    first = min(rows, key=lambda row: row["frozen_at"])
    return Frozen(Declaration.model_validate_json(first["declaration"]), first["frozen_at"])


def require_unchanged(declaration: Declaration, frozen: Declaration) -> None:
    """Make sure that a declaration is the frozen one.

    Raises:
        DeclarationError: it is not. The message names each field that differs, with both values.
    """
    if declaration.fingerprint() == frozen.fingerprint():
        return
    now, then = _fields(declaration), _fields(frozen)
    differences = [
        f"{name} is {now.get(name, 'not there')} and was {then.get(name, 'not there')}"
        for name in sorted(now.keys() | then.keys())
        if now.get(name) != then.get(name)
    ]
    raise DeclarationError(
        f"experiment {frozen.name} has started and its declaration is frozen: {'; '.join(differences)}; put the file "
        "back, or declare an experiment of another name"
    )


def start_experiment(
    warehouse: Warehouse,
    settings: Settings,
    *,
    day: datetime.date,
    assigned_buckets: int,
    run_id: str,
    model_version: str = "",
) -> tuple[Exposures | None, list[str]]:
    """What a publication of ``day`` logs, and what a person should know; freezes the declaration at the start.

    Nothing is logged where no experiment is declared, before its start and after its planned end.

    Args:
        settings: as the environment has them now.
        assigned_buckets: of 10,000 hash buckets, how many are assigned to the graph.
        model_version: whose parts the graph's arm receives; it says what ranked them. Empty where nobody does.

    Raises:
        DeclarationError: the declaration or the arms are not what they were when the experiment started.
        WarehouseError: the record of declarations cannot be read or written.
    """
    declaration = declared_experiment(settings)
    if declaration is None:
        return None, []
    frozen = frozen_declaration(warehouse, settings, declaration.name)
    if frozen is not None:
        require_unchanged(declaration, frozen.declaration)
    if day > declaration.planned_end:
        return None, [f"experiment {declaration.name} ended on {declaration.planned_end}: nothing is logged"]
    try:
        require_agreement(
            declaration, settings.serving, assigned_buckets=assigned_buckets, started=frozen is not None
        )
    except DeclarationError as error:
        if day < declaration.start:
            return None, [f"from {declaration.start} on this stops the delivery: {error}"]
        raise
    if day < declaration.start:
        return None, []
    told: list[str] = []
    if frozen is None:
        _freeze(warehouse, settings, declaration, run_id)
        told = [
            f"experiment {declaration.name} starts with this delivery: its declaration is frozen, and each delivery "
            f"until {declaration.planned_end} is logged"
        ]
    exposures = Exposures(
        settings.serving_dataset,
        EXPOSURES_TABLE,
        declaration.name,
        day,
        assigned_buckets / BUCKETS,
        {GRAPH_ARM: delivered_system(model_version), SQL_ARM: BASELINE},
        run_id,
    )
    return exposures, told


def _freeze(warehouse: Warehouse, settings: Settings, declaration: Declaration, run_id: str) -> None:
    row = {
        "experiment": declaration.name,
        "fingerprint": declaration.fingerprint(),
        "declaration": declaration.model_dump_json(),
        "frozen_at": datetime.datetime.now(datetime.UTC),
        "run_id": run_id,
    }
    rows = pa.Table.from_pylist([row], schema=_SCHEMA)
    warehouse.append_rows(settings.serving_dataset, DECLARATIONS_TABLE, rows)


def _fields(declaration: Declaration) -> dict[str, Any]:
    """Every field by its name in the file, those of a section as ``section.field``."""
    found: dict[str, Any] = {}
    for name, value in declaration.model_dump(mode="json").items():
        inner = value if isinstance(value, Mapping) else {}
        found |= {f"{name}.{key}": each for key, each in inner.items()} or {name: value}
    return found | {"looks": ", ".join(day.isoformat() for day in declaration.look_dates())}
