import json
from itertools import islice

import numpy as np
import pytest
import torch
from lrrg.agent.scores import Score
from lrrg.agent.state import ASPECTS
from lrrg.benchmark.phantom import phantom
from lrrg.pipelines.finetune.judge import evaluate
from lrrg.pipelines.finetune.judge.bases import Base
from lrrg.pipelines.finetune.judge.evaluate import (
    Graded,
    by_aspect,
    by_defect,
    calibrate,
    calibrated,
    ece,
    ladders,
    mixed,
    steps,
)
from lrrg.pipelines.finetune.judge.model import Judge, answer, tokenizer
from lrrg.pipelines.finetune.judge.plain import Plain
from lrrg.pipelines.finetune.judge.spoil import Spoiled, spoil
from lrrg.pipelines.finetune.judge.tower import GreyPatches
from lrrg.pipelines.finetune.judge.train import Schedule, draw_batch, sample, train
from lrrg.pipelines.finetune.judge.views import Row, Views, make_training, make_views
from lrrg.pipelines.finetune.qwen import Sizes
from lrrg.prompts import load
from lrrg.tools.depth import to_eight_bit
from torch import nn

TINY = Sizes(
    vision_hidden=32, vision_depth=1, vision_intermediate=32, hidden=32, layers=1, intermediate=32, key_value_heads=1
)
CLEAN = dict.fromkeys(ASPECTS, 0)
QUICK = Schedule(eyes=6, whole=10, batch=8, eyes_rate=3e-3, rate=6e-3, compiled=False)


def quiet(done=1, **_):
    pass


@pytest.fixture(scope="module")
def film():
    chest = to_eight_bit(phantom(5, height=600).stored)
    return Base("a", chest, "presentation", CLEAN, "x", "p1", "good", "train")


@pytest.fixture(scope="module")
def views(film, tmp_path_factory):
    return make_training([film], 12, tmp_path_factory.mktemp("views"), seed=1, advance=quiet)


def trained(views):
    judge = Judge.fresh(sample(views, seed=0), seed=4, sizes=TINY)
    losses = []
    train(judge, views, QUICK, seed=5, advance=lambda done=1, **counts: losses.append(counts["loss_per_mille"]))
    return judge, losses


def test_a_reply_takes_a_token_a_phrase_and_a_digit():
    words = tokenizer(load("quality_judge_compact.v1"))
    reply = answer([0, 3, 0, 1, 2, 0])
    assert json.loads(reply) == dict(zip(ASPECTS, [0, 3, 0, 1, 2, 0], strict=True))
    assert len(words(reply).input_ids) == 2 * len(ASPECTS) + 1
    assert words.decode(words(reply).input_ids) == reply


def test_the_grey_embedding_is_qwens_on_grey_pictures():
    torch.manual_seed(1)
    grey, conv = GreyPatches(24, torch.randn(500, 196)), nn.Conv3d(3, 24, (2, 14, 14), (2, 14, 14), bias=False)
    nn.init.normal_(grey.linear.bias)
    grey.write(conv)
    patch = torch.rand(7, 196)
    mean, deviation = (torch.tensor(each) for each in ([0.48145466, 0.4578275, 0.40821073],
                                                       [0.26862954, 0.26130258, 0.27577711]))  # fmt: skip
    colour = (patch[:, None] - mean[:, None]) / deviation[:, None]
    frames = colour[:, :, None].expand(-1, -1, 2, -1).reshape(7, 3, 2, 14, 14)
    assert torch.allclose(conv(frames).flatten(1), grey(patch - 0.45), atol=1e-4)
    again = GreyPatches(24)
    again.read(conv)
    assert torch.allclose(again(patch - 0.45), grey(patch - 0.45), atol=1e-4)


def test_training_is_seeded_and_lowers_the_loss_and_the_folder_grades_as_the_judge(views, film, tmp_path):
    judge, losses = trained(views)
    assert np.mean(losses[-3:]) < 0.9 * losses[QUICK.eyes], "the reply's loss from first to last"
    again, same = trained(views)
    assert losses == same
    assert torch.equal(judge.tower.embedding.linear.weight, again.tower.embedding.linear.weight)
    shown = make_views([(film, Spoiled(film.grey, CLEAN, ()))])
    graded = judge.grade(shown)
    judge.save(tmp_path)
    assert np.abs(Judge.load(tmp_path).grade(shown) - graded).max() < 1e-4
    pictures = [[shown.overview[index], *shown.details[index]] for index in range(len(shown))]
    for own, served in zip(Plain(tmp_path).say(pictures), graded, strict=True):
        assert np.abs(own.grades - served).max() < 1e-4


