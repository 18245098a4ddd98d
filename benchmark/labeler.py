"""rule14: the 14 CheXpert findings of a report by written rules, under its own name and hash.

Mentions are found sentence by sentence, then negated or softened by cues in their clause. Over a report the strongest
mention of a finding wins: positive before uncertain before negative. The design follows the published rules of the
CheXpert labeler (Irvin et al., AAAI 2019) and NegEx (Chapman et al., J Biomed Inform 2001); words and code are our
own, and so are the errors: `lrrg labeler validate` measures them against MIMIC-CXR's published labels.
"""

import re
from functools import cache, lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .corpus import NEGATIVE, POSITIVE, UNCERTAIN, UNMENTIONED
from .findings import ABNORMALITIES, FINDINGS, NO_FINDING
from .phrases import any_of, read_phrases, sentences

LEXICON = Path(__file__).with_name("rule14.toml")
CARDIOMEGALY = FINDINGS.index("Cardiomegaly")
HEART_FAILURE = ("chf", "heart failure")
"""Stated or suspected, it also makes an enlarged heart uncertain, as in the published rules."""
DISTINCT_SENTENCES = 100_000
"""Sentences whose mentions are kept: reports repeat themselves."""
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
    if text.strip() and not abnormal and not any(map(otherwise_abnormal, sentences(text))):
        found[NO_FINDING] = POSITIVE
    return np.array(list(found.values()), np.int8)


@lru_cache(maxsize=DISTINCT_SENTENCES)
def mentions(sentence: str) -> tuple[tuple[int, int], ...]:
    """(finding, value) of every mention in one lower-case sentence."""
    rules = lexicon()
    text = rules.ignored.sub(lambda match: " " * len(match[0]), sentence)
    found: list[tuple[int, int]] = []
    for finding, pattern in rules.mentions.items():
        for match in _matches(text, pattern, rules.not_mentions.get(finding)):
            value = _value(text, match)
            found.append((finding, value))
            if value != NEGATIVE and match[0] in HEART_FAILURE:
                found.append((CARDIOMEGALY, UNCERTAIN))
    for finding, pattern in rules.sized.items():
        sizes = (_size(text, match) for match in pattern.finditer(text))
        found += [(finding, value) for value in sizes if value is not None]
    return tuple(found)


@lru_cache(maxsize=DISTINCT_SENTENCES)
def otherwise_abnormal(sentence: str) -> bool:
    """Whether a lower-case sentence states an abnormality that has no label of its own."""
    rules = lexicon()
    text = rules.ignored.sub(lambda match: " " * len(match[0]), sentence)
    return any(_value(text, match) != NEGATIVE for match in rules.others.finditer(text))


def _matches(text: str, pattern: re.Pattern[str], instead: re.Pattern[str] | None) -> list[re.Match[str]]:
    """Matches that lie in no phrase with another meaning."""
    found = list(pattern.finditer(text))
    taken = [match.span() for match in instead.finditer(text)] if found and instead else []
    return [match for match in found if not any(start <= match.start() < end for start, end in taken)]


def _value(text: str, match: re.Match[str]) -> int:
    rules = lexicon()
    before = rules.breaks.split(text[: match.start()])[-1]
    after = rules.breaks.split(text[match.end() :])[0]
    negated, doubted = _last(rules.negation, before), _last(rules.uncertain, before)
    if rules.uncertain_after.search(after) or (doubted > -1 and doubted >= negated):
        return UNCERTAIN
    if negated > -1 or rules.negation_after.search(after):
        return NEGATIVE
    return UNCERTAIN if rules.suspected.search(before) else POSITIVE


def _last(pattern: re.Pattern[str], text: str) -> int:
    """Where the last match ends; -1 where there is none."""
    return max((match.end() for match in pattern.finditer(text)), default=-1)


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
        self.mentions, self.not_mentions, self.sized = (
            {FINDINGS.index(name): any_of(phrases) for name, phrases in rules[part].items()}
            for part in ("mentions", "not_mentions", "sized")
        )
        self.others = any_of(rules["others"]["mentions"])
        words = {name: any_of(phrases) for name, phrases in rules["words"].items()}
        self.large, self.borderline, self.normal = words["large"], words["borderline"], words["normal"]
        cues = {name: any_of(phrases) for name, phrases in rules["cues"].items()}
        self.ignored, self.breaks = cues["ignored"], cues["break"]
        self.negation, self.negation_after = cues["negation"], cues["negation_after"]
        self.uncertain, self.uncertain_after = cues["uncertain"], cues["uncertain_after"]
        self.suspected = cues["suspected"]


@cache
def lexicon() -> Lexicon:
    """The shipped rules."""
    return Lexicon(LEXICON)


def signature() -> str:
    """`rule14@` and the start of the rules' hash: part of every number that rests on labels."""
    return f"rule14@{lexicon().sha256[:12]}"
