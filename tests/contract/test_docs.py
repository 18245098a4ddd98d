"""The documentation: its links lead somewhere, and its commands have the options it gives them."""

import re
from pathlib import Path

import pytest
import typer
from lrrg.pipelines.cli import app

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("*.md", "docs/*.md", "pipelines/**/*.md")
PAGES = sorted(str(path.relative_to(ROOT)) for folder in FOLDERS for path in ROOT.glob(folder))
VERBS = typer.main.get_command(app)
LINK = re.compile(r"\]\((?!https?:)([^)#]*)(?:#([^)]*))?\)")
COMMAND = re.compile(r"\blrrg ([^`#;|\n]*)")


def anchors(page: Path) -> set[str]:
    """What a page's headings are linked by."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("name", PAGES)
def test_every_link_leads_somewhere(name: str):
    page = ROOT / name
    for target, anchor in LINK.findall(page.read_text(encoding="utf-8")):
        there = page.parent / target if target else page
        assert there.exists(), f"{name} links {target}"
        assert not anchor or anchor in anchors(there), f"{name} links {target}#{anchor}"


@pytest.mark.parametrize("name", PAGES)
def test_every_command_has_the_options_it_is_given(name: str):
    text = (ROOT / name).read_text(encoding="utf-8").replace("\\\n", " ")
    for line in COMMAND.findall(text):
        command, words = VERBS, line.partition(" -- ")[0].split()
        while words and words[0] in getattr(command, "commands", {}):
            command = command.commands[words.pop(0)]
        known = {option for parameter in command.params for option in parameter.opts}
        assert {word for word in words if word.startswith("--")} <= known, f"{name}: lrrg {line}"
