"""Reports for every case, exactly once: in this process, by servers, after stops, and only where they may go."""

import base64
import json
import os
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from lrrg.agent.faults import JudgeReplyError, JudgeUnavailable, RefusedURL
from lrrg.benchmark.cases import aligned
from lrrg.benchmark.degrade import degrade
from lrrg.pipelines import settings
from lrrg.pipelines.errors import SettingsError
from lrrg.pipelines.finetune.train import train
from lrrg.pipelines.generate.predictions import Predictions
from lrrg.pipelines.generate.stage import Generated, Options, generate
from lrrg.pipelines.pixels import resized
from lrrg.pipelines.score.stage import Options as ScoreOptions
from lrrg.pipelines.score.stage import read_benchmark, read_predictions, score
from lrrg.tests.quiet import quiet, silent
from lrrg.tests.reported import reported, small
from lrrg.tests.scripted import fails, says, serving
from lrrg.tools.image import decode

ONCE = Options(limit=8, max_tokens=8)


@pytest.fixture(scope="module")
def splits(tmp_path_factory) -> Path:
    return reported(tmp_path_factory.mktemp("reported"))


@pytest.fixture(scope="module")
def model(splits: Path, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "sft"
    train(splits, small(train={"steps": 2}), out, settings.load().read)
    return out


def write(splits: Path, model: Path | str, out: Path, options: Options = ONCE, progress=silent, **client) -> Generated:
    return generate(splits, str(model), out, settings.load(client=client), options, progress)


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_every_case_gets_one_report_and_the_score_takes_them(splits: Path, model: Path, tmp_path: Path):
    out = tmp_path / "predictions.jsonl"
    found = write(splits, model, out, Options(max_tokens=4, batch_size=64))
    cases = read_benchmark(splits).scored
    name, answers = read_predictions(out)
    assert (name, found.model, found.missing, found.exit_code) == ("sft", "sft", 0, 0)
    assert len(aligned(cases, answers, "")) == found.written == len(cases)
    first = lines(out)[0]
    assert [each["case_id"] for each in lines(out)] == sorted(case.case_id for case in cases)
    assert first["dicom_ids"] == [cases[0].image_id]
    assert first["finish_reason"] in ("stop", "length")
    scores = score(splits, [out], ScoreOptions(reference="sft", draws=100), quiet)
    assert {("sft", "T5", "value"), ("sft", "T4", "drop")} <= {
        (row.model, row.track, row.quantity) for row in scores.rows
    }


def test_a_run_goes_on_where_a_crash_cut_a_line_and_ends_with_the_same_bytes(splits: Path, model: Path, tmp_path: Path):
    whole, torn = tmp_path / "whole.jsonl", tmp_path / "torn.jsonl"
    write(splits, model, whole, Options(limit=8, max_tokens=8, batch_size=4, workers=2))
    write(splits, model, torn, Options(limit=5, max_tokens=8, batch_size=4))
    torn.write_bytes(torn.read_bytes()[:-30])
    found = write(splits, model, torn, Options(limit=4, max_tokens=8, batch_size=4))
    assert found.written == 4
    assert Counter(each["case_id"] for each in lines(torn)) == Counter(each["case_id"] for each in lines(whole))
    assert torn.read_bytes() == whole.read_bytes()


def test_a_signal_finishes_the_batch_and_the_next_run_the_rest(splits: Path, model: Path, tmp_path: Path):
    out = tmp_path / "predictions.jsonl"

    @contextmanager
    def stopping(label: str, total: int | None) -> Iterator[Callable[..., None]]:
        yield lambda done=1, **counts: os.kill(os.getpid(), signal.SIGINT)

    stopped = write(splits, model, out, Options(limit=8, max_tokens=4, batch_size=2), stopping)
    assert (stopped.exit_code, stopped.written) == (130, 2)
    assert write(splits, model, out, Options(limit=6, max_tokens=4, batch_size=2)).exit_code == 0
    assert len({each["case_id"] for each in lines(out)}) == len(lines(out)) == 8


def test_a_file_holds_reports_of_one_model_and_has_one_writer(splits: Path, model: Path, tmp_path: Path):
    out = tmp_path / "predictions.jsonl"
    write(splits, model, out)
    with pytest.raises(SettingsError, match="holds reports of another max_tokens"):
        write(splits, model, out, Options(limit=2, max_tokens=9))
    origin = {name: lines(out)[0][name] for name in ("model", "revision", "prompt_sha256", "max_pixels", "max_tokens")}
    with Predictions.opened(out, origin), pytest.raises(SettingsError, match="another lrrg generate writes it"):
        write(splits, model, out)
    out.write_text("not JSON\n")
    with pytest.raises(SettingsError, match=r"predictions\.jsonl:1"):
        write(splits, model, out)


@pytest.mark.parametrize("written", ['{"notes": "mine"}', "one line\nand another", "line\n"])
def test_a_file_that_is_none_of_ours_stays_as_it_was(tmp_path: Path, written: str):
    out = tmp_path / "notes.json"
    out.write_text(written)
    with pytest.raises(SettingsError, match="name a new file"), Predictions.opened(out, {}):
        pass
    assert out.read_text() == written


def test_a_folder_without_a_model_is_named(splits: Path, tmp_path: Path):
    with pytest.raises(SettingsError, match="no model; name a folder"):
        write(splits, tmp_path, tmp_path / "predictions.jsonl")


def sent_film(body: dict[str, Any]) -> np.ndarray:
    url = body["messages"][1]["content"][0]["image_url"]["url"]
    data = base64.b64decode(url.removeprefix("data:image/png;base64,"))
    return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)


