-- One row is one slot with a better score than the slot before it, or with a score that is no number.
WITH neighbours AS (
  SELECT
    email_lower,
    slot,
    sku,
    score,
    LAG(score) OVER (PARTITION BY email_lower ORDER BY slot) AS score_before
  FROM `{working}.delivered_parts`
)

SELECT email_lower, slot, sku, score, score_before
FROM neighbours
WHERE score IS NULL OR IS_NAN(score) OR IS_INF(score) OR score > score_before
