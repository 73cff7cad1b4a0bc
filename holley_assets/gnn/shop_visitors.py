"""How many visitors look at the whole shop, whatever they drive.

The parts that an owner meets fit one car. The parts that a visitor of the whole shop meets are as often for different
cars as parts that different visitors met. So the share of such visitors follows from two counts: how often two parts
of one visitor fit no common car, and how often two parts of two visitors do not.
"""

from __future__ import annotations

import math

import numpy as np
import scipy.sparse as sp
from jaxtyping import Int64
from torch_geometric.data import HeteroData

from holley_assets.gnn.car_graph import class_fitment

# Owners who look for parts for several cars, such as a household with two. They are no visitors of the whole shop.
SEVERAL_CARS = 0.05
# The share is no more than what sets of parts prove: so many standard errors are taken off.
STANDARD_ERRORS = 2.0
# Sets that are looked at: enough to tell a share of 1 %.
MOST_SETS = 20_000


def share_of_shop_visitors(data: HeteroData) -> float:
    """Share of the visitors of ``data`` who look at the whole shop, 0 … 1; 0 where nothing tells.

    With ``f`` of the pairs of parts of one visitor without a common car, and ``q`` of the pairs of two visitors, the
    share ``w`` solves ``f = q · (w + (1 − w) · SEVERAL_CARS)``. ``f`` is taken two standard errors lower.
    """
    offsets, products = data.set_offsets.cpu().numpy(), data.set_products.cpu().numpy().astype(np.int64)
    several = np.flatnonzero((np.diff(offsets) > 1) & (data.set_visitors.cpu().numpy() > 0))
    several = several[:: max(1, -(-len(several) // MOST_SETS))]
    if len(several) < 2:
        return 0.0
    by_part = class_fitment(data).T.tocsr()
    one, other = products[offsets[several]], products[offsets[several + 1] - 1]
    # Half the way round, so that nobody is paired with a neighbour, who may have met much the same.
    of_another = np.roll(other, len(other) // 2)
    apart, expected = (_share_without_a_car(by_part, one, second) for second in (other, of_another))
    if expected == 0.0:
        return 0.0
    error = math.sqrt((apart * (1.0 - apart) + expected * (1.0 - expected)) / len(several))
    independent = (apart - STANDARD_ERRORS * error) / expected
    return min(1.0, max(0.0, (independent - SEVERAL_CARS) / (1.0 - SEVERAL_CARS)))


def _share_without_a_car(
    by_part: sp.csr_array, one: Int64[np.ndarray, "pairs"], other: Int64[np.ndarray, "pairs"]
) -> float:
    """Share of the pairs of parts that fit no common class.

    Args:
        by_part: ones where a part fits a class, ``[num_products, num_classes]``.
        one, other: the two parts of each pair.
    """
    common = by_part[one].multiply(by_part[other]).sum(axis=1)
    return float(np.mean(np.asarray(common) == 0))
