"""How functions with gradients of their own are called."""

from __future__ import annotations

import torch
from torch import Tensor


def apply(function: type[torch.autograd.Function], *arguments: object) -> Tensor:
    """What ``function`` computes; PyTorch's own ``apply`` has no types."""
    result: Tensor = function.apply(*arguments)
    return result
