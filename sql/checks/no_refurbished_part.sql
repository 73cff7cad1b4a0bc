-- One row is one slot with a part that either table of tags calls refurbished.
WITH tagged_parts AS (
  SELECT PartNumber, Tags FROM `{data_company}.import_items`
  UNION ALL
  SELECT PartNumber, Tags FROM `{data_company}.import_items_tags`
),

refurbished_parts AS (
  SELECT DISTINCT UPPER(TRIM(PartNumber)) AS sku
  FROM tagged_parts
  WHERE LOWER(Tags) LIKE '%refurb%'
)

SELECT delivered.email_lower, delivered.slot, delivered.sku
FROM `{working}.delivered_parts` AS delivered
JOIN refurbished_parts ON refurbished_parts.sku = delivered.sku
