"""Edges of one relation, ordered for the sparse products of attention."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from holley_assets.gnn.ragged import row_offsets


@dataclass(frozen=True)
class Adjacency:
    """Edges of one relation in compressed rows, by target and by source.

    Attributes:
        source: source node of each edge, ordered by target.
        target: target node of each edge, ascending.
        num_sources, num_targets: nodes at either end.
        features: edge features, ordered by target.
        log_multiplicity: ``ln n`` of an edge whose source stands for ``n`` nodes.
        order: position of each edge in the ``edge_index`` it was built from.
    """

    source: Int[Tensor, "edges"]
    target: Int[Tensor, "edges"]
    num_sources: int
    num_targets: int
    features: Float[Tensor, "edges features"]
    log_multiplicity: Float[Tensor, "edges"] | None
    order: Int[Tensor, "edges"]
    _heads: dict[int, HeadEdges] = field(default_factory=dict, repr=False)

    @classmethod
    def build(
        cls,
        edge_index: Int[Tensor, "2 edges"],
        features: Float[Tensor, "edges features"],
        num_sources: int,
        num_targets: int,
        multiplicity: Float[Tensor, "edges"] | None = None,
    ) -> Adjacency:
        """Order ``edge_index`` for both directions of the sparse product."""
        order = torch.argsort(edge_index[1], stable=True)
        return cls(
            source=edge_index[0, order],
            target=edge_index[1, order],
            num_sources=num_sources,
            num_targets=num_targets,
            features=features[order],
            log_multiplicity=None if multiplicity is None else multiplicity[order].log(),
            order=order,
        )

    def with_features(self, features: Float[Tensor, "edges features"]) -> Adjacency:
        """The same edges with other ``features``, given in the order of the original ``edge_index``."""
        return replace(self, features=features[self.order])

    def of_targets(self, targets: Int[Tensor, "targets"]) -> Adjacency:
        """The edges into ``targets``, ascending, which become targets ``0, 1, 2, …``."""
        place = self.target.new_full((self.num_targets,), -1)
        place[targets] = torch.arange(len(targets), device=place.device)
        target = place[self.target]
        keep = torch.nonzero(target >= 0).flatten()
        return Adjacency(
            source=self.source[keep],
            target=target[keep],
            num_sources=self.num_sources,
            num_targets=len(targets),
            features=self.features[keep],
            log_multiplicity=None if self.log_multiplicity is None else self.log_multiplicity[keep],
            order=self.order[keep],
        )

    def heads(self, heads: int) -> HeadEdges:
        """The edges once for each of ``heads`` attention heads; made once for all that share these edges."""
        if heads not in self._heads:
            self._heads[heads] = HeadEdges.of(self, heads)
        return self._heads[heads]


@dataclass(frozen=True)
class HeadEdges:
    """Every edge once for each head, between nodes that stand once for each head too.

    Node ``n`` has a row ``n · heads + head`` for each head, which is how ``[num_nodes, heads · channels]`` lies
    in memory: one sparse product then serves all heads, and neither side is copied or cut up.

    Attributes:
        edge: edge and head of each entry, ``edge · heads + head``, ordered by target row.
        source: source row of each entry.
        target: target row of each entry, ascending.
        offsets: first entry of each target row.
        by_source: positions of the entries when ordered by source row.
        target_by_source: target row of each entry in that order.
        source_offsets: first of ``by_source`` of each source row.
    """

    edge: Int[Tensor, "entries"]
    source: Int[Tensor, "entries"]
    target: Int[Tensor, "entries"]
    offsets: Int[Tensor, "target_rows"]
    by_source: Int[Tensor, "entries"]
    target_by_source: Int[Tensor, "entries"]
    source_offsets: Int[Tensor, "source_rows"]

    @classmethod
    def of(cls, adjacency: Adjacency, heads: int) -> HeadEdges:
        """Entries of every edge of ``adjacency`` and each of ``heads``."""
        head = torch.arange(heads, device=adjacency.target.device)
        edges = torch.arange(len(adjacency.target), device=head.device)
        target = (adjacency.target[:, None] * heads + head).flatten()
        order = torch.argsort(target, stable=True)
        target = target[order]
        source = (adjacency.source[:, None] * heads + head).flatten()[order]
        by_source = torch.argsort(source, stable=True)
        return cls(
            edge=(edges[:, None] * heads + head).flatten()[order],
            source=source,
            target=target,
            offsets=row_offsets(target, adjacency.num_targets * heads),
            by_source=by_source,
            target_by_source=target[by_source],
            source_offsets=row_offsets(source, adjacency.num_sources * heads),
        )
