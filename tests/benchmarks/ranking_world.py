"""A synthetic catalogue and its users at full scale, with the shapes that matter for the speed of ranking.

Vehicles follow a heavy tail (the largest model has about a tenth of the users and sixty years, most have a
few), a part fits a span of years of one model, and popular models have more parts: about 350 for an average
year, make and model, about 900 for an average user's.
"""

from __future__ import annotations

import datetime
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

VIEW_END = datetime.date(2026, 2, 1)
EMBEDDING_DIM = 128
FIRST_YEAR = 1950
LAST_YEAR = 2025


@dataclass(frozen=True)
class World:
    """Inputs of the ranker, as its callers have them."""

    users: pa.Table
    fitment: pa.Table
    parts: pa.Table
    purchases: pa.Table
    user_embeddings: npt.NDArray[np.float32]
    product_embeddings: npt.NDArray[np.float32]
    product_ids: list[str]


def make_world(
    user_count: int = 475_000, product_count: int = 25_000, model_count: int = 2_000, seed: int = 0
) -> World:
    """Draw a world. Catalogue and vehicles do not depend on ``user_count``."""
    random = np.random.default_rng(seed)
    model_weight = 1.0 / np.arange(2, model_count + 2) ** 1.05
    model_years = np.clip(np.rint(60 * (np.arange(model_count) + 1.0) ** -0.4), 1, 60).astype(np.int64)
    model_first_year = FIRST_YEAR + random.integers(0, LAST_YEAR - FIRST_YEAR - model_years + 2)

    # A pool of parts for each model, each for a span of its years; popular models have more.
    pool = 2200 * random.lognormal(0, 0.4, model_count) * (model_weight / model_weight[0]) ** 0.29
    pool = np.clip(pool, 8, 2800).astype(np.int64)
    pair_model = np.repeat(np.arange(model_count), pool)
    pair_product = (product_count * random.random(len(pair_model)) ** 1.5).astype(np.int64)
    keys = np.unique(pair_model * product_count + pair_product)
    pair_model, pair_product = np.divmod(keys, product_count)
    years = model_years[pair_model]
    span = np.minimum(1 + random.geometric(1 / 9, len(keys)), years)
    start = (random.random(len(keys)) * (years - span + 1)).astype(np.int64)
    row_model, row_product = np.repeat(pair_model, span), np.repeat(pair_product, span)
    row_year = np.repeat(model_first_year[pair_model] + start, span) + _ranges(span)

    base_skus = np.array(
        [f"{seller}-{number}" for number, seller in enumerate(random.integers(100, 999, product_count))]
    )
    variants = np.char.add(base_skus, np.where(random.random(product_count) < 0.1, "G", ""))
    makes = [f"MAKE {model % 60}" for model in range(model_count)]
    models = [f"MODEL {model}" for model in range(model_count)]
    fitment = pa.table(
        {
            "year": row_year,
            "make": _dictionary(row_model, makes),
            "model": _dictionary(row_model, models),
            "base_sku": _dictionary(row_product, base_skus.tolist()),
            "sku": _dictionary(row_product, variants.tolist()),
            "serving_sku": _dictionary(row_product, variants.tolist()),
        }
    )
    type_weight = 1.0 / np.arange(1, 401)
    part_types = random.choice(400, product_count, p=type_weight / type_weight.sum())
    parts = pa.table(
        {
            "sku": variants,
            "part_type": _dictionary(part_types, [f"TYPE {number}" for number in range(400)]),
            "serving_price": random.uniform(50, 900, product_count),
            "serving_image": np.char.add("https://images.example.com/parts/large/", base_skus),
        }
    )

    # Users: vehicle by popularity, own profile for 2 %, purchases for 5 %, half of them for their vehicle.
    user_model = random.choice(model_count, user_count, p=model_weight / model_weight.sum())
    # A tenth of a model's users own its classic year.
    place = np.where(random.random(user_count) < 0.1, 0.3, random.beta(2, 2, user_count))
    user_year = model_first_year[user_model] + (place * model_years[user_model]).astype(np.int64)
    vehicle_profile, profile = np.unique(user_model * 10_000 + user_year, return_inverse=True)
    active = np.flatnonzero(random.random(user_count) < 0.02)
    profile[active] = len(vehicle_profile) + np.arange(len(active))
    users = pa.table(
        {
            "email_lower": np.char.add(np.char.zfill(np.arange(user_count).astype(str), 8), "@example.com"),
            "year": user_year,
            "make": _dictionary(user_model, makes),
            "model": _dictionary(user_model, models),
            "profile": profile.astype(np.int32),
        }
    )
    buyers = np.repeat(random.choice(user_count, user_count // 20, replace=False), 2)
    offsets = np.searchsorted(pair_model, np.arange(model_count + 1))
    first, count = offsets[:-1][user_model[buyers]], np.diff(offsets)[user_model[buyers]]
    own = pair_product[first + (random.random(len(buyers)) * count).astype(np.int64)]
    bought = np.where(random.random(len(buyers)) < 0.5, own, random.integers(0, product_count, len(buyers)))
    days = np.datetime64(VIEW_END) - random.integers(1, 700, len(buyers))
    purchases = pa.table(
        {
            "email_lower": users["email_lower"].take(pa.array(buyers)),
            "base_sku": base_skus[bought],
            "order_date": pa.array(days),
        }
    )
    return World(
        users,
        fitment,
        parts,
        purchases,
        _unit_rows(random, len(vehicle_profile) + len(active)),
        _unit_rows(random, product_count),
        base_skus.tolist(),
    )


def _ranges(lengths: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """0, 1, …, length − 1 for each length, one after the other."""
    return np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)


def _dictionary(codes: npt.NDArray[np.int64], values: list[str]) -> pa.DictionaryArray:
    return pa.DictionaryArray.from_arrays(pa.array(codes, pa.int32()), pa.array(values))


def _unit_rows(random: np.random.Generator, rows: int) -> npt.NDArray[np.float32]:
    vectors = random.standard_normal((rows, EMBEDDING_DIM), dtype=np.float32)
    of_length_one: npt.NDArray[np.float32] = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return of_length_one
