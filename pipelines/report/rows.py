"""The films a page lists one by one: all of a small archive, the most telling ones of a large one."""

import json
from typing import Any, NamedTuple

from ...agent.policy import Policy, assess
from ...agent.state import ASPECTS
from ..store import Store
from .against import beyond_usual

MOST = 2000
"""Films listed. What is telling is said in `docs/report.md`."""
TOP = 6
"""Contributions named a film."""
LEAST = 0.005
"""Log-odds below which a contribution is not worth a line."""
_SEVERITIES = ", ".join(f"l.{aspect}" for aspect in ASPECTS)
_WORST_OF = """
    UNION ALL
    (SELECT image_id, 'worst {0}', 5 FROM labels WHERE {0} >= 1 ORDER BY {0} DESC, quality, image_id LIMIT 100)
"""
_TELLING = f"""
WITH picked AS (
    (SELECT image_id, 'no verdict' AS why, 1 AS rank FROM labels WHERE regime IS NULL ORDER BY hash(image_id) LIMIT 200)
    UNION ALL
    (SELECT image_id, 'judged', 2 FROM labels WHERE route = 'judge' ORDER BY hash(image_id) LIMIT 200)
    UNION ALL
    (SELECT image_id, 'needs review', 3 FROM labels WHERE status = 'needs_review' ORDER BY hash(image_id) LIMIT 200)
    UNION ALL
    (SELECT image_id, 'lowest quality', 4 FROM labels WHERE quality IS NOT NULL ORDER BY quality, image_id LIMIT 200)
    {"".join(_WORST_OF.format(aspect) for aspect in ASPECTS)}
    UNION ALL
    (SELECT image_id, 'at the low cut', 6 FROM labels WHERE quality IS NOT NULL
     ORDER BY abs(quality - $low), image_id LIMIT 150)
    UNION ALL
    (SELECT image_id, 'at the high cut', 7 FROM labels WHERE quality IS NOT NULL
     ORDER BY abs(quality - $high), image_id LIMIT 150)
    UNION ALL
    (SELECT image_id, 'highest quality', 8 FROM labels WHERE quality IS NOT NULL
     ORDER BY quality DESC, image_id LIMIT 50)
    UNION ALL
    (SELECT image_id, 'drawn at random', 9 FROM labels ORDER BY hash(image_id) LIMIT $most)
), reasons AS (
    SELECT image_id, min(rank) AS rank, arg_min(why, rank) AS why FROM picked GROUP BY image_id
), chosen AS (
    -- Within a reason the worst come first; the random draw stays random where it is cut short.
    SELECT image_id, if($all, '', why) AS why FROM reasons JOIN labels USING (image_id)
    ORDER BY rank, if(rank < 9, quality, NULL), hash(image_id) LIMIT $most
), numbered AS (
    SELECT image_id, row_number() OVER (ORDER BY image_id) - 1 AS place FROM labels
)
SELECT
    n.place, l.image_id, l.path, l.subject_id, l.view_position, l.official_split, l.status, l.regime, l.quality,
    [{_SEVERITIES}] AS severities, l.route, l.judge_confidence, l.rationale, v.error_code, v.error_detail, c.why,
    v.intensity_domain, v."view", v.measures, v.judge_steps, r.path AS root
FROM chosen AS c
JOIN labels AS l USING (image_id)
JOIN numbered AS n USING (image_id)
JOIN verdict AS v ON v.image_id = l.image_id AND v.recipe_id = l.recipe_id
JOIN image AS i ON i.image_id = l.image_id
LEFT JOIN root AS r USING (root_id)
ORDER BY l.quality NULLS FIRST, l.image_id
"""


class Listed(NamedTuple):
    """Films to list, the worst first, as dictionaries that JSON knows."""

    rows: list[dict[str, Any]]
    files: list[str]
    """Absolute path of each row's file."""
    complete: bool
    """Whether these are all films."""


def listed(store: Store, policy: Policy) -> Listed:
    """Choose the films and say why the policy judges each as it does."""
    total = store.query("SELECT count(*) FROM labels").rows[0][0]
    chosen = {"low": policy.regimes.low, "high": policy.regimes.high, "most": MOST, "all": total <= MOST}
    rows = store.query(_TELLING, chosen).records()
    files = [f"{row.pop('root')}/{row['path']}" for row in rows]
    return Listed([_explained(row, policy) for row in rows], files, total <= MOST)


def _explained(row: dict[str, Any], policy: Policy) -> dict[str, Any]:
    """The row with what adds most to low quality in place of all its measures, and what the judge looked at."""
    values, domain, view = row.pop("measures"), row["intensity_domain"], row.pop("view")
    steps = json.loads(row.pop("judge_steps") or "[]")
    top: list[tuple[str, float, float, float]] = []
    if values and domain:
        said = assess(policy, values, domain, view)
        added = beyond_usual(said.contributions, policy, domain)
        most = sorted(added.items(), key=lambda item: -item[1])[:TOP]
        top = [(name, _short(values[name]), _short(said.z[name]), _short(by)) for name, by in most if by > LEAST]
    quality = None if row["quality"] is None else _short(row["quality"])
    return {**row, "quality": quality, "top": top, "steps": steps}


def _short(value: float) -> float:
    return float(f"{value:.4g}")
