-- One row is one user on one day, UTC, on which experiment @experiment really sent the user a mail, with what the newest
-- delivery on or before that day had published for the user. Several mails of a day are one exposure. A mail to somebody who
-- is not in that delivery shows nothing of the experiment. Sends after the planned end count nowhere, as nothing is logged
-- then.
WITH published AS (
  SELECT exposure_day, email_lower, assigned_arm, received_arm, share, system, model_version, published_at
  FROM `{working}.experiment_exposures`
  WHERE experiment = @experiment AND exposure_day >= @experiment_start AND exposure_day <= @as_of
),

read_sends AS (
  SELECT normal_email(email) AS email_lower, DATE(SAFE_CAST(sent_at AS TIMESTAMP)) AS send_day
  FROM `{working}.experiment_sends`
),

sends AS (
  SELECT email_lower, send_day, COUNT(*) - 1 AS duplicate_rows
  FROM read_sends
  WHERE send_day IS NULL OR (send_day >= @experiment_start AND send_day <= LEAST(@as_of, @experiment_end))
  GROUP BY email_lower, send_day
),

delivery_days AS (
  SELECT send_days.send_day, MAX(published_days.exposure_day) AS exposure_day
  FROM (SELECT DISTINCT send_day FROM sends WHERE send_day IS NOT NULL) AS send_days
  JOIN (SELECT DISTINCT exposure_day FROM published) AS published_days
    ON published_days.exposure_day <= send_days.send_day
  GROUP BY send_days.send_day
)

SELECT
  @experiment AS experiment,
  sends.send_day AS exposure_day,
  sends.email_lower,
  published.assigned_arm,
  published.received_arm,
  published.share,
  published.system,
  published.model_version,
  published.published_at,
  CASE
    WHEN sends.email_lower IS NULL THEN 'e-mail invalid'
    WHEN sends.send_day IS NULL THEN 'no time'
    WHEN published.email_lower IS NULL THEN 'not in the delivery'
  END AS drop_reason,
  sends.duplicate_rows
FROM sends
LEFT JOIN delivery_days ON delivery_days.send_day = sends.send_day
LEFT JOIN published
  ON published.exposure_day = delivery_days.exposure_day
  AND published.email_lower = sends.email_lower
ORDER BY email_lower, exposure_day
