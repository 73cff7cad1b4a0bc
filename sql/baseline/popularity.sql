-- One row is one part that fits one make and model, with the scores of systems sql and popularity.
-- The SQL pipeline trusts the segment (make and model) where it has seen enough orders by users with that
-- vehicle, else the make, else all buyers. System popularity knows all buyers alone.
WITH segment_sales AS (
  SELECT
    users.make,
    users.model,
    order_lines.base_sku,
    COUNTIF(order_lines.order_date < @cutoff) AS orders,
    COUNT(*) AS serving_orders
  FROM `{working}.order_lines` AS order_lines
  JOIN `{working}.user_nodes` AS users ON users.email_lower = order_lines.email_lower
  WHERE order_lines.counts_as_order AND order_lines.counts_in_popularity
  GROUP BY users.make, users.model, order_lines.base_sku
),

segment_totals AS (
  SELECT make, model, SUM(orders) AS orders, SUM(serving_orders) AS serving_orders
  FROM segment_sales
  GROUP BY make, model
),

make_sales AS (
  SELECT make, base_sku, SUM(orders) AS orders, SUM(serving_orders) AS serving_orders
  FROM segment_sales
  GROUP BY make, base_sku
),

make_totals AS (
  SELECT make, SUM(orders) AS orders, SUM(serving_orders) AS serving_orders
  FROM segment_sales
  GROUP BY make
),

sales AS (
  SELECT
    base_sku,
    COUNTIF(order_date < @cutoff) AS orders,
    COUNT(*) AS serving_orders
  FROM `{working}.order_lines`
  WHERE counts_as_order AND counts_in_popularity
  GROUP BY base_sku
),

counted_pairs AS (
  SELECT
    pairs.make,
    pairs.model,
    pairs.base_sku,
    COALESCE(segment_sales.orders, 0) AS segment_orders,
    COALESCE(make_sales.orders, 0) AS make_orders,
    COALESCE(sales.orders, 0) AS orders,
    COALESCE(segment_sales.serving_orders, 0) AS serving_segment_orders,
    COALESCE(make_sales.serving_orders, 0) AS serving_make_orders,
    COALESCE(sales.serving_orders, 0) AS serving_orders,
    popularity_tier(
      segment_sales.orders, segment_totals.orders, make_sales.orders, make_totals.orders,
      @sql_segment_minimum_orders, @sql_make_minimum_orders, @sql_pair_minimum_orders
    ) AS tier,
    popularity_tier(
      segment_sales.serving_orders, segment_totals.serving_orders,
      make_sales.serving_orders, make_totals.serving_orders,
      @sql_segment_minimum_orders, @sql_make_minimum_orders, @sql_pair_minimum_orders
    ) AS serving_tier
  FROM `{working}.fits_edges` AS pairs
  LEFT JOIN segment_sales
    ON segment_sales.make = pairs.make
    AND segment_sales.model = pairs.model
    AND segment_sales.base_sku = pairs.base_sku
  LEFT JOIN segment_totals ON segment_totals.make = pairs.make AND segment_totals.model = pairs.model
  LEFT JOIN make_sales ON make_sales.make = pairs.make AND make_sales.base_sku = pairs.base_sku
  LEFT JOIN make_totals ON make_totals.make = pairs.make
  LEFT JOIN sales ON sales.base_sku = pairs.base_sku
)

SELECT
  make,
  model,
  base_sku,
  segment_orders,
  make_orders,
  orders,
  tier,
  popularity_tier_score(tier, segment_orders, make_orders, orders) AS sql_score,
  LN(1 + orders) AS popularity_score,
  serving_segment_orders,
  serving_make_orders,
  serving_orders,
  serving_tier,
  popularity_tier_score(
    serving_tier, serving_segment_orders, serving_make_orders, serving_orders
  ) AS serving_sql_score,
  LN(1 + serving_orders) AS serving_popularity_score
FROM counted_pairs
ORDER BY make, model, base_sku
