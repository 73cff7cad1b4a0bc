-- One row is one set of parts that visitors met before @cutoff, and one part of it, with the number of visitors who
-- met exactly that set. A visitor is anybody without a registered vehicle.
-- Visitors with the same set say the same: it stands once, and no row names a visitor.
WITH visits AS (
  SELECT COALESCE(email_lower, user_id) AS visitor, base_sku
  FROM `{working}.interaction_events`
  WHERE event_date < @cutoff
  UNION ALL
  SELECT buyer AS visitor, base_sku
  FROM `{working}.order_lines`
  WHERE source = 'import_orders' AND counts_in_popularity AND order_date < @cutoff
),

-- What fits no car, such as a gift card, tells nothing about the car, and takes nothing from what the rest tells.
fitting_parts AS (
  SELECT DISTINCT base_sku
  FROM `{working}.fits_edges`
),

visitor_parts AS (
  SELECT DISTINCT visits.visitor, visits.base_sku
  FROM visits
  JOIN fitting_parts ON fitting_parts.base_sku = visits.base_sku
  LEFT JOIN `{working}.user_nodes` AS users ON users.email_lower = visits.visitor
  WHERE users.email_lower IS NULL
),

-- Crawlers and resellers see parts for many cars.
visitors AS (
  SELECT visitor, STRING_AGG(base_sku, '|' ORDER BY base_sku) AS parts
  FROM visitor_parts
  GROUP BY visitor
  HAVING COUNT(*) <= @visitor_maximum_parts
),

sets AS (
  SELECT
    -- One visitor stands for all who met the same parts.
    MIN(visitor) AS visitor,
    COUNT(*) AS visitors,
    ROW_NUMBER() OVER (ORDER BY parts) AS part_set
  FROM visitors
  GROUP BY parts
)

SELECT sets.part_set, visitor_parts.base_sku, sets.visitors
FROM sets
JOIN visitor_parts ON visitor_parts.visitor = sets.visitor
ORDER BY part_set, base_sku
