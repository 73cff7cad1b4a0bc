"""Personal vectors against the same ascent of one user at a time."""

from __future__ import annotations

import pytest
import torch
from torch_geometric.data import HeteroData

from holley_assets.gnn import personal
from holley_assets.gnn.model import Vectors
from holley_assets.gnn.personal import add_personal_vectors
from holley_assets.gnn.sampling import Positives

PRECISION, STEPS = 3.0, 4


def shop(users: list[int], candidates: list[int]) -> tuple[HeteroData, Vectors, Positives]:
    """Cars with these numbers of users and candidates, and users who each chose one or two of them."""
    generator = torch.Generator().manual_seed(7)
    parts = max(candidates) + 3
    data = HeteroData()
    data.candidate_products = torch.cat(
        [torch.randperm(parts, generator=generator)[:count] for count in candidates]
    ).to(torch.int32)
    data.candidate_offsets = torch.tensor([0, *candidates]).cumsum(0)
    cars = torch.repeat_interleave(torch.arange(len(users)), torch.tensor(users))
    data["user"].vehicle_year = cars[torch.randperm(len(cars), generator=generator)]
    vectors = Vectors(
        torch.randn(len(cars), 5, generator=generator), torch.randn(parts, 5, generator=generator)
    )
    chosen = [
        (user, int(data.candidate_products[data.candidate_offsets[car] + place]))
        for user, car in enumerate(data["user"].vehicle_year.tolist())
        # Every fifth user chose nothing, every third one two parts.
        for place in ([], [0, candidates[car] - 1], [0], [0], [0, candidates[car] - 1])[user % 5]
    ]
    user, product = torch.tensor(chosen).T
    row = data["user"].vehicle_year[user]
    return data, vectors, Positives(torch.arange(len(user)), user, product, row, torch.ones(len(user)))


def of_one_user(data: HeteroData, vectors: Vectors, positives: Positives, user: int) -> torch.Tensor:
    car = int(data["user"].vehicle_year[user])
    own = data.candidate_products[data.candidate_offsets[car] : data.candidate_offsets[car + 1]].long()
    chosen = positives.product[positives.user == user]
    curvature = 0.25 * vectors.product[:, :-1].square().sum(1).mean()
    deviation = torch.zeros(4)
    for _ in range(STEPS):
        scores = (
            vectors.product[own, :-1] @ (vectors.user[user, :-1] + deviation)
            + vectors.user[user, -1] * vectors.product[own, -1]
        )
        expected = scores.softmax(0) @ vectors.product[own, :-1]
        gradient = vectors.product[chosen, :-1].sum(0) - len(chosen) * expected - PRECISION * deviation
        deviation = deviation + gradient / (PRECISION + len(chosen) * curvature)
    return deviation


@pytest.mark.parametrize("block", [1, 50, 1_000_000])
def test_users_of_all_cars_at_once_get_what_each_gets_alone(
    monkeypatch: pytest.MonkeyPatch, block: int
) -> None:
    monkeypatch.setattr(personal, "BLOCK_CANDIDATES", block)
    monkeypatch.setattr(personal, "TILE_USERS", 3)
    data, vectors, positives = shop([7, 1, 3, 0, 10, 2], [4, 9, 1, 6, 2, 17])
    found = add_personal_vectors(vectors, data, positives, PRECISION, STEPS)
    assert torch.equal(found.product, vectors.product)
    assert torch.equal(found.user[:, -1], vectors.user[:, -1])
    active = set(positives.user.tolist())
    assert len(active) < len(vectors.user)
    for user in range(len(vectors.user)):
        deviation = of_one_user(data, vectors, positives, user) if user in active else torch.zeros(4)
        torch.testing.assert_close(found.user[user, :-1], vectors.user[user, :-1] + deviation)
