"""The processes that share one training, and what they tell one another.

Each holds the whole graph and the whole network, draws the same batch from the same random stream, and takes
its shard of the terms of the loss. Gradients are summed, so that the step is that of one process with the whole
batch. What decides, validation, is computed by the first process: on GPUs two of them may differ in the last bit.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from jaxtyping import Shaped
from torch import Tensor, distributed


@dataclass(frozen=True)
class ProcessGroup:
    """This process among those of ``torch.distributed``; alone unless told otherwise."""

    rank: int = 0
    size: int = 1

    @classmethod
    def current(cls) -> ProcessGroup:
        """The group that ``torch.distributed`` was initialised with."""
        return cls(distributed.get_rank(), distributed.get_world_size())

    @property
    def is_first(self) -> bool:
        """Whether this process writes and reports for all."""
        return self.rank == 0

    def shard(self, count: int) -> slice:
        """This process's part of ``count`` terms; the parts of all are disjoint and are all."""
        return slice(count * self.rank // self.size, count * (self.rank + 1) // self.size)

    def sum(self, value: Shaped[Tensor, "*shape"]) -> Shaped[Tensor, "*shape"]:
        """Sum of ``value``, which has no gradient, over all processes."""
        if self.size > 1:
            value = value.clone()
            distributed.all_reduce(value)
        return value

    def sum_gradients(self, parameters: Iterable[Tensor]) -> None:
        """Replace each gradient by its sum over all processes, in one message."""
        if self.size == 1:
            return
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        flat = torch.cat([gradient.flatten() for gradient in gradients])
        distributed.all_reduce(flat)
        for gradient, summed in zip(
            gradients, flat.split([gradient.numel() for gradient in gradients]), strict=True
        ):
            gradient.copy_(summed.view_as(gradient))

    def of_first(self, value: Shaped[Tensor, "*shape"]) -> Shaped[Tensor, "*shape"]:
        """The first process's ``value``, which has one shape and type in all."""
        if self.size > 1:
            value = value.clone()
            distributed.broadcast(value, 0)
        return value

    def bytes_of_first(self, content: bytes | None, device: str) -> bytes | None:
        """The first process's ``content``; the others give ``None``."""
        if self.size == 1:
            return content
        length = torch.tensor([-1 if content is None else len(content)], device=device)
        length = self.of_first(length)
        if length.item() < 0:
            return None
        empty = torch.empty(int(length.item()), dtype=torch.uint8)
        buffer = empty if content is None else torch.frombuffer(bytearray(content), dtype=torch.uint8)
        return self.of_first(buffer.to(device)).cpu().numpy().tobytes()


ALONE = ProcessGroup()