def test_a_server_is_sent_the_very_film_that_the_score_presumes(splits: Path, tmp_path: Path):
    with serving(says("The lungs are clear.")) as server:
        out = tmp_path / "predictions.jsonl"
        found = write(splits, server.url, out, Options(name="served", limit=40, max_pixels=64 * 64), concurrency=1)
        bodies = server.asked
    assert (found.model, found.written) == ("served", 40)
    assert {(each["text"], each["finish_reason"], each["revision"]) for each in lines(out)} == {
        ("The lungs are clear.", "stop", "judge")
    }
    cases = {case.case_id: case for case in read_benchmark(splits).scored}
    answered = [cases[each["case_id"]] for each in lines(out)]
    assert any(case.defect for case in answered)
    films = splits.parent / "films"
    for case, body in zip(answered, bodies, strict=True):
        grey = decode((films / f"{case.image_id}.jpg").read_bytes(), max_pixels=10**8).pixels
        if case.defect:
            grey = degrade(grey, case.defect, case.severity, key=case.image_id)
        assert np.array_equal(sent_film(body), resized(grey, 56 * 56, 64 * 64))
        assert "Indication: Cough." in body["messages"][1]["content"][1]["text"]
        assert (body["temperature"], body["repetition_penalty"]) == (0, 1.0)


def test_a_cut_report_is_kept_and_says_so(splits: Path, tmp_path: Path):
    with serving(says("The lungs", finish="length")) as server:
        write(splits, server.url, tmp_path / "predictions.jsonl")
    assert {(each["text"], each["finish_reason"]) for each in lines(tmp_path / "predictions.jsonl")} == {
        ("The lungs", "length")
    }


def test_what_came_before_a_refusal_stays(splits: Path, tmp_path: Path):
    out = tmp_path / "predictions.jsonl"
    with serving(says("Clear."), says("Clear."), fails(400)) as server:
        with pytest.raises(JudgeReplyError, match="case ") as fault:
            write(splits, server.url, out, concurrency=1)
        assert fault.value.code == "rejected"
        assert len(lines(out)) == 2
    with serving(says("Clear.")) as server:
        assert write(splits, server.url, out, concurrency=3).written == 8
    assert len({each["case_id"] for each in lines(out)}) == 10


def test_films_go_nowhere_but_to_this_machine_and_allowed_hosts(splits: Path, tmp_path: Path):
    with pytest.raises(RefusedURL):
        write(splits, "https://api.example.com/v1", tmp_path / "predictions.jsonl")
    assert not (tmp_path / "predictions.jsonl").exists()


def test_a_server_that_is_not_there_leaves_no_report(splits: Path, tmp_path: Path):
    with serving(says("Clear.")) as server:
        url = server.url
    with pytest.raises(JudgeUnavailable):
        write(splits, url, tmp_path / "predictions.jsonl", patience=0.1, attempts=1)
