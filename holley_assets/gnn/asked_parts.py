"""How well the network predicts what visitors met, given their cars as fitment and popularity tell them.

The question that is delivered is which part an owner of a known car wants. A visitor's car is hidden, and the network
could answer better for the visitor than for any car by taking one visitor's taste for a car's. So each part is asked
for by itself, and how probable each car is for the visitor is fixed before any taste is learned.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from holley_assets.gnn.demand import FittingPairs
from holley_assets.gnn.hidden_cars import HiddenCars
from holley_assets.gnn.ragged import ragged_logsumexp, ragged_rows

# Sets of parts that are asked about: enough to tell 0.1 % of the likelihood.
MOST_SETS = 10_000


@dataclass(frozen=True)
class AskedParts:
    """Parts that were met, each with the cars that it could be for.

    Attributes:
        position: pair of a class and the part among the fitting pairs.
        row: the question that the pair is a part of, ascending.
        log_share: ``ln P(class | visitor)``.
        weight: visitors who ask each question.
    """

    position: Int[Tensor, "entries"]
    row: Int[Tensor, "entries"]
    log_share: Float[Tensor, "entries"]
    weight: Float[Tensor, "questions"]

    @classmethod
    def of(
        cls,
        hidden: HiddenCars,
        posterior: Float[Tensor, "set_pairs"],
        fold: int,
        fitting: FittingPairs,
        classes: Int[Tensor, "customer_parts"],
        products: Int[Tensor, "customer_parts"],
        generator: torch.Generator,
    ) -> AskedParts:
        """What visitors of ``fold`` met, of at most :data:`MOST_SETS` sets, and customers whose class is known.

        Args:
            posterior: ``P(class | set)`` of each pair of ``hidden``.
            classes, products: class of each customer and what was met.
        """
        device = posterior.device
        visitors = torch.from_numpy(hidden.visitors[:, fold]).to(device)
        asked = torch.nonzero(visitors > 0).flatten()
        if len(asked) > MOST_SETS:
            chosen = torch.randperm(len(asked), generator=generator, device=device)[:MOST_SETS]
            asked = asked[chosen.sort().values]
        first_part = torch.from_numpy(hidden.sets.offsets).to(device)
        first_class = torch.from_numpy(hidden.bounds).to(device)
        _, owner, place = ragged_rows(first_part.diff()[asked])
        set_of_row = asked[owner]
        part_of_row = torch.from_numpy(hidden.sets.products).to(device)[first_part[set_of_row] + place]
        _, row, place = ragged_rows(first_class.diff()[set_of_row])
        pair = first_class[set_of_row][row] + place
        known = torch.arange(len(classes), device=device)
        return cls(
            position=torch.cat(
                [
                    fitting.positions(hidden.class_of_pair[pair], part_of_row[row]),
                    fitting.positions(classes, products),
                ]
            ),
            row=torch.cat([row, len(set_of_row) + known]),
            log_share=torch.cat([posterior[pair].log(), posterior.new_zeros(len(known))]),
            weight=torch.cat([visitors[set_of_row].to(posterior.dtype), posterior.new_ones(len(known))]),
        )

    def __len__(self) -> int:
        return len(self.weight)

    def loss(self, log_probability: Float[Tensor, "fitting_pairs"]) -> Float[Tensor, "questions"]:
        """``−ln P`` of each part that was met; ``log_probability`` is of all fitting pairs."""
        return -ragged_logsumexp(self.log_share + log_probability[self.position], self.row, len(self))

    def expected_reciprocal_ranks(
        self,
        log_probability: Float[Tensor, "fitting_pairs"],
        fitting: FittingPairs,
        eligible: Bool[Tensor, "products"],
    ) -> Float[Tensor, "questions"]:
        """Expected reciprocal rank of each part that was met among the eligible parts of its car.

        A part that is not eligible has no rank and counts as zero. Ties go by position.

        Args:
            log_probability: of each pair of ``fitting``.
            eligible: whether a part may be recommended.
        """
        allowed = eligible[fitting.products]
        order = torch.argsort(log_probability.masked_fill(~allowed, -torch.inf), descending=True, stable=True)
        order = order[torch.argsort(fitting.rows[order], stable=True)]
        rank = torch.empty_like(order)
        rank[order] = torch.arange(len(order), device=order.device) - fitting.offsets[fitting.rows] + 1
        value = allowed[self.position] * self.log_share.exp() / rank[self.position]
        return value.new_zeros(len(self)).index_add_(0, self.row, value)
