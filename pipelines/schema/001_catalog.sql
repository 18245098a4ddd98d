CREATE TABLE root (
    root_id INTEGER PRIMARY KEY,
    path VARCHAR NOT NULL UNIQUE,
    added_at TIMESTAMP NOT NULL
);
COMMENT ON TABLE root IS 'Folders that were catalogued.';
COMMENT ON COLUMN root.root_id IS 'Small number an image names its folder by.';
COMMENT ON COLUMN root.path IS 'Absolute path of the folder.';
COMMENT ON COLUMN root.added_at IS 'When it was first catalogued (UTC).';

CREATE TABLE image (
    image_id VARCHAR PRIMARY KEY,
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
    orientation VARCHAR
);
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

CREATE TABLE report (
    study_id VARCHAR PRIMARY KEY,
    subject_id VARCHAR,
    path VARCHAR,
    findings VARCHAR,
    impression VARCHAR,
    last_paragraph VARCHAR,
    comparison VARCHAR,
    indication VARCHAR,
    technique VARCHAR,
    history VARCHAR
);
COMMENT ON TABLE report IS 'Sections of the radiology reports, one row a study; an absent section is NULL.';
COMMENT ON COLUMN report.study_id IS 'Study the report is about.';
COMMENT ON COLUMN report.subject_id IS 'Patient.';
COMMENT ON COLUMN report.path IS 'Path of the report''s file below the catalogued folder.';
COMMENT ON COLUMN report.findings IS 'Findings section.';
COMMENT ON COLUMN report.impression IS 'Impression section.';
COMMENT ON COLUMN report.last_paragraph IS 'Last paragraph, where neither findings nor impression is marked.';
COMMENT ON COLUMN report.comparison IS 'Comparison section.';
COMMENT ON COLUMN report.indication IS 'Indication section.';
COMMENT ON COLUMN report.technique IS 'Technique section.';
COMMENT ON COLUMN report.history IS 'History section.';

CREATE TABLE finding_label (
    study_id VARCHAR,
    labeler VARCHAR,
    finding VARCHAR,
    value TINYINT NOT NULL CHECK (value IN (-1, 0, 1)),
    PRIMARY KEY (study_id, labeler, finding)
);
COMMENT ON TABLE finding_label IS 'Published finding labels, one row a study, labeler and mentioned finding.';
COMMENT ON COLUMN finding_label.study_id IS 'Study.';
COMMENT ON COLUMN finding_label.labeler IS 'Who labelled: chexpert, negbio, radiologist (the hand-labelled test set), chexbert, mesh, padchest.';
COMMENT ON COLUMN finding_label.finding IS 'Name of the finding.';
COMMENT ON COLUMN finding_label.value IS '1 positive, 0 negative, -1 uncertain.';
