-- One row is one pair of parts that at least @co_purchase_minimum_users buyers both ordered, on any days;
-- base_sku is the alphabetical first of the two. Buyers need no vehicle.
-- Pairs grow with the square of what a buyer ordered: they are counted on two integers, and named at the end.
-- earlier_users leaves out what registered users ordered on their last visit before @cutoff; see co_viewed_edges.
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

baskets AS (
  SELECT
    order_lines.buyer,
    products.product,
    MIN(order_lines.order_date) < @cutoff AS before_cutoff,
    MIN(order_lines.order_date) < COALESCE(MAX(last_visits.last_date), @cutoff) AS earlier
  FROM `{working}.order_lines` AS order_lines
  JOIN products ON products.base_sku = order_lines.base_sku
  LEFT JOIN last_visits ON last_visits.email_lower = order_lines.buyer
  GROUP BY order_lines.buyer, products.product
),

pairs AS (
  SELECT
    basket.product,
    other_basket.product AS other_product,
    COUNTIF(basket.before_cutoff AND other_basket.before_cutoff) AS users,
    COUNTIF(basket.earlier AND other_basket.earlier) AS earlier_users,
    COUNT(*) AS serving_users
  FROM baskets AS basket
  JOIN baskets AS other_basket
    ON other_basket.buyer = basket.buyer AND other_basket.product > basket.product
  GROUP BY basket.product, other_basket.product
  HAVING serving_users >= @co_purchase_minimum_users
)

SELECT
  products.base_sku,
  other_products.base_sku AS other_base_sku,
  IF(pairs.users >= @co_purchase_minimum_users, pairs.users, NULL) AS users,
  IF(pairs.users >= @co_purchase_minimum_users, pairs.earlier_users, NULL) AS earlier_users,
  IF(pairs.users >= @co_purchase_minimum_users, LN(1 + pairs.users), NULL) AS weight,
  pairs.serving_users,
  LN(1 + pairs.serving_users) AS serving_weight
FROM pairs
JOIN products ON products.product = pairs.product
JOIN products AS other_products ON other_products.product = pairs.other_product
ORDER BY base_sku, other_base_sku
