"""Films outside a run: reading one, and folders of hand-labelled ones, from which tools, policy and judge learn."""

import hashlib
from collections.abc import Mapping
from itertools import takewhile
from pathlib import Path
from typing import NamedTuple

from ..tools import Film
from ..tools.image import ImageError, decode
from .adapters.base import table
from .errors import SettingsError
from .settings import ReadSettings
from .storage import read_bytes

COLUMNS = ("file", "patient", "view", "apparent_quality")
LABELS = ("good", "borderline", "low", "")


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


def read_film(path: str | Path, limits: ReadSettings) -> Film:
    """Read and decode one film as a run does.

    Raises:
        SettingsError: it is not there or no sound film; the message names it.
        OSError: the storage failed.
    """
    try:
        return decode(read_bytes(str(path), limits), max_pixels=limits.max_pixels)
    except ImageError as error:
        raise SettingsError(f"{path}: {error}") from error


def labelled_films(root: Path) -> list[LabelledFilm]:
    """Read every `manifest*.csv` in `root` (columns `file`, `patient`, `view`, `apparent_quality`).

    The image may lie anywhere below `root`; its name must be unique there. Sorted by path.

    Raises:
        SettingsError: no manifest, one that lacks a column or gives another label, or one that names a file which is
            not below `root`, or is there twice.
    """
    manifests = sorted(root.glob("manifest*.csv"))
    if not manifests:
        raise SettingsError(f"{root}: no manifest*.csv; name a folder that holds labelled films")
    by_name: dict[str, list[Path]] = {}
    for path in sorted(root.rglob("*")):
        if path.is_file():
            by_name.setdefault(path.name, []).append(path)
    films = [_film(row, by_name, manifest) for manifest in manifests for row in table(manifest, *COLUMNS)]
    return sorted(films)


def _film(row: Mapping[str, str], by_name: dict[str, list[Path]], manifest: Path) -> LabelledFilm:
    name, patient, view, label = (row[column] for column in COLUMNS)
    paths = by_name.get(name, [])
    if not paths:
        raise SettingsError(f"{manifest}: {name} is listed but is not below {manifest.parent}")
    if len(paths) > 1:
        raise SettingsError(f"{manifest}: {name} may be {paths[0]} or {paths[1]}; rename one")
    if label not in LABELS:
        raise SettingsError(f"{manifest}: {name} is {label!r}; say {', '.join(LABELS[:-1])} or nothing")
    source = "".join(takewhile(str.isalpha, name))
    return LabelledFilm(paths[0], source, patient, view, label)
