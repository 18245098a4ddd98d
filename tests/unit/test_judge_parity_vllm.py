"""The served judge against plain transformers on its folder, and how the comparison counts."""

import numpy as np
from lrrg.agent.state import ASPECTS
from lrrg.pipelines.finetune.judge.model import answer
from lrrg.pipelines.finetune.judge.parity import compare, parity
from lrrg.pipelines.finetune.judge.plain import Said
from lrrg.pipelines.settings import load
from lrrg.pipelines.view import progress


def test_the_server_says_what_its_folder_says(films_root, judge_server):
    found = parity(films_root, None, judge_server.url, load(), 40, progress)
    assert found.films == found.valid == found.free == 40
    assert found.same >= 39
    assert found.largest < 0.01


def test_useless_replies_and_other_grades_are_counted():
    none, severe = (np.eye(4)[[grade] * len(ASPECTS)] for grade in (0, 3))
    text = answer([0] * len(ASPECTS))
    found = compare([none, severe, None], [Said(text, none), Said(text, none), Said("nonsense", none)])
    assert found == (3, 2, 2, 1, 3.0)
