-- One row is one source table, outcome and reason: how many rows of the source came to it.
-- in: all that the table has, counted on their own in the same statement, so that rows that arrive meanwhile are in
-- both or in none. kept: something of the row is in a table of the graph; a click is a label. dropped: a reason says
-- why not. lost: no reason is known, and nothing of the row is in the table that it belongs in.
-- Of what is kept, catalogue rows that fit no vehicle stand apart: they are nodes, and nobody is shown them.
-- A row counts once, under its first reason. Of rows that say the same the first is kept; of a row that names several
-- parts one is enough.
WITH all_rows AS (
  SELECT 'ingestion_unified_attributes_schema_incremental' AS source_table, COUNT(*) AS source_rows
  FROM `{company}.ingestion_unified_attributes_schema_incremental`
  UNION ALL
  SELECT 'ingestion_unified_schema_incremental' AS source_table, COUNT(*) AS source_rows
  FROM `{company}.ingestion_unified_schema_incremental`
  UNION ALL
  SELECT 'treatment_interaction' AS source_table, COUNT(*) AS source_rows
  FROM `{company}.treatment_interaction`
  UNION ALL
  SELECT 'vehicle_product_fitment_data' AS source_table, COUNT(*) AS source_rows
  FROM `{data_company}.vehicle_product_fitment_data`
  UNION ALL
  SELECT 'import_items' AS source_table, COUNT(*) AS source_rows
  FROM `{data_company}.import_items`
  UNION ALL
  SELECT 'import_items_tags' AS source_table, COUNT(*) AS source_rows
  FROM `{data_company}.import_items_tags`
  UNION ALL
  SELECT 'import_orders' AS source_table, COUNT(*) AS source_rows
  FROM `{data_company}.import_orders`
),

known_parts AS (
  SELECT DISTINCT base_sku
  FROM `{working}.parts`
),

-- Attributes: a row is kept while one of its values is the latest of its user and property.
attributes AS (
  SELECT
    NULLIF(TRIM(user_id), '') AS user_id,
    user_properties,
    update_timestamp,
    auxia_insertion_timestamp,
    COALESCE(update_timestamp < TIMESTAMP(@as_of), TRUE) AS in_window,
    GREATEST(COALESCE(ARRAY_LENGTH(user_properties), 0), 1) AS properties,
    FARM_FINGERPRINT(
      TO_JSON_STRING(STRUCT(user_id, user_properties, update_timestamp, auxia_insertion_timestamp))
    ) AS row_id
  FROM `{company}.ingestion_unified_attributes_schema_incremental`
),

named_attributes AS (
  SELECT
    attributes.row_id,
    attributes.properties,
    attributes.user_id,
    attributes.in_window,
    attributes.update_timestamp,
    attributes.auxia_insertion_timestamp,
    LOWER(TRIM(property.property_name)) AS name,
    property_text(property.string_value, property.long_value, property.double_value) AS value
  FROM attributes
  LEFT JOIN UNNEST(attributes.user_properties) AS property
),

read_attributes AS (
  SELECT
    *,
    is_read_attribute(name, @consent_property) AS is_known
  FROM named_attributes
),

-- Of values that tie, all are the latest: which of them stands for the user is the same.
placed_attributes AS (
  SELECT
    *,
    in_window AND is_known AND value IS NOT NULL AS usable,
    RANK() OVER (
      PARTITION BY user_id, in_window AND is_known AND value IS NOT NULL, name
      ORDER BY update_timestamp DESC, auxia_insertion_timestamp DESC, value
    ) AS place
  FROM read_attributes
),

told_emails AS (
  SELECT
    *,
    MAX(IF(usable AND place = 1 AND name = 'email', value, NULL)) OVER (PARTITION BY user_id) AS email
  FROM placed_attributes
),

attribute_rows AS (
  SELECT
    row_id,
    ANY_VALUE(user_id) AS user_id,
    LOGICAL_OR(in_window) AS in_window,
    LOGICAL_OR(is_known) AS names_property,
    LOGICAL_OR(usable) AS tells_value,
    LOGICAL_OR(usable AND place = 1) AS is_latest,
    MAX(email) AS email,
    DIV(COUNT(*), MAX(properties)) AS source_rows
  FROM told_emails
  GROUP BY row_id
),

