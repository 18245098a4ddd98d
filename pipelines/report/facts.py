"""What the page says besides distributions: where the verdicts come from, how quality spreads, what failed."""

import json
from typing import Any

from ..store import Store

PORTABLE = """CASE
    WHEN i.procedure IS NULL THEN 'unknown' WHEN i.procedure ILIKE '%portable%' THEN 'portable' ELSE 'fixed'
END"""
"""Kind of examination, from the catalog's procedure (table `image` as i)."""
_COUNTS = """
SELECT (SELECT count(*) FROM image) AS images, (SELECT count(*) FROM labels) AS verdicts,
    (SELECT count(DISTINCT subject_id) FROM labels) AS patients,
    (SELECT count(DISTINCT study_id) FROM labels) AS studies
"""
_SPREAD = """
SELECT {by} AS name, count(*) AS films, quantile_cont(quality, [0.05, 0.25, 0.5, 0.75, 0.95]) AS at
FROM labels AS l JOIN image AS i USING (image_id) WHERE quality IS NOT NULL
GROUP BY name ORDER BY films DESC, name LIMIT 12
"""
_BY = {
    "view": "coalesce(l.view_position, 'unknown')",
    "split": "coalesce(l.official_split, 'unknown')",
    "portable": PORTABLE,
}
_FAILURES = """
SELECT status, error_code AS code, count(*) AS films, min(path) AS example FROM failures
GROUP BY ALL ORDER BY films DESC, code
"""
_RUNS = """
SELECT run_id, date_trunc('second', started_at)::VARCHAR AS started, seconds, verdicts, rate, exit_code,
    versions::VARCHAR AS versions
FROM runs WHERE recipe_id = latest_recipe() ORDER BY started_at DESC LIMIT 20
"""
_RECIPE = """
SELECT recipe_id, measure_id, policy, policy_version, judge, used_at::VARCHAR AS used_at FROM recipes WHERE latest
"""
_TOOLS = """
SELECT measure, tool_version AS version, unit FROM recipe_tool WHERE recipe_id = latest_recipe() ORDER BY measure
"""
_ALONE = """
CREATE OR REPLACE TEMP VIEW tools_alone AS
SELECT * REPLACE (NULL::MAP(VARCHAR, DOUBLE[]) AS judge, NULL::MAP(VARCHAR, TINYINT) AS settled)
FROM verdict WHERE recipe_id = latest_recipe() AND route = 'judge'
"""
_JUDGED = """
SELECT t.regime AS tools, l.regime AS judge, count(*) AS films, avg(l.judge_confidence) AS confidence
FROM labels AS l
JOIN derived('tools_alone') AS t ON t.image_id = l.image_id AND t.recipe_id = l.recipe_id
WHERE l.route = 'judge' AND l.regime IS NOT NULL GROUP BY ALL ORDER BY ALL
"""
_RULINGS = """
SELECT
    aspect, count(*) AS films, avg(expected) AS expected, count_if(decided_by = 'tools') AS tools,
    count_if(decided_by = 'judge') AS judge, count_if(decided_by = 'again') AS again,
    count_if(decided_by = 'open') AS open
FROM judgements WHERE recipe_id = latest_recipe() GROUP BY aspect ORDER BY aspect
"""


def counts(store: Store) -> dict[str, int]:
    """Images, verdicts, patients and studies."""
    return store.query(_COUNTS).records()[0]


def spread(store: Store) -> dict[str, list[dict[str, Any]]]:
    """Quantiles of quality by view, split and kind of examination."""
    return {name: store.query(_SPREAD.format(by=by)).records() for name, by in _BY.items()}


def failures(store: Store) -> list[dict[str, Any]]:
    """Films without a verdict by code."""
    return store.query(_FAILURES).records()


def judged(store: Store) -> list[dict[str, Any]]:
    """The judge's regime against what the tools alone say; empty where no judge has been asked."""
    asked = store.query("SELECT count(*) FROM labels WHERE route = 'judge'").rows[0][0]
    if not asked:
        return []
    store.query(_ALONE)
    return store.query(_JUDGED).records()


def rulings(store: Store) -> list[dict[str, Any]]:
    """By aspect, what the judge expects and how often it, the tools or neither was followed."""
    return store.query(_RULINGS).records()


def provenance(store: Store) -> dict[str, Any]:
    """Recipe, tool versions, runs with their rate, package versions of the last run."""
    runs = store.query(_RUNS).records()
    versions = [json.loads(run.pop("versions")) for run in runs]
    return {
        "recipe": store.query(_RECIPE).records()[0],
        "tools": store.query(_TOOLS).records(),
        "runs": runs,
        "versions": versions[0] if versions else {},
    }
