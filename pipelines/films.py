"""Hand-labelled films on disk: what calibration, policy fitting and the tool benchmark read."""

import csv
import hashlib
from itertools import takewhile
from pathlib import Path
from typing import NamedTuple

from .errors import SettingsError


class LabelledFilm(NamedTuple):
    """One film with a reader's judgement of its technique."""

    path: Path
    source: str
    """Where it was acquired; the leading letters of the file's name."""
    patient: str
    view: str
    label: str
    """`good`, `borderline`, `low`, or empty where nobody judged it."""

    @property
    def reporting(self) -> bool:
        """Whether the patient is of the half that figures are reported on; parameters come from the other half."""
        return bool(hashlib.sha256(self.patient.encode()).digest()[0] & 1)


def labelled_films(root: Path) -> list[LabelledFilm]:
    """Read every `manifest*.csv` in `root` (columns `file`, `patient`, `view`, `apparent_quality`).

    The image may lie anywhere below `root`; its name must be unique there. Sorted by path.

    Raises:
        SettingsError: no manifest, or a manifest names a file that is not below `root`.
    """
    manifests = sorted(root.glob("manifest*.csv"))
    if not manifests:
        raise SettingsError(f"{root}: no manifest*.csv; name a folder that holds labelled films")
    by_name = {path.name: path for path in root.rglob("*") if path.is_file()}
    films = [_film(row, by_name, manifest) for manifest in manifests for row in _rows(manifest)]
    return sorted(films)


def _rows(manifest: Path) -> list[dict[str, str]]:
    with manifest.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def _film(row: dict[str, str], by_name: dict[str, Path], manifest: Path) -> LabelledFilm:
    name = row["file"]
    if name not in by_name:
        raise SettingsError(f"{manifest}: {name} is listed but is not below {manifest.parent}")
    source = "".join(takewhile(str.isalpha, name))
    return LabelledFilm(by_name[name], source, row["patient"], row["view"], row["apparent_quality"])
