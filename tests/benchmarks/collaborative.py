"""Collaborative filtering as peers of the model: item-to-item cosine, ALS, BPR and LightGCN.

They know users and parts alone. A user without history takes the history of all owners of the same make and
model: its sum for cosine, the mean of the owners' vectors for the others, and the mean of all users where no
owner has a history. All return scores ``[num_test_users, num_products]``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import torch
from implicit.cpu.als import AlternatingLeastSquares
from implicit.cpu.bpr import BayesianPersonalizedRanking
from scipy.sparse import coo_matrix, csr_matrix, diags
from study import Study
from torch_geometric.nn import LightGCN

FACTORS = 64
LIGHT_GCN_STEPS = 300
LIGHT_GCN_LEARNING_RATE = 0.01
# What orders the parts that cosine knows nothing about; far below any cosine.
POPULARITY_TIE_BREAK = 1e-6

FloatArray = npt.NDArray[np.float32]


@dataclass(frozen=True)
class History:
    """What registered users did before the cutoff, without decay.

    Attributes:
        strength: views + 3 · carts + 5 · days with an order (the weights are settings),
            ``[num_users, num_products]``.
        owners: 1 where a user with history owns the vehicle, ``[num_vehicles, num_users]``.
        user, vehicle: row and vehicle of each test user, ``[num_test_users]``.
    """

    strength: csr_matrix
    owners: csr_matrix
    user: npt.NDArray[np.int64]
    vehicle: npt.NDArray[np.int64]

    @property
    def known(self) -> npt.NDArray[np.bool_]:
        """Whether each test user has a history of its own."""
        return self.strength.getnnz(axis=1)[self.user] > 0

    def of_test_users(self, vectors: csr_matrix) -> csr_matrix:
        """A user's own row of ``vectors`` ``[num_users, …]``, or the sum over the owners of its vehicle."""
        own = diags(self.known.astype(np.float32)) @ vectors[self.user]
        borrowed = diags((~self.known).astype(np.float32)) @ (self.owners @ vectors)[self.vehicle]
        return csr_matrix(own + borrowed)

    def vectors_of_test_users(self, vectors: FloatArray) -> FloatArray:
        """A user's own vector, or the mean of the vehicle's owners, or of all users with history."""
        count = np.asarray(self.owners.sum(axis=1))
        everyone = vectors[self.strength.getnnz(axis=1) > 0].mean(axis=0)
        of_vehicle = np.where(count > 0, (self.owners @ vectors) / np.maximum(count, 1), everyone)
        return np.where(self.known[:, None], vectors[self.user], of_vehicle[self.vehicle]).astype(np.float32)


def read_history(study: Study) -> History:
    """The history of every registered user."""
    run, users = study.settings.run, study.tables["user_nodes"]
    edges = study.tables["interacts_edges"]
    edges = edges.filter(pc.is_valid(edges["weight"]))
    purchases = study.tables["user_purchases"]
    purchases = purchases.filter(pc.less(purchases["order_date"], pa.scalar(study.windows.cutoff)))
    emails, products = users["email_lower"], pa.array(study.products, pa.string())
    row = np.concatenate([_index(table["email_lower"], emails) for table in (edges, purchases)])
    column = np.concatenate([_index(table["base_sku"], products) for table in (edges, purchases)])
    views, carts = (pc.fill_null(edges[name], 0).to_numpy() for name in ("views", "carts"))
    value = np.concatenate(
        [
            run.view_weight * views + run.cart_weight * carts,
            np.full(purchases.num_rows, run.order_weight),
        ]
    )
    kept = (row >= 0) & (column >= 0) & (value > 0)
    shape = (users.num_rows, len(products))
    strength = coo_matrix((value[kept].astype(np.float32), (row[kept], column[kept])), shape=shape).tocsr()

    profiles, data = study.graph.user_profiles, study.graph.data
    vehicle = data["user"].vehicle.numpy()[profiles]
    active = np.flatnonzero(strength.getnnz(axis=1))
    owners = csr_matrix(
        (np.ones(len(active), np.float32), (vehicle[active], active)),
        shape=(data["vehicle"].num_nodes, users.num_rows),
    )
    user = _index(study.users["email_lower"], emails)
    return History(strength, owners, user, vehicle[user])


