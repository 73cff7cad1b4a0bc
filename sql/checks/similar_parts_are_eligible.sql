-- One row is one row of the staged similar parts in which either part has no variant that may be recommended.
WITH eligible AS (
  SELECT DISTINCT base_sku
  FROM `{working}.parts`
  WHERE serving_ineligible_reason IS NULL
)

SELECT similar_parts.base_sku, similar_parts.relation, similar_parts.rank, similar_parts.other_base_sku
FROM `{working}.similar_parts` AS similar_parts
LEFT JOIN eligible ON eligible.base_sku = similar_parts.base_sku
LEFT JOIN eligible AS other_eligible ON other_eligible.base_sku = similar_parts.other_base_sku
WHERE eligible.base_sku IS NULL OR other_eligible.base_sku IS NULL
