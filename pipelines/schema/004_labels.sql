-- The policy in SQL. `source` is `verdict` or a table of its shape (a batch about to be stored), so that the rows
-- materialised with each batch and the rows anyone can derive again come from one text.
CREATE MACRO scored(source) AS TABLE
WITH measured AS (
    SELECT
        v.image_id,
        v.recipe_id,
        v.intensity_domain AS domain,
        coalesce(g."group", 'unknown') AS "group",
        unnest(map_keys(v.measures)) AS measure,
        unnest(map_values(v.measures)) AS value
    FROM query_table(source) AS v
    LEFT JOIN policy_view AS g ON g.recipe_id = v.recipe_id AND g."view" = upper(v."view")
    WHERE v.status IN ('ok', 'needs_review')
)
SELECT
    m.image_id,
    m.recipe_id,
    m.domain,
    m.measure,
    m.value,
    (CASE r.transform
        WHEN 'log' THEN ln(greatest(m.value, 1e-6))
        WHEN 'log1p' THEN ln(1 + greatest(m.value, 0))
        ELSE m.value
    END - r.median) / r.scale AS z
FROM measured AS m
LEFT JOIN policy_reference AS r USING (recipe_id, domain, "group", measure);

CREATE MACRO explained(source) AS TABLE
SELECT
    s.image_id,
    s.recipe_id,
    s.measure,
    s.value,
    s.z,
    sum(t.weight * least(greatest(t.direction * s.z, t.low), t.high) ORDER BY t.direction, t.low) AS contribution
FROM scored(source) AS s
LEFT JOIN policy_term AS t USING (recipe_id, domain, measure)
GROUP BY ALL;

CREATE MACRO graded(source) AS TABLE
SELECT
    s.image_id,
    s.recipe_id,
    c.aspect,
    max(
        len(list_filter(c.cuts, lambda cut: c.direction * if(c."on" = 'z', s.z, s.value) >= c.direction * cut))
    )::TINYINT AS severity
FROM scored(source) AS s
JOIN policy_severity AS c USING (recipe_id, domain, measure)
WHERE c."on" = 'value' OR s.z IS NOT NULL
GROUP BY ALL;

CREATE MACRO derived(source) AS TABLE
WITH added AS (
    SELECT image_id, recipe_id, coalesce(sum(contribution ORDER BY measure), 0) AS contribution
    FROM explained(source) GROUP BY ALL
), severities AS (
    SELECT
        image_id,
        recipe_id,
        max(severity) FILTER (aspect = 'noise') AS noise,
        max(severity) FILTER (aspect = 'blur') AS blur,
        max(severity) FILTER (aspect = 'exposure') AS exposure,
        max(severity) FILTER (aspect = 'collimation') AS collimation,
        max(severity) FILTER (aspect = 'positioning') AS positioning,
        max(severity) FILTER (aspect = 'artifact') AS artifact,
        coalesce(list(aspect ORDER BY severity DESC, aspect) FILTER (severity >= 1), []) AS defects
    FROM graded(source) GROUP BY ALL
), ruled AS (
    SELECT g.image_id, g.recipe_id, bool_or(r.regime = 'low') AS low
    FROM graded(source) AS g
    JOIN policy_rule AS r ON r.recipe_id = g.recipe_id AND r.aspect = g.aspect AND g.severity >= r.severity
    GROUP BY ALL
), weighed AS (
    SELECT v.image_id, v.recipe_id, 1 / (1 + exp(b.bias + coalesce(a.contribution, 0))) AS quality
    FROM query_table(source) AS v
    JOIN policy_bias AS b ON b.recipe_id = v.recipe_id AND b.domain = v.intensity_domain
    LEFT JOIN added AS a ON a.image_id = v.image_id AND a.recipe_id = v.recipe_id
    WHERE v.status IN ('ok', 'needs_review')
)
SELECT
    v.image_id,
    v.recipe_id,
    v.status,
    CASE
        WHEN w.quality < p.low OR r.low THEN 'low'
        WHEN w.quality < p.high OR r.low IS NOT NULL THEN 'borderline'
        WHEN w.quality IS NOT NULL THEN 'high'
    END AS regime,
    w.quality,
    s.noise,
    s.blur,
    s.exposure,
    s.collimation,
    s.positioning,
    s.artifact,
    coalesce(s.defects, []) AS defects,
    v.route,
    v.rationale,
    v.created_at
FROM query_table(source) AS v
LEFT JOIN weighed AS w USING (image_id, recipe_id)
LEFT JOIN severities AS s USING (image_id, recipe_id)
LEFT JOIN ruled AS r USING (image_id, recipe_id)
LEFT JOIN policy_regime AS p USING (recipe_id);

CREATE TABLE label (
    image_id VARCHAR,
    recipe_id VARCHAR,
    status VARCHAR NOT NULL,
    regime VARCHAR,
    quality DOUBLE,
    noise TINYINT,
    blur TINYINT,
    exposure TINYINT,
    collimation TINYINT,
    positioning TINYINT,
    artifact TINYINT,
    defects VARCHAR[],
    route VARCHAR NOT NULL,
    rationale VARCHAR NOT NULL,
    created_at TIMESTAMP NOT NULL,
    PRIMARY KEY (image_id, recipe_id)
);

CREATE VIEW labels AS
SELECT
    l.image_id,
    i.subject_id,
    i.study_id,
    i.path,
    i.view_position,
    i.official_split,
    l.status,
    l.regime,
    l.quality,
    l.noise,
    l.blur,
    l.exposure,
    l.collimation,
    l.positioning,
    l.artifact,
    l.defects,
    l.route,
    NULL::DOUBLE AS judge_confidence,
    l.rationale,
    l.recipe_id,
    l.created_at
FROM label AS l
JOIN image AS i USING (image_id)
WHERE l.recipe_id = (SELECT recipe_id FROM recipe ORDER BY used_at DESC, recipe_id LIMIT 1);
