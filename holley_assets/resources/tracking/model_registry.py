"""Which models there are, which one is next in line, and which one serves: MLflow's model registry.

Every training is a version of one registered model. Alias ``challenger`` is the newest version that passed its
checks; alias ``champion`` is the one that somebody promoted. What is known about a version stands in its tags,
so that MLflow's own pages show it.
"""

from __future__ import annotations

import dataclasses
import datetime
import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from holley_assets.core.time_windows import source_of
from holley_assets.resources.storage.artifacts import Reference
from holley_assets.resources.tracking.mlflow_store import as_tracking_errors, open_client, store_uri
from holley_assets.resources.tracking.registered_model import (
    PromotionRefused,
    RegisteredModel,
    reasons_not_to_promote,
    require_source,
)
from holley_assets.settings import Settings, TrackingSettings
from holley_assets.texts import for_mlflow_key

if TYPE_CHECKING:
    from mlflow.entities.model_registry import RegisteredModel as MlflowModel

REGISTERED_MODEL = "holley-gnn"
CHAMPION = "champion"
CHALLENGER = "challenger"
# Versions that were champion, the present one last. It stands on the registered model.
_SUCCESSION = "succession"
_DESCRIPTION = (
    "Part recommendations on the vehicle fitment graph. `challenger` is the newest version that passed its "
    "checks, `champion` the one that serves; job `promote` makes the one the other."
)


