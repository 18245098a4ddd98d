"""What is left to do, in pages, and the readings that make reopening a file needless."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import duckdb
from pydantic import TypeAdapter

from ...agent.forms import Request
from ...agent.state import ImageRef, Reading, Recalled, Step
from ..errors import StoreError
from ..recipe import Recipe, canonical

PAGE = 1024
_REQUEST: TypeAdapter[Request] = TypeAdapter(Request)
VERDICTS = "verdicts-*.parquet"
"""Shard files of a folder."""
_SETTLED = """
SELECT image_id FROM {source} AS v JOIN image AS i USING (image_id)
WHERE v.recipe_id = $recipe
AND (NOT $retry OR (v.status <> 'failed' AND v.error_code IS DISTINCT FROM 'missing'))
AND (v.measures IS NULL OR i.view_position IS NULL OR v."view" = i.view_position)
"""
# Numbers alone: with ids and paths in it, 377,110 images would not fit beside the keys of a bounded writer.
_PENDING = """
CREATE OR REPLACE TEMP TABLE pending AS
SELECT i.image_number
FROM image AS i
ANTI JOIN ({settled}) AS s USING (image_id)
WHERE md5_number_lower(i.image_id) % $shards = $shard
ORDER BY i.root_id, i.path
LIMIT $limit
"""
_PAGE = """
SELECT i.image_id, r.path || '/' || i.path, i.view_position
FROM (SELECT rowid AS place, image_number FROM pending WHERE rowid BETWEEN ? AND ?)
JOIN image AS i USING (image_number) JOIN root AS r USING (root_id)
ORDER BY place
"""
_FOLDERS = """
SELECT DISTINCT r.path FROM {images} JOIN image USING (image_number) JOIN root AS r USING (root_id) ORDER BY ALL
"""
_UNREAD = """(
    FROM pending ANTI JOIN (
        SELECT image_number FROM verdict JOIN recipe USING (recipe_number) WHERE measure_id = ? AND measures IS NOT NULL
    ) USING (image_number)
)"""
_READINGS = """
SELECT
    image_id, sha256, fingerprint, file_bytes, file_format, width, height, bits, intensity_domain, "view",
    notes, measures, elapsed_ms
FROM verdict JOIN recipe USING (recipe_id)
WHERE measure_id = $measure AND measures IS NOT NULL AND image_id IN (SELECT unnest($images))
QUALIFY row_number() OVER (PARTITION BY image_id ORDER BY created_at DESC, recipe_id) = 1
"""
_SAYS = (
    "$.judge.model",
    "$.judge.revision",
    "$.judge.prompt_sha256",
    "$.judge.looks",
    "$.judge.cut",
    "$.judge.seeds",
    "$.judge.retry_temperature",
    "$.judge.top_tokens",
    "$.judge.max_tokens",
)
"""What of a recipe's judge can change what it says of a film; when it is asked and how disputes end cannot."""
_OPINIONS = """
SELECT image_id, judge, judge_steps::VARCHAR
FROM verdict AS v JOIN recipe AS r USING (recipe_id) JOIN image AS i USING (image_id)
WHERE json_extract(r.body, $says) = json_extract($body::JSON, $says) AND v.judge IS NOT NULL
AND (i.view_position IS NULL OR v."view" = i.view_position) AND image_id IN (SELECT unnest($images))
QUALIFY row_number() OVER (PARTITION BY image_id ORDER BY v.created_at DESC, recipe_id) = 1
"""


class Pending:
    """Images to do, as they were when it was made; only a page of them is in memory."""

    def __init__(self, cursor: duckdb.DuckDBPyConnection):
        self._cursor = cursor
        self._length: int = cursor.execute("SELECT count(*) FROM pending").fetchall()[0][0]

    def folders(self) -> list[str]:
        """Catalogued folders that hold some of the images."""
        return [path for (path,) in self._cursor.execute(_FOLDERS.format(images="pending")).fetchall()]

    def unread_folders(self, measure_id: str) -> list[str]:
        """Those of them that hold images for which no reading of these measures is stored."""
        unread = _FOLDERS.format(images=_UNREAD)
        return [path for (path,) in self._cursor.execute(unread, [measure_id]).fetchall()]

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[ImageRef]:
        for start in range(0, self._length, PAGE):
            yield from (ImageRef(*row) for row in self._cursor.execute(_PAGE, [start, start + PAGE - 1]).fetchall())


def pending(
    cursor: duckdb.DuckDBPyConnection,
    recipe_id: str,
    *,
    shard: tuple[int, int] | None,
    limit: int | None,
    retry_failed: bool,
    written: Path | None,
) -> Pending:
    """Images without a verdict under the recipe; `cursor` is the result's own. See `Store.pending`.

    Raises:
        StoreError: `shard` (a file of `written` is broken).
    """
    index, shards = shard or (1, 1)
    values: dict[str, Any] = {"recipe": recipe_id, "retry": retry_failed, "limit": limit}
    values |= {"shard": index - 1, "shards": shards}
    settled = _SETTLED.format(source="verdict")
    if files := [str(path) for path in written.glob(VERDICTS)] if written else []:
        settled += "UNION " + _SETTLED.format(source="read_parquet($written)")
        values["written"] = files  # one by one: a name with brackets would be a pattern
    try:
        cursor.execute(_PENDING.format(settled=settled), values)
    except duckdb.InvalidInputException as error:
        raise StoreError(
            "shard", f"{written}: holds a broken shard file, remove it: {error}".splitlines()[0]
        ) from error
    return Pending(cursor)


def stored_readings(cursor: duckdb.DuckDBPyConnection, recipe: Recipe, image_ids: Sequence[str]) -> dict[str, Reading]:
    """Readings another recipe with the same measures left; see `Store.stored_readings`."""
    rows = cursor.execute(_READINGS, {"measure": recipe.measure_id, "images": list(image_ids)}).fetchall()
    said = _stored_opinions(cursor, recipe, image_ids) if recipe.body["judge"] else {}
    found: dict[str, Reading] = {}
    for image_id, *file, notes, measures, elapsed in rows:
        kind, opinion = (Recalled, said[image_id]) if image_id in said else (Reading, {})
        found[image_id] = kind(*file, notes=tuple(notes), measures=measures, elapsed_ms=elapsed, **opinion)
    return found


def _stored_opinions(
    cursor: duckdb.DuckDBPyConnection, recipe: Recipe, image_ids: Sequence[str]
) -> dict[str, dict[str, Any]]:
    """What the recipe's judge said of these films under any recipe."""
    rows = cursor.execute(_OPINIONS, {"says": list(_SAYS), "body": canonical(recipe.body), "images": list(image_ids)})
    return {
        image_id: {
            "scores": {aspect: tuple(each) for aspect, each in judge.items()},
            "steps": tuple(
                Step(_REQUEST.validate_python(step["asked"]), step["told"]) for step in json.loads(steps or "[]")
            ),
        }
        for image_id, judge, steps in rows.fetchall()
    }
