-- One row is one slot without an image that a mail client shows.
SELECT email_lower, slot, sku, image
FROM `{working}.delivered_parts`
WHERE image IS NULL OR https_image(image) IS NULL OR https_image(image) != image
