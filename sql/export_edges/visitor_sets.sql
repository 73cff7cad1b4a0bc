-- One row is one set of parts that visitors without a registered vehicle met, and one part of it: how many visitors met
-- exactly this set before @cutoff, and, as serving_visitors, before @as_of. No row names a visitor.
-- Sets have numbers, because what is made of them joins millions.
WITH visits AS (
  SELECT COALESCE(email_lower, user_id) AS visitor, base_sku, event_date AS visit_date
  FROM `{working}.interaction_events`
  UNION ALL
  SELECT buyer AS visitor, base_sku, order_date AS visit_date
  FROM `{working}.order_lines`
  WHERE source = 'import_orders' AND counts_in_popularity
),

-- What fits no car, such as a gift card, tells nothing about the car, and takes nothing from what the rest tells.
fitting_parts AS (
  SELECT DISTINCT base_sku
  FROM `{working}.fits_edges`
),

visitor_parts AS (
  SELECT visits.visitor, visits.base_sku, MIN(visits.visit_date) AS first_visit
  FROM visits
  JOIN fitting_parts ON fitting_parts.base_sku = visits.base_sku
  LEFT JOIN `{working}.user_nodes` AS users ON users.email_lower = visits.visitor
  WHERE users.email_lower IS NULL
  GROUP BY visits.visitor, visits.base_sku
),

-- A part is seen in one view or in both.
view_parts AS (
  SELECT visitor, base_sku, FALSE AS serving FROM visitor_parts WHERE first_visit < @cutoff
  UNION ALL
  SELECT visitor, base_sku, TRUE AS serving FROM visitor_parts
),

-- Crawlers and resellers see parts for many cars.
visitors AS (
  SELECT visitor, serving, COUNT(*) AS parts, STRING_AGG(base_sku, '|' ORDER BY base_sku) AS part_set
  FROM view_parts
  GROUP BY visitor, serving
  HAVING COUNT(*) <= @visitor_maximum_parts
),

-- Visitors with the same parts have the same answer, and so have both views: one of them stands for all.
set_visitors AS (
  SELECT
    visitor,
    serving,
    parts,
    SUM(IF(serving, 0, 1)) OVER (PARTITION BY part_set) AS visitors,
    SUM(IF(serving, 1, 0)) OVER (PARTITION BY part_set) AS serving_visitors,
    ROW_NUMBER() OVER (PARTITION BY part_set ORDER BY visitor, serving) AS place
  FROM visitors
),

part_sets AS (
  SELECT
    visitor,
    serving,
    parts,
    visitors,
    serving_visitors,
    ROW_NUMBER() OVER (ORDER BY visitor, serving) AS set_number
  FROM set_visitors
  WHERE place = 1
)

SELECT
  part_sets.set_number,
  view_parts.base_sku,
  part_sets.parts,
  part_sets.visitors,
  part_sets.serving_visitors
FROM part_sets
JOIN view_parts ON view_parts.visitor = part_sets.visitor AND view_parts.serving = part_sets.serving
ORDER BY set_number, base_sku
