-- One row is one set of parts that visitors met and one make and model that all of them fit, with the years in which they
-- do. The model goes by its number in the alphabetical order of fits_edges.
-- Who looks for more than one car at once, so that no car fits all parts, is asked for each part on its own: to
-- leave such visitors out would favour parts that fit many cars. Such a set has the part's number, negative.
WITH numbered_parts AS (
  SELECT base_sku, COUNT(*) AS vehicles, ROW_NUMBER() OVER (ORDER BY base_sku) AS part_number
  FROM `{working}.fits_edges`
  GROUP BY base_sku
),

numbered_vehicles AS (
  SELECT make, model, ROW_NUMBER() OVER (ORDER BY make, model) AS vehicle_number
  FROM `{working}.fits_edges`
  GROUP BY make, model
),

numbered_fits AS (
  SELECT
    numbered_parts.part_number,
    numbered_vehicles.vehicle_number,
    fits.first_year,
    fits.last_year
  FROM `{working}.fits_edges` AS fits
  JOIN numbered_parts ON numbered_parts.base_sku = fits.base_sku
  JOIN numbered_vehicles ON numbered_vehicles.make = fits.make AND numbered_vehicles.model = fits.model
),

set_parts AS (
  SELECT
    visitor_sets.set_number,
    visitor_sets.parts,
    visitor_sets.visitors,
    visitor_sets.serving_visitors,
    numbered_parts.part_number,
    ROW_NUMBER() OVER (
      PARTITION BY visitor_sets.set_number
      ORDER BY numbered_parts.vehicles, numbered_parts.part_number
    ) AS place
  FROM `{working}.visitor_sets` AS visitor_sets
  JOIN numbered_parts ON numbered_parts.base_sku = visitor_sets.base_sku
),

-- A car that all parts fit is among those of the part that fits the fewest.
set_candidates AS (
  SELECT set_parts.set_number, numbered_fits.vehicle_number
  FROM set_parts
  JOIN numbered_fits ON numbered_fits.part_number = set_parts.part_number
  WHERE set_parts.place = 1
),

-- Years in which all parts of a set fit a model.
whole_set_models AS (
  SELECT
    set_candidates.set_number,
    set_candidates.vehicle_number,
    set_parts.parts,
    MAX(numbered_fits.first_year) AS first_year,
    MIN(numbered_fits.last_year) AS last_year
  FROM set_candidates
  JOIN set_parts ON set_parts.set_number = set_candidates.set_number
  -- One condition on both tables, so that no engine joins the fits to the candidates alone: that is a hundred times
  -- more rows. The factor is more than there are models.
  JOIN numbered_fits
    ON numbered_fits.vehicle_number + numbered_fits.part_number * 1000000000
    = set_candidates.vehicle_number + set_parts.part_number * 1000000000
  GROUP BY set_candidates.set_number, set_candidates.vehicle_number, set_parts.parts
  HAVING COUNT(*) = set_parts.parts AND MAX(numbered_fits.first_year) <= MIN(numbered_fits.last_year)
),

-- What remains, part by part. Their numbers are negative and clash with none.
single_parts AS (
  SELECT DISTINCT set_parts.part_number
  FROM set_parts
  LEFT JOIN (SELECT DISTINCT set_number FROM whole_set_models) AS whole ON whole.set_number = set_parts.set_number
  WHERE whole.set_number IS NULL
)

SELECT set_number, vehicle_number, parts, first_year, last_year
FROM whole_set_models
UNION ALL
SELECT
  -single_parts.part_number AS set_number,
  numbered_fits.vehicle_number,
  1 AS parts,
  numbered_fits.first_year,
  numbered_fits.last_year
FROM single_parts
JOIN numbered_fits ON numbered_fits.part_number = single_parts.part_number
ORDER BY set_number, vehicle_number
