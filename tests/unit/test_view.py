"""What verbs print for programs and for people."""

import json

import pytest
from lrrg.pipelines import view
from lrrg.pipelines.view import answer, grid, show


def test_what_programs_read_is_json_whatever_the_numbers(capsys: pytest.CaptureFixture[str]):
    show({"gap": float("nan"), "rows": [{"at": (0.5, float("inf"))}]}, as_json=True)
    grid(("model", "gap"), [("sft", float("-inf"))], "Gaps", as_json=True)
    first, second = capsys.readouterr().out.splitlines()
    assert json.loads(first, parse_constant=pytest.fail) == {"gap": None, "rows": [{"at": [0.5, None]}]}
    assert json.loads(second, parse_constant=pytest.fail) == {"table": "Gaps", "model": "sft", "gap": None}


def test_an_answer_too_wide_for_the_terminal_is_read_from_top_to_bottom(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(view.out, "width", 40)
    names = [f"column_{n}" for n in range(9)]
    answer(names[:3], [(1, 2, 3)])
    assert "row 1" not in (beside := capsys.readouterr().out)
    assert all(name in beside.splitlines()[1] for name in names[:3])
    answer(names, [range(9), range(9, 18)])
    below = capsys.readouterr().out
    assert [line.strip() for line in below.splitlines() if line.startswith("row")] == ["row 1", "row 2"]
    assert all(below.count(name) == 2 for name in names), "no name is broken"
    answer(names, [])
    assert capsys.readouterr().out == "no rows\n"
