import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from lrrg.benchmark import ngram, tokens

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "coco_scores.json").read_text())
PAIRS = [(hypothesis.split(), reference.split()) for hypothesis, reference in GOLDEN["pairs"]]
WORDS = st.lists(st.sampled_from("abcde"), max_size=40)


def test_equals_the_coco_scorers_on_given_tokens():
    sums = np.sum([ngram.bleu_statistics(*pair) for pair in PAIRS], axis=0)
    for order in range(1, 5):
        assert float(ngram.bleu(sums, order)) == pytest.approx(GOLDEN["bleu"][order - 1], abs=1e-12)
    assert np.mean([ngram.rouge_l(*pair) for pair in PAIRS]) == pytest.approx(GOLDEN["rouge_l"], abs=1e-12)
    cider = ngram.Cider([reference for _, reference in PAIRS])
    assert [cider(*pair) for pair in PAIRS] == pytest.approx(GOLDEN["cider_per_study"], abs=1e-12)


def test_statistics_add_up_over_any_grouping():
    parts = [ngram.bleu_statistics(*pair) for pair in PAIRS]
    halves = np.array([sum(parts[:30]), sum(parts[30:])])
    assert ngram.bleu(halves).shape == (2,)
    assert ngram.bleu(halves.sum(0)) == ngram.bleu(np.sum(parts, axis=0))


def test_identical_text_scores_one_and_empty_text_zero():
    text = ["no", "acute", "cardiopulmonary", "process", "."]
    assert float(ngram.bleu(ngram.bleu_statistics(text, text))) == pytest.approx(1, abs=1e-8)
    assert ngram.rouge_l(text, text) == pytest.approx(1)
    assert float(ngram.bleu(ngram.bleu_statistics([], text))) == 0
    assert ngram.rouge_l([], text) == ngram.Cider([text, ["other"]])([], text) == 0


@given(WORDS, WORDS)
def test_bit_parallel_subsequence_equals_the_table(first: list[str], second: list[str]):
    table = np.zeros((len(first) + 1, len(second) + 1), int)
    for i, a in enumerate(first):
        for j, b in enumerate(second):
            table[i + 1, j + 1] = table[i, j] + 1 if a == b else max(table[i, j + 1], table[i + 1, j])
    assert ngram.common_subsequence(first, second) == table[-1, -1]


def test_complete_protocol_keeps_numbers_and_marks():
    assert tokens.COMPLETE.tokens("Tube 2.5 cm above carina, no PTX.") == [
        *("tube", "2.5", "cm", "above", "carina", ",", "no", "ptx", ".")
    ]


def test_r2gen_protocol_cuts_cleans_and_hides_rare_words():
    report = "1. The  lungs are clear..\n2. No ___ effusion, or pneumothorax"
    assert " ".join(tokens.split_sentences(report)) == "the lungs are clear . no effusion or pneumothorax ."
    vocabulary = tokens.R2GEN_100.vocabulary(["lungs clear"] * 10 + ["rare"])
    assert tokens.R2GEN_100.tokens("Lungs clear. Rare", vocabulary) == ["lungs", "clear", ".", "<unk>", "."]
    assert len(tokens.R2GEN_100.tokens("word " * 300)) == 100


@pytest.mark.parametrize(
    ("report", "cleaned"),
    [
        ("ET tube 3.2 cm above carina; right-sided port.", "et tube 32 cm above carina right-sided port ."),
        ("AP/PA view @ 5 a.m. | done", "appa view 5 am . | done ."),
        ("1. Clear 2. No effusion. 3. Old rib fracture", "clear . no effusion . old rib fracture ."),
        ("6. Stays", "6 . stays ."),
        ("One. . Two", "one . . two ."),
        (" \n ", ""),
    ],
)
def test_r2gen_cleaning_keeps_what_that_code_keeps(report: str, cleaned: str):
    assert " ".join(tokens.split_sentences(report)) == cleaned
