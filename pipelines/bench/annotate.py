"""`lrrg bench annotate`: a whole run against bare decoding of the same films, in one go, as a ratio of CPU time."""

import asyncio
import hashlib
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import cycle, islice
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import cv2
import numpy as np

from ...agent import graph
from ...agent.policy import load
from ...agent.state import ImageRef, Reading, Verdict
from ...benchmark.mimic import mimic_jpeg
from ...benchmark.phantom import phantom
from ...tools import TOOLS, measure
from ...tools.film import Film
from ...tools.fingerprint import fingerprint
from ...tools.image import decode, read_bytes
from ..annotate.recipe import begin_run
from ..annotate.stage import recipe_of
from ..errors import SettingsError
from ..records import CatalogRow
from ..settings import Settings
from ..store import Store
from .processes import Cost, cost

HEIGHT = 3056
"""Rows of the most frequent size in MIMIC-CXR-JPG; the phantom's width follows."""
DOSE = 150.0
"""Detector dose of the phantoms, microgray: their files come out at the data set's mean of 1.5 MB."""
DISTINCT = 6
"""Phantoms drawn; the run reads each several times under other names."""
SAMPLE = 12
"""Films on which the parts of the work are timed apart."""
COMMAND = "import sys; from lrrg.pipelines.cli import main; sys.exit(main())"
MEGA = 1e6


class Part(NamedTuple):
    """One part of the work: CPU milliseconds an image, and their ratio to bare decoding."""

    part: str
    milliseconds: float
    ratio: float


class Memory(NamedTuple):
    """Peak of the largest process in one role, megabytes, in the first and the second half of the run."""

    process: str
    resident_first_half: float
    resident_second_half: float
    unique_first_half: float
    unique_second_half: float


@dataclass(frozen=True)
class Speed:
    """What a run costs.

    Attributes:
        images: films in the run.
        megabytes: mean size of their files.
        start_up: CPU seconds a run costs whatever its size.
        per_core: images a second and core, the run's start-up included.
        parts: the parts of the work, timed apart, then what an image costs in the run.
    """

    images: int
    megabytes: float
    start_up: float
    per_core: float
    parts: tuple[Part, ...]
    memory: tuple[Memory, ...]

    def summary(self) -> dict[str, float]:
        """The figures that are no table."""
        return {
            "images": self.images,
            "mean file, MB": self.megabytes,
            "start-up, CPU s": self.start_up,
            "images/s/core": self.per_core,
        }


def bench_annotate(films: Path | None, settings: Settings, images: int) -> Speed:
    """Decode, then annotate the same films with fresh processes, and compare.

    Args:
        films: folder of JPEG or PNG films; None draws phantoms of MIMIC-CXR-JPG's size and compression.
        settings: of the run under measurement.
        images: films in the run; those of the folder are read again under other names until there are enough.

    Raises:
        SettingsError: no films in the folder, or the run under measurement failed.
    """
    cv2.setNumThreads(1)  # for the parts that are timed in this process
    with TemporaryDirectory(prefix="lrrg-bench-") as scratch:
        folder = Path(scratch)
        originals = _originals(films) if films else draw_films(folder / "phantoms")
        paths = link_films(originals, folder / "films", images)
        workers = settings.annotate.workers
        early = _decoding(paths[::2], workers)
        first, rest = _runs(folder / "bench.duckdb", paths, settings)
        bare = (early + _decoding(paths[1::2], workers)) / len(paths) * 1e3
        apart = _parts(originals, paths, folder / "bench.duckdb", settings)
        return _speed(bare, apart, paths, first, rest)


def _originals(folder: Path) -> list[Path]:
    found = sorted(path for path in folder.iterdir() if path.suffix.lower() in (".jpg", ".jpeg", ".png"))
    if not found:
        raise SettingsError(f"{folder}: no JPEG or PNG film in this folder")
    return found


def draw_films(folder: Path, height: int = HEIGHT) -> list[Path]:
    """Write a few phantoms of MIMIC-CXR-JPG's compression, by default of its size too, into a new folder."""
    folder.mkdir()
    paths = [folder / f"{seed}.jpg" for seed in range(DISTINCT)]
    for seed, path in enumerate(paths):
        path.write_bytes(mimic_jpeg(phantom(seed, height=height, dose=DOSE).stored))
    return paths


def link_films(originals: Sequence[Path], folder: Path, number: int) -> list[Path]:
    """Fill a new folder with as many names as images are asked for, the originals in turn behind them."""
    folder.mkdir()
    paths = []
    for index, original in enumerate(islice(cycle(originals), number)):
        path = folder / f"{index:06d}{original.suffix}"
        path.symlink_to(original.resolve())
        paths.append(path)
    return paths


def _decoding(paths: Sequence[Path], workers: int) -> float:
    """CPU seconds of `cv2.imdecode` alone; reading the files is not counted.

    In as many processes at once as the run has workers: cores that share a cache or an execution unit make each
    other's CPU time longer, and the comparison must suffer from that on both sides.
    """
    with ProcessPoolExecutor(workers, mp_context=get_context("forkserver")) as pool:
        return sum(pool.map(_decode_alone, [paths[share::workers] for share in range(workers)]))


