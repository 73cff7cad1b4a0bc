"""Training: edge-weighted loss, mixed negatives, two optimisers, early stopping, resumption.

Epochs climb a ladder, and validation must confirm each rung. Epoch 0 is the network before any step, which
ranks by popularity. The next ones fit the node vectors to the demand for each car: biases alone, then tastes
under a strong prior, then under a weak one. All later epochs train the whole network, message passing and
all: they cut the training edges into batches, and for each the network sees the graph without the batch's own
edges and is asked for them twice, for their user as it is and for a user of the same car without history. The
second question is the one that 98 % of the delivered rankings answer.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch_geometric.data import HeteroData

from holley_assets.gnn.checkpoint import Checkpoint, Epoch, message_weights, vocabularies_of
from holley_assets.gnn.demand import Demand, fit_demand, negative_log_prior
from holley_assets.gnn.graph_schema import INTERACTS
from holley_assets.gnn.message_graph import Adjacencies, MessageGraph
from holley_assets.gnn.model import HeteroGAT, ModelOptions, Vectors
from holley_assets.gnn.personal import add_personal_vectors
from holley_assets.gnn.process_group import ALONE, ProcessGroup
from holley_assets.gnn.ragged import RaggedPairs, ragged_scores
from holley_assets.gnn.sampling import Candidates, Negatives, Positives, draw_negatives
from holley_assets.gnn.snapshot import identity_of, restore, save
from holley_assets.gnn.training_options import TrainingOptions
from holley_assets.gnn.validation import is_better, reciprocal_ranks

# Users are asked for in multiples of this. Tensors of a new size in every step would leave the heap in pieces that
# no later step can use: at full scale it would grow by 300 MiB an epoch.
USERS_ASKED = 2048


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
    """Train on ``data`` and return the weights of the epoch with the best validation MRR.

    Epoch 0 is the network before its first step, which ranks by popularity: where nothing can be learned it
    stays the best.

    Args:
        state_path: where each epoch's state is kept. A state of the same data and options is resumed from,
            and gives the weights that an unbroken training gives. It is removed at the end.
        warm_start: a model whose layers and towers message passing starts from. Its node vectors are not taken
            over: it has seen the edges that are held out now, so that validation would prefer what it remembers
            to what can be learned. They are fitted to the demand anew, which takes no longer from anywhere.
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
        run.record(None, time.monotonic())
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
        self.messages = MessageGraph(self.data)

        positives = Positives.of(self.data, self.candidates, options.minimum_edge_weight)
        order = torch.randperm(len(positives), generator=self.generator, device=options.device)
        num_validation = round(len(positives) * options.validation_share)
        self.positives = positives.take(order[num_validation:])
        held_out = positives.take(order[:num_validation])
        eligible = self.data["product"].eligible[held_out.product]
        self.validation = held_out.take(torch.nonzero(eligible).flatten()[: options.validation_edges])
        # True positives of a user are no negatives. Validation edges are not known to the training.
        num_products = self.data["product"].num_nodes
        self.known = (self.positives.user * num_products + self.positives.product).sort().values
        self.visible = torch.ones(
            self.data[INTERACTS].edge_index.shape[1], dtype=torch.bool, device=options.device
        )
        self.visible[held_out.edge] = False
        self.validation_adjacencies = self.messages.keeping(self.visible)

        self.demand = Demand(self.data, self.positives)

        embeddings = [module.weight for module in self.model.modules() if isinstance(module, nn.Embedding)]
        chosen = {id(parameter) for parameter in embeddings}
        others = [parameter for parameter in self.model.parameters() if id(parameter) not in chosen]
        self.optimisers = [
            torch.optim.Adam(embeddings, options.embedding_learning_rate),
            torch.optim.Adam(others, options.learning_rate),
        ]
        self.history: list[Epoch] = []
        self.best_epoch = 0
        self.best_ranks = torch.empty(0)
        self.best_state = _copy(self.model.state_dict())

    @property
    def strength(self) -> float:
        """Strength of the priors that the best fit had."""
        strengths = self.options.demand.strengths
        return strengths[min(max(self.best_epoch, 1), len(strengths)) - 1] if strengths else 1.0

    @property
    def stopped_early(self) -> bool:
        patience_starts = max(self.best_epoch, len(self.options.demand.strengths))
        return self.history[-1].epoch - patience_starts >= self.options.patience

    @property
    def finished(self) -> bool:
        nothing_to_learn = not len(self.positives) or not len(self.validation)
        return nothing_to_learn or self.stopped_early or self.history[-1].epoch >= self.options.epochs

    def advance(self) -> float:
        """The next epoch: a fit of the node vectors to demand, then the whole network; returns its loss."""
        strengths, number = self.options.demand.strengths, len(self.history)
        if number <= len(strengths):
            return fit_demand(
                self.model,
                self.data,
                self.demand,
                self.options.demand,
                strengths[number - 1],
                self.generator,
                self.group,
            )
        if number == len(strengths) + 1:
            # Tastes that validation did not confirm are no ground to build on.
            self.model.load_state_dict({**self.best_state, **self.warm_start})
        return self.epoch()

    def epoch(self) -> float:
        """One pass over the training edges; returns their mean loss."""
        self.model.train()
        order = torch.randperm(len(self.positives), generator=self.generator, device=self.options.device)
        total = 0.0
        for index in order.chunk(self.options.batches):
            batch = self.positives.take(index)
            keep = self.visible.clone()
            keep[batch.edge] = False
            loss = self.loss(batch, self.messages.keeping(keep))
            for optimiser in self.optimisers:
                optimiser.zero_grad()
            loss.backward()
            self.group.sum_gradients(self.model.parameters())
            nn.utils.clip_grad_norm_(self.model.parameters(), self.options.gradient_norm)
            for optimiser in self.optimisers:
                optimiser.step()
            total += self.group.sum(loss.detach()).item() * len(batch)
        return total / len(self.positives)

    def loss(self, batch: Positives, adjacencies: Adjacencies) -> Tensor:
        """Weighted loss of a batch, for users as they are and as users without history.

        With several processes, this one's share of it: the shares sum to the loss.
        """
        cars = self._draw_cars()
        return self._loss(self.model(self.data, adjacencies, self._asked(batch, cars)), batch, cars)

    def _draw_cars(self) -> Tensor | None:
        """Some cars, whose demand is a part of the loss."""
        if not self.options.demand_share:
            return None
        order = torch.randperm(len(self.demand), generator=self.generator, device=self.options.device)
        return order[: self.demand.cars_in_step()]

    def _asked(self, batch: Positives, cars: Tensor | None) -> Tensor:
        """The user nodes that a loss reads, filled up to a multiple of :data:`USERS_ASKED`.

        Those of all processes, so that dropout is the same in each.
        """
        asked = torch.zeros(self.data["user"].num_nodes, dtype=torch.bool, device=self.options.device)
        for nodes in (batch.user, self.data["user"].cold_profile[batch.user]):
            asked[nodes] = True
        if cars is not None:
            asked[self.demand.profiles[cars]] = True
        missing = -int(asked.sum()) % USERS_ASKED
        asked[torch.nonzero(~asked).flatten()[:missing]] = True
        return torch.nonzero(asked).flatten()

    def _loss(self, vectors: Vectors, batch: Positives, cars: Tensor | None) -> Tensor:
        negatives = draw_negatives(batch, self.known, self.candidates, self.options.negatives, self.generator)
        total_weight, shard = batch.weight.sum(), self.group.shard(len(batch))
        batch, negatives = batch.take(shard), negatives.take(shard)
        drawn = RaggedPairs.of_table(negatives.product)
        cold = self.data["user"].cold_profile[batch.user]
        shares = ((batch.user, 1.0 - self.options.cold_share), (cold, self.options.cold_share))
        losses = [
            share
            * self._pair_loss(vectors.user.index_select(0, rows), vectors.product, batch, negatives, drawn)
            for rows, share in shares
            if share
        ]
        loss = torch.stack(losses).sum() / total_weight
        if cars is not None:
            loss = loss + self.options.demand_share * self._demand_loss(vectors, cars)
        return loss

    def _demand_loss(self, vectors: Vectors, cars: Tensor) -> Tensor:
        """Mean loss of a choice that makes up the demand for some cars, with the prior's part in it."""
        batch = self.demand.batch(cars[self.group.shard(len(cars))])
        prior = negative_log_prior(self.model.encoder, self.options.demand, self.strength)
        prior = prior * (len(cars) / len(self.demand) / self.group.size)
        scores = batch.scores(vectors.user.index_select(0, batch.profiles), vectors.product)
        scale = self.group.sum(batch.weights.sum()).clamp_min(1.0)
        return (batch.negative_log_likelihood(scores) + prior) / scale

    def _pair_loss(
        self, user: Tensor, product: Tensor, batch: Positives, negatives: Negatives, drawn: RaggedPairs
    ) -> Tensor:
        """Sum of the positives' losses, each times its weight."""
        # Subtracting ln of the expected number of draws leaves the score an estimate of ln P(part | user),
        # however the negatives were drawn (noise-contrastive estimation, Gutmann & Hyvärinen 2012; the same
        # correction makes the softmax a sampled one, Bengio & Senécal 2008). Without it, in-batch negatives
        # punish a part for being popular.
        positive = (user * product.index_select(0, batch.product)).sum(1) - negatives.positive_log_expected
        negative = ragged_scores(user, product, drawn).view_as(negatives.product) - negatives.log_expected
        if self.options.loss == "bce":
            each = functional.softplus(-positive)
            each = each + (functional.softplus(negative) * negatives.valid).sum(1)
        elif self.options.loss == "softmax":
            negative = negative.masked_fill(~negatives.valid, -torch.inf)
            each = torch.logsumexp(torch.cat([positive[:, None], negative], dim=1), dim=1) - positive
        else:
            each = (functional.softplus(negative - positive[:, None]) * negatives.valid).mean(1)
        return (batch.weight * each).sum()

    @torch.no_grad()
    def record(self, train_loss: float | None, start: float) -> None:
        """Validate, remember the best weights and add an :class:`Epoch` to the history."""
        number = len(self.history)
        if not len(self.positives) or not len(self.validation):
            self.history.append(Epoch(number, train_loss, None, None, None, None, time.monotonic() - start))
            return
        self.model.eval()
        random_state = self.generator.get_state()
        self.generator.manual_seed(self.options.seed)  # the same negatives each time
        cars = self._draw_cars()
        vectors = self.model(self.data, self.validation_adjacencies, self._asked(self.validation, cars))
        loss = self.group.sum(self._loss(vectors, self.validation, cars)).item()
        self.generator.set_state(random_state)
        vectors = add_personal_vectors(
            vectors,
            self.data,
            self.positives.take(torch.isin(self.positives.user, self.validation.user).nonzero().flatten()),
            self.options.personal_precision,
        )
        cold = self.data["user"].cold_profile[self.validation.user]
        eligible = self.data["product"].eligible
        rows_of = (cold, self.validation.user)
        ranks = [
            reciprocal_ranks(*vectors, self.validation, rows, self.candidates, eligible, self.known)
            for rows in rows_of
        ]
        ranks = [self.group.of_first(of_view) for of_view in ranks]
        each = torch.stack(ranks).mean(0)
        score = each.mean().item()
        if not math.isfinite(loss):
            raise RuntimeError(f"validation loss of epoch {number} is {loss}: lower the learning rates")
        self.history.append(
            Epoch(
                number,
                train_loss,
                loss,
                score,
                ranks[0].mean().item(),
                ranks[1].mean().item(),
                time.monotonic() - start,
            )
        )
        if number == 0 or is_better(each, self.best_ranks, self.options.standard_errors):
            self.best_epoch, self.best_ranks = number, each
            self.best_state = _copy(self.model.state_dict())


def _copy(state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in state.items()}
