-- One row is one base SKU that one user is shown more than once: two colours of a part are one part.
SELECT email_lower, base_sku, COUNT(*) AS slots
FROM `{working}.delivered_parts`
GROUP BY email_lower, base_sku
HAVING COUNT(*) > 1
