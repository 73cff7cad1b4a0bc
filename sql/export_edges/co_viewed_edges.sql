-- One row is one pair of parts that at least @co_view_minimum_visitors visitors both met: viewed, put in a cart or
-- ordered; base_sku is the alphabetical first of the two. Visitors need no account.
-- Pairs grow with the square of what a visitor met: of each visitor the @co_view_maximum_parts newest parts count.
-- earlier_visitors leaves out what registered users first met on their last visit before @cutoff, so that this
-- visit can be predicted from the pairs of everybody else.
WITH products AS (
  SELECT base_sku, ROW_NUMBER() OVER (ORDER BY base_sku) AS product
  FROM `{working}.product_nodes`
),

last_visits AS (
  SELECT email_lower, MAX(visit_date) AS last_date
  FROM `{working}.user_visits`
  WHERE visit_date < @cutoff
  GROUP BY email_lower
),

visitor_parts AS (
  SELECT
    COALESCE(events.email_lower, events.user_id) AS visitor,
    products.product,
    MAX(IF(events.event_date < @cutoff, events.event_date, NULL)) AS newest_date,
    MAX(events.event_date) AS serving_newest_date,
    LOGICAL_OR(
      events.event_date < @cutoff AND (last_visits.last_date IS NULL OR events.event_date < last_visits.last_date)
    ) AS earlier
  FROM `{working}.interaction_events` AS events
  JOIN products ON products.base_sku = events.base_sku
  LEFT JOIN last_visits ON last_visits.email_lower = events.email_lower
  GROUP BY visitor, products.product
),

ranked_parts AS (
  SELECT
    visitor,
    product,
    earlier,
    newest_date IS NOT NULL AND ROW_NUMBER() OVER (
      PARTITION BY visitor ORDER BY newest_date IS NULL, newest_date DESC, product
    ) <= @co_view_maximum_parts AS before_cutoff,
    ROW_NUMBER() OVER (
      PARTITION BY visitor ORDER BY serving_newest_date DESC, product
    ) <= @co_view_maximum_parts AS serving
  FROM visitor_parts
),

pairs AS (
  SELECT
    part.product,
    other_part.product AS other_product,
    COUNTIF(part.before_cutoff AND other_part.before_cutoff) AS visitors,
    COUNTIF(
      part.before_cutoff AND other_part.before_cutoff AND part.earlier AND other_part.earlier
    ) AS earlier_visitors,
    COUNTIF(part.serving AND other_part.serving) AS serving_visitors
  FROM ranked_parts AS part
  JOIN ranked_parts AS other_part ON other_part.visitor = part.visitor AND other_part.product > part.product
  WHERE (part.before_cutoff AND other_part.before_cutoff) OR (part.serving AND other_part.serving)
  GROUP BY part.product, other_part.product
  HAVING visitors >= @co_view_minimum_visitors OR serving_visitors >= @co_view_minimum_visitors
)

SELECT
  products.base_sku,
  other_products.base_sku AS other_base_sku,
  IF(pairs.visitors >= @co_view_minimum_visitors, pairs.visitors, NULL) AS visitors,
  IF(pairs.visitors >= @co_view_minimum_visitors, pairs.earlier_visitors, NULL) AS earlier_visitors,
  IF(pairs.visitors >= @co_view_minimum_visitors, LN(1 + pairs.visitors), NULL) AS weight,
  IF(pairs.serving_visitors >= @co_view_minimum_visitors, pairs.serving_visitors, NULL) AS serving_visitors,
  IF(pairs.serving_visitors >= @co_view_minimum_visitors, LN(1 + pairs.serving_visitors), NULL) AS serving_weight
FROM pairs
JOIN products ON products.product = pairs.product
JOIN products AS other_products ON other_products.product = pairs.other_product
ORDER BY base_sku, other_base_sku
