"""What verbs print for programs."""

import json

import pytest
from lrrg.pipelines.view import grid, show


def test_what_programs_read_is_json_whatever_the_numbers(capsys: pytest.CaptureFixture[str]):
    show({"gap": float("nan"), "rows": [{"at": (0.5, float("inf"))}]}, as_json=True)
    grid(("model", "gap"), [("sft", float("-inf"))], "Gaps", as_json=True)
    first, second = capsys.readouterr().out.splitlines()
    assert json.loads(first, parse_constant=pytest.fail) == {"gap": None, "rows": [{"at": [0.5, None]}]}
    assert json.loads(second, parse_constant=pytest.fail) == {"table": "Gaps", "model": "sft", "gap": None}
