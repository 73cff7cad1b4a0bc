-- One row is one slot without an image that a mail client shows.
SELECT email_lower, slot, sku, image
FROM `{working}.delivered_parts`
WHERE image IS NULL OR NOT REGEXP_CONTAINS(image, r'^https://[^/\s]+/?\S*$')
