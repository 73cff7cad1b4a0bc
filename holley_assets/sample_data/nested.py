"""Arrow arrays of the nested BigQuery types."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from jaxtyping import Bool, Int

TIMESTAMP = pa.timestamp("us", tz="UTC")
PROPERTY = pa.struct(
    [
        ("property_name", pa.string()),
        ("string_value", pa.string()),
        ("long_value", pa.int64()),
        ("double_value", pa.float64()),
    ]
)
PROPERTIES = pa.list_(pa.field("element", PROPERTY))
PRODUCT = pa.struct([("product_number", pa.string())])
PRODUCTS = pa.list_(pa.field("element", PRODUCT))


def timestamps(
    microseconds: Int[np.ndarray, "rows"], *, null: Bool[np.ndarray, "rows"] | None = None
) -> pa.Array:
    """TIMESTAMP column from microseconds since 1970, null where ``null`` is true."""
    return pa.array(microseconds.astype("datetime64[us]"), mask=null).cast(TIMESTAMP)


def properties(
    offsets: Int[np.ndarray, "starts"],
    names: pa.Array,
    strings: pa.Array,
    longs: pa.Array,
    doubles: pa.Array,
) -> pa.Array:
    """Arrays of properties: row i has the elements ``offsets[i]:offsets[i + 1]`` of each column."""
    values = pa.StructArray.from_arrays([names, strings, longs, doubles], fields=list(PROPERTY))
    return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), values, type=PROPERTIES)


def products(offsets: Int[np.ndarray, "starts"], numbers: pa.Array) -> pa.Array:
    """Arrays of products, delimited likewise."""
    values = pa.StructArray.from_arrays([numbers], fields=list(PRODUCT))
    return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), values, type=PRODUCTS)
