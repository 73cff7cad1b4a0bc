-- One row is one user with a slot that should hold a part and does not, or holds a part without price, score
-- or image. A slot after an empty one may not be filled either.
WITH filled AS (
  SELECT
    email_lower,
    COUNTIF(slot <= @minimum_parts AND sku IS NOT NULL) AS parts_in_required_slots,
    COUNT(sku) AS parts,
    MAX(slot) AS last_slot,
    COUNTIF(sku IS NULL OR price IS NULL OR score IS NULL OR image IS NULL) AS incomplete_slots
  FROM `{working}.delivered_parts`
  GROUP BY email_lower
)

SELECT users.email_lower, filled.parts, filled.incomplete_slots
FROM `{working}.recommendations` AS users
LEFT JOIN filled ON filled.email_lower = users.email_lower
WHERE
  filled.email_lower IS NULL
  OR filled.parts_in_required_slots < @minimum_parts
  OR filled.parts < filled.last_slot
  OR filled.parts > @maximum_parts
  OR filled.incomplete_slots > 0
