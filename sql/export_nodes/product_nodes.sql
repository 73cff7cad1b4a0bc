-- One row is one part: a base SKU with the type and price of its best-selling variant (ties alphabetical),
-- how it sells, how many people met it and how many vehicles it fits. Colours of one part are one node.
WITH variants AS (
  SELECT
    base_sku,
    part_type,
    price,
    serving_price,
    ROW_NUMBER() OVER (PARTITION BY base_sku ORDER BY orders DESC, sku) AS place,
    ROW_NUMBER() OVER (PARTITION BY base_sku ORDER BY serving_orders DESC, sku) AS serving_place
  FROM `{working}.parts`
),

products AS (
  SELECT
    base_sku,
    MAX(IF(place = 1, part_type, NULL)) AS part_type,
    MAX(IF(place = 1, price, NULL)) AS price,
    MAX(IF(serving_place = 1, serving_price, NULL)) AS serving_price
  FROM variants
  GROUP BY base_sku
),

sales AS (
  SELECT
    base_sku,
    SUM(IF(order_date < @cutoff, orders, 0)) AS orders,
    SUM(orders) AS serving_orders
  FROM `{working}.daily_orders`
  GROUP BY base_sku
),

-- Everybody who viewed a part, put it in a cart or ordered it, once.
met_parts AS (
  SELECT base_sku, COALESCE(email_lower, user_id) AS visitor, event_date AS met_date
  FROM `{working}.interaction_events`
  UNION ALL
  SELECT base_sku, buyer AS visitor, order_date AS met_date
  FROM `{working}.order_lines`
  WHERE source = 'import_orders' AND counts_in_popularity
),

first_meetings AS (
  SELECT base_sku, visitor, MIN(met_date) AS first_date
  FROM met_parts
  GROUP BY base_sku, visitor
),

visitors AS (
  SELECT base_sku, COUNTIF(first_date < @cutoff) AS visitors, COUNT(*) AS serving_visitors
  FROM first_meetings
  GROUP BY base_sku
),

breadth AS (
  SELECT base_sku, COUNT(*) AS vehicles
  FROM `{working}.fitment`
  GROUP BY base_sku
)

SELECT
  products.base_sku,
  products.part_type,
  products.price,
  LN(1 + COALESCE(sales.orders, 0)) AS log_popularity,
  LN(1 + COALESCE(visitors.visitors, 0)) AS log_visitors,
  COALESCE(breadth.vehicles, 0) AS fitment_breadth,
  products.serving_price,
  LN(1 + COALESCE(sales.serving_orders, 0)) AS serving_log_popularity,
  LN(1 + COALESCE(visitors.serving_visitors, 0)) AS serving_log_visitors
FROM products
LEFT JOIN sales ON sales.base_sku = products.base_sku
LEFT JOIN visitors ON visitors.base_sku = products.base_sku
LEFT JOIN breadth ON breadth.base_sku = products.base_sku
ORDER BY base_sku
