-- A verdict's label in its own row: what a shard file holds is stored as it is, and an image costs one row.
ALTER TABLE verdict ADD COLUMN regime VARCHAR;
ALTER TABLE verdict ADD COLUMN quality DOUBLE;
ALTER TABLE verdict ADD COLUMN noise TINYINT;
ALTER TABLE verdict ADD COLUMN blur TINYINT;
ALTER TABLE verdict ADD COLUMN exposure TINYINT;
ALTER TABLE verdict ADD COLUMN collimation TINYINT;
ALTER TABLE verdict ADD COLUMN positioning TINYINT;
ALTER TABLE verdict ADD COLUMN artifact TINYINT;
ALTER TABLE verdict ADD COLUMN defects VARCHAR[];
UPDATE verdict SET
    regime = l.regime,
    quality = l.quality,
    noise = l.noise,
    blur = l.blur,
    exposure = l.exposure,
    collimation = l.collimation,
    positioning = l.positioning,
    artifact = l.artifact,
    defects = l.defects
FROM label AS l
WHERE l.image_id = verdict.image_id AND l.recipe_id = verdict.recipe_id;
DROP VIEW labels;
DROP TABLE label;
COMMENT ON COLUMN verdict.regime IS 'high, borderline or low; NULL where there is no verdict on quality.';
COMMENT ON COLUMN verdict.quality IS 'Probability that a reader would not call the film low-quality: 0 worst … 1 best.';
COMMENT ON COLUMN verdict.noise IS 'Severity of noise: 0 none … 3 severe; NULL where it cannot be measured.';
COMMENT ON COLUMN verdict.blur IS 'Severity of blur: 0 none … 3 severe; NULL where it cannot be measured.';
COMMENT ON COLUMN verdict.exposure IS 'Severity of wrong exposure: 0 none … 3 severe; NULL where it cannot be measured.';
COMMENT ON COLUMN verdict.collimation IS 'Severity of wrong collimation: 0 none … 3 severe; NULL where it cannot be measured.';
COMMENT ON COLUMN verdict.positioning IS 'Severity of wrong positioning: 0 none … 3 severe; NULL where it cannot be measured.';
COMMENT ON COLUMN verdict.artifact IS 'Severity of artifacts: 0 none … 3 severe; NULL where it cannot be measured.';
COMMENT ON COLUMN verdict.defects IS 'Aspects with severity 1 or more, the worst first.';

-- Some databases were made before a judge's scores could be shifted.
ALTER TABLE policy_judge_aspect ADD COLUMN IF NOT EXISTS shift DOUBLE DEFAULT 0;
COMMENT ON COLUMN policy_judge_aspect.shift IS 'What the log-odds of any severity above 0 are raised by after that.';
