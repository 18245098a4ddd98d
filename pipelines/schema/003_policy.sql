CREATE TABLE policy_view (recipe_id VARCHAR, "view" VARCHAR, "group" VARCHAR NOT NULL, PRIMARY KEY (recipe_id, "view"));
COMMENT ON TABLE policy_view IS 'Policy: which view positions share reference quantiles; any other view is unknown.';
COMMENT ON COLUMN policy_view.recipe_id IS 'Recipe the policy belongs to.';
COMMENT ON COLUMN policy_view."view" IS 'View position, upper case.';
COMMENT ON COLUMN policy_view."group" IS 'View group.';

CREATE TABLE policy_reference (
    recipe_id VARCHAR,
    domain VARCHAR,
    "group" VARCHAR,
    measure VARCHAR,
    transform VARCHAR NOT NULL CHECK (transform IN ('identity', 'log', 'log1p')),
    median DOUBLE NOT NULL,
    scale DOUBLE NOT NULL CHECK (scale > 0),
    films INTEGER NOT NULL,
    PRIMARY KEY (recipe_id, domain, "group", measure)
);
COMMENT ON TABLE policy_reference IS 'Policy: what a measure is on good films; z = (transform(value) - median) / scale.';
COMMENT ON COLUMN policy_reference.recipe_id IS 'Recipe the policy belongs to.';
COMMENT ON COLUMN policy_reference.domain IS 'Intensity domain.';
COMMENT ON COLUMN policy_reference."group" IS 'View group.';
COMMENT ON COLUMN policy_reference.measure IS 'tool.metric.';
COMMENT ON COLUMN policy_reference.transform IS 'identity, log (natural, from 1e-6 on) or log1p (of values from 0 on).';
COMMENT ON COLUMN policy_reference.median IS 'Median of the transformed measure.';
COMMENT ON COLUMN policy_reference.scale IS 'Robust spread of the transformed measure.';
COMMENT ON COLUMN policy_reference.films IS 'Films behind the row.';

CREATE TABLE policy_severity (
    recipe_id VARCHAR,
    domain VARCHAR NOT NULL,
    aspect VARCHAR NOT NULL,
    measure VARCHAR NOT NULL,
    "on" VARCHAR NOT NULL CHECK ("on" IN ('z', 'value')),
    direction TINYINT NOT NULL CHECK (direction IN (-1, 1)),
    cuts DOUBLE[] NOT NULL
);
COMMENT ON TABLE policy_severity IS 'Policy: cut points from a measure to the severity of an aspect; the worst measure counts.';
COMMENT ON COLUMN policy_severity.recipe_id IS 'Recipe the policy belongs to.';
COMMENT ON COLUMN policy_severity.domain IS 'Intensity domain.';
COMMENT ON COLUMN policy_severity.aspect IS 'noise, blur, exposure, collimation, positioning or artifact.';
COMMENT ON COLUMN policy_severity.measure IS 'tool.metric.';
COMMENT ON COLUMN policy_severity."on" IS 'Whether the cuts are on z or on the raw value.';
COMMENT ON COLUMN policy_severity.direction IS '1 where larger is worse, -1 where smaller is.';
COMMENT ON COLUMN policy_severity.cuts IS 'Where severity 1, 2 and 3 begin.';

CREATE TABLE policy_term (
    recipe_id VARCHAR,
    domain VARCHAR NOT NULL,
    measure VARCHAR NOT NULL,
    direction TINYINT NOT NULL CHECK (direction IN (-1, 1)),
    low DOUBLE NOT NULL,
    high DOUBLE NOT NULL,
    weight DOUBLE NOT NULL CHECK (weight >= 0)
);
COMMENT ON TABLE policy_term IS 'Policy: what a measure adds to the log-odds of low quality: weight * clip(direction * z, low, high).';
COMMENT ON COLUMN policy_term.recipe_id IS 'Recipe the policy belongs to.';
COMMENT ON COLUMN policy_term.domain IS 'Intensity domain.';
COMMENT ON COLUMN policy_term.measure IS 'tool.metric.';
COMMENT ON COLUMN policy_term.direction IS '1 where larger is worse, -1 where smaller is.';
COMMENT ON COLUMN policy_term.low IS 'Smallest directed z that counts.';
COMMENT ON COLUMN policy_term.high IS 'Largest directed z that counts.';
COMMENT ON COLUMN policy_term.weight IS 'Log-odds a unit of z.';

CREATE TABLE policy_bias (recipe_id VARCHAR, domain VARCHAR, bias DOUBLE NOT NULL, PRIMARY KEY (recipe_id, domain));
COMMENT ON TABLE policy_bias IS 'Policy: log-odds of low quality before any measure speaks.';
COMMENT ON COLUMN policy_bias.recipe_id IS 'Recipe the policy belongs to.';
COMMENT ON COLUMN policy_bias.domain IS 'Intensity domain.';
COMMENT ON COLUMN policy_bias.bias IS 'Log-odds.';

CREATE TABLE policy_regime (recipe_id VARCHAR PRIMARY KEY, low DOUBLE NOT NULL, high DOUBLE NOT NULL);
COMMENT ON TABLE policy_regime IS 'Policy: quality below low is low, from high on high, between them borderline.';
COMMENT ON COLUMN policy_regime.recipe_id IS 'Recipe the policy belongs to.';
COMMENT ON COLUMN policy_regime.low IS 'Quality below which a film is low.';
COMMENT ON COLUMN policy_regime.high IS 'Quality from which a film is high.';

CREATE TABLE policy_rule (
    recipe_id VARCHAR,
    aspect VARCHAR NOT NULL,
    severity TINYINT NOT NULL,
    regime VARCHAR NOT NULL CHECK (regime IN ('low', 'borderline'))
);
COMMENT ON TABLE policy_rule IS 'Policy: severities that alone make a film low or borderline, whatever its quality.';
COMMENT ON COLUMN policy_rule.recipe_id IS 'Recipe the policy belongs to.';
COMMENT ON COLUMN policy_rule.aspect IS 'Aspect.';
COMMENT ON COLUMN policy_rule.severity IS 'Severity from which the rule holds.';
COMMENT ON COLUMN policy_rule.regime IS 'The best regime such a film can have.';
