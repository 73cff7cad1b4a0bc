-- One row is one user whom experiment @experiment showed parts, with what the user did in the days after the first of them:
-- clicks in @click_days days, orders in @order_days, that day included. Days are UTC. What is called "before" is of the same
-- number of days before it. Nothing else counts, so that a second reading gives the same, or what was corrected since.
WITH exposures AS (
  SELECT exposure_day, email_lower, assigned_arm, received_arm, share, system, model_version, published_at
  FROM `{working}.shown_exposures`
  WHERE experiment = @experiment AND exposure_day >= @experiment_start AND exposure_day <= @as_of
),

-- The share of a day is that of its last delivery.
delivered_shares AS (
  SELECT exposure_day, share, MAX(published_at) AS published_at
  FROM exposures
  GROUP BY exposure_day, share
),

shares AS (
  SELECT exposure_day, share
  FROM delivered_shares
  QUALIFY ROW_NUMBER() OVER (PARTITION BY exposure_day ORDER BY published_at DESC, share DESC) = 1
),

changes AS (
  SELECT exposure_day, share, COALESCE(share != LAG(share) OVER (ORDER BY exposure_day), FALSE) AS changed
  FROM shares
),

-- Days in a row of one constant share.
periods AS (
  SELECT exposure_day, share, SUM(IF(changed, 1, 0)) OVER (ORDER BY exposure_day) AS period
  FROM changes
),

-- A user is compared in the arm of the first exposure.
users AS (
  SELECT
    email_lower,
    assigned_arm,
    received_arm,
    exposure_day AS first_exposure,
    system,
    model_version,
    COUNT(*) OVER (PARTITION BY email_lower) AS exposures,
    MIN(assigned_arm) OVER (PARTITION BY email_lower) != MAX(assigned_arm) OVER (PARTITION BY email_lower) AS moved
  FROM exposures
  QUALIFY ROW_NUMBER() OVER (PARTITION BY email_lower ORDER BY exposure_day) = 1
),

accounts AS (
  SELECT email_lower, LOGICAL_OR(refuses_email) AS refuses_email
  FROM `{working}.user_accounts`
  GROUP BY email_lower
),

-- Two accounts of one e-mail that report one click report the same click.
clicks AS (
  SELECT DISTINCT
    user_accounts.email_lower,
    treatments.interaction_timestamp_micros AS click_timestamp,
    treatments.treatment_tracking_id
  FROM `{company}.treatment_interaction` AS treatments
  JOIN `{working}.user_accounts` AS user_accounts ON user_accounts.user_id = NULLIF(TRIM(treatments.user_id), '')
  WHERE
    UPPER(TRIM(treatments.interaction_type)) = 'CLICKED'
    AND treatments.interaction_timestamp_micros >= TIMESTAMP(@intent_start)
    AND treatments.interaction_timestamp_micros < TIMESTAMP(@as_of)
),

-- Bursts of one visitor do not overlap.
judged_clicks AS (
  SELECT
    clicks.email_lower,
    DATE(clicks.click_timestamp) AS click_date,
    bursts.visitor IS NOT NULL AS by_machine
  FROM clicks
  LEFT JOIN `{working}.machine_bursts` AS bursts
    ON bursts.visitor = clicks.email_lower
    AND clicks.click_timestamp BETWEEN bursts.first_click AND bursts.last_click
),

user_clicks AS (
  SELECT
    users.email_lower,
    COUNTIF(judged_clicks.click_date >= users.first_exposure AND NOT judged_clicks.by_machine) AS clicks,
    COUNTIF(judged_clicks.click_date >= users.first_exposure AND judged_clicks.by_machine) AS machine_clicks,
    COUNTIF(judged_clicks.click_date < users.first_exposure AND NOT judged_clicks.by_machine) AS clicks_before
  FROM users
  JOIN judged_clicks ON judged_clicks.email_lower = users.email_lower
  WHERE
    judged_clicks.click_date >= DATE_SUB(users.first_exposure, INTERVAL @click_days DAY)
    AND judged_clicks.click_date < DATE_ADD(users.first_exposure, INTERVAL @click_days DAY)
  GROUP BY users.email_lower
),

-- Several events report one order, and not all of them its price.
paid_prices AS (
  SELECT email_lower, base_sku, event_date, MAX(price) AS price
  FROM `{working}.interaction_events`
  WHERE interaction = 'order' AND email_lower IS NOT NULL
  GROUP BY email_lower, base_sku, event_date
),

