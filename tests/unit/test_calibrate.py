import os
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from lrrg.benchmark.calibrate import PERCENTILES, calibrate
from lrrg.benchmark.degrade import apply
from lrrg.benchmark.ladder import LadderError, read_ladder, write_ladder
from lrrg.benchmark.phantom import phantom
from lrrg.pipelines.bench.degrade import bench_degrade, calibrated
from lrrg.pipelines.errors import SettingsError

LADDER = read_ladder()


@pytest.fixture(scope="module")
def good():
    rng = np.random.default_rng(2)
    return {str(k): np.clip(rng.normal(100 + 4 * k, 20, (200, 160)), 0, 255).astype(np.uint8) for k in range(5)}


def white(film):
    """Share of the film that is saturated."""
    return float((film >= 250).mean())


def test_severities_land_on_the_percentiles_of_the_low_films(good):
    low = np.linspace(0.01, 0.6, 40)
    steps = calibrate(LADDER["under_exposure"], good, low, white)
    reached = [np.median([white(apply(film, "under_exposure", at, key=k)) for k, film in good.items()]) for at in steps]
    assert list(steps) == sorted(steps)
    assert reached == pytest.approx(np.percentile(low, PERCENTILES).tolist(), abs=0.03)


def test_a_ladder_that_falls_is_solved_downwards(good):
    def grain(film):
        return float(np.abs(np.diff(film.astype(float), axis=1)).mean())

    calm = {key: np.full((500, 300), 150, np.uint8) for key in list(good)[:3]}
    mild, worst = (
        np.median([grain(apply(f, "quantum_noise", d, key=k)) for k, f in calm.items()]) for d in (2.5, 0.15)
    )
    steps = calibrate(LADDER["quantum_noise"], calm, np.linspace(mild, worst, 20), grain)
    assert list(steps) == sorted(steps, reverse=True)
    assert 0.15 < steps[-1] < steps[0] < 2.5


def test_low_films_that_look_like_good_ones_teach_nothing(good):
    with pytest.raises(LadderError, match="0 low films show it"):
        calibrate(LADDER["under_exposure"], good, [0.0] * 30, white)


def test_good_films_without_the_measure_are_said_so(good):
    with pytest.raises(LadderError, match="no meaning on any of the 5 good films"):
        calibrate(LADDER["under_exposure"], good, [0.5] * 30, lambda film: None)


def test_low_films_beyond_reach_are_said_so(good):
    with pytest.raises(LadderError, match="not as bad"):
        calibrate(LADDER["tilt"], good, [float(k) for k in range(300, 330)], lambda film: float(film.mean()) / 2)


def test_a_ladder_file_is_read_again_once_it_changed(tmp_path: Path):
    path = tmp_path / "own.json"
    write_ladder(LADDER, path)
    assert read_ladder(path).version == LADDER.version
    write_ladder(replace(LADDER, version=LADDER.version + 1), path)
    os.utime(path, ns=(1, 1))
    assert read_ladder(path).version == LADDER.version + 1


@pytest.mark.parametrize("steps", [(1.0, 2.0, 2.0, 3.0, 4.0), (1.0, 3.0, 2.0, 4.0, 5.0)])
def test_a_ladder_that_turns_back_is_refused(tmp_path: Path, steps: tuple[float, ...]):
    path = tmp_path / "own.json"
    write_ladder(replace(LADDER, defects={"tilt": replace(LADDER["tilt"], ladder=steps)}), path)
    with pytest.raises(LadderError, match="tilt does not go one way"):
        read_ladder(path)


def labelled(folder: Path, *labels: str) -> Path:
    """A folder of phantoms with these labels."""
    lines = ["file,patient,view,apparent_quality"]
    for k, label in enumerate(labels):
        cv2.imwrite(str(folder / f"drawn_{k}.png"), (phantom(k, height=300).stored >> 4).astype(np.uint8))
        lines.append(f"drawn_{k}.png,p{k},PA,{label}")
    (folder / "manifest.csv").write_text("\n".join(lines) + "\n")
    return folder


def test_defects_that_too_few_low_films_show_keep_their_severities(tmp_path: Path):
    solved, kept = calibrated(LADDER, labelled(tmp_path, "good", "low"))
    assert solved.defects == LADDER.defects
    assert any("at least 5 must" in reason for reason in kept)


@pytest.mark.parametrize("labels", [("borderline",), ("low", "low")])
def test_a_folder_without_a_good_film_is_named(tmp_path: Path, labels: tuple[str, ...]):
    with pytest.raises(SettingsError, match=f"{tmp_path}: no good film"):
        calibrated(LADDER, labelled(tmp_path, *labels))


def test_a_film_that_cannot_be_read_is_named(tmp_path: Path):
    (labelled(tmp_path, "good", "low") / "drawn_1.png").write_bytes(b"<html>")
    with pytest.raises(SettingsError, match=r"drawn_1\.png: the first bytes"):
        calibrated(LADDER, tmp_path)


def test_every_defect_is_timed_and_threads_are_given_back_where_one_cannot_be_drawn():
    threads = cv2.getNumThreads()
    cv2.setNumThreads(2)
    rows = list(bench_degrade(LADDER, height=128))
    assert [row.defect for row in rows] == list(LADDER.defects)
    assert all(row.cpu_ms >= 0 and row.films_s_core > 0 for row in rows)
    unknown = replace(LADDER, defects={"rust": replace(LADDER["tilt"], name="rust")})
    with pytest.raises(LadderError, match="no model draws the defect 'rust'"):
        list(bench_degrade(unknown, height=128))
    assert cv2.getNumThreads() == 2
    cv2.setNumThreads(threads)
