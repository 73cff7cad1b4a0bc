-- One row is one row of the staged similar parts that breaks the order of its part and relation: ranks run from 1 up to
-- @maximum_similar_parts at most, without a gap, and scores are numbers that do not rise.
WITH neighbours AS (
  SELECT
    base_sku,
    relation,
    rank,
    score,
    ROW_NUMBER() OVER (PARTITION BY base_sku, relation ORDER BY rank, other_base_sku) AS place,
    LAG(score) OVER (PARTITION BY base_sku, relation ORDER BY rank, other_base_sku) AS score_before
  FROM `{working}.similar_parts`
)

SELECT base_sku, relation, rank, score, score_before
FROM neighbours
WHERE
  rank IS NULL
  OR rank != place
  OR rank > @maximum_similar_parts
  OR score IS NULL
  OR IS_NAN(score)
  OR IS_INF(score)
  OR score > score_before
