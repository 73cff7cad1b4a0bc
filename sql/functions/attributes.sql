-- What the attributes table holds: which of a user's properties are read.

-- Whether a property of this name is read. name is trimmed, in lower case; consent_property is the setting, empty where it
-- is unset.
CREATE TEMP FUNCTION is_read_attribute(name STRING, consent_property STRING) AS (
  COALESCE(name IN ('email', 'v1_year', 'v1_make', 'v1_model', NULLIF(LOWER(TRIM(consent_property)), '')), FALSE)
);
