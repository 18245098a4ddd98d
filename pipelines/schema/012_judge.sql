-- What a judge said, in the same row as the measures it looked beside.
ALTER TABLE verdict ADD COLUMN judge_why VARCHAR;
ALTER TABLE verdict ADD COLUMN judge MAP(VARCHAR, DOUBLE[]);
ALTER TABLE verdict ADD COLUMN judge_confidence DOUBLE;
ALTER TABLE verdict ADD COLUMN judge_steps JSON;
ALTER TABLE verdict ADD COLUMN settled MAP(VARCHAR, TINYINT);
ALTER TABLE verdict ADD COLUMN rulings MAP(VARCHAR, VARCHAR);
ALTER TABLE verdict ADD COLUMN again MAP(VARCHAR, TINYINT);
ALTER TABLE verdict ADD COLUMN judge_reply VARCHAR;
COMMENT ON COLUMN verdict.judge_why IS 'Why a judge was asked: all, uncertain or audit; NULL where none was.';
COMMENT ON COLUMN verdict.judge IS 'Probability of severity 0, 1, 2 and 3 by aspect, as the judge gave them.';
COMMENT ON COLUMN verdict.judge_confidence IS 'How sure the judge was of its least sure aspect, 0.25 … 1.';
COMMENT ON COLUMN verdict.judge_steps IS 'More looks the judge asked for, in order: request, and what it was told.';
COMMENT ON COLUMN verdict.settled IS 'Severity by aspect after judge and tools were reconciled.';
COMMENT ON COLUMN verdict.rulings IS 'Who was right by aspect: tools, judge, again (the tools measured again), open (the judge is sure otherwise).';
COMMENT ON COLUMN verdict.again IS 'Severity by aspect of the tools measured again; empty where nothing was disputed.';
COMMENT ON COLUMN verdict.judge_reply IS 'The judge''s raw reply where it was no use.';

CREATE TABLE policy_judge (
    recipe_id VARCHAR PRIMARY KEY,
    tools DOUBLE NOT NULL CHECK (tools >= 0),
    bias DOUBLE NOT NULL,
    low DOUBLE NOT NULL,
    high DOUBLE NOT NULL
);
COMMENT ON TABLE policy_judge IS 'Policy: how the judge joins the tools; log-odds of low quality = bias + tools * log-odds by the tools + weights.';
COMMENT ON COLUMN policy_judge.recipe_id IS 'Recipe the policy belongs to.';
COMMENT ON COLUMN policy_judge.tools IS 'What the log-odds by the tools are multiplied by.';
COMMENT ON COLUMN policy_judge.bias IS 'Log-odds where neither has anything to say.';
COMMENT ON COLUMN policy_judge.low IS 'Quality below which a judged film is low.';
COMMENT ON COLUMN policy_judge.high IS 'Quality from which a judged film is high.';

CREATE TABLE policy_judge_aspect (
    recipe_id VARCHAR,
    aspect VARCHAR,
    temperature DOUBLE NOT NULL CHECK (temperature > 0),
    shift DOUBLE NOT NULL,
    weight DOUBLE NOT NULL CHECK (weight >= 0),
    PRIMARY KEY (recipe_id, aspect)
);
COMMENT ON TABLE policy_judge_aspect IS 'Policy: what an aspect counts that the judge grades.';
COMMENT ON COLUMN policy_judge_aspect.recipe_id IS 'Recipe the policy belongs to.';
COMMENT ON COLUMN policy_judge_aspect.aspect IS 'noise, blur, exposure, collimation, positioning or artifact.';
COMMENT ON COLUMN policy_judge_aspect.temperature IS 'What the judge''s log-probabilities are divided by.';
COMMENT ON COLUMN policy_judge_aspect.shift IS 'What the log-odds of any severity above 0 are raised by after that.';
COMMENT ON COLUMN policy_judge_aspect.weight IS 'Log-odds of low quality a unit of expected severity.';

CREATE VIEW judgements AS
WITH told AS (
    SELECT *, unnest(map_keys(judge)) AS aspect, unnest(map_values(judge)) AS p FROM verdict WHERE judge IS NOT NULL
)
SELECT
    image_id,
    recipe_id,
    aspect,
    judge_why AS why,
    p[1] AS p0,
    p[2] AS p1,
    p[3] AS p2,
    p[4] AS p3,
    p[2] + 2 * p[3] + 3 * p[4] AS expected,
    again[aspect] AS again,
    settled[aspect] AS severity,
    rulings[aspect] AS decided_by
FROM told;
COMMENT ON VIEW judgements IS 'What the judge said and what came of it, one row an image, recipe and aspect.';
COMMENT ON COLUMN judgements.image_id IS 'Image.';
COMMENT ON COLUMN judgements.recipe_id IS 'Recipe.';
COMMENT ON COLUMN judgements.aspect IS 'noise, blur, exposure, collimation, positioning or artifact.';
COMMENT ON COLUMN judgements.why IS 'Why the judge was asked: all, uncertain or audit.';
COMMENT ON COLUMN judgements.p0 IS 'Probability of severity 0, as the judge gave it.';
COMMENT ON COLUMN judgements.p1 IS 'Probability of severity 1.';
COMMENT ON COLUMN judgements.p2 IS 'Probability of severity 2.';
COMMENT ON COLUMN judgements.p3 IS 'Probability of severity 3.';
COMMENT ON COLUMN judgements.expected IS 'Expected severity, 0 … 3.';
COMMENT ON COLUMN judgements.again IS 'Severity by the tools measured again; NULL where nothing was disputed.';
COMMENT ON COLUMN judgements.severity IS 'Severity after judge and tools were reconciled.';
COMMENT ON COLUMN judgements.decided_by IS 'tools, judge, again (the tools measured again) or open (the judge is sure otherwise).';
