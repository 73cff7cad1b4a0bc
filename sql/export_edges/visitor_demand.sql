-- One row is one part and one year, make and model that it fits, with the demand of visitors whose car we do not
-- know. Most shoppers never register a vehicle, but what they look at together tells which cars it can be for.
--
-- A visitor's car is one that all of its parts fit. Among those, car c has the probability
--   P(c | parts) ∝ owners(c) × Π P(part | c),  P(part | c) = visitors of the part / visitors of all parts that fit c
-- (Bayes' rule, parts independent given the car; the numerators are equal for all cars and cancel). weight sums
-- these probabilities over visitors: the expected number of them that wanted the part for that car.
-- Every visitor counts once in each view: before @cutoff, and, as serving_, before @as_of.
WITH visits AS (
  SELECT COALESCE(email_lower, user_id) AS visitor, base_sku, event_date AS visit_date
  FROM `{working}.interaction_events`
  UNION ALL
  SELECT buyer AS visitor, base_sku, order_date AS visit_date
  FROM `{working}.order_lines`
  WHERE source = 'import_orders' AND counts_in_popularity
),

-- What fits no car, such as a gift card, tells nothing about the car, and takes nothing from what the rest tells.
fitting_parts AS (
  SELECT DISTINCT base_sku
  FROM `{working}.fits_edges`
),

visitor_parts AS (
  SELECT visits.visitor, visits.base_sku, MIN(visits.visit_date) AS first_visit
  FROM visits
  JOIN fitting_parts ON fitting_parts.base_sku = visits.base_sku
  LEFT JOIN `{working}.user_nodes` AS users ON users.email_lower = visits.visitor
  WHERE users.email_lower IS NULL
  GROUP BY visits.visitor, visits.base_sku
),

-- A part is seen in one view or in both.
view_parts AS (
  SELECT visitor, base_sku, FALSE AS serving FROM visitor_parts WHERE first_visit < @cutoff
  UNION ALL
  SELECT visitor, base_sku, TRUE AS serving FROM visitor_parts
),

-- Crawlers and resellers see parts for many cars.
visitors AS (
  SELECT visitor, serving, COUNT(*) AS parts
  FROM view_parts
  GROUP BY visitor, serving
  HAVING COUNT(*) <= @visitor_maximum_parts
),

-- Years in which all of a visitor's parts fit a model.
visitor_models AS (
  SELECT
    view_parts.visitor,
    view_parts.serving,
    fits.make,
    fits.model,
    visitors.parts,
    MAX(fits.first_year) AS first_year,
    MIN(fits.last_year) AS last_year
  FROM view_parts
  JOIN visitors ON visitors.visitor = view_parts.visitor AND visitors.serving = view_parts.serving
  JOIN `{working}.fits_edges` AS fits ON fits.base_sku = view_parts.base_sku
  GROUP BY view_parts.visitor, view_parts.serving, fits.make, fits.model, visitors.parts
  HAVING COUNT(*) = visitors.parts AND MAX(fits.first_year) <= MIN(fits.last_year)
),

part_visitors AS (
  SELECT view_parts.base_sku, view_parts.serving, COUNT(*) AS visitors
  FROM view_parts
  JOIN visitors ON visitors.visitor = view_parts.visitor AND visitors.serving = view_parts.serving
  GROUP BY view_parts.base_sku, view_parts.serving
),

car_visitors AS (
  SELECT fitment.year, fitment.make, fitment.model, part_visitors.serving, SUM(part_visitors.visitors) AS visitors
  FROM `{working}.fitment` AS fitment
  JOIN part_visitors ON part_visitors.base_sku = fitment.base_sku
  GROUP BY fitment.year, fitment.make, fitment.model, part_visitors.serving
),

car_owners AS (
  SELECT year, make, model, COUNT(*) AS owners
  FROM `{working}.user_nodes`
  GROUP BY year, make, model
),

cars AS (
  SELECT
    car_visitors.year,
    car_visitors.make,
    car_visitors.model,
    car_visitors.serving,
    LN(car_visitors.visitors) AS log_visitors,
    -- A car that nobody registered may still be some visitor's.
    LN(COALESCE(car_owners.owners, 0) + @visitor_unregistered_owners) AS log_owners
  FROM car_visitors
  LEFT JOIN car_owners
    ON car_owners.year = car_visitors.year
    AND car_owners.make = car_visitors.make
    AND car_owners.model = car_visitors.model
),

-- Many visitors ask the same question, so it is answered once.
questions AS (
  SELECT DISTINCT serving, make, model, parts, first_year, last_year
  FROM visitor_models
),

-- Sums are of whole numbers, trillionths of the likeliest car and billionths of a visitor: they are the same in
-- any order, so that two runs agree to the last bit.
car_likelihoods AS (
  SELECT
    questions.serving,
    questions.make,
    questions.model,
    questions.parts,
    questions.first_year,
    questions.last_year,
    cars.year,
    cars.log_owners - questions.parts * cars.log_visitors AS log_likelihood
  FROM questions
  JOIN cars
    ON cars.make = questions.make
    AND cars.model = questions.model
    AND cars.serving = questions.serving
    AND cars.year BETWEEN questions.first_year AND questions.last_year
),

best_years AS (
  SELECT
    *,
    MAX(log_likelihood) OVER (
      PARTITION BY serving, make, model, parts, first_year, last_year
    ) AS best_log_likelihood
  FROM car_likelihoods
),

year_likelihoods AS (
  SELECT *, CAST(EXP(log_likelihood - best_log_likelihood) * 1e12 AS INT64) AS likelihood
  FROM best_years
),

model_likelihoods AS (
  SELECT
    serving,
    make,
    model,
    parts,
    first_year,
    last_year,
    MAX(best_log_likelihood) AS best_log_likelihood,
    SUM(likelihood) AS likelihood
  FROM year_likelihoods
  GROUP BY serving, make, model, parts, first_year, last_year
),

answered_models AS (
  SELECT
    visitor_models.*,
    model_likelihoods.likelihood,
    model_likelihoods.best_log_likelihood,
    MAX(model_likelihoods.best_log_likelihood) OVER (
      PARTITION BY visitor_models.visitor, visitor_models.serving
    ) AS visitor_log_likelihood
  FROM visitor_models
  JOIN model_likelihoods
    ON model_likelihoods.serving = visitor_models.serving
    AND model_likelihoods.make = visitor_models.make
    AND model_likelihoods.model = visitor_models.model
    AND model_likelihoods.parts = visitor_models.parts
    AND model_likelihoods.first_year = visitor_models.first_year
    AND model_likelihoods.last_year = visitor_models.last_year
),

weighed_models AS (
  SELECT
    *,
    CAST(likelihood * EXP(best_log_likelihood - visitor_log_likelihood) AS INT64) AS visitor_likelihood
  FROM answered_models
),

visitor_shares AS (
  SELECT
    visitor,
    serving,
    make,
    model,
    parts,
    first_year,
    last_year,
    visitor_likelihood / SUM(visitor_likelihood) OVER (PARTITION BY visitor, serving) AS share
  FROM weighed_models
),

asked_parts AS (
  SELECT
    visitor_shares.serving,
    visitor_shares.make,
    visitor_shares.model,
    visitor_shares.parts,
    visitor_shares.first_year,
    visitor_shares.last_year,
    view_parts.base_sku,
    SUM(CAST(visitor_shares.share * 1e9 AS INT64)) AS share
  FROM visitor_shares
  JOIN view_parts ON view_parts.visitor = visitor_shares.visitor AND view_parts.serving = visitor_shares.serving
  GROUP BY
    visitor_shares.serving,
    visitor_shares.make,
    visitor_shares.model,
    visitor_shares.parts,
    visitor_shares.first_year,
    visitor_shares.last_year,
    view_parts.base_sku
),

year_shares AS (
  SELECT
    year_likelihoods.*,
    year_likelihoods.likelihood / model_likelihoods.likelihood AS year_share
  FROM year_likelihoods
  JOIN model_likelihoods
    ON model_likelihoods.serving = year_likelihoods.serving
    AND model_likelihoods.make = year_likelihoods.make
    AND model_likelihoods.model = year_likelihoods.model
    AND model_likelihoods.parts = year_likelihoods.parts
    AND model_likelihoods.first_year = year_likelihoods.first_year
    AND model_likelihoods.last_year = year_likelihoods.last_year
),

demand AS (
  SELECT
    year_shares.year,
    asked_parts.make,
    asked_parts.model,
    asked_parts.base_sku,
    SUM(IF(asked_parts.serving, 0, CAST(asked_parts.share * year_shares.year_share AS INT64))) / 1e9 AS weight,
    SUM(IF(asked_parts.serving, CAST(asked_parts.share * year_shares.year_share AS INT64), 0)) / 1e9
      AS serving_weight
  FROM asked_parts
  JOIN year_shares
    ON year_shares.serving = asked_parts.serving
    AND year_shares.make = asked_parts.make
    AND year_shares.model = asked_parts.model
    AND year_shares.parts = asked_parts.parts
    AND year_shares.first_year = asked_parts.first_year
    AND year_shares.last_year = asked_parts.last_year
  GROUP BY year_shares.year, asked_parts.make, asked_parts.model, asked_parts.base_sku
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
