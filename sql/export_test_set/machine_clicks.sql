-- One row is one part that the clicks of machines on e-mails in [@cutoff, @as_of) led a user to, had a person made them:
-- the first that the user, under any of its user_ids, viewed within @click_view_minutes, views of machines among them.
-- Nothing learns or counts these. The report compares with and without them, to show what they would have done.
-- interaction_events holds no view of a machine, so that the views of the test window are read from the source.
WITH clicks AS (
  SELECT DISTINCT
    users.email_lower,
    users.engagement_tier,
    treatments.interaction_timestamp_micros AS click_timestamp,
    treatments.treatment_tracking_id
  FROM `{company}.treatment_interaction` AS treatments
  JOIN `{working}.user_accounts` AS accounts ON accounts.user_id = NULLIF(TRIM(treatments.user_id), '')
  JOIN `{working}.user_nodes` AS users ON users.email_lower = accounts.email_lower
  -- Bursts of one visitor do not overlap.
  JOIN `{working}.machine_bursts` AS bursts
    ON bursts.visitor = users.email_lower
    AND treatments.interaction_timestamp_micros BETWEEN bursts.first_click AND bursts.last_click
  WHERE
    UPPER(TRIM(treatments.interaction_type)) = 'CLICKED'
    AND treatments.interaction_timestamp_micros >= TIMESTAMP(@cutoff)
    AND treatments.interaction_timestamp_micros < TIMESTAMP(@as_of)
),

clicked_accounts AS (
  SELECT accounts.user_id, accounts.email_lower
  FROM `{working}.user_accounts` AS accounts
  JOIN (SELECT DISTINCT email_lower FROM clicks) AS clicked ON clicked.email_lower = accounts.email_lower
),

view_events AS (
  SELECT
    accounts.email_lower,
    events.client_event_timestamp AS view_timestamp,
    events.event_properties,
    FARM_FINGERPRINT(TO_JSON_STRING(events.event_properties)) AS event_id
  FROM `{company}.ingestion_unified_schema_incremental` AS events
  JOIN clicked_accounts AS accounts ON accounts.user_id = NULLIF(TRIM(events.user_id), '')
  WHERE
    events.client_event_timestamp >= TIMESTAMP(@cutoff)
    AND events.client_event_timestamp < TIMESTAMP(@as_of)
    AND LOWER(TRIM(events.event_name)) = 'viewed product'
),

viewed_parts AS (
  SELECT
    view_events.email_lower,
    view_events.view_timestamp,
    view_events.event_id,
    MAX(property.string_value) AS part_string,
    MAX(property.long_value) AS part_long,
    MAX(property.double_value) AS part_double
  FROM view_events
  JOIN UNNEST(view_events.event_properties) AS property
  WHERE property_role('single', LOWER(TRIM(property.property_name))) = 'part'
  GROUP BY view_events.email_lower, view_events.view_timestamp, view_events.event_id
),

views AS (
  SELECT email_lower, view_timestamp, normal_sku(property_text(part_string, part_long, part_double)) AS sku
  FROM viewed_parts
),

viewed_clicks AS (
  SELECT clicks.*, base_sku(views.sku) AS base_sku
  FROM clicks
  LEFT JOIN views
    ON views.email_lower = clicks.email_lower
    AND views.sku IS NOT NULL
    AND views.view_timestamp >= clicks.click_timestamp
    AND views.view_timestamp <= TIMESTAMP_ADD(clicks.click_timestamp, INTERVAL @click_view_minutes MINUTE)
  QUALIFY ROW_NUMBER() OVER (
    PARTITION BY clicks.email_lower, clicks.click_timestamp, clicks.treatment_tracking_id
    ORDER BY views.view_timestamp, views.sku
  ) = 1
),

judged_pairs AS (
  SELECT
    viewed_clicks.*,
    CASE
      WHEN viewed_clicks.base_sku IS NULL THEN 'no product view within the window'
      WHEN products.base_sku IS NULL THEN 'product unknown'
    END AS problem
  FROM viewed_clicks
  LEFT JOIN `{working}.product_nodes` AS products ON products.base_sku = viewed_clicks.base_sku
)

SELECT
  click_timestamp,
  email_lower,
  base_sku,
  treatment_tracking_id,
  engagement_tier,
  COALESCE(
    problem,
    IF(
      ROW_NUMBER() OVER (
        PARTITION BY problem, email_lower, base_sku
        ORDER BY click_timestamp, treatment_tracking_id
      ) > 1,
      'another click of the user on the part',
      NULL
    )
  ) AS drop_reason,
  0 AS duplicate_rows
FROM judged_pairs
ORDER BY click_timestamp, email_lower, treatment_tracking_id
