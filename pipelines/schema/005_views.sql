CREATE VIEW measurements AS
WITH pairs AS (
    SELECT image_id, recipe_id, unnest(map_keys(measures)) AS measure, unnest(map_values(measures)) AS value FROM verdict
)
SELECT p.image_id, p.recipe_id, t.tool, t.tool_version, t.metric, p.value, t.unit
FROM pairs AS p
JOIN recipe_tool AS t USING (recipe_id, measure);
COMMENT ON VIEW measurements IS 'Raw measures in long form, one row an image, recipe and measure.';
COMMENT ON COLUMN measurements.image_id IS 'Image.';
COMMENT ON COLUMN measurements.recipe_id IS 'Recipe.';
COMMENT ON COLUMN measurements.tool IS 'Quality tool: noise, blur, exposure, collimation, positioning or artifact.';
COMMENT ON COLUMN measurements.tool_version IS 'Version of the measure; it rises with every change of meaning.';
COMMENT ON COLUMN measurements.metric IS 'Measure of that tool.';
COMMENT ON COLUMN measurements.value IS 'Raw value in unit.';
COMMENT ON COLUMN measurements.unit IS 'Unit of value.';

CREATE VIEW failures AS
SELECT v.image_id, i.path, v.status, v.error_code, v.error_detail, v.recipe_id, v.run_id, v.created_at
FROM verdict AS v
JOIN image AS i USING (image_id)
WHERE v.status IN ('unreadable', 'failed') AND v.recipe_id = latest_recipe();
COMMENT ON VIEW failures IS 'Images without a verdict on quality under the latest recipe, and why.';
COMMENT ON COLUMN failures.image_id IS 'Image.';
COMMENT ON COLUMN failures.path IS 'Path below the catalogued folder.';
COMMENT ON COLUMN failures.status IS 'unreadable (the file''s fault; not tried again) or failed (tried again with --retry-failed).';
COMMENT ON COLUMN failures.error_code IS 'Stable code.';
COMMENT ON COLUMN failures.error_detail IS 'What went wrong, for a person.';
COMMENT ON COLUMN failures.recipe_id IS 'Recipe.';
COMMENT ON COLUMN failures.run_id IS 'Run that wrote the row (runs.run_id).';
COMMENT ON COLUMN failures.created_at IS 'When the row was written (UTC).';

CREATE VIEW runs AS
WITH written AS (
    SELECT run_id, count(*) AS verdicts, max(created_at) AS last_at FROM verdict GROUP BY run_id
), timed AS (
    SELECT
        r.*,
        coalesce(w.verdicts, 0) AS verdicts,
        date_diff('millisecond', r.started_at, coalesce(r.ended_at, w.last_at)) / 1000 AS seconds
    FROM run AS r
    LEFT JOIN written AS w USING (run_id)
)
SELECT
    run_id, recipe_id, started_at, ended_at, exit_code, verdicts, seconds, verdicts / nullif(seconds, 0) AS rate,
    command, settings, versions, host, process
FROM timed;
COMMENT ON VIEW runs IS 'Every annotate run.';
COMMENT ON COLUMN runs.run_id IS 'Start time and a random suffix.';
COMMENT ON COLUMN runs.recipe_id IS 'Recipe the run judged by.';
COMMENT ON COLUMN runs.started_at IS 'Start (UTC).';
COMMENT ON COLUMN runs.ended_at IS 'End (UTC); NULL while it runs and where it was killed.';
COMMENT ON COLUMN runs.exit_code IS 'Exit code; NULL while it runs and where it was killed.';
COMMENT ON COLUMN runs.verdicts IS 'Verdicts it wrote that no later run replaced.';
COMMENT ON COLUMN runs.seconds IS 'From the start to the end, or to the last verdict where it has no end.';
COMMENT ON COLUMN runs.rate IS 'Verdicts a second.';
COMMENT ON COLUMN runs.command IS 'Command line.';
COMMENT ON COLUMN runs.settings IS 'Settings as resolved.';
COMMENT ON COLUMN runs.versions IS 'Versions of Python and the packages that touch pixels or rows.';
COMMENT ON COLUMN runs.host IS 'Host name.';
COMMENT ON COLUMN runs.process IS 'Process number on that host.';

CREATE VIEW recipes AS
SELECT
    r.recipe_id,
    r.recipe_id = latest_recipe() AS latest,
    r.body ->> '$.policy.name' AS policy,
    (r.body ->> '$.policy.version')::INTEGER AS policy_version,
    r.body ->> '$.judge.model' AS judge,
    (SELECT count(*) FROM verdict AS v WHERE v.recipe_id = r.recipe_id) AS verdicts,
    r.used_at,
    r.measure_id,
    r.body
FROM recipe AS r;
COMMENT ON VIEW recipes IS 'Everything that can change a verdict, one row a combination.';
COMMENT ON COLUMN recipes.recipe_id IS 'sha256 of the canonical JSON in body.';
COMMENT ON COLUMN recipes.latest IS 'Whether labels shows this recipe.';
COMMENT ON COLUMN recipes.policy IS 'Name of the policy.';
COMMENT ON COLUMN recipes.policy_version IS 'Version of the policy.';
COMMENT ON COLUMN recipes.judge IS 'Model that was asked; NULL without a judge.';
COMMENT ON COLUMN recipes.verdicts IS 'Verdicts under it.';
COMMENT ON COLUMN recipes.used_at IS 'When a run last used it (UTC).';
COMMENT ON COLUMN recipes.measure_id IS 'sha256 of that part of body that can change a raw measure.';
COMMENT ON COLUMN recipes.body IS 'Reader and tool versions, policy with its reference quantiles, judge.';

CREATE VIEW reports AS FROM report;
COMMENT ON VIEW reports IS 'Sections of the radiology reports, one row a study; an absent section is NULL.';
COMMENT ON COLUMN reports.study_id IS 'Study the report is about.';
COMMENT ON COLUMN reports.subject_id IS 'Patient.';
COMMENT ON COLUMN reports.path IS 'Path of the report''s file below the catalogued folder.';
COMMENT ON COLUMN reports.findings IS 'Findings.';
COMMENT ON COLUMN reports.impression IS 'Impression.';
COMMENT ON COLUMN reports.last_paragraph IS 'Last paragraph, where neither findings nor impression is marked.';
COMMENT ON COLUMN reports.comparison IS 'Comparison.';
COMMENT ON COLUMN reports.indication IS 'Indication.';
COMMENT ON COLUMN reports.technique IS 'Technique.';
COMMENT ON COLUMN reports.history IS 'History.';
