-- One row: how many rows the staged recommendations have, and a number that any change to one of them changes.
SELECT
  COUNT(*) AS row_count,
  BIT_XOR(FARM_FINGERPRINT(TO_JSON_STRING(staged))) AS fingerprint
FROM `{working}.recommendations` AS staged
