-- One row is one part in one slot of the live pipeline's table, as it was generated last on or before @cutoff: what
-- customers would have been shown without this project. Two colours of a part are one part, at the better rank.
WITH slots AS (
  SELECT email_lower, generated_at, 1 AS slot, rec_part_1 AS part, rec1_score AS score
  FROM `{working}.live_recommendations`
  UNION ALL
  SELECT email_lower, generated_at, 2 AS slot, rec_part_2 AS part, rec2_score AS score
  FROM `{working}.live_recommendations`
  UNION ALL
  SELECT email_lower, generated_at, 3 AS slot, rec_part_3 AS part, rec3_score AS score
  FROM `{working}.live_recommendations`
  UNION ALL
  SELECT email_lower, generated_at, 4 AS slot, rec_part_4 AS part, rec4_score AS score
  FROM `{working}.live_recommendations`
),

newest AS (
  SELECT MAX(DATE(generated_at)) AS day
  FROM `{working}.live_recommendations`
  WHERE DATE(generated_at) <= @cutoff
),

parts AS (
  SELECT
    normal_email(slots.email_lower) AS user_email,
    base_sku(slots.part) AS base_sku,
    MIN(slots.slot) AS slot,
    MAX(slots.score) AS score
  FROM slots
  JOIN newest ON newest.day = DATE(slots.generated_at)
  GROUP BY user_email, base_sku
)

SELECT
  user_email AS email_lower,
  ROW_NUMBER() OVER (PARTITION BY user_email ORDER BY slot, base_sku) AS rank,
  base_sku,
  score
FROM parts
WHERE user_email IS NOT NULL AND base_sku IS NOT NULL
ORDER BY email_lower, rank
