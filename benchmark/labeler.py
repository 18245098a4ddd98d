"""rule14: the 14 CheXpert findings of a report by written rules, under its own name and hash.

Mentions are found sentence by sentence, then negated or softened by cues in their clause. Over a report the strongest
mention of a finding wins: positive before uncertain before negative. The design follows the published rules of the
CheXpert labeler (Irvin et al., AAAI 2019) and NegEx (Chapman et al., J Biomed Inform 2001); words and code are our
own, and so are the errors: `lrrg labeler validate` measures them against MIMIC-CXR's published labels.
"""

import re
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .corpus import NEGATIVE, POSITIVE, UNCERTAIN, UNMENTIONED
from .findings import ABNORMALITIES, FINDINGS, NO_FINDING
from .phrases import any_of, read_phrases, sentences

LEXICON = Path(__file__).with_name("rule14.toml")
CARDIOMEGALY = FINDINGS.index("Cardiomegaly")
SIZE_REACH = 60
"""Characters on either side of an organ in which its size is said."""
STRENGTH = {UNMENTIONED: 0, NEGATIVE: 1, UNCERTAIN: 2, POSITIVE: 3}


def label(text: str) -> NDArray[np.int8]:
    """Label one report.

    Returns:
        int8, shape (14,), in the order of `FINDINGS`: POSITIVE, NEGATIVE, UNCERTAIN or UNMENTIONED.
    """
    found = dict.fromkeys(range(len(FINDINGS)), UNMENTIONED)
    for sentence in sentences(text):
        for finding, value in mentions(sentence):
            found[finding] = max(found[finding], value, key=STRENGTH.__getitem__)
    abnormal = any(found[finding] in (POSITIVE, UNCERTAIN) for finding in ABNORMALITIES)
    found[NO_FINDING] = UNMENTIONED if abnormal or not text.strip() else POSITIVE
    return np.array(list(found.values()), np.int8)


def mentions(sentence: str) -> list[tuple[int, int]]:
    """(finding, value) of every mention in one sentence."""
    rules = lexicon()
    found = [
        (finding, _value(sentence, match))
        for finding, pattern in rules.mentions.items()
        for match in pattern.finditer(sentence)
    ]
    for finding, pattern in rules.sized.items():
        found += [
            (finding, value) for match in pattern.finditer(sentence) if (value := _size(sentence, match)) is not None
        ]
    if re.search(r"\bchf\b", sentence):
        found.append((CARDIOMEGALY, UNCERTAIN))
    return found


def _value(sentence: str, match: re.Match[str]) -> int:
    rules = lexicon()
    before = rules.breaks.split(sentence[: match.start()])[-1]
    after = rules.breaks.split(sentence[match.end() :])[0]
    if rules.uncertain.search(before) or rules.uncertain_after.search(after):
        return UNCERTAIN
    if rules.negation.search(before) or rules.negation_after.search(after):
        return NEGATIVE
    return POSITIVE


def _size(sentence: str, match: re.Match[str]) -> int | None:
    """Whether an organ is said to be large; None where its size is not said."""
    rules = lexicon()
    before = rules.breaks.split(sentence[max(0, match.start() - SIZE_REACH) : match.start()])[-1]
    after = rules.breaks.split(sentence[match.end() : match.end() + SIZE_REACH])[0]
    around = f"{before} {after}"
    if rules.borderline.search(around):
        return UNCERTAIN
    if rules.normal.search(around):
        return NEGATIVE
    return POSITIVE if rules.large.search(around) else None


class Lexicon:
    """The compiled rules."""

    def __init__(self, path: Path) -> None:
        rules, self.sha256 = read_phrases(path)
        self.mentions = {FINDINGS.index(name): any_of(words) for name, words in rules["mentions"].items()}
        self.sized = {FINDINGS.index(name): any_of(words) for name, words in rules["sized"].items()}
        self.large, self.borderline, self.normal = (
            any_of(rules["words"][key]) for key in ("large", "borderline", "normal")
        )
        cues = {name: any_of(words) for name, words in rules["cues"].items()}
        self.negation, self.negation_after = cues["negation"], cues["negation_after"]
        self.uncertain, self.uncertain_after = cues["uncertain"], cues["uncertain_after"]
        self.breaks = cues["break"]


@cache
def lexicon() -> Lexicon:
    """The shipped rules."""
    return Lexicon(LEXICON)


def signature() -> str:
    """`rule14@` and the start of the rules' hash: part of every number that rests on labels."""
    return f"rule14@{lexicon().sha256[:12]}"
