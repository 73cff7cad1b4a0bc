-- Normal forms: how a value is written once it is in the graph. Every query calls these, so that the two
-- sides of a join cannot disagree. A value that has no normal form is NULL.

-- Whether text holds an e-mail address. Where a name is meant it is no name: names stand in files that leave the
-- tables, such as the model's.
CREATE TEMP FUNCTION names_a_person(value STRING) AS (
  REGEXP_CONTAINS(value, r'(?i)[^\s@](?:@|%40)(?:[^\s@.]+\.)+\pL{2,}')
);

-- SKU: upper, trimmed.
CREATE TEMP FUNCTION normal_sku(value STRING) AS (
  IF(names_a_person(value), NULL, NULLIF(UPPER(TRIM(value)), ''))
);

-- Base SKU: the SKU without the colour letter behind its last digit. 8202B and 8202R are one part.
CREATE TEMP FUNCTION base_sku(value STRING) AS (
  NULLIF(REGEXP_REPLACE(UPPER(TRIM(value)), r'([0-9])[BRGP]$', r'\1'), '')
);

-- E-mail: lower, trimmed.
CREATE TEMP FUNCTION normal_email(value STRING) AS (
  NULLIF(LOWER(TRIM(value)), '')
);

-- Text that somebody filled in, trimmed: forms that were left empty arrive as the words NONE and NULL.
CREATE TEMP FUNCTION filled_text(value STRING) AS (
  IF(UPPER(TRIM(value)) IN ('', 'NONE', 'NULL') OR names_a_person(value), NULL, TRIM(value))
);

-- Make or model: upper, trimmed.
CREATE TEMP FUNCTION vehicle_name(value STRING) AS (
  UPPER(filled_text(value))
);

-- Model year: an integer from 1900 to the year after the run's. '1967.0' is a year that was stored as a float.
CREATE TEMP FUNCTION vehicle_year(value STRING, as_of DATE) AS (
  IF(
    REGEXP_CONTAINS(TRIM(value), r'^[0-9]{4}(\.0*)?$')
      AND SAFE_CAST(SUBSTR(TRIM(value), 1, 4) AS INT64) BETWEEN 1900 AND EXTRACT(YEAR FROM as_of) + 1,
    SAFE_CAST(SUBSTR(TRIM(value), 1, 4) AS INT64),
    NULL
  )
);

-- Price: a positive number; a leading $ and commas between thousands are read over.
CREATE TEMP FUNCTION positive_price(value STRING) AS (
  IF(
    REGEXP_CONTAINS(TRIM(value), r'^\$? *([0-9]+|[0-9]{1,3}(,[0-9]{3})+)?(\.[0-9]*)?$'),
    NULLIF(SAFE_CAST(REGEXP_REPLACE(TRIM(value), r'[$, ]', '') AS FLOAT64), 0),
    NULL
  )
);

-- Image address: always https. http:// and //host/… name the same file.
CREATE TEMP FUNCTION https_image(value STRING) AS (
  IF(
    names_a_person(value),
    NULL,
    CONCAT('https://', REGEXP_EXTRACT(TRIM(value), r'^(?i:https?:)?//([^\s/]\S*)$'))
  )
);

-- A property's value as text, whichever of the three columns holds it. A whole number in the float column
-- loses its '.0', so that the SKU 8202 is the same in every column.
CREATE TEMP FUNCTION property_text(string_value STRING, long_value INT64, double_value FLOAT64) AS (
  COALESCE(
    NULLIF(TRIM(string_value), ''),
    CAST(long_value AS STRING),
    IF(
      double_value = TRUNC(double_value) AND ABS(double_value) < 1e15,
      CAST(SAFE_CAST(double_value AS INT64) AS STRING),
      CAST(double_value AS STRING)
    )
  )
);

-- A property's value as a price, whichever of the three columns holds it.
CREATE TEMP FUNCTION property_price(string_value STRING, long_value INT64, double_value FLOAT64) AS (
  COALESCE(
    positive_price(string_value),
    IF(long_value > 0, CAST(long_value AS FLOAT64), NULL),
    -- Neither infinite nor not a number.
    IF(double_value > 0 AND double_value < 1e300, double_value, NULL)
  )
);
