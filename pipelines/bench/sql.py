"""`lrrg bench sql`: how long questions about a database as large as MIMIC-CXR take."""

import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from ..recipe import Recipe
from ..store import Store
from ..store.verdicts import SHAPE

IMAGES = 377_110
"""Images of MIMIC-CXR."""
REPEATS = 3
QUESTIONS = {
    "count": "SELECT count(*) FROM labels",
    "by status, regime, route": "SELECT status, regime, route, count(*) FROM labels GROUP BY ALL",
    "regime by split": "SELECT official_split, regime, count(*) FROM labels GROUP BY ALL",
    "quality by view": "SELECT view_position, avg(quality), median(quality) FROM labels GROUP BY ALL",
    "defects": "SELECT defect, count(*) FROM (SELECT unnest(defects) AS defect FROM labels) GROUP BY ALL",
    "histogram": "SELECT floor(quality * 20), count(*) FROM labels GROUP BY ALL",
    "worst 100": "SELECT * FROM labels ORDER BY quality LIMIT 100",
    "one image": "SELECT * FROM labels WHERE image_id = film_id(7)",
    "path like": "SELECT count(*) FROM labels WHERE path LIKE '%p10%'",
    "worst of a study": "SELECT study_id, min(quality) AS worst FROM labels GROUP BY ALL ORDER BY worst LIMIT 100",
    "patients with a low film": "SELECT count(DISTINCT subject_id) FROM labels WHERE regime = 'low'",
    "twins in a study": """
        SELECT count(*) FROM labels AS a JOIN labels AS b USING (study_id) WHERE a.regime = 'low' AND b.regime = 'high'
    """,
    "join with the catalog": """
        SELECT i.procedure, avg(quality) FROM labels JOIN image AS i USING (image_id) GROUP BY ALL
    """,
}
_ID = """
CREATE OR REPLACE TEMP MACRO film_id(number) AS
    array_to_string(regexp_extract_all(sha256(number::VARCHAR)[:40], '.{8}'), '-')
"""
"""As long and as random as MIMIC-CXR's."""
_IMAGES = """
INSERT INTO image (
    image_id, root_id, path, subject_id, study_id, view_position, official_split, "rows", "columns", study_date,
    study_time, procedure, orientation
)
SELECT
    film_id(i), 1,
    printf('files/p1%d/p1%07d/s5%07d/%s.jpg', i // 37712, i // 6, i // 2, film_id(i)),
    printf('1%07d', i // 6), printf('5%07d', i // 2), ['AP', 'PA', 'LATERAL', 'LL'][1 + i % 4],
    CASE WHEN i % 73 = 0 THEN 'test' WHEN i % 126 = 0 THEN 'validate' ELSE 'train' END,
    3056, 2544, '21800101', '123456', ['CHEST (PA AND LAT)', 'CHEST (PORTABLE AP)'][1 + i % 2], NULL
FROM range($images) AS t(i)
"""
_VERDICTS = """
INSERT INTO random (
    image_id, recipe_id, run_id, status, route, rationale, error_code, error_detail, sha256, fingerprint, file_bytes,
    file_format, width, height, bits, intensity_domain, "view", notes, measures, elapsed_ms, created_at
)
SELECT
    image_id, $recipe, 'bench', 'ok', 'tools', 'synthetic', NULL, NULL,
    sha256(image_id), sha256(path), 1500000, 'JPEG', 2544, 3056, 8, 'equalised', view_position, [],
    (
        SELECT map(list(measure), list(CASE transform WHEN 'log' THEN exp(t) WHEN 'log1p' THEN exp(t) - 1 ELSE t END))
        FROM (
            SELECT measure, transform, median + scale * 3 * (hash(image_id, measure) % 1000 / 500.0 - 1) AS t
            FROM policy_reference WHERE domain = 'equalised' AND "group" = 'unknown'
        )
    ),
    40.0, now()::TIMESTAMP
FROM image
"""
_DERIVE = "CREATE TEMP TABLE again AS SELECT image_id, regime, quality, defects FROM derived('verdict')"


class Timing(NamedTuple):
    """One question's best time."""

    question: str
    rows: int
    seconds: float


def bench_sql(recipe: Recipe, images: int = IMAGES) -> Iterator[Timing]:
    """Fill a scratch database with `images` random verdicts and time each question, the best of three.

    The first timing is that of deriving every label again from the raw measures.
    """
    with TemporaryDirectory() as name, Store.open(Path(name) / "bench.duckdb") as store:
        fill(store, recipe, images)
        yield _timed(store, "derive every label", _DERIVE, 1)
        for question, sql in QUESTIONS.items():
            yield _timed(store, question, sql, REPEATS)


def fill(store: Store, recipe: Recipe, images: int) -> None:
    """Put random verdicts on `images` images into an empty database."""
    store.register_recipe(recipe)
    store.query(_ID)
    store.query(_IMAGES, {"images": images})
    store.query(f"CREATE TEMP TABLE random AS {SHAPE}")
    store.query(_VERDICTS, {"recipe": recipe.recipe_id})
    store.query("CREATE TEMP VIEW labelled AS FROM derived('random')")
    store.query("INSERT INTO verdict BY NAME FROM numbered('labelled')")
    store.query("DROP VIEW labelled")
    store.query("DROP TABLE random")


def _timed(store: Store, question: str, sql: str, repeats: int) -> Timing:
    best = float("inf")
    rows = 0
    for _ in range(repeats):
        started = time.perf_counter()
        rows = len(store.query(sql).rows)
        best = min(best, time.perf_counter() - started)
    return Timing(question, rows, best)
