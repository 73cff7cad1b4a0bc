"""Training: fits of the network to what visitors met, held-out visitors that choose, and resumption.

Epochs follow a fixed order (:mod:`holley_assets.gnn.fit_sequence`). Epoch 0 is the network before any step, which
ranks by popularity. Each next one is a fit: popularity among the parts that fit, then vectors by level, then the
same with visitors' cars inferred by what has been learned, then with messages from car to car. A tenth of the
visitors and of the customers' edges is held out and chooses among all of them. Then the choice is fitted once more
to everybody, those held out with the others. With ``loss="bce"`` epochs of attention on single edges follow instead
(:mod:`holley_assets.gnn.edge_training`), which are judged by the same held-out edges.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch_geometric.data import HeteroData

from holley_assets.gnn.checkpoint import Checkpoint, Epoch, message_weights, vocabularies_of
from holley_assets.gnn.edge_training import EdgeTraining
from holley_assets.gnn.fit_sequence import (
    CHOSEN_BY_LIKELIHOOD,
    LEVELS,
    MESSAGES,
    POPULARITY,
    STAGES,
    VISITORS,
    Fit,
    best_of,
    bias_strength,
    next_fit,
    strength_of_messages,
)
from holley_assets.gnn.fits import HELD_OUT, Fits
from holley_assets.gnn.model import INITIAL_HOP_WEIGHT, HeteroGAT, ModelOptions, Vectors
from holley_assets.gnn.personal import add_personal_vectors
from holley_assets.gnn.process_group import ALONE, ProcessGroup
from holley_assets.gnn.sampling import FittingParts, Positives
from holley_assets.gnn.snapshot import identity_of, restore, save
from holley_assets.gnn.training_options import TrainingOptions
from holley_assets.gnn.validation import is_better, reciprocal_ranks, rivals_of

ATTENTION, EVERYBODY = "attention", "everybody"
# Messages are refused where held-out visitors find what they met further down by this many standard errors.
REFUTED = 2.0


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
    """Train on ``data`` and return the weights that held-out visitors chose, fitted once more to everybody.

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
    if on_epoch:
        for epoch in run.history:
            on_epoch(epoch)
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
        state=_on_cpu(run.best_state),
        options=model_options,
        vocabularies=vocabularies_of(data),
        history=[dict(epoch._asdict()) for epoch in run.history],
        best_epoch=run.best_epoch,
        stages={stage: _on_cpu(state) for stage, state in run.stages.items()},
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
        # A copy of the stores, not of the tensors: the caller's graph stays where it is.
        self.data = copy.copy(data).to(options.device)
        self.warm_start = message_weights(warm_start, self.model) if warm_start is not None else {}
        self.generator = torch.Generator(options.device).manual_seed(options.seed)
        candidates = FittingParts(self.data)

        positives = Positives.of(self.data, candidates, options.edges.minimum_edge_weight)
        order = torch.randperm(len(positives), generator=self.generator, device=options.device)
        num_held_out = round(len(positives) * options.validation_share)
        self.positives = positives.take(order[num_held_out:])
        held_out = positives.take(order[:num_held_out])
        eligible = self.data["product"].eligible
        asked = torch.nonzero(eligible[held_out.product]).flatten()[: options.validation_edges]
        self.validation = held_out.take(asked)
        # True positives of a user are no negatives. Validation edges are not known to the training.
        num_products = self.data["product"].num_nodes
        known = (self.positives.user * num_products + self.positives.product).sort().values
        self.rivals = rivals_of(self.validation, candidates, eligible, known)

        self.fits = Fits(self.model, self.data, (self.positives, held_out), options, self.generator, group)
        self.edges = (
            EdgeTraining(
                self.model,
                self.data,
                self.positives,
                held_out.edge,
                candidates,
                known,
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
            return last.epoch - max(self.best_epoch, self._num_fits) >= self.options.edges.patience
        tried = [epoch.strength for epoch in self.history if epoch.stage in (LEVELS, VISITORS)]
        return min((one for one in tried if one is not None), default=0.0) > min(
            self.options.strengths, default=0.0
        )

    @property
    def finished(self) -> bool:
        if not all(len(asked) for asked in self.fits.asked):
            return True
        if self._next_fit() is not None:
            return False
        if self.edges is None:
            return self.best_epoch == 0 or self.history[-1].stage == EVERYBODY
        nothing_to_learn = not len(self.positives) or not len(self.validation)
        epochs = len(self.history) - self._num_fits - 1
        return nothing_to_learn or (epochs > 0 and self.stopped_early) or epochs >= self.options.edges.epochs

    def advance(self) -> Epoch:
        """The next epoch, without its validation."""
        fit = self._next_fit()
        number = len(self.history)
        if fit is not None:
            self._fit(fit)
            return Epoch(number, None, None, None, None, None, 0.0, fit.stage, fit.strength)
        if self.edges is None:
            return self._fit_everybody()
        if number == self._num_fits + 1:
            # What validation did not confirm is no ground to build on.
            self.model.load_state_dict({**self.best_state, **self.warm_start})
        return Epoch(number, self.edges.epoch(), None, None, None, None, 0.0, ATTENTION)

    @property
    def _num_fits(self) -> int:
        return sum(epoch.stage in STAGES for epoch in self.history)

    def _next_fit(self) -> Fit | None:
        if self.history[-1].stage in (ATTENTION, EVERYBODY):
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
        self.fits.fit(
            fit.stage, *self._strengths(fit.stage, fit.strength), infer_cars=self._infers(fit.stage)
        )

    def _fit_everybody(self) -> Epoch:
        """Fit the best weights once more, with those that were held out."""
        best = self.history[self.best_epoch]
        self.model.load_state_dict(self.best_state)
        strengths = self._strengths(best.stage, best.strength)
        self.fits.fit_everybody(best.stage, *strengths, infer_cars=self._infers(best.stage))
        return Epoch(len(self.history), None, None, None, None, None, 0.0, EVERYBODY, best.strength)

    def _strengths(self, stage: str, strength: float | None) -> tuple[float, float]:
        """Strengths of the priors of vectors and of biases in a fit of ``stage`` at ``strength``."""
        assert strength is not None, "each fit has a strength"
        return (math.inf, strength) if stage == POPULARITY else (strength, bias_strength(self.history))

    def _infers(self, stage: str) -> bool:
        """Whether visitors' cars are inferred anew in ``stage``."""
        if stage == MESSAGES:
            return best_of(self.history, LEVELS, VISITORS).stage == VISITORS
        return stage == VISITORS

    @torch.no_grad()
    def record(self, epoch: Epoch, start: float) -> None:
        """Validate ``epoch``, remember the best weights and add it to the history."""
        if epoch.stage == ATTENTION:
            self._record_attention(epoch, start)
            return
        if epoch.stage == EVERYBODY:
            self.history.append(epoch._replace(seconds=time.monotonic() - start))
            self.best_state = _copy(self.model.state_dict())
            return
        log_probability = self.fits.log_probability(epoch.stage)
        train_loss, validation_loss = self.fits.losses(log_probability)
        if validation_loss is not None and not math.isfinite(validation_loss):
            raise RuntimeError(
                f"validation loss of epoch {epoch.epoch} is {validation_loss}: lower the learning rate"
            )
        ranks = None
        if len(self.validation):
            vectors = self.model.embed_nodes(self.fits.data, self.fits.graph_of(epoch.stage))
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
        if epoch.stage == MESSAGES or (
            epoch.stage in STAGES and best_of(self.history, epoch.stage) is self.history[-1]
        ):
            self.stages[epoch.stage] = _copy(self.model.state_dict())
        if self._is_chosen(log_probability):
            self.best_epoch = epoch.epoch
            self.best_ranks = ranks if ranks is not None else torch.empty(0)
            self.best_state = _copy(self.model.state_dict())

    def _is_chosen(self, log_probability: Float[Tensor, "fitting_pairs"]) -> bool:
        """Whether the last epoch is better than the best before it; ``log_probability`` is of all fitting pairs."""
        epoch = self.history[-1]
        if epoch.stage != MESSAGES:
            return best_of(self.history, *CHOSEN_BY_LIKELIHOOD) is epoch
        if epoch.strength != strength_of_messages(self.history):
            return False
        with_messages = _copy(self.model.state_dict())
        self.model.load_state_dict(self.best_state)
        without = self.fits.log_probability(LEVELS)
        self.model.load_state_dict(with_messages)
        ranks_without, ranks_with = map(self.fits.held_out_ranks, (without, log_probability))
        weight = self.fits.asked[HELD_OUT].weight
        return not is_better(ranks_without, ranks_with, REFUTED, weight=weight)

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
        ranks = cold if self.best_epoch <= self._num_fits else ranks
        if is_better(ranks, self.best_ranks, self.options.edges.standard_errors):
            self.best_epoch = epoch.epoch
            self.best_ranks = torch.stack([cold, history]).mean(0)
            self.best_state = _copy(self.model.state_dict())

    def _ranks(self, vectors: Vectors, users: Int[Tensor, "positives"]) -> Float[Tensor, "positives"]:
        """Reciprocal rank of each validation edge for the vectors of ``users``, as the first process has it."""
        return self.group.of_first(reciprocal_ranks(*vectors, self.validation, users, self.rivals))


def _copy(state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in state.items()}


def _on_cpu(state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: value.cpu() for name, value in state.items()}
