-- One row is one user: an e-mail with its latest usable vehicle, whichever of its user_ids told it, and how
-- engaged it is. The vehicle is taken whole, never the year of one and the make of another.
-- What a customer types is no name of a make or model unless the fitment data have it: it may be anything, also
-- somebody's address, and would stand in the model. It is UNKNOWN instead; no part fits it either way.
-- cold: no view, cart or order in the window; warm: views only; hot: any cart or order.
WITH users AS (
  SELECT
    email_lower,
    year,
    make,
    model,
    -- Who says no under one of its user_ids has said no.
    IF(LOGICAL_OR(refuses_email) OVER (PARTITION BY email_lower), 'no consent to e-mail', vehicle_problem) AS problem
  FROM `{working}.user_accounts`
  QUALIFY ROW_NUMBER() OVER (
    PARTITION BY email_lower
    ORDER BY IF(vehicle_problem IS NULL, 0, 1), vehicle_updated_at DESC, user_id DESC
  ) = 1
),

fitting_models AS (
  SELECT make, model
  FROM `{working}.fitment`
  GROUP BY make, model
),

fitting_makes AS (
  SELECT make
  FROM fitting_models
  GROUP BY make
),

activity AS (
  SELECT
    email_lower,
    LOGICAL_OR(event_date < @cutoff) AS active,
    LOGICAL_OR(event_date < @cutoff AND interaction != 'view') AS buying,
    LOGICAL_OR(interaction != 'view') AS serving_buying
  FROM `{working}.interaction_events`
  WHERE email_lower IS NOT NULL
  GROUP BY email_lower
)

SELECT
  users.email_lower,
  users.year,
  IF(fitting_makes.make IS NULL AND users.problem IS NULL, 'UNKNOWN', users.make) AS make,
  IF(fitting_models.model IS NULL AND users.problem IS NULL, 'UNKNOWN', users.model) AS model,
  CASE WHEN activity.buying THEN 'hot' WHEN activity.active THEN 'warm' ELSE 'cold' END AS engagement_tier,
  CASE
    WHEN activity.serving_buying THEN 'hot'
    WHEN activity.email_lower IS NOT NULL THEN 'warm'
    ELSE 'cold'
  END AS serving_engagement_tier,
  users.problem AS drop_reason
FROM users
LEFT JOIN fitting_makes ON fitting_makes.make = users.make
LEFT JOIN fitting_models ON fitting_models.make = users.make AND fitting_models.model = users.model
LEFT JOIN activity ON activity.email_lower = users.email_lower
ORDER BY email_lower
