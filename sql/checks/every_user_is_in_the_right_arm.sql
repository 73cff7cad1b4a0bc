-- One row is one user who is shown another arm's parts: the graph's without having been chosen for it by the
-- salted hash, or parts of a model that is not the arm's; or whose assigned arm is not what the hash says.
WITH buckets AS (
  SELECT
    email_lower,
    arm,
    assigned_arm,
    model_version,
    MOD(
      CAST(CONCAT('0x', SUBSTR(TO_HEX(SHA256(CONCAT(@salt, ':', email_lower))), 1, 15)) AS INT64), 10000
    ) AS bucket
  FROM `{working}.recommendations`
)

SELECT email_lower, arm, assigned_arm, model_version, bucket
FROM buckets
WHERE
  arm IS NULL
  OR arm NOT IN ('graph', 'sql')
  OR assigned_arm IS NULL
  OR assigned_arm != IF(bucket < @assigned_buckets, 'graph', 'sql')
  OR (arm = 'graph' AND bucket >= @graph_buckets)
  OR (arm = 'graph' AND model_version != @graph_model_version)
  OR (arm = 'sql' AND model_version != 'sql')