class ModelRegistry:
    """The versions of :data:`REGISTERED_MODEL`.

    Args:
        uri: of MLflow.
        waiting: how long MLflow is waited for.
        source: where the customers are from that a champion serves: sample, parquet or bigquery.

    Raises:
        TrackingError: from every method, where the registry cannot be reached or written.
    """

    def __init__(self, uri: str, waiting: TrackingSettings, source: str) -> None:
        self._source = source
        with as_tracking_errors():
            self._client = open_client(uri, waiting)

    @as_tracking_errors()
    def register(
        self,
        *,
        mlflow_run: str,
        dagster_run_id: str,
        model_version: str,
        reference: Reference,
        as_of: datetime.date,
        metrics: Mapping[str, float | int | None],
        started_from: str | None = None,
        learnt_from: Mapping[str, str] | None = None,
    ) -> RegisteredModel:
        """Register what a training made. The same weights of the same run are one version, however often.

        Args:
            mlflow_run: the training's MLflow run, with its curves and a copy of the checkpoint.
            metrics: validation metrics and graph statistics, by name.
            learnt_from: ``source``, ``source_kind`` and ``window`` of its data.
        """
        facts = {
            "checkpoint": json.dumps(dataclasses.asdict(reference)),
            **(learnt_from or {}),
            **_numbers("training", metrics),
        }
        for known in self.versions(dagster_run_id=dagster_run_id, model_version=model_version):
            # A step that is tried again writes its checkpoint again.
            self._tag(known.version, facts)
            return self.get(known.version)
        if started_from is not None:
            facts["started_from"] = started_from
        if self._model() is None:
            self._client.create_registered_model(REGISTERED_MODEL, description=_DESCRIPTION)
        made = self._client.create_model_version(
            REGISTERED_MODEL,
            f"runs:/{mlflow_run}/{reference.path.rpartition('/')[2]}",
            run_id=mlflow_run,
            tags={
                "model_version": model_version,
                "dagster_run_id": dagster_run_id,
                "as_of": as_of.isoformat(),
                **facts,
            },
        )
        return self.get(int(made.version))

    @as_tracking_errors()
    def record_evaluation(
        self, version: int, *, metrics: Mapping[str, float | int], outcome: str, gates: Mapping[str, bool]
    ) -> RegisteredModel:
        """Note a report's decision and gates on a version; ``gates_passed`` comes last and needs them all."""
        passed = bool(gates) and all(gates.values())
        self._tag(
            version,
            {
                **_numbers("evaluation", metrics),
                "outcome": outcome,
                "gates": json.dumps(dict(gates)),
                "gates_passed": str(passed).lower(),
            },
        )
        return self.get(version)

    @as_tracking_errors()
    def mark_challenger(self, version: int) -> RegisteredModel:
        """Note that a version passed its checks; it is the challenger unless a newer one is."""
        self._tag(version, {"checks_passed": "true"})
        marked, present = self.get(version), self.challenger()
        if present is None or present.age < marked.age:
            self._client.set_registered_model_alias(REGISTERED_MODEL, CHALLENGER, str(version))
        return marked

    @as_tracking_errors()
    def champion(self) -> RegisteredModel | None:
        """The version that serves: the newest that was promoted and not sent away; ``None`` without one.

        A rollback sends a champion away first and puts everything else back then, so that one that is cut off in
        between delivers nothing of it.
        """
        return next(self._serving(), None)

    @as_tracking_errors()
    def challenger(self) -> RegisteredModel | None:
        """The newest version that passed its checks."""
        return self._aliased(CHALLENGER)

    @as_tracking_errors()
    def get(self, version: int) -> RegisteredModel:
        """A version by its number."""
        return RegisteredModel.from_mlflow(self._client.get_model_version(REGISTERED_MODEL, str(version)))

    @as_tracking_errors()
    def by_model_version(self, model_version: str) -> RegisteredModel | None:
        """The newest version with these weights."""
        return next(iter(self.versions(model_version=model_version)), None)

    @as_tracking_errors()
    def newest_from_nothing(self) -> RegisteredModel | None:
        """The version with the newest data among those whose training started from nothing."""
        rebuilt = (model for model in self.versions() if model.started_from is None)
        return max(rebuilt, key=lambda model: model.age, default=None)

    @as_tracking_errors()
    def promote(
        self, version: int, *, by: str, reason: str, forced: bool, now: datetime.datetime
    ) -> RegisteredModel:
        """Make a version the champion; one that is it already stays as it is.

        Args:
            by: who wants it.
            reason: why; it stays on the version.
            forced: promote in spite of failed gates, missing checks or a newer champion.
            now: UTC.

        Raises:
            PromotionRefused: nobody or no reason is named, or the version may not be promoted unforced.
        """
        _require_who_and_why(by, reason)
        model, champion = self.get(version), self.champion()
        require_source(model, self._source)
        if champion is not None and champion.version == version:
            return champion
        objected = reasons_not_to_promote(model, champion)
        if objected and not forced:
            raise PromotionRefused(
                f"version {version} ({model.model_version}) is not promoted, because {'; '.join(objected)}. "
                "Set force, with the reason, to promote it all the same"
            )
        previous = {"previous_champion": str(champion.version)} if champion is not None else {}
        overruled = {"overruled": "; ".join(objected)} if objected else {}
        self._tag(version, {**_decision(by, reason, now), **previous, **overruled})
        for tag in ("withdrawn_by", "withdrawn_at", "withdrawal_reason"):
            if model.withdrawn_by is not None:
                self._client.delete_model_version_tag(REGISTERED_MODEL, str(version), tag)
        self._set_champion([*self._succession(), version])
        return self.get(version)

    @as_tracking_errors()
    def leaving_and_returning(self) -> tuple[RegisteredModel, RegisteredModel] | None:
        """The champion that a rollback sends away and the one that it brings back; ``None`` without both.

        One that was sent away by a rollback that was cut off is still the one that leaves.
        """
        succession = self._succession()
        if not succession:
            return None
        leaving = self.get(succession[-1])
        returning = next((model for model in self._serving() if model.version != leaving.version), None)
        return (leaving, returning) if returning is not None else None

    @as_tracking_errors()
    def withdraw_champion(self, *, by: str, reason: str, now: datetime.datetime) -> None:
        """Send the champion away: from now on it serves nobody, and the one before it is the champion.

        Raises:
            PromotionRefused: nobody or no reason is named, or there was no champion before.
        """
        _require_who_and_why(by, reason)
        pair = self.leaving_and_returning()
        if pair is None:
            raise PromotionRefused("there was none before the present one")
        if pair[0].withdrawn_by is None:
            # Who, the tag that decides, comes last.
            withdrawal = {"withdrawal_reason": reason, "withdrawn_at": now.isoformat(), "withdrawn_by": by}
            self._tag(pair[0].version, withdrawal)

    @as_tracking_errors()
    def restore_previous_champion(self, *, by: str, reason: str, now: datetime.datetime) -> RegisteredModel:
        """Make the champion before this one the champion again; the one that leaves keeps who sent it away.

        Raises:
            PromotionRefused: nobody or no reason is named, or there was no champion before.
        """
        self.withdraw_champion(by=by, reason=reason, now=now)
        pair = self.leaving_and_returning()
        assert pair is not None, "withdraw_champion has seen both"
        returning = pair[1].version
        self._tag(returning, _decision(by, reason, now))
        succession = self._succession()
        last = len(succession) - succession[::-1].index(returning)
        self._set_champion(succession[:last])
        return self.get(returning)

    def _serving(self) -> Iterator[RegisteredModel]:
        """Champions so far, newest first, without those that were sent away or may not serve this source."""
        for version in reversed(self._succession()):
            model = self.get(version)
            if model.withdrawn_by is None and model.may_serve(self._source):
                yield model

    def _set_champion(self, succession: list[int]) -> None:
        """Write the succession, then the alias, which alone decides who is champion."""
        self._client.set_registered_model_tag(REGISTERED_MODEL, _SUCCESSION, json.dumps(succession))
        self._client.set_registered_model_alias(REGISTERED_MODEL, CHAMPION, str(succession[-1]))

    def _succession(self) -> list[int]:
        """Champions so far, the present one last; a change that was cut off before the alias never was."""
        model = self._model()
        if model is None or CHAMPION not in model.aliases:
            return []
        champion = int(model.aliases[CHAMPION])
        noted: list[int] = json.loads(model.tags.get(_SUCCESSION, "[]"))
        if champion not in noted:
            return [*noted, champion]
        last = len(noted) - noted[::-1].index(champion)
        return noted[:last]

    def _aliased(self, alias: str) -> RegisteredModel | None:
        model = self._model()
        return self.get(int(model.aliases[alias])) if model is not None and alias in model.aliases else None

    def _model(self) -> MlflowModel | None:
        from mlflow.exceptions import MlflowException

        try:
            return self._client.get_registered_model(REGISTERED_MODEL)
        except MlflowException as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
            return None

    @as_tracking_errors()
    def versions(self, **tags: str) -> list[RegisteredModel]:
        """Versions with these tags, newest first."""
        conditions = [f"name = '{REGISTERED_MODEL}'"]
        conditions += [f"tags.{name} = '{value}'" for name, value in tags.items()]
        found: list[RegisteredModel] = []
        page: str | None = None
        while page is None or page:
            versions = self._client.search_model_versions(
                " AND ".join(conditions), order_by=["version_number DESC"], page_token=page
            )
            found += [RegisteredModel.from_mlflow(version) for version in versions]
            page = versions.token or ""
        return found

    def _tag(self, version: int, tags: Mapping[str, str]) -> None:
        for name, value in tags.items():
            self._client.set_model_version_tag(REGISTERED_MODEL, str(version), name, value)


def open_model_registry(settings: Settings) -> ModelRegistry:
    """Registry of the settings' tracking server, or of the SQLite store under ``HOLLEY_DATA_DIR``."""
    return ModelRegistry(store_uri(settings), settings.tracking, source_of(settings.run))


def _require_who_and_why(by: str, reason: str) -> None:
    missing = [name for name, value in (("by", by), ("reason", reason)) if not value.strip()]
    if missing:
        raise PromotionRefused(f"say {' and '.join(missing)}; both are kept on the registry")


def _decision(by: str, reason: str, now: datetime.datetime) -> dict[str, str]:
    return {"promoted_by": by, "promoted_at": now.isoformat(), "promotion_reason": reason}


def _numbers(prefix: str, values: Mapping[str, float | int | None]) -> dict[str, str]:
    """Numbers as tags; a tag's name may not hold ``@``."""
    known = {for_mlflow_key(name): value for name, value in values.items() if value is not None}
    return {f"{prefix}.{name}": f"{value:.6g}" for name, value in known.items()}
