"""Which parts may be ranked for which vehicle: the fitment table as flat, sorted arrays."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Int64

from holley_assets.arrays import find_sorted
from holley_assets.ranking.encoding import Column, codes_in, distinct, encode, integers
from holley_assets.terms import View

# Years are packed below make and model into one integer key.
YEAR_LIMIT = 10_000


class RankingError(ValueError):
    """Tables or scores that cannot be ranked. The message is one line and names no person."""


@dataclass(frozen=True)
class Candidates:
    """Parts by vehicle, as compressed sparse rows, and by make and model.

    Three levels, each sorted, so that positions compare like the strings behind them:

    * a *vehicle* is a year, make and model, sorted by (make, model, year);
    * a *row* is one base SKU that fits one vehicle, sorted by (vehicle, base SKU);
    * a *pair* is one base SKU that fits any year of one make and model (a *segment*), sorted by
      (segment, base SKU). Scores do not depend on the year other than through a user's profile, so that
      pairs, not rows, are what is scored.

    Attributes:
        makes, models: sorted distinct strings.
        segment_keys: make code · len(models) + model code of each segment, ascending.
        vehicle_keys: segment · YEAR_LIMIT + year of each vehicle, ascending. Vehicles whose parts are
            all ineligible are here too, with no rows.
        row_offsets: first row of each vehicle, and the end.
        row_pair: pair of each row.
        row_sku: position in ``skus`` of the variant shown, −1 where there is none.
        row_part_type: code of that variant's part type; no type at all is a code of its own.
        pair_offsets: first pair of each segment, and the end.
        pair_product: position in ``product_ids`` of each pair.
        product_ids: sorted distinct base SKUs.
        skus: sorted distinct variants.
        view: the view whose variants these are.
        rules: whether these are the eligible parts only (see :func:`build_candidates`).
    """

    makes: pa.StringArray
    models: pa.StringArray
    segment_keys: Int64[np.ndarray, "segments"]
    vehicle_keys: Int64[np.ndarray, "cars"]
    row_offsets: Int64[np.ndarray, "cars+1"]
    row_pair: Int64[np.ndarray, "rows"]
    row_sku: Int64[np.ndarray, "rows"]
    row_part_type: Int64[np.ndarray, "rows"]
    pair_offsets: Int64[np.ndarray, "segments+1"]
    pair_product: Int64[np.ndarray, "pairs"]
    product_ids: pa.StringArray
    skus: pa.StringArray
    view: View
    rules: bool

    @cached_property
    def vehicle_segment(self) -> Int64[np.ndarray, "cars"]:
        """Segment of each vehicle."""
        return self.vehicle_keys // YEAR_LIMIT

    @cached_property
    def pair_segment(self) -> Int64[np.ndarray, "pairs"]:
        """Segment of each pair."""
        return np.repeat(np.arange(len(self.segment_keys)), np.diff(self.pair_offsets))

    @cached_property
    def row_keys(self) -> Int64[np.ndarray, "rows"]:
        """vehicle · pairs + pair of each row, ascending."""
        vehicles = np.repeat(np.arange(len(self.vehicle_keys)), np.diff(self.row_offsets))
        keys: np.ndarray = vehicles * max(len(self.pair_product), 1) + self.row_pair
        return keys

    def find_segments(self, makes: Column, models: Column) -> Int64[np.ndarray, "asked"]:
        """Segment of each make and model; −1 where no part fits it."""
        make, model = codes_in(makes, self.makes), codes_in(models, self.models)
        keys = np.where((make >= 0) & (model >= 0), make * len(self.models) + model, -1)
        return find_sorted(keys, self.segment_keys)

    def find_vehicles(self, years: Column, makes: Column, models: Column) -> Int64[np.ndarray, "asked"]:
        """Vehicle of each year, make and model; −1 where no part fits it."""
        year = integers(years, missing=-1)
        segment = self.find_segments(makes, models)
        known = (segment >= 0) & (year >= 0) & (year < YEAR_LIMIT)
        return find_sorted(np.where(known, segment * YEAR_LIMIT + year, -1), self.vehicle_keys)

    def find_pairs(
        self, segments: Int64[np.ndarray, "asked"], base_skus: Column
    ) -> Int64[np.ndarray, "asked"]:
        """Pair of each segment and base SKU; −1 where the part does not fit the segment."""
        product = codes_in(base_skus, self.product_ids)
        count = max(len(self.product_ids), 1)
        keys = np.where((segments >= 0) & (product >= 0), segments * count + product, -1)
        return find_sorted(keys, self.pair_segment * count + self.pair_product)

    def find_rows(
        self, vehicles: Int64[np.ndarray, "asked"], pairs: Int64[np.ndarray, "asked"]
    ) -> Int64[np.ndarray, "asked"]:
        """Row of each vehicle and pair; −1 where the part does not fit the vehicle."""
        keys = np.where((vehicles >= 0) & (pairs >= 0), vehicles * max(len(self.pair_product), 1) + pairs, -1)
        return find_sorted(keys, self.row_keys)

    def base_skus(self, rows: Int64[np.ndarray, "asked"]) -> pa.StringArray:
        """Base SKU of each of ``rows``."""
        return self.product_ids.take(pa.array(self.pair_product[self.row_pair[rows]]))

    def variants(self, rows: Int64[np.ndarray, "asked"]) -> pa.StringArray:
        """SKU shown for each of ``rows``, null where no variant is eligible."""
        codes = self.row_sku[rows]
        return self.skus.take(pa.array(codes, mask=codes < 0))


def build_candidates(fitment: pa.Table, parts: pa.Table, *, view: View, apply_rules: bool) -> Candidates:
    """Arrange the parts that may be ranked for every vehicle.

    Args:
        fitment: ``year, make, model, base_sku, sku, serving_sku``; one row a vehicle and base SKU; ``sku`` is
            the eligible variant that sells best, null where none is eligible.
        parts: ``sku, part_type``; one row a variant.
        view: whose column of variants counts, ``sku`` or ``serving_sku``.
        apply_rules: keep parts with an eligible variant only; otherwise every base SKU that fits.

    Raises:
        RankingError: a vehicle has a base SKU twice, a key is null, or a variant is not in ``parts``.
    """
    make_codes, makes = encode(fitment["make"])
    model_codes, models = encode(fitment["model"])
    years = integers(fitment["year"], missing=-1)
    if (make_codes < 0).any() or (model_codes < 0).any() or (years < 0).any() or (years >= YEAR_LIMIT).any():
        raise RankingError("fitment: year, make and model must not be null, and years must have four digits")
    all_segment_keys = make_codes * len(models) + model_codes
    segment_keys = distinct(all_segment_keys, len(makes) * len(models))
    all_vehicle_keys = np.searchsorted(segment_keys, all_segment_keys) * YEAR_LIMIT + years
    vehicle_keys = distinct(all_vehicle_keys, len(segment_keys) * YEAR_LIMIT)

    sku_column = fitment["sku" if view == "training" else "serving_sku"]
    kept = np.arange(fitment.num_rows)
    if apply_rules:
        kept = np.flatnonzero(pc.is_valid(sku_column).to_numpy())
    base_skus = fitment["base_sku"].take(pa.array(kept)) if apply_rules else fitment["base_sku"]
    variants = sku_column.take(pa.array(kept)) if apply_rules else sku_column
    products, product_ids = encode(base_skus)
    if (products < 0).any():
        raise RankingError("fitment: base_sku must not be null")
    product_count = max(len(product_ids), 1)

    vehicles = np.searchsorted(vehicle_keys, all_vehicle_keys[kept])
    row_keys = vehicles * product_count + products
    order = np.argsort(row_keys)
    row_keys = row_keys[order]
    repeated = np.flatnonzero(row_keys[1:] == row_keys[:-1])
    if len(repeated):
        example = product_ids[int(row_keys[repeated[0]] % product_count)]
        raise RankingError(
            f"fitment: {len(repeated)} rows repeat a year, make, model and base SKU, among them {example}"
        )
    vehicles, products = vehicles[order], products[order]
    pair_keys = (vehicle_keys // YEAR_LIMIT)[vehicles] * product_count + products
    pairs = distinct(pair_keys, len(segment_keys) * product_count)
    sku_codes, skus = encode(variants)
    sku_codes = sku_codes[order]
    return Candidates(
        makes=makes,
        models=models,
        segment_keys=segment_keys,
        vehicle_keys=vehicle_keys,
        row_offsets=np.searchsorted(vehicles, np.arange(len(vehicle_keys) + 1)),
        row_pair=np.searchsorted(pairs, pair_keys),
        row_sku=sku_codes,
        row_part_type=_part_types(skus, parts)[sku_codes],
        pair_offsets=np.searchsorted(pairs // product_count, np.arange(len(segment_keys) + 1)),
        pair_product=pairs % product_count,
        product_ids=product_ids,
        skus=skus,
        view=view,
        rules=apply_rules,
    )


def _part_types(skus: pa.StringArray, parts: pa.Table) -> Int64[np.ndarray, "codes"]:
    """Code of the part type of each variant, from 0, where 0 is no type; one more 0 for no variant."""
    places = codes_in(skus, parts["sku"].combine_chunks().cast(pa.string()))
    missing = np.flatnonzero(places < 0)
    if len(missing):
        examples = ", ".join(skus.take(pa.array(missing[:3])).to_pylist())
        raise RankingError(f"fitment: {len(missing)} variants are not among the parts, such as {examples}")
    codes, _ = encode(parts["part_type"])
    return np.append(codes[places] + 1, 0)