def item_cosine(study: Study, seed: int) -> FloatArray:
    """Similarity of a part to what the user met: cosine of the parts' columns of ``ln(1 + strength)``."""
    history = read_history(study)
    logarithm = history.strength.log1p()
    length = np.sqrt(np.asarray(logarithm.power(2).sum(axis=0))[0])
    unit = logarithm @ diags(1.0 / np.maximum(length, 1e-12))
    scores = (history.of_test_users(logarithm) @ (unit.T @ unit)).toarray()
    popularity = study.graph.data["product"].features[:, 1].numpy()
    return np.asarray(scores + POPULARITY_TIE_BREAK * popularity, np.float32)


def als(study: Study, seed: int) -> FloatArray:
    """Alternating least squares on implicit feedback (Hu, Koren & Volinsky 2008)."""
    history = read_history(study)
    model = AlternatingLeastSquares(factors=FACTORS, iterations=20, random_state=seed, num_threads=1)
    model.fit(history.strength.log1p(), show_progress=False)
    return history.vectors_of_test_users(model.user_factors) @ model.item_factors.T


def bpr(study: Study, seed: int) -> FloatArray:
    """Matrix factorisation by Bayesian personalised ranking (Rendle et al. 2009).

    With the library's own learning rate and iterations it has hardly begun to learn on so few interactions.
    """
    history = read_history(study)
    model = BayesianPersonalizedRanking(
        factors=FACTORS,
        learning_rate=0.05,
        regularization=0.05,
        iterations=200,
        random_state=seed,
        num_threads=1,
    )
    model.fit(history.strength, show_progress=False)
    return history.vectors_of_test_users(model.user_factors) @ model.item_factors.T


def lightgcn(study: Study, seed: int) -> FloatArray:
    """LightGCN (He et al. 2020) on the graph of users and parts."""
    history = read_history(study)
    torch.manual_seed(seed)
    num_users, num_products = history.strength.shape
    active = np.flatnonzero(history.strength.getnnz(axis=1))
    pairs = history.strength[active].tocoo()
    user, product = (torch.from_numpy(side.astype(np.int64)) for side in (pairs.row, pairs.col))
    edges = torch.stack([user, product + len(active)])
    edges = torch.cat([edges, edges.flip(0)], dim=1)
    num_nodes = len(active) + num_products
    # The layers' normalisation, D^-1/2 A D^-1/2, once instead of in every layer of every step.
    scale = torch.bincount(edges[0], minlength=num_nodes).clamp_min(1).float().rsqrt()
    weight = scale[edges[0]] * scale[edges[1]]
    adjacency = torch.sparse_coo_tensor(edges, weight, (num_nodes, num_nodes)).to_sparse_csr()
    model = LightGCN(num_nodes, FACTORS, num_layers=2, normalize=False)
    optimiser = torch.optim.Adam(model.parameters(), LIGHT_GCN_LEARNING_RATE)
    for _ in range(LIGHT_GCN_STEPS):
        negative = torch.randint(num_products, (len(user),))
        vectors = model.get_embedding(adjacency)
        met = vectors[user]
        positive_rank = (met * vectors[len(active) + product]).sum(1)
        negative_rank = (met * vectors[len(active) + negative]).sum(1)
        nodes = torch.cat([user, len(active) + product, len(active) + negative])
        loss = model.recommendation_loss(positive_rank, negative_rank, nodes)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    with torch.no_grad():
        vectors = model.get_embedding(adjacency).numpy()
    users = np.zeros((num_users, FACTORS), np.float32)
    users[active] = vectors[: len(active)]
    return history.vectors_of_test_users(users) @ vectors[len(active) :].T


def _index(values: pa.ChunkedArray, vocabulary: pa.ChunkedArray | pa.Array) -> npt.NDArray[np.int64]:
    """Position of each value in ``vocabulary``, −1 where it is not there."""
    known = vocabulary.combine_chunks() if isinstance(vocabulary, pa.ChunkedArray) else vocabulary
    found = pc.index_in(values.cast(pa.string()), value_set=known.cast(pa.string()))
    return pc.fill_null(found, -1).to_numpy().astype(np.int64)
