"""The shipped policy on real films, skipped where there are none; what the stages of `lrrg policy` say of bad ones."""

import json
from hashlib import sha256
from pathlib import Path

import cv2
import numpy as np
import pytest
from lrrg.agent.policy import assess, load
from lrrg.benchmark.phantom import phantom
from lrrg.pipelines.errors import SettingsError
from lrrg.pipelines.examples import examples
from lrrg.pipelines.films import labelled_films
from lrrg.pipelines.policy.chest import MIN_FILMS, write_chest
from lrrg.pipelines.policy.stage import fit_folder, reference_folder
from lrrg.pipelines.settings import ReadSettings
from lrrg.tests.quiet import quiet, silent

READ = ReadSettings()  # pyright: ignore[reportCallIssue]


def test_good_films_stand_above_low_ones(films_root: Path):
    films = labelled_films(films_root)
    chosen = [film for label in ("good", "low") for film in [each for each in films if each.label == label][::9]]
    policy = load("standard.v1")
    quality = {"good": [], "low": []}
    for each in examples(chosen, READ, quiet):
        found = assess(policy, each.measures, each.domain, each.film.view)
        quality[each.film.label].append(found.quality)
    assert np.median(quality["good"]) > policy.regimes.high > np.median(quality["low"])


def test_a_reference_from_a_folder_keeps_the_model(films_root: Path):
    own, unreadable = reference_folder(films_root / "nih", "standard.v1", 25, READ, silent)
    shipped = load("standard.v1")
    assert unreadable == []
    assert own.terms == shipped.terms
    assert own.sha256 != shipped.sha256
    changed = {row.domain for row, old in zip(own.reference, shipped.reference, strict=True) if row != old}
    assert changed == {"presentation", "linear"}


def test_a_folder_without_films_is_named(tmp_path: Path):
    with pytest.raises(SettingsError, match="no PNG, JPEG or DICOM"):
        reference_folder(tmp_path, "standard.v1", 100, READ, silent)


def test_unreadable_films_are_reported_not_dropped(tmp_path: Path):
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nnothing")
    with pytest.raises(SettingsError, match="needs 20 readable films"):
        reference_folder(tmp_path, "standard.v1", 100, READ, silent)


@pytest.fixture
def chests(tmp_path: Path) -> Path:
    """As many phantoms of the development half as a mean chest needs."""
    patients = [name for name in map(str, range(99)) if not sha256(name.encode()).digest()[0] & 1][:MIN_FILMS]
    lines = ["file,patient,view,apparent_quality"]
    for patient in patients:
        cv2.imwrite(str(tmp_path / f"drawn_{patient}.png"), phantom(int(patient), height=128).stored >> 4)
        lines.append(f"drawn_{patient}.png,{patient},PA,good")
    (tmp_path / "manifest.csv").write_text("\n".join(lines) + "\n")
    return tmp_path


@pytest.mark.parametrize("name", ["chest.npz", "chest"])
def test_a_mean_chest_is_written_to_the_file_that_is_named(chests: Path, name: str):
    assert write_chest(chests, chests / name, READ) == MIN_FILMS
    with np.load(chests / name) as stored:
        assert set(stored) == {"template", "lean", "frame"}


def test_a_film_that_no_mean_chest_can_be_learned_from_is_named(chests: Path):
    broken = min(chests.glob("*.png"))
    broken.write_bytes(b"<html>")
    with pytest.raises(SettingsError, match=f"{broken}: the first bytes"):
        write_chest(chests, chests / "chest.npz", READ)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_refitting_gives_the_shipped_policy_and_holds_on_unseen_films(films_root: Path):
    policy, tables = fit_folder(films_root, "standard", READ, silent)
    again, shipped = (json.loads(each.canonical()) for each in (policy, load("standard.v1")))
    assert again == shipped
    everyone = {row["domain"]: row["AUROC"] for row in tables["patients"] if row["films"] == "all"}
    assert everyone["presentation"] >= 0.95
    assert everyone["equalised"] >= 0.93
    for row in tables["sources"]:
        if min(row["good"], row["low"]) >= 5:
            assert row["AUROC"] >= 0.88, row
