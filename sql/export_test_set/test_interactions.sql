-- One row is one day in [@cutoff, @as_of) on which one registered user viewed, put in the cart or ordered one part
-- that was new to it: neither an event in the window nor an order of any age before @cutoff knows the pair.
-- interaction is the strongest of the day. Labels that no e-mail suggested, beside the clicks of test_clicks.
WITH days AS (
  SELECT
    events.email_lower,
    users.engagement_tier,
    events.base_sku,
    events.event_date AS interaction_date,
    CASE
      WHEN LOGICAL_OR(events.interaction = 'order') THEN 'order'
      WHEN LOGICAL_OR(events.interaction = 'cart') THEN 'cart'
      ELSE 'view'
    END AS interaction
  FROM `{working}.interaction_events` AS events
  JOIN `{working}.user_nodes` AS users ON users.email_lower = events.email_lower
  WHERE events.event_date >= @cutoff
  GROUP BY events.email_lower, users.engagement_tier, events.base_sku, events.event_date
),

known_pairs AS (
  SELECT email_lower, base_sku
  FROM `{working}.interaction_events`
  WHERE email_lower IS NOT NULL AND event_date < @cutoff
  UNION DISTINCT
  SELECT email_lower, base_sku
  FROM `{working}.user_purchases`
  WHERE order_date < @cutoff
)

SELECT
  days.interaction_date,
  days.email_lower,
  days.base_sku,
  days.interaction,
  days.engagement_tier,
  CASE
    WHEN known_pairs.email_lower IS NOT NULL THEN 'part known to the user before the cutoff'
    WHEN products.base_sku IS NULL THEN 'product unknown'
  END AS drop_reason
FROM days
LEFT JOIN known_pairs ON known_pairs.email_lower = days.email_lower AND known_pairs.base_sku = days.base_sku
LEFT JOIN `{working}.product_nodes` AS products ON products.base_sku = days.base_sku
ORDER BY interaction_date, email_lower, base_sku
