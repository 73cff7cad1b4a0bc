"""Parts, their types, prices, colour variants, and the reasons some of them may never be recommended."""

from __future__ import annotations

import datetime
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Bool, Float, Int, Shaped

from holley_assets.sample_data.parameters import FULL_SCALE_PRODUCTS, SampleParameters
from holley_assets.sample_data.part_names import (
    EXCEPTED_PART_TYPES,
    EXCLUDED_PART_TYPES,
    PART_SYSTEMS,
    PART_TYPE_ENDINGS,
    SERVICE_PREFIXES,
    UNKNOWN_PART_TYPE,
)

MINIMUM_PRICE = 50.0
UNKNOWN_TYPE_MINIMUM_PRICE = 3000.0
NO_PART_TYPE = -1

# Shares of the base products.
UNKNOWN_TYPE_SHARE = 0.02
NO_TYPE_SHARE = 0.004
REFURBISHED_SHARE = 0.025
SERVICE_SHARE = 0.006
NO_IMAGE_SHARE = 0.02
EXCLUDED_TYPE_SHARE = 0.07
NEW_PRODUCT_SHARE = 0.08
SECOND_TYPE_SHARE = 0.015
NOT_IN_ITEMS_SHARE = 0.005
COLOUR_VARIANT_SHARE = 0.06
LETTER_ENDING_SHARE = 0.32


@dataclass(frozen=True)
class PartTypes:
    """Part types: their names, systems and whether the rules allow them."""

    names: Shaped[np.ndarray, "types"]
    system: Int[np.ndarray, "types"]
    allowed: Bool[np.ndarray, "types"]
    unknown: int


@dataclass(frozen=True)
class Catalogue:
    """Base products and their variants; variants of one product are contiguous, the main one first."""

    types: PartTypes
    base_skus: Shaped[np.ndarray, "products"]  # texts, unique
    part_type: Int[np.ndarray, "products"]  # NO_PART_TYPE for none
    second_type: Int[np.ndarray, "products"]  # NO_PART_TYPE for the most
    system: Int[np.ndarray, "products"]
    price: Float[np.ndarray, "products"]  # the true price
    refurbished: Bool[np.ndarray, "products"]
    has_image: Bool[np.ndarray, "products"]
    in_items: Bool[np.ndarray, "products"]  # import_items has the part
    launch_day: Int[np.ndarray, "products"]  # days since 1970; 0 for products that were always there
    plausible: Bool[np.ndarray, "products"]  # what the rules allow when everything is known
    skus: pa.Array  # [variants] string
    sku_product: Int[np.ndarray, "variants"]
    sku_first_year: Int[np.ndarray, "variants"]  # first model year the variant is made for
    sku_refurbished: Bool[np.ndarray, "variants"]
    sku_has_image: Bool[np.ndarray, "variants"]
    first_sku: Int[np.ndarray, "products+1"]

    @property
    def products(self) -> int:
        """Number of base products."""
        return len(self.base_skus)


def part_type_allowed(name: str) -> bool:
    """Whether the rules of the contract allow a part type, at any price for all but ``UNKNOWN``."""
    if "Bolt" in name and name not in ("Engine Cylinder Head Bolt", "Engine Bolt Kit"):
        return False
    if "Cap" in name and "Distributor Cap" not in name and name not in ("Wheel Hub Cap", "Wheel Cap Set"):
        return False
    return not any(word in name for word in ("Gasket", "Decal", "Key", "Washer", "Clamp"))


def build_part_types(parameters: SampleParameters) -> PartTypes:
    """Choose part types: more than 400 at full scale, fewer in a small catalogue."""
    random = parameters.random("part types")
    systems = list(PART_SYSTEMS)
    ordinary = [
        (noun + ending, systems.index(system))
        for ending in PART_TYPE_ENDINGS
        for system, nouns in PART_SYSTEMS.items()
        for noun in nouns
    ]
    share = min(1.0, (parameters.products / FULL_SCALE_PRODUCTS) ** 0.5)
    kept = random.permutation(len(ordinary))[: max(20, round(share * len(ordinary)))]
    special = [(name, systems.index(system)) for name, system in EXCEPTED_PART_TYPES + EXCLUDED_PART_TYPES]
    chosen = [ordinary[index] for index in np.sort(kept)] + special
    names = [name for name, _ in chosen] + [UNKNOWN_PART_TYPE]
    # Parts without a known type belong to the last system and share its demand.
    system = [code for _, code in chosen] + [len(systems) - 1]
    return PartTypes(
        names=np.array(names),
        system=np.array(system),
        allowed=np.array([part_type_allowed(name) for name in names]),
        unknown=len(names) - 1,
    )