def test_a_batch_varies_what_changes_no_grade(views):
    one, two = (draw_batch(views, 5, np.random.default_rng(seed)) for seed in (1, 2))
    assert one.overview.shape == (5, 144, 196)
    assert one.details.shape == (5, 2, 100, 196)
    assert not torch.equal(one.details, two.details)
    assert torch.equal(one.details, draw_batch(views, 5, np.random.default_rng(1)).details)


def graded(grades, probabilities):
    rows = [Row(f"f{i}", "x", f"p{i % 7}", "equalised", (), CLEAN) for i in range(len(grades))]
    nothing = np.zeros((len(grades), 0, 0), np.uint8)
    return Graded(Views(nothing, nothing, grades, rows), probabilities)


def test_calibration_undoes_overconfidence_and_defects_seen_too_often():
    rng = np.random.default_rng(2)
    logits = rng.normal(size=(4000, 6, 4)) * 2
    honest = np.exp(logits) / np.exp(logits).sum(2, keepdims=True)
    sharp = np.exp(2 * (logits + np.array([0, 1, 1, 1])))
    sharp /= sharp.sum(2, keepdims=True)
    grades = (honest.cumsum(2) < rng.random((4000, 6, 1))).sum(2).astype(np.int8)
    found = calibrate(graded(grades, sharp))
    for each in found.values():
        assert 1.8 < each.temperature < 2.2
        assert -1.2 < each.shift < -0.7
    true = calibrated(graded(grades, sharp), found)
    error, was = (ece(1 - p[:, 0, 0], grades[:, 0] > 0) for p in (true.probabilities, sharp))
    assert error < 0.03 < was
    score = Score(tuple(sharp[0, 2])).calibrated(found[ASPECTS[2]])
    assert score.probabilities == pytest.approx(true.probabilities[0, 2]), "as the agent makes them"
    assert np.allclose(calibrated(graded(grades, sharp), {}).probabilities, sharp, atol=1e-6)


def test_unknown_grades_count_nowhere_and_figures_are_right():
    grades = np.tile(np.array([[0, 1, 2, 3, -1]], np.int8).T, (8, 6))
    certain = np.zeros((40, 6, 4))
    np.put_along_axis(certain, np.maximum(grades, 0)[:, :, None].astype(int), 1.0, 2)
    row = by_aspect(graded(grades, certain), "equalised", draws=50)[0]
    assert row["views"] == 32
    assert row["auroc"].value == row["exact"] == row["within_one"] == row["auroc_1"] == 1.0
    assert row["ece"] == 0.0
    useless = by_aspect(graded(grades, np.full((40, 6, 4), 0.25)), "equalised", draws=50)[0]
    assert useless["auroc"].value == 0.5
    assert useless["ece"] == pytest.approx(0)


def test_a_defect_alone_is_compared_with_clean_films_of_its_domain(film):
    made = [(film, Spoiled(film.grey, CLEAN, ())), (film, spoil(film.grey, CLEAN, {"noise": ("quantum_noise", 3)},
                                                               np.random.default_rng(1)))]  # fmt: skip
    shown = make_views(made)
    knowing = np.zeros((4, 6, 4))
    np.put_along_axis(knowing, shown.grades[:, :, None].astype(int), 1.0, 2)
    rows = {row["defect"]: row for row in by_defect(Graded(shown, knowing), "equalised")}
    assert rows["quantum_noise"]["auroc_3"] == 1.0
    assert rows["quantum_noise"]["auroc_1"] is None


def test_films_are_spoiled_when_they_are_asked_for_and_not_all_at_once(film, monkeypatch):
    spoiled = []
    monkeypatch.setattr(evaluate, "spoil", lambda *given, **how: spoiled.append(given[2]) or Spoiled(*given[:2], ()))
    for made in (mixed, ladders):
        spoiled.clear()
        assert len(list(islice(made([film] * 9, seed=1), 3))) == len(spoiled) == 3
    assert [plan for plan in steps() if len(plan) != 1] == [{}]
    assert len(list(ladders([film] * 2, seed=1))) == 2 * len(steps())
