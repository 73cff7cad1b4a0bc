-- One row is one slot with something that is no part: an extended warranty, a gift card, a service fee.
SELECT email_lower, slot, sku
FROM `{working}.delivered_parts`
WHERE REGEXP_CONTAINS(sku, r'^(EXT|GIFT|WARRANTY|SERVICE|PREAUTH)-')
