-- One row is one slot with a variant that no row of the fitment data pairs with the user's year, make and
-- model, or a row whose vehicle is not the user's.
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
  SELECT year, vehicles.make, vehicles.model, vehicles.products
  FROM vehicles
  CROSS JOIN UNNEST(vehicles.years) AS year
),

fitting AS (
  SELECT DISTINCT vehicles.year, vehicles.make, vehicles.model, normal_sku(product.product_number) AS sku
  FROM vehicles_by_year AS vehicles
  CROSS JOIN UNNEST(vehicles.products) AS product
)

SELECT delivered.email_lower, delivered.slot, delivered.sku, delivered.year, delivered.make, delivered.model
FROM `{working}.delivered_parts` AS delivered
LEFT JOIN fitting
  ON fitting.year = delivered.year
  AND fitting.make = delivered.make
  AND fitting.model = delivered.model
  AND fitting.sku = delivered.sku
LEFT JOIN `{working}.user_nodes` AS users
  ON users.email_lower = delivered.email_lower
  AND users.year = delivered.year
  AND users.make = delivered.make
  AND users.model = delivered.model
WHERE fitting.sku IS NULL OR users.email_lower IS NULL
