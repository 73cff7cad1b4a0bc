-- One row is one slot whose price is missing or below the minimum, or whose part the catalogue sells below
-- it. A part listed at two prices has the higher.
WITH catalogue_prices AS (
  SELECT
    UPPER(TRIM(PartNumber)) AS sku,
    MAX(SAFE_CAST(REGEXP_REPLACE(TRIM(Price), r'[$, ]', '') AS FLOAT64)) AS price
  FROM `{data_company}.import_items`
  GROUP BY sku
)

SELECT
  delivered.email_lower,
  delivered.slot,
  delivered.sku,
  delivered.price,
  catalogue_prices.price AS catalogue_price
FROM `{working}.delivered_parts` AS delivered
LEFT JOIN catalogue_prices ON catalogue_prices.sku = delivered.sku AND catalogue_prices.price > 0
WHERE
  delivered.price IS NULL
  OR NOT delivered.price >= @minimum_price
  OR NOT COALESCE(catalogue_prices.price, delivered.price) >= @minimum_price
