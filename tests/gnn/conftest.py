"""Fixtures of the small world."""

import pytest
from gnn.small_world import make_graph, make_tables


@pytest.fixture
def tables():
    return make_tables()


@pytest.fixture
def graph(tables):
    return make_graph(tables).data
