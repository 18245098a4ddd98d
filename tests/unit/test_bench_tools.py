import csv
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import pytest
from lrrg.agent.policy import load
from lrrg.agent.state import ASPECTS
from lrrg.benchmark.degrade import degrade
from lrrg.benchmark.ladder import read_ladder
from lrrg.benchmark.phantom import phantom
from lrrg.pipelines.bench.claims import BOTH, CLAIMS, DEFECTS, TEXTBOOK, Claim, short
from lrrg.pipelines.bench.ladders import Rungs
from lrrg.pipelines.bench.shutters import against_eyes, seen_by_eye
from lrrg.pipelines.bench.textbook import MEASURES
from lrrg.pipelines.bench.tools import _areas, _met, report
from lrrg.pipelines.bench.verdicts import verdicts
from lrrg.pipelines.errors import SettingsError
from lrrg.pipelines.examples import Example
from lrrg.pipelines.films import LabelledFilm, labelled_films
from lrrg.tests.project import all_gone, eventually, family
from lrrg.tools import TOOLS


def test_claims_name_measures_domains_and_defects_that_exist():
    tools = {each.name: each for each in TOOLS}
    defects = read_ladder().defects
    for claim in CLAIMS:
        assert set(claim.domains) <= set(tools[claim.measure].domains), claim
        assert claim.defect in defects
    for each in TEXTBOOK:
        assert each.measure in MEASURES
        assert set(each.answers + each.leaves) <= set(defects)


def rungs(source: str, clean: float, spoiled: float) -> Rungs:
    values = {("presentation", "", 0): {"m": clean}, ("presentation", "defocus", 1): {"m": spoiled}}
    return Rungs(LabelledFilm(Path(), source, "p", "PA", "good"), values)


def test_films_are_compared_within_their_source_only():
    ladders = [rungs("a", k, k + 10) for k in range(4)] + [rungs("b", 100 + k, 110 + k) for k in range(4)]
    assert _areas(ladders, ["a", "b"], "m", "presentation", "defocus", 1) == [1.0]
    assert _areas(ladders, ["a", "b"], "m", "presentation", "defocus", -1) == [0.0]
    mixed = [*ladders, *(rungs("c", k, k) for k in range(4))]
    assert _areas(mixed, ["a", "c"], "m", "presentation", "defocus", 1) == [0.75]


def test_areas_print_short():
    assert [short(area) for area in (0.5, 0.854, 0.996, 1.0, 0.0, float("nan"))] == [".50", ".85", "1", "1", "0", "nan"]


def test_a_claim_is_met_only_if_every_severity_lies_in_its_range():
    rises = Claim("m", ("presentation",), "defocus", 1, (0.85, 0.96, 0.98))
    deaf = Claim("m", ("presentation",), "defocus", 1, (0.4, 0.4, 0.4), 0.6)
    assert _met(rises, [0.9, 0.96, 1.0])
    assert not _met(rises, [0.9, 0.95, 1.0])
    assert _met(deaf, [0.41, 0.5, 0.6])
    assert not _met(deaf, [0.41, 0.5, 0.62])


@pytest.mark.parametrize("measure", MEASURES)
def test_textbook_measures_give_finite_numbers(measure: str):
    view = np.clip(np.random.default_rng(0).normal(120, 30, (256, 300)), 0, 255).astype(np.uint8)
    assert np.isfinite(MEASURES[measure](view))
    assert np.isfinite(MEASURES[measure](np.zeros((64, 64), np.uint8)))


def test_a_folder_without_low_films_is_refused_before_the_long_work(tmp_path):
    write_films(tmp_path, [Mock("p2", "good", 256), Mock("p3", "good", 256)])
    with pytest.raises(SettingsError, match="0 low films"):
        report(tmp_path, load("standard.v1"), lambda done=1, **counts: None)


def test_verdicts_count_good_films_by_aspect_and_spoiled_ones_by_severity():
    policy = load("standard.v1")
    cuts = next(row.cuts for row in policy.severities if (row.domain, row.measure) == ("equalised", "artifact.text"))
    texts = {1: cuts[0], 2: cuts[1], 3: cuts[1]}
    values = {("equalised", "overlay_text", k): {"artifact.text": text} for k, text in texts.items()}
    clear = {key: {"artifact.text": 0.0} for key in values}
    film = LabelledFilm(Path(), "a", "p", "PA", "good")
    good = [Example(film, "equalised", {"artifact.text": lines}) for lines in (0, 99)]
    rows = verdicts(policy, good, [Rungs(film, values), Rungs(film, clear)], "equalised")
    assert ("artifact", "nothing", ".50", ".50", "") in rows
    assert ("noise", "nothing", "0", "0", "") in rows
    assert ("any", "nothing", ".50", ".50", "0") in rows
    assert ("artifact", "overlay text", ".50/.50/.50", "0/.50/.50", "0/0/0") in rows


