-- One row is one part type that one user is shown more often than the rule allows. Parts without a type
-- count as one type.
SELECT delivered.email_lower, parts.part_type, COUNT(*) AS slots
FROM `{working}.delivered_parts` AS delivered
LEFT JOIN `{working}.parts` AS parts ON parts.sku = delivered.sku
GROUP BY delivered.email_lower, parts.part_type
HAVING COUNT(*) > @maximum_per_part_type
