-- One row is one user_id: its e-mail and its vehicle, each the latest value that is not empty.
-- refuses_email: property @consent_property says no to e-mail; empty, nobody asks for it.
-- An e-mail may own several user_ids; user_nodes merges them. A vehicle counts as a whole: where its year,
-- make or model is unusable all three are NULL and vehicle_problem says why.
WITH sources AS (
  SELECT
    NULLIF(TRIM(user_id), '') AS user_id,
    user_properties,
    update_timestamp,
    auxia_insertion_timestamp
  FROM `{company}.ingestion_unified_attributes_schema_incremental`
  WHERE update_timestamp IS NULL OR update_timestamp < TIMESTAMP(@as_of)
),

user_ids AS (
  SELECT user_id, COUNT(*) AS source_rows
  FROM sources
  GROUP BY user_id
),

properties AS (
  SELECT
    sources.user_id,
    LOWER(TRIM(property.property_name)) AS name,
    property_text(property.string_value, property.long_value, property.double_value) AS value,
    sources.update_timestamp,
    sources.auxia_insertion_timestamp
  FROM sources
  CROSS JOIN UNNEST(sources.user_properties) AS property
  WHERE is_read_attribute(LOWER(TRIM(property.property_name)), @consent_property)
),

latest_properties AS (
  SELECT user_id, name, value, update_timestamp
  FROM properties
  WHERE value IS NOT NULL
  QUALIFY ROW_NUMBER() OVER (
    PARTITION BY user_id, name
    ORDER BY update_timestamp DESC, auxia_insertion_timestamp DESC, value
  ) = 1
),

told AS (
  SELECT
    user_id,
    MAX(IF(name = 'email', value, NULL)) AS email,
    MAX(IF(name = 'v1_year', value, NULL)) AS year,
    MAX(IF(name = 'v1_make', value, NULL)) AS make,
    MAX(IF(name = 'v1_model', value, NULL)) AS model,
    LOGICAL_OR(
      name = NULLIF(LOWER(TRIM(@consent_property)), '')
      AND REGEXP_CONTAINS(
        value,
        r'(?i)^(no?|false|f|0|off|none|den(y|ied)|declined?|refused?|opt(ed)?[ _-]?out|unsubscribed?|revoked?|withdrawn)$'
      )
    ) AS refuses_email,
    LOGICAL_OR(STARTS_WITH(name, 'v1_')) AS has_vehicle,
    MAX(IF(STARTS_WITH(name, 'v1_'), update_timestamp, NULL)) AS vehicle_updated_at
  FROM latest_properties
  GROUP BY user_id
),

named_accounts AS (
  SELECT
    user_id,
    email,
    year,
    vehicle_name(make) AS make,
    vehicle_name(model) AS model,
    refuses_email,
    has_vehicle,
    vehicle_updated_at
  FROM told
),

accounts AS (
  SELECT
    user_id,
    normal_email(email) AS email_lower,
    email IS NOT NULL AS has_email,
    refuses_email,
    vehicle_year(year, @as_of) AS year,
    make_of(make) AS make,
    make_of(make) != make AS make_is_alias,
    model,
    has_vehicle,
    vehicle_updated_at
  FROM named_accounts
),

judged_accounts AS (
  SELECT
    user_ids.user_id,
    user_ids.source_rows,
    accounts.email_lower,
    accounts.has_email,
    COALESCE(accounts.refuses_email, FALSE) AS refuses_email,
    accounts.year,
    accounts.make,
    accounts.model,
    accounts.vehicle_updated_at,
    CASE
      WHEN accounts.has_vehicle IS NULL OR NOT accounts.has_vehicle THEN 'no vehicle'
      WHEN accounts.year IS NULL THEN 'year unusable'
      WHEN accounts.make IS NULL THEN 'make missing'
      WHEN accounts.model IS NULL THEN 'model missing'
    END AS vehicle_problem
  FROM user_ids
  LEFT JOIN accounts ON accounts.user_id = user_ids.user_id
)

SELECT
  user_id,
  email_lower,
  IF(vehicle_problem IS NULL, year, NULL) AS year,
  IF(vehicle_problem IS NULL, make, NULL) AS make,
  IF(vehicle_problem IS NULL, model, NULL) AS model,
  vehicle_problem,
  vehicle_updated_at,
  refuses_email,
  CASE
    WHEN user_id IS NULL THEN 'no user_id'
    WHEN email_lower IS NULL AND has_email THEN 'e-mail invalid'
    WHEN email_lower IS NULL THEN 'no e-mail'
  END AS drop_reason,
  IF(user_id IS NULL, source_rows - 1, 0) AS duplicate_rows
FROM judged_accounts
ORDER BY user_id
