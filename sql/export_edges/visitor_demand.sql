-- One row is one part and one year, make and model that it fits, with the demand of visitors whose car we do not
-- know. Most shoppers never register a vehicle, but what they look at together tells which cars it can be for.
--
-- A visitor's car is one that all of its parts fit. Among those, car c has the probability
--   P(c | parts) ∝ owners(c) × Π P(part | c),  P(part | c) = visitors of the part / visitors of all parts that fit c
-- (Bayes' rule, parts independent given the car; the numerators are equal for all cars and cancel). weight sums
-- these probabilities over visitors: the expected number of them that wanted the part for that car.
-- Every visitor counts once in each view: before @cutoff, and, as serving_, before @as_of.
WITH numbered_parts AS (
  SELECT base_sku, ROW_NUMBER() OVER (ORDER BY base_sku) AS part_number
  FROM `{working}.fits_edges`
  GROUP BY base_sku
),

numbered_vehicles AS (
  SELECT make, model, ROW_NUMBER() OVER (ORDER BY make, model) AS vehicle_number
  FROM `{working}.fits_edges`
  GROUP BY make, model
),

set_parts AS (
  SELECT
    visitor_sets.set_number, numbered_parts.part_number, visitor_sets.visitors, visitor_sets.serving_visitors
  FROM `{working}.visitor_sets` AS visitor_sets
  JOIN numbered_parts ON numbered_parts.base_sku = visitor_sets.base_sku
),

-- Parts of the sets that no model fits as a whole, each on its own. Their numbers are negative.
single_sets AS (
  SELECT
    -set_parts.part_number AS set_number,
    set_parts.part_number,
    SUM(set_parts.visitors) AS visitors,
    SUM(set_parts.serving_visitors) AS serving_visitors
  FROM set_parts
  LEFT JOIN (SELECT DISTINCT set_number FROM `{working}.visitor_set_models`) AS whole
    ON whole.set_number = set_parts.set_number
  WHERE whole.set_number IS NULL
  GROUP BY set_parts.part_number
),

counted_set_parts AS (
  SELECT set_number, part_number, visitors, serving_visitors
  FROM set_parts
  UNION ALL
  SELECT set_number, part_number, visitors, serving_visitors
  FROM single_sets
),

part_visitors AS (
  SELECT base_sku, SUM(visitors) AS visitors, SUM(serving_visitors) AS serving_visitors
  FROM `{working}.visitor_sets`
  GROUP BY base_sku
),

car_visitors AS (
  SELECT
    fitment.year,
    fitment.make,
    fitment.model,
    SUM(part_visitors.visitors) AS visitors,
    SUM(part_visitors.serving_visitors) AS serving_visitors
  FROM `{working}.fitment` AS fitment
  JOIN part_visitors ON part_visitors.base_sku = fitment.base_sku
  GROUP BY fitment.year, fitment.make, fitment.model
),

car_owners AS (
  SELECT year, make, model, COUNT(*) AS owners
  FROM `{working}.user_nodes`
  GROUP BY year, make, model
),

cars AS (
  SELECT
    car_visitors.year,
    numbered_vehicles.vehicle_number,
    views.serving,
    LN(IF(views.serving, car_visitors.serving_visitors, car_visitors.visitors)) AS log_visitors,
    -- A car that nobody registered may still be some visitor's.
    LN(COALESCE(car_owners.owners, 0) + @visitor_unregistered_owners) AS log_owners
  FROM car_visitors
  CROSS JOIN (SELECT FALSE AS serving UNION ALL SELECT TRUE AS serving) AS views
  JOIN numbered_vehicles
    ON numbered_vehicles.make = car_visitors.make AND numbered_vehicles.model = car_visitors.model
  LEFT JOIN car_owners
    ON car_owners.year = car_visitors.year
    AND car_owners.make = car_visitors.make
    AND car_owners.model = car_visitors.model
  WHERE IF(views.serving, car_visitors.serving_visitors, car_visitors.visitors) > 0
),

-- Many sets ask the same question of a model, so it is answered once.
questions AS (
  SELECT
    vehicle_number,
    parts,
    first_year,
    last_year,
    ROW_NUMBER() OVER (ORDER BY vehicle_number, parts, first_year, last_year) AS question
  FROM `{working}.visitor_set_models` AS set_models
  GROUP BY vehicle_number, parts, first_year, last_year
),

-- Sums are of whole numbers, trillionths of the likeliest car and billionths of a visitor: they are the same in
-- any order, so that two runs agree to the last bit.
car_likelihoods AS (
  SELECT
    questions.question,
    cars.serving,
    cars.year,
    cars.log_owners - questions.parts * cars.log_visitors AS log_likelihood,
    MAX(cars.log_owners - questions.parts * cars.log_visitors) OVER (
      PARTITION BY questions.question, cars.serving
    ) AS best_log_likelihood
  FROM questions
  JOIN cars
    ON cars.vehicle_number = questions.vehicle_number
    AND cars.year BETWEEN questions.first_year AND questions.last_year
),

year_likelihoods AS (
  SELECT
    question,
    serving,
    year,
    best_log_likelihood,
    CAST(EXP(log_likelihood - best_log_likelihood) * 1e12 AS INT64) AS likelihood
  FROM car_likelihoods
),

model_likelihoods AS (
  SELECT question, serving, MAX(best_log_likelihood) AS best_log_likelihood, SUM(likelihood) AS likelihood
  FROM year_likelihoods
  GROUP BY question, serving
),

answered_models AS (
  SELECT
    set_models.set_number,
    model_likelihoods.question,
    model_likelihoods.serving,
    model_likelihoods.likelihood,
    model_likelihoods.best_log_likelihood,
    MAX(model_likelihoods.best_log_likelihood) OVER (
      PARTITION BY set_models.set_number, model_likelihoods.serving
    ) AS set_log_likelihood
  FROM `{working}.visitor_set_models` AS set_models
  JOIN questions
    ON questions.vehicle_number = set_models.vehicle_number
    AND questions.parts = set_models.parts
    AND questions.first_year = set_models.first_year
    AND questions.last_year = set_models.last_year
  JOIN model_likelihoods ON model_likelihoods.question = questions.question
),

weighed_models AS (
  SELECT
    set_number,
    question,
    serving,
    CAST(likelihood * EXP(best_log_likelihood - set_log_likelihood) AS INT64) AS set_likelihood
  FROM answered_models
),

set_shares AS (
  SELECT
    set_number,
    question,
    serving,
    set_likelihood / SUM(set_likelihood) OVER (PARTITION BY set_number, serving) AS share
  FROM weighed_models
),

asked_parts AS (
  SELECT
    set_shares.question,
    set_shares.serving,
    counted_set_parts.part_number,
    SUM(
      CAST(set_shares.share * 1e9 AS INT64)
      * IF(set_shares.serving, counted_set_parts.serving_visitors, counted_set_parts.visitors)
    ) AS share
  FROM set_shares
  JOIN counted_set_parts ON counted_set_parts.set_number = set_shares.set_number
  GROUP BY set_shares.question, set_shares.serving, counted_set_parts.part_number
),

year_shares AS (
  SELECT
    year_likelihoods.question,
    year_likelihoods.serving,
    year_likelihoods.year,
    year_likelihoods.likelihood / model_likelihoods.likelihood AS year_share
  FROM year_likelihoods
  JOIN model_likelihoods
    ON model_likelihoods.question = year_likelihoods.question
    AND model_likelihoods.serving = year_likelihoods.serving
),

numbered_demand AS (
  SELECT
    year_shares.year,
    questions.vehicle_number,
    asked_parts.part_number,
    SUM(IF(asked_parts.serving, 0, CAST(asked_parts.share * year_shares.year_share AS INT64))) / 1e9 AS weight,
    SUM(IF(asked_parts.serving, CAST(asked_parts.share * year_shares.year_share AS INT64), 0)) / 1e9
      AS serving_weight
  FROM asked_parts
  JOIN questions ON questions.question = asked_parts.question
  JOIN year_shares
    ON year_shares.question = asked_parts.question AND year_shares.serving = asked_parts.serving
  GROUP BY year_shares.year, questions.vehicle_number, asked_parts.part_number
),

demand AS (
  SELECT
    numbered_demand.year,
    numbered_vehicles.make,
    numbered_vehicles.model,
    numbered_parts.base_sku,
    numbered_demand.weight,
    numbered_demand.serving_weight
  FROM numbered_demand
  JOIN numbered_vehicles ON numbered_vehicles.vehicle_number = numbered_demand.vehicle_number
  JOIN numbered_parts ON numbered_parts.part_number = numbered_demand.part_number
)

-- A part that skips a year of its span does not fit that year.
SELECT
  demand.year,
  demand.make,
  demand.model,
  demand.base_sku,
  NULLIF(demand.weight, 0) AS weight,
  NULLIF(demand.serving_weight, 0) AS serving_weight
FROM demand
JOIN `{working}.fitment` AS fitment
  ON fitment.year = demand.year
  AND fitment.make = demand.make
  AND fitment.model = demand.model
  AND fitment.base_sku = demand.base_sku
WHERE demand.weight > 0 OR demand.serving_weight > 0
ORDER BY year, make, model, base_sku
