"""The question a report model is asked: one text for training, for the exported chat records and for generation."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from .. import prompts

PROMPT = "report.v3"
CONTEXT = ("indication", "history", "technique", "comparison")


class Question(NamedTuple):
    """What a model is told beside the film."""

    system: str
    user: str


def ask(row: Mapping[str, Any], section: str, prompt: prompts.Prompt) -> Question:
    """The question about one case.

    Args:
        row: of `cases.parquet`: its view, the views of the study's other films, context, and the preceding report; what
            a study lacks is said to be not given.
        section: the section to be written (`findings`).
        prompt: a released report prompt, of any version: each is told what it asks for.
    """
    told = {
        "section": section,
        "view": row["view"],
        "other_views": ", ".join(row.get("other_views") or ()),
        **{name: _plain(row[name]) for name in CONTEXT},
        "prior": _plain(row.get("prior")),
    }
    return Question(prompt.system, prompt.fill({name: told[name] for name in prompt.variables}))


def _plain(text: str | None) -> str | None:
    """A tokenizer would read `<|image_pad|>` in a report's words as a picture."""
    return text.replace("<|", "< |") if text else text
