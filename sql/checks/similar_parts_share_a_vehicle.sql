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

fitting AS (
  SELECT DISTINCT year, vehicles.make, vehicles.model, base_sku(product.product_number) AS base_sku
  FROM vehicles
  CROSS JOIN UNNEST(vehicles.products) AS product
  CROSS JOIN UNNEST(vehicles.years) AS year
  JOIN `{working}.parts` AS parts ON parts.sku = normal_sku(product.product_number)
  WHERE parts.serving_ineligible_reason IS NULL
),

sharing AS (
  SELECT DISTINCT similar_parts.base_sku, similar_parts.other_base_sku
  FROM `{working}.similar_parts` AS similar_parts
  JOIN fitting ON fitting.base_sku = similar_parts.base_sku
  JOIN fitting AS other_fitting
    ON other_fitting.base_sku = similar_parts.other_base_sku
    AND other_fitting.year = fitting.year
    AND other_fitting.make = fitting.make
    AND other_fitting.model = fitting.model
)

SELECT similar_parts.base_sku, similar_parts.relation, similar_parts.rank, similar_parts.other_base_sku
FROM `{working}.similar_parts` AS similar_parts
LEFT JOIN sharing
  ON sharing.base_sku = similar_parts.base_sku AND sharing.other_base_sku = similar_parts.other_base_sku
WHERE sharing.base_sku IS NULL
