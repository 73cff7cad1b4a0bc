-- One row is one part in one event: viewed, put in a cart or ordered, by a registered user or a visitor.
-- Three shapes of event name their parts: ProductId alone, Items_0.ProductId and on, SKUs_0 and on.
-- What a machine that opens the links of an e-mail views counts nowhere: machine_bursts.
WITH events AS (
  SELECT
    NULLIF(TRIM(user_id), '') AS user_id,
    client_event_timestamp AS event_timestamp,
    LOWER(TRIM(event_name)) AS event_name,
    event_shape(LOWER(TRIM(event_name))) AS shape,
    event_properties,
    -- Events carry no id, and a user may send several at one time. What a row says serves as its id: rows
    -- that say the same are one event, sent twice.
    FARM_FINGERPRINT(
      TO_JSON_STRING(STRUCT(user_id, event_name, client_event_timestamp, event_properties))
    ) AS event_id
  FROM `{company}.ingestion_unified_schema_incremental`
  WHERE
    client_event_timestamp IS NULL
    OR (client_event_timestamp >= TIMESTAMP(@intent_start) AND client_event_timestamp < TIMESTAMP(@as_of))
),

properties AS (
  SELECT
    events.event_id,
    events.user_id,
    events.event_name,
    events.event_timestamp,
    events.shape,
    LOWER(TRIM(property.property_name)) AS name,
    property.string_value,
    property.long_value,
    property.double_value
  FROM events
  LEFT JOIN UNNEST(events.event_properties) AS property
  WHERE events.shape IS NOT NULL
),

named_properties AS (
  SELECT
    *,
    property_role(shape, name) AS role,
    IF(shape = 'single', 0, SAFE_CAST(REGEXP_EXTRACT(name, r'^[a-z]+[_.]([0-9]+)') AS INT64)) AS item
  FROM properties
),

item_properties AS (
  SELECT
    *,
    COALESCE(role = 'part', FALSE) AS names_part,
    COALESCE(role = 'price', FALSE) AS names_price,
    COALESCE(role = 'image', FALSE) AS names_image
  FROM named_properties
  -- An event without properties names no part, and is counted.
  WHERE role IS NOT NULL OR name IS NULL
),

items AS (
  SELECT
    event_id,
    item,
    ANY_VALUE(user_id) AS user_id,
    ANY_VALUE(event_name) AS event_name,
    ANY_VALUE(event_timestamp) AS event_timestamp,
    MAX(IF(names_part, string_value, NULL)) AS part_string,
    MAX(IF(names_part, long_value, NULL)) AS part_long,
    MAX(IF(names_part, double_value, NULL)) AS part_double,
    MAX(IF(names_price, string_value, NULL)) AS price_string,
    MAX(IF(names_price, long_value, NULL)) AS price_long,
    MAX(IF(names_price, double_value, NULL)) AS price_double,
    MAX(IF(names_image, string_value, NULL)) AS image_string,
    COUNTIF(names_part) AS mentions
  FROM item_properties
  GROUP BY event_id, item
),

read_items AS (
  SELECT
    user_id,
    event_name,
    event_timestamp,
    property_text(part_string, part_long, part_double) AS part_number,
    property_price(price_string, price_long, price_double) AS price,
    https_image(image_string) AS image,
    GREATEST(mentions, 1) AS source_rows
  FROM items
),

distinct_items AS (
  SELECT
    user_id,
    event_name,
    event_timestamp,
    normal_sku(part_number) AS sku,
    MAX(price) AS price,
    MIN(image) AS image,
    SUM(source_rows) - 1 AS duplicate_rows
  FROM read_items
  GROUP BY user_id, event_name, event_timestamp, sku
),

user_items AS (
  SELECT distinct_items.*, user_accounts.email_lower
  FROM distinct_items
  LEFT JOIN `{working}.user_accounts` AS user_accounts ON user_accounts.user_id = distinct_items.user_id
),

machine_views AS (
  SELECT DISTINCT user_items.user_id, user_items.event_timestamp
  FROM user_items
  JOIN `{working}.machine_bursts` AS bursts
    ON bursts.visitor = COALESCE(user_items.email_lower, user_items.user_id)
    AND user_items.event_timestamp >= bursts.first_click
    AND user_items.event_timestamp <= TIMESTAMP_ADD(bursts.last_click, INTERVAL @machine_view_seconds SECOND)
  WHERE user_items.event_name = 'viewed product'
)

SELECT
  user_items.event_timestamp,
  DATE(user_items.event_timestamp) AS event_date,
  user_items.user_id,
  user_items.email_lower,
  event_interaction(user_items.event_name) AS interaction,
  user_items.sku,
  base_sku(user_items.sku) AS base_sku,
  user_items.price,
  user_items.image,
  CASE
    WHEN user_items.user_id IS NULL THEN 'no user_id'
    WHEN user_items.event_timestamp IS NULL THEN 'no timestamp'
    WHEN user_items.sku IS NULL THEN 'no SKU'
    WHEN machine_views.user_id IS NOT NULL AND user_items.event_name = 'viewed product' THEN 'machine view'
  END AS drop_reason,
  user_items.duplicate_rows
FROM user_items
LEFT JOIN machine_views
  ON machine_views.user_id = user_items.user_id AND machine_views.event_timestamp = user_items.event_timestamp
ORDER BY event_timestamp, user_id, sku, event_name
