-- One row is one row of the staged similar parts whose two parts fit no year, make and model in common, in a variant
-- that may be recommended, by the fitment data.
WITH vehicles AS (
  SELECT
    -- Older exports hold the year as a number.
    vehicle_years(CAST(v1_year AS STRING), @as_of) AS years,
    make_of(vehicle_name(v1_make)) AS make,
    vehicle_name(v1_model) AS model,
    products
  FROM `{data_company}.vehicle_product_fitment_data`
),

-- Years come before parts, so that no engine reads the years of a vehicle once for each of its parts.
vehicles_by_year AS (
  SELECT CONCAT(CAST(year AS STRING), '|', vehicles.make, '|', vehicles.model) AS vehicle, vehicles.products
  FROM vehicles
  CROSS JOIN UNNEST(vehicles.years) AS year
),

listed AS (
  SELECT DISTINCT vehicles.vehicle, normal_sku(product.product_number) AS sku
  FROM vehicles_by_year AS vehicles
  CROSS JOIN UNNEST(vehicles.products) AS product
),

fitting AS (
  SELECT DISTINCT parts.base_sku, listed.vehicle
  FROM listed
  JOIN `{working}.parts` AS parts ON parts.sku = listed.sku
  WHERE parts.serving_ineligible_reason IS NULL
),

pairs AS (
  SELECT DISTINCT base_sku, other_base_sku
  FROM `{working}.similar_parts`
),

-- One key holds part and vehicle, so that no engine pairs all parts of a vehicle before it looks at similar parts.
sharing AS (
  SELECT DISTINCT pairs.base_sku, pairs.other_base_sku
  FROM pairs
  JOIN fitting ON fitting.base_sku = pairs.base_sku
  JOIN fitting AS other_fitting
    ON CONCAT(other_fitting.base_sku, '|', other_fitting.vehicle)
      = CONCAT(pairs.other_base_sku, '|', fitting.vehicle)
)

SELECT similar_parts.base_sku, similar_parts.relation, similar_parts.rank, similar_parts.other_base_sku
FROM `{working}.similar_parts` AS similar_parts
LEFT JOIN sharing
  ON sharing.base_sku = similar_parts.base_sku AND sharing.other_base_sku = similar_parts.other_base_sku
WHERE sharing.base_sku IS NULL
