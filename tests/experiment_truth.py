"""Experiments on the users of a sample whose true chances are known, read by the queries of production.

Users come in waves and get a mail a week, assigned by production's hash while the share grows from 25 to 50 %. They
open, click and order by the truth of the sample; the rows go through the source tables, the queries and the readout.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from experiment_world import END, START, decide, declare

from holley_assets.core.time_windows import TimeWindows
from holley_assets.experiment.declaration import Declaration
from holley_assets.pipeline.options import query_parameters
from holley_assets.ranking.arms import BUCKETS, user_buckets
from holley_assets.resources.warehouse.duckdb.warehouse import DuckDBWarehouse
from holley_assets.resources.warehouse.exposures import EXPOSURES_SCHEMA
from holley_assets.resources.warehouse.source_tables import SOURCE_TABLES
from holley_assets.sample_data import generate_sample, oracle_scores
from holley_assets.sample_data.oracle import true_chances
from holley_assets.sample_data.parameters import MICROSECONDS_PER_DAY, MINUTE
from holley_assets.sample_data.reactions import Habits, Mails, react
from holley_assets.settings import load_settings

SLOTS = 4
DAYS = (END - START).days
# The share of the graph, and the day from which it holds.
SHARES = ((0, 0.25), (14, 0.5))
# Of the graph's users, those for whom the graph has no row: they get the other arm's parts.
WITHOUT_A_ROW = 0.01
# Of a sample's users; a few have a car that nothing fits, or none.
USERS_WITH_A_CAR = 0.95
# What reactions change, and what is made from the tables of the sample alone.
_OF_REACTIONS = ("machine_bursts", "interaction_events", "order_lines")
_OF_SAMPLE = ("user_accounts", *_OF_REACTIONS, "parts")


@dataclass(frozen=True)
class World:
    """What is true of an experiment.

    Attributes:
        sql: which parts the SQL arm shows: the ``best`` for the car by the truth, or the ``popular`` ones that fit.
        graph: the same of the graph's arm.
        curiosity: how much more often users of the graph's arm open in the first week; it is gone after three.
        lost: least part of the graph's users whom the pipeline loses, all owners of some makes.
        right: decisions that are right.
    """

    sql: str
    graph: str
    right: tuple[str, ...]
    curiosity: float = 0.0
    lost: float = 0.0


WORLDS = {
    "better": World("popular", "best", ("ship",)),
    "equal": World("best", "best", ("stop for no effect",)),
    "harmful": World("best", "popular", ("harm", "stop for no effect")),
    "fading": World("best", "best", ("stop for no effect",), curiosity=1.0),
    "broken": World("popular", "best", ("invalid",), lost=0.12),
}


@dataclass(frozen=True)
class Round:
    """One experiment of each of some worlds at the same time, on users of their own."""

    declarations: dict[str, Declaration]
    warehouse: DuckDBWarehouse
    folder: Path

    def outcomes(self, world: str, day: datetime.date) -> pa.Table:
        """The outcomes as of ``day``, by production's query."""
        declaration = self.declarations[world]
        parameters = {**_parameters(day), **declaration.outcome_parameters()}
        path = self.folder / "experiment_outcomes.parquet"
        return pq.read_table(self.warehouse.query_to_parquet("experiment_outcomes", parameters, path).path)

    def decide(self, world: str) -> dict[str, Any]:
        """The readout of the first look that decides, or of the last."""
        return decide(lambda day: self.outcomes(world, day), self.declarations[world])


