-- The policy in SQL.
CREATE OR REPLACE MACRO scaled(value, transform, median, scale) AS (CASE transform
    WHEN 'log' THEN ln(greatest(value, 1e-6))
    WHEN 'log1p' THEN ln(1 + greatest(value, 0))
    ELSE value
END - median) / scale;

CREATE OR REPLACE MACRO contribution(weight, direction, low, high, z) AS
    weight * least(greatest(direction * z, low), high);

-- How many of up to three cuts a value has passed.
CREATE OR REPLACE MACRO passed(cuts, direction, value) AS (
    (direction * value >= direction * cuts[1])::TINYINT
    + coalesce(direction * value >= direction * cuts[2], false)::TINYINT
    + coalesce(direction * value >= direction * cuts[3], false)::TINYINT
);

CREATE OR REPLACE MACRO aspects() AS ['artifact', 'blur', 'collimation', 'exposure', 'noise', 'positioning'];

-- Four probabilities made true, up to a common factor.
CREATE OR REPLACE MACRO made_true(p, temperature, shift) AS list_transform(
    p, lambda x, place: pow(x / list_max(p), 1 / temperature) * if(place > 1, exp(shift), 1)
);
CREATE OR REPLACE MACRO expected(p, temperature, shift) AS
    list_dot_product([0.0, 1.0, 2.0, 3.0], made_true(p, temperature, shift)) / list_sum(made_true(p, temperature, shift));

-- Log-odds in whole 2^-40: their sum is the same whatever the order and the thread count.
CREATE OR REPLACE MACRO units(log_odds) AS (log_odds * 1099511627776)::BIGINT;

-- Verdicts with their labels, by the tools and the judge: the severities that stand after both were reconciled, and, where
-- the policy knows how, the judge's say in quality and regime. `source` is `verdict` or a table of its shape (a batch about
-- to be stored), so that the labels stored with each batch and those anyone can derive again come from one text.
-- A film goes by a number here, and so does what a policy says of an intensity domain and a view group: every join and
-- every sum over measures is one of whole numbers.
CREATE OR REPLACE MACRO derived(source) AS TABLE
WITH film AS MATERIALIZED (
    SELECT
        row_number() OVER () AS film,
        v.image_id,
        v.recipe_id,
        v.status,
        v.intensity_domain,
        v.measures,
        v.judge,
        v.settled,
        if(v.status IN ('ok', 'needs_review'), coalesce(g."group", 'unknown'), NULL) AS "group"
    FROM query_table(source) AS v
    LEFT JOIN policy_view AS g ON g.recipe_id = v.recipe_id AND g."view" = upper(v."view")
), plan AS MATERIALIZED (
    SELECT row_number() OVER () AS plan, *
    FROM (SELECT DISTINCT recipe_id, intensity_domain AS domain, "group" FROM film WHERE "group" IS NOT NULL)
    JOIN policy_bias USING (recipe_id, domain)
    JOIN policy_regime USING (recipe_id)
), planned AS MATERIALIZED (
    SELECT f.film, p.plan, p.bias, p.low, p.high
    FROM film AS f
    JOIN plan AS p ON p.recipe_id = f.recipe_id AND p.domain = f.intensity_domain AND p."group" = f."group"
), measured AS NOT MATERIALIZED (
    SELECT film, plan, unnest(map_keys(measures)) AS measure, unnest(map_values(measures)) AS value
    FROM planned
    JOIN film USING (film)
), term AS (
    SELECT p.plan, measure, transform, median, scale, t.direction, t.low, t.high, t.weight
    FROM plan AS p
    JOIN policy_term AS t USING (recipe_id, domain)
    JOIN policy_reference AS r USING (recipe_id, domain, "group", measure)
), added AS (
    SELECT film, sum(units(contribution(weight, direction, low, high, scaled(value, transform, median, scale)))) AS units
    FROM measured
    JOIN term USING (plan, measure)
    GROUP BY film
), cut AS (
    SELECT p.plan, measure, aspect, direction, cuts, transform, median, scale
    FROM plan AS p
    JOIN policy_severity AS c USING (recipe_id, domain)
    JOIN policy_reference AS r USING (recipe_id, domain, "group", measure)
    WHERE "on" = 'z'
    UNION ALL
    SELECT p.plan, measure, aspect, direction, cuts, 'identity', 0, 1
    FROM plan AS p
    JOIN policy_severity AS c USING (recipe_id, domain)
    WHERE "on" = 'value'
), graded AS (
    SELECT film, aspect, passed(cuts, direction, scaled(value, transform, median, scale)) AS severity
    FROM measured
    JOIN cut USING (plan, measure)
), worst AS (
    SELECT
        film,
        [
            max(severity) FILTER (aspect = 'artifact'),
            max(severity) FILTER (aspect = 'blur'),
            max(severity) FILTER (aspect = 'collimation'),
            max(severity) FILTER (aspect = 'exposure'),
            max(severity) FILTER (aspect = 'noise'),
            max(severity) FILTER (aspect = 'positioning')
        ] AS severities
    FROM graded
    GROUP BY film
), said AS (
    SELECT f.film, sum(units(j.weight * expected(f.judge[j.aspect], j.temperature, j.shift))) AS units
    FROM film AS f
    JOIN policy_judge_aspect AS j USING (recipe_id)
    WHERE f.judge IS NOT NULL
    GROUP BY f.film
), rules AS (
    SELECT recipe_id, list({place: list_position(aspects(), aspect), severity: severity, regime: regime}) AS rules
    FROM policy_rule
    GROUP BY recipe_id
), found AS (
    SELECT
        film,
        p.low,
        p.high,
        p.bias + coalesce(a.units, 0) / units(1) AS log_odds,
        coalesce(s.units, 0) / units(1) AS said,
        w.severities AS by_tools
    FROM planned AS p
    LEFT JOIN added AS a USING (film)
    LEFT JOIN worst AS w USING (film)
    LEFT JOIN said AS s USING (film)
), odds AS (
    SELECT
        f.* EXCLUDE (measures, judge),
        o.log_odds,
        j.bias + j.tools * o.log_odds + o.said AS joined,
        if(joined IS NULL, o.low, j.low) AS low,
        if(joined IS NULL, o.high, j.high) AS high,
        o.by_tools,
        r.rules
    FROM film AS f
    LEFT JOIN found AS o USING (film)
    LEFT JOIN policy_judge AS j ON j.recipe_id = f.recipe_id AND f.judge IS NOT NULL
    LEFT JOIN rules AS r ON r.recipe_id = f.recipe_id
), stands AS (
    SELECT
        *,
        1 / (1 + exp(coalesce(joined, log_odds))) AS quality,
        CASE
            WHEN settled IS NULL THEN by_tools
            WHEN status IN ('ok', 'needs_review') THEN list_transform(aspects(), lambda aspect: settled[aspect])
        END AS severities,
        -- Rules go by what stands where the policy was fitted to the judge, else by what the tools measured.
        if(joined IS NULL, by_tools, severities) AS bound,
        list_transform(
            list_filter(rules, lambda rule: bound[rule.place] >= rule.severity), lambda rule: rule.regime
        ) AS ruled
    FROM odds
)
SELECT
    v.* REPLACE (
        CASE
            WHEN s.quality < s.low OR list_contains(s.ruled, 'low') THEN 'low'
            WHEN s.quality < s.high OR len(s.ruled) > 0 THEN 'borderline'
            WHEN s.quality IS NOT NULL THEN 'high'
        END AS regime,
        s.quality AS quality,
        s.severities[5] AS noise,
        s.severities[2] AS blur,
        s.severities[4] AS exposure,
        s.severities[3] AS collimation,
        s.severities[6] AS positioning,
        s.severities[1] AS artifact,
        list_filter(aspects(), lambda aspect, place: s.severities[place] = 3)
        || list_filter(aspects(), lambda aspect, place: s.severities[place] = 2)
        || list_filter(aspects(), lambda aspect, place: s.severities[place] = 1) AS defects
    )
