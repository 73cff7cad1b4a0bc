-- One row is one SKU: a variant of a part, with what it costs, how it looks, how it sells and the first rule
-- that keeps it from being recommended. Every SKU of the catalogue and of the fitment data is here; orders and
-- events of others are counted.
-- Images, sales and prices that come from events exist twice: before @cutoff and, as serving_, before @as_of.
WITH listed_rows AS (
  SELECT
    COALESCE(normal_sku(PartNumber), '') AS sku,
    filled_text(PartType) AS part_type,
    positive_price(Price) AS listed_price,
    tagged_refurbished(Tags) AS refurbished
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
  SELECT sku, TRUE AS listed FROM catalogue_parts
  UNION DISTINCT
  SELECT normal_sku(product.product_number) AS sku, TRUE AS listed
  FROM `{data_company}.vehicle_product_fitment_data` AS vehicle
  CROSS JOIN UNNEST(vehicle.products) AS product
  WHERE normal_sku(product.product_number) IS NOT NULL
),

refurbished_skus AS (
  SELECT DISTINCT normal_sku(PartNumber) AS sku, TRUE AS listed
  FROM `{data_company}.import_items_tags`
  WHERE tagged_refurbished(Tags)
),

sales AS (
  SELECT
    sku,
    COUNTIF(counts_in_popularity AND order_date < @cutoff) AS orders,
    COUNTIF(counts_in_popularity) AS serving_orders,
    COUNT(*) AS source_rows
  FROM `{working}.order_lines`
  GROUP BY sku
),

seen_prices AS (
  SELECT
    sku,
    MAX(IF(event_date < @cutoff, price, NULL)) AS price,
    MAX(price) AS serving_price,
    COUNT(*) AS source_rows
  FROM `{working}.interaction_events`
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
    sku,
    catalogue_parts.part_type,
    COALESCE(catalogue_parts.type_known, FALSE) AS type_known,
    COALESCE(catalogue_parts.type_excluded, FALSE) AS type_excluded,
    COALESCE(catalogue_parts.listed_price, seen_prices.price) AS price,
    COALESCE(catalogue_parts.listed_price, seen_prices.serving_price) AS serving_price,
    seen_images.image,
    seen_images.serving_image,
    COALESCE(catalogue_parts.refurbished, FALSE) OR refurbished_skus.listed IS NOT NULL AS refurbished,
    COALESCE(sales.orders, 0) AS orders,
    COALESCE(sales.serving_orders, 0) AS serving_orders,
    CASE
      WHEN sku = '' THEN 'no part number'
      WHEN skus.listed IS NULL THEN 'ordered or seen, but not listed'
    END AS drop_reason,
    CASE
      -- All rows without a part number stand in one row here.
      WHEN sku = '' THEN catalogue_parts.source_rows - 1
      WHEN skus.listed IS NULL THEN COALESCE(sales.source_rows, 0) + COALESCE(seen_prices.source_rows, 0) - 1
      ELSE COALESCE(catalogue_parts.source_rows - catalogue_parts.distinct_rows, 0)
    END AS duplicate_rows
  FROM skus
  FULL OUTER JOIN sales USING (sku)
  FULL OUTER JOIN seen_prices USING (sku)
  LEFT JOIN catalogue_parts USING (sku)
  LEFT JOIN refurbished_skus USING (sku)
  LEFT JOIN seen_images USING (sku)
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
  drop_reason,
  duplicate_rows
FROM parts
ORDER BY sku
