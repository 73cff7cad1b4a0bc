"""What counts as ground truth: e-mail clicks, interactions on the site, or both."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import pyarrow as pa
import pyarrow.compute as pc

LabelSource = Literal["clicks", "interactions", "both"]
LABELS: Mapping[str, str] = {
    "clicks": "clicks on e-mails",
    "interactions": "views, carts and orders on the site",
    "both": "clicks on e-mails, and views, carts and orders on the site",
}
# One label, in a sentence that counts them.
LABEL_UNITS: Mapping[str, str] = {"clicks": "clicks", "interactions": "interactions", "both": "labels"}
_PAIR = ["email_lower", "base_sku"]


def ground_truth(source: LabelSource, clicks: pa.Table, interactions: pa.Table) -> pa.Table:
    """The labels that ``source`` names.

    Clicks are biased towards what the e-mails showed; interactions are not, but hold what users would have
    found without any recommendation. A click leads to a view of its part, so that both together count a pair
    of user and part that was clicked as clicks alone.

    Args:
        source: which labels.
        clicks: email_lower, base_sku; one row a click.
        interactions: email_lower, base_sku; one row a day on which a user met a new part.

    Returns:
        email_lower, base_sku; one row a label. For ``clicks``, the clicks as they are.

    Raises:
        ValueError: no such source.
    """
    if source == "clicks":
        return clicks
    if source == "interactions":
        return interactions.select(_PAIR)
    if source != "both":
        raise ValueError(f"{source!r} is none of {', '.join(LABELS)}")
    clicked, met = (
        pa.table({name: table[name].cast(pa.string()) for name in _PAIR}) for table in (clicks, interactions)
    )
    unclicked = met.join(clicked, keys=_PAIR, join_type="left anti", use_threads=False)
    return pa.concat_tables([clicked, unclicked])


def labelled_users(users: pa.Table, labels: pa.Table) -> pa.Table:
    """The rows of ``users`` with a label in the test window.

    Args:
        users: email_lower and more.
        labels: email_lower, of :func:`ground_truth`.
    """
    labelled = pc.unique(labels["email_lower"])
    return users.filter(pc.is_in(users["email_lower"], value_set=labelled))


def without_users(labels: pa.Table, others: pa.Table) -> pa.Table:
    """The rows of ``labels`` whose user has no row in ``others``; both have email_lower."""
    known = pc.is_in(
        labels["email_lower"].cast(pa.string()), value_set=pc.unique(others["email_lower"].cast(pa.string()))
    )
    return labels.filter(pc.invert(known))


def dropped_labels(
    source: LabelSource, clicks: Mapping[str, int], interactions: Mapping[str, int]
) -> dict[str, int]:
    """Rows that could not be labels, by reason, of those tables that ``source`` reads."""
    read = [
        table
        for name, table in (("clicks", clicks), ("interactions", interactions))
        if source in (name, "both")
    ]
    reasons = {reason for table in read for reason in table}
    return {reason: sum(table.get(reason, 0) for table in read) for reason in sorted(reasons)}
