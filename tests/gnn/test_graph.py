"""The graph holds what the tables say, once for users that nothing tells apart."""

import datetime
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch
from gnn.small_world import CUTOFF, make_graph
from present import present
from torch_geometric.data import HeteroData

from holley_assets.gnn.graph import load_graph, save_graph
from holley_assets.gnn.graph_schema import (
    CO_PURCHASED,
    EDGE_TYPES,
    FITS,
    INTERACTS,
    OWNS,
    REV_FITS,
    REV_INTERACTS,
    REV_OWNS,
    GraphTables,
)
from holley_assets.gnn.model import HeteroGAT, ModelOptions, Vectors
from holley_assets.gnn.towers import AttentionOptions


def test_three_node_types_and_seven_edge_types(graph: HeteroData) -> None:
    assert set(graph.node_types) == {"user", "product", "vehicle"}
    assert tuple(sorted(graph.edge_types)) == tuple(sorted(EDGE_TYPES))
    assert graph.validate()
    for forward, reverse in ((INTERACTS, REV_INTERACTS), (FITS, REV_FITS)):
        assert torch.equal(graph[forward].edge_index.flip(0), graph[reverse].edge_index)
        assert torch.equal(graph[forward].edge_attr, graph[reverse].edge_attr)


def test_users_without_history_share_a_node(graph: HeteroData, tables: GraphTables) -> None:
    built = make_graph(tables)
    count = built.data["user"].count
    assert count.sum() == tables.user_nodes.num_rows == len(built.user_profiles)
    assert torch.equal(torch.from_numpy(np.bincount(built.user_profiles, minlength=len(count))), count)
    active = built.user_profiles[:20]
    assert len(set(active)) == 20
    assert count[torch.from_numpy(active).long()].eq(1).all()
    # Six models in two years; the node of a car exists even where all its owners have history.
    assert len(count) == 12 + 20
    rows = tables.user_nodes.to_pylist()
    cars: dict[tuple[int, str, str], int] = {}
    for row, profile in zip(rows[20:], built.user_profiles[20:], strict=True):
        assert cars.setdefault((row["year"], row["make"], row["model"]), profile) == profile


def test_owners_that_do_not_exist_send_no_message(graph: HeteroData) -> None:
    owners = graph[OWNS].edge_index[0]
    assert graph["user"].count[owners].min() > 0
    assert graph[OWNS].multiplicity.sum() == 60
    assert graph[REV_OWNS].edge_index.shape[1] == graph["user"].num_nodes


def test_co_purchases_hold_both_directions_and_only_this_view(graph: HeteroData, tables: GraphTables) -> None:
    edges = set(map(tuple, graph[CO_PURCHASED].edge_index.t().tolist()))
    assert edges == {(0, 2), (2, 0), (1, 3), (3, 1), (3, 5), (5, 3)}
    serving = make_graph(tables, "serving").data
    assert (2, 4) in set(map(tuple, serving[CO_PURCHASED].edge_index.t().tolist()))


def test_co_views_are_a_relation_where_their_table_is_given(graph: HeteroData, tables: GraphTables) -> None:
    met = pa.table(
        {
            "base_sku": ["P001", "P001", "P002"],
            "other_base_sku": ["P003", "P004", "P009"],
            "weight": [np.log(3.0), None, np.log(4.0)],
            "serving_weight": [np.log(5.0), np.log(6.0), None],
        }
    )
    kind = ("product", "co_viewed", "product")
    assert kind not in graph.edge_types
    data = make_graph(replace(tables, co_viewed_edges=met)).data
    assert set(data.edge_types) == {*graph.edge_types, kind}
    assert data[kind].edge_index.t().tolist() == [[1, 3], [2, 9], [3, 1], [9, 2]]
    torch.testing.assert_close(data[kind].edge_attr, torch.tensor([3.0, 4.0, 3.0, 4.0]).log()[:, None])
    today = make_graph(replace(tables, co_viewed_edges=met), "serving").data
    assert today[kind].edge_index.t().tolist() == [[1, 3], [1, 4], [3, 1], [4, 1]]


