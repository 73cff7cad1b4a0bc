-- One row is one part, relation and other part that the staged similar parts name twice, or that lacks a name, or
-- whose relation is unknown.
SELECT base_sku, relation, other_base_sku, COUNT(*) AS rows_of_key
FROM `{working}.similar_parts`
GROUP BY base_sku, relation, other_base_sku
HAVING
  rows_of_key > 1
  OR base_sku IS NULL
  OR other_base_sku IS NULL
  OR relation IS NULL
  OR relation NOT IN ('alternative', 'goes_with')
