"""The parts beside those that sell most: what the table of similar parts says of them, for people to judge."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

# Parts that the section is about, and how many it shows of each relation.
SOLD_MOST, EACH = 10, 4
_SHOWN = ("base_sku", "sku", "part_type", "serving_price", "serving_image")


def similar_parts_section(similar_parts: pa.Table, parts: pa.Table, *, pictures: bool) -> dict[str, Any]:
    """The parts that sold most, best first, each with the first of its alternatives and of what goes with it.

    Args:
        similar_parts: asset of that name.
        parts: asset of that name, one row a variant. A part sold as often as all its variants together, and ties go by
            its base SKU; it is shown as its best-selling variant that may be recommended. Parts without one are left
            out.
        pictures: whether the addresses of images are of pictures that exist.

    Returns:
        ``parts``, at most :data:`SOLD_MOST` of base_sku, sku, part_type, price, image, orders, ``alternative`` and
        ``goes_with``, lists of at most :data:`EACH` of the same (but orders) with rank, score, buyers and
        shared_vehicles; and ``pictures``.
    """
    variants = _shown_variants(parts)
    sold = parts.group_by("base_sku").aggregate([("serving_orders", "sum")])
    sold = sold.filter(pc.is_in(sold["base_sku"], value_set=pa.array(list(variants), sold["base_sku"].type)))
    order = [("serving_orders_sum", "descending"), ("base_sku", "ascending")]
    chosen = sold.take(pc.sort_indices(sold, sort_keys=order)[:SOLD_MOST]).to_pylist()
    names = pa.array([row["base_sku"] for row in chosen], similar_parts["base_sku"].type)
    beside = similar_parts.filter(
        pc.and_(
            pc.is_in(similar_parts["base_sku"], value_set=names),
            pc.less_equal(similar_parts["rank"], EACH),
        )
    ).sort_by("rank")
    # A part that has become ineligible since the table was made is not shown.
    rows = [row for row in beside.to_pylist() if row["other_base_sku"] in variants]
    return {
        "pictures": pictures,
        "parts": [
            {
                **variants[part["base_sku"]],
                "orders": part["serving_orders_sum"],
                **{
                    relation: [
                        {
                            **variants[row["other_base_sku"]],
                            "rank": row["rank"],
                            "score": row["score"],
                            **row["evidence"],
                        }
                        for row in rows
                        if (row["base_sku"], row["relation"]) == (part["base_sku"], relation)
                    ]
                    for relation in ("alternative", "goes_with")
                },
            }
            for part in chosen
        ],
    }


def _shown_variants(parts: pa.Table) -> dict[str, dict[str, Any]]:
    """Base SKU → its best-selling variant that may be recommended, ties by SKU."""
    eligible = parts.filter(pc.is_null(parts["serving_ineligible_reason"]))
    order = [("serving_orders", "ascending"), ("sku", "descending")]
    # The last row of a base SKU stays, which is the best.
    return {
        row["base_sku"]: {name.removeprefix("serving_"): value for name, value in row.items()}
        for row in eligible.sort_by(order).select(list(_SHOWN)).to_pylist()
    }