def test_attention_reads_co_views_where_its_options_say_so(graph: HeteroData, tables: GraphTables) -> None:
    met = pa.table(
        {
            "base_sku": ["P001", "P002"],
            "other_base_sku": ["P003", "P009"],
            "weight": [1.1, 1.4],
            "serving_weight": [1.1, 1.4],
        }
    )
    data = make_graph(replace(tables, co_viewed_edges=met)).data

    def vectors(graph: HeteroData, co_viewed: bool = False) -> Vectors:
        torch.manual_seed(0)
        attention = AttentionOptions(hidden_dim=8, heads=2, layers=2, part_type_dim=4, co_viewed=co_viewed)
        model = HeteroGAT(graph, ModelOptions(embedding_dim=8, attention=attention))
        # The towers' last layers start at zero and hide what they read.
        towers = present(model.towers)
        for last in (towers.user_tower[-1], towers.product_tower[-1]):
            assert isinstance(last, torch.nn.Linear)
            torch.nn.init.ones_(last.weight)
        found: Vectors = model.eval()(graph)
        return found

    with torch.no_grad():
        without, ignored, read = vectors(graph), vectors(data), vectors(data, co_viewed=True)
    assert torch.equal(without.product, ignored.product)
    assert not torch.allclose(without.product, read.product)
    with pytest.raises(ValueError, match=r"the network reads co_viewed, and the graph was built without"):
        vectors(graph, co_viewed=True)


def test_demand_on_fits_edges_by_hand(tables: GraphTables) -> None:
    """Two owners of one model with weights 2 and 3, one order: ln(1+5) and ln(1+1) on that edge alone."""
    emails = tables.user_nodes["email_lower"].to_pylist()
    few = replace(
        tables,
        interacts_edges=pa.table(
            {
                "email_lower": [emails[0], emails[6]],  # both drive M0
                "base_sku": ["P003", "P003"],
                "weight": [2.0, 3.0],
                "serving_weight": [2.0, 3.0],
            }
        ),
        user_purchases=pa.table(
            {
                "email_lower": [emails[0], emails[1]],
                "base_sku": ["P003", "P004"],
                "order_date": pa.array(
                    [CUTOFF - datetime.timedelta(days=30), CUTOFF], pa.date32()
                ),  # the second is not before the view's end
            }
        ),
    )
    data = make_graph(few).data
    expected = torch.zeros(6 * 40, 2)
    expected[3] = torch.tensor([np.log(6.0), np.log(2.0)], dtype=torch.float32)
    torch.testing.assert_close(data[FITS].edge_attr, expected)


def test_order_history_becomes_an_edge_with_its_decayed_weight(tables: GraphTables) -> None:
    emails = tables.user_nodes["email_lower"].to_pylist()
    old = replace(
        tables,
        interacts_edges=tables.interacts_edges.slice(0, 0),
        user_purchases=pa.table(
            {
                "email_lower": [emails[2]] * 2,
                "base_sku": ["P005", "P005"],
                "order_date": pa.array(
                    [CUTOFF - datetime.timedelta(days=30), CUTOFF - datetime.timedelta(days=60)], pa.date32()
                ),
            }
        ),
    )
    data = make_graph(old).data
    assert data[INTERACTS].edge_index.shape[1] == 1
    assert data[INTERACTS].weight.item() == pytest.approx(5 * (np.exp(-1) + np.exp(-2)), rel=1e-6)
    assert data[INTERACTS].orders.item() == 2


def test_sets_of_visitors_by_hand(graph: HeteroData) -> None:
    assert graph.set_offsets.tolist() == [0, 2, 3]
    assert [graph.products[number] for number in graph.set_products] == ["P002", "P004", "P001"]
    assert graph.set_visitors.tolist() == [2, 1]


def test_years_that_the_same_parts_fit_are_one_class(tables: GraphTables) -> None:
    """M0 of 1968 loses a part: two classes, while both years of the other models are one."""
    fitment = pa.concat_tables([tables.fitment.slice(0, 240), tables.fitment.slice(241)])
    data = make_graph(replace(tables, fitment=fitment)).data
    assert len(data.classes) == 7
    assert [key.split("\x1f")[1:] for key in data.classes if key.startswith("FORD\x1fM0")] == [
        ["M0", "1967"],
        ["M0", "1968"],
    ]
    assert data.classes[-1] == "DODGE\x1fM5\x1f1967 1968"
    assert make_graph(tables).data.class_of_row.tolist() == [*range(6), *range(6)]


def test_graph_round_trip_loads_weights_only(graph: HeteroData, tmp_path: Path) -> None:
    save_graph(graph, tmp_path / "heterodata.pt")
    loaded = load_graph(tmp_path / "heterodata.pt")
    assert loaded.products == graph.products
    for kind in EDGE_TYPES:
        assert torch.equal(loaded[kind].edge_index, graph[kind].edge_index)
    assert "@" not in str(loaded.to_dict())


def test_an_edge_to_an_unknown_node_is_refused(tables: GraphTables) -> None:
    broken = replace(
        tables, fits_edges=pa.table({"make": ["FORD"], "model": ["M0"], "base_sku": ["NOWHERE"]})
    )
    with pytest.raises(ValueError, match=r"fits_edges.*1 .*NOWHERE"):
        make_graph(broken)
