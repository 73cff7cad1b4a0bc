-- The three popularity tiers of the SQL pipeline. A part takes the narrowest tier that has seen enough orders.

-- Tier of a part for a vehicle, from the orders of the part and of all parts in the segment and the make.
CREATE TEMP FUNCTION popularity_tier(
  pair_segment_orders INT64,
  segment_orders INT64,
  pair_make_orders INT64,
  make_orders INT64,
  segment_minimum INT64,
  make_minimum INT64,
  pair_minimum INT64
) AS (
  CASE
    WHEN segment_orders >= segment_minimum AND pair_segment_orders >= pair_minimum THEN 'segment'
    WHEN make_orders >= make_minimum AND pair_make_orders >= pair_minimum THEN 'make'
    ELSE 'global'
  END
);

-- Score of a part in its tier.
CREATE TEMP FUNCTION popularity_tier_score(
  tier STRING, pair_segment_orders INT64, pair_make_orders INT64, orders INT64
) AS (
  CASE tier
    WHEN 'segment' THEN 10 * LN(1 + pair_segment_orders)
    WHEN 'make' THEN 8 * LN(1 + pair_make_orders)
    ELSE 2 * LN(1 + orders)
  END
);
