-- Normal forms: how a value is written once it is in the graph. Every query calls these, so that the two
-- sides of a join cannot disagree. A value that has no normal form is NULL.

-- Whether text holds an e-mail address. Where a name is meant it is no name: names stand in files that leave the
-- tables, such as the model's. No domain holds a slash, as what follows pkg@1.2.3/ does.
CREATE TEMP FUNCTION names_a_person(value STRING) AS (
  REGEXP_CONTAINS(value, r'(?i)[^\s@](?:@|%40)(?:[^\s@./?#]+\.)+\pL{2,}')
);

-- SKU: upper, trimmed. A spreadsheet writes the number 8202 as 8202.0.
CREATE TEMP FUNCTION normal_sku(value STRING) AS (
  (
    SELECT
      IF(
        names_a_person(text),
        NULL,
        NULLIF(REGEXP_REPLACE(UPPER(TRIM(text)), r'^([0-9]+)\.0+$', r'\1'), '')
      )
    FROM (SELECT value AS text)
  )
);

-- Base SKU: the SKU without the colour letter behind its last digit. 8202B and 8202R are one part.
CREATE TEMP FUNCTION base_sku(value STRING) AS (
  REGEXP_REPLACE(normal_sku(value), r'([0-9])[BRGP]$', r'\1')
);

-- E-mail: lower, trimmed, one @, a domain with a dot, and no word that people and forms write in the place of an address:
-- such a word would make one user of thousands of strangers. What may also be a name is such a word only where the
-- domain repeats it.
CREATE TEMP FUNCTION normal_email(value STRING) AS (
  IF(
    REGEXP_CONTAINS(
      TRIM(value),
      r'^[^@\s\pZ,;:<>()"\[\]\\]+@[^@\s\pZ,;:<>()"\[\]\\/.]+(\.[^@\s\pZ,;:<>()"\[\]\\/.]+)+$'
    )
      AND NOT REGEXP_CONTAINS(
        TRIM(value),
        r'(?i)^(?:(?:none|null|nil|n/a|no[._-]?e?-?mail|unknown|undefined|no-?reply|do-?not-?reply)@|.*@(?:none|null|no-?e?mail|unknown|undefined)\.|(?:na@na|no@no|test@test|e?mail@e?mail|example@example|asdf@asdf|abc@abc)\.)'
      ),
    LOWER(TRIM(value)),
    NULL
  )
);

-- Text that somebody filled in, trimmed: forms that were left empty arrive as the words NONE and NULL.
CREATE TEMP FUNCTION filled_text(value STRING) AS (
  IF(UPPER(TRIM(value)) IN ('', 'NONE', 'NULL') OR names_a_person(value), NULL, TRIM(value))
);

-- Whether somebody filled it in at all, readable or not.
CREATE TEMP FUNCTION is_filled(value STRING) AS (
  NULLIF(TRIM(value), '') IS NOT NULL
);

-- Make or model: upper, trimmed. As a subquery DuckDB answers it once for each value, not each row.
CREATE TEMP FUNCTION vehicle_name(value STRING) AS (
  (SELECT UPPER(text) FROM (SELECT filled_text(value) AS text))
);

-- One name for each manufacturer; name is a vehicle_name. make_alias comes from make_aliases.csv in this folder; blanks,
-- dots, dashes and underlines of an alias are one blank; a subquery for the same reason.
CREATE TEMP FUNCTION make_of(name STRING) AS (
  (
    SELECT COALESCE(make_alias(spelled), name)
    FROM (SELECT REGEXP_REPLACE(name, r'[\s._-]+', ' ') AS spelled)
  )
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

-- Year with its century. Two digits are of the century that makes them no later than next_year.
CREATE TEMP FUNCTION full_year(year INT64, next_year INT64) AS (
  year + IF(year >= 100, 0, next_year - MOD(next_year, 100) - IF(year > MOD(next_year, 100), 100, 0))
);

-- Years as the fitment data writes them, one or a range such as 1967-1969, 67-69 or 1998+, cut to 1900 and the year after
-- the run's, to which a range without an end goes. A year outside of them is none. NULL: it is neither year nor range.
CREATE TEMP FUNCTION vehicle_years(value STRING, as_of DATE) AS (
  (
    SELECT
      GENERATE_ARRAY(
        GREATEST(1900, full_year(first_year, next_year)),
        LEAST(next_year, COALESCE(full_year(last_year, next_year), next_year))
      )
    FROM (
      SELECT
        SAFE_CAST(REGEXP_EXTRACT(years, r'^[0-9]+') AS INT64) AS first_year,
        SAFE_CAST(REGEXP_EXTRACT(years, r'([0-9]{2,4})(?:\.0*)?$') AS INT64) AS last_year,
        EXTRACT(YEAR FROM as_of) + 1 AS next_year
      FROM (
        SELECT
          REGEXP_EXTRACT(
            TRIM(value),
            r'^(?:[0-9]{4}(?:\.0*)?|(?:[12][0-9]{3}|[0-9]{2})\s*(?:\+|[-–—]\s*(?:[12][0-9]{3}|[0-9]{2})))$'
          ) AS years
      )
    )
    WHERE first_year IS NOT NULL
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

-- Image address: always https. http:// and //host/… name the same file. A host has a dot and ends in letters, so that
-- neither a bare name nor a number is one; nothing that could end an attribute or a statement may stand in it. a@2x.jpg is
-- the picture for a screen of twice the density, and nobody's e-mail address.
CREATE TEMP FUNCTION https_image(value STRING) AS (
  IF(
    names_a_person(
      REGEXP_REPLACE(value, r'(?i)@([0-9]+(?:\.[0-9]+)?x\.(?:jpe?g|png|gif|webp|avif|svg))', r'\1')
    )
      OR REGEXP_CONTAINS(
        TRIM(value),
        r'(?i)^(https?:)?//[^/?#]*\.(local|localhost|localdomain|internal|intranet|lan|corp|home|arpa)([:/?#]|$)'
      ),
    NULL,
    CONCAT(
      'https://',
      REGEXP_EXTRACT(
        TRIM(value),
        -- Printable ASCII without quotes (22, 27, 60), brackets and what a URL must escape.
        r'^(?i:https?:)?//((?i:[a-z0-9-]+(?:\.[a-z0-9-]+)*\.[a-z]{2,})(?::[0-9]+)?(?:[/?#][!#-&*-;=?-Z_a-z~]*)?)$'
      )
    )
  )
);

-- Host of such an address, lower.
CREATE TEMP FUNCTION image_host(image STRING) AS (
  LOWER(REGEXP_EXTRACT(image, r'^https://([^/?#:]+)'))
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
