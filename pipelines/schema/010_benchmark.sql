CREATE TABLE benchmark_case (
    case_id VARCHAR,
    track VARCHAR,
    split VARCHAR NOT NULL CHECK (split IN ('train', 'train_holdout', 'validate', 'test')),
    study_id VARCHAR NOT NULL,
    subject_id VARCHAR NOT NULL,
    image_id VARCHAR NOT NULL,
    regime VARCHAR NOT NULL,
    "view" VARCHAR NOT NULL,
    defect VARCHAR NOT NULL,
    severity TINYINT NOT NULL,
    pair VARCHAR NOT NULL,
    PRIMARY KEY (case_id, track)
);
COMMENT ON TABLE benchmark_case IS 'Cases of the benchmark as last materialised, one row a case and track.';
COMMENT ON COLUMN benchmark_case.case_id IS 'What a prediction answers.';
COMMENT ON COLUMN benchmark_case.track IS 'T1 natural, T2 within-study twins, T3 within-patient pairs, T4 synthetic twins, T5 whole official test; T1h to T3h on the hold-out; empty for training cases.';
COMMENT ON COLUMN benchmark_case.split IS 'train, train_holdout, validate or test.';
COMMENT ON COLUMN benchmark_case.study_id IS 'Study whose report is to be generated: the unit of scoring.';
COMMENT ON COLUMN benchmark_case.subject_id IS 'Patient: the unit of resampling.';
COMMENT ON COLUMN benchmark_case.image_id IS 'Film shown.';
COMMENT ON COLUMN benchmark_case.regime IS 'Quality regime of that film: high, borderline or low.';
COMMENT ON COLUMN benchmark_case."view" IS 'View position of that film.';
COMMENT ON COLUMN benchmark_case.defect IS 'Synthetic defect (T4), else empty.';
COMMENT ON COLUMN benchmark_case.severity IS 'Severity of the synthetic defect, 1 to 5; 0 for natural films.';
COMMENT ON COLUMN benchmark_case.pair IS 'Pair of T2 or T3 the case is a member of, else empty.';

CREATE VIEW lrrg_split AS
SELECT DISTINCT image_id, study_id, subject_id, split, regime, track FROM benchmark_case WHERE severity = 0;
COMMENT ON VIEW lrrg_split IS 'Natural films of the LRRG (Low-quality Radiology Report Generation) benchmark, one row a film and track.';
COMMENT ON COLUMN lrrg_split.image_id IS 'Film.';
COMMENT ON COLUMN lrrg_split.study_id IS 'Study.';
COMMENT ON COLUMN lrrg_split.subject_id IS 'Patient.';
COMMENT ON COLUMN lrrg_split.split IS 'train, train_holdout, validate or test.';
COMMENT ON COLUMN lrrg_split.regime IS 'Quality regime: high, borderline or low.';
COMMENT ON COLUMN lrrg_split.track IS 'Track, empty for training cases.';

CREATE TABLE scores (
    model VARCHAR NOT NULL,
    track VARCHAR NOT NULL,
    regime VARCHAR NOT NULL,
    "view" VARCHAR NOT NULL,
    defect VARCHAR NOT NULL,
    severity TINYINT NOT NULL,
    metric VARCHAR NOT NULL,
    quantity VARCHAR NOT NULL,
    value DOUBLE,
    low DOUBLE,
    high DOUBLE,
    studies INTEGER,
    patients INTEGER,
    signature VARCHAR NOT NULL
);
COMMENT ON TABLE scores IS 'Benchmark scores as last computed, one row a model, cell, metric and quantity.';
COMMENT ON COLUMN scores.model IS 'Name of the report model or baseline.';
COMMENT ON COLUMN scores.track IS 'Track of the cell.';
COMMENT ON COLUMN scores.regime IS 'Quality regime of the cell, or all.';
COMMENT ON COLUMN scores."view" IS 'View position of the cell, or all.';
COMMENT ON COLUMN scores.defect IS 'Natural aspect or synthetic defect of the cell; all, seen and unseen are means over defects.';
COMMENT ON COLUMN scores.severity IS 'Synthetic severity, 0 for natural films and for quantities over all severities.';
COMMENT ON COLUMN scores.metric IS 'Metric.';
COMMENT ON COLUMN scores.quantity IS 'value, or what is derived from it (gap, retention, drop, corruption_error …).';
COMMENT ON COLUMN scores.value IS 'Estimate on all patients of the cell.';
COMMENT ON COLUMN scores.low IS 'Lower end of the 95 % patient-bootstrap interval.';
COMMENT ON COLUMN scores.high IS 'Upper end of the interval.';
COMMENT ON COLUMN scores.studies IS 'Studies in the cell.';
COMMENT ON COLUMN scores.patients IS 'Patients in the cell.';
COMMENT ON COLUMN scores.signature IS 'Every setting the number depends on.';
