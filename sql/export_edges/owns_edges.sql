-- One row is one user and its vehicle.
SELECT email_lower, make, model, 1.0 AS weight
FROM `{working}.user_nodes`
ORDER BY email_lower
