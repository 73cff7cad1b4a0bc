-- One row is one slot with a part that its user ordered, in any colour, in the days before the run's day.
SELECT DISTINCT delivered.email_lower, delivered.slot, delivered.sku, orders.order_date
FROM `{working}.delivered_parts` AS delivered
JOIN `{working}.order_lines` AS orders
  ON orders.buyer = delivered.email_lower AND orders.base_sku = delivered.base_sku
WHERE
  orders.order_date < @as_of
  AND orders.order_date >= DATE_SUB(@as_of, INTERVAL @purchase_exclusion_days DAY)
