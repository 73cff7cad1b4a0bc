-- One row is one row of the staged similar parts that names a part, or a colour or finish of it, beside itself.
SELECT base_sku, relation, rank, other_base_sku
FROM `{working}.similar_parts`
WHERE base_sku(base_sku) = base_sku(other_base_sku)
