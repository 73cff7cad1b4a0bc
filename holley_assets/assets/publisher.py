"""The publisher: the one way to the tables that others read.

Weekly and daily runs, a rollback, the kill switch, an asset alone, a run that is repeated: all publish here, by one
procedure. It proves that the rows are what the checks judged, asks the kill switch, the mode, the share and the
champion again, last, as they are now, and replaces the table on the condition that nobody decided otherwise meanwhile.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import dagster as dg
import pyarrow as pa

from holley_assets.assets.experiment_log import DeclarationError, start_experiment
from holley_assets.assets.kept_versions import drop_expired, name_beside
from holley_assets.assets.publishing import ProvenTable, PublicationRefused, prove
from holley_assets.assets.rollout_limit import rollout_limit
from holley_assets.assets.serving_plan import Present, buckets_of, ever_served, present_plan
from holley_assets.checks.provenance import Lineage
from holley_assets.checks.staged_table import judged_name
from holley_assets.core.asset_keys import DELIVERED_TABLE, SERVING_TABLE, SIMILAR_PARTS_TABLE
from holley_assets.core.metadata_keys import (
    ASSIGNED_BUCKETS,
    BUCKETS_OF,
    GRAPH_BUCKETS,
    KILL_SWITCH,
    MODEL_VERSION,
)
from holley_assets.core.output_tables import OUTPUT_DATASET, OUTPUT_TABLE, SIMILAR_PARTS_OUTPUT
from holley_assets.core.time_windows import TimeWindows
from holley_assets.ranking.arms import ARM, ASSIGNED_ARM, BUCKETS, GRAPH_ARM, is_assigned_by
from holley_assets.resources.run_lease import require_lease
from holley_assets.resources.serving_switch import Switch, begin_record, read_switch
from holley_assets.resources.settings_resource import SettingsResource
from holley_assets.resources.warehouse.interface import ChangedError, Exposures, Unchanged, Warehouse
from holley_assets.resources.warehouse_resource import WarehouseResource, origin_of
from holley_assets.settings import ServingSettings, Settings

# Decisions that may come while one publication asks: more is no accident.
_ATTEMPTS = 5

Context = dg.AssetExecutionContext | dg.OpExecutionContext


class Target(NamedTuple):
    """A table that others read, and the asset that stands for it."""

    asset: dg.AssetKey
    dataset: str
    table: str

    @property
    def name(self) -> str:
        """``dataset.table``."""
        return f"{self.dataset}.{self.table}"


class Publication(NamedTuple):
    """What was published.

    Attributes:
        rows: of the table.
        name: of the table that holds them; a dated one where they are older than what is served.
        proven: the staged table.
        switch: the kill switch as it was; None for the delivered table, which nobody serves from.
        warnings: what a person should know, a line each.
    """

    rows: int
    name: str
    proven: ProvenTable
    switch: Switch | None
    warnings: list[str]


class PublisherResource(dg.ConfigurableResource["PublisherResource"]):
    """Publishes staged tables and puts earlier versions back. Whoever may do so asks for this resource."""

    settings: SettingsResource
    warehouse: WarehouseResource

    def target(self, asset: dg.AssetKey) -> Target:
        """The table behind an asset, as the settings have it now."""
        if asset == DELIVERED_TABLE:
            return Target(asset, OUTPUT_DATASET, OUTPUT_TABLE)
        if asset == SIMILAR_PARTS_TABLE:
            return Target(asset, OUTPUT_DATASET, SIMILAR_PARTS_OUTPUT)
        assert asset == SERVING_TABLE, "three assets stand for tables that others read"
        settings = self.settings.load()
        return Target(asset, settings.serving_dataset, settings.serving.table)

    def open(self, context: Context, source_location: str) -> Warehouse:
        """The warehouse of the run, with the serving table of the settings as they are now."""
        present = self.settings.load()
        frozen = self.settings.of_run(context.run)
        settings = frozen.model_copy(update={"serving": present.serving})
        return self.warehouse.open(settings, source_location, origin=origin_of(context))

    def publish(
        self,
        context: Context,
        asset: dg.AssetKey,
        staged: dg.AssetKey,
        *,
        checks: Sequence[dg.AssetCheckKey],
        lineage: Lineage,
        windows: TimeWindows,
    ) -> Publication:
        """Put the staged table that the checks judged in the place of the table behind ``asset``.

        Args:
            asset: whose table is replaced.
            staged: whose rows are published.
            checks: all that must have passed, on ``staged`` and on what it was made from.
            lineage: what ``staged`` was made from.
            windows: of the run.

        Raises:
            PublicationRefused: the rows are not what was judged, or the serving table may not be filled with them.
            LeaseError: another run holds the lease.
            WarehouseError: the warehouse refuses a step.
            TrackingError: nobody can say who the champion is.
        """
        require_lease(context.run.run_id)
        present = self.settings.load()
        proven = prove(
            context.instance, self.settings, staged, checks=checks, lineage=lineage, day=windows.as_of
        )
        opened = self.open(context, windows.source_location)
        name = judged_name(
            opened,
            context.instance,
            [check for check in checks if check.asset_key == staged],
            staged,
            proven.sha256,
        )
        target = self.target(asset)
        dated = beside_target(opened, present, target, windows.as_of)
        if dated is not None:
            rows = opened.publish_staged(name, target.dataset, dated, keep_snapshot=False)
            warning = (
                f"{target.name} holds rows of a later day than {windows.as_of} and stays; these are in "
                f"{target.dataset}.{dated} (HOLLEY_SERVING_OLDER_DAY)"
            )
            return Publication(rows, f"{target.dataset}.{dated}", proven, None, [warning])
        if asset != SERVING_TABLE:
            rows = opened.publish_staged(name, target.dataset, target.table)
            return Publication(rows, target.name, proven, None, self._drop_expired(opened, present, target))

        def ask() -> Present:
            facts = proven.staged.metadata
            model = str(facts[MODEL_VERSION]) if facts[GRAPH_BUCKETS] else None
            asked = present_plan(opened, present, model)
            _require_plan(asked, facts, present.serving)
            return asked

        def replace(condition: Unchanged, exposures: Exposures | None) -> int:
            return opened.publish_staged(
                name, target.dataset, target.table, unless_changed=condition, exposures=exposures
            )

        serve = Serving(opened, present, windows.as_of, context.run.run_id)
        rows, switch, warnings = serve.as_decided(ask, replace)
        warnings += self._drop_expired(opened, present, target)
        return Publication(rows, target.name, proven, switch, warnings)

    def restore(
        self,
        context: Context,
        opened: Warehouse,
        target: Target,
        snapshot: str,
        ask: Callable[[], Present],
        *,
        day: datetime.date,
    ) -> int:
        """Put an earlier version of a table back; returns its rows.

        Args:
            day: today. Customers see the version from this day on, whatever day its rows are of.
            ask: makes sure that the version may be served, as everything is now; for the serving table alone.

        Raises:
            PublicationRefused: it may not be served.
            LeaseError: another run holds the lease.
            WarehouseError: the warehouse refuses a step.
            TrackingError: nobody can say who the champion is.
        """
        require_lease(context.run.run_id)
        if target.asset != SERVING_TABLE:
            return opened.restore_snapshot(target.dataset, target.table, snapshot)

        def replace(condition: Unchanged, exposures: Exposures | None) -> int:
            return opened.restore_snapshot(
                target.dataset, target.table, snapshot, unless_changed=condition, exposures=exposures
            )

        earlier = opened.read_table(target.dataset, snapshot).select(["email_lower", ASSIGNED_ARM])
        serve = Serving(opened, self.settings.load(), day, context.run.run_id, urgent=True, earlier=earlier)
        rows, _, warnings = serve.as_decided(ask, replace)
        for warning in warnings:
            context.log.warning(warning)
        return rows

    def _drop_expired(self, opened: Warehouse, settings: Settings, target: Target) -> list[str]:
        """Let old versions go; what stands in the way is a warning, for the table is published."""
        return drop_expired(opened, settings, target.dataset, target.table)


class Serving(NamedTuple):
    """A replacement of the serving table, and what it logs of an experiment.

    Attributes:
        opened: the warehouse.
        settings: as the environment has them now.
        day: on which the rows are served.
        run_id: who publishes.
        urgent: customers are to get other parts at once: an experiment that is not as declared warns, and is not
            logged.
        earlier: ``email_lower, assigned_arm`` of the earlier version that comes back. It may be of another share than
            the present one; the log would then say of users that they were assigned to an arm that the share denies,
            and the readout would find arms without their users.
    """

    opened: Warehouse
    settings: Settings
    day: datetime.date
    run_id: str
    urgent: bool = False
    earlier: pa.Table | None = None

    def as_decided(
        self, ask: Callable[[], Present], replace: Callable[[Unchanged, Exposures | None], int]
    ) -> tuple[int, Switch, list[str]]:
        """Ask and replace, again where somebody decided something in between; rows, switch and warnings.

        Raises:
            PublicationRefused: the table may not be replaced, or the experiment is not as declared.
        """
        begin_record(self.opened, self.settings)
        for _ in range(_ATTEMPTS):
            asked = ask()
            exposures, warnings = self._exposures(asked)
            try:
                return replace(asked.switch.record, exposures), asked.switch, warnings
            except ChangedError:
                continue
        raise PublicationRefused(f"the kill switch was decided on {_ATTEMPTS} times while this run asked it")

    def _exposures(self, asked: Present) -> tuple[Exposures | None, list[str]]:
        nothing, assigned_buckets = "Nothing is logged of the experiment", asked.plan.assigned_buckets
        try:
            exposures, warnings = start_experiment(
                self.opened,
                self.settings,
                day=self.day,
                assigned_buckets=assigned_buckets,
                run_id=self.run_id,
                model_version=asked.plan.model_version,
            )
        except DeclarationError as error:
            if self.urgent or asked.plan.kill_switch:
                return None, [f"{nothing}: {error}"]
            raise PublicationRefused(str(error)) from error
        salt = self.settings.serving.hash_salt
        if exposures is None or self.earlier is None:
            return exposures, warnings
        if is_assigned_by(self.earlier, assigned_buckets=assigned_buckets, salt=salt):
            return exposures, warnings
        share = f"{assigned_buckets / BUCKETS:.0%}"
        return None, [
            f"{nothing}: the version that comes back assigned others to the graph than {share} of now"
        ]


def beside_target(opened: Warehouse, settings: Settings, target: Target, day: datetime.date) -> str | None:
    """Name of the table for rows of ``day``, where the target holds later ones and they are to stay; else None.

    While the kill switch is on, or a readout takes the graph's parts from everybody, no row of the graph stays, of
    whatever day it is: nobody else would take it away.

    Raises:
        WarehouseError: the target, the record of the switch or the readout cannot be read.
    """
    beside = name_beside(opened, settings.serving, target.dataset, target.table, day)
    if beside is None or target.asset != SERVING_TABLE or not ever_served(opened, settings):
        return beside
    limit = rollout_limit(settings)
    if not read_switch(opened, settings).is_on and (limit is None or limit.share > 0.0):
        return beside
    arms = opened.value_counts(target.dataset, target.table, [ARM])
    return None if (GRAPH_ARM,) in arms else beside


def _require_plan(present: Present, staged: Mapping[str, object], serving: ServingSettings) -> None:
    """Make sure that staged rows are what the serving table is to hold now.

    Raises:
        PublicationRefused: they are not. The message says what differs and what to run.
    """
    plan, switch = present.plan, present.switch
    of_graph = int(str(staged[GRAPH_BUCKETS]))
    if plan.kill_switch and of_graph:
        raise PublicationRefused(
            f"these rows give the graph's parts to {of_graph / BUCKETS:.0%} of the users, and the kill switch is "
            f"{switch.words}; run serve_sql_only"
        )
    if staged[KILL_SWITCH] and not switch.is_on:
        raise PublicationRefused(
            f"these rows were staged while the kill switch was on, and it is {switch.words}; run daily_score"
        )
    if not plan.touched:
        raise PublicationRefused(plan.reason)
    if staged[BUCKETS_OF] != buckets_of(serving):
        raise PublicationRefused(
            "these rows were staged with another HOLLEY_SERVING_SALT or HOLLEY_SERVING_EXPERIMENT; run daily_score"
        )
    expected = (0 if plan.kill_switch else plan.graph_buckets, plan.assigned_buckets)
    found = (of_graph, int(str(staged[ASSIGNED_BUCKETS])))
    if found != expected:
        raise PublicationRefused(
            f"these rows were staged for {found[1] / BUCKETS:.0%} of the users, and HOLLEY_SERVING_MODE={serving.mode} "
            f"is {expected[1] / BUCKETS:.0%} now; run {'serve_sql_only' if plan.kill_switch else 'daily_score'}"
        )
