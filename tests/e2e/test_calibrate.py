"""`lrrg calibrate` from labelled files to a policy, through the agent, with a scripted judge that looks at pictures."""

import base64
import csv
import json
from datetime import datetime
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from lrrg.agent.policy import load
from lrrg.agent.state import ASPECTS
from lrrg.benchmark.phantom import phantom
from lrrg.pipelines.cli import app
from lrrg.pipelines.records import ReadRow
from lrrg.pipelines.store import Store
from lrrg.tests.scripted import Handler, Server, serving, tells
from lrrg.tools.depth import to_eight_bit
from typer.testing import CliRunner

FILMS = 6
"""Of each label; each is judged as it came and equalised."""


def looks(handler: Handler, body: dict[str, Any]) -> None:
    """Grade noise by the grain of the last detail, mostly; never sure of anything else."""
    pictures = [part["image_url"]["url"] for part in body["messages"][1]["content"] if part["type"] == "image_url"]
    data = np.frombuffer(base64.b64decode(pictures[-1].partition(",")[2]), np.uint8)
    detail = cv2.imdecode(data, cv2.IMREAD_GRAYSCALE).astype(float)
    grain = float(np.abs(np.diff(detail, axis=1)).mean())
    noisy = {"3": 0.9, "0": 0.1} if grain > 10 else {"0": 0.9, "3": 0.1}
    graded = {"noise": noisy, **{aspect: {"0": 0.6, "1": 0.4} for aspect in ASPECTS[1:]}}
    pieces = [({f'"{aspect}":': 1.0}, digits, {",": 1.0}) for aspect, digits in graded.items()]
    tokens = [{"{": 1.0}, *(each for triple in pieces for each in triple)]
    tokens[-1] = {"}": 1.0}
    tells(*((next(iter(each)), each) for each in tokens))(handler, body)


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A good and a low film under each name, told apart by their suffix alone."""
    folder = tmp_path_factory.mktemp("films")
    with (folder / "manifest.csv").open("w", newline="") as stream:
        lines = csv.writer(stream)
        lines.writerow(("file", "patient", "view", "apparent_quality"))
        for k in range(2 * FILMS):
            label, kind = (("good", "png"), ("low", "jpg"))[k % 2]
            name = f"{('north', 'south')[k // 2 % 2]}_{k // 2}.{kind}"
            grey = to_eight_bit(phantom(k, height=480).stored)
            grain = np.random.default_rng(k).normal(0, 30 * (k % 2), grey.shape)
            cv2.imwrite(str(folder / name), np.clip(grey + grain, 0, 255).astype(np.uint8))
            lines.writerow((name, f"patient {k}", "PA", label))
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("calibration")


def calibrate(*arguments: str | Path) -> dict[str, Any]:
    done = CliRunner().invoke(app, ["calibrate", *map(str, arguments), "--json"])
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def ask(server: Server, films: Path, folder: Path) -> dict[str, Any]:
    curves = ("--curves", folder / "curves")
    where = ("--db", folder / "lrrg.duckdb", "--out", folder / "own.json", *curves)
    return calibrate(films, "--judge", server.url, *where)


@pytest.fixture(scope="module")
def first(films: Path, folder: Path) -> tuple[dict[str, Any], int]:
    """What the first run said, and how many requests it took."""
    with serving(looks) as server:
        return ask(server, films, folder), len(server.asked)


def test_every_film_is_judged_as_it_came_and_equalised(first: tuple[dict[str, Any], int]):
    said, asked = first
    assert asked == 4 * FILMS
    (row, *_) = said["gain"]
    assert (row["good"], row["low"]) == (2 * FILMS, 2 * FILMS)
    assert row["judge"] > 0.95  # it sees what makes these films low
    assert {row["films"] for row in said["gain"]} >= {"all", "equalised", "presentation"}


def test_a_second_run_asks_nothing_and_says_the_same(first: tuple[dict[str, Any], int], films: Path, folder: Path):
    with serving(looks) as server:
        assert ask(server, films, folder) == first[0]
        assert server.asked == []


def test_the_policy_holds_for_this_judge(first: tuple[dict[str, Any], int], folder: Path):
    made = load(folder / "own.json")
    assert made.judge is not None
    assert (made.judge.model, made.judge.revision) == ("judge", "judge")
    assert made.judge.weights["noise"] > 0
    assert made.for_judge(None) == load("standard.v1")


def test_the_curves_are_files(first: tuple[dict[str, Any], int], folder: Path):
    for name in ("reliability", "cost"):
        with (folder / "curves" / f"{name}.csv").open(newline="") as stream:
            rows = list(csv.DictReader(stream))
        assert [list(row.values()) for row in rows] == [list(map(str, row.values())) for row in first[0][name]]


def test_readers_labels_in_the_database_do_as_well(first: tuple[dict[str, Any], int], folder: Path):
    when = datetime(2026, 1, 1)
    with Store.open(folder / "lrrg.duckdb") as store:
        ids = [name for (name,) in store.query("SELECT image_id FROM image ORDER BY 1").rows]
        regimes = ["low" if ".jpg" in name else "high" for name in ids]
        store.add_reads(
            [ReadRow(name, "R", regime, *([None] * 6), True, when) for name, regime in zip(ids, regimes, strict=True)]
        )
    where = ("--db", folder / "lrrg.duckdb", "--out", folder / "read.json")
    said = calibrate(*where)
    shown = CliRunner().invoke(app, ["calibrate", *map(str, where)])
    assert said["finding"] in " ".join(shown.stdout.split())
    same = ("good", "low", "tools", "judge", "agent")
    assert [said["gain"][0][key] for key in same] == [first[0]["gain"][0][key] for key in same]


def test_a_database_without_a_judge_is_refused(tmp_path: Path):
    with Store.open(tmp_path / "lrrg.duckdb"):
        pass
    done = CliRunner().invoke(app, ["calibrate", "--db", str(tmp_path / "lrrg.duckdb"), "--out", str(tmp_path / "x")])
    assert "run lrrg annotate --judge URL first" in str(done.exception)
