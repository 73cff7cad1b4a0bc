"""What the clicks cannot tell: they were made on what the SQL pipeline showed.

A user clicks on what an e-mail shows, and the e-mails of the test window showed the SQL pipeline's parts. A
click on one of them says little about what the user would have clicked had another system chosen. How many
clicks are of that kind, and what the metrics are on the others, bounds the damage.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Bool

from holley_assets.evaluation.systems import BASELINE


def shown_by(
    rankings: pa.Table, clicks: pa.Table, *, system: str = BASELINE, top: int = 4
) -> Bool[np.ndarray, "clicks"]:
    """Of each click: was the clicked part among the user's first ``top`` of ``system``?

    Args:
        rankings: email_lower, system, rank, base_sku.
        clicks: email_lower, base_sku.
        system: the system whose parts the users were shown.
        top: slots of an e-mail.
    """
    slots = rankings.filter(
        pc.and_(
            pc.equal(rankings.column("system").cast(pa.string()), system),
            pc.less_equal(rankings.column("rank"), top),
        )
    )
    pair = ["email_lower", "base_sku"]
    shown = pa.table({name: slots.column(name).cast(pa.string()) for name in pair}).append_column(
        "shown", pa.repeat(True, slots.num_rows)
    )
    clicked = pa.table({name: clicks.column(name).cast(pa.string()) for name in pair}).append_column(
        "row", pa.array(np.arange(clicks.num_rows))
    )
    joined = clicked.join(shown, keys=pair, join_type="left outer").sort_by("row")
    was_shown: np.ndarray = pc.fill_null(joined.column("shown"), False).to_numpy().astype(bool)
    return was_shown


def click_bias(
    is_shown: Bool[np.ndarray, "clicks"], *, system: str = BASELINE, top: int = 4
) -> dict[str, Any]:
    """Share of the test clicks on parts that the live system showed; None without clicks."""
    clicks = len(is_shown)
    return {
        "system": system,
        "top": top,
        "clicks": clicks,
        "clicks_on_shown_parts": int(is_shown.sum()),
        "share": float(is_shown.mean()) if clicks else None,
    }
