"""The judge's side of the graph: it looks at the film, may ask for one more look at a time, and grades.

Pictures travel from the caller's `look` into one request and no further: nothing of them is in the state.
"""

import base64
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from langgraph.types import Command

from ..prompts import Prompt
from .client import Answer, Form
from .faults import JudgeReplyError
from .forms import Grades, Request, Seen, Turn
from .scores import ScoreError, scores
from .state import Failure, ImageRef, State, Step

Look = Callable[[ImageRef, Request | None], Awaitable[Seen | Failure]]
"""What a look gives; None asks for the first one, the whole film and two details."""
SEEDS = (0, 1, 2)
"""As many replies are waited for; all but the last may be bad."""
MAX_TOKENS = 128
"""Of a reply: six grades take some thirty, spelt letter by letter eighty."""
LAST = "That was the last look: grade now."


class Oracle(Protocol):
    """A model server, or several: `Client` is one."""

    async def ask_scored(
        self, messages: Sequence[dict[str, Any]], form: type[Form], *, max_tokens: int, seeds: Sequence[int]
    ) -> Answer[Form]:
        """One answer in the form asked for, with its tokens."""
        ...


@dataclass(frozen=True)
class Bench:
    """What a judge works with.

    Attributes:
        oracle: the model.
        prompt: what it is told.
        looks: how many more looks it may ask for.
        look: gives one.
    """

    oracle: Oracle
    prompt: Prompt
    looks: int
    look: Look


class Asking:
    """The node that asks the judge: it answers, or has one more look."""

    def __init__(self, bench: Bench):
        self._bench = bench

    async def __call__(self, state: State) -> Command[Literal["inspect", "reconcile", "verdict"]]:
        """Put the scores, the look asked for, or why the replies were no use, into the state.

        Scores that are there already are kept: the same judge would say the same again.

        Raises:
            JudgeUnavailable: no answer to be had.
        """
        if "scores" in state:
            return Command(goto="reconcile")
        turns = await self._turns(state)
        if isinstance(turns, Failure):
            return Command(update={"failure": turns}, goto="verdict")
        form = Turn if len(state.get("steps", ())) < self._bench.looks else Grades
        try:
            answer = await self._bench.oracle.ask_scored(turns, form, max_tokens=MAX_TOKENS, seeds=SEEDS)
        except JudgeReplyError as error:
            return _useless(error.code, str(error), error.reply)
        return self._heard(answer)

    def _heard(self, answer: Answer[Turn | Grades]) -> Command[Literal["inspect", "reconcile", "verdict"]]:
        said = answer.form.root if isinstance(answer.form, Turn) else answer.form
        if not isinstance(said, Grades):
            return Command(update={"request": said}, goto="inspect")
        try:
            found = scores(answer.text, answer.tokens)
        except ScoreError as error:
            return _useless(error.code, str(error), answer.text)
        probabilities = {aspect: score.probabilities for aspect, score in found.items()}
        return Command(update={"scores": probabilities}, goto="reconcile")

    async def _turns(self, state: State) -> list[dict[str, Any]] | Failure:
        """The conversation so far. The text that all films share stands first, so that servers need to read it once."""
        assert "reading" in state
        prompt, image = self._bench.prompt, state["image"]
        first = await self._bench.look(image, None)
        if isinstance(first, Failure):
            return first
        context = {"view": state["reading"].view}
        text = prompt.fill({name: context[name] for name in prompt.variables})
        turns = [{"role": "system", "content": prompt.system}, _user(text, first.pictures)]
        for place, step in enumerate(state.get("steps", ()), 1):
            seen = await self._bench.look(image, step.request)
            if isinstance(seen, Failure):
                return seen
            told = f"{step.told} {LAST}" if place == self._bench.looks else step.told
            turns += [{"role": "assistant", "content": step.request.model_dump_json()}, _user(told, seen.pictures)]
        return turns


class Inspecting:
    """The node that has the look which the judge asked for."""

    def __init__(self, look: Look):
        self._look = look

    async def __call__(self, state: State) -> Command[Literal["judge", "verdict"]]:
        """Add the step to the state."""
        assert "request" in state
        seen = await self._look(state["image"], state["request"])
        if isinstance(seen, Failure):
            return Command(update={"failure": seen}, goto="verdict")
        return Command(update={"steps": (*state.get("steps", ()), Step(state["request"], seen.text))}, goto="judge")


def _user(text: str, pictures: Sequence[bytes]) -> dict[str, Any]:
    return {"role": "user", "content": [{"type": "text", "text": text}, *map(_picture, pictures)]}


def _picture(png: bytes) -> dict[str, Any]:
    url = f"data:image/png;base64,{base64.b64encode(png).decode()}"
    return {"type": "image_url", "image_url": {"url": url}}


def _useless(code: str, detail: str, reply: str) -> Command[Any]:
    return Command(update={"failure": Failure("failed", code, detail, reply)}, goto="verdict")
