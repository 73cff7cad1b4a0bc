"""``ingestion_unified_attributes_schema_incremental``: what is known of users, in several rows each."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Bool, Int

from holley_assets.sample_data import dirt, nested
from holley_assets.sample_data.parameters import MICROSECONDS_PER_DAY, SampleParameters, microseconds
from holley_assets.sample_data.people import (
    BLANK_MAKE,
    BLANK_MODEL,
    NO_VEHICLE,
    UNUSABLE_YEAR,
    Users,
    numbered,
)
from holley_assets.sample_data.vehicle_names import ORPHAN_VEHICLES
from holley_assets.sample_data.vehicles import Vehicles

DIRTY_TEXT_SHARE = 0.04
EARLIER_VEHICLE_SHARE = 0.06
PARTIAL_UPDATE_SHARE = 0.08
NO_EMAIL_SHARE = 0.004
# One value in four is a year; with two years in three as integers, 17 % of all values are in long_value.
YEAR_AS_LONG_SHARE = 0.66
YEAR_AS_DOUBLE_SHARE = 0.02
UNUSABLE_YEARS = ("NONE", "", "n/a", "0", "2199", None)
PROPERTY_NAMES = ("email", "v1_year", "v1_make", "v1_model")
# Kinds of rows: what of the four properties they carry.
EVERYTHING, VEHICLE_ONLY, EMAIL_ONLY = range(3)


@dataclass(frozen=True)
class UserIds:
    """user_ids of the registered users, sorted by user."""

    texts: pa.Array
    user: Int[np.ndarray, "ids"]
    first: Int[np.ndarray, "starts"]  # of each user, with the end

    def of(self, random: np.random.Generator, user: Int[np.ndarray, "asked"]) -> Int[np.ndarray, "asked"]:
        """One of each user's ids, at random."""
        amount = self.first[user + 1] - self.first[user]
        chosen: np.ndarray = self.first[user] + (random.random(len(user)) * amount).astype(np.int64)
        return chosen


def build_user_ids(users: Users) -> UserIds:
    """One or two ids an e-mail."""
    user = np.repeat(np.arange(len(users.user_ids)), users.user_ids)
    first = np.concatenate([[0], np.cumsum(users.user_ids)])
    return UserIds(numbered("u", np.arange(len(user)) * 7 + 10_000, 8), user, first)


@dataclass(frozen=True)
class _Rows:
    """Rows of the table: id, the vehicle they tell, kind and times."""

    user_id: Int[np.ndarray, "rows"]
    vehicle: Int[np.ndarray, "rows"]
    kind: Int[np.ndarray, "rows"]
    current: Bool[np.ndarray, "rows"]  # whether the row tells the present vehicle, and so the problem with it
    updated: Int[np.ndarray, "rows"]  # microseconds, as is the time of insertion
    inserted: Int[np.ndarray, "rows"]

    def take(self, order: Int[np.ndarray, "taken"]) -> _Rows:
        """The rows at these positions."""
        return _Rows(*(getattr(self, name)[order] for name in _Rows.__annotations__))


def _draw_rows(
    parameters: SampleParameters, users: Users, ids: UserIds, vehicles: Vehicles, random: np.random.Generator
) -> _Rows:
    """One full row an id, some with earlier vehicles before it and some with updates of one half after it."""
    count = len(ids.user)
    end = microseconds(parameters.cutoff)
    updated = end - random.integers(40 * MICROSECONDS_PER_DAY, 900 * MICROSECONDS_PER_DAY, count)
    # The second id of an e-mail is older and may tell another vehicle.
    is_second = np.diff(ids.user, prepend=-1) == 0
    updated = np.where(
        is_second, updated[np.maximum(np.arange(count) - 1, 0)] - MICROSECONDS_PER_DAY, updated
    )
    elsewhere = random.permutation(users.vehicle)[ids.user]
    vehicle = np.where(is_second & (random.random(count) < 0.4), elsewhere, users.vehicle[ids.user])
    current = vehicle == users.vehicle[ids.user]

    early = np.flatnonzero(random.random(count) < EARLIER_VEHICLE_SHARE)
    partial = np.flatnonzero(random.random(count) < PARTIAL_UPDATE_SHARE)
    # Some earlier vehicles have the very time of the present one and were only inserted before it.
    age = random.integers(1, 300 * MICROSECONDS_PER_DAY, len(early)) * (random.random(len(early)) < 0.9)
    inserted = updated + random.integers(60, 120, count) * 60_000_000
    later = random.integers(0, 30 * MICROSECONDS_PER_DAY, len(partial))
    kinds = np.where(random.random(len(partial)) < 0.5, VEHICLE_ONLY, EMAIL_ONLY)
    return _Rows(
        user_id=np.concatenate([np.arange(count), early, partial]),
        vehicle=np.concatenate([vehicle, elsewhere[early], vehicle[partial]]),
        kind=np.concatenate([np.zeros(count, np.int64), np.zeros(len(early), np.int64), kinds]),
        current=np.concatenate([current, np.zeros(len(early), bool), current[partial]]),
        updated=np.concatenate([updated, updated[early] - age, updated[partial] + later]),
        inserted=np.concatenate([inserted, updated[early] - age + 1_000_000, inserted[partial] + later]),
    )


