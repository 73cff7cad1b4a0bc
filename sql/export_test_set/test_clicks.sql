-- One row is one click on an e-mail in [@cutoff, @as_of), with the part that it led to: the first that the
-- user, under any of its user_ids, viewed within @click_view_minutes. A machine's clicks, and further clicks that lead
-- a user to the same part, are counted and left out: the test set is distinct users and parts.
WITH clicks AS (
  SELECT
    NULLIF(TRIM(user_id), '') AS clicking_user_id,
    interaction_timestamp_micros AS click_timestamp,
    treatment_tracking_id
  FROM `{company}.treatment_interaction`
  WHERE
    UPPER(TRIM(interaction_type)) = 'CLICKED'
    AND interaction_timestamp_micros >= TIMESTAMP(@cutoff)
    AND interaction_timestamp_micros < TIMESTAMP(@as_of)
),

named_clicks AS (
  SELECT
    users.email_lower,
    users.engagement_tier,
    accounts.email_lower AS account_email,
    -- Two accounts of one e-mail that report one click report the same click.
    IF(users.email_lower IS NULL, clicks.clicking_user_id, NULL) AS unknown_user_id,
    clicks.click_timestamp,
    clicks.treatment_tracking_id
  FROM clicks
  LEFT JOIN `{working}.user_accounts` AS accounts ON accounts.user_id = clicks.clicking_user_id
  LEFT JOIN `{working}.user_nodes` AS users ON users.email_lower = accounts.email_lower
),

-- Bursts of one visitor do not overlap.
judged_clicks AS (
  SELECT named_clicks.*, bursts.visitor IS NOT NULL AS by_machine
  FROM named_clicks
  LEFT JOIN `{working}.machine_bursts` AS bursts
    ON bursts.visitor = COALESCE(named_clicks.email_lower, named_clicks.account_email, named_clicks.unknown_user_id)
    AND named_clicks.click_timestamp BETWEEN bursts.first_click AND bursts.last_click
),

distinct_clicks AS (
  SELECT
    email_lower,
    engagement_tier,
    unknown_user_id,
    click_timestamp,
    treatment_tracking_id,
    by_machine,
    COUNT(*) - 1 AS duplicate_rows
  FROM judged_clicks
  GROUP BY email_lower, engagement_tier, unknown_user_id, click_timestamp, treatment_tracking_id, by_machine
),

views AS (
  SELECT email_lower, event_timestamp AS view_timestamp, sku, base_sku
  FROM `{working}.interaction_events`
  WHERE interaction = 'view' AND email_lower IS NOT NULL AND event_date >= @cutoff
),

viewed_clicks AS (
  SELECT distinct_clicks.*, views.base_sku
  FROM distinct_clicks
  LEFT JOIN views
    ON views.email_lower = distinct_clicks.email_lower
    AND views.view_timestamp >= distinct_clicks.click_timestamp
    AND views.view_timestamp <= TIMESTAMP_ADD(distinct_clicks.click_timestamp, INTERVAL @click_view_minutes MINUTE)
  QUALIFY ROW_NUMBER() OVER (
    PARTITION BY
      distinct_clicks.email_lower,
      distinct_clicks.unknown_user_id,
      distinct_clicks.click_timestamp,
      distinct_clicks.treatment_tracking_id
    ORDER BY views.view_timestamp, views.sku
  ) = 1
),

judged_pairs AS (
  SELECT
    viewed_clicks.*,
    CASE
      WHEN viewed_clicks.by_machine THEN 'machine click'
      WHEN viewed_clicks.email_lower IS NULL THEN 'user unknown or without vehicle'
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
  duplicate_rows
FROM judged_pairs
ORDER BY click_timestamp, email_lower, treatment_tracking_id
