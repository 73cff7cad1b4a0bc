"""``treatment_interaction``: e-mails that were opened and clicked."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from holley_assets.sample_data import dirt, nested
from holley_assets.sample_data.clicks import OPENS_PER_CLICK, Clicks
from holley_assets.sample_data.parameters import SampleParameters, microseconds
from holley_assets.sample_data.people import numbered
from holley_assets.sample_data.tables_users import UserIds

INTERACTION_TYPES = ("VIEWED", "CLICKED", "viewed", "Clicked")
EARLIER_OPENS_SHARE = 0.5


def treatments_table(parameters: SampleParameters, ids: UserIds, clicks: Clicks) -> pa.Table:
    """Opens and clicks of the test window, and opens before it."""
    random = parameters.random("treatments")
    click_ids = ids.of(random, clicks.user)
    start, end = microseconds(parameters.test_start), microseconds(parameters.as_of)
    count = len(clicks.user)
    opens = round(count * (OPENS_PER_CLICK - 1.0))
    open_id = random.integers(0, len(ids.user), opens)
    open_time = random.integers(start, end, opens)
    early = random.random(opens) < EARLIER_OPENS_SHARE
    open_time = np.where(
        early, np.maximum(open_time - (end - start), microseconds(parameters.intent_start)), open_time
    )
    # Each click comes a few seconds after its own open.
    user_id = np.concatenate([click_ids, click_ids, open_id])
    time = np.concatenate(
        [clicks.time, clicks.time - random.integers(2_000_000, 40_000_000, count), open_time]
    )
    clicked = np.arange(len(user_id)) < count
    tracking = np.concatenate([np.arange(count), np.arange(count), np.arange(count, count + opens)])
    kind = np.where(clicked, 1, 0) + 2 * (random.random(len(user_id)) < 0.02)
    # People who are not in the attributes click too.
    stranger = np.where(random.random(len(user_id)) < 0.01, len(ids.texts) + tracking % 50, user_id)
    user_texts = pa.concat_arrays([ids.texts, numbered("x", np.arange(50), 8)])

    again = dirt.repeated(random, len(user_id), 0.01)
    rows = again[np.argsort(time[again], kind="stable")]
    return pa.table(
        {
            "user_id": user_texts.take(pa.array(stranger[rows])),
            "treatment_id": pa.array(4_000 + tracking[rows] % 12),
            "treatment_tracking_id": numbered("t", tracking[rows] * 11 + 1_000, 9),
            "interaction_type": pa.array(INTERACTION_TYPES).take(pa.array(kind[rows])),
            "interaction_timestamp_micros": nested.timestamps(time[rows]),
        }
    )
