-- One row is one row of the staged similar parts whose two parts fit no year, make and model in common, in a variant
-- that may be recommended.
WITH fitting AS (
  SELECT DISTINCT base_sku, CONCAT(CAST(year AS STRING), '|', make, '|', model) AS vehicle
  FROM `{working}.fitment`
  WHERE serving_sku IS NOT NULL
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
