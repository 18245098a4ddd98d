"""`lrrg bench annotate`: a whole run against bare decoding of the same films, in one go, as a ratio of CPU time."""

import asyncio
import hashlib
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import cycle, islice, repeat
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
from ...tools.fingerprint import fingerprint
from ..annotate.stage import recipe_of
from ..engines.worker import opened, settle
from ..errors import SettingsError
from ..recipe import begin_run
from ..records import CatalogRow
from ..settings import ReadSettings, Settings
from ..store import Store
from .processes import Cost, cost

HEIGHT = 3056
"""Rows of the most frequent size in MIMIC-CXR-JPG; the phantom's width follows."""
DOSE = 150.0
"""Detector dose of the phantoms, microgray: their files come out at the data set's mean of 1.5 MB."""
DISTINCT = 6
"""Phantoms drawn; the run reads each several times under other names."""
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
        parts: the parts of the work, timed apart, and what the run's processes used beside them; then what an image
            costs in the run.
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
    with TemporaryDirectory(prefix="lrrg-bench-") as scratch:
        folder = Path(scratch)
        originals = _originals(films) if films else draw_films(folder / "phantoms")
        paths = link_films(originals, folder / "films", images)
        early = _alone(paths[::2], settings)
        first, rest = _runs(folder / "bench.duckdb", paths, settings)
        late = _alone(paths[1::2], settings)
        bare, reading, measuring = ((one + other) / len(paths) * 1e3 for one, other in zip(early, late, strict=True))
        inside = {"reading, hash, strict decoding": reading, "quality tools": measuring}
        return _speed(bare, inside, _main_parts(paths, folder / "bench.duckdb", settings), paths, first, rest)


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
    folder.mkdir(parents=True)
    paths = []
    for index, original in enumerate(islice(cycle(originals), number)):
        path = folder / f"{index:06d}{original.suffix}"
        path.symlink_to(original.resolve())
        paths.append(path)
    return paths


def _alone(paths: Sequence[Path], settings: Settings) -> tuple[float, float, float]:
    """CPU seconds of `cv2.imdecode` alone, then of a worker's reading and of its measuring, on the same films.

    In as many processes at once as the run has workers: cores that share a cache or an execution unit make each
    other's CPU time longer, and all that is compared must suffer from that alike.
    """
    workers, context = settings.annotate.workers, get_context("forkserver")
    shares = [paths[share::workers] for share in range(workers)]
    with ProcessPoolExecutor(workers, mp_context=context) as pool:
        bare = sum(pool.map(_decode_alone, shares))
    with ProcessPoolExecutor(workers, mp_context=context, initializer=settle) as pool:
        worked = list(pool.map(_work_alone, shares, repeat(settings.read)))
    return bare, sum(reading for reading, _ in worked), sum(measuring for _, measuring in worked)


def _decode_alone(paths: Sequence[Path]) -> float:
    """Reading the files is not counted."""
    cv2.setNumThreads(1)
    spent = 0.0
    for path in paths:
        data = np.frombuffer(path.read_bytes(), np.uint8)
        before = time.process_time()
        cv2.imdecode(data, cv2.IMREAD_GRAYSCALE)
        spent += time.process_time() - before
    return spent


def _work_alone(paths: Sequence[Path], limits: ReadSettings) -> tuple[float, float]:
    for path in paths[:1]:
        measure(opened(str(path), limits)[1], TOOLS)  # what a worker loads with its first film is start-up
    reading = measuring = 0.0
    for path in paths:
        start = time.process_time()
        data, film = opened(str(path), limits)
        hashlib.sha256(data).hexdigest()
        between = time.process_time()
        measure(film, TOOLS)
        fingerprint(film)
        reading += between - start
        measuring += time.process_time() - between
    return reading, measuring


def _runs(db: Path, paths: Sequence[Path], settings: Settings) -> tuple[Cost, Cost]:
    """Cost of a run on one film, which is nearly all start-up, and of the run on all others."""
    with Store.open(db) as store:
        store.add_images(paths[0].parent, [CatalogRow(path.stem, path.name) for path in paths])
    command = annotating(db, settings.agent.policy, settings)
    return measured([*command, "--limit", "1"], os.environ), measured(command, os.environ)


def annotating(db: Path, policy: str, settings: Settings, engine: str = "local") -> list[str]:
    """The command of a run that is to be measured."""
    command = [sys.executable, "-P", "-c", COMMAND, "annotate", "--db", str(db), "--policy", policy]
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


def _main_parts(paths: Sequence[Path], db: Path, settings: Settings) -> dict[str, float]:
    """CPU milliseconds an image of what the main process does, timed apart in this one."""
    verdicts, deciding = _deciding(db, settings)
    writing = _writing(db.with_name("written.duckdb"), paths, verdicts, settings)
    return {"agent's graph": deciding, "writing the verdicts": writing}


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


def _speed(
    bare: float, inside: dict[str, float], outside: dict[str, float], paths: Sequence[Path], first: Cost, rest: Cost
) -> Speed:
    """Put the table together from milliseconds an image, those of a worker and of the main process, and both runs."""
    images = len(paths) - 1
    image = (rest.cpu - first.cpu) / (images - 1) * 1e3
    worker = (rest.seen_of_workers - first.seen_of_workers) / (images - 1) * 1e3
    whole = rest.cpu / images * 1e3
    named = {"bare cv2.imdecode": bare, **inside, "else in the workers": worker - sum(inside.values())}
    named |= {**outside, "else in the main process": image - worker - sum(outside.values())}
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
