"""`lrrg generate`: a report for every case of the benchmark, by a model server or a model of this machine."""

import signal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from ..engines.outcome import Outcome, stoppable
from ..errors import SettingsError
from ..extras import require
from ..question import Question, ask
from ..serving.models import resolve
from ..settings import Settings
from ..splits.files import prompt_of, read_materials
from ..view import Progress
from .predictions import Predictions, Written
from .prepared import Job, Making, Prepared, prepared
from .served import Servers, is_url

MERGED = "merged"
"""Folder of the whole model below that of a training run."""
MIN_PIXELS, SERVED_PIXELS = 4 * 28 * 28, 1024 * 28 * 28
"""Of a film that a server is sent."""


@dataclass(frozen=True)
class Options:
    """How reports are asked for.

    Attributes:
        name: of the model in the records and in scores; None for the served name or the folder's.
        served: name under which a server serves it; None for the first it lists.
        max_tokens: of a report.
        max_pixels: to which films are reduced; None for what the folder says, or `SERVED_PIXELS`.
        batch_size: films at once, in this process.
        workers: processes that prepare films.
        limit: cases taken on at most.
    """

    name: str | None = None
    served: str | None = None
    max_tokens: int = 512
    max_pixels: int | None = None
    batch_size: int = 16
    workers: int = 1
    limit: int | None = None


class Generated(NamedTuple):
    """How a run went."""

    model: str
    written: int
    """By this run."""
    missing: int
    """Cases still without a report."""
    exit_code: int


class Writer(NamedTuple):
    """A model that can write, what its reports are of, and the sizes of film it wants."""

    origin: Mapping[str, Any]
    making: Making
    report: Callable[[Job], None]
    """Writes until the films end or the job is over."""


def generate(
    splits: Path, model: str, out: Path, settings: Settings, options: Options, progress: Progress
) -> Generated:
    """Write a report for every case of a track that has none yet in the file `out`; running it again goes on.

    Args:
        splits: folder that `lrrg splits` wrote.
        model: URLs of servers, separated by commas, or a folder that training wrote.
        out: JSON lines; a report is on the disk as soon as it, or the batch it was written in, is there.
        settings: sections `read` and `client`.
        options: of asking.
        progress: shows how far it is.

    Raises:
        SettingsError: no benchmark, no model, or `out` holds other reports.
        RefusedURL: a URL leads off this machine to a host nobody allowed.
        JudgeUnavailable: the servers give no answer; what is written stays.
        JudgeReplyError: a server refuses a case.
    """
    materials = read_materials(splits)
    prompt, section = prompt_of(splits, materials), materials.manifest["spec"]["target"]
    rows = {row["case_id"]: row for row in materials.rows if row["tracks"]}
    writer = _writer(model, settings, options)
    outcome = Outcome()
    with Predictions.opened(out, {**writer.origin, "prompt_sha256": prompt.sha256}) as predictions:
        _check_known(predictions, rows, out)
        before = len(predictions.done)
        pending = [row for case, row in rows.items() if case not in predictions.done][: options.limit]

        def question(film: Prepared) -> Question:
            return ask(film.row, section, prompt)

        with (
            progress("reports", len(pending)) as advance,
            stoppable(outcome, signal.SIGINT, signal.SIGTERM),
            prepared(pending, writer.making, options.workers if pending else 1) as films,
        ):

            def take(reports: Sequence[Written]) -> None:
                predictions.add(reports, rows)
                advance(len(reports))

            writer.report(Job(films, question, take, lambda: outcome.over))
        missing = len(rows) - len(predictions.done)
        if not missing:
            predictions.sort()
        return Generated(writer.origin["model"], len(predictions.done) - before, missing, outcome.exit_code)


def _writer(model: str, settings: Settings, options: Options) -> Writer:
    return _on_servers(model, settings, options) if is_url(model) else _in_process(Path(model), settings, options)


def _on_servers(urls: str, settings: Settings, options: Options) -> Writer:
    servers = Servers(urls.split(","), options.served, settings)
    identity = servers.identify()
    most = options.max_pixels or SERVED_PIXELS
    origin = _origin(options.name or identity.model, identity.revision, most, options)
    making = Making(settings.read, MIN_PIXELS, most)
    return Writer(origin, making, partial(servers.report, max_tokens=options.max_tokens))


def _in_process(folder: Path, settings: Settings, options: Options) -> Writer:
    require("transformers", "train")
    whole = folder / MERGED if (folder / MERGED).is_dir() else folder
    if not (whole / "preprocessor_config.json").is_file():
        raise SettingsError(f"{folder}: no model; name a folder that lrrg finetune wrote, or the URL of a server")
    from .reporter import Reporter

    reporter = Reporter(whole, options.max_pixels)
    name = whole.resolve().parent.name if whole.name == MERGED else whole.resolve().name
    revision, sizes = resolve("reporter", "cpu", str(whole)).revision, reporter.processor
    origin = _origin(options.name or name, revision, sizes.max_pixels, options)
    making = Making(settings.read, sizes.min_pixels, sizes.max_pixels)
    report = partial(reporter.report, batch_size=options.batch_size, max_tokens=options.max_tokens)
    return Writer(origin, making, report)


def _origin(name: str, revision: str | None, max_pixels: int, options: Options) -> dict[str, Any]:
    return {"model": name, "revision": revision, "max_pixels": max_pixels, "max_tokens": options.max_tokens}


def _check_known(predictions: Predictions, rows: Mapping[str, Any], out: Path) -> None:
    if foreign := sorted(predictions.done - rows.keys()):
        raise SettingsError(f"{out}: reports of {len(foreign)} other cases, e.g. {foreign[0]}; name a new file")
