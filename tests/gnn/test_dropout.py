"""Dropout drops its share, keeps the mean, and sends no gradient through what it dropped."""

import pytest
import torch
from present import present

from holley_assets.gnn.dropout import Dropout, dropout


@pytest.mark.parametrize("probability", [0.1, 0.5, 0.9])
def test_share_and_scale(probability: float) -> None:
    torch.manual_seed(0)
    out = dropout(torch.ones(1001, 333), probability, training=True)
    assert abs((out == 0).float().mean().item() - probability) < 0.005
    torch.testing.assert_close(
        out[out != 0].unique(), torch.tensor([1 / (1 - probability)]), rtol=1e-4, atol=0
    )


def test_every_entry_is_drawn_for_itself() -> None:
    torch.manual_seed(0)
    dropped = dropout(torch.ones(100_000, 4), 0.5, training=True) == 0
    for other in range(1, 4):  # the four entries that share a random number
        assert abs((dropped[:, 0] == dropped[:, other]).float().mean().item() - 0.5) < 0.01
    assert abs((dropped[:-1] == dropped[1:]).float().mean().item() - 0.5) < 0.01


def test_gradient_takes_the_same_way() -> None:
    torch.manual_seed(0)
    x = torch.randn(50, 7, requires_grad=True)
    out = dropout(x, 0.3, training=True)
    out.sum().backward()
    torch.testing.assert_close(present(x.grad) * x.detach(), out.detach())


def test_nothing_is_dropped_in_evaluation_or_with_probability_zero() -> None:
    x = torch.randn(5, 3)
    assert torch.equal(dropout(x, 0.5, training=False), x)
    assert torch.equal(dropout(x, 0.0, training=True), x)
    assert torch.equal(Dropout(0.5).eval()(x), x)


def test_the_same_seed_drops_the_same() -> None:
    x = torch.ones(100)
    torch.manual_seed(3)
    first = dropout(x, 0.5, training=True)
    torch.manual_seed(3)
    assert torch.equal(dropout(x, 0.5, training=True), first)
