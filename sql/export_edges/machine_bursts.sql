-- One row is one burst of clicks that a machine made: a security scanner opens the links of an e-mail within seconds.
-- A burst is @machine_clicks or more clicks of one user, under any of its user_ids, within @machine_click_seconds.
-- Clicks on both sides of @cutoff are no burst together: what comes after it changes nothing before it.
WITH clicks AS (
  SELECT DISTINCT
    COALESCE(accounts.email_lower, NULLIF(TRIM(treatments.user_id), '')) AS visitor,
    treatments.interaction_timestamp_micros AS click_timestamp,
    -- Two accounts of one e-mail that report one click report the same click.
    treatments.treatment_tracking_id
  FROM `{company}.treatment_interaction` AS treatments
  LEFT JOIN `{working}.user_accounts` AS accounts ON accounts.user_id = NULLIF(TRIM(treatments.user_id), '')
  WHERE
    UPPER(TRIM(treatments.interaction_type)) = 'CLICKED'
    AND treatments.interaction_timestamp_micros >= TIMESTAMP(@intent_start)
    AND treatments.interaction_timestamp_micros < TIMESTAMP(@as_of)
    AND NULLIF(TRIM(treatments.user_id), '') IS NOT NULL
),

numbered_clicks AS (
  SELECT
    visitor,
    click_timestamp,
    click_timestamp < TIMESTAMP(@cutoff) AS before_cutoff,
    ROW_NUMBER() OVER (
      PARTITION BY visitor, click_timestamp < TIMESTAMP(@cutoff)
      ORDER BY click_timestamp, treatment_tracking_id
    ) AS place
  FROM clicks
),

-- The least burst that starts at each click. Those that share a click follow one another.
least_bursts AS (
  SELECT
    first_clicks.visitor,
    first_clicks.before_cutoff,
    first_clicks.click_timestamp AS first_click,
    last_clicks.click_timestamp AS last_click,
    first_clicks.place
  FROM numbered_clicks AS first_clicks
  JOIN numbered_clicks AS last_clicks
    ON last_clicks.visitor = first_clicks.visitor
    AND last_clicks.before_cutoff = first_clicks.before_cutoff
    AND last_clicks.place = first_clicks.place + @machine_clicks - 1
  WHERE
    last_clicks.click_timestamp
    <= TIMESTAMP_ADD(first_clicks.click_timestamp, INTERVAL @machine_click_seconds SECOND)
),

followed_bursts AS (
  SELECT
    *,
    COALESCE(
      place - LAG(place) OVER (PARTITION BY visitor, before_cutoff ORDER BY place) < @machine_clicks, FALSE
    ) AS goes_on
  FROM least_bursts
),

numbered_bursts AS (
  SELECT
    *,
    SUM(IF(goes_on, 0, 1)) OVER (PARTITION BY visitor, before_cutoff ORDER BY place) AS burst
  FROM followed_bursts
)

SELECT
  visitor,
  MIN(first_click) AS first_click,
  MAX(last_click) AS last_click,
  MAX(place) - MIN(place) + @machine_clicks AS clicks
FROM numbered_bursts
GROUP BY visitor, before_cutoff, burst
ORDER BY visitor, first_click
