"""Hand-labelled films on disk: manifests as people write them."""

from pathlib import Path

import pytest
from lrrg.pipelines.errors import SettingsError
from lrrg.pipelines.films import LabelledFilm, labelled_films, read_film
from lrrg.pipelines.settings import ReadSettings
from lrrg.tests.poison import encoded, picture

HEAD = "file,patient,view,apparent_quality\n"


def folder(root: Path, manifest: str, *films: str) -> Path:
    for film in films:
        (root / film).parent.mkdir(parents=True, exist_ok=True)
        (root / film).touch()
    (root / "manifest.csv").write_text(manifest, encoding="utf-8")
    return root


def test_a_manifest_saved_by_a_spreadsheet_is_read(tmp_path: Path):
    root = folder(tmp_path, "\ufeff" + HEAD + "nih_1.png,p1,PA,good\n", "some/place/nih_1.png")
    assert labelled_films(root) == [LabelledFilm(root / "some/place/nih_1.png", "nih", "p1", "PA", "good")]


@pytest.mark.parametrize(
    ("manifest", "said"),
    [
        ("name,patient,view\na.png,p1,PA\n", r"manifest\.csv: no column file, apparent_quality"),
        (HEAD + "a.png,p1,PA,Good\n", r"a\.png is 'Good'; say good, borderline, low or nothing"),
        (HEAD + "gone.png,p1,PA,good\n", r"gone\.png is listed but is not below"),
        (HEAD + "b.png,p1,PA,good\n", r"b\.png may be .*b\.png or .*b\.png; rename one"),
    ],
)
def test_a_manifest_that_would_label_the_wrong_films_is_refused(tmp_path: Path, manifest: str, said: str):
    with pytest.raises(SettingsError, match=said):
        labelled_films(folder(tmp_path, manifest, "a.png", "one/b.png", "two/b.png"))


def test_a_manifest_that_is_no_text_is_named(tmp_path: Path):
    (tmp_path / "manifest.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SettingsError, match=r"manifest\.csv: not UTF-8"):
        labelled_films(tmp_path)


def test_a_film_is_read_or_named(tmp_path: Path):
    (tmp_path / "film.png").write_bytes(encoded(picture(300, 240), "PNG"))
    assert read_film(tmp_path / "film.png", ReadSettings()).pixels.shape == (300, 240)
    (tmp_path / "page.png").write_bytes(b"<html>")
    with pytest.raises(SettingsError, match=r"page\.png: the first bytes"):
        read_film(tmp_path / "page.png", ReadSettings())