judged_attributes AS (
  SELECT
    'ingestion_unified_attributes_schema_incremental' AS source_table,
    attribute_rows.source_rows,
    CASE
      WHEN attribute_rows.user_id IS NULL THEN 'no user_id'
      WHEN NOT attribute_rows.in_window THEN 'after the window'
      WHEN NOT attribute_rows.names_property THEN 'no property of a known name'
      WHEN NOT attribute_rows.tells_value THEN 'no value'
      WHEN attribute_rows.email IS NULL THEN 'no e-mail'
      WHEN normal_email(attribute_rows.email) IS NULL THEN 'e-mail invalid'
      WHEN NOT attribute_rows.is_latest THEN 'later values replace it'
      WHEN accounts.user_id IS NULL THEN 'missing in user_accounts'
    END AS reason
  FROM attribute_rows
  LEFT JOIN `{working}.user_accounts` AS accounts ON accounts.user_id = attribute_rows.user_id
),

-- Events: those outside of the window are counted by their time alone, so that no other column of theirs is read.
events_outside AS (
  SELECT
    IF(client_event_timestamp < TIMESTAMP(@as_of), 'before the window', 'after the window') AS reason,
    COUNT(*) AS source_rows
  FROM `{company}.ingestion_unified_schema_incremental`
  WHERE client_event_timestamp < TIMESTAMP(@intent_start) OR client_event_timestamp >= TIMESTAMP(@as_of)
  GROUP BY reason
),

events AS (
  SELECT
    NULLIF(TRIM(user_id), '') AS user_id,
    client_event_timestamp AS event_timestamp,
    LOWER(TRIM(event_name)) AS event_name,
    event_shape(LOWER(TRIM(event_name))) AS shape,
    event_properties,
    GREATEST(COALESCE(ARRAY_LENGTH(event_properties), 0), 1) AS properties,
    FARM_FINGERPRINT(
      TO_JSON_STRING(STRUCT(user_id, event_name, client_event_timestamp, event_properties))
    ) AS row_id
  FROM `{company}.ingestion_unified_schema_incremental`
  WHERE
    client_event_timestamp IS NULL
    OR (client_event_timestamp >= TIMESTAMP(@intent_start) AND client_event_timestamp < TIMESTAMP(@as_of))
),

named_properties AS (
  SELECT
    events.row_id,
    events.properties,
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
),

read_properties AS (
  SELECT
    *,
    COALESCE(
      IF(
        shape IS NULL,
        property_role('single', name) = 'part'
          OR property_role('items', name) = 'part'
          OR property_role('skus', name) = 'part',
        property_role(shape, name) = 'part'
      ),
      FALSE
    ) AS names_part
  FROM named_properties
),

read_skus AS (
  SELECT
    *,
    IF(names_part, normal_sku(property_text(string_value, long_value, double_value)), NULL) AS sku
  FROM read_properties
),

event_rows AS (
  SELECT
    read_skus.row_id,
    ANY_VALUE(read_skus.user_id) AS user_id,
    ANY_VALUE(read_skus.event_name) AS event_name,
    ANY_VALUE(read_skus.event_timestamp) AS event_timestamp,
    ANY_VALUE(read_skus.shape) AS shape,
    LOGICAL_OR(read_skus.names_part) AS names_part,
    LOGICAL_OR(read_skus.sku IS NOT NULL) AS has_sku,
    LOGICAL_OR(known_parts.base_sku IS NOT NULL) AS is_known,
    DIV(COUNT(*), MAX(read_skus.properties)) AS source_rows
  FROM read_skus
  LEFT JOIN known_parts ON known_parts.base_sku = base_sku(read_skus.sku)
  GROUP BY read_skus.row_id
),

-- What a user did at one time, and whether the graph's table has it.
table_events AS (
  SELECT DISTINCT user_id, event_timestamp, interaction
  FROM `{working}.interaction_events`
),

-- A view may lie in two bursts.
burst_events AS (
  SELECT
    event_rows.row_id,
    LOGICAL_OR(bursts.visitor IS NOT NULL) AS by_machine
  FROM event_rows
  LEFT JOIN `{working}.user_accounts` AS accounts ON accounts.user_id = event_rows.user_id
  JOIN `{working}.machine_bursts` AS bursts
    ON bursts.visitor = COALESCE(accounts.email_lower, event_rows.user_id)
    AND event_rows.event_timestamp >= bursts.first_click
    AND event_rows.event_timestamp <= TIMESTAMP_ADD(bursts.last_click, INTERVAL @machine_view_seconds SECOND)
  WHERE event_rows.event_name = 'viewed product'
  GROUP BY event_rows.row_id
),

