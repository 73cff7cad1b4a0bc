"""How functions with gradients of their own are called."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor


def apply(function: type[torch.autograd.Function], *arguments: object) -> Float[Tensor, "..."]:
    """What ``function`` computes; PyTorch's own ``apply`` has no types."""
    result: Tensor = function.apply(*arguments)
    return result
