-- One row is one SKU: a variant of a part, with what it costs, how it looks, how it sells and the first rule
-- that keeps it from being recommended. Every SKU of the catalogue and of the fitment data is here; orders and
-- events of others are counted.
-- Images, sales and prices that come from events exist twice: before @cutoff and, as serving_, before @as_of.
-- Events are written by anybody's browser. A visitor has one word about a price and one about an image, at least
-- @minimum_visitors must agree that there is one, and a price must be plausible: within @plausible_price_factor of the
-- median listed price of its part type, or of the whole catalogue where fewer than five parts of the type have one.
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

seen_skus AS (
  SELECT sku, COUNT(*) AS source_rows
  FROM `{working}.interaction_events`
  GROUP BY sku
),

-- Every event counts in the view as of today, and those before the cutoff in both views.
seen_values AS (
  SELECT
    sku, COALESCE(email_lower, user_id) AS visitor, event_timestamp, event_date, price, image, TRUE AS serving
  FROM `{working}.interaction_events`
  WHERE price IS NOT NULL OR image IS NOT NULL
  UNION ALL
  SELECT
    sku, COALESCE(email_lower, user_id) AS visitor, event_timestamp, event_date, price, image, FALSE AS serving
  FROM `{working}.interaction_events`
  WHERE (price IS NOT NULL OR image IS NOT NULL) AND event_date < @cutoff
),

-- The price that a visitor saw last.
visitor_prices AS (
  SELECT sku, serving, price
  FROM seen_values
  WHERE price IS NOT NULL
  QUALIFY ROW_NUMBER() OVER (PARTITION BY sku, serving, visitor ORDER BY event_timestamp DESC, price DESC) = 1
),

placed_prices AS (
  SELECT
    sku,
    serving,
    price,
    ROW_NUMBER() OVER (PARTITION BY sku, serving ORDER BY price) AS place,
    COUNT(*) OVER (PARTITION BY sku, serving) AS visitors
  FROM visitor_prices
),

-- The median is the one price in the middle, or the mean of the two.
median_prices AS (
  SELECT
    sku,
    AVG(IF(serving, NULL, price)) AS price,
    AVG(IF(serving, price, NULL)) AS serving_price
  FROM placed_prices
  WHERE
    visitors >= @minimum_visitors
    AND 2 * place BETWEEN visitors AND visitors + 2
  GROUP BY sku
),

placed_listed_prices AS (
  SELECT
    part_type,
    listed_price,
    ROW_NUMBER() OVER (PARTITION BY part_type ORDER BY listed_price) AS place,
    COUNT(*) OVER (PARTITION BY part_type) AS parts,
    ROW_NUMBER() OVER (ORDER BY listed_price) AS catalogue_place,
    COUNT(*) OVER () AS catalogue_parts
  FROM catalogue_parts
  WHERE listed_price IS NOT NULL AND sku != ''
),

type_prices AS (
  SELECT part_type, AVG(listed_price) AS usual_price
  FROM placed_listed_prices
  WHERE parts >= 5 AND 2 * place BETWEEN parts AND parts + 2
  GROUP BY part_type
),

catalogue_price AS (
  SELECT AVG(listed_price) AS usual_price
  FROM placed_listed_prices
  WHERE 2 * catalogue_place BETWEEN catalogue_parts AND catalogue_parts + 2
),

allowed_images AS (
  SELECT
    sku,
    serving,
    visitor,
    image,
    event_timestamp,
    event_date,
    IF(serving, @as_of, @cutoff) AS view_end,
    MAX(event_date) OVER (PARTITION BY sku, serving) AS last_date
  FROM seen_values
  WHERE
    image IS NOT NULL
    AND (
      @image_hosts = ''
      OR STRPOS(CONCAT(' ', LOWER(@image_hosts), ' '), CONCAT(' ', image_host(image), ' ')) > 0
    )
),

-- Images of the newest days of the view; a part that nobody saw in them keeps those of its own newest days.
recent_images AS (
  SELECT sku, serving, visitor, image, event_timestamp
  FROM allowed_images
  WHERE
    event_date >= DATE_SUB(
      IF(
        last_date >= DATE_SUB(view_end, INTERVAL @image_days DAY), view_end, DATE_ADD(last_date, INTERVAL 1 DAY)
      ),
      INTERVAL @image_days DAY
    )
),

image_words AS (
  SELECT sku, serving, image, COUNT(DISTINCT visitor) AS visitors, MAX(event_timestamp) AS newest
  FROM recent_images
  GROUP BY sku, serving, image
),

majority_images AS (
  SELECT sku, serving, image
  FROM image_words
  WHERE visitors >= @minimum_visitors
  QUALIFY ROW_NUMBER() OVER (PARTITION BY sku, serving ORDER BY visitors DESC, newest DESC, image) = 1
),

seen_images AS (
  SELECT
    sku,
    MAX(IF(serving, NULL, image)) AS image,
    MAX(IF(serving, image, NULL)) AS serving_image
  FROM majority_images
  GROUP BY sku
),

seen_prices AS (
  SELECT
    seen_skus.sku,
    seen_skus.source_rows,
    plausible_price(
      median_prices.price, COALESCE(type_prices.usual_price, catalogue_price.usual_price), @plausible_price_factor
    ) AS price,
    plausible_price(
      median_prices.serving_price,
      COALESCE(type_prices.usual_price, catalogue_price.usual_price),
      @plausible_price_factor
    ) AS serving_price
  FROM seen_skus
  CROSS JOIN catalogue_price
  LEFT JOIN median_prices ON median_prices.sku = seen_skus.sku
  LEFT JOIN catalogue_parts ON catalogue_parts.sku = seen_skus.sku
  LEFT JOIN type_prices ON type_prices.part_type = catalogue_parts.part_type
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
