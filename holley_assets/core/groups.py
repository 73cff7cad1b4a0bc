"""What all assets share. Groups are numbered as the data flow: the UI lists them by name."""

from __future__ import annotations

from collections.abc import Sequence

import dagster as dg

SOURCES = "1_sources"
GRAPH_TABLES = "2_graph_tables"
MODEL = "3_model"
RECOMMENDATIONS = "4_recommendations"
EVALUATION = "5_evaluation"
DELIVERY = "6_delivery"
EXPERIMENT = "7_experiment"
EXPLORATION = "8_exploration"

OWNERS = ["team:recommendations"]
IO_MANAGER = "io_manager"


def table_spec(
    name: str, *, group: str, deps: Sequence[dg.AssetKey | str], kinds: set[str], description: str
) -> dg.AssetSpec:
    """One of several assets of a step. Each has a value that the IO manager writes; a bare spec has none."""
    return dg.AssetSpec(
        name, deps=deps, group_name=group, owners=OWNERS, kinds=kinds, description=description
    ).with_io_manager_key(IO_MANAGER)
