"""What the network would learn if each visitor's car were known: a bound of what the traffic can teach.

A sample draws every visitor's car; the shop never sees it. Here the draw is repeated and recorded, and each visitor
becomes a registered user of that car, so that nothing is hidden and nothing is inferred. Parts that a visitor met for
two cars are two users'. What separates this fit from the oracle no inference of cars can close.
"""

from __future__ import annotations

import dataclasses
import datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from holley_assets.evaluation.metrics import UserMetrics
from holley_assets.gnn.embedding import embed
from holley_assets.gnn.training import train
from holley_assets.pipeline.options import training_options
from holley_assets.ranking import EmbeddingScorer
from holley_assets.sample_data.browsing import build_browsing
from holley_assets.sample_data.catalogue import build_catalogue
from holley_assets.sample_data.demand import Demand, build_truth
from holley_assets.sample_data.fits import build_fits
from holley_assets.sample_data.generate import build_vehicles
from holley_assets.sample_data.parameters import SampleParameters
from holley_assets.sample_data.people import build_users
from holley_assets.sample_data.purchases import build_purchases
from holley_assets.sample_data.shop import Shop
from holley_assets.sample_data.writer import read_manifest

if TYPE_CHECKING:
    from study import Study


class RecordingShop(Shop):
    """A shop that remembers for which vehicle each person chose."""

    choices: list[tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]]

    def entries(
        self,
        person: np.ndarray,
        vehicle: np.ndarray,
        random: np.random.Generator,
        *,
        demand: Demand | None = None,
    ) -> np.ndarray:
        """As the shop draws them."""
        self.choices.append((person, vehicle))
        return super().entries(person, vehicle, random, demand=demand)


def true_cars(parameters: SampleParameters) -> pd.DataFrame:
    """``visitor`` (number after the registered users), ``year``, ``make`` and ``model`` that each chose for."""
    vehicles = build_vehicles(parameters)
    catalogue = build_catalogue(parameters)
    fits = build_fits(parameters, vehicles, catalogue)
    truth = build_truth(parameters, vehicles, catalogue)
    users = build_users(parameters, vehicles, Demand(truth, fits, catalogue, for_clicks=True))
    demand = Demand(truth, fits, catalogue, for_clicks=False)
    shop = RecordingShop(catalogue, vehicles, users, demand, own_taste_seed=parameters.seed)
    shop.choices = []
    build_browsing(parameters, shop, build_purchases(parameters, shop))
    person, vehicle = (np.concatenate(side) for side in zip(*shop.choices, strict=True))
    chosen = np.unique(np.stack([person, vehicle])[:, person >= parameters.users], axis=1)
    model = vehicles.vehicle_model[chosen[1]]
    return pd.DataFrame(
        {
            "visitor": chosen[0] - parameters.users,
            "year": vehicles.vehicle_year[chosen[1]].astype(np.int64),
            "make": np.asarray(vehicles.makes, object)[model],
            "model": np.asarray(vehicles.models, object)[model],
        }
    )


def parts_of_visitors(tables: dict[str, pa.Table], cutoff: object, maximum_parts: int) -> pd.DataFrame:
    """``visitor`` and ``base_sku`` of what visitors met before the cutoff, as ``visitor_parts.sql`` counts it."""
    events, lines = tables["interaction_events"], tables["order_lines"]
    events = events.filter(pc.less(events["event_date"], pa.scalar(cutoff)))
    counted = pc.and_(
        pc.equal(lines["source"].cast(pa.string()), "import_orders"), lines["counts_in_popularity"]
    )
    lines = lines.filter(pc.and_(counted, pc.less(lines["order_date"], pa.scalar(cutoff))))
    names = [pc.coalesce(events["email_lower"], events["user_id"]), lines["buyer"]]
    name, sku = (
        np.concatenate([column.cast(pa.string()).to_numpy() for column in columns])
        for columns in (names, (events["base_sku"], lines["base_sku"]))
    )
    met = pd.DataFrame({"name": name, "base_sku": sku}).dropna().drop_duplicates()
    fitting = tables["fits_edges"]["base_sku"].cast(pa.string()).to_numpy()
    registered = tables["user_nodes"]["email_lower"].cast(pa.string()).to_numpy()
    met = met[met.base_sku.isin(fitting) & ~met.name.isin(registered)]
    met = met[met.groupby("name").base_sku.transform("size") <= maximum_parts]
    # A guest's orders and a visitor's events are of one person who is numbered in both.
    number = met.name.str.extract(r"^(?:v|guest)(\d+)(?:@example\.com)?$")[0]
    return met.assign(visitor=number.astype("Int64"))[["name", "visitor", "base_sku"]].dropna()


def with_known_cars(study: Study, parameters: SampleParameters) -> Study:
    """The study in which every visitor is a registered user of the car that the sample drew."""
    tables = study.tables
    met = parts_of_visitors(tables, study.windows.cutoff, study.settings.run.visitor_maximum_parts)
    car = ["year", "make", "model"]
    fitment = (
        tables["fitment"].select([*car, "base_sku"]).to_pandas().astype({"year": "int64"}).drop_duplicates()
    )
    known = met.merge(true_cars(parameters), on="visitor").merge(fitment, on=[*car, "base_sku"])
    known = known.drop_duplicates(["name", "base_sku"])
    known["email_lower"] = known.name + "|" + known[car].astype(str).agg("|".join, axis=1)
    users = known.drop_duplicates("email_lower")[["email_lower", *car]]
    tiers = {"engagement_tier": "warm", "serving_engagement_tier": "warm"}
    interactions = known[["email_lower", "base_sku"]].assign(weight=1.0, views=1, carts=0, orders=0)
    return dataclasses.replace(
        study,
        tables={
            **tables,
            "user_nodes": _appended(tables["user_nodes"], users.assign(**tiers)),
            "interacts_edges": _appended(tables["interacts_edges"], interactions),
            "visitor_parts": tables["visitor_parts"].slice(0, 0),
        },
    )


def _appended(table: pa.Table, rows: pd.DataFrame) -> pa.Table:
    """``table`` and ``rows``, whose other columns are null."""
    schema = pa.schema([field for field in table.schema if field.name in rows])
    return pa.concat_tables(
        [table, pa.Table.from_pandas(rows, schema, preserve_index=False)], promote_options="default"
    )


def parameters_of(manifest: dict[str, Any]) -> SampleParameters:
    """The parameters that a sample was drawn by."""
    values = {
        field.name: manifest["parameters"][field.name] for field in dataclasses.fields(SampleParameters)
    }
    days = {name: datetime.date.fromisoformat(values[name]) for name in ("as_of", "intent_start")}
    return SampleParameters(**{**values, **days})


def known_cars(study: Study, seed: int) -> UserMetrics:
    """The network with the settings of a run, where every visitor's car is known; personal histories left out."""
    assert study.oracle_folder is not None, "the cars are known of samples alone"
    manifest = read_manifest(study.oracle_folder)
    assert manifest is not None, "a sample is complete"
    known = with_known_cars(study, parameters_of(manifest))
    model_options, options = training_options(study.settings)
    result = train(known.graph.data, model_options, dataclasses.replace(options, seed=seed))
    vectors = embed(known.graph.data, result.checkpoint, personal_precision=options.personal_precision)
    return known.measure(EmbeddingScorer(vectors.user, vectors.product, known.products))
