"""A champion, as a person makes one."""

from __future__ import annotations

import datetime

from holley_assets.resources.tracking.model_registry import open_model_registry
from holley_assets.resources.tracking.registered_model import RegisteredModel
from holley_assets.settings import load_settings


def promote_version(model_version: str) -> RegisteredModel:
    """Promote a registered model, whatever its gates say."""
    registry = open_model_registry(load_settings())
    registered = registry.by_model_version(model_version)
    assert registered is not None
    now = datetime.datetime.now(datetime.UTC)
    return registry.promote(registered.version, by="a person", reason="a test", forced=True, now=now)
