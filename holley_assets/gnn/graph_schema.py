"""Node types, relations and the tables that they are read from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import pyarrow as pa

View = Literal["training", "serving"]

INTERACTS = ("user", "interacts", "product")
FITS = ("product", "fits", "vehicle")
OWNS = ("user", "owns", "vehicle")
CO_PURCHASED = ("product", "co_purchased", "product")
REV_INTERACTS = ("product", "rev_interacts", "user")
REV_FITS = ("vehicle", "rev_fits", "product")
REV_OWNS = ("vehicle", "rev_owns", "user")
EDGE_TYPES = (INTERACTS, REV_INTERACTS, FITS, REV_FITS, OWNS, REV_OWNS, CO_PURCHASED)

TIERS = ("cold", "warm", "hot")
# The product feature that an untrained network ranks by: who looks is many times who buys.
LOG_VISITORS = 4


@dataclass(frozen=True)
class GraphTables:
    """The tables the graph is built from; columns as the SQL files of the same names select them."""

    user_nodes: pa.Table
    product_nodes: pa.Table
    vehicle_nodes: pa.Table
    interacts_edges: pa.Table
    fits_edges: pa.Table
    co_purchased_edges: pa.Table
    fitment: pa.Table
    user_purchases: pa.Table
    visitor_parts: pa.Table
    daily_orders: pa.Table