class Sample:
    """A sample, its users with a car, and what each choice of parts is worth to them.

    ``chance`` holds [U, SLOTS] true chances by the name of a choice, ``part`` rows of ``skus``.
    """

    def __init__(self, folder: Path, users: int, seed: int = 0) -> None:
        self.folder, self.results = folder, folder / "results"
        self.results.mkdir(parents=True)
        sample = folder / "sample"
        generate_sample(
            sample,
            users=users,
            kind="segment",
            seed=seed,
            as_of=END,
            intent_start=START - datetime.timedelta(days=90),
            test_days=DAYS,
            traffic=0.1,
        )
        self.sources = {table: sample / f"{table}.parquet" for table in SOURCE_TABLES}
        for name in _OF_SAMPLE:
            self._warehouse({}).query_to_parquet(name, _parameters(END), self.results / f"{name}.parquet")
        accounts = pq.read_table(self.results / "user_accounts.parquet")
        accounts = accounts.filter(pc.is_valid(accounts["email_lower"]))
        # One of the accounts of an address.
        first = accounts.group_by("email_lower").aggregate([("user_id", "min")])["user_id_min"]
        accounts = accounts.filter(pc.is_in(accounts["user_id"], value_set=first.combine_chunks()))
        parts = pq.read_table(self.results / "parts.parquet").group_by("base_sku")
        prices = parts.aggregate([("serving_price", "max"), ("serving_orders", "sum")]).sort_by("base_sku")
        self.skus = prices["base_sku"].combine_chunks()
        self.prices = pc.fill_null(prices["serving_price_max"], 0.0).to_numpy()
        orders = prices["serving_orders_sum"].to_numpy().astype(float)
        cars, choices = _choices(oracle_scores(sample), self.skus, orders)
        place = pc.index_in(_car(accounts), value_set=cars)
        self.users = accounts.filter(pc.is_valid(place))
        place = place.drop_null().to_numpy()
        self.part = {name: part[place] for name, part in choices.items()}
        self.chance = {name: self._chances(sample, part) for name, part in self.part.items()}

    def _chances(self, sample: Path, part: np.ndarray) -> np.ndarray:
        shown = self.users.take(pa.array(np.repeat(np.arange(len(part)), SLOTS)))
        shown = shown.append_column("base_sku", self.skus.take(pa.array(part.ravel())))
        return true_chances(sample, shown).reshape(part.shape)

    def _warehouse(self, others: dict[str, Path]) -> DuckDBWarehouse:
        names = (*_OF_SAMPLE, "shown_exposures", "experiment_outcomes")
        return DuckDBWarehouse(
            sources={**self.sources, **{name: path for name, path in others.items() if name in self.sources}},
            assets={name: self.results / f"{name}.parquet" for name in names},
            database=self.folder / "warehouse.duckdb",
            temporary_directory=self.folder / "tmp",
        )

    def experiment(self, worlds: Iterable[str], users: int, seed: int) -> Round:
        """Let an experiment of ``users`` users run in each world; no user is in two of them."""
        worlds = list(worlds)
        random = np.random.default_rng(seed)
        chosen = random.permutation(len(self.users))
        if len(chosen) < users * len(worlds):
            raise ValueError(f"{len(chosen)} users have a car, and {users * len(worlds)} are wanted")
        declarations, logs, mails = {}, [], []
        for number, world in enumerate(worlds):
            declarations[world] = declare(
                name=world, salt=f"{world} {seed}", looks=4, guardrails={"delivered_share": 0.05}
            )
            log, sent = self._send(
                WORLDS[world], declarations[world], chosen[number * users :][:users], random
            )
            logs.append(log)
            mails.append(sent)
        rows = react(self._together(mails), Habits(), random)
        others = {}
        for name, table in rows.items():
            others[name] = self.results / f"{name}.parquet"
            before = pq.read_table(self.sources[name])
            pq.write_table(pa.concat_tables([before, table.cast(before.schema)]), others[name])
        pq.write_table(pa.concat_tables(logs), self.results / "shown_exposures.parquet")
        warehouse = self._warehouse(others)
        for name in _OF_REACTIONS:
            warehouse.query_to_parquet(name, _parameters(END), self.results / f"{name}.parquet")
        return Round(declarations, warehouse, self.results)

    def _send(
        self, world: World, declaration: Declaration, users: np.ndarray, random: np.random.Generator
    ) -> tuple[pa.Table, dict[str, np.ndarray]]:
        """The log of the exposures, and the mails: a row of each is a user on a day."""
        count = len(users)
        emails = self.users["email_lower"].take(pa.array(users))
        bucket = user_buckets(emails, declaration.salt).to_numpy()
        # A fifth comes in the first week; everybody gets a mail a week from then on.
        first = np.where(
            random.random(count) < 0.2, random.integers(0, 7, count), random.integers(0, DAYS, count)
        )
        has_row = random.random(count) >= WITHOUT_A_ROW
        amount = (DAYS - 1 - first) // 7 + 1
        user = np.repeat(np.arange(count), amount)
        day = first[user] + 7 * (np.arange(len(user)) - np.repeat(np.cumsum(amount) - amount, amount))
        share = np.select([day >= since for since, _ in SHARES[::-1]], [share for _, share in SHARES[::-1]])
        assigned = bucket[user] < share * BUCKETS
        sent = ~(assigned & self._lost(users, world.lost)[user])
        user, day, share, assigned = user[sent], day[sent], share[sent], assigned[sent]
        received = assigned & has_row[user]
        dates = np.datetime64(START) + day.astype("timedelta64[D]")
        arms = pa.array(["sql", "graph"])
        columns = {
            "experiment": pa.repeat(declaration.name, len(user)),
            "exposure_day": pa.array(dates),
            "email_lower": emails.take(pa.array(user)),
            "assigned_arm": arms.take(pa.array(assigned.astype(int))),
            "received_arm": arms.take(pa.array(received.astype(int))),
            "share": pa.array(share),
            "system": pa.array(["sql", "gnn"]).take(pa.array(received.astype(int))),
            "model_version": pa.array(["sql", "7"]).take(pa.array(received.astype(int))),
            "published_at": pa.array(dates.astype("datetime64[us]")),
        }
        log = pa.table(
            [
                columns[field.name].cast(field.type)
                if field.name in columns
                else pa.nulls(len(user), field.type)
                for field in EXPOSURES_SCHEMA
            ],
            schema=EXPOSURES_SCHEMA,
        )
        row = users[user]
        wanes = np.maximum(0.0, 1.0 - day // 7 / 3.0)
        start = (START - datetime.date(1970, 1, 1)).days
        return log, {
            "user": row,
            "time": (start + day) * MICROSECONDS_PER_DAY + random.integers(0, 720 * MINUTE, len(user)),
            "part": np.where(received[:, None], self.part[world.graph][row], self.part[world.sql][row]),
            "chance": np.where(received[:, None], self.chance[world.graph][row], self.chance[world.sql][row]),
            "interest": 1.0 + world.curiosity * wanes * received,
        }

    def _lost(self, users: np.ndarray, share: float) -> np.ndarray:
        """Owners of as many makes, the most common first, as it takes for ``share`` of the users."""
        makes = self.users["make"].take(pa.array(users)).combine_chunks().dictionary_encode().indices
        code = makes.to_numpy()
        amount = np.bincount(code)
        order = np.argsort(-amount, kind="stable")
        taken = np.cumsum(amount[order]) - amount[order] < share * len(users)
        return np.isin(code, order[taken])

    def _together(self, mails: Sequence[dict[str, np.ndarray]]) -> Mails:
        whole = {name: np.concatenate([part[name] for part in mails]) for name in mails[0]}
        user = pa.array(whole.pop("user"))
        return Mails(
            user_id=self.users["user_id"].take(user).combine_chunks(),
            email=self.users["email_lower"].take(user).combine_chunks(),
            skus=self.skus,
            prices=self.prices,
            **whole,
        )


def _choices(scores: pa.Table, skus: pa.Array, orders: np.ndarray) -> tuple[pa.Array, dict[str, np.ndarray]]:
    """Cars [C] with enough parts, and four of each car's parts [C, SLOTS] by each way to choose."""
    cars = _car(scores).combine_chunks().dictionary_encode()
    car = cars.indices.to_numpy()
    part = pc.index_in(scores["base_sku"], value_set=skus).to_numpy()
    amount = np.bincount(car)
    enough = np.flatnonzero(amount >= SLOTS)
    start = (np.cumsum(amount) - amount)[enough]
    ways = {"best": scores["score"].to_numpy(), "popular": orders[part]}
    found = {}
    for name, worth in ways.items():
        ordered = part[np.lexsort((-worth, car))]
        found[name] = ordered[start[:, None] + np.arange(SLOTS)]
    return cars.dictionary.take(pa.array(enough)), found


def _car(table: pa.Table) -> pa.ChunkedArray:
    texts = [pc.cast(table[name], pa.string()) for name in ("year", "make", "model")]
    return pc.binary_join_element_wise(*texts, "\x1f")


def _parameters(day: datetime.date) -> dict[str, object]:
    windows = TimeWindows(day, START, START - datetime.timedelta(days=90), "sample", "")
    return query_parameters(load_settings(), windows)
