-- One row: users with recommendations, and users whose vehicle has eligible parts enough for them.
WITH eligible_parts AS (
  SELECT year, make, model, COUNT(*) AS parts
  FROM `{working}.fitment`
  WHERE serving_sku IS NOT NULL
  GROUP BY year, make, model
)

SELECT
  COUNT(*) AS users,
  COUNTIF(eligible_parts.parts >= @minimum_parts) AS users_with_enough_parts,
  (SELECT COUNT(DISTINCT email_lower) FROM `{working}.recommendations`) AS users_with_recommendations
FROM `{working}.user_nodes` AS users
LEFT JOIN eligible_parts
  ON eligible_parts.year = users.year
  AND eligible_parts.make = users.make
  AND eligible_parts.model = users.model
