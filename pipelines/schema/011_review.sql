CREATE TABLE review (
    image_id VARCHAR,
    reader VARCHAR,
    regime VARCHAR CHECK (regime IN ('high', 'borderline', 'low')),
    noise BOOLEAN,
    blur BOOLEAN,
    exposure BOOLEAN,
    collimation BOOLEAN,
    positioning BOOLEAN,
    artifact BOOLEAN,
    blind BOOLEAN NOT NULL,
    read_at TIMESTAMP NOT NULL,
    imported_at TIMESTAMP NOT NULL,
    PRIMARY KEY (image_id, reader)
);
COMMENT ON TABLE review IS 'What readers said about films, one row a film and reader; the latest read of a reader counts.';
COMMENT ON COLUMN review.image_id IS 'Film (image.image_id).';
COMMENT ON COLUMN review.reader IS 'Name the reader gave.';
COMMENT ON COLUMN review.regime IS 'high, borderline or low; NULL where the reader did not say.';
COMMENT ON COLUMN review.noise IS 'Whether the reader finds noise; NULL where the reader did not say.';
COMMENT ON COLUMN review.blur IS 'Whether the reader finds blur; NULL where the reader did not say.';
COMMENT ON COLUMN review.exposure IS 'Whether the reader finds the exposure wrong; NULL where the reader did not say.';
COMMENT ON COLUMN review.collimation IS 'Whether the reader finds the collimation wrong; NULL where the reader did not say.';
COMMENT ON COLUMN review.positioning IS 'Whether the reader finds the positioning wrong; NULL where the reader did not say.';
COMMENT ON COLUMN review.artifact IS 'Whether the reader finds an artifact; NULL where the reader did not say.';
COMMENT ON COLUMN review.blind IS 'Whether the agent''s verdict was hidden from the reader.';
COMMENT ON COLUMN review.read_at IS 'When the film was read (UTC).';
COMMENT ON COLUMN review.imported_at IS 'When the read was imported (UTC).';
