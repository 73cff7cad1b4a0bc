"""The fits of a training: visitors' cars, the demand that follows from them, and questions to those held out."""

from __future__ import annotations

import copy

import numpy as np
import torch
from jaxtyping import Float, Float64
from torch import Tensor
from torch_geometric.data import HeteroData

from holley_assets.gnn.asked_parts import AskedParts
from holley_assets.gnn.car_graph import CarGraph
from holley_assets.gnn.demand import FittingPairs, fit_demand
from holley_assets.gnn.fit_sequence import MESSAGES, POPULARITY
from holley_assets.gnn.graph_schema import LOG_VISITORS
from holley_assets.gnn.hidden_cars import HiddenCars
from holley_assets.gnn.model import HeteroGAT
from holley_assets.gnn.process_group import ProcessGroup
from holley_assets.gnn.ragged import ragged_logsumexp, ragged_scores
from holley_assets.gnn.sampling import Positives
from holley_assets.gnn.training_options import TrainingOptions

# Visitors and customers are learned from or held out.
TRAINING, HELD_OUT = FOLDS = range(2)


class Fits:
    """What the fits of one training share.

    Attributes:
        model: the network, which every fit changes.
        data: the graph, with parts as popular as those learned from make them.
        asked: what was met in the training fold and in the one held out.
    """

    def __init__(
        self,
        model: HeteroGAT,
        data: HeteroData,
        edges: tuple[Positives, Positives],
        options: TrainingOptions,
        generator: torch.Generator,
        group: ProcessGroup,
    ) -> None:
        """``edges`` are what customers met, in the training fold and in the one held out."""
        self.model, self.options = model, options
        self.generator, self.group = generator, group
        self._everything = data
        visitors = self._visitors_of_folds()
        self.data = _without(data, visitors[:, HELD_OUT], edges[HELD_OUT])
        self._pairs = FittingPairs.of(data)
        self._graph = CarGraph(data)
        self._hidden = HiddenCars(data, visitors)
        self._customers = [(data.class_of_row[fold.row], fold.product) for fold in edges]
        # Cars of visitors as fitment and popularity tell them: what no taste has touched.
        self._popular = self._infer_cars(POPULARITY)
        self._popular_demand = self._demand(self._popular, TRAINING)
        self.asked = [
            AskedParts.of(
                self._hidden, self._popular, fold, self._pairs, *self._customers[fold], generator=generator
            )
            for fold in FOLDS
        ]

    def fit(self, stage: str, strength: float, bias_strength: float, *, infer_cars: bool) -> None:
        """Fit the network to those learned from.

        Args:
            strength, bias_strength: see :func:`holley_assets.gnn.demand.fit_demand`.
            infer_cars: whether visitors' cars are inferred anew, by the network as it is.
        """
        demand = self._demand(self._infer_cars(stage), TRAINING) if infer_cars else self._popular_demand
        self._fit(self.data, demand, stage, strength, bias_strength)

    def fit_everybody(self, stage: str, strength: float, bias_strength: float, *, infer_cars: bool) -> None:
        """The same for all, those held out with the others: nothing is left to choose afterwards."""
        posterior = self._infer_cars(stage) if infer_cars else self._popular
        demand = self._demand(posterior, TRAINING) + self._demand(posterior, HELD_OUT)
        self._fit(self._everything, demand, stage, strength, bias_strength)

    def graph_of(self, stage: str) -> CarGraph | None:
        """The paths over which cars exchange messages in ``stage``."""
        return self._graph if stage == MESSAGES else None

    @torch.no_grad()
    def log_probability(self, stage: str) -> Float[Tensor, "fitting_pairs"]:
        """``ln P(part | class)`` by the network as it is."""
        return self._pairs.log_probability(*self._vectors(stage))

    def losses(self, log_probability: Float[Tensor, "fitting_pairs"]) -> tuple[float | None, float | None]:
        """Mean ``−ln P`` of what was met in each fold, as the first process has it; None where nobody was asked."""
        training, held_out = (
            self.group.of_first(
                (asked.loss(log_probability) * asked.weight).sum() / asked.weight.sum()
            ).item()
            if len(asked)
            else None
            for asked in self.asked
        )
        return training, held_out

    def held_out_ranks(self, log_probability: Float[Tensor, "fitting_pairs"]) -> Float[Tensor, "questions"]:
        """Reciprocal rank of what those held out met, as the first process has it."""
        eligible = self.data["product"].eligible
        return self.group.of_first(
            self.asked[HELD_OUT].expected_reciprocal_ranks(log_probability, self._pairs, eligible)
        )

    def _fit(
        self,
        data: HeteroData,
        demand: Float[Tensor, "fitting_pairs"],
        stage: str,
        strength: float,
        bias_strength: float,
    ) -> None:
        fit_demand(
            self.model,
            data,
            self._pairs,
            demand,
            strength,
            self.generator,
            bias_strength=bias_strength,
            graph=self.graph_of(stage),
            options=self.options.fit,
            group=self.group,
        )

    def _visitors_of_folds(self) -> Float64[np.ndarray, "sets 2"]:
        """Visitors of each set of parts, by fold."""
        visitors = self._everything.set_visitors.double()
        share = torch.full_like(visitors, self.options.validation_share)
        held_out = torch.binomial(visitors, share, generator=self.generator)
        return torch.stack([visitors - held_out, held_out], dim=1).cpu().numpy()

    @torch.no_grad()
    def _infer_cars(self, stage: str) -> Float[Tensor, "set_pairs"]:
        """``P(class | set)`` of each pair of a set of parts and a class, by the network as it is."""
        car, product = self._vectors(stage)
        scores = ragged_scores(car, product, self._pairs.pairs)
        total = ragged_logsumexp(scores, self._pairs.rows, self._pairs.num_classes)
        return self._hidden.log_likelihood(car, product, total)[1]

    def _vectors(
        self, stage: str
    ) -> tuple[Float[Tensor, "classes channels"], Float[Tensor, "products channels"]]:
        """Vectors of classes and of parts by the network as it is."""
        return self.model.cars(self.data, self.graph_of(stage)), self.model.levels.products(self.data)

    def _demand(self, posterior: Float[Tensor, "set_pairs"], fold: int) -> Float[Tensor, "fitting_pairs"]:
        """Expected demand of the visitors and customers of ``fold``."""
        demand = self._hidden.demand(posterior, fold, self._pairs)
        position = self._pairs.positions(*self._customers[fold])
        return demand.index_add_(0, position, demand.new_ones(len(position)))


def _without(data: HeteroData, visitors: Float64[np.ndarray, "sets"], edges: Positives) -> HeteroData:
    """``data`` without the visits of those held out in the popularity of parts: who chooses is not learned from.

    Args:
        visitors: held out of each set of parts.
        edges: held out of customers.
    """
    features = data["product"].features.clone()
    sizes = data.set_offsets.diff()
    of_part = torch.from_numpy(visitors).to(sizes.device).repeat_interleave(sizes)
    held_out = torch.bincount(edges.product, minlength=len(features)).double()
    held_out.index_add_(0, data.set_products.long(), of_part)
    left = (features[:, LOG_VISITORS].double().expm1() - held_out).clamp_min(0.0)
    features[:, LOG_VISITORS] = left.log1p().to(features.dtype)
    data = copy.copy(data)
    data["product"].features = features
    return data
