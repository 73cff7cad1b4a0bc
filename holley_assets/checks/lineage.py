"""Which checks stand between the sources and an asset."""

from __future__ import annotations

from collections.abc import Iterable

import dagster as dg


def blocking_checks_upstream(
    asset: dg.AssetKey,
    assets: Iterable[dg.AssetsDefinition],
    checks: Iterable[dg.AssetChecksDefinition],
) -> list[dg.AssetCheckKey]:
    """Blocking checks on ``asset`` and on everything that it is made of, sorted."""
    parents: dict[dg.AssetKey, set[dg.AssetKey]] = {}
    specs: list[dg.AssetCheckSpec] = []
    for definition in assets:
        for key, dependencies in definition.asset_deps.items():
            parents[key] = set(dependencies)
        specs.extend(definition.check_specs)
    for definition in checks:
        specs.extend(definition.check_specs)
    reached: set[dg.AssetKey] = set()
    waiting = [asset]
    while waiting:
        key = waiting.pop()
        if key not in reached:
            reached.add(key)
            waiting.extend(parents.get(key, ()))
    return sorted(
        (spec.key for spec in specs if spec.blocking and spec.asset_key in reached),
        key=lambda check: (check.asset_key.path, check.name),
    )
