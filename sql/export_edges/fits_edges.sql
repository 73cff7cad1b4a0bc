-- One row is one part that fits one make and model, with the years for which it does.
SELECT
  make,
  model,
  base_sku,
  COUNT(*) AS year_count,
  MIN(year) AS first_year,
  MAX(year) AS last_year,
  1.0 AS weight
FROM `{working}.fitment`
GROUP BY make, model, base_sku
ORDER BY make, model, base_sku
