-- Materialised with each batch, catalog columns included: any query on `labels` is one scan.
CREATE TABLE label (
    image_id VARCHAR,
    subject_id VARCHAR,
    study_id VARCHAR,
    path VARCHAR NOT NULL,
    view_position VARCHAR,
    official_split VARCHAR,
    status VARCHAR NOT NULL,
    regime VARCHAR,
    quality DOUBLE,
    noise TINYINT,
    blur TINYINT,
    exposure TINYINT,
    collimation TINYINT,
    positioning TINYINT,
    artifact TINYINT,
    defects VARCHAR[] NOT NULL,
    route VARCHAR NOT NULL,
    judge_confidence DOUBLE,
    rationale VARCHAR NOT NULL,
    fingerprint VARCHAR,
    recipe_id VARCHAR,
    created_at TIMESTAMP NOT NULL,
    PRIMARY KEY (recipe_id, image_id)
);
COMMENT ON TABLE label IS 'Rows of labels for every recipe, written with the verdicts they follow from.';
COMMENT ON COLUMN label.image_id IS 'dicom_id in MIMIC-CXR; elsewhere the path below its folder without the suffix.';
COMMENT ON COLUMN label.subject_id IS 'Patient.';
COMMENT ON COLUMN label.study_id IS 'Study.';
COMMENT ON COLUMN label.path IS 'Path below the catalogued folder.';
COMMENT ON COLUMN label.view_position IS 'View position by the catalog (AP, PA, LATERAL, LL …).';
COMMENT ON COLUMN label.official_split IS 'Split as published: train, validate or test.';
COMMENT ON COLUMN label.status IS 'ok, needs_review, unreadable (the file''s fault) or failed (ours or the judge''s).';
COMMENT ON COLUMN label.regime IS 'high, borderline or low; NULL where there is no verdict on quality.';
COMMENT ON COLUMN label.quality IS 'Probability that a reader would not call the film low-quality: 0 worst … 1 best.';
COMMENT ON COLUMN label.noise IS 'Severity of noise: 0 none … 3 severe; NULL where it cannot be measured.';
COMMENT ON COLUMN label.blur IS 'Severity of blur: 0 none … 3 severe; NULL where it cannot be measured.';
COMMENT ON COLUMN label.exposure IS 'Severity of wrong exposure: 0 none … 3 severe; NULL where it cannot be measured.';
COMMENT ON COLUMN label.collimation IS 'Severity of wrong collimation: 0 none … 3 severe; NULL where it cannot be measured.';
COMMENT ON COLUMN label.positioning IS 'Severity of wrong positioning: 0 none … 3 severe; NULL where it cannot be measured.';
COMMENT ON COLUMN label.artifact IS 'Severity of artifacts: 0 none … 3 severe; NULL where it cannot be measured.';
COMMENT ON COLUMN label.defects IS 'Aspects with severity 1 or more, the worst first.';
COMMENT ON COLUMN label.route IS 'Who decided: tools or judge.';
COMMENT ON COLUMN label.judge_confidence IS 'How sure the judge was, 0 … 1; NULL where none was asked.';
COMMENT ON COLUMN label.rationale IS 'Why, in words.';
COMMENT ON COLUMN label.fingerprint IS '256-bit perceptual hash, hex; near duplicates differ in few bits.';
COMMENT ON COLUMN label.recipe_id IS 'Recipe the verdict was made by (recipes.recipe_id).';
COMMENT ON COLUMN label.created_at IS 'When the verdict was written (UTC).';

CREATE MACRO latest_recipe() AS (SELECT recipe_id FROM recipe ORDER BY used_at DESC, recipe_id LIMIT 1);

CREATE VIEW labels AS FROM label WHERE recipe_id = latest_recipe();
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
COMMENT ON COLUMN labels.rationale IS 'Why, in words.';
COMMENT ON COLUMN labels.fingerprint IS '256-bit perceptual hash, hex; near duplicates differ in few bits.';
COMMENT ON COLUMN labels.recipe_id IS 'Recipe the verdict was made by (recipes.recipe_id).';
COMMENT ON COLUMN labels.created_at IS 'When the verdict was written (UTC).';
