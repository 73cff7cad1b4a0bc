-- One row is one user with more than one row, or a row without a user.
SELECT email_lower, COUNT(*) AS rows_of_this_user
FROM `{working}.recommendations`
GROUP BY email_lower
HAVING COUNT(*) > 1 OR email_lower IS NULL
