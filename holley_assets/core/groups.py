"""What all assets share. Groups read left to right as the data flows."""

from __future__ import annotations

from collections.abc import Sequence

import dagster as dg

SOURCES = "sources"
GRAPH_TABLES = "graph_tables"
MODEL = "model"
RECOMMENDATIONS = "recommendations"
EVALUATION = "evaluation"
DELIVERY = "delivery"
EXPERIMENT = "experiment"
EXPLORATION = "exploration"

OWNERS = ["team:recommendations"]
IO_MANAGER = "io_manager"


def table_spec(
    name: str, *, group: str, deps: Sequence[dg.AssetKey | str], kinds: set[str], description: str
) -> dg.AssetSpec:
    """One of several assets of a step. Each has a value that the IO manager writes; a bare spec has none."""
    return dg.AssetSpec(
        name, deps=deps, group_name=group, owners=OWNERS, kinds=kinds, description=description
    ).with_io_manager_key(IO_MANAGER)