def _decode_alone(paths: Sequence[Path]) -> float:
    cv2.setNumThreads(1)
    spent = 0.0
    for path in paths:
        data = np.frombuffer(path.read_bytes(), np.uint8)
        before = time.process_time()
        cv2.imdecode(data, cv2.IMREAD_GRAYSCALE)
        spent += time.process_time() - before
    return spent


def _runs(db: Path, paths: Sequence[Path], settings: Settings) -> tuple[Cost, Cost]:
    """Cost of a run on one film, which is nearly all start-up, and of the run on all others."""
    with Store.open(db) as store:
        store.add_images(paths[0].parent, [CatalogRow(path.stem, path.name) for path in paths])
    command = annotating(db, settings.agent.policy, settings)
    return measured([*command, "--limit", "1"], os.environ), measured(command, os.environ)


def annotating(db: Path, policy: str, settings: Settings, engine: str = "local") -> list[str]:
    """The command of a run that is to be measured."""
    command = [sys.executable, "-c", COMMAND, "annotate", "--db", str(db), "--policy", policy]
    return [*command, "--engine", engine, "--workers", str(settings.annotate.workers)]


def measured(command: Sequence[str], environment: Mapping[str, str]) -> Cost:
    """What a run cost.

    Raises:
        SettingsError: it failed.
    """
    found = cost(command, environment)
    if found.exit_code:
        raise SettingsError(f"the run under measurement ended with {found.exit_code}; its message is above")
    return found


def _parts(originals: Sequence[Path], paths: Sequence[Path], db: Path, settings: Settings) -> dict[str, float]:
    """CPU milliseconds an image of each part of the work, timed apart in this process."""
    sample = list(islice(cycle(originals), SAMPLE))
    films, reading = _timed(lambda: [_film(path, settings) for path in sample], SAMPLE)
    _, measuring = _timed(lambda: [(measure(film, TOOLS), fingerprint(film)) for film in films], SAMPLE)
    verdicts, deciding = _deciding(db, settings)
    return {
        "reading, hash, strict decoding": reading,
        "quality tools": measuring,
        "agent's graph": deciding,
        "writing the verdicts": _writing(db.with_name("written.duckdb"), paths, verdicts, settings),
    }


def _film(path: Path, settings: Settings) -> Film:
    data = read_bytes(path, max_bytes=settings.read.max_bytes)
    hashlib.sha256(data).hexdigest()
    return decode(data, max_pixels=settings.read.max_pixels)


def _deciding(db: Path, settings: Settings) -> tuple[list[Verdict], float]:
    """The graph on the readings that the run left: all that it does but wait for the measures."""
    chosen = load(settings.agent.policy)
    with Store.open(db, read_only=True) as store:
        images = list(store.query("SELECT image_id FROM image").rows)
        readings = store.stored_readings(recipe_of(chosen), [image_id for (image_id,) in images])

    async def measured(image: ImageRef) -> Reading:
        return readings[image.image_id]

    async def decide() -> list[Verdict]:
        built = graph.build(measured, chosen)
        return [await graph.decide(built, ImageRef(image_id, "")) for image_id in readings]

    return _timed(lambda: asyncio.run(decide()), len(readings))


def _writing(db: Path, paths: Sequence[Path], verdicts: Sequence[Verdict], settings: Settings) -> float:
    recipe = recipe_of(load(settings.agent.policy))
    run = begin_run(recipe, {})
    rows = settings.annotate.batch_rows
    with Store.open(db) as store:
        store.add_images(paths[0].parent, [CatalogRow(path.stem, path.name) for path in paths])
        store.register_recipe(recipe)
        store.start_run(run)
        batches = [verdicts[start : start + rows] for start in range(0, len(verdicts), rows)]
        _, spent = _timed(lambda: [store.write(each, recipe.recipe_id, run.run_id) for each in batches], len(verdicts))
    return spent


def _timed(work: Callable[[], Any], number: int) -> tuple[Any, float]:
    """What `work` gives, and its CPU milliseconds for each of `number` images."""
    before = time.process_time()
    result = work()
    return result, (time.process_time() - before) / number * 1e3


def _speed(bare: float, apart: dict[str, float], paths: Sequence[Path], first: Cost, rest: Cost) -> Speed:
    images = len(paths) - 1
    image = (rest.cpu - first.cpu) / (images - 1) * 1e3
    whole = rest.cpu / images * 1e3
    named = {"bare cv2.imdecode": bare, **apart, "everything else": image - sum(apart.values())}
    named |= {"an image more": image, "whole run, start-up included": whole}
    return Speed(
        images=images,
        megabytes=sum(path.stat().st_size for path in paths) / len(paths) / MEGA,
        start_up=first.cpu - image / 1e3,
        parts=tuple(Part(name, spent, spent / bare) for name, spent in named.items()),
        per_core=1e3 / whole,
        memory=tuple(_memory(rest, role) for role in ("main", "worker")),
    )


def _memory(run: Cost, role: str) -> Memory:
    early, late = run.peak(role, (0.0, 0.5)), run.peak(role, (0.5, 1.0))
    return Memory(role, early[0] / MEGA, late[0] / MEGA, early[1] / MEGA, late[1] / MEGA)