def attributes_table(
    parameters: SampleParameters, users: Users, ids: UserIds, vehicles: Vehicles
) -> pa.Table:
    """The attributes of all registered users."""
    random = parameters.random("attributes")
    rows = _draw_rows(parameters, users, ids, vehicles, random)
    again = dirt.repeated(random, len(rows.user_id), 0.005)
    rows = rows.take(again[random.permutation(len(again))])
    count = len(again)
    columns = _property_columns(users, ids, vehicles, rows, random)
    # [R, 4] which properties a row carries; a user without a vehicle has none but the e-mail.
    carried = np.ones((count, 4), dtype=bool)
    carried[rows.kind == VEHICLE_ONLY, 0] = False
    carried[rows.kind == EMAIL_ONLY, 1:] = False
    carried[random.random(len(ids.user))[rows.user_id] < NO_EMAIL_SHARE, 0] = False
    carried[users.problem[ids.user[rows.user_id]] == NO_VEHICLE, 1:] = False
    flat = np.flatnonzero(carried.ravel())

    name_code = np.tile(np.arange(4), count)[flat]
    name_code += 4 * np.where(random.random(len(flat)) < 0.05, random.integers(1, 3, len(flat)), 0)
    names = [
        *PROPERTY_NAMES,
        *(name.upper() for name in PROPERTY_NAMES),
        *(name.title() for name in PROPERTY_NAMES),
    ]
    # Columns hold one property each; a row's four stand at column · R + row.
    take = (flat % 4) * count + flat // 4
    return pa.table(
        {
            "user_id": dirt.take(ids.texts, np.where(random.random(count) < 0.0005, -1, rows.user_id)),
            "user_properties": nested.properties(
                np.concatenate([[0], np.cumsum(carried.sum(axis=1))]),
                pa.array(names).take(pa.array(name_code)),
                *(column.take(pa.array(take)) for column in columns),
            ),
            "update_timestamp": nested.timestamps(rows.updated),
            "auxia_insertion_timestamp": nested.timestamps(rows.inserted),
        }
    )


def _property_columns(
    users: Users, ids: UserIds, vehicles: Vehicles, rows: _Rows, random: np.random.Generator
) -> tuple[pa.Array, pa.Array, pa.Array]:
    """string, long and double values of the e-mails, years, makes and models, one after the other [4 · R]."""
    count = len(rows.user_id)
    user = ids.user[rows.user_id]
    problem = np.where(rows.current, users.problem[user], 0)
    orphan = np.where(rows.current, users.orphan[user], -1)
    nothing = pa.nulls(count, pa.string())

    emails = dirt.spellings(users.emails).take(
        pa.array(dirt.spell(random, user, len(users.emails), DIRTY_TEXT_SHARE))
    )
    year = vehicles.vehicle_year[rows.vehicle]
    form = np.where(problem == UNUSABLE_YEAR, 1.0, random.random(count))
    as_long = form < YEAR_AS_LONG_SHARE
    as_double = ~as_long & (form < YEAR_AS_LONG_SHARE + YEAR_AS_DOUBLE_SHARE)
    years = pc.cast(pa.array(year), pa.string())
    bad = pa.array(UNUSABLE_YEARS).take(pa.array(random.integers(0, len(UNUSABLE_YEARS), count)))
    years = pc.if_else(pa.array(problem == UNUSABLE_YEAR), bad, years)
    years = pc.if_else(pa.array(as_long | as_double), nothing, years)

    model = vehicles.vehicle_model[rows.vehicle]
    stray = len(vehicles.models) + orphan % len(ORPHAN_VEHICLES)
    code = np.where(orphan >= 0, stray, model)
    all_makes = pa.array([*vehicles.makes, *(make for make, _ in ORPHAN_VEHICLES)])
    all_models = pa.array([*vehicles.models, *(name for _, name in ORPHAN_VEHICLES)])
    blank = pa.array(["", " ", None]).take(pa.array(random.integers(0, 3, count)))
    makes = dirt.spellings(all_makes).take(
        pa.array(dirt.spell(random, code, len(all_makes), DIRTY_TEXT_SHARE))
    )
    makes = pc.if_else(pa.array(problem == BLANK_MAKE), blank, makes)
    models = dirt.spellings(all_models).take(
        pa.array(dirt.spell(random, code, len(all_models), DIRTY_TEXT_SHARE))
    )
    models = pc.if_else(pa.array(problem == BLANK_MODEL), blank, models)
    # Models that are numbers, such as 1500, may be stored as such.
    is_number = pc.match_substring_regex(all_models, "^[1-9][0-9]*$").to_numpy(zero_copy_only=False)
    number = np.array(
        [int(str(name)) if numeric else 0 for name, numeric in zip(all_models, is_number, strict=True)]
    )
    model_as_long = is_number[code] & (problem != BLANK_MODEL) & (random.random(count) < 0.5)
    models = pc.if_else(pa.array(model_as_long), nothing, models)

    no_number = np.zeros(count, dtype=np.int64)
    never = np.zeros(count, dtype=bool)
    longs = pa.array(
        np.concatenate([no_number, year, no_number, number[code]]),
        mask=~np.concatenate([never, as_long, never, model_as_long]),
    )
    doubles = pa.array(
        np.concatenate([no_number, year, no_number, no_number]).astype(float),
        mask=~np.concatenate([never, as_double, never, never]),
    )
    return pa.concat_arrays([emails, years, makes, models]), longs, doubles