def test_shutters_are_compared_with_what_was_seen_by_eye(films_root: Path):
    labels = seen_by_eye()
    films = [film for film in labelled_films(films_root) if film.reporting and film.path.name in labels]
    few = [
        next(f for f in films if f.source == "nih" and labels[f.path.name] == told) for told in ("yes", "no", "unsure")
    ]
    measured: list[int] = []
    others = [film for film in labelled_films(films_root) if not film.reporting]
    rows = against_eyes([*few, *others], lambda done=1, **counts: measured.append(done))
    assert rows == [("nih", 1, 1, 1, ".95", "1 (1–1)", "1 (1–1)")]
    assert len(measured) == 2


def test_shutters_of_all_sources_are_counted_together_last(films_root: Path):
    labels = seen_by_eye()
    films = [film for film in labelled_films(films_root) if film.reporting and labels.get(film.path.name) == "yes"]
    two = [next(film for film in films if film.source == name) for name in ("hannover", "nih")]
    rows = against_eyes(two, lambda done=1, **counts: None)
    assert [row[:4] for row in rows] == [("hannover", 1, 0, 0), ("nih", 1, 0, 0), ("all", 2, 0, 0)]
    assert {row[5:] for row in rows} == {("", "")}


def test_a_killed_bench_takes_its_workers_along(tmp_path):
    picture = tmp_path / "film.png"
    cv2.imwrite(str(picture), phantom(1, height=1000).stored >> 4)
    climbs = f"""
from pathlib import Path
from lrrg.pipelines.bench.ladders import climb
from lrrg.pipelines.films import LabelledFilm
if __name__ == "__main__":
    list(climb([LabelledFilm(Path({str(picture)!r}), "drawn", "1", "PA", "good")] * 9))
"""
    (tmp_path / "climbs.py").write_text(climbs)
    with subprocess.Popen([sys.executable, tmp_path / "climbs.py"]) as bench:
        workers = eventually(lambda: [each for each in family(bench.pid) if each.cpu_times().user > 0.3], within=120)
        bench.kill()
    assert all_gone(workers)


@pytest.mark.slow
def test_the_report_holds_every_claim_and_textbook_measure(tmp_path):
    large = [Mock(name, "good", 1024) for name in ("p2", "p3", "p4")]
    small = [Mock(f"q{k}", label, 256) for label in ("good", "low") for k in range(20)]
    write_films(tmp_path, large + small)
    policy = load("standard.v1")
    grids = report(tmp_path, policy, lambda done=1, **counts: None)
    presentation, equalised, *said, shutters, textbook, speed, quality = grids
    assert [len(each.rows) for each in said] == [len(ASPECTS) + 1 + len(DEFECTS)] * len(BOTH)
    assert len(presentation.rows) + len(equalised.rows) == sum(len(claim.domains) for claim in CLAIMS)
    assert len(textbook.rows) == sum(len(each.answers + each.leaves) for each in TEXTBOOK)
    assert not shutters.rows
    assert speed.rows[0][0] == "cv2.imdecode"
    assert quality.rows


class Mock(NamedTuple):
    """A phantom on disk; patients p2, p3 and p4 are of the reporting half."""

    patient: str
    label: str
    height: int


def write_films(folder: Path, mocks: list[Mock]) -> None:
    rows = []
    for k, mock in enumerate(mocks):
        grey = (phantom(k, height=mock.height).stored >> 4).astype(np.uint8)
        spoiled = degrade(grey, "low_contrast", 5, key="") if mock.label == "low" else grey
        cv2.imwrite(str(folder / f"mock_{k}.png"), spoiled)
        rows.append({"file": f"mock_{k}.png", "patient": mock.patient, "view": "PA", "apparent_quality": mock.label})
    with (folder / "manifest.csv").open("w", newline="") as stream:
        writer = csv.DictWriter(stream, rows[0])
        writer.writeheader()
        writer.writerows(rows)