judged_events AS (
  SELECT
    'ingestion_unified_schema_incremental' AS source_table,
    event_rows.source_rows,
    CASE
      WHEN event_rows.event_timestamp IS NULL THEN 'no timestamp'
      WHEN event_rows.shape IS NULL AND event_rows.names_part THEN 'event of another type that names a part'
      WHEN event_rows.shape IS NULL THEN 'event of another type'
      WHEN event_rows.user_id IS NULL THEN 'no user_id'
      WHEN NOT event_rows.names_part THEN 'no property of a known name'
      WHEN NOT event_rows.has_sku THEN 'no SKU'
      WHEN burst_events.by_machine THEN 'machine view'
      WHEN NOT event_rows.is_known THEN 'product unknown'
      WHEN table_events.user_id IS NULL THEN 'missing in interaction_events'
    END AS reason
  FROM event_rows
  LEFT JOIN burst_events ON burst_events.row_id = event_rows.row_id
  LEFT JOIN table_events
    ON table_events.user_id = event_rows.user_id
    AND table_events.event_timestamp = event_rows.event_timestamp
    AND table_events.interaction = event_interaction(event_rows.event_name)
),

-- Clicks become labels: test_clicks says more on how.
treatments AS (
  SELECT
    CASE
      WHEN interaction_timestamp_micros IS NULL THEN 'no timestamp'
      WHEN interaction_timestamp_micros < TIMESTAMP(@intent_start) THEN 'before the window'
      WHEN interaction_timestamp_micros >= TIMESTAMP(@as_of) THEN 'after the window'
      WHEN UPPER(TRIM(interaction_type)) = 'VIEWED' THEN 'opened, not clicked'
      WHEN COALESCE(UPPER(TRIM(interaction_type)) != 'CLICKED', TRUE) THEN 'interaction of unknown type'
      WHEN NULLIF(TRIM(user_id), '') IS NULL THEN 'no user_id'
      WHEN interaction_timestamp_micros < TIMESTAMP(@cutoff) THEN 'before the test window'
    END AS reason,
    NULLIF(TRIM(user_id), '') AS user_id,
    interaction_timestamp_micros AS click_timestamp,
    treatment_tracking_id
  FROM `{company}.treatment_interaction`
),

-- Nothing more is asked of rows with a reason: they are one.
distinct_treatments AS (
  SELECT
    reason,
    IF(reason IS NULL, user_id, NULL) AS user_id,
    IF(reason IS NULL, click_timestamp, NULL) AS click_timestamp,
    IF(reason IS NULL, treatment_tracking_id, NULL) AS treatment_tracking_id,
    COUNT(*) AS source_rows
  FROM treatments
  GROUP BY 1, 2, 3, 4
),

-- Two accounts of one e-mail that report one click report the same click.
clicks AS (
  SELECT
    treatments.reason,
    users.email_lower,
    COALESCE(accounts.email_lower, treatments.user_id) AS visitor,
    treatments.click_timestamp,
    treatments.treatment_tracking_id,
    SUM(treatments.source_rows) AS source_rows
  FROM distinct_treatments AS treatments
  LEFT JOIN `{working}.user_accounts` AS accounts ON accounts.user_id = treatments.user_id
  LEFT JOIN `{working}.user_nodes` AS users ON users.email_lower = accounts.email_lower
  GROUP BY 1, 2, 3, 4, 5
),

views AS (
  SELECT email_lower, event_timestamp AS view_timestamp, sku, base_sku
  FROM `{working}.interaction_events`
  WHERE interaction = 'view' AND email_lower IS NOT NULL AND event_date >= @cutoff
),

viewed_clicks AS (
  SELECT clicks.*, views.base_sku, bursts.visitor IS NOT NULL AS by_machine
  FROM clicks
  LEFT JOIN `{working}.machine_bursts` AS bursts
    ON bursts.visitor = clicks.visitor AND clicks.click_timestamp BETWEEN bursts.first_click AND bursts.last_click
  LEFT JOIN views
    ON views.email_lower = clicks.email_lower
    AND views.view_timestamp >= clicks.click_timestamp
    AND views.view_timestamp <= TIMESTAMP_ADD(clicks.click_timestamp, INTERVAL @click_view_minutes MINUTE)
  QUALIFY ROW_NUMBER() OVER (
    PARTITION BY clicks.reason, clicks.visitor, clicks.click_timestamp, clicks.treatment_tracking_id
    ORDER BY views.view_timestamp, views.sku
  ) = 1
),

