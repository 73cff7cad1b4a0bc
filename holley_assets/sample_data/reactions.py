"""What users do with the mails of an experiment: opens, clicks, visits and orders that depend on the parts shown.

The rows are those that the shop would export, to be added to the source tables of a sample: an experiment on them is
read by the queries and the statistics of production, and its truth is known.
"""

from __future__ import annotations

import datetime
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Bool, Float, Int

from holley_assets.sample_data import nested
from holley_assets.sample_data.parameters import MICROSECONDS_PER_DAY, MINUTE
from holley_assets.sample_data.people import numbered
from holley_assets.sample_data.tables_orders import date_texts

SECOND = 1_000_000
_FIRST_DAY = datetime.date(1970, 1, 1)
# Four clicks of a program that follows every link of a mail, in seconds after its arrival.
SCANNER_SECONDS = (2, 3, 5, 8)
_TREATMENT = 4_900


@dataclass(frozen=True)
class Mails:
    """Mails, each with the same number of parts.

    Attributes:
        user_id: who receives it, a string each.
        email: the same person's address, a string each.
        time: of arrival, microseconds since 1970.
        part: rows of ``skus``.
        chance: true chance that the user wants this part and no other; a row sums to 1 at most.
        interest: what the chance to open is multiplied by; 1 is as usual.
        skus: base SKUs, strings.
        prices: of the parts in dollars.
    """

    user_id: pa.Array
    email: pa.Array
    time: Int[np.ndarray, "mails"]
    part: Int[np.ndarray, "mails slots"]
    chance: Float[np.ndarray, "mails slots"]
    interest: Float[np.ndarray, "mails"]
    skus: pa.Array
    prices: Float[np.ndarray, "products"]


@dataclass(frozen=True)
class Habits:
    """How users treat mails; each is a share.

    Attributes:
        opening: mails that their user opens.
        opened_by_program: mails that a mail program opens by itself, whoever sees them.
        other_links: opened mails without a wanted part in which the user clicks something else.
        ordering: clicks on a part that end in an order of it.
        scanned: users whose provider follows every link of a mail when it arrives.
    """

    opening: float = 0.4
    opened_by_program: float = 0.5
    other_links: float = 0.1
    ordering: float = 0.2
    scanned: float = 0.02


def react(mails: Mails, habits: Habits, random: np.random.Generator) -> dict[str, pa.Table]:
    """Draw what users do.

    A user opens a mail by chance, wants one part, and clicks it where it is shown; else perhaps another link. Some
    order what they clicked. Programs open mails and follow links too, which tells nothing of the parts.

    Returns:
        rows of ``treatment_interaction``, ``ingestion_unified_schema_incremental`` and ``import_orders`` by name.

    Raises:
        ValueError: chances of a mail's parts are below 0 or sum to more than 1.
    """
    edges = np.cumsum(mails.chance, axis=1)
    if len(edges) and (mails.chance.min() < 0.0 or edges[:, -1].max() > 1.0 + 1e-9):
        raise ValueError("the chances of a mail's parts must be 0 or more and sum to 1 at most")
    count, slots = mails.part.shape
    opened = random.random(count) < np.multiply(habits.opening, mails.interest)
    slot = np.sum(random.random((count, 1)) >= edges, axis=1)
    wanted = opened & (slot < slots)
    other = opened & ~wanted & (random.random(count) < habits.other_links)
    user = mails.email.dictionary_encode().indices.to_numpy()
    scanned = (random.random(int(user.max(initial=-1)) + 1) < habits.scanned)[user]

    seen = np.flatnonzero(opened | (random.random(count) < habits.opened_by_program))
    clicking = np.flatnonzero(wanted | other)
    click_time = mails.time + random.integers(2 * MINUTE, 30 * 60 * MINUTE, count)
    machine = np.repeat(np.flatnonzero(scanned), len(SCANNER_SECONDS))
    after = np.tile(SCANNER_SECONDS, int(scanned.sum())) * SECOND
    visiting = np.flatnonzero(wanted)
    part = mails.part[visiting, slot[visiting]]
    visit_time = click_time[visiting] + random.integers(2 * SECOND, 5 * MINUTE, len(visiting))
    buys = random.random(len(visiting)) < habits.ordering
    buyer, bought = visiting[buys], part[buys]
    order_time = visit_time[buys] + random.integers(MINUTE, 20 * MINUTE, len(bought))
    return {
        "treatment_interaction": _interactions(
            mails,
            np.concatenate([seen, clicking, machine]),
            np.concatenate([mails.time[seen] + MINUTE, click_time[clicking], mails.time[machine] + after]),
            np.arange(len(seen) + len(clicking) + len(machine)) >= len(seen),
        ),
        "ingestion_unified_schema_incremental": _events(
            mails,
            np.concatenate([visiting, buyer]),
            np.concatenate([visit_time, order_time]),
            np.concatenate([part, bought]),
            np.arange(len(visiting) + len(buyer)) >= len(visiting),
        ),
        "import_orders": _orders(mails, buyer, order_time, bought),
    }


def _interactions(
    mails: Mails,
    mail: Int[np.ndarray, "rows"],
    time: Int[np.ndarray, "rows"],
    clicked: Bool[np.ndarray, "rows"],
) -> pa.Table:
    return pa.table(
        {
            "user_id": mails.user_id.take(pa.array(mail)),
            "treatment_id": pa.array(np.full(len(mail), _TREATMENT)),
            "treatment_tracking_id": numbered("m", mail, 9),
            "interaction_type": pa.array(("VIEWED", "CLICKED")).take(pa.array(clicked.astype(np.int64))),
            "interaction_timestamp_micros": nested.timestamps(time),
        }
    )


def _events(
    mails: Mails,
    mail: Int[np.ndarray, "rows"],
    time: Int[np.ndarray, "rows"],
    part: Int[np.ndarray, "rows"],
    ordered: Bool[np.ndarray, "rows"],
) -> pa.Table:
    """Views and orders, each of one part with its price."""
    count = len(mail)
    names = pa.array(("ProductId", "Price", "Items_0.ProductId", "Items_0.ItemPrice"))
    # Two properties an event: the part as text, the price as a number.
    is_price = np.tile([False, True], count)
    code = is_price + 2 * np.repeat(ordered, 2)
    both = np.repeat(part, 2)
    properties = nested.properties(
        np.arange(0, 2 * count + 1, 2),
        names.take(pa.array(code)),
        mails.skus.take(pa.array(both, mask=is_price)),
        pa.nulls(2 * count, pa.int64()),
        pa.array(mails.prices[both], pa.float64(), mask=~is_price),
    )
    return pa.table(
        {
            "user_id": mails.user_id.take(pa.array(mail)),
            "event_name": pa.array(("Viewed Product", "Placed Order")).take(
                pa.array(ordered.astype(np.int64))
            ),
            "client_event_timestamp": nested.timestamps(time),
            "event_properties": properties,
        }
    )


def _orders(
    mails: Mails, mail: Int[np.ndarray, "rows"], time: Int[np.ndarray, "rows"], part: Int[np.ndarray, "rows"]
) -> pa.Table:
    day = time // MICROSECONDS_PER_DAY
    first = int(day.min()) if len(day) else 0
    texts = date_texts(_FIRST_DAY + datetime.timedelta(days=first), int((day - first).max(initial=-1)) + 1)
    return pa.table(
        {
            "ITEM": mails.skus.take(pa.array(part)),
            "SHIP_TO_EMAIL": pc.cast(mails.email.take(pa.array(mail)), pa.string()),
            "ORDER_DATE": texts.take(pa.array(day - first)),
        }
    )
