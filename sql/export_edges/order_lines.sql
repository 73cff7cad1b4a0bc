-- One row is one SKU that one buyer ordered on one day, as one source tells it.
-- The two sources overlap from @intent_start on. counts_in_popularity takes orders before that day from
-- import_orders and later ones from the events; counts_as_order marks one row for each buyer, base SKU and
-- day, so that colours, sources and the up to three events of one purchase count once.
WITH imported_lines AS (
  SELECT
    normal_email(SHIP_TO_EMAIL) AS buyer,
    is_filled(SHIP_TO_EMAIL) AS has_email,
    normal_sku(ITEM) AS sku,
    base_sku(ITEM) AS base_sku,
    order_date(ORDER_DATE) AS order_date
  FROM `{data_company}.import_orders`
),

lines AS (
  SELECT
    buyer,
    has_email,
    sku,
    base_sku,
    order_date,
    'import_orders' AS source,
    order_date < @intent_start AS counts_in_popularity,
    COUNT(*) - 1 AS duplicate_rows
  FROM imported_lines
  WHERE order_date IS NULL OR order_date < @as_of
  GROUP BY buyer, has_email, sku, base_sku, order_date
  UNION ALL
  SELECT
    COALESCE(email_lower, user_id) AS buyer,
    TRUE AS has_email,
    sku,
    base_sku,
    event_date AS order_date,
    'events' AS source,
    TRUE AS counts_in_popularity,
    0 AS duplicate_rows
  FROM `{working}.interaction_events`
  WHERE interaction = 'order'
  GROUP BY buyer, sku, base_sku, event_date
),

judged_lines AS (
  SELECT
    *,
    CASE
      WHEN order_date IS NULL THEN 'order date unparsable'
      WHEN sku IS NULL THEN 'no SKU'
      WHEN buyer IS NULL AND has_email THEN 'e-mail invalid'
      WHEN buyer IS NULL THEN 'no e-mail'
    END AS drop_reason
  FROM lines
),

registered_emails AS (
  SELECT DISTINCT email_lower
  FROM `{working}.user_accounts`
)

SELECT
  judged_lines.buyer,
  registered_emails.email_lower,
  judged_lines.sku,
  judged_lines.base_sku,
  judged_lines.order_date,
  judged_lines.source,
  ROW_NUMBER() OVER (
    PARTITION BY judged_lines.buyer, judged_lines.base_sku, judged_lines.order_date
    ORDER BY judged_lines.counts_in_popularity DESC, judged_lines.source, judged_lines.sku
  ) = 1 AS counts_as_order,
  judged_lines.counts_in_popularity,
  judged_lines.drop_reason,
  judged_lines.duplicate_rows
FROM judged_lines
LEFT JOIN registered_emails ON registered_emails.email_lower = judged_lines.buyer
ORDER BY order_date, buyer, sku, source
