CREATE OR REPLACE VIEW labels AS
SELECT
    v.image_id,
    i.subject_id,
    i.study_id,
    i.path,
    i.view_position,
    i.official_split,
    v.status,
    v.regime,
    v.quality,
    v.noise,
    v.blur,
    v.exposure,
    v.collimation,
    v.positioning,
    v.artifact,
    v.defects,
    v.route,
    v.judge_confidence,
    nullif(v.rationale, '') AS rationale,
    v.fingerprint,
    v.recipe_id,
    v.created_at
FROM verdict AS v
JOIN image AS i USING (image_id)
WHERE v.recipe_id = latest_recipe();
COMMENT ON VIEW labels IS 'The verdict on each image under the latest recipe, one row an image.';
COMMENT ON COLUMN labels.image_id IS 'dicom_id in MIMIC-CXR; elsewhere the path below its folder without the suffix.';
COMMENT ON COLUMN labels.subject_id IS 'Patient.';
COMMENT ON COLUMN labels.study_id IS 'Study.';
COMMENT ON COLUMN labels.path IS 'Path below the catalogued folder.';
COMMENT ON COLUMN labels.view_position IS 'View position by the catalog (AP, PA, LATERAL, LL …).';
COMMENT ON COLUMN labels.official_split IS 'Split as published: train, validate or test.';
COMMENT ON COLUMN labels.status IS 'ok, needs_review, unreadable (the file''s fault) or failed (ours or the judge''s).';
COMMENT ON COLUMN labels.regime IS 'high, borderline or low; NULL where there is no verdict on quality.';
COMMENT ON COLUMN labels.quality IS 'Probability that a reader would not call the film low-quality: 0 worst … 1 best.';
COMMENT ON COLUMN labels.noise IS 'Severity of noise: 0 none … 3 severe; NULL where it cannot be measured.';
COMMENT ON COLUMN labels.blur IS 'Severity of blur: 0 none … 3 severe; NULL where it cannot be measured.';
COMMENT ON COLUMN labels.exposure IS 'Severity of wrong exposure: 0 none … 3 severe; NULL where it cannot be measured.';
COMMENT ON COLUMN labels.collimation IS 'Severity of wrong collimation: 0 none … 3 severe; NULL where it cannot be measured.';
COMMENT ON COLUMN labels.positioning IS 'Severity of wrong positioning: 0 none … 3 severe; NULL where it cannot be measured.';
COMMENT ON COLUMN labels.artifact IS 'Severity of artifacts: 0 none … 3 severe; NULL where it cannot be measured.';
COMMENT ON COLUMN labels.defects IS 'Aspects with severity 1 or more, the worst first.';
COMMENT ON COLUMN labels.route IS 'Who decided: tools or judge.';
COMMENT ON COLUMN labels.judge_confidence IS 'How sure the judge was, 0 … 1; NULL where none was asked.';
COMMENT ON COLUMN labels.rationale IS 'Why, in words; NULL where there is no verdict on quality.';
COMMENT ON COLUMN labels.fingerprint IS '256-bit perceptual hash, hex; near duplicates differ in few bits.';
COMMENT ON COLUMN labels.recipe_id IS 'Recipe the verdict was made by (recipes.recipe_id).';
COMMENT ON COLUMN labels.created_at IS 'When the verdict was written (UTC).';