read_clicks AS (
  SELECT
    viewed_clicks.email_lower,
    viewed_clicks.base_sku,
    viewed_clicks.click_timestamp,
    viewed_clicks.treatment_tracking_id,
    viewed_clicks.source_rows,
    CASE
      WHEN viewed_clicks.reason IS NOT NULL THEN viewed_clicks.reason
      WHEN viewed_clicks.by_machine THEN 'machine click'
      WHEN viewed_clicks.email_lower IS NULL THEN 'user unknown or without vehicle'
      WHEN viewed_clicks.base_sku IS NULL THEN 'no product view within the window'
      WHEN known_parts.base_sku IS NULL THEN 'product unknown'
    END AS reason
  FROM viewed_clicks
  LEFT JOIN known_parts ON known_parts.base_sku = viewed_clicks.base_sku
),

judged_clicks AS (
  SELECT
    'treatment_interaction' AS source_table,
    source_rows,
    COALESCE(
      reason,
      IF(
        ROW_NUMBER() OVER (
          PARTITION BY reason, email_lower, base_sku
          ORDER BY click_timestamp, treatment_tracking_id
        ) > 1,
        'another click of the user on the part',
        NULL
      )
    ) AS reason
  FROM read_clicks
),

vehicles AS (
  SELECT
    vehicle_years(CAST(v1_year AS STRING), @as_of) AS years,
    make_of(vehicle_name(v1_make)) AS make,
    vehicle_name(v1_model) AS model,
    products,
    GREATEST(COALESCE(ARRAY_LENGTH(products), 0), 1) AS product_rows,
    FARM_FINGERPRINT(TO_JSON_STRING(products)) AS products_id
  FROM `{data_company}.vehicle_product_fitment_data`
),

-- A range of years is one row.
numbered_vehicles AS (
  SELECT *, years[SAFE_OFFSET(0)] AS first_year, ARRAY_LENGTH(years) AS year_count
  FROM vehicles
),

listed_parts AS (
  SELECT
    numbered_vehicles.first_year,
    numbered_vehicles.year_count,
    numbered_vehicles.make,
    numbered_vehicles.model,
    numbered_vehicles.products_id,
    numbered_vehicles.product_rows,
    normal_sku(product.product_number) AS sku
  FROM numbered_vehicles
  LEFT JOIN UNNEST(numbered_vehicles.products) AS product
),

vehicle_rows AS (
  SELECT
    first_year,
    make,
    model,
    LOGICAL_OR(sku IS NOT NULL) AS has_part,
    DIV(COUNT(*), MAX(product_rows)) AS source_rows
  FROM listed_parts
  GROUP BY first_year, year_count, make, model, products_id
),

fitted_vehicles AS (
  SELECT DISTINCT year, make, model
  FROM `{working}.fitment`
),

judged_vehicles AS (
  SELECT
    'vehicle_product_fitment_data' AS source_table,
    vehicle_rows.source_rows,
    CASE
      WHEN vehicle_rows.first_year IS NULL THEN 'year unusable'
      WHEN vehicle_rows.make IS NULL THEN 'make missing'
      WHEN vehicle_rows.model IS NULL THEN 'model missing'
      WHEN NOT vehicle_rows.has_part THEN 'no part number'
      WHEN fitted_vehicles.make IS NULL THEN 'missing in fitment'
    END AS reason
  FROM vehicle_rows
  LEFT JOIN fitted_vehicles
    ON fitted_vehicles.year = vehicle_rows.first_year
    AND fitted_vehicles.make = vehicle_rows.make
    AND fitted_vehicles.model = vehicle_rows.model
),

listed_items AS (
  SELECT
    normal_sku(PartNumber) AS sku,
    filled_text(PartType) AS part_type,
    positive_price(Price) AS price,
    tagged_refurbished(Tags) AS refurbished
  FROM `{data_company}.import_items`
),

items AS (
  SELECT sku, part_type, price, refurbished, COUNT(*) AS source_rows
  FROM listed_items
  GROUP BY sku, part_type, price, refurbished
),

fitting_parts AS (
  SELECT DISTINCT base_sku
  FROM `{working}.fitment`
),

judged_items AS (
  SELECT
    'import_items' AS source_table,
    items.source_rows,
    CASE
      WHEN items.sku IS NULL THEN 'no part number'
      WHEN parts.sku IS NULL THEN 'missing in parts'
      WHEN fitting_parts.base_sku IS NULL THEN 'fits no vehicle'
    END AS reason
  FROM items
  LEFT JOIN `{working}.parts` AS parts ON parts.sku = items.sku
  LEFT JOIN fitting_parts ON fitting_parts.base_sku = parts.base_sku
),

listed_tags AS (
  SELECT normal_sku(PartNumber) AS sku, tagged_refurbished(Tags) AS refurbished
  FROM `{data_company}.import_items_tags`
),

