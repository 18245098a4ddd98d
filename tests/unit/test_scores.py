"""Severities from the tokens of a reply, however the tokens split it."""

from itertools import pairwise
from math import exp, log

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lrrg.agent.scores import Calibration, Score, ScoreError, Token, confidence, scores
from lrrg.agent.state import ASPECTS

SHARES = st.lists(st.floats(1e-6, 1), min_size=4, max_size=4).map(lambda each: [x / sum(each) for x in each])
BOUND = st.fixed_dictionaries(dict.fromkeys(ASPECTS, SHARES))


def spelled(grades: dict[str, int], shares: dict[str, list[float]], cuts: set[int], glue: str = "") -> list[Token]:
    """The reply's tokens when it is cut at some characters; each digit's token has the other digits beside it."""
    text = reply(grades, glue)
    digit_at = {text.index(f'"{aspect}":{glue}') + len(aspect) + 3 + len(glue): aspect for aspect in grades}
    edges = [0, *sorted(cut for cut in cuts if 0 < cut < len(text)), len(text)]
    tokens: list[Token] = []
    for start, end in pairwise(edges):
        held = [place for place in digit_at if start <= place < end]
        if len(held) > 1:  # one token a digit, or its alternatives could not be listed
            middle = held[1]
            return spelled(grades, shares, cuts | {middle}, glue)
        piece = text[start:end]
        if held:
            place, p = held[0] - start, shares[digit_at[held[0]]]
            top = tuple((piece[:place] + str(k) + piece[place + 1 :], log(p[k])) for k in range(4))
            tokens.append(Token(piece, dict(top)[piece], top))
        else:
            tokens.append(Token(piece, 0.0, ((piece, 0.0), ("0", -9999.0))))
    return tokens


def reply(grades: dict[str, int], glue: str = "") -> str:
    return "{" + ",".join(f'"{aspect}":{glue}{grade}' for aspect, grade in grades.items()) + "}"


@given(
    BOUND, st.lists(st.integers(0, 3), min_size=6, max_size=6), st.sets(st.integers(1, 120)), st.sampled_from(["", " "])
)
def test_the_split_of_the_reply_changes_nothing(shares, digits, cuts, glue):
    grades = dict(zip(ASPECTS, digits, strict=True))
    tokens = [*spelled(grades, shares, cuts, glue), Token("<|im_end|>", 0.0)]
    found = scores(reply(grades, glue), tokens)
    assert list(found) == list(ASPECTS)
    for aspect in ASPECTS:
        assert found[aspect].probabilities == pytest.approx(shares[aspect])
        assert found[aspect].severity == pytest.approx(sum(k * p for k, p in enumerate(shares[aspect])))
    assert confidence(found.values()) == pytest.approx(min(max(p) for p in shares.values()))


@given(SHARES, st.floats(0.2, 5))
def test_a_temperature_flattens_or_sharpens_and_keeps_the_order(shares, temperature):
    plain = Score(tuple(shares))
    tempered = plain.calibrated(Calibration(temperature))
    assert sum(tempered.probabilities) == pytest.approx(1)
    assert tempered.grade == plain.grade
    assert (tempered.confidence - plain.confidence) * (1 - temperature) >= -1e-9
    assert tempered.calibrated(Calibration(1 / temperature)).probabilities == pytest.approx(plain.probabilities)
    assert plain.calibrated(Calibration()) == plain


@given(SHARES, st.floats(-3, 3))
def test_a_shift_raises_the_odds_of_any_defect_and_nothing_else(shares, shift):
    plain = Score(tuple(shares))
    shifted = plain.calibrated(Calibration(shift=shift))
    assert sum(shifted.probabilities) == pytest.approx(1)
    odds, before = (1 / each.probabilities[0] - 1 for each in (shifted, plain))
    assert odds == pytest.approx(before * exp(shift))
    among, was = ([p / sum(each.probabilities[1:]) for p in each.probabilities[1:]] for each in (shifted, plain))
    assert among == pytest.approx(was)


@given(SHARES, st.integers(0, 3))
def test_the_rest_of_the_probability_is_spread_in_proportion(shares, digit):
    """A grammar leaves nothing over; without one a quarter may have gone elsewhere."""
    place = ((str(digit), log(0.75 * shares[digit])), *((str(k), log(0.75 * p)) for k, p in enumerate(shares)))
    tokens = [Token('{"noise":', 0.0), Token(str(digit), place[0][1], (*place, ("null", log(0.25)))), Token("}", 0.0)]
    assert scores(reply({"noise": digit}), tokens)["noise"].probabilities == pytest.approx(shares)


def test_other_ways_to_go_on_from_a_digit_count_as_that_digit():
    top = ((":3", log(0.25)), (":3,", log(0.25)), (":1", log(0.25)), (" :2", log(0.2)), (":", log(0.05)))
    tokens = [Token('{"noise"', 0.0), Token(":3", log(0.25), top), Token("}", 0.0)]
    assert scores('{"noise":3}', tokens)["noise"].probabilities == pytest.approx((0, 1 / 3, 0, 2 / 3))


@given(st.floats(-9999, 0))
def test_a_sampled_digit_beside_the_listed_ones_counts_too(logprob):
    tokens = [Token('{"noise":', 0.0), Token("3", logprob, (("0", -0.1), ("1", -2.0))), Token("}", 0.0)]
    found = scores('{"noise":3}', tokens)["noise"].probabilities
    assert found[3] == pytest.approx(exp(logprob) / (exp(logprob) + exp(-0.1) + exp(-2)))


def test_a_lonely_digit_is_certain_however_unlikely():
    tokens = [Token('{"noise":', 0.0), Token("2", -9999.0), Token("}", 0.0)]
    assert scores('{"noise":2}', tokens)["noise"] == Score((0, 0, 1, 0))


def test_only_keys_are_graded():
    text = '{"look":"crop","why":"\\"noise\\":3 may hide \\"blur\\": 1","collimation":1}'
    tokens = [Token(text[:-2], 0.0), Token("1", 0.0, (("1", 0.0),)), Token("}", 0.0)]
    assert list(scores(text, tokens)) == ["collimation"]
    assert scores('{"look":"left"}', [Token('{"look":"left"}', 0.0)]) == {}


def test_tokens_of_another_reply_are_refused():
    with pytest.raises(ScoreError) as caught:
        scores('{"noise":1}', [Token('{"noise":', 0.0), Token("2", 0.0), Token("}", 0.0)])
    assert caught.value.code == "malformed"
