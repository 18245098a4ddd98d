"""Reports of a model on one or several servers, by the one client."""

import asyncio
import base64
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import cv2

from ...agent.client import Client
from ...agent.faults import JudgeReplyError
from ...agent.server import Identity, Limits
from ..pixels import Grey
from ..question import Question
from ..settings import Settings
from .predictions import Written
from .prepared import Job, Prepared


def is_url(model: str) -> bool:
    """Whether a model is on a server.

    >>> is_url("http://127.0.0.1:8000/v1"), is_url("runs/sft")
    (True, False)
    """
    return model.startswith(("http://", "https://"))


@dataclass(frozen=True)
class Servers:
    """Servers of one model.

    Attributes:
        urls: their base URLs.
        model: name under which they serve it; None for the first they list.
        settings: section `client`.
    """

    urls: Sequence[str]
    model: str | None
    settings: Settings

    def identify(self) -> Identity:
        """What they serve.

        Raises:
            RefusedURL: a URL leads off this machine to a host nobody allowed.
            JudgeUnavailable: none is up, or one serves another model.
        """

        async def connected() -> Identity:
            async with self._client() as client:
                return client.identity

        return asyncio.run(connected())

    def report(self, job: Job, *, max_tokens: int) -> None:
        """Ask for the reports of a job, greedily, many at once; what is under way when it is over is waited for.

        Args:
            job: its films are at the model's size already, so that the server leaves them as they are.
            max_tokens: of a report.

        Raises:
            JudgeUnavailable: no answer, whatever is asked.
            JudgeReplyError: the server refuses a case, which the message names.
        """
        asyncio.run(self._report(job, max_tokens))

    def _client(self) -> Client:
        return Client(self.urls, self.model, Limits(**self.settings.client.model_dump()))

    async def _report(self, job: Job, max_tokens: int) -> None:
        most = self.settings.client.concurrency * len(self.urls)
        waiting: set[asyncio.Task[Written]] = set()
        async with self._client() as client:
            try:
                while not job.over() and (film := await asyncio.to_thread(next, job.films, None)) is not None:
                    waiting.add(asyncio.create_task(_write(client, film, job.ask(film), max_tokens)))
                    if len(waiting) == most:
                        waiting = await _first(waiting, job)
                while waiting:
                    waiting = await _first(waiting, job)
            finally:
                for task in waiting:
                    task.cancel()
                with suppress(asyncio.CancelledError):
                    await asyncio.gather(*waiting, return_exceptions=True)


async def _first(waiting: set[asyncio.Task[Written]], job: Job) -> set[asyncio.Task[Written]]:
    """Take what comes first; a failure is raised once what came with it is kept."""
    done, pending = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    faults = [fault for task in done if (fault := task.exception()) is not None]
    job.take([task.result() for task in done if task.exception() is None])
    if faults:
        raise faults[0]
    return pending


async def _write(client: Client, film: Prepared, question: Question, max_tokens: int) -> Written:
    case = film.row["case_id"]
    try:
        reply = await client.complete(
            messages=_messages(question, film.film),
            max_completion_tokens=max_tokens,
            temperature=0,
            seed=0,
            # Published models bring a penalty of their own; a benchmark's reports are the likeliest tokens.
            repetition_penalty=1.0,
        )
    except JudgeReplyError as error:
        if error.code == "truncated":
            return Written(case, error.reply.strip(), "length")
        raise JudgeReplyError(error.code, f"case {case}: {error}", error.reply) from error
    return Written(case, reply.text.strip(), "stop")


def _messages(question: Question, film: Grey) -> list[dict[str, Any]]:
    """The conversation that training shows, film first."""
    png = base64.b64encode(cv2.imencode(".png", film)[1].tobytes()).decode()
    picture = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{png}"}}
    return [
        {"role": "system", "content": question.system},
        {"role": "user", "content": [picture, {"type": "text", "text": question.user}]},
    ]
