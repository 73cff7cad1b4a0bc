"""Edges of one relation, ordered for the sparse products of attention."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from holley_assets.gnn.ragged import row_offsets


@dataclass(frozen=True)
class Adjacency:
    """Edges of one relation in compressed rows, by target and by source.

    Attributes:
        source: source node of each edge, ordered by target, ``[num_edges]``.
        target: target node of each edge, ascending, ``[num_edges]``.
        num_sources, num_targets: nodes at either end.
        features: edge features, ordered by target, ``[num_edges, edge_dim]``.
        log_multiplicity: ``ln n`` of an edge whose source stands for ``n`` nodes, ``[num_edges]``, or None.
        order: position of each edge in the ``edge_index`` it was built from, ``[num_edges]``.
    """

    source: Tensor
    target: Tensor
    num_sources: int
    num_targets: int
    features: Tensor
    log_multiplicity: Tensor | None
    order: Tensor
    _heads: dict[int, HeadEdges] = field(default_factory=dict, repr=False)

    @classmethod
    def build(
        cls,
        edge_index: Tensor,
        features: Tensor,
        num_sources: int,
        num_targets: int,
        multiplicity: Tensor | None = None,
    ) -> Adjacency:
        """Order ``edge_index`` ``[2, num_edges]`` for both directions of the sparse product."""
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

    def with_features(self, features: Tensor) -> Adjacency:
        """The same edges with other ``features``, given in the order of the original ``edge_index``."""
        return replace(self, features=features[self.order])

    def of_targets(self, targets: Tensor) -> Adjacency:
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
        edge: edge and head of each entry, ``edge · heads + head``, ordered by target row, ``[num_entries]``.
        source: source row of each entry, ``[num_entries]``.
        target: target row of each entry, ascending, ``[num_entries]``.
        offsets: first entry of each target row, ``[num_targets · heads]``.
        by_source: positions of the entries when ordered by source row, ``[num_entries]``.
        target_by_source: target row of each entry in that order, ``[num_entries]``.
        source_offsets: first of ``by_source`` of each source row, ``[num_sources · heads]``.
    """

    edge: Tensor
    source: Tensor
    target: Tensor
    offsets: Tensor
    by_source: Tensor
    target_by_source: Tensor
    source_offsets: Tensor

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
