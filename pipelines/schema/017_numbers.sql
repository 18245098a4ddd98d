-- Images and recipes get numbers, and a verdict goes by these: to enter keys as long as MIMIC-CXR's ids, one by one, was more
-- than a third of a merge. Whoever adds an image or a recipe need not think of its number.
CREATE SEQUENCE image_numbers;
CREATE TABLE image_anew (
    image_id VARCHAR USING COMPRESSION uncompressed PRIMARY KEY,
    root_id INTEGER NOT NULL,
    path VARCHAR NOT NULL,
    subject_id VARCHAR,
    study_id VARCHAR,
    view_position VARCHAR,
    official_split VARCHAR CHECK (official_split IN ('train', 'validate', 'test')),
    "rows" INTEGER,
    "columns" INTEGER,
    study_date VARCHAR,
    study_time VARCHAR,
    procedure VARCHAR,
    orientation VARCHAR,
    image_number INTEGER NOT NULL UNIQUE DEFAULT nextval('image_numbers')
);
INSERT INTO image_anew BY NAME FROM image;
DROP TABLE image;
ALTER TABLE image_anew RENAME TO image;
COMMENT ON TABLE image IS 'The catalog: every image that was found, one row each.';
COMMENT ON COLUMN image.image_id IS 'dicom_id in MIMIC-CXR; elsewhere the path below its folder without the suffix.';
COMMENT ON COLUMN image.root_id IS 'The catalogued folder the image lies in (root.root_id).';
COMMENT ON COLUMN image.path IS 'Path below that folder, with forward slashes.';
COMMENT ON COLUMN image.subject_id IS 'Patient.';
COMMENT ON COLUMN image.study_id IS 'Study: one visit, one report, one or more images.';
COMMENT ON COLUMN image.view_position IS 'View position by the catalog (AP, PA, LATERAL, LL …).';
COMMENT ON COLUMN image.official_split IS 'Split as published: train, validate or test.';
COMMENT ON COLUMN image."rows" IS 'Height in pixels by the catalog.';
COMMENT ON COLUMN image."columns" IS 'Width in pixels by the catalog.';
COMMENT ON COLUMN image.study_date IS 'Study date, YYYYMMDD, shifted by de-identification.';
COMMENT ON COLUMN image.study_time IS 'Study time, HHMMSS.';
COMMENT ON COLUMN image.procedure IS 'Performed procedure step description.';
COMMENT ON COLUMN image.orientation IS 'Patient orientation (Erect, Recumbent).';
COMMENT ON COLUMN image.image_number IS 'Number of the image in this database.';

CREATE SEQUENCE recipe_numbers;
CREATE TABLE recipe_anew (
    recipe_id VARCHAR PRIMARY KEY,
    measure_id VARCHAR NOT NULL,
    body JSON NOT NULL,
    used_at TIMESTAMP NOT NULL,
    recipe_number INTEGER NOT NULL UNIQUE DEFAULT nextval('recipe_numbers')
);
INSERT INTO recipe_anew BY NAME FROM recipe;
DROP TABLE recipe;
ALTER TABLE recipe_anew RENAME TO recipe;
COMMENT ON TABLE recipe IS 'Everything that can change a verdict, one row a combination.';
COMMENT ON COLUMN recipe.recipe_id IS 'sha256 of the canonical JSON in body.';
COMMENT ON COLUMN recipe.measure_id IS 'sha256 of that part of body that can change a raw measure.';
COMMENT ON COLUMN recipe.body IS 'Reader and tool versions, policy with its reference quantiles, judge.';
COMMENT ON COLUMN recipe.used_at IS 'When a run last used it (UTC); the latest one is what labels shows.';
COMMENT ON COLUMN recipe.recipe_number IS 'Number of the recipe in this database.';

-- Rows of the verdicts' shape with their numbers, NULL for an image or a recipe that this database lacks: `verdict` takes no such row.
CREATE MACRO numbered(source) AS TABLE
SELECT v.*, i.image_number, r.recipe_number
FROM query_table(source) AS v
LEFT JOIN image AS i USING (image_id)
LEFT JOIN recipe AS r USING (recipe_id);