def _base_skus(
    random: np.random.Generator, count: int
) -> tuple[Shaped[np.ndarray, "{count}"], Bool[np.ndarray, "{count}"]]:
    """Unique base SKUs in normal form; also whether each ends in a digit and so can have colour variants."""
    number = random.permutation(np.arange(1000, 1000 + 4 * count))[:count]
    text = pc.cast(pa.array(number), pa.string())
    prefix = pc.cast(pa.array(random.integers(10, 990, count)), pa.string())
    letter = pa.array(np.array(list("ACEHJKLMNSTX"))[random.integers(0, 12, count)])
    colour = pa.array(np.array(list("BRGP"))[random.integers(0, 4, count)])
    form = random.random(count)
    dashed = pc.binary_join_element_wise(prefix, text, "-")
    lettered = pc.binary_join_element_wise(dashed, letter, colour, "")
    branded = pc.binary_join_element_wise(pa.array(["FBM"] * count), text, "")
    joined = pc.case_when(
        pc.make_struct(pa.array(form < LETTER_ENDING_SHARE), pa.array(form < 0.45), pa.array(form < 0.53)),
        lettered,
        branded,
        text,
        dashed,
    )
    return joined.to_numpy(zero_copy_only=False).astype(str), form >= LETTER_ENDING_SHARE


def _variants(
    random: np.random.Generator,
    base_skus: Shaped[np.ndarray, "products"],
    can_vary: Bool[np.ndarray, "products"],
) -> tuple[Shaped[np.ndarray, "variants"], Int[np.ndarray, "variants"], Bool[np.ndarray, "variants"]]:
    """SKUs, the product of each, and whether a SKU is its product's main variant."""
    count = len(base_skus)
    varies = can_vary & (random.random(count) < COLOUR_VARIANT_SHARE)
    colours = np.argsort(random.random((count, 4)), axis=1)  # [N, 4] the order in which colours came out
    amount = np.where(varies, random.integers(1, 5, count), 0)
    plain = ~varies | (random.random(count) < 0.7)
    product = np.concatenate([np.flatnonzero(plain), np.repeat(np.arange(count), amount)])
    position = np.arange(amount.sum()) - np.repeat(np.cumsum(amount) - amount, amount)
    letters = np.array(list("BRGP"))[colours[np.repeat(np.arange(count), amount), position]]
    skus = np.concatenate(
        [base_skus[plain], np.char.add(base_skus[np.repeat(np.arange(count), amount)], letters)]
    )
    order = np.argsort(product, kind="stable")
    product = product[order]
    return skus[order], product, np.diff(product, prepend=-1) > 0


def _prices(
    random: np.random.Generator, types: PartTypes, part_type: Int[np.ndarray, "products"]
) -> Float[np.ndarray, "products"]:
    """Prices: half of the spread between types, half within, about a tenth of the parts below 50."""
    log_median = random.normal(np.log(200.0), 0.8, len(types.names))
    log_median[~types.allowed] = np.log(24.0)
    price = np.exp(log_median[part_type] + random.normal(0.0, 0.75, len(part_type)))
    rounding = random.random(len(price))
    price = np.where(rounding < 0.2, np.ceil(price), np.floor(price) + 0.95)
    clipped: np.ndarray = np.clip(np.round(price, 2), 1.95, 24_999.0)
    return clipped


