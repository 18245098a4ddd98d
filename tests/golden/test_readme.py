"""The generated parts of the README and of the page on measures are what the code says today."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from lrrg.agent import graph
from lrrg.agent.policy import load
from lrrg.pipelines import settings
from lrrg.pipelines.demo.stage import QUERY, tell
from lrrg.tests.oracle import Scripted, grades, judging
from lrrg.tests.quiet import no_warning, silent
from lrrg.tools import TOOLS

ROOT = Path(__file__).resolve().parents[2]


def with_block(page: str, name: str, content: str) -> str:
    """The page with one generated block replaced."""
    text = (ROOT / page).read_text(encoding="utf-8")
    block = f"<!-- {name} -->\n{content}\n<!-- /{name} -->"
    return re.sub(rf"<!-- {name} -->\n.*?<!-- /{name} -->", lambda _: block, text, flags=re.DOTALL)


def table(columns: tuple[str, ...], rows: list[tuple]) -> str:
    lines = [columns, ("---",) * len(columns), *rows]
    return "\n".join(f"| {' | '.join('' if cell is None else str(cell) for cell in line)} |" for line in lines)


def test_the_graph_is_the_agents_own(golden: Callable[[str, str], None]):
    async def measure(image):
        raise AssertionError("a picture measures nothing")

    judged = judging(Scripted(grades()))
    drawn = graph.mermaid(graph.build(measure, load(settings.load().agent.policy), judged))
    golden("README.md", with_block("README.md", "graph", f"```mermaid\n{drawn.strip()}\n```"))


def test_every_tool_is_listed(golden: Callable[[str, str], None]):
    rows = [(f"`{each.name}`", each.summary, each.unit, each.better) for each in TOOLS]
    page = "docs/measures.md"
    golden(page, with_block(page, "tools", table(("measure", "what it measures", "unit", "better"), rows)))


@pytest.mark.slow
def test_the_demo_still_gives_what_the_readme_shows(tmp_path: Path, golden: Callable[[str, str], None]):
    story = tell(tmp_path / "demo", settings.load(), silent, no_warning)
    confusion = [tuple(row) for row in story.confusion]
    parts = [
        f"```sql\n{QUERY}\n```",
        table(story.answer.columns, story.answer.rows),
        "What was put into the synthetic films, and what the agent says of them (`flagged`: it names that aspect; on "
        "clean films, any; `mild`: of those with severity 2 or 3, `strong`: 4 or 5):",
        table(("known defect", "films", "flagged", "mild", "strong", "high", "borderline", "low"), confusion),
    ]
    golden("README.md", with_block("README.md", "demo", "\n\n".join(parts)))


def test_every_page_is_reached_and_every_link_leads_somewhere():
    pages = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
    linked = {
        (page.parent / target.partition("#")[0]).resolve()
        for page in pages
        for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8"))
        if "://" not in target
    }
    assert [path for path in linked if not path.exists()] == []
    assert [page.name for page in pages[1:] if page.resolve() not in linked] == []
