-- Dates that people write. One function, which every query and every check calls.

-- Number of a month from its name, in full or its first three letters, in any case.
CREATE TEMP FUNCTION month_number(name STRING) AS (
  IF(
    REGEXP_CONTAINS(
      name,
      r'(?i)^(jan(uary)?|feb(ruary)?|mar(ch)?|apr(il)?|may|june?|july?|aug(ust)?|sep(tember)?|oct(ober)?|nov(ember)?|dec(ember)?)$'
    ),
    1 + DIV(STRPOS('JANFEBMARAPRMAYJUNJULAUGSEPOCTNOVDEC', UPPER(SUBSTR(name, 1, 3))), 3),
    NULL
  )
);

-- Order date: 'Friday, January 10, 2025'. The name of the day may be short or missing and is not compared with the
-- date. NULL where the text is no such date or the calendar does not have it.
-- PARSE_DATE would do, but no two engines read the same texts with it.
CREATE TEMP FUNCTION order_date(value STRING) AS (
  SAFE_CAST(
    CONCAT(
      REGEXP_EXTRACT(TRIM(value), r'[\s,]([1-9][0-9]{3})$'),
      '-',
      CAST(
        month_number(
          REGEXP_EXTRACT(
            TRIM(value),
            r'^(?i:(?:mon|tue|wed|thu|fri|sat|sun|monday|tuesday|wednesday|thursday|friday|saturday|sunday)\s*,\s*)?([A-Za-z]+)\s+[0-9]{1,2}\s*,\s*[0-9]{4}$'
          )
        ) AS STRING
      ),
      '-',
      REGEXP_EXTRACT(TRIM(value), r'[a-zA-Z]\s+([0-9]{1,2})\s*,')
    ) AS DATE
  )
);
