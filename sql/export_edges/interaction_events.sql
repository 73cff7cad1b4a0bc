-- One row is one part in one event: viewed, put in a cart or ordered, by a registered user or a visitor.
-- Three shapes of event name their parts: ProductId alone, Items_0.ProductId and on, SKUs_0 and on.
WITH events AS (
  SELECT
    NULLIF(TRIM(user_id), '') AS user_id,
    LOWER(TRIM(event_name)) AS event_name,
    client_event_timestamp AS event_timestamp,
    event_properties,
    -- Events carry no id, and a user may send several at one time. What a row says serves as its id: rows
    -- that say the same are one event, sent twice.
    FARM_FINGERPRINT(
      TO_JSON_STRING(STRUCT(user_id, event_name, client_event_timestamp, event_properties))
    ) AS event_id
  FROM `{company}.ingestion_unified_schema_incremental`
  WHERE
    LOWER(TRIM(event_name)) IN (
      'viewed product', 'cart update', 'placed order', 'ordered product', 'consumer website order'
    )
    AND (
      client_event_timestamp IS NULL
      OR client_event_timestamp >= TIMESTAMP(@intent_start) AND client_event_timestamp < TIMESTAMP(@as_of)
    )
),

properties AS (
  SELECT
    events.event_id,
    events.user_id,
    events.event_name,
    events.event_timestamp,
    property,
    LOWER(TRIM(property.property_name)) AS name
  FROM events
  LEFT JOIN UNNEST(events.event_properties) AS property
),

item_properties AS (
  SELECT
    *,
    CASE
      WHEN event_name IN ('viewed product', 'ordered product') THEN name
      WHEN event_name IN ('cart update', 'placed order') THEN REGEXP_EXTRACT(name, r'^items_[0-9]+\.(.+)$')
      ELSE REGEXP_EXTRACT(name, r'^(skus)_[0-9]+$')
    END AS field,
    CASE
      WHEN event_name IN ('viewed product', 'ordered product') THEN 'only'
      ELSE REGEXP_EXTRACT(name, r'^(?:items|skus)_([0-9]+)')
    END AS item
  FROM properties
),

items AS (
  SELECT
    event_id,
    item,
    ANY_VALUE(user_id) AS user_id,
    ANY_VALUE(event_name) AS event_name,
    ANY_VALUE(event_timestamp) AS event_timestamp,
    MAX(IF(field IN ('productid', 'skus'), property_text(property.string_value, property.long_value, property.double_value), NULL)) AS part_number,
    COUNTIF(field IN ('productid', 'skus')) AS part_numbers,
    MAX(
      IF(
        field IN ('price', 'itemprice'),
        positive_price(property_text(property.string_value, property.long_value, property.double_value)),
        NULL
      )
    ) AS price,
    MIN(IF(field = 'imageurl', https_image(property.string_value), NULL)) AS image
  FROM item_properties
  WHERE field IN ('productid', 'skus', 'price', 'itemprice', 'imageurl') OR name IS NULL
  GROUP BY event_id, item
),

distinct_items AS (
  SELECT
    user_id,
    event_name,
    event_timestamp,
    normal_sku(part_number) AS sku,
    base_sku(part_number) AS base_sku,
    MAX(price) AS price,
    MIN(image) AS image,
    SUM(GREATEST(part_numbers, 1)) - 1 AS duplicate_rows
  FROM items
  GROUP BY user_id, event_name, event_timestamp, sku, base_sku
)

SELECT
  distinct_items.event_timestamp,
  DATE(distinct_items.event_timestamp) AS event_date,
  distinct_items.user_id,
  user_accounts.email_lower,
  CASE distinct_items.event_name
    WHEN 'viewed product' THEN 'view'
    WHEN 'cart update' THEN 'cart'
    ELSE 'order'
  END AS interaction,
  distinct_items.sku,
  distinct_items.base_sku,
  distinct_items.price,
  distinct_items.image,
  CASE
    WHEN distinct_items.user_id IS NULL THEN 'no user_id'
    WHEN distinct_items.event_timestamp IS NULL THEN 'no timestamp'
    WHEN distinct_items.sku IS NULL THEN 'no SKU'
  END AS drop_reason,
  distinct_items.duplicate_rows
FROM distinct_items
LEFT JOIN `{working}.user_accounts` AS user_accounts ON user_accounts.user_id = distinct_items.user_id
ORDER BY event_timestamp, user_id, sku, event_name
