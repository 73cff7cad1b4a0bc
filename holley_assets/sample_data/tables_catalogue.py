"""``import_items``, ``import_items_tags`` and ``vehicle_product_fitment_data``, dirty as exports are."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Bool, Float

from holley_assets.sample_data import dirt, nested
from holley_assets.sample_data.catalogue import NO_PART_TYPE, Catalogue
from holley_assets.sample_data.fits import Fits, ranges
from holley_assets.sample_data.parameters import SampleParameters
from holley_assets.sample_data.vehicle_names import ORPHAN_VEHICLES
from holley_assets.sample_data.vehicles import Vehicles

DIRTY_SKU_SHARE = 0.02
DIRTY_VEHICLE_SHARE = 0.03
UNUSABLE_PRICE_SHARE = 0.035
UNUSABLE_PRICES = (None, None, None, None, "", "CALL", "0.00")
OTHER_TAGS = ("", "street", "race, dyno tested", "new for this year", "clearance")
REFURBISHED_TAGS = ("Refurbished", "REFURBISHED", "clearance, refurbished", "street, ReFurbished")
UNUSABLE_YEARS = ("NONE", "", "19xx", "0", None)


def price_texts(prices: Float[np.ndarray, "rows"]) -> pa.Array:
    """Prices as ``129.95``."""
    return pa.array(np.char.mod("%.2f", prices))


def import_items_tables(parameters: SampleParameters, catalogue: Catalogue) -> tuple[pa.Table, pa.Table]:
    """The item master and the tags, one row a variant plus repeated rows and second part types."""
    random = parameters.random("items")
    listed = np.flatnonzero(catalogue.in_items[catalogue.sku_product])
    types = pa.array(catalogue.types.names)
    first_type = catalogue.part_type[catalogue.sku_product]
    second_type = catalogue.second_type[catalogue.sku_product]

    # Repeated rows, and rows with the second type at a lower price: the highest price is the true one.
    with_second = listed[second_type[listed] != NO_PART_TYPE]
    once = listed[dirt.repeated(random, len(listed), 0.01)]
    sku = np.concatenate([once, with_second])
    part_type = np.concatenate([first_type[once], second_type[with_second]])
    price = catalogue.price[catalogue.sku_product[sku]] * np.where(np.arange(len(sku)) < len(once), 1.0, 0.95)
    texts = price_texts(price)
    unusable = random.random(len(catalogue.skus)) < UNUSABLE_PRICE_SHARE
    reason = random.integers(0, len(UNUSABLE_PRICES), len(catalogue.skus))
    texts = pc.if_else(
        pa.array(unusable[sku]), pa.array(UNUSABLE_PRICES, pa.string()).take(pa.array(reason[sku])), texts
    )

    # Either table may say that a part is refurbished, or both.
    where = random.integers(0, 3, len(catalogue.skus))
    refurbished = catalogue.sku_refurbished
    spelled = dirt.spellings(catalogue.skus)
    order = random.permutation(len(sku))
    items = pa.table(
        {
            "PartNumber": spelled.take(
                pa.array(dirt.spell(random, sku, len(catalogue.skus), DIRTY_SKU_SHARE))
            ),
            "PartType": dirt.take(types, part_type),
            "Price": texts,
            "Tags": _tags(random, refurbished[sku] & (where[sku] != 1)),
        }
    ).take(pa.array(order))
    tagged = listed[random.random(len(listed)) < 0.9]
    tagged = np.union1d(tagged, listed[refurbished[listed] & (where[listed] == 1)])
    tags = pa.table(
        {
            "PartNumber": spelled.take(
                pa.array(dirt.spell(random, tagged, len(catalogue.skus), DIRTY_SKU_SHARE))
            ),
            "Tags": _tags(random, refurbished[tagged] & (where[tagged] != 0)),
        }
    )
    return items, tags


def _tags(random: np.random.Generator, refurbished: Bool[np.ndarray, "rows"]) -> pa.Array:
    other = random.integers(0, len(OTHER_TAGS) + 1, len(refurbished)) - 1
    choice = len(OTHER_TAGS) + random.integers(0, len(REFURBISHED_TAGS), len(refurbished))
    return dirt.take(pa.array(OTHER_TAGS + REFURBISHED_TAGS), np.where(refurbished, choice, other))


def fitment_table(
    parameters: SampleParameters, vehicles: Vehicles, catalogue: Catalogue, fits: Fits
) -> pa.Table:
    """One row a vehicle with all variants that fit; some vehicles in two rows, some twice, some unusable."""
    random = parameters.random("fitment table")
    entry, sku = ranges(catalogue.first_sku[fits.part], catalogue.first_sku[fits.part + 1])
    vehicle = fits.vehicle[entry]
    kept = catalogue.sku_first_year[sku] <= vehicles.vehicle_year[vehicle]
    vehicle, sku = vehicle[kept], sku[kept]
    count = len(vehicles.vehicle_model)
    start = np.searchsorted(vehicle, np.arange(count + 1))
    rows = np.flatnonzero(np.diff(start) > 0)
    low, high = start[rows], start[rows + 1]
    split = random.random(len(rows)) < 0.03
    middle = np.where(split, (low + high) // 2, high)
    row_vehicle = np.concatenate([rows, rows[split]])
    row_low = np.concatenate([low, middle[split]])
    row_high = np.concatenate([middle, high[split]])
    again = dirt.repeated(random, len(row_vehicle), 0.01)
    order = again[random.permutation(len(again))]
    row_vehicle, row_low, row_high = row_vehicle[order], row_low[order], row_high[order]

    _, position = ranges(row_low, row_high)
    spelled = dirt.spellings(catalogue.skus)
    code = dirt.spell(random, sku[position], len(catalogue.skus), DIRTY_SKU_SHARE)
    # A few entries name nothing.
    code = np.where(random.random(len(code)) < 0.0005, -1, code)
    model = vehicles.vehicle_model[row_vehicle]
    model_count = len(vehicles.models)
    makes = dirt.spellings(pa.array(vehicles.makes))
    models = dirt.spellings(pa.array(vehicles.models))
    table = pa.table(
        {
            "v1_year": pc.cast(pa.array(vehicles.vehicle_year[row_vehicle]), pa.string()),
            "v1_make": makes.take(pa.array(dirt.spell(random, model, model_count, DIRTY_VEHICLE_SHARE))),
            "v1_model": models.take(pa.array(dirt.spell(random, model, model_count, DIRTY_VEHICLE_SHARE))),
            "products": nested.products(
                np.concatenate([[0], np.cumsum(row_high - row_low)]), dirt.take(spelled, code)
            ),
        }
    )
    return pa.concat_tables([table, _odd_rows(vehicles, catalogue, table.schema)])


def _odd_rows(vehicles: Vehicles, catalogue: Catalogue, schema: pa.Schema) -> pa.Table:
    """Rows whose year, make or model cannot be used, and vehicles with an empty list."""
    make, model = str(vehicles.makes[0]), str(vehicles.models[0])
    some = [{"product_number": str(sku)} for sku in catalogue.skus[:3]]
    rows = [
        {"v1_year": year, "v1_make": make, "v1_model": model, "products": some} for year in UNUSABLE_YEARS
    ]
    rows += [
        {"v1_year": "1969", "v1_make": " ", "v1_model": model, "products": some},
        {"v1_year": "1969", "v1_make": make, "v1_model": None, "products": some},
        {"v1_year": "1969", "v1_make": make, "v1_model": model, "products": None},
    ]
    rows += [
        {"v1_year": "2001", "v1_make": orphan_make, "v1_model": orphan_model, "products": []}
        for orphan_make, orphan_model in ORPHAN_VEHICLES[:2]
    ]
    return pa.Table.from_pylist(rows, schema=schema)
