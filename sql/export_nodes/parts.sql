-- One row is one SKU: a variant of a part, with what it costs, how it looks, how it sells and the first rule
-- that keeps it from being recommended. Every SKU of the catalogue and of the fitment data is here.
-- Images, sales and prices that come from events exist twice: before @cutoff and, as serving_, before @as_of.
WITH listed_rows AS (
  SELECT
    COALESCE(normal_sku(PartNumber), '') AS sku,
    filled_text(PartType) AS part_type,
    positive_price(Price) AS listed_price,
    COALESCE(LOWER(Tags) LIKE '%refurb%', FALSE) AS refurbished
  FROM `{data_company}.import_items`
),

catalogue_rows AS (
  SELECT sku, part_type, listed_price, refurbished, COUNT(*) AS source_rows
  FROM listed_rows
  GROUP BY sku, part_type, listed_price, refurbished
),

-- One type, one spelling: a type that is written in two cases is one type to the rule on variety.
spelled_rows AS (
  SELECT
    sku,
    MIN(part_type) OVER (PARTITION BY UPPER(part_type)) AS part_type,
    COALESCE(UPPER(part_type) != 'UNKNOWN', FALSE) AS type_known,
    listed_price,
    refurbished,
    source_rows
  FROM catalogue_rows
),

-- A SKU that is listed twice takes the higher price, and no rule that either row fails is forgiven.
catalogue_parts AS (
  SELECT
    sku,
    COALESCE(MIN(IF(type_known, part_type, NULL)), MIN(part_type)) AS part_type,
    LOGICAL_OR(type_known) AS type_known,
    LOGICAL_OR(COALESCE(part_type_excluded(part_type), FALSE)) AS type_excluded,
    MAX(listed_price) AS listed_price,
    LOGICAL_OR(refurbished) AS refurbished,
    SUM(source_rows) AS source_rows,
    COUNT(*) AS distinct_rows
  FROM spelled_rows
  GROUP BY sku
),

skus AS (
  SELECT sku FROM catalogue_parts
  UNION DISTINCT
  SELECT normal_sku(product.product_number) AS sku
  FROM `{data_company}.vehicle_product_fitment_data` AS vehicle
  CROSS JOIN UNNEST(vehicle.products) AS product
  WHERE normal_sku(product.product_number) IS NOT NULL
),

refurbished_skus AS (
  SELECT DISTINCT normal_sku(PartNumber) AS sku
  FROM `{data_company}.import_items_tags`
  WHERE LOWER(Tags) LIKE '%refurb%'
),

sales AS (
  SELECT
    sku,
    COUNTIF(order_date < @cutoff) AS orders,
    COUNT(*) AS serving_orders
  FROM `{working}.order_lines`
  WHERE counts_in_popularity
  GROUP BY sku
),

seen_prices AS (
  SELECT
    sku,
    MAX(IF(event_date < @cutoff, price, NULL)) AS price,
    MAX(price) AS serving_price
  FROM `{working}.interaction_events`
  WHERE price IS NOT NULL
  GROUP BY sku
),

-- At most two rows a SKU: the latest image before the cutoff and the latest one after it.
latest_images AS (
  SELECT sku, image, event_date < @cutoff AS before_cutoff
  FROM `{working}.interaction_events`
  WHERE image IS NOT NULL
  QUALIFY ROW_NUMBER() OVER (
    PARTITION BY sku, event_date < @cutoff
    ORDER BY event_timestamp DESC, image
  ) = 1
),

seen_images AS (
  SELECT
    sku,
    MAX(IF(before_cutoff, image, NULL)) AS image,
    COALESCE(MAX(IF(before_cutoff, NULL, image)), MAX(image)) AS serving_image
  FROM latest_images
  GROUP BY sku
),

parts AS (
  SELECT
    skus.sku,
    catalogue_parts.part_type,
    COALESCE(catalogue_parts.type_known, FALSE) AS type_known,
    COALESCE(catalogue_parts.type_excluded, FALSE) AS type_excluded,
    COALESCE(catalogue_parts.listed_price, seen_prices.price) AS price,
    COALESCE(catalogue_parts.listed_price, seen_prices.serving_price) AS serving_price,
    seen_images.image,
    seen_images.serving_image,
    COALESCE(catalogue_parts.refurbished, FALSE) OR refurbished_skus.sku IS NOT NULL AS refurbished,
    COALESCE(sales.orders, 0) AS orders,
    COALESCE(sales.serving_orders, 0) AS serving_orders,
    -- All rows without a part number stand in one row here.
    COALESCE(
      catalogue_parts.source_rows - IF(skus.sku = '', 1, catalogue_parts.distinct_rows), 0
    ) AS duplicate_rows
  FROM skus
  LEFT JOIN catalogue_parts ON catalogue_parts.sku = skus.sku
  LEFT JOIN refurbished_skus ON refurbished_skus.sku = skus.sku
  LEFT JOIN sales ON sales.sku = skus.sku
  LEFT JOIN seen_prices ON seen_prices.sku = skus.sku
  LEFT JOIN seen_images ON seen_images.sku = skus.sku
)

SELECT
  sku,
  base_sku(sku) AS base_sku,
  part_type,
  price,
  serving_price,
  image,
  serving_image,
  refurbished,
  orders,
  serving_orders,
  ineligible_reason(
    sku, price, image, refurbished, type_known, type_excluded, @minimum_price, @unknown_type_minimum_price
  ) AS ineligible_reason,
  ineligible_reason(
    sku, serving_price, serving_image, refurbished, type_known, type_excluded,
    @minimum_price, @unknown_type_minimum_price
  ) AS serving_ineligible_reason,
  IF(sku = '', 'no part number', NULL) AS drop_reason,
  duplicate_rows
FROM parts
ORDER BY sku
