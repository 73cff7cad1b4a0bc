"""Collaborative filtering as peers of the model: item-to-item cosine, ALS, BPR, LightGCN and a spectral filter.

They know rows and parts alone. A row is a registered user with a history, or a car with what visitors wanted for it
(``visitor_demand``), so that they read what the model reads. A user without a history takes the row of its car, and
where the car has none the mean of all rows. All return scores ``[num_test_users, num_products]``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import torch
from scipy.sparse import coo_matrix, csr_matrix, diags
from scipy.sparse.linalg import svds
from study import Study
from torch_geometric.nn import LightGCN

from holley_assets.evaluation.car_traffic import car_names
from holley_assets.ranking import EmbeddingScorer
from holley_assets.ranking.history_counts import LAST_SEEN, history_scorers
from holley_assets.ranking.scorers import HistoryScorer

FACTORS = 64
LIGHT_GCN_STEPS = 300
LIGHT_GCN_LEARNING_RATE = 0.01
# Edges of one step, drawn in proportion to their strength.
LIGHT_GCN_BATCH = 10_000
# Of several settings on a sample of 3,000 users the best for cold users and for those with a history together. What
# fewer than 0.3 visitors are expected to have wanted is no preference: ALS takes all that is not zero for one.
ALS_CONFIDENCE = 10.0
ALS_REGULARISATION = 10.0
ALS_MINIMUM_STRENGTH = 0.3
# What orders the parts that cosine knows nothing about; far below any cosine.
POPULARITY_TIE_BREAK = 1e-6

FloatArray = npt.NDArray[np.float32]


@dataclass(frozen=True)
class History:
    """Who met what before the cutoff, without decay.

    Attributes:
        strength: ``[num_rows, num_products]``. Of a user views + 3 · carts + 5 · days with an order (the weights are
            settings), of a car the expected visitors.
        row: of each test user: its own, its car's, or −1, ``[num_test_users]``.
    """

    strength: csr_matrix
    row: npt.NDArray[np.int64]

    def of_test_users(self, vectors: csr_matrix) -> csr_matrix:
        """The row of ``vectors`` ``[num_rows, …]`` of each test user; nothing where it has none."""
        return csr_matrix(diags((self.row >= 0).astype(np.float32)) @ vectors[self.row])

    def vectors_of_test_users(self, vectors: FloatArray) -> FloatArray:
        """The row of ``vectors`` of each test user, or the mean of all."""
        return np.concatenate([vectors, vectors.mean(axis=0, keepdims=True)])[self.row].astype(np.float32)


def read_history(study: Study) -> History:
    """Rows of every registered user with a history, and of every car that a visitor may have had."""
    run, users = study.settings.run, study.tables["user_nodes"]
    edges = study.tables["interacts_edges"]
    edges = edges.filter(pc.is_valid(edges["weight"]))
    purchases = study.tables["user_purchases"]
    purchases = purchases.filter(pc.less(purchases["order_date"], pa.scalar(study.windows.cutoff)))
    demand = study.tables["visitor_demand"]
    demand = demand.filter(pc.is_valid(demand["weight"]))
    emails, products = users["email_lower"], pa.array(study.products, pa.string())
    cars = pc.unique(car_names(demand))
    views, carts = (pc.fill_null(edges[name], 0).to_numpy() for name in ("views", "carts"))
    user = np.concatenate([_index(table["email_lower"], emails) for table in (edges, purchases)])
    row = np.concatenate([user, users.num_rows + _index(pa.chunked_array([car_names(demand)]), cars)])
    column = np.concatenate([_index(table["base_sku"], products) for table in (edges, purchases, demand)])
    value = np.concatenate(
        [
            run.view_weight * views + run.cart_weight * carts,
            np.full(purchases.num_rows, run.order_weight),
            demand["weight"].to_numpy(),
        ]
    )
    kept = np.flatnonzero((row >= 0) & (column >= 0) & (value > 0))
    # A purchase of somebody who is no user has no row.
    kept = kept[np.append(user, np.zeros(demand.num_rows, np.int64))[kept] >= 0]
    present, position = np.unique(row[kept], return_inverse=True)
    shape = (len(present), len(products))
    strength = coo_matrix((value[kept].astype(np.float32), (position, column[kept])), shape=shape).tocsr()
    own = _index(study.users["email_lower"], emails)
    car = _index(pa.chunked_array([car_names(study.users)]), cars)
    candidates = np.stack([own, np.where(car >= 0, users.num_rows + car, -1)])
    place = np.searchsorted(present, candidates).clip(max=len(present) - 1)
    found = np.where(present[place] == candidates, place, -1)
    return History(strength, np.where(found[0] >= 0, found[0], found[1]))


def last_seen(study: Study, seed: int) -> FloatArray:
    """What each user viewed or put into the cart, newest first, as the report of every run has it."""
    return _count(study, LAST_SEEN)


def item_to_item(study: Study, seed: int) -> FloatArray:
    """What visitors met together with what each user met, as the report of every run has it."""
    return _count(study, "item_to_item")


def _count(study: Study, name: str) -> FloatArray:
    nodes = study.tables["product_nodes"]
    visitors = np.expm1(nodes["log_visitors"].to_numpy().astype(np.float64))
    emails = study.users["email_lower"].cast(pa.string()).combine_chunks()
    scorer = history_scorers(
        study.tables["user_visits"],
        emails,
        study.windows.cutoff,
        study.tables["co_viewed_edges"],
        pa.table({"base_sku": nodes["base_sku"], "visitors": visitors}),
        pa.table({"base_sku": nodes["base_sku"], "score": np.log1p(visitors)}),
    )[name]
    assert isinstance(scorer, HistoryScorer) and isinstance(scorer.vectors, EmbeddingScorer)
    products = pa.array(study.products, pa.string())
    scores = np.tile(
        scorer.vectors.product_embeddings[_index(products, nodes["base_sku"]), 0], (len(emails), 1)
    )
    column = _index(scorer.added["base_sku"], products)
    scores[scorer.added["profile"].to_numpy(), column] += scorer.added["score"].to_numpy()
    return scores.astype(np.float32)


def item_cosine(study: Study, seed: int) -> FloatArray:
    """Similarity of a part to what the row met: cosine of the parts' columns of ``ln(1 + strength)``."""
    history = read_history(study)
    logarithm = history.strength.log1p()
    length = np.sqrt(np.asarray(logarithm.power(2).sum(axis=0))[0])
    unit = logarithm @ diags(1.0 / np.maximum(length, 1e-12))
    scores = (history.of_test_users(logarithm) @ (unit.T @ unit)).toarray()
    popularity = study.graph.data["product"].features[:, 1].numpy()
    return np.asarray(scores + POPULARITY_TIE_BREAK * popularity, np.float32)


