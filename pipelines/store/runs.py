"""What verdicts are made by and when: recipes with their policy as rows, and runs."""

from datetime import datetime
from typing import Any

import duckdb

from ..recipe import Recipe, Run, canonical
from .connection import transaction


def register_recipe(connection: duckdb.DuckDBPyConnection, recipe: Recipe, used_at: datetime) -> None:
    """Store a recipe and its policy's tables; `labels` shows the recipe used last."""
    row = [recipe.recipe_id, recipe.measure_id, canonical(recipe.body), used_at]
    with transaction(connection):
        known = connection.execute("FROM recipe WHERE recipe_id = ?", [recipe.recipe_id]).fetchall()
        connection.execute(_USED, row)
        if not known:
            _describe(connection, recipe)


_USED = """
INSERT INTO recipe (recipe_id, measure_id, body, used_at) VALUES (?, ?, ?, ?)
ON CONFLICT (recipe_id) DO UPDATE SET used_at = greatest(used_at, excluded.used_at)
"""


def _describe(connection: duckdb.DuckDBPyConnection, recipe: Recipe) -> None:
    policy = recipe.body["policy"]
    tables: dict[str, list[dict[str, Any]]] = {
        "recipe_tool": [_tool(name, **about) for name, about in recipe.body["tools"].items()],
        "policy_view": [{"view": view, "group": group} for view, group in policy["views"].items()],
        "policy_reference": policy["reference"],
        "policy_severity": policy["severities"],
        "policy_term": policy["terms"],
        "policy_bias": [{"domain": domain, "bias": bias} for domain, bias in policy["bias"].items()],
        "policy_regime": [policy["regimes"]],
        "policy_rule": policy["rules"],
        **_judge(policy.get("judge")),
    }
    for table, rows in tables.items():
        if rows:
            with connection.appender(table, columns=["recipe_id", *rows[0]]) as appender:
                appender.append_rows([(recipe.recipe_id, *row.values()) for row in rows])


def _judge(fitted: dict[str, Any] | None) -> dict[str, list[dict[str, Any]]]:
    """Rows of a policy's section about its judge, where it has one."""
    if fitted is None:
        return {}
    temperatures, shifts, weights = (fitted[each] for each in ("temperatures", "shifts", "weights"))
    aspects = sorted({*temperatures, *shifts, *weights})
    return {
        "policy_judge": [{"tools": fitted["tools"], "bias": fitted["bias"], **fitted["regimes"]}],
        "policy_judge_aspect": [
            {
                "aspect": each,
                "temperature": temperatures.get(each, 1.0),
                "shift": shifts.get(each, 0.0),
                "weight": weights.get(each, 0.0),
            }
            for each in aspects
        ],
    }


def _tool(name: str, version: int, unit: str) -> dict[str, Any]:
    tool, _, metric = name.partition(".")
    return {"measure": name, "tool": tool, "metric": metric, "tool_version": version, "unit": unit}


def start_run(connection: duckdb.DuckDBPyConnection, run: Run) -> None:
    """Record that a run began."""
    columns = "run_id, recipe_id, command, settings, versions, host, process, started_at"
    values = [run.run_id, run.recipe_id, run.command, canonical(run.settings), canonical(run.versions)]
    connection.execute(
        f"INSERT OR IGNORE INTO run ({columns}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        [*values, run.host, run.process, run.started_at],
    )


def end_run(connection: duckdb.DuckDBPyConnection, run_id: str, exit_code: int, ended_at: datetime) -> None:
    """Record that a run ended."""
    connection.execute("UPDATE run SET ended_at = ?, exit_code = ? WHERE run_id = ?", [ended_at, exit_code, run_id])
