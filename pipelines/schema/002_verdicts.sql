CREATE TABLE recipe (
    recipe_id VARCHAR PRIMARY KEY,
    measure_id VARCHAR NOT NULL,
    body JSON NOT NULL,
    used_at TIMESTAMP NOT NULL
);
COMMENT ON TABLE recipe IS 'Everything that can change a verdict, one row a combination.';
COMMENT ON COLUMN recipe.recipe_id IS 'sha256 of the canonical JSON in body.';
COMMENT ON COLUMN recipe.measure_id IS 'sha256 of that part of body that can change a raw measure.';
COMMENT ON COLUMN recipe.body IS 'Reader and tool versions, policy with its reference quantiles, judge.';
COMMENT ON COLUMN recipe.used_at IS 'When a run last used it (UTC); the latest one is what labels shows.';

CREATE TABLE recipe_tool (
    recipe_id VARCHAR,
    measure VARCHAR,
    tool VARCHAR NOT NULL,
    metric VARCHAR NOT NULL,
    tool_version INTEGER NOT NULL,
    unit VARCHAR NOT NULL,
    PRIMARY KEY (recipe_id, measure)
);
COMMENT ON TABLE recipe_tool IS 'Measures a recipe takes.';
COMMENT ON COLUMN recipe_tool.recipe_id IS 'Recipe (recipe.recipe_id).';
COMMENT ON COLUMN recipe_tool.measure IS 'tool.metric, the key in verdict.measures.';
COMMENT ON COLUMN recipe_tool.tool IS 'Quality tool.';
COMMENT ON COLUMN recipe_tool.metric IS 'Measure of that tool.';
COMMENT ON COLUMN recipe_tool.tool_version IS 'Version of the measure.';
COMMENT ON COLUMN recipe_tool.unit IS 'Unit of its values.';

CREATE TABLE run (
    run_id VARCHAR PRIMARY KEY,
    recipe_id VARCHAR NOT NULL,
    command VARCHAR NOT NULL,
    settings JSON NOT NULL,
    versions JSON NOT NULL,
    host VARCHAR NOT NULL,
    process INTEGER NOT NULL,
    started_at TIMESTAMP NOT NULL,
    ended_at TIMESTAMP,
    exit_code INTEGER
);
COMMENT ON TABLE run IS 'Every annotate run.';
COMMENT ON COLUMN run.run_id IS 'Start time and a random suffix.';
COMMENT ON COLUMN run.recipe_id IS 'What the run judged by (recipe.recipe_id).';
COMMENT ON COLUMN run.command IS 'Command line.';
COMMENT ON COLUMN run.settings IS 'Settings as resolved.';
COMMENT ON COLUMN run.versions IS 'Versions of Python and the packages that touch pixels or rows.';
COMMENT ON COLUMN run.host IS 'Host name.';
COMMENT ON COLUMN run.process IS 'Process number on that host.';
COMMENT ON COLUMN run.started_at IS 'Start (UTC).';
COMMENT ON COLUMN run.ended_at IS 'End (UTC); NULL while it runs and where it was killed.';
COMMENT ON COLUMN run.exit_code IS 'Exit code; NULL while it runs and where it was killed.';

CREATE TABLE verdict (
    image_id VARCHAR,
    recipe_id VARCHAR,
    run_id VARCHAR NOT NULL,
    status VARCHAR NOT NULL CHECK (status IN ('ok', 'needs_review', 'unreadable', 'failed')),
    route VARCHAR NOT NULL CHECK (route IN ('tools', 'judge')),
    rationale VARCHAR NOT NULL,
    error_code VARCHAR,
    error_detail VARCHAR,
    sha256 VARCHAR,
    fingerprint VARCHAR,
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
    PRIMARY KEY (recipe_id, image_id)
);
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

CREATE TABLE ingested_shard (
    sha256 VARCHAR PRIMARY KEY,
    name VARCHAR NOT NULL,
    verdicts INTEGER NOT NULL,
    ingested_at TIMESTAMP NOT NULL
);
COMMENT ON TABLE ingested_shard IS 'Shard files already merged, so that merging one again changes nothing.';
COMMENT ON COLUMN ingested_shard.sha256 IS 'sha256 of the file''s bytes.';
COMMENT ON COLUMN ingested_shard.name IS 'Name of the file.';
COMMENT ON COLUMN ingested_shard.verdicts IS 'Verdicts in it.';
COMMENT ON COLUMN ingested_shard.ingested_at IS 'When it was merged (UTC).';
