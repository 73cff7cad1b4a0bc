-- One row is one slot with a part that either table of tags calls refurbished.
WITH refurbished_parts AS (
  SELECT normal_sku(PartNumber) AS sku
  FROM `{data_company}.import_items`
  WHERE tagged_refurbished(Tags)
  UNION DISTINCT
  SELECT normal_sku(PartNumber) AS sku
  FROM `{data_company}.import_items_tags`
  WHERE tagged_refurbished(Tags)
)

SELECT delivered.email_lower, delivered.slot, delivered.sku
FROM `{working}.delivered_parts` AS delivered
JOIN refurbished_parts ON refurbished_parts.sku = delivered.sku
