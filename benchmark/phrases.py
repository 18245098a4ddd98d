"""Report language: sentences, and lists of phrases read from a file that is named by its hash."""

import hashlib
import re
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

SENTENCE_END = re.compile(r"(?<!\bdr)(?<!\bvs)(?<!\d)[.?!](?=\s|$)|(?<=\d)\.(?=\s+[a-z])|\n\s*\n")


def sentences(text: str) -> list[str]:
    """Lower-case sentences with single spaces.

    >>> sentences("No effusion. Nodule of 2.5 cm, Dr. X told.")
    ['no effusion', 'nodule of 2.5 cm, dr. x told']
    """
    parts = SENTENCE_END.split(text.lower())
    return [" ".join(part.split()) for part in parts if part.strip()]


def any_of(phrases: Sequence[str]) -> re.Pattern[str]:
    """One pattern for phrases (regular expressions) that begin and end at word boundaries, the longest first."""
    longest_first = sorted(phrases, key=len, reverse=True)
    return re.compile("(?<!\\w)(?:" + "|".join(f"(?:{phrase})" for phrase in longest_first) + ")(?!\\w)")


def read_phrases(path: Path) -> tuple[dict[str, Any], str]:
    """The lists of a TOML file, and the sha256 of its bytes."""
    data = path.read_bytes()
    return tomllib.loads(data.decode()), hashlib.sha256(data).hexdigest()
