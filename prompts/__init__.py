"""Versioned prompts: text as data, locked by hash once released. No network, no model."""

import hashlib
import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import Any

FOLDER = Path(__file__).parent
LOCK = FOLDER / "prompts.lock"
FENCE = "+++\n"
ABSENT = "not given"
"""Stands for context a study does not have, so that its absence is said and not guessed."""


class PromptError(ValueError):
    """A prompt does not exist, is malformed, or is filled with the wrong variables."""

    code = "prompt"


@dataclass(frozen=True)
class Prompt:
    """One released prompt.

    Attributes:
        name: `report.v1`.
        sha256: of the file's bytes; part of a recipe's identity.
        variables: what `fill` needs.
        front: the whole front matter; a judge's says how its pictures are cut (`overview_px`, `crop_px`) and how many
            more it may ask for (`looks`).
    """

    name: str
    sha256: str
    system: str
    user: str
    variables: frozenset[str]
    front: Mapping[str, Any]

    def fill(self, values: Mapping[str, str | None]) -> str:
        """The user text with every variable filled; None and blank say `not given`.

        Raises:
            PromptError: a variable is missing or unknown.
        """
        if values.keys() != self.variables:
            raise PromptError(f"{self.name} needs {sorted(self.variables)}, got {sorted(values)}")
        given = {name: " ".join((value or "").split()) or ABSENT for name, value in values.items()}
        return Template(self.user).substitute(given)


def load(name: str) -> Prompt:
    """Read `prompts/NAME.md`.

    Raises:
        PromptError: there is no such prompt (the message lists those there are), or it is malformed.
    """
    path = FOLDER / f"{name}.md"
    if not path.is_file():
        raise PromptError(f"no prompt {name}; there are {', '.join(names())}")
    data = path.read_bytes()
    try:
        _, front, body = data.decode().split(FENCE, 2)
        about = tomllib.loads(front)
        variables = frozenset(about["variables"])
        _, _, rest = body.partition("# system\n")
        system, _, user = rest.partition("# user\n")
    except (ValueError, KeyError) as error:
        raise PromptError(f"{path.name}: expected +++ front matter with `variables`, # system and # user") from error
    if not (system.strip() and user.strip() and Template(user).is_valid()):
        raise PromptError(f"{path.name}: # system or # user is missing, or a $ is not doubled")
    if frozenset(Template(user).get_identifiers()) != variables:
        raise PromptError(f"{path.name}: the text's $variables differ from those declared")
    return Prompt(name, hashlib.sha256(data).hexdigest(), system.strip(), user.strip(), variables, about)


def names() -> list[str]:
    """Names of all prompts."""
    return sorted(path.stem for path in FOLDER.glob("*.v*.md"))


def locked() -> dict[str, str]:
    """Hash of every released prompt."""
    return json.loads(LOCK.read_text(encoding="utf-8"))