def als(study: Study, seed: int) -> FloatArray:
    """Alternating least squares on implicit feedback (Hu, Koren & Volinsky 2008); needs the extra ``benchmarks``."""
    from implicit.cpu.als import AlternatingLeastSquares

    history = read_history(study)
    strength = history.strength.multiply(history.strength >= ALS_MINIMUM_STRENGTH).tocsr()
    model = AlternatingLeastSquares(
        factors=FACTORS,
        regularization=ALS_REGULARISATION,
        iterations=20,
        random_state=seed,
        num_threads=1,
    )
    model.fit(ALS_CONFIDENCE * strength.log1p(), show_progress=False)
    scores: FloatArray = history.vectors_of_test_users(model.user_factors) @ model.item_factors.T
    return scores


def bpr(study: Study, seed: int) -> FloatArray:
    """Matrix factorisation by Bayesian personalised ranking (Rendle et al. 2009).

    With the library's own learning rate and iterations it has hardly begun to learn on so few interactions. It needs
    the extra ``benchmarks``.
    """
    from implicit.cpu.bpr import BayesianPersonalizedRanking

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
    scores: FloatArray = history.vectors_of_test_users(model.user_factors) @ model.item_factors.T
    return scores


def spectral(study: Study, seed: int) -> FloatArray:
    """The ideal low-pass filter on the graph of parts (Shen et al. 2021): what the row met, smoothed.

    With R the strengths and D the sums of its columns, ``r D^-1/2 V Vᵀ D^1/2``, where V are the leading right
    singular vectors of R with rows and columns normalised.
    """
    history = read_history(study)
    strength = history.strength.log1p()
    rows, columns = (np.asarray(strength.sum(axis=axis)).ravel() for axis in (1, 0))
    scale = 1.0 / np.sqrt(np.maximum(columns, 1e-12))
    normalised = diags(1.0 / np.sqrt(np.maximum(rows, 1e-12))) @ strength @ diags(scale)
    start = np.random.default_rng(seed).normal(size=min(normalised.shape))
    _, _, vectors = svds(normalised.astype(np.float64), k=min(FACTORS, min(normalised.shape) - 1), v0=start)
    met = history.of_test_users(strength) @ diags(scale)
    return np.asarray((met @ vectors.T) @ vectors / scale[None], np.float32)


