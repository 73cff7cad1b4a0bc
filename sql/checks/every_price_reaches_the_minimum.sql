-- One row is one slot whose price is missing, no number or below the minimum, or whose part the catalogue sells below
-- it. A part listed at two prices has the higher.
WITH catalogue_prices AS (
  SELECT normal_sku(PartNumber) AS sku, MAX(positive_price(Price)) AS price
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
LEFT JOIN catalogue_prices ON catalogue_prices.sku = delivered.sku
WHERE
  delivered.price IS NULL
  OR IS_NAN(delivered.price)
  OR IS_INF(delivered.price)
  OR delivered.price < @minimum_price
  OR catalogue_prices.price < @minimum_price
