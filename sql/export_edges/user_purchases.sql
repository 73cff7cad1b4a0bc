-- One row is one day on which one user ordered one part, from either source and of any age: the ranker decides
-- how long a purchase keeps a part from being shown again.
SELECT DISTINCT order_lines.email_lower, order_lines.base_sku, order_lines.order_date
FROM `{working}.order_lines` AS order_lines
JOIN `{working}.user_nodes` AS users ON users.email_lower = order_lines.email_lower
ORDER BY email_lower, base_sku, order_date