-- The order history tells no price: that of the catalogue stands for it.
orders AS (
  SELECT
    order_lines.email_lower,
    order_lines.order_date,
    COALESCE(paid_prices.price, parts.serving_price, 0.0) AS value
  FROM `{working}.order_lines` AS order_lines
  LEFT JOIN paid_prices
    ON paid_prices.email_lower = order_lines.email_lower
    AND paid_prices.base_sku = order_lines.base_sku
    AND paid_prices.event_date = order_lines.order_date
  LEFT JOIN `{working}.parts` AS parts ON parts.sku = order_lines.sku
  WHERE order_lines.counts_as_order AND order_lines.email_lower IS NOT NULL
),

user_orders AS (
  SELECT
    users.email_lower,
    COUNTIF(orders.order_date >= users.first_exposure) AS orders,
    COUNTIF(orders.order_date < users.first_exposure) AS orders_before,
    SUM(IF(orders.order_date >= users.first_exposure, orders.value, 0.0)) AS order_value,
    SUM(IF(orders.order_date < users.first_exposure, orders.value, 0.0)) AS order_value_before
  FROM users
  JOIN orders ON orders.email_lower = users.email_lower
  WHERE
    orders.order_date >= DATE_SUB(users.first_exposure, INTERVAL @order_days DAY)
    AND orders.order_date < DATE_ADD(users.first_exposure, INTERVAL @order_days DAY)
  GROUP BY users.email_lower
),

ranked_values AS (
  SELECT
    order_value,
    ROW_NUMBER() OVER (ORDER BY order_value) AS place,
    COUNT(*) OVER () AS buyers
  FROM user_orders
  WHERE order_value > 0
),

-- Of those who bought, in both arms: the least value that so many of them do not exceed. Without a buyer it is NULL.
highest_value AS (
  SELECT MIN(order_value) AS order_value
  FROM ranked_values
  WHERE place >= @order_value_quantile * buyers
),

-- What a user did before the first exposure, as in user_nodes.
activity AS (
  SELECT users.email_lower, LOGICAL_OR(events.interaction != 'view') AS buying
  FROM users
  JOIN `{working}.interaction_events` AS events
    ON events.email_lower = users.email_lower AND events.event_date < users.first_exposure
  GROUP BY users.email_lower
)

SELECT
  users.email_lower,
  users.assigned_arm,
  users.received_arm,
  users.first_exposure,
  periods.period,
  periods.share,
  CASE WHEN activity.buying THEN 'hot' WHEN activity.email_lower IS NOT NULL THEN 'warm' ELSE 'cold' END AS tier,
  DIV(DATE_DIFF(users.first_exposure, @experiment_start, DAY), 7) AS week,
  users.moved,
  DATE_ADD(users.first_exposure, INTERVAL @click_days DAY) <= @as_of AS click_window_over,
  DATE_ADD(users.first_exposure, INTERVAL @order_days DAY) <= @as_of AS order_window_over,
  COALESCE(user_clicks.clicks, 0) AS clicks,
  COALESCE(user_clicks.machine_clicks, 0) AS machine_clicks,
  COALESCE(user_orders.orders, 0) AS orders,
  COALESCE(LEAST(user_orders.order_value, highest_value.order_value), 0.0) AS order_value,
  COALESCE(user_orders.order_value, 0.0) AS order_value_uncapped,
  -- A user who refuses is shown nothing: who does so now has done so since.
  IF(TRIM(@consent_property) = '', NULL, COALESCE(accounts.refuses_email, FALSE)) AS unsubscribed,
  users.exposures,
  users.received_arm = users.assigned_arm AS received_as_assigned,
  COALESCE(user_clicks.clicks_before, 0) AS clicks_before,
  COALESCE(user_orders.orders_before, 0) AS orders_before,
  COALESCE(user_orders.order_value_before, 0.0) AS order_value_before,
  COALESCE(person_of(users.email_lower), users.email_lower) AS person,
  users.model_version,
  users.system
FROM users
JOIN periods ON periods.exposure_day = users.first_exposure
CROSS JOIN highest_value
LEFT JOIN accounts ON accounts.email_lower = users.email_lower
LEFT JOIN user_clicks ON user_clicks.email_lower = users.email_lower
LEFT JOIN user_orders ON user_orders.email_lower = users.email_lower
LEFT JOIN activity ON activity.email_lower = users.email_lower
ORDER BY email_lower
