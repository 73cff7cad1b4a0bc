-- One row is one user and one part that it viewed, put in a cart or ordered in the window.
-- A view or cart counts once a moment, an order once a day: one purchase may arrive as three events.
-- weight is the sum over interactions of base × exp(−days / @decay_days), days counted back from the view's
-- own end: @cutoff for the training columns, @as_of for serving_.
WITH interactions AS (
  SELECT DISTINCT
    events.email_lower,
    events.base_sku,
    events.interaction,
    events.event_date,
    IF(events.interaction = 'order', NULL, events.event_timestamp) AS moment
  FROM `{working}.interaction_events` AS events
  JOIN `{working}.user_nodes` AS users ON users.email_lower = events.email_lower
  JOIN `{working}.product_nodes` AS products ON products.base_sku = events.base_sku
),

weighted_interactions AS (
  SELECT
    *,
    event_date < @cutoff AS before_cutoff,
    CASE interaction WHEN 'view' THEN @view_weight WHEN 'cart' THEN @cart_weight ELSE @order_weight END AS base,
    EXP(-DATE_DIFF(@cutoff, event_date, DAY) / @decay_days) AS decay,
    EXP(-DATE_DIFF(@as_of, event_date, DAY) / @decay_days) AS serving_decay
  FROM interactions
),

-- Weights are summed in whole trillionths: a sum of integers is the same in any order, so that two runs on the
-- same input agree to the last bit. None is rounded to nothing.
summed_edges AS (
  SELECT
    email_lower,
    base_sku,
    COUNTIF(before_cutoff AND interaction = 'view') AS views,
    COUNTIF(before_cutoff AND interaction = 'cart') AS carts,
    COUNTIF(before_cutoff AND interaction = 'order') AS orders,
    SUM(IF(before_cutoff, GREATEST(CAST(base * decay * 1e12 AS INT64), 1), NULL)) / 1e12 AS weight,
    COUNTIF(interaction = 'view') AS serving_views,
    COUNTIF(interaction = 'cart') AS serving_carts,
    COUNTIF(interaction = 'order') AS serving_orders,
    SUM(GREATEST(CAST(base * serving_decay * 1e12 AS INT64), 1)) / 1e12 AS serving_weight
  FROM weighted_interactions
  GROUP BY email_lower, base_sku
)

SELECT
  email_lower,
  base_sku,
  IF(weight IS NULL, NULL, views) AS views,
  IF(weight IS NULL, NULL, carts) AS carts,
  IF(weight IS NULL, NULL, orders) AS orders,
  weight,
  serving_views,
  serving_carts,
  serving_orders,
  serving_weight
FROM summed_edges
ORDER BY email_lower, base_sku
