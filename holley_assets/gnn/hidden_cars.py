"""Visitors and their cars, which nobody knows: which cars each could have, and how probable each is.

A visitor's car is one that all parts fit that the visitor met. Where there is none, as for a household with two
cars, each part is asked for on its own. Given the network, the probability of class c is
``P(c | parts) ∝ P(c) · Π P(part | c)``, with P(c) the smoothed share of owners. Summed over visitors these give the
expected demand for each car and part, which the network is fitted to in turn: expectation–maximisation (Dempster,
Laird & Rubin 1977).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import scipy.sparse as sp
import torch
from jaxtyping import Bool, Float, Float64, Int, Int64, UInt8
from torch import Tensor
from torch_geometric.data import HeteroData

from holley_assets.gnn.car_graph import class_fitment
from holley_assets.gnn.demand import FittingPairs
from holley_assets.gnn.ragged import (
    ragged_logsumexp,
    row_offsets,
    sampled_products,
    weighted_sum,
)

# Owners that a car has beside the registered ones: one that nobody registered may still be some visitor's.
UNREGISTERED_OWNERS = 0.2
# Pairs of a set of parts and a class that are looked at at once, to bound memory.
PAIRS_IN_BLOCK = 4_000_000


@dataclass(frozen=True)
class PartSets:
    """Distinct sets of parts, in compressed rows.

    Attributes:
        offsets: first part of each set, and their number.
        products: the parts.
    """

    offsets: Int[np.ndarray, "starts"]
    products: Int[np.ndarray, "entries"]

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def sizes(self) -> Int[np.ndarray, "sets"]:
        """Parts of each set."""
        return np.diff(self.offsets)

    def matrix(self, num_products: int) -> sp.csr_array:
        """Ones in ``[num_sets, num_products]``."""
        ones = np.ones(len(self.products), np.float32)
        return sp.csr_array((ones, self.products, self.offsets), shape=(len(self), num_products))

    def take(self, keep: Bool[np.ndarray, "sets"]) -> PartSets:
        """The sets of ``keep``."""
        sizes = self.sizes
        offsets = np.concatenate([[0], np.cumsum(sizes[keep])])
        return PartSets(offsets, self.products[np.repeat(keep, sizes)])

    def followed_by(self, other: PartSets) -> PartSets:
        """These sets, then those of ``other``."""
        offsets = np.concatenate([self.offsets, self.offsets[-1] + other.offsets[1:]])
        return PartSets(offsets, np.concatenate([self.products, other.products]))


class HiddenCars:
    """Sets of parts, the classes that each could be for, and how probable each is.

    Attributes:
        sets: distinct sets that some class fits; parts of the others stand alone, as sets of one.
        visitors: visitors of each set by fold, ``[sets, folds]``.
    """

    def __init__(self, data: HeteroData, visitors: Float64[np.ndarray, "sets folds"]) -> None:
        """``visitors`` are those of the sets of ``data``, split as one likes."""
        device = data.candidate_offsets.device
        fits = class_fitment(data)
        self.num_classes, self.num_products = fits.shape
        sets = PartSets(data.set_offsets.cpu().numpy(), data.set_products.cpu().numpy().astype(np.int64))
        by_part = fits.T.tocsr()
        by_part.sort_indices()
        found = _possible_classes(sets, fits, by_part)
        whole = np.bincount(found[0], minlength=len(sets)) > 0
        single, single_visitors = _single_parts(sets, visitors, ~whole)
        of_single = _possible_classes(single, fits, by_part)
        # A part that no car fits any more is nobody's.
        fitting = np.bincount(of_single[0], minlength=len(single)) > 0
        kept = np.concatenate([whole, fitting])
        set_of_pair = np.cumsum(kept)[np.concatenate([found[0], len(sets) + of_single[0]])] - 1
        found = (set_of_pair, np.concatenate([found[1], of_single[1]]))
        sets = sets.take(whole).followed_by(single.take(fitting))
        visitors = np.concatenate([visitors[whole], single_visitors[fitting]])
        self.sets, self.visitors = sets, visitors
        self.set_of_pair = torch.from_numpy(found[0]).to(device)
        self.class_of_pair = torch.from_numpy(found[1]).to(device)
        self.bounds = np.searchsorted(found[0], np.arange(len(sets) + 1))
        self.matrix = sets.matrix(self.num_products)
        owners = torch.zeros(self.num_classes, dtype=torch.float64, device=device)
        row = data["user"].vehicle_year
        known = row >= 0
        owners.index_add_(0, data.class_of_row[row[known]], data["user"].count[known].double())
        cars = torch.bincount(data.class_of_row, minlength=self.num_classes)
        share = owners + UNREGISTERED_OWNERS * cars
        self.log_share = (share / share.sum()).log()

    def __len__(self) -> int:
        return len(self.sets)

    def log_likelihood(
        self,
        car: Float[Tensor, "classes channels"],
        product: Float[Tensor, "products channels"],
        log_total: Float[Tensor, "classes"],
    ) -> tuple[Float[Tensor, "sets"], Float[Tensor, "set_pairs"]]:
        """``ln P(set)`` of each set and ``P(class | set)`` of each pair.

        Args:
            car: vectors of classes with a last channel of 1.
            product: vectors of parts with the bias as last channel.
            log_total: ``ln Σ exp(car · part)`` over the parts that fit each class.
        """
        device, dtype = car.device, car.dtype
        offsets = torch.from_numpy(self.sets.offsets[:-1]).to(device)
        products = torch.from_numpy(self.sets.products).to(device)
        summed = weighted_sum(
            product, products, offsets, torch.ones(len(products), dtype=dtype, device=device)
        )
        sizes = torch.from_numpy(self.sets.sizes).to(device=device, dtype=dtype)[:, None]
        left = torch.cat([summed, sizes, torch.ones_like(sizes)], dim=1)
        right = torch.cat([car, -log_total[:, None], self.log_share[:, None].to(dtype)], dim=1)
        likelihood = car.new_zeros(len(self))
        posterior = car.new_zeros(len(self.class_of_pair))
        for first, last in _blocks(self.bounds):
            pairs = slice(int(self.bounds[first]), int(self.bounds[last]))
            row = self.set_of_pair[pairs] - first
            starts = row_offsets(row, last - first)
            score = sampled_products(left[first:last], right, self.class_of_pair[pairs], starts, row)
            total = ragged_logsumexp(score, row, last - first)
            likelihood[first:last] = total
            posterior[pairs] = (score - total.index_select(0, row)).exp()
        return likelihood, posterior

    def demand(
        self, posterior: Float[Tensor, "set_pairs"], fold: int, fitting: FittingPairs
    ) -> Float[Tensor, "fitting_pairs"]:
        """Expected number of visitors of ``fold`` who wanted each part for each class."""
        result = torch.zeros(len(fitting), dtype=torch.float64, device=posterior.device)
        shape = (self.num_classes, len(self))
        for first, last in _blocks(self.bounds):
            pairs = slice(int(self.bounds[first]), int(self.bounds[last]))
            row = self.set_of_pair[pairs].cpu().numpy()
            weight = posterior[pairs].cpu().numpy().astype(np.float64) * self.visitors[row, fold]
            of_class = sp.coo_array(
                (weight, (self.class_of_pair[pairs].cpu().numpy(), row - first)), (shape[0], last - first)
            )
            wanted = (of_class.tocsr() @ self.matrix[first:last]).tocoo()
            axes = (torch.from_numpy(axis.astype(np.int64)).to(result.device) for axis in wanted.coords)
            weights = torch.from_numpy(wanted.data).to(result.device)
            result.index_add_(0, fitting.positions(*axes), weights)
        return result.to(posterior.dtype)


def _blocks(bounds: Int[np.ndarray, "starts"]) -> list[tuple[int, int]]:
    """Ranges of sets with about :data:`PAIRS_IN_BLOCK` pairs; ``bounds`` are the sets' first pairs, and the end."""
    starts = np.flatnonzero(np.diff(bounds[:-1] // PAIRS_IN_BLOCK, prepend=-1)).tolist()
    return list(pairwise([*starts, len(bounds) - 1]))


def _possible_classes(
    sets: PartSets, fits: sp.csr_array, by_part: sp.csr_array
) -> tuple[Int64[np.ndarray, "set_pairs"], Int64[np.ndarray, "set_pairs"]]:
    """Set and class of each pair where all parts of the set fit the class, ordered by both."""
    num_products = fits.shape[1]
    breadth = np.diff(by_part.indptr).astype(np.int64)
    sizes = sets.sizes
    owner = np.repeat(np.arange(len(sets)), sizes)
    # The part that fits the fewest classes first: the classes of a set are among those.
    products = sets.products[np.lexsort((breadth[sets.products], owner))]
    start = sets.offsets[:-1]
    fit = _packed(fits)
    rarest = breadth[products[start]]
    total = np.concatenate([[0], np.cumsum(rarest)])
    found: list[tuple[np.ndarray, np.ndarray]] = []
    for first, last in _blocks(total):
        count = rarest[first:last]
        member = np.repeat(np.arange(first, last), count)
        place = np.arange(len(member)) - np.repeat(total[first:last] - total[first], count)
        possible = by_part.indices[by_part.indptr[products[start[member]]] + place].astype(np.int64)
        for number in range(1, int(sizes[first:last].max(initial=0))):
            more = sizes[member] > number
            asked = possible[more] * num_products + products[start[member[more]] + number]
            keep = ~more
            keep[more] = (fit[asked >> 3] >> (7 - (asked & 7)).astype(np.uint8)) & 1
            member, possible = member[keep], possible[keep]
        found.append((member, possible))
    if not found:
        return np.empty(0, np.int64), np.empty(0, np.int64)
    member, possible = (np.concatenate(side) for side in zip(*found, strict=True))
    return member, possible


def _packed(fits: sp.csr_array) -> UInt8[np.ndarray, "bytes"]:
    """Whether each part fits each class, a bit for each, class by class: to look one up costs one access."""
    bits = np.zeros(fits.shape[0] * fits.shape[1], bool)
    bits[np.repeat(np.arange(fits.shape[0]), np.diff(fits.indptr)) * fits.shape[1] + fits.indices] = True
    return np.packbits(bits)


def _single_parts(
    sets: PartSets, visitors: Float64[np.ndarray, "sets folds"], of: Bool[np.ndarray, "sets"]
) -> tuple[PartSets, Float64[np.ndarray, "single folds"]]:
    """Each part of the sets in ``of`` as a set of its own, and the visitors of each."""
    alone = np.repeat(of, sets.sizes)
    parts, inverse = np.unique(sets.products[alone], return_inverse=True)
    single = np.zeros((len(parts), visitors.shape[1]))
    np.add.at(single, inverse.reshape(-1), np.repeat(visitors, sets.sizes, axis=0)[alone])
    return PartSets(np.arange(len(parts) + 1), parts), single
