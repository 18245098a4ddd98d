"""The shipped policy on real films; skipped where there are none."""

import json
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from lrrg.agent.policy import assess, load
from lrrg.pipelines.errors import SettingsError
from lrrg.pipelines.examples import examples
from lrrg.pipelines.films import labelled_films
from lrrg.pipelines.policy.stage import fit_folder, reference_folder
from lrrg.pipelines.settings import ReadSettings

READ = ReadSettings()  # pyright: ignore[reportCallIssue]


@contextmanager
def silent(_label: str, _total: int | None):
    yield lambda done=1, **counts: None


def test_good_films_stand_above_low_ones(films_root: Path):
    films = labelled_films(films_root)
    chosen = [film for label in ("good", "low") for film in [each for each in films if each.label == label][::9]]
    policy = load("standard.v1")
    quality = {"good": [], "low": []}
    for each in examples(chosen, READ, lambda done=1, **counts: None):
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
