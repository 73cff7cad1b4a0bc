-- One row is one filled slot of the staged recommendations. The checks beside this file read it.
SELECT
  email_lower,
  SAFE_CAST(year AS INT64) AS year,
  make,
  model,
  part.slot,
  part.sku,
  base_sku(part.sku) AS base_sku,
  part.price,
  part.score,
  part.image
FROM `{working}.recommendations`
CROSS JOIN UNNEST([
  STRUCT(1 AS slot, rec_part_1 AS sku, rec1_price AS price, rec1_score AS score, rec1_image AS image),
  STRUCT(2 AS slot, rec_part_2 AS sku, rec2_price AS price, rec2_score AS score, rec2_image AS image),
  STRUCT(3 AS slot, rec_part_3 AS sku, rec3_price AS price, rec3_score AS score, rec3_image AS image),
  STRUCT(4 AS slot, rec_part_4 AS sku, rec4_price AS price, rec4_score AS score, rec4_image AS image)
]) AS part
WHERE part.sku IS NOT NULL OR part.price IS NOT NULL OR part.score IS NOT NULL OR part.image IS NOT NULL
