"""Training: fits of the network to what visitors met, held-out visitors that choose, and resumption.

Epochs follow a fixed order (:mod:`holley_assets.gnn.fit_sequence`). Epoch 0 is the network before any step, which
ranks by popularity. Each next one is a fit: popularity among the parts that fit, then vectors by level, then the
same with visitors' cars inferred by what has been learned, then with messages from car to car. A tenth of the
visitors and of the customers' edges is held out and chooses among all of them. With ``loss="bce"`` epochs of
attention on single edges follow (:mod:`holley_assets.gnn.edge_training`).
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch_geometric.data import HeteroData

from holley_assets.gnn.asked_parts import AskedParts
from holley_assets.gnn.car_graph import CarGraph
from holley_assets.gnn.checkpoint import Checkpoint, Epoch, message_weights, vocabularies_of
from holley_assets.gnn.demand import FittingPairs, fit_demand
from holley_assets.gnn.edge_training import EdgeTraining
from holley_assets.gnn.fit_sequence import (
    LEVELS,
    MESSAGES,
    POPULARITY,
    STAGES,
    VISITORS,
    Fit,
    best_of,
    next_fit,
)
from holley_assets.gnn.hidden_cars import HiddenCars
from holley_assets.gnn.model import INITIAL_HOP_WEIGHT, HeteroGAT, ModelOptions, Vectors
from holley_assets.gnn.personal import add_personal_vectors
from holley_assets.gnn.process_group import ALONE, ProcessGroup
from holley_assets.gnn.ragged import ragged_logsumexp, ragged_scores
from holley_assets.gnn.sampling import Candidates, Positives
from holley_assets.gnn.snapshot import identity_of, restore, save
from holley_assets.gnn.training_options import TrainingOptions
from holley_assets.gnn.validation import is_better, reciprocal_ranks

ATTENTION = "attention"
# Visitors are learned from or held out.
TRAINING, HELD_OUT = range(2)


class TrainingResult(NamedTuple):
    """The best weights, how training went, and how many weights it took over from another model."""

    checkpoint: Checkpoint
    history: list[Epoch]
    stopped_early: bool
    warm_start_weights: int


def train(
    data: HeteroData,
    model_options: ModelOptions,
    options: TrainingOptions,
    *,
    state_path: Path | None = None,
    warm_start: Checkpoint | None = None,
    on_epoch: Callable[[Epoch], None] | None = None,
    group: ProcessGroup = ALONE,
) -> TrainingResult:
    """Train on ``data`` and return the weights of the epoch that predicts held-out visitors best.

    Epoch 0 is the network before its first step, which ranks by popularity: where nothing can be learned it
    stays the best.

    Args:
        state_path: where each epoch's state is kept. A state of the same data and options is resumed from,
            and gives the weights that an unbroken training gives. It is removed at the end.
        warm_start: a model whose message passing this one's starts from. Its node vectors are not taken over: it
            has seen the visitors that are held out now, so that validation would prefer what it remembers to what
            can be learned. They are fitted anew, which takes no longer from anywhere.
        on_epoch: called after each epoch, also for those before a resumption.
        group: the processes that share the training, see :mod:`holley_assets.gnn.distributed`. The first one
            keeps the state and reports.
    """
    run = Training(data, model_options, options, warm_start, group)
    identity = identity_of(data, model_options, options, warm_start)
    state_path, on_epoch = (state_path, on_epoch) if group.is_first else (None, None)
    saved = state_path.read_bytes() if state_path is not None and state_path.exists() else None
    state = group.bytes_of_first(saved, options.device)
    if state is None or not restore(run, state, identity):
        run.record(Epoch(0, None, None, None, None, None, 0.0), time.monotonic())
    for epoch in run.history if on_epoch else ():
        on_epoch(epoch)  # type: ignore[misc]
    while not run.finished:
        start = time.monotonic()
        run.record(run.advance(), start)
        if on_epoch:
            on_epoch(run.history[-1])
        if state_path is not None:
            save(run, state_path, identity)
    if state_path is not None:
        state_path.unlink(missing_ok=True)
    checkpoint = Checkpoint(
        state=run.best_state,
        options=model_options,
        vocabularies=vocabularies_of(data),
        history=[dict(epoch._asdict()) for epoch in run.history],
        best_epoch=run.best_epoch,
        stages=run.stages,
    )
    taken_over = sum(value.numel() for value in run.warm_start.values())
    return TrainingResult(checkpoint, run.history, run.stopped_early, taken_over)


class Training:
    """The state of one training: what :func:`train` advances epoch by epoch."""

    def __init__(
        self,
        data: HeteroData,
        model_options: ModelOptions,
        options: TrainingOptions,
        warm_start: Checkpoint | None = None,
        group: ProcessGroup = ALONE,
    ) -> None:
        torch.manual_seed(options.seed)
        self.options = options
        self.group = group
        self.model = HeteroGAT(data, model_options).to(options.device)
        self.data = data.to(options.device)
        self.warm_start = message_weights(warm_start, self.model) if warm_start is not None else {}
        self.generator = torch.Generator(options.device).manual_seed(options.seed)
        self.candidates = Candidates(self.data)

        positives = Positives.of(self.data, self.candidates, options.edges.minimum_edge_weight)
        order = torch.randperm(len(positives), generator=self.generator, device=options.device)
        num_held_out = round(len(positives) * options.validation_share)
        self.positives = positives.take(order[num_held_out:])
        held_out = positives.take(order[:num_held_out])
        eligible = self.data["product"].eligible[held_out.product]
        self.validation = held_out.take(torch.nonzero(eligible).flatten()[: options.validation_edges])
        # True positives of a user are no negatives. Validation edges are not known to the training.
        num_products = self.data["product"].num_nodes
        self.known = (self.positives.user * num_products + self.positives.product).sort().values

        self.fitting = FittingPairs.of(self.data)
        self.graph = CarGraph(self.data)
        self.hidden = HiddenCars(self.data, self._fold_visitors())
        # Cars of visitors as fitment and popularity tell them: what no taste has touched.
        self.popular = self._infer_cars(None)
        self.popular_demand = self._demand(self.popular)
        self.asked = [
            AskedParts.of(
                self.hidden,
                self.popular,
                fold,
                self.fitting,
                self.data.class_of_row[edges.row],
                edges.product,
                self.generator,
            )
            for fold, edges in ((TRAINING, self.positives), (HELD_OUT, held_out))
        ]
        self.edges = (
            EdgeTraining(
                self.model,
                self.data,
                self.positives,
                held_out.edge,
                self.candidates,
                self.known,
                options.edges,
                options.seed,
                self.generator,
                group,
            )
            if options.loss == "bce"
            else None
        )
        self.history: list[Epoch] = []
        self.best_epoch = 0
        self.best_ranks = torch.empty(0)
        self.best_state = _copy(self.model.state_dict())
        self.stages: dict[str, dict[str, Tensor]] = {}

    @property
    def optimisers(self) -> list[torch.optim.Optimizer]:
        """What lasts from one epoch to the next; a fit has an optimiser of its own."""
        return [*self.edges.optimisers] if self.edges is not None else []

    @property
    def stopped_early(self) -> bool:
        """Whether attention stopped before its last epoch, or a weaker prior was left untried."""
        last = self.history[-1]
        if last.stage == ATTENTION:
            return last.epoch - max(self.best_epoch, self._fits) >= self.options.edges.patience
        return last.strength is not None and last.strength > min(self.options.strengths)

    @property
    def finished(self) -> bool:
        if not len(self.asked[TRAINING]) or not len(self.asked[HELD_OUT]):
            return True
        if self._next_fit() is not None:
            return False
        nothing_to_learn = self.edges is None or not len(self.positives) or not len(self.validation)
        epochs = len(self.history) - self._fits - 1
        return nothing_to_learn or (epochs > 0 and self.stopped_early) or epochs >= self.options.edges.epochs

    def advance(self) -> Epoch:
        """The next epoch, without its validation."""
        fit = self._next_fit()
        number = len(self.history)
        if fit is not None:
            self._fit(fit)
            strength = None if math.isinf(fit.strength) else fit.strength
            return Epoch(number, None, None, None, None, None, 0.0, fit.stage, strength)
        if number == self._fits + 1:
            # What validation did not confirm is no ground to build on.
            self.model.load_state_dict({**self.best_state, **self.warm_start})
        assert self.edges is not None  # or it would be finished
        return Epoch(number, self.edges.epoch(), None, None, None, None, 0.0, ATTENTION)

    @property
    def _fits(self) -> int:
        return sum(epoch.stage in STAGES for epoch in self.history)

    def _next_fit(self) -> Fit | None:
        if self.history[-1].stage == ATTENTION:
            return None
        fit = next_fit(self.history, self.options.strengths)
        return None if fit is not None and fit.stage == MESSAGES and not len(self.model.hops) else fit

    def _fit(self, fit: Fit) -> None:
        """Fit the network at ``fit``."""
        if fit.is_first and fit.stage != POPULARITY:
            self.model.load_state_dict(self.stages[POPULARITY])
            if fit.stage == MESSAGES:
                start = self.warm_start.get("hops", torch.full_like(self.model.hops, INITIAL_HOP_WEIGHT))
                self.model.hops.data.copy_(start)
        graph = self.graph if fit.stage == MESSAGES else None
        infers = fit.stage == VISITORS
        if fit.stage == MESSAGES:
            infers = best_of(self.history, LEVELS, VISITORS).stage == VISITORS
        fit_demand(
            self.model,
            self.data,
            self.fitting,
            self._demand(self._infer_cars(graph)) if infers else self.popular_demand,
            fit.strength,
            self.generator,
            graph=graph,
            options=self.options.fit,
            group=self.group,
        )

    def _fold_visitors(self) -> np.ndarray:
        """Visitors of each set of parts, those learned from and those held out, ``[num_sets, 2]``."""
        visitors = self.data.set_visitors.double()
        share = torch.full_like(visitors, self.options.validation_share)
        held_out = torch.binomial(visitors, share, generator=self.generator)
        return torch.stack([visitors - held_out, held_out], dim=1).cpu().numpy()

    @torch.no_grad()
    def _infer_cars(self, graph: CarGraph | None) -> Tensor:
        """``P(class | set)`` of each pair of a set of parts and a class, by the network as it is."""
        car, product = self.model.cars(self.data, graph), self.model.levels.products(self.data)
        scores = ragged_scores(car, product, self.fitting.pairs)
        total = ragged_logsumexp(scores, self.fitting.rows, self.fitting.num_classes)
        return self.hidden.log_likelihood(car, product, total)[1]

    def _demand(self, posterior: Tensor) -> Tensor:
        """Expected demand of those learned from, ``[num_fitting_pairs]``."""
        demand = self.hidden.demand(posterior, TRAINING, self.fitting)
        known = self.data.class_of_row[self.positives.row]
        position = self.fitting.positions(known, self.positives.product)
        return demand.index_add_(0, position, demand.new_ones(len(position)))

    @torch.no_grad()
    def record(self, epoch: Epoch, start: float) -> None:
        """Validate ``epoch``, remember the best weights and add it to the history."""
        if epoch.stage == ATTENTION:
            self._record_attention(epoch, start)
            return
        graph = self.graph if epoch.stage == MESSAGES else None
        car, product = self.model.cars(self.data, graph), self.model.levels.products(self.data)
        log_probability = self.fitting.log_probability(car, product)
        train_loss, validation_loss = (
            self.group.of_first(_weighted_mean(asked.loss(log_probability), asked.weight)).item()
            if len(asked)
            else None
            for asked in self.asked
        )
        if validation_loss is not None and not math.isfinite(validation_loss):
            raise RuntimeError(
                f"validation loss of epoch {epoch.epoch} is {validation_loss}: lower the learning rate"
            )
        ranks = None
        if len(self.validation):
            vectors = self.model.embed_nodes(self.data, graph)
            ranks = self._ranks(vectors, self.data["user"].cold_profile[self.validation.user])
        self.history.append(
            epoch._replace(
                train_loss=train_loss,
                validation_loss=validation_loss,
                validation_mrr=None if ranks is None else ranks.mean().item(),
                validation_mrr_cold=None if ranks is None else ranks.mean().item(),
                seconds=time.monotonic() - start,
            )
        )
        if validation_loss is None:
            return
        if epoch.stage in STAGES and best_of(self.history, epoch.stage) is self.history[-1]:
            self.stages[epoch.stage] = _copy(self.model.state_dict())
        if best_of(self.history, "start", *STAGES) is self.history[-1]:
            self.best_epoch = epoch.epoch
            self.best_ranks = ranks if ranks is not None else torch.empty(0)
            self.best_state = _copy(self.model.state_dict())

    def _record_attention(self, epoch: Epoch, start: float) -> None:
        assert self.edges is not None
        loss, vectors = self.edges.validate(self.validation)
        if not math.isfinite(loss):
            raise RuntimeError(f"validation loss of epoch {epoch.epoch} is {loss}: lower the learning rates")
        mine = torch.isin(self.positives.user, self.validation.user).nonzero().flatten()
        vectors = add_personal_vectors(
            vectors, self.data, self.positives.take(mine), self.options.personal_precision
        )
        cold = self._ranks(vectors, self.data["user"].cold_profile[self.validation.user])
        history = self._ranks(vectors, self.validation.user)
        ranks = torch.stack([cold, history]).mean(0)
        self.history.append(
            epoch._replace(
                validation_loss=loss,
                validation_mrr=ranks.mean().item(),
                validation_mrr_cold=cold.mean().item(),
                validation_mrr_history=history.mean().item(),
                seconds=time.monotonic() - start,
            )
        )
        # Of the network without attention only the car's own ranks are known.
        ranks = cold if self.best_epoch <= self._fits else ranks
        if is_better(ranks, self.best_ranks, self.options.edges.standard_errors):
            self.best_epoch = epoch.epoch
            self.best_ranks = torch.stack([cold, history]).mean(0)
            self.best_state = _copy(self.model.state_dict())

    def _ranks(self, vectors: Vectors, users: Tensor) -> Tensor:
        """Reciprocal rank of each validation edge for the vectors of ``users``, as the first process has it."""
        eligible = self.data["product"].eligible
        ranks = reciprocal_ranks(*vectors, self.validation, users, self.candidates, eligible, self.known)
        return self.group.of_first(ranks)


def _weighted_mean(values: Tensor, weight: Tensor) -> Tensor:
    return (values * weight).sum() / weight.sum()


def _copy(state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in state.items()}