tag_rows AS (
  SELECT sku, refurbished, COUNT(*) AS source_rows
  FROM listed_tags
  GROUP BY sku, refurbished
),

judged_tags AS (
  SELECT
    'import_items_tags' AS source_table,
    tag_rows.source_rows,
    CASE
      WHEN tag_rows.sku IS NULL THEN 'no part number'
      WHEN NOT tag_rows.refurbished THEN 'not tagged refurbished'
      WHEN parts.sku IS NULL THEN 'product unknown'
      WHEN NOT parts.refurbished THEN 'missing in parts'
    END AS reason
  FROM tag_rows
  LEFT JOIN `{working}.parts` AS parts ON parts.sku = tag_rows.sku
),

imported_lines AS (
  SELECT
    normal_email(SHIP_TO_EMAIL) AS buyer,
    is_filled(SHIP_TO_EMAIL) AS has_email,
    normal_sku(ITEM) AS sku,
    base_sku(ITEM) AS base_sku,
    order_date(ORDER_DATE) AS order_date
  FROM `{data_company}.import_orders`
),

lines AS (
  SELECT buyer, has_email, sku, base_sku, order_date, COUNT(*) AS source_rows
  FROM imported_lines
  GROUP BY buyer, has_email, sku, base_sku, order_date
),

table_lines AS (
  SELECT DISTINCT buyer, sku, order_date
  FROM `{working}.order_lines`
  WHERE source = 'import_orders'
),

judged_lines AS (
  SELECT
    'import_orders' AS source_table,
    lines.source_rows,
    CASE
      WHEN lines.order_date IS NULL THEN 'order date unparsable'
      WHEN lines.order_date >= @as_of THEN 'after the window'
      WHEN lines.sku IS NULL THEN 'no SKU'
      WHEN lines.buyer IS NULL AND lines.has_email THEN 'e-mail invalid'
      WHEN lines.buyer IS NULL THEN 'no e-mail'
      WHEN known_parts.base_sku IS NULL THEN 'product unknown'
      WHEN table_lines.buyer IS NULL THEN 'missing in order_lines'
    END AS reason
  FROM lines
  LEFT JOIN known_parts ON known_parts.base_sku = lines.base_sku
  LEFT JOIN table_lines
    ON table_lines.buyer = lines.buyer AND table_lines.sku = lines.sku AND table_lines.order_date = lines.order_date
),

judged AS (
  SELECT source_table, reason, source_rows FROM judged_attributes
  UNION ALL
  SELECT 'ingestion_unified_schema_incremental' AS source_table, reason, source_rows FROM events_outside
  UNION ALL
  SELECT source_table, reason, source_rows FROM judged_events
  UNION ALL
  SELECT source_table, reason, source_rows FROM judged_clicks
  UNION ALL
  SELECT source_table, reason, source_rows FROM judged_vehicles
  UNION ALL
  SELECT source_table, reason, source_rows FROM judged_items
  UNION ALL
  SELECT source_table, reason, source_rows FROM judged_tags
  UNION ALL
  SELECT source_table, reason, source_rows FROM judged_lines
),

counts AS (
  SELECT
    source_table,
    reason,
    COALESCE(reason = 'fits no vehicle', TRUE) AS is_kept,
    SUM(source_rows) AS source_rows,
    COUNT(*) AS different_rows
  FROM judged
  GROUP BY source_table, reason
),

-- Of rows that are kept the first of a kind is, the rest repeat it.
outcomes AS (
  SELECT 'kept' AS outcome
  UNION ALL
  SELECT 'dropped' AS outcome
),

counted AS (
  SELECT
    counts.source_table,
    IF(STARTS_WITH(counts.reason, 'missing in '), 'lost', outcomes.outcome) AS outcome,
    IF(counts.is_kept AND outcomes.outcome = 'dropped', 'duplicate row', counts.reason) AS reason,
    CASE
      WHEN NOT counts.is_kept THEN IF(outcomes.outcome = 'kept', 0, counts.source_rows)
      WHEN outcomes.outcome = 'kept' THEN counts.different_rows
      ELSE counts.source_rows - counts.different_rows
    END AS source_rows
  FROM counts
  CROSS JOIN outcomes
)

SELECT source_table, 'in' AS outcome, CAST(NULL AS STRING) AS reason, source_rows
FROM all_rows
UNION ALL
SELECT source_table, outcome, reason, SUM(source_rows) AS source_rows
FROM counted
WHERE source_rows > 0
GROUP BY source_table, outcome, reason
ORDER BY source_table, outcome, reason
