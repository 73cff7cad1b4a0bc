"""The world of a sample, before anything is written to disk."""

from __future__ import annotations

import datetime
from dataclasses import dataclass

from holley_assets.sample_data.browsing import Browsing, build_browsing
from holley_assets.sample_data.catalogue import Catalogue, build_catalogue
from holley_assets.sample_data.clicks import Clicks, build_clicks
from holley_assets.sample_data.demand import Demand, Truth, build_truth
from holley_assets.sample_data.fits import Fits, build_fits
from holley_assets.sample_data.generate import build_vehicles
from holley_assets.sample_data.met_parts import MetParts, build_met_parts
from holley_assets.sample_data.parameters import RETURN_SHARE, SampleKind, SampleParameters
from holley_assets.sample_data.people import Users, build_users
from holley_assets.sample_data.purchases import Purchases, build_purchases
from holley_assets.sample_data.shop import Shop
from holley_assets.sample_data.vehicles import Vehicles

AS_OF = datetime.date(2026, 1, 15)
INTENT_START = datetime.date(2025, 9, 1)
CUTOFF = datetime.date(2025, 12, 16)


@dataclass(frozen=True)
class World:
    """Everything that is made up before anything happens."""

    parameters: SampleParameters
    vehicles: Vehicles
    catalogue: Catalogue
    fits: Fits
    truth: Truth
    demand: Demand
    click_demand: Demand
    users: Users
    shop: Shop


def build_world(
    users: int,
    kind: SampleKind = "segment",
    seed: int = 0,
    *,
    traffic: float = 1.0,
    return_share: float = RETURN_SHARE,
) -> World:
    """The world of a sample with the usual days."""
    parameters = SampleParameters.resolve(
        users=users,
        kind=kind,
        seed=seed,
        as_of=AS_OF,
        intent_start=INTENT_START,
        products=None,
        models=None,
        test_days=30,
        traffic=traffic,
        return_share=return_share,
    )
    vehicles = build_vehicles(parameters)
    catalogue = build_catalogue(parameters)
    fits = build_fits(parameters, vehicles, catalogue)
    truth = build_truth(parameters, vehicles, catalogue)
    demand = Demand(truth, fits, catalogue, for_clicks=False)
    click_demand = Demand(truth, fits, catalogue, for_clicks=True)
    people = build_users(parameters, vehicles, click_demand)
    shop = Shop(catalogue, vehicles, people, demand, own_taste_seed=seed)
    return World(parameters, vehicles, catalogue, fits, truth, demand, click_demand, people, shop)


@dataclass(frozen=True)
class Happenings:
    """What people of a world did."""

    purchases: Purchases
    browsing: Browsing
    met: MetParts
    clicks: Clicks


def build_happenings(world: World) -> Happenings:
    """Orders, views, carts and clicks, as a sample has them."""
    purchases = build_purchases(world.parameters, world.shop)
    browsing, _ = build_browsing(world.parameters, world.shop, purchases)
    met = build_met_parts(world.parameters, world.shop, world.click_demand, purchases, browsing)
    clicks = build_clicks(world.parameters, world.shop, world.click_demand, met)
    return Happenings(purchases, browsing, met, clicks)
