"""`docs/finetune.md` lists the settings of a training run that there are."""

import json
import typing
from collections.abc import Callable
from pathlib import Path

from lrrg.pipelines.finetune.config import Config, Section

PAGE = Path(__file__).resolve().parents[2] / "docs" / "finetune.md"


def section_lines(name: str, section: type[Section]) -> list[str]:
    rows = [
        f"| `{name}.{key}` | `{json.dumps(field.default)}` | {' '.join((field.description or '').split())} |"
        for key, field in section.model_fields.items()
    ]
    return ["", section.__doc__ or "", "", "| setting | default | what it is |", "|---|---|---|", *rows]


def sections() -> dict[str, type[Section]]:
    return {name: typing.cast(type[Section], field.annotation) for name, field in Config.model_fields.items()}


def test_every_setting_says_what_it_is():
    fields = [field for section in sections().values() for field in section.model_fields.values()]
    assert all(field.description for field in fields)


def test_the_settings_on_the_page_are_up_to_date(golden: Callable[[str, str], None]):
    head, _, rest = PAGE.read_text(encoding="utf-8").partition("<!-- settings -->\n")
    _, _, tail = rest.partition("<!-- end settings -->")
    lines = [line for name, section in sections().items() for line in section_lines(name, section)]
    golden("docs/finetune.md", "\n".join([f"{head}<!-- settings -->", *lines, f"<!-- end settings -->{tail}"]))
