"""Positives, negatives and the probability with which each negative was drawn."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch_geometric.data import HeteroData

from holley_assets.gnn.graph_schema import INTERACTS


@dataclass(frozen=True)
class NegativeOptions:
    """How negatives are drawn; the shares sum to at most 1, the rest is drawn from all products."""

    count: int = 64
    in_batch_share: float = 0.0
    fitment_share: float = 1.0


class FittingParts:
    """Parts that fit each year, make and model, in compressed rows."""

    def __init__(self, data: HeteroData) -> None:
        self.offsets = data.candidate_offsets  # [starts]
        self.products = data.candidate_products.long()  # [fitting_pairs]
        self.num_products = data["product"].num_nodes
        counts = self.offsets.diff()
        rows = torch.repeat_interleave(torch.arange(len(counts), device=counts.device), counts)
        self.keys = rows * self.num_products + self.products  # ascending

    def count(self, row: Int[Tensor, "*shape"]) -> Int[Tensor, "*shape"]:
        """Parts that fit each row; 0 for row −1, a vehicle without fitment."""
        known = row.clamp_min(0)
        counts: Tensor = (self.offsets[known + 1] - self.offsets[known]) * (row >= 0)
        return counts

    def fits(self, row: Int[Tensor, "*shape"], product: Int[Tensor, "*shape"]) -> Bool[Tensor, "*shape"]:
        """Whether ``product`` fits the vehicle of ``row``, elementwise."""
        return contains(self.keys, row * self.num_products + product)

    def draw(
        self, row: Int[Tensor, "positives"], count: int, generator: torch.Generator
    ) -> Int[Tensor, "positives {count}"]:
        """``count`` products for each row, drawn uniformly, with replacement, from those that fit each row."""
        share = torch.rand(len(row), count, generator=generator, device=row.device)
        position = (share * self.count(row)[:, None]).long()
        drawn: Tensor = self.products[self.offsets[row][:, None] + position]
        return drawn


def contains(keys: Int[Tensor, "keys"], values: Int[Tensor, "*shape"]) -> Bool[Tensor, "*shape"]:
    """Whether each of ``values`` is among the ascending ``keys``."""
    if not len(keys):
        return torch.zeros_like(values, dtype=torch.bool)
    position = torch.searchsorted(keys, values).clamp_max(len(keys) - 1)
    return keys[position] == values


@dataclass(frozen=True)
class Positives:
    """User–product edges a model can learn from: the product fits the user's vehicle.

    Attributes:
        edge: position among the interacts edges.
        user, product: its ends.
        row: the user's row of the candidate lists.
        weight: weight in the loss.
    """

    edge: Int[Tensor, "positives"]
    user: Int[Tensor, "positives"]
    product: Int[Tensor, "positives"]
    row: Int[Tensor, "positives"]
    weight: Float[Tensor, "positives"]

    @classmethod
    def of(cls, data: HeteroData, candidates: FittingParts, minimum_weight: float) -> Positives:
        """All interacts edges of ``data`` whose product fits; weights are at least ``minimum_weight``."""
        user, product = data[INTERACTS].edge_index
        row = data["user"].vehicle_year[user]
        edge = torch.nonzero((row >= 0) & candidates.fits(row, product)).flatten()
        return cls(
            edge, user[edge], product[edge], row[edge], data[INTERACTS].weight[edge].clamp_min(minimum_weight)
        )

    def __len__(self) -> int:
        return len(self.edge)

    def take(self, index: Int[Tensor, "taken"] | slice) -> Positives:
        """The positives at ``index``."""
        return Positives(
            self.edge[index], self.user[index], self.product[index], self.row[index], self.weight[index]
        )


@dataclass(frozen=True)
class Negatives:
    """Negatives of a batch.

    Attributes:
        product: drawn products.
        log_expected: ln of the number of times each was to be expected among the draws.
        positive_log_expected: the same of the positive.
        valid: False where the draw is a true positive of the user.
    """

    product: Int[Tensor, "positives draws"]
    log_expected: Float[Tensor, "positives draws"]
    positive_log_expected: Float[Tensor, "positives"]
    valid: Bool[Tensor, "positives draws"]

    def take(self, index: slice) -> Negatives:
        """The negatives of the positives at ``index``."""
        return Negatives(
            self.product[index],
            self.log_expected[index],
            self.positive_log_expected[index],
            self.valid[index],
        )


def draw_negatives(
    batch: Positives,
    known: Int[Tensor, "known"],
    candidates: FittingParts,
    options: NegativeOptions,
    generator: torch.Generator,
) -> Negatives:
    """Draw from a mixture of the batch's products, the parts that fit, and all products.

    Args:
        known: ascending ``user · num_products + product`` of the true positives to mask.
    """
    size, device, num_products = len(batch), batch.user.device, candidates.num_products
    in_batch = round(options.count * options.in_batch_share)
    fitting = round(options.count * options.fitment_share)
    anywhere = options.count - in_batch - fitting
    product = torch.cat(
        [
            batch.product[torch.randint(size, (size, in_batch), generator=generator, device=device)],
            candidates.draw(batch.row, fitting, generator),
            torch.randint(num_products, (size, anywhere), generator=generator, device=device),
        ],
        dim=1,
    )
    frequency = torch.bincount(batch.product, minlength=num_products) / size

    def log_expected(row: Int[Tensor, "*shape"], of: Int[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        share = 1.0 / candidates.count(row)
        if fitting == options.count:  # what was drawn fits, and so does a positive
            return (fitting * share).log()
        fit = candidates.fits(row, of) * share
        expected: Tensor = in_batch * frequency[of] + fitting * fit + anywhere / num_products
        return expected.log()

    return Negatives(
        product=product,
        log_expected=log_expected(batch.row[:, None].expand_as(product), product),
        positive_log_expected=log_expected(batch.row, batch.product),
        valid=~contains(known, batch.user[:, None] * num_products + product),
    )
