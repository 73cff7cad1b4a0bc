-- One row is one part that fits one year, make and model, with the variant to show: the best-selling eligible
-- one that fits, ties alphabetical. No variant is eligible: sku is NULL; the row stays, for the graph.
-- Dropped rows are counted as pairs of vehicle and part number.
WITH vehicles AS (
  SELECT
    -- Older exports hold the year as a number.
    vehicle_years(CAST(v1_year AS STRING), @as_of) AS years,
    make_of(vehicle_name(v1_make)) AS make,
    vehicle_name(v1_model) AS model,
    products
  FROM `{data_company}.vehicle_product_fitment_data`
),

-- A range of years means each of them. A row without a usable year stays, to be counted.
vehicles_by_year AS (
  SELECT vehicles.make, vehicles.model, vehicles.products, year
  FROM vehicles
  LEFT JOIN UNNEST(vehicles.years) AS year
),

listed_pairs AS (
  SELECT
    vehicles.year,
    vehicles.make,
    vehicles.model,
    normal_sku(product.product_number) AS sku
  FROM vehicles_by_year AS vehicles
  LEFT JOIN UNNEST(vehicles.products) AS product
),

pairs AS (
  SELECT year, make, model, sku, COUNT(*) AS source_rows
  FROM listed_pairs
  GROUP BY year, make, model, sku
),

-- Variants of a part from the best-selling eligible one down.
variants AS (
  SELECT
    sku,
    base_sku,
    ineligible_reason IS NULL AS eligible,
    serving_ineligible_reason IS NULL AS serving_eligible,
    ROW_NUMBER() OVER (PARTITION BY base_sku ORDER BY orders DESC, sku) AS place,
    ROW_NUMBER() OVER (PARTITION BY base_sku ORDER BY serving_orders DESC, sku) AS serving_place
  FROM `{working}.parts`
),

judged_pairs AS (
  SELECT
    pairs.year,
    pairs.make,
    pairs.model,
    variants.base_sku,
    pairs.sku,
    IF(variants.eligible, variants.place, NULL) AS place,
    IF(variants.serving_eligible, variants.serving_place, NULL) AS serving_place,
    pairs.source_rows,
    CASE
      WHEN pairs.year IS NULL THEN 'year unusable'
      WHEN pairs.make IS NULL THEN 'make missing'
      WHEN pairs.model IS NULL THEN 'model missing'
      WHEN pairs.sku IS NULL THEN 'no part number'
    END AS drop_reason
  FROM pairs
  LEFT JOIN variants ON variants.sku = pairs.sku
)

SELECT
  year,
  make,
  model,
  base_sku,
  ANY_VALUE(sku HAVING MIN place) AS sku,
  ANY_VALUE(sku HAVING MIN serving_place) AS serving_sku,
  drop_reason,
  IF(drop_reason IS NULL, SUM(source_rows - 1), SUM(source_rows) - 1) AS duplicate_rows
FROM judged_pairs
GROUP BY year, make, model, base_sku, drop_reason
ORDER BY year, make, model, base_sku
