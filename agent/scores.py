"""Severities with their probabilities, read from the tokens of a judge's reply instead of from its digits alone.

A judge answers with one digit an aspect, 0 none to 3 severe. Which digit was sampled says little; how probable each
digit was says how severe the defect is and how sure the judge.

Source:
    Expected value over rating tokens: Wu et al., Q-Align, ICML 2024, arXiv:2312.17090; distributions instead of
    single ratings: You et al., DeQA-Score, CVPR 2025, arXiv:2501.11561.
"""

import math
import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from .state import ASPECTS, Aspect

DIGITS = "0123"
GRADED = re.compile(rf'(?<!\\)"({"|".join(ASPECTS)})"\s*:\s*([{DIGITS}])')
"""An aspect and its digit; an unescaped quote can only begin or end a JSON string, so prose never matches."""


class ScoreError(ValueError):
    """The tokens do not spell the reply, so that they say nothing about it."""

    code = "malformed"


class Token(NamedTuple):
    """One token of a reply, with the most probable ones in its place."""

    text: str
    logprob: float
    """Natural logarithm of its probability."""
    top: tuple[tuple[str, float], ...] = ()
    """Text and log-probability of the likeliest tokens here."""


class Calibration(NamedTuple):
    """What makes a judge's scores of one aspect true.

    Source:
        Temperature: Guo et al., On calibration of modern neural networks, ICML 2017. With a shift: Alexandari et al.,
        Maximum likelihood with bias-corrected calibration, ICML 2020, arXiv:1901.06852.
    """

    temperature: float = 1.0
    """What log-probabilities are divided by: flatter above 1, sharper below."""
    shift: float = 0.0
    """What the log-odds of any severity above 0 are raised by, after that."""


AS_IT_CAME = Calibration()


class Score(NamedTuple):
    """What a judge says about one aspect."""

    probabilities: tuple[float, ...]
    """Of severity 0, 1, 2 and 3; they sum to 1."""

    @property
    def severity(self) -> float:
        """Expected severity, 0 none … 3 severe."""
        return sum(digit * p for digit, p in enumerate(self.probabilities))

    @property
    def confidence(self) -> float:
        """Probability of the likeliest severity, 0.25 … 1: how often a calibrated judge grades as the truth is."""
        return max(self.probabilities)

    @property
    def grade(self) -> int:
        """The likeliest severity; the milder one of equals."""
        return self.probabilities.index(max(self.probabilities))

    def calibrated(self, by: Calibration) -> "Score":
        """The score made true."""
        if by == AS_IT_CAME:
            return self
        # Relative to the likeliest one, so that no power of it vanishes.
        weights = [(p / self.confidence) ** (1 / by.temperature) for p in self.probabilities]
        raised = [weights[0], *(weight * math.exp(by.shift) for weight in weights[1:])]
        return Score(tuple(weight / sum(raised) for weight in raised))


def scores(text: str, tokens: Sequence[Token]) -> dict[Aspect, Score]:
    """Read the score of every aspect that a reply grades.

    Tokens may split the JSON anywhere: those alternatives count that agree up to the digit and have one there. What
    the listed alternatives leave of the probability is spread over them in proportion.

    Args:
        text: the reply, valid JSON; each aspect occurs at most once as a key.
        tokens: of the reply; special ones may follow.

    Raises:
        ScoreError: the tokens grade otherwise than the text.

    >>> likely = Token("2", -0.1, (("2", -0.1), ("0", -2.4)))
    >>> round(scores('{"blur":2}', [Token('{"blur":', 0.0), likely, Token("}", 0.0)])["blur"].severity, 2)
    1.82
    """
    spelled = "".join(token.text for token in tokens)
    if GRADED.findall(text) != GRADED.findall(spelled):
        raise ScoreError(f"the tokens spell {spelled[:200]!r}, the reply is {text[:200]!r}")
    places = {match[1]: match.start(2) for match in GRADED.finditer(spelled)}
    found = {}
    for aspect in ASPECTS:
        if aspect in places:
            token, place = _token_at(tokens, places[aspect])
            found[aspect] = Score(_digits(token, place))
    return found


def confidence(found: Iterable[Score]) -> float:
    """Confidence in all of some scores, 0.25 … 1: the least of them, because a verdict rests on every one."""
    return min(score.confidence for score in found)


def _token_at(tokens: Sequence[Token], position: int) -> tuple[Token, int]:
    """The token that holds a character of the text they spell, and the character's place in it."""
    for token in tokens:
        if position < len(token.text):
            return token, position
        position -= len(token.text)
    raise AssertionError("the position lies beyond the text that the tokens spell")


def _digits(token: Token, place: int) -> tuple[float, ...]:
    """Probability of each digit at a place of a token; the sampled token counts, listed or not."""
    found: dict[str, list[float]] = {digit: [] for digit in DIGITS}
    for text, logprob in {**dict(token.top), token.text: token.logprob}.items():
        if text[:place] == token.text[:place] and text[place : place + 1] in found:
            found[text[place]].append(logprob)
    highest = max(logprob for logprobs in found.values() for logprob in logprobs)
    # Relative to the likeliest alternative: the sampled one may be so unlikely that its probability is 0 as a float.
    weights = [sum(math.exp(each - highest) for each in logprobs) for logprobs in found.values()]
    return tuple(weight / sum(weights) for weight in weights)
