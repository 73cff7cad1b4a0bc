"""The champion changes by a person's decision: job `promote`, and the way back."""

import datetime

import dagster as dg
from pydantic import Field

from holley_assets.assets.champion import champion_materialization
from holley_assets.resources.settings_resource import SettingsResource
from holley_assets.resources.storage.artifacts import ArtifactError, ArtifactStore
from holley_assets.resources.storage.interface import FileStore, StorageError
from holley_assets.resources.tracking.journal import TrackingJournal
from holley_assets.resources.tracking.mlflow_store import TrackingError
from holley_assets.resources.tracking.model_registry import ModelRegistry, open_model_registry
from holley_assets.resources.tracking.registered_model import PromotionRefused, RegisteredModel
from holley_assets.settings import Settings

_STAYS = "The champion stays"


class PromotionConfig(dg.Config):
    """Which model becomes the champion, who says so, and why."""

    by: str = Field(description="who promotes; kept on the registry")
    reason: str = Field(description="why; kept on the registry")
    version: int | None = Field(None, description="version in the registry; unset: the challenger")
    model_version: str | None = Field(
        None, description="name of the weights, as in the delivered table; in the place of version"
    )
    force: bool = Field(
        False,
        description="promote in spite of an outcome other than clear_win, failed gates, missing checks, a "
        "rollback or a newer champion; the reason is kept. No sample's model is promoted for real customers",
    )


def promote_model(
    settings: Settings, store: FileStore, config: PromotionConfig, *, now: datetime.datetime
) -> RegisteredModel:
    """Make the model that ``config`` names the champion, once its checkpoint is seen to be whole.

    Raises:
        PromotionRefused: there is no such model, it may not be promoted, or its checkpoint is not what was
            written; force does not help against the last.
        TrackingError: the registry does not answer.
    """
    registry = open_model_registry(settings)
    model = _named(registry, config)
    require_checkpoint(model, store)
    return registry.promote(model.version, by=config.by, reason=config.reason, forced=config.force, now=now)


def restore_champion(
    settings: Settings, store: FileStore, *, by: str, reason: str, now: datetime.datetime
) -> RegisteredModel:
    """Make the champion before this one the champion again.

    Raises:
        PromotionRefused: there was none before, or its checkpoint is not what was written.
        TrackingError: the registry does not answer.
    """
    registry = open_model_registry(settings)
    pair = registry.leaving_and_returning()
    if pair is not None:
        require_checkpoint(pair[1], store)
    return registry.restore_previous_champion(by=by, reason=reason, now=now)


@dg.op(
    name="promote_model",
    description="Makes the challenger, or the version that the configuration names, the champion. Refuses a "
    "model that is no clear win, whose checks are missing, that was rolled back or is older than the champion, unless "
    "forced; and one that learnt from a sample for real customers, always.",
    out=dg.Out(dg.Nothing),
)
def promote_op(context: dg.OpExecutionContext, config: PromotionConfig, settings: SettingsResource) -> None:
    """Promote, and tell the asset graph."""
    loaded, store = settings.load(), settings.store()
    # What waits in the journal may be the very model that is asked for.
    sent = TrackingJournal(loaded, store).send()
    if sent.warning:
        context.log.warning(sent.warning)
    try:
        model = promote_model(loaded, store, config, now=datetime.datetime.now(datetime.UTC))
    except (PromotionRefused, TrackingError) as error:
        raise dg.Failure(f"{_STAYS}: {error}", allow_retries=False) from None
    context.log_event(champion_materialization(model))
    context.log.info(f"The champion is version {model.version} ({model.model_version})")


@dg.job(
    name="promote",
    description="Make a model the champion: the challenger, unless a version is named. Say who does so and why.",
    executor_def=dg.in_process_executor,
    # What the launchpad shows to be filled in.
    config={"ops": {"promote_model": {"config": {"by": "", "reason": "", "force": False}}}},
)
def promote() -> None:
    """One step, which reads the registry and writes it."""
    promote_op()


def _named(registry: ModelRegistry, config: PromotionConfig) -> RegisteredModel:
    if config.version is not None and config.model_version is not None:
        raise PromotionRefused("name a version or a model_version, not both")
    if config.version is not None:
        return registry.get(config.version)
    if config.model_version is not None:
        found, wanted = registry.by_model_version(config.model_version), config.model_version
    else:
        found, wanted = registry.challenger(), "the challenger"
    if found is None:
        raise PromotionRefused(f"there is no {wanted.removeprefix('the ')} in the registry")
    return found


def require_checkpoint(model: RegisteredModel, store: FileStore) -> None:
    """Raises PromotionRefused if the checkpoint of ``model`` is missing or not what was written."""
    try:
        ArtifactStore(store, model.dagster_run_id).locate(model.reference)
    except (ArtifactError, StorageError) as error:
        raise PromotionRefused(
            f"the checkpoint of version {model.version} cannot be used: {error}"
        ) from error
