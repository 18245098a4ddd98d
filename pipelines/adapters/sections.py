"""Cuts a MIMIC-CXR report into its sections, after the rules published with the data set.

The rules are those of the MIMIC code repository (Johnson et al., `mimic-cxr/txt`), restated and written anew:

* A header stands at the start of a line, in capitals, and ends with a colon and white space. The line in which a
  header's text begins is never searched for another one: `FINDINGS:` above `PA AND LATERAL CHEST:` is one section.
* Names are normalised: synonyms, then names that contain a main section's name, then names that describe the views
  (`CHEST, TWO VIEWS` heads findings). Ours on top: further synonyms and misspelt names by similarity.
* Empty findings and impressions are dropped; of several sections of one name the last one counts, which also
  prefers the report to an addendum above it.
* Without findings and impression, what follows the first blank line of the last section is the `last_paragraph`.
* 54 studies whose reading stands under a wrong header or under none are listed by name in `sections_by_hand`.

Not covered: headers in mixed case or without a colon stay text of the section above, as in the published rules.
"""

import re
from collections.abc import Mapping
from difflib import get_close_matches
from functools import lru_cache

from .sections_by_hand import MISPLACED, SLICES

READING = ("impression", "findings", "last_paragraph", "comparison")
"""Where a report's reading is looked for, best first: the published priority."""

_HEADER = re.compile(r"^ ?([A-Z ()/,-]+):\s", re.MULTILINE)
_BLANK_LINE = re.compile(r"\n[ \t]*\n")
_VIEWS = re.compile(
    r"chest|portable|ribs|bone window|frontal (?:and|view|upright|semi-upright)"
    r"|(?:pa|ap|one|lateral) view|(?:two|three) views|(?:pa|ap) and lat|lateral and (?:pa|ap)"
)
_SYNONYMS = {
    "impression": ("conclusion", "conclusions", "impressions", "ndication"),
    "findings": ("finding",),
    "comparison": ("comparisons", "reference exam", "reference examination", "prior studies", "prior study"),
    "indication": (
        "indications",
        "clinical indication",
        "reason for exam",
        "reason for examination",
        "reason for study",
    ),
    "history": ("clinical information", "pfi"),
    "technique": ("techniques", "technical factors"),
    "examination": ("exam", "examinations", "type of examination", "type of exam"),
    "recommendations": ("recommendation", "recommendation(s)"),
    "wet read": ("wetread",),
    "notification": ("notifications",),
}
_NAMES = {name: name for name in _SYNONYMS} | {each: name for name, all_ in _SYNONYMS.items() for each in all_}
_CONTAINED = ("impression", "findings", "history", "comparison", "addendum")
_CONTAINED_LAST = ("indication", "technique")
_SIMILARITY = 0.85
"""Ratio of matching characters from which a name counts as misspelt; `medication` against `indication` has 0.80."""


def sections(text: str, study_id: str | None = None) -> dict[str, str]:
    r"""The sections of a report by normalised name; white space collapsed, empty ones left out.

    `study_id` (digits only) brings in the studies that need a rule of their own; their reading becomes the
    `last_paragraph`, because no header says whether it is findings or impression.

    >>> sections(" INDICATION: Cough.\n \n IMPRESSION:  No\n pneumonia.")
    {'indication': 'Cough.', 'impression': 'No pneumonia.'}
    """
    if study_id in SLICES:
        return _flat({"last_paragraph": text[slice(*SLICES[study_id])]})
    parts = _split(text)
    if not {"impression", "findings"} & {name for name, _ in parts}:
        parts = _with_last_paragraph(parts)
    by_name = dict(parts)
    if study_id in MISPLACED and MISPLACED[study_id] in by_name:
        by_name["last_paragraph"] = by_name.pop(MISPLACED[study_id])
    by_name.pop("preamble", None)
    return _flat(by_name)


def reading(parts: Mapping[str, str | None]) -> str | None:
    """Name of the section that holds the reading, by the published priority; None where there is none."""
    return next((name for name in READING if parts.get(name)), None)


@lru_cache(maxsize=4096)
def section_name(header: str) -> str:
    """Normalise a header.

    >>> [section_name(each) for each in ("IMPRESSOIN", "CHEST, PA AND LATERAL", "REASON FOR EXAM")]
    ['impression', 'findings', 'indication']
    """
    name = header.lower().strip()
    if name in _NAMES:
        return _NAMES[name]
    for main in _CONTAINED:
        if main in name:
            return main
    if _VIEWS.search(name):
        return "findings"
    for main in _CONTAINED_LAST:
        if main in name:
            return main
    return _NAMES[close[0]] if (close := get_close_matches(name, _NAMES, 1, _SIMILARITY)) else name


def _split(text: str) -> list[tuple[str, str]]:
    """Sections in order of appearance; findings and impressions without text are gone."""
    header = _HEADER.search(text)
    if header is None:
        return [("preamble", text)]
    parts = [("preamble", text[: header.start()])]
    while header is not None:
        end_of_line = text.find("\n", header.end())
        following = _HEADER.search(text, max(end_of_line, header.end()))
        body = text[header.end() : following.start() if following else len(text)]
        parts.append((section_name(header[1]), body))
        header = following
    return [(name, body) for name, body in parts if body.strip() or name not in ("impression", "findings")]


def _with_last_paragraph(parts: list[tuple[str, str]]) -> list[tuple[str, str]]:
    name, body = parts[-1]
    blank = _BLANK_LINE.search(body)
    if blank is None:
        return parts
    return [*parts[:-1], (name, body[: blank.start()]), ("last_paragraph", body[blank.end() :])]


def _flat(parts: Mapping[str, str]) -> dict[str, str]:
    joined = {name: " ".join(body.split()) for name, body in parts.items()}
    return {name: body for name, body in joined.items() if body}