FROM query_table(source) AS v
JOIN stands AS s USING (image_id, recipe_id);

CREATE OR REPLACE VIEW contributions AS
WITH measured AS (
    SELECT
        v.image_id,
        v.recipe_id,
        v.intensity_domain AS domain,
        coalesce(g."group", 'unknown') AS "group",
        unnest(map_keys(v.measures)) AS measure,
        unnest(map_values(v.measures)) AS value
    FROM verdict AS v
    LEFT JOIN policy_view AS g ON g.recipe_id = v.recipe_id AND g."view" = upper(v."view")
    WHERE v.status IN ('ok', 'needs_review')
), s AS (
    SELECT m.*, scaled(m.value, r.transform, r.median, r.scale) AS z
    FROM measured AS m
    LEFT JOIN policy_reference AS r USING (recipe_id, domain, "group", measure)
)
SELECT
    s.image_id,
    s.recipe_id,
    s.measure,
    any_value(s.value) AS value,
    any_value(s.z) AS z,
    sum(contribution(t.weight, t.direction, t.low, t.high, s.z) ORDER BY t.direction) AS contribution
FROM s
LEFT JOIN policy_term AS t USING (recipe_id, domain, measure)
GROUP BY s.image_id, s.recipe_id, s.measure;
COMMENT ON VIEW contributions IS 'What each measure adds to the log-odds of low quality, one row an image, recipe and measure.';
COMMENT ON COLUMN contributions.image_id IS 'Image.';
COMMENT ON COLUMN contributions.recipe_id IS 'Recipe.';
COMMENT ON COLUMN contributions.measure IS 'tool.metric.';
COMMENT ON COLUMN contributions.value IS 'Raw value.';
COMMENT ON COLUMN contributions.z IS 'Robust distance from good films of the same domain and view; NULL without a reference.';
COMMENT ON COLUMN contributions.contribution IS 'Log-odds of low quality the measure adds; NULL where the policy does not weigh it.';
