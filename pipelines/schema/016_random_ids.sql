-- Table verdict made anew, as one statement: ids and hashes are stored as they are. They are random, so trying how small they
-- get takes a merge longer and gains little.
CREATE TABLE verdict_anew (
    image_id VARCHAR USING COMPRESSION uncompressed,
    recipe_id VARCHAR,
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
    PRIMARY KEY (recipe_id, image_id)
);
INSERT INTO verdict_anew BY NAME FROM verdict;
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
