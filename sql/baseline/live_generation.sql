-- One row: which days the live pipeline's table was generated on, and the last of them that knows nothing of the test
-- window, NULL where there is none.
SELECT
  MIN(DATE(generated_at)) AS first_day,
  MAX(DATE(generated_at)) AS last_day,
  MAX(IF(DATE(generated_at) <= @cutoff, DATE(generated_at), NULL)) AS chosen_day
FROM `{working}.live_recommendations`