CREATE TABLE verdict_anew (
    image_id VARCHAR USING COMPRESSION uncompressed NOT NULL,
    recipe_id VARCHAR NOT NULL,
    run_id VARCHAR NOT NULL,
    status VARCHAR NOT NULL CHECK (status IN ('ok', 'needs_review', 'unreadable', 'failed')),
    route VARCHAR NOT NULL CHECK (route IN ('tools', 'judge')),
    rationale VARCHAR NOT NULL,
    error_code VARCHAR,
    error_detail VARCHAR,
    sha256 VARCHAR USING COMPRESSION uncompressed,
    fingerprint VARCHAR USING COMPRESSION uncompressed,
    file_bytes BIGINT,
    file_format VARCHAR,
    width INTEGER,
    height INTEGER,
    bits INTEGER,
    intensity_domain VARCHAR,
    "view" VARCHAR,
    notes VARCHAR[],
    measures MAP(VARCHAR, DOUBLE),
    elapsed_ms DOUBLE,
    created_at TIMESTAMP NOT NULL,
    judge_why VARCHAR,
    judge MAP(VARCHAR, DOUBLE[]),
    judge_confidence DOUBLE,
    judge_steps JSON,
    settled MAP(VARCHAR, TINYINT),
    rulings MAP(VARCHAR, VARCHAR),
    again MAP(VARCHAR, TINYINT),
    judge_reply VARCHAR,
    regime VARCHAR,
    quality DOUBLE,
    noise TINYINT,
    blur TINYINT,
    exposure TINYINT,
    collimation TINYINT,
    positioning TINYINT,
    artifact TINYINT,
    defects VARCHAR[],
    image_number INTEGER,
    recipe_number INTEGER,
    PRIMARY KEY (recipe_number, image_number)
);
INSERT INTO verdict_anew BY NAME FROM numbered('verdict');
DROP TABLE verdict;
ALTER TABLE verdict_anew RENAME TO verdict;
COMMENT ON TABLE verdict IS 'What each image gave under each recipe: one row, written in one piece.';
COMMENT ON COLUMN verdict.image_id IS 'Image (image.image_id).';
COMMENT ON COLUMN verdict.recipe_id IS 'Recipe (recipe.recipe_id).';
COMMENT ON COLUMN verdict.run_id IS 'Run that wrote the row (run.run_id).';
COMMENT ON COLUMN verdict.status IS 'ok, needs_review, unreadable (the file''s fault) or failed (ours or the judge''s).';
COMMENT ON COLUMN verdict.route IS 'Who decided: tools or judge.';
COMMENT ON COLUMN verdict.rationale IS 'Why, in words.';
COMMENT ON COLUMN verdict.error_code IS 'Stable code where status is unreadable or failed.';
COMMENT ON COLUMN verdict.error_detail IS 'What went wrong, for a person.';
COMMENT ON COLUMN verdict.sha256 IS 'sha256 of the file''s bytes.';
COMMENT ON COLUMN verdict.fingerprint IS '256-bit perceptual hash, hex; near duplicates differ in few bits.';
COMMENT ON COLUMN verdict.file_bytes IS 'Size of the file in bytes.';
COMMENT ON COLUMN verdict.file_format IS 'Format found in the file, whatever its suffix says.';
COMMENT ON COLUMN verdict.width IS 'Width in pixels.';
COMMENT ON COLUMN verdict.height IS 'Height in pixels.';
COMMENT ON COLUMN verdict.bits IS 'Bits a sample holds.';
COMMENT ON COLUMN verdict.intensity_domain IS 'What grey values mean: linear, presentation or equalised.';
COMMENT ON COLUMN verdict."view" IS 'View position the policy went by: the catalog''s, else the file''s.';
COMMENT ON COLUMN verdict.notes IS 'What reading the file had to do.';
COMMENT ON COLUMN verdict.measures IS 'Raw measures by tool.metric; one without meaning on this film is absent.';
COMMENT ON COLUMN verdict.elapsed_ms IS 'Wall time of reading and measuring, in ms.';
COMMENT ON COLUMN verdict.created_at IS 'When the row was written (UTC).';
COMMENT ON COLUMN verdict.judge_why IS 'Why a judge was asked: all, uncertain or audit; NULL where none was.';
COMMENT ON COLUMN verdict.judge IS 'Probability of severity 0, 1, 2 and 3 by aspect, as the judge gave them.';
COMMENT ON COLUMN verdict.judge_confidence IS 'How sure the judge was of its least sure aspect, 0.25 … 1.';
COMMENT ON COLUMN verdict.judge_steps IS 'More looks the judge asked for, in order: request, and what it was told.';
COMMENT ON COLUMN verdict.settled IS 'Severity by aspect after judge and tools were reconciled.';
COMMENT ON COLUMN verdict.rulings IS 'Who was right by aspect: tools, judge, again (the tools measured again), open (the judge is sure otherwise).';
COMMENT ON COLUMN verdict.again IS 'Severity by aspect of the tools measured again; empty where nothing was disputed.';
COMMENT ON COLUMN verdict.judge_reply IS 'The judge''s raw reply where it was no use.';
COMMENT ON COLUMN verdict.regime IS 'high, borderline or low; NULL where there is no verdict on quality.';
COMMENT ON COLUMN verdict.quality IS 'Probability that a reader would not call the film low-quality: 0 worst … 1 best.';
COMMENT ON COLUMN verdict.noise IS 'Severity of noise: 0 none … 3 severe; NULL where it cannot be measured.';
COMMENT ON COLUMN verdict.blur IS 'Severity of blur: 0 none … 3 severe; NULL where it cannot be measured.';
COMMENT ON COLUMN verdict.exposure IS 'Severity of wrong exposure: 0 none … 3 severe; NULL where it cannot be measured.';
COMMENT ON COLUMN verdict.collimation IS 'Severity of wrong collimation: 0 none … 3 severe; NULL where it cannot be measured.';
COMMENT ON COLUMN verdict.positioning IS 'Severity of wrong positioning: 0 none … 3 severe; NULL where it cannot be measured.';
COMMENT ON COLUMN verdict.artifact IS 'Severity of artifacts: 0 none … 3 severe; NULL where it cannot be measured.';
COMMENT ON COLUMN verdict.defects IS 'Aspects with severity 1 or more, the worst first.';
COMMENT ON COLUMN verdict.image_number IS 'Number of the image (image.image_number).';
COMMENT ON COLUMN verdict.recipe_number IS 'Number of the recipe (recipe.recipe_number).';
