"""Fixtures of the small world."""

import pytest
from gnn.small_world import make_graph, make_tables
from torch_geometric.data import HeteroData

from holley_assets.gnn.graph_schema import GraphTables


@pytest.fixture
def tables() -> GraphTables:
    return make_tables()


@pytest.fixture
def graph(tables: GraphTables) -> HeteroData:
    return make_graph(tables).data
