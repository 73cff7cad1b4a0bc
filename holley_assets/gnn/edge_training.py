"""Training of the layers of attention on single edges, by weighted binary cross-entropy with mixed negatives.

An epoch cuts the training edges into batches. For each the network sees the graph without the batch's own edges and
is asked for them twice, for their user as it is and for a user of the same car without history. The second question
is the one that 98 % of the delivered rankings answer.
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional
from torch_geometric.data import HeteroData

from holley_assets.gnn.message_graph import Adjacencies, MessageGraph
from holley_assets.gnn.model import HeteroGAT, Vectors
from holley_assets.gnn.process_group import ProcessGroup
from holley_assets.gnn.ragged import RaggedPairs, ragged_scores
from holley_assets.gnn.sampling import FittingParts, Negatives, Positives, draw_negatives
from holley_assets.gnn.training_options import EdgeOptions

# Users are asked for in multiples of this. Tensors of a new size in every step would leave the heap in pieces that
# no later step can use: at full scale it would grow by 300 MiB an epoch.
USERS_ASKED = 2048


class EdgeTraining:
    """Optimisers and edges of one training; ``validation`` edges are hidden from it."""

    def __init__(
        self,
        model: HeteroGAT,
        data: HeteroData,
        positives: Positives,
        held_out: Int[Tensor, "held_out"],
        candidates: FittingParts,
        known: Int[Tensor, "known"],
        options: EdgeOptions,
        seed: int,
        generator: torch.Generator,
        group: ProcessGroup,
    ) -> None:
        """``held_out`` are interacts edges that no message may carry; ``known`` true positives, to mask."""
        self.model, self.data, self.positives, self.options = model, data, positives, options
        self.candidates, self.known, self.seed = candidates, known, seed
        self.generator, self.group = generator, group
        self.messages = MessageGraph(data)
        num_edges = data["user", "interacts", "product"].edge_index.shape[1]
        self.visible = torch.ones(num_edges, dtype=torch.bool, device=known.device)
        self.visible[held_out] = False
        embeddings = [module.weight for module in model.modules() if isinstance(module, nn.Embedding)]
        chosen = {id(parameter) for parameter in embeddings}
        others = [parameter for parameter in model.parameters() if id(parameter) not in chosen]
        self.optimisers = [
            torch.optim.Adam(embeddings, options.embedding_learning_rate),
            torch.optim.Adam(others, options.learning_rate),
        ]

    def epoch(self) -> float:
        """One pass over the training edges; returns their mean loss."""
        self.model.train()
        device = self.known.device
        order = torch.randperm(len(self.positives), generator=self.generator, device=device)
        total = 0.0
        for index in order.chunk(self.options.batches):
            batch = self.positives.take(index)
            keep = self.visible.clone()
            keep[batch.edge] = False
            loss = self._loss(self._vectors(batch, self.messages.keeping(keep)), batch)
            for optimiser in self.optimisers:
                optimiser.zero_grad()
            loss.backward()
            self.group.sum_gradients(self.model.parameters())
            nn.utils.clip_grad_norm_(self.model.parameters(), self.options.gradient_norm)
            for optimiser in self.optimisers:
                optimiser.step()
            total += self.group.sum(loss.detach()).item() * len(batch)
        return total / len(self.positives)

    @torch.no_grad()
    def validate(self, validation: Positives) -> tuple[float, Vectors]:
        """Mean loss of the ``validation`` edges, and the vectors of their users."""
        self.model.eval()
        random_state = self.generator.get_state()
        self.generator.manual_seed(self.seed)  # the same negatives each time
        vectors = self._vectors(validation, self.messages.keeping(self.visible))
        loss = self.group.sum(self._loss(vectors, validation)).item()
        self.generator.set_state(random_state)
        return loss, vectors

    def _vectors(self, batch: Positives, adjacencies: Adjacencies) -> Vectors:
        vectors: Vectors = self.model(self.data, adjacencies, self._asked(batch))
        return vectors

    def _asked(self, batch: Positives) -> Int[Tensor, "asked"]:
        """The user nodes that a loss reads, filled up to a multiple of :data:`USERS_ASKED`.

        Those of all processes, so that dropout is the same in each.
        """
        asked = torch.zeros(self.data["user"].num_nodes, dtype=torch.bool, device=batch.user.device)
        for nodes in (batch.user, self.data["user"].cold_profile[batch.user]):
            asked[nodes] = True
        missing = -int(asked.sum()) % USERS_ASKED
        asked[torch.nonzero(~asked).flatten()[:missing]] = True
        return torch.nonzero(asked).flatten()

    def _loss(self, vectors: Vectors, batch: Positives) -> Float[Tensor, ""]:
        """Weighted loss of a batch, for users as they are and as users without history.

        With several processes, this one's share of it: the shares sum to the loss.
        """
        negatives = draw_negatives(batch, self.known, self.candidates, self.options.negatives, self.generator)
        total_weight, shard = batch.weight.sum(), self.group.shard(len(batch))
        batch, negatives = batch.take(shard), negatives.take(shard)
        drawn = RaggedPairs.of_table(negatives.product)
        cold = self.data["user"].cold_profile[batch.user]
        shares = ((batch.user, 1.0 - self.options.cold_share), (cold, self.options.cold_share))
        losses = [
            share * _pair_loss(vectors.user.index_select(0, rows), vectors.product, batch, negatives, drawn)
            for rows, share in shares
            if share
        ]
        return torch.stack(losses).sum() / total_weight


def _pair_loss(
    user: Float[Tensor, "positives channels"],
    product: Float[Tensor, "products channels"],
    batch: Positives,
    negatives: Negatives,
    drawn: RaggedPairs,
) -> Float[Tensor, ""]:
    """Sum of the positives' losses, each times its weight."""
    # Subtracting ln of the expected number of draws leaves the score an estimate of ln P(part | user),
    # however the negatives were drawn (noise-contrastive estimation, Gutmann & Hyvärinen 2012). Without it,
    # in-batch negatives punish a part for being popular.
    positive = (user * product.index_select(0, batch.product)).sum(1) - negatives.positive_log_expected
    negative = ragged_scores(user, product, drawn).view_as(negatives.product) - negatives.log_expected
    each = functional.softplus(-positive) + (functional.softplus(negative) * negatives.valid).sum(1)
    return (batch.weight * each).sum()
