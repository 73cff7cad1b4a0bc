-- One row is one filled slot of the staged recommendations. The checks beside this file read it.
SELECT
  email_lower,
  SAFE_CAST(year AS INT64) AS year,
  make,
  model,
  1 AS slot,
  rec_part_1 AS sku,
  base_sku(rec_part_1) AS base_sku,
  rec1_price AS price,
  rec1_score AS score,
  rec1_image AS image
FROM `{working}.recommendations`
WHERE rec_part_1 IS NOT NULL OR rec1_price IS NOT NULL OR rec1_score IS NOT NULL OR rec1_image IS NOT NULL
UNION ALL
SELECT
  email_lower,
  SAFE_CAST(year AS INT64) AS year,
  make,
  model,
  2 AS slot,
  rec_part_2 AS sku,
  base_sku(rec_part_2) AS base_sku,
  rec2_price AS price,
  rec2_score AS score,
  rec2_image AS image
FROM `{working}.recommendations`
WHERE rec_part_2 IS NOT NULL OR rec2_price IS NOT NULL OR rec2_score IS NOT NULL OR rec2_image IS NOT NULL
UNION ALL
SELECT
  email_lower,
  SAFE_CAST(year AS INT64) AS year,
  make,
  model,
  3 AS slot,
  rec_part_3 AS sku,
  base_sku(rec_part_3) AS base_sku,
  rec3_price AS price,
  rec3_score AS score,
  rec3_image AS image
FROM `{working}.recommendations`
WHERE rec_part_3 IS NOT NULL OR rec3_price IS NOT NULL OR rec3_score IS NOT NULL OR rec3_image IS NOT NULL
UNION ALL
SELECT
  email_lower,
  SAFE_CAST(year AS INT64) AS year,
  make,
  model,
  4 AS slot,
  rec_part_4 AS sku,
  base_sku(rec_part_4) AS base_sku,
  rec4_price AS price,
  rec4_score AS score,
  rec4_image AS image
FROM `{working}.recommendations`
WHERE rec_part_4 IS NOT NULL OR rec4_price IS NOT NULL OR rec4_score IS NOT NULL OR rec4_image IS NOT NULL
