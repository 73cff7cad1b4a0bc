-- One row is one make and model that a part fits, or UNKNOWN where users drive what no part fits. Years of one
-- model are one node.
WITH owners AS (
  SELECT make, model, COUNT(*) AS user_count
  FROM `{working}.user_nodes`
  GROUP BY make, model
),

fitting_products AS (
  SELECT make, model, COUNT(*) AS product_count
  FROM `{working}.fits_edges`
  GROUP BY make, model
)

SELECT
  make,
  model,
  COALESCE(owners.user_count, 0) AS user_count,
  COALESCE(fitting_products.product_count, 0) AS product_count
FROM owners
FULL OUTER JOIN fitting_products USING (make, model)
ORDER BY make, model
