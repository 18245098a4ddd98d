"""A judge that says what its script says: without a server, and the acts of one with probabilities."""

import json
import math
from collections.abc import Sequence
from typing import Any

from lrrg.agent.client import Answer
from lrrg.agent.forms import Request, Seen
from lrrg.agent.graph import Judging
from lrrg.agent.judge import Bench
from lrrg.agent.nodes import Sending
from lrrg.agent.scores import Token
from lrrg.agent.state import ASPECTS, Failure, ImageRef
from lrrg.prompts import load
from lrrg.tests.scripted import Act, tells

PICTURES = (b"overview", b"detail A", b"detail B")


def grades(**severities: int) -> str:
    """A reply that grades these aspects so, and all others 0."""
    return json.dumps({aspect: severities.get(aspect, 0) for aspect in ASPECTS}, separators=(",", ":"))


def spelt(text: str, sure: float) -> tuple[Token, ...]:
    """The reply, letter by letter; the rest of each digit's probability goes to the opposite end of the scale."""

    def token(letter: str) -> Token:
        if not letter.isdecimal():
            return Token(letter, 0.0)
        other = "0" if int(letter) > 1 else "3"
        return Token(letter, math.log(sure), ((letter, math.log(sure)), (other, math.log(1 - sure))))

    return tuple(map(token, text))


def spelling(reply: str) -> Act:
    """A reply whose digits come with their probabilities."""
    return tells(*((letter, {letter: 0.9, "9": 0.1} if letter.isdecimal() else {letter: 1.0}) for letter in reply))


class Scripted:
    """Replies in turn, the last one for ever; an exception is raised, a text has to fit the form that is asked for."""

    def __init__(self, *replies: str | Exception, sure: float = 0.97):
        self.replies, self.sure = list(replies), sure
        self.heard: list[Sequence[dict[str, Any]]] = []
        self.forms: list[str] = []

    async def ask_scored(self, messages: Any, form: Any, *, max_tokens: int, seeds: Sequence[int]) -> Answer[Any]:
        self.heard.append(messages)
        self.forms.append(form.__name__)
        reply = self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]
        if isinstance(reply, Exception):
            raise reply
        return Answer(form.model_validate_json(reply), reply, spelt(reply, self.sure))


def judging(
    oracle: Scripted,
    *,
    again: dict[str, float] | Failure | None = None,
    sending: Sending = Sending(),  # noqa: B008 - frozen
    looks: int = 2,
    fails: Failure | None = None,
) -> Judging:
    """A judge whose eyes give the same pictures of every film; `again` is what measuring again gives."""

    async def look(image: ImageRef, request: Request | None) -> Seen | Failure:
        if fails:
            return fails
        return Seen(pictures=PICTURES) if request is None else Seen(f"seen: {request.look}", (b"closer",))

    async def remeasure(image: ImageRef) -> dict[str, float] | Failure:
        assert again is not None, "nothing was to be measured again"
        return again

    return Judging(Bench(oracle, load("quality_judge.v1"), looks, look), sending, remeasure)
