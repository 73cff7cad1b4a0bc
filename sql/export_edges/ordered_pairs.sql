-- One row is one ordered pair of parts: at least @pair_minimum_buyers buyers ordered other_base_sku on a day on which
-- they ordered base_sku, or up to @pair_window_days after it. Two parts of one day are a pair in both directions.
-- A buyer counts once a pair, with the newest day of other_base_sku: weight is the sum over buyers of
-- exp(−days / @pair_decay_days), counted back from the view's own end. Buyers need no vehicle.
WITH products AS (
  SELECT base_sku, ROW_NUMBER() OVER (ORDER BY base_sku) AS product
  FROM `{working}.product_nodes`
),

days AS (
  SELECT DISTINCT order_lines.buyer, products.product, order_lines.order_date
  FROM `{working}.order_lines` AS order_lines
  JOIN products ON products.base_sku = order_lines.base_sku
),

buyer_pairs AS (
  SELECT
    earlier.buyer,
    earlier.product,
    later.product AS other_product,
    MAX(IF(later.order_date < @cutoff, later.order_date, NULL)) AS last_date,
    MAX(later.order_date) AS serving_last_date
  FROM days AS earlier
  JOIN days AS later
    ON later.buyer = earlier.buyer
    AND later.product != earlier.product
    AND later.order_date >= earlier.order_date
    AND later.order_date <= DATE_ADD(earlier.order_date, INTERVAL @pair_window_days DAY)
  GROUP BY earlier.buyer, earlier.product, later.product
),

-- Weights are summed in whole trillionths: a sum of integers is the same in any order. None is rounded to nothing.
pairs AS (
  SELECT
    product,
    other_product,
    COUNT(last_date) AS buyers,
    SUM(
      IF(
        last_date IS NULL,
        NULL,
        GREATEST(CAST(EXP(-DATE_DIFF(@cutoff, last_date, DAY) / @pair_decay_days) * 1e12 AS INT64), 1)
      )
    ) / 1e12 AS weight,
    COUNT(*) AS serving_buyers,
    SUM(
      GREATEST(CAST(EXP(-DATE_DIFF(@as_of, serving_last_date, DAY) / @pair_decay_days) * 1e12 AS INT64), 1)
    ) / 1e12 AS serving_weight
  FROM buyer_pairs
  GROUP BY product, other_product
  HAVING serving_buyers >= @pair_minimum_buyers
)

SELECT
  products.base_sku,
  other_products.base_sku AS other_base_sku,
  IF(pairs.buyers >= @pair_minimum_buyers, pairs.buyers, NULL) AS buyers,
  IF(pairs.buyers >= @pair_minimum_buyers, pairs.weight, NULL) AS weight,
  pairs.serving_buyers,
  pairs.serving_weight
FROM pairs
JOIN products ON products.product = pairs.product
JOIN products AS other_products ON other_products.product = pairs.other_product
ORDER BY base_sku, other_base_sku
