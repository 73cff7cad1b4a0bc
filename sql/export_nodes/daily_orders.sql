-- One row is one part and one day on which it was ordered: how many buyers ordered it, from all sources, each
-- order once. What is in season is read from it.
SELECT base_sku, order_date, COUNT(*) AS orders
FROM `{working}.order_lines`
WHERE counts_as_order AND counts_in_popularity
GROUP BY base_sku, order_date
ORDER BY base_sku, order_date