def build_catalogue(parameters: SampleParameters) -> Catalogue:
    """Make up the parts."""
    random = parameters.random("catalogue")
    types = build_part_types(parameters)
    count = parameters.products
    ordinary = np.flatnonzero(types.allowed & (np.arange(len(types.names)) != types.unknown))
    excluded = np.flatnonzero(~types.allowed)
    size = random.gamma(0.8, 1.0, len(ordinary))
    part_type = ordinary[random.choice(len(ordinary), count, p=size / size.sum())]
    kind = random.random(count)
    part_type = np.where(
        kind < EXCLUDED_TYPE_SHARE, excluded[random.integers(0, len(excluded), count)], part_type
    )
    is_unknown = (kind >= EXCLUDED_TYPE_SHARE) & (kind < EXCLUDED_TYPE_SHARE + UNKNOWN_TYPE_SHARE)
    part_type = np.where(is_unknown, types.unknown, part_type)
    price = _prices(random, types, part_type)
    # A few parts without a type are engines and the like, dear enough to be recommended all the same.
    price = np.where(is_unknown & (random.random(count) < 0.25), np.round(price * 20.0) + 3000.0, price)
    system = types.system[part_type]
    has_no_type = kind > 1.0 - NO_TYPE_SHARE
    part_type = np.where(has_no_type, NO_PART_TYPE, part_type)

    has_second = (random.random(count) < SECOND_TYPE_SHARE) & (part_type != NO_PART_TYPE)
    other = np.where(
        random.random(count) < 0.7,
        ordinary[random.integers(0, len(ordinary), count)],
        excluded[random.integers(0, len(excluded), count)],
    )
    second_type = np.where(has_second & (other != part_type), other, NO_PART_TYPE)

    base_skus, can_vary = _base_skus(random, count)
    is_service = random.random(count) < SERVICE_SHARE
    prefixes = np.array(SERVICE_PREFIXES)[random.integers(0, len(SERVICE_PREFIXES), count)]
    base_skus = np.where(is_service, np.char.add(prefixes, base_skus), base_skus)
    refurbished = random.random(count) < REFURBISHED_SHARE
    has_image = random.random(count) >= NO_IMAGE_SHARE
    in_items = random.random(count) >= NOT_IN_ITEMS_SHARE
    skus, sku_product, is_main = _variants(random, base_skus, can_vary & ~is_service)

    no_type = (
        (part_type == NO_PART_TYPE)
        | ((part_type == types.unknown) & (second_type == NO_PART_TYPE))
        | ~in_items
    )
    allowed = np.where(part_type == NO_PART_TYPE, True, types.allowed[part_type]) & np.where(
        second_type == NO_PART_TYPE, True, types.allowed[second_type]
    )
    plausible = (
        (price >= np.where(no_type, UNKNOWN_TYPE_MINIMUM_PRICE, MINIMUM_PRICE))
        & (allowed | ~in_items)
        & ~refurbished
        & ~is_service
        & has_image
    )
    variant_random = random.random((3, len(skus)))
    return Catalogue(
        types=types,
        base_skus=base_skus,
        part_type=part_type,
        second_type=second_type,
        system=system,
        price=price,
        refurbished=refurbished,
        has_image=has_image,
        in_items=in_items,
        launch_day=_launch_days(parameters, random, count),
        plausible=plausible,
        skus=pa.array(skus, pa.string()),
        sku_product=sku_product,
        sku_first_year=np.where(
            ~is_main & (variant_random[0] < 0.2), (1965 + 40 * variant_random[0] / 0.2).astype(int), 0
        ),
        sku_refurbished=refurbished[sku_product] | (~is_main & (variant_random[1] < 0.1)),
        sku_has_image=has_image[sku_product] & (is_main | (variant_random[2] > 0.1)),
        first_sku=np.searchsorted(sku_product, np.arange(count + 1)),
    )


def _launch_days(
    parameters: SampleParameters, random: np.random.Generator, count: int
) -> Int[np.ndarray, "{count}"]:
    """Days on which new products appear, all before the test window so that clicks choose among all parts."""
    epoch = datetime.date(1970, 1, 1)
    first = (parameters.history_start - epoch).days + 30
    last = max(first + 1, (parameters.test_start - epoch).days - 7)
    is_new = random.random(count) < NEW_PRODUCT_SHARE
    return np.where(is_new, random.integers(first, last, count), 0)
