"""A small synthetic mirror of MIMIC-CXR-JPG and MIMIC-CXR, for trying the whole story without credentialed data."""

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from ...benchmark.degrade import degrade
from ...benchmark.mimic import mimic_jpeg
from ...benchmark.phantom import phantom
from ..errors import SettingsError
from .dicom import write_twin
from .plan import DemoFilm, DemoStudy, plan
from .tables import write_dicom_tables, write_jpg_tables, write_truth

PATIENTS, HEIGHT = 60, 1000
_TWINS = 3
"""Studies that also exist as DICOM."""
_README = """Synthetic chest radiographs
===========================

Nothing here comes from a person. The films are drawn by lrrg's phantom generator, the reports are written from
templates, and identifiers and dates are random. The layout is that of MIMIC-CXR-JPG 2.1.0 (mimic-cxr-jpg) and of
MIMIC-CXR 2.1.0 (mimic-cxr, a few studies as 12-bit DICOM), so that software which reads those reads this.

demo_truth.csv tells which film was spoilt how (defect and severity of LRRG-C; empty for a clean film) and what it
shows. No such table exists in the real data sets.

Patients: {patients}
Seed: {seed}
Rows of an upright film: {height}
"""


@dataclass(frozen=True)
class Mirror:
    """Where a demo's parts are.

    Attributes:
        jpg: root of the MIMIC-CXR-JPG tree; its reports lie in the tree.
        dicom: root of the MIMIC-CXR tree that holds some of the studies as DICOM.
        truth: table of defects by dicom_id.
    """

    jpg: Path
    dicom: Path
    truth: Path
    films: int
    studies: int
    patients: int


def write_mirror(
    root: Path,
    *,
    patients: int = PATIENTS,
    seed: int = 0,
    height: int = HEIGHT,
    workers: int | None = None,
    advance: Callable[[int], None] = lambda done: None,
) -> Mirror:
    """Write a synthetic mirror; equal arguments give byte-identical trees, whatever `workers` is.

    Args:
        root: a folder that is new or empty, or already holds this very mirror, which is then left as it is.
        patients: how many; a patient has two to three films on average.
        seed: of everything random.
        height: rows of an upright film.
        workers: processes that draw; all cores by default.
        advance: told of films as they are written.

    Raises:
        SettingsError: `root` holds something else.
    """
    studies = plan(patients, seed)
    mirror = Mirror(
        jpg=root / "mimic-cxr-jpg",
        dicom=root / "mimic-cxr",
        truth=root / "demo_truth.csv",
        films=sum(len(study.films) for study in studies),
        studies=len(studies),
        patients=patients,
    )
    readme = _README.format(patients=patients, seed=seed, height=height)
    if _stands(root, mirror, readme):
        advance(mirror.films)
        return mirror
    root.mkdir(parents=True, exist_ok=True)
    (root / "README.txt").write_text(readme, encoding="utf-8")
    shapes = _write_films(mirror, studies, height, workers or os.cpu_count() or 1, advance)
    write_jpg_tables(mirror.jpg, studies, shapes)
    twins = [study for study in studies if all(film.defect is None for film in study.films)][:_TWINS]
    for number, study in enumerate(twins):
        write_twin(mirror.dicom, study, [_draw(film, height) for film in study.films], inverted=number == 1)
    write_dicom_tables(mirror.dicom, twins)
    write_truth(mirror.truth, studies)  # last: it says that the mirror is whole
    return mirror


def _stands(root: Path, mirror: Mirror, readme: str) -> bool:
    """Whether this very mirror is already there."""
    if not root.exists() or not any(root.iterdir()):
        return False
    written = root / "README.txt"
    if not written.is_file() or written.read_text(encoding="utf-8") != readme:
        raise SettingsError(f"{root}: not empty, and not this demo; name a new folder")
    return mirror.truth.is_file()


def _write_films(
    mirror: Mirror, studies: list[DemoStudy], height: int, workers: int, advance: Callable[[int], None]
) -> dict[str, tuple[int, int]]:
    """Write films and reports; rows and columns by dicom_id."""
    shapes: dict[str, tuple[int, int]] = {}
    with mapping(workers) as apply:
        for written in apply(partial(_write_study, mirror.jpg, height), studies):
            shapes |= written
            advance(len(written))
    return shapes


@contextmanager
def mapping(workers: int) -> Iterator[Callable]:
    """`map` over processes, or the plain one where one process is enough."""
    if workers == 1:
        yield map
        return
    with ProcessPoolExecutor(
        workers, mp_context=get_context("forkserver"), initializer=cv2.setNumThreads, initargs=(1,)
    ) as pool:
        yield pool.map


def _write_study(root: Path, height: int, study: DemoStudy) -> dict[str, tuple[int, int]]:
    folder = root / study.folder
    folder.mkdir(parents=True, exist_ok=True)
    folder.with_suffix(".txt").write_text(study.report.text(study.procedure), encoding="utf-8")
    shapes = {}
    for film in study.films:
        grey = _spoil(_draw(film, height), film)
        (folder / f"{film.dicom_id}.jpg").write_bytes(mimic_jpeg(grey))
        shapes[film.dicom_id] = grey.shape
    return shapes


def _draw(film: DemoFilm, height: int) -> NDArray[np.uint16]:
    return phantom(film.seed, height=height, view=film.view, findings=film.findings, person=film.person).stored


def _spoil(stored: NDArray[np.uint16], film: DemoFilm) -> NDArray[np.uint8]:
    grey = (stored >> 4).astype(np.uint8)
    return degrade(grey, film.defect, film.severity, key=film.dicom_id) if film.defect else grey
