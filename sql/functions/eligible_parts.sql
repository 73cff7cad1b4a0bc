-- The rules on a part: what may be recommended at all, whoever the user is and whatever system ranks.

-- Commodity parts that nobody wants to see in an e-mail. Compared without case.
CREATE TEMP FUNCTION part_type_excluded(part_type STRING) AS (
  REGEXP_CONTAINS(LOWER(part_type), r'gasket|decal|key|washer|clamp')
  OR (
    LOWER(part_type) LIKE '%bolt%'
    AND LOWER(part_type) NOT IN ('engine cylinder head bolt', 'engine bolt kit')
  )
  OR (
    LOWER(part_type) LIKE '%cap%'
    AND LOWER(part_type) NOT LIKE '%distributor cap%'
    AND LOWER(part_type) NOT IN ('wheel hub cap', 'wheel cap set')
  )
);

-- Whether tags call a part refurbished, in any case.
CREATE TEMP FUNCTION tagged_refurbished(tags STRING) AS (
  COALESCE(LOWER(tags) LIKE '%refurb%', FALSE)
);

-- The first rule that a part fails; NULL: it may be recommended.
CREATE TEMP FUNCTION ineligible_reason(
  sku STRING,
  price FLOAT64,
  image STRING,
  refurbished BOOL,
  type_known BOOL,
  type_excluded BOOL,
  minimum_price FLOAT64,
  unknown_type_minimum_price FLOAT64
) AS (
  CASE
    WHEN price IS NULL THEN 'price missing'
    WHEN price < minimum_price THEN 'price below minimum'
    WHEN refurbished THEN 'refurbished'
    WHEN REGEXP_CONTAINS(sku, r'^(EXT|GIFT|WARRANTY|SERVICE|PREAUTH)-') THEN 'service prefix'
    WHEN image IS NULL THEN 'no image'
    WHEN type_excluded THEN 'part type excluded'
    WHEN NOT type_known AND price < unknown_type_minimum_price THEN 'part type unknown below minimum price'
  END
);

-- A price that visitors report, where it is within a factor of what is usual; where nothing is known, as it is.
CREATE TEMP FUNCTION plausible_price(price FLOAT64, usual_price FLOAT64, factor FLOAT64) AS (
  IF(usual_price IS NULL OR price BETWEEN usual_price / factor AND usual_price * factor, price, NULL)
);
