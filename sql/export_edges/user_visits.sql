-- One row is one day on which one user met one part in one way: viewed it, put it in a cart or ordered it.
-- Views and carts are those of the window, orders are from either source and of any age.
SELECT DISTINCT
  events.email_lower,
  events.event_date AS visit_date,
  events.base_sku,
  events.interaction
FROM `{working}.interaction_events` AS events
JOIN `{working}.user_nodes` AS users ON users.email_lower = events.email_lower
JOIN `{working}.product_nodes` AS products ON products.base_sku = events.base_sku
WHERE events.interaction != 'order'
UNION ALL
SELECT
  purchases.email_lower,
  purchases.order_date AS visit_date,
  purchases.base_sku,
  'order' AS interaction
FROM `{working}.user_purchases` AS purchases
JOIN `{working}.product_nodes` AS products ON products.base_sku = purchases.base_sku
ORDER BY email_lower, visit_date, base_sku, interaction