def lightgcn(study: Study, seed: int) -> FloatArray:
    """LightGCN (He et al. 2020) on the graph of rows and parts; an edge is drawn as often as it is strong."""
    history = read_history(study)
    torch.manual_seed(seed)
    num_rows, num_products = history.strength.shape
    pairs = history.strength.tocoo()
    row, product = (torch.from_numpy(side.astype(np.int64)) for side in (pairs.row, pairs.col))
    strength = torch.from_numpy(np.log1p(pairs.data).astype(np.float32))
    edges = torch.stack([row, product + num_rows])
    edges = torch.cat([edges, edges.flip(0)], dim=1)
    num_nodes = num_rows + num_products
    # The layers' normalisation, D^-1/2 A D^-1/2, once instead of in every layer of every step.
    both = strength.repeat(2)
    scale = torch.zeros(num_nodes).index_add_(0, edges[0], both).clamp_min(1e-6).rsqrt()
    weight = scale[edges[0]] * both * scale[edges[1]]
    adjacency = torch.sparse_coo_tensor(edges, weight, (num_nodes, num_nodes)).to_sparse_csr()
    model = LightGCN(num_nodes, FACTORS, num_layers=2, normalize=False)
    optimiser = torch.optim.Adam(model.parameters(), LIGHT_GCN_LEARNING_RATE)
    for _ in range(LIGHT_GCN_STEPS):
        drawn = torch.multinomial(strength, LIGHT_GCN_BATCH, replacement=True)
        negative = torch.randint(num_products, (len(drawn),))
        vectors = model.get_embedding(adjacency)
        met = vectors[row[drawn]]
        positive_rank = (met * vectors[num_rows + product[drawn]]).sum(1)
        negative_rank = (met * vectors[num_rows + negative]).sum(1)
        nodes = torch.cat([row[drawn], num_rows + product[drawn], num_rows + negative])
        loss = model.recommendation_loss(positive_rank, negative_rank, nodes)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    with torch.no_grad():
        vectors = model.get_embedding(adjacency).numpy()
    scores: FloatArray = history.vectors_of_test_users(vectors[:num_rows]) @ vectors[num_rows:].T
    return scores


def _index(values: pa.ChunkedArray, vocabulary: pa.ChunkedArray | pa.Array) -> npt.NDArray[np.int64]:
    """Position of each value in ``vocabulary``, −1 where it is not there."""
    known = vocabulary.combine_chunks() if isinstance(vocabulary, pa.ChunkedArray) else vocabulary
    found = pc.index_in(values.cast(pa.string()), value_set=known.cast(pa.string()))
    place: npt.NDArray[np.int64] = pc.fill_null(found, -1).to_numpy().astype(np.int64)
    return place
