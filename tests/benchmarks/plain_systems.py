"""GraphSAGE and the plain HeteroGAT as systems of ``peers.py``; the networks are in ``plain_networks.py``."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
from plain_networks import Convolution, PlainGraph, PlainOptions, gat, sage, train_plain_network
from study import Study
from torch import Tensor

from holley_assets.evaluation.car_traffic import car_names
from holley_assets.evaluation.metrics import UserMetrics
from holley_assets.gnn.sampling import NegativeOptions
from holley_assets.ranking import EmbeddingScorer


def demand_of_cars(study: Study) -> tuple[Tensor, Tensor, Tensor]:
    """User node of a car without history, part and expected visitors of each pair of ``visitor_demand``."""
    demand = study.tables["visitor_demand"]
    demand = demand.filter(pc.is_valid(demand["weight"]))
    owner = pc.index_in(car_names(demand), value_set=car_names(study.tables["user_nodes"]))
    part = pc.index_in(
        demand["base_sku"].cast(pa.string()), value_set=pa.array(study.products, pa.string())
    ).combine_chunks()
    # A car that nobody registered has no node.
    known = np.flatnonzero(pc.and_(pc.is_valid(owner), pc.is_valid(part)).to_numpy(zero_copy_only=False))
    owner, part = (pc.fill_null(side, 0).to_numpy()[known].astype(np.int64) for side in (owner, part))
    node = study.graph.data["user"].cold_profile[torch.from_numpy(study.graph.user_profiles[owner]).long()]
    weight = demand["weight"].to_numpy()[known].astype(np.float32)
    return node, torch.from_numpy(part), torch.from_numpy(weight)


def plain_system(convolution: Convolution, options: PlainOptions) -> Callable[[Study, int], UserMetrics]:
    """A system of ``peers.py``: the network with these convolutions."""

    def measured(study: Study, seed: int) -> UserMetrics:
        graph = PlainGraph.of(study.graph.data, demand_of_cars(study))
        vectors = train_plain_network(graph, convolution, options, seed)
        return study.measure(EmbeddingScorer(*vectors, study.products))

    return measured


CORRECTED = PlainOptions(corrects_draws=True)
HALF_IN_BATCH = PlainOptions(negatives=NegativeOptions(16, 0.5, 0.0))
PLAIN_SYSTEMS = {
    "graphsage": plain_system(sage, PlainOptions()),
    "heterogat": plain_system(gat, PlainOptions()),
    "graphsage_corrected": plain_system(sage, CORRECTED),
    "heterogat_corrected": plain_system(gat, CORRECTED),
    "graphsage_half_in_batch": plain_system(sage, HALF_IN_BATCH),
    "heterogat_half_in_batch": plain_system(gat, HALF_IN_BATCH),
}
