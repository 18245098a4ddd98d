"""The one client of model servers: asks one model for answers in a form, however many servers serve it."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Generic, Self, TypeVar

from pydantic import BaseModel, ValidationError

from .faults import JudgeReplyError
from .fleet import Fleet, Sleep
from .scores import Token
from .server import Identity, Limits, Reply

TOP_TOKENS = 5
"""Alternatives asked for at each token: the four digits of a score and one more way to go on."""
RETRY_TEMPERATURE = 0.5
"""Of decoding after a bad reply; at 0 the next one would be as bad."""
Form = TypeVar("Form", bound=BaseModel)


@dataclass(frozen=True)
class Answer(Generic[Form]):
    """A reply in the form asked for.

    Attributes:
        form: the reply, parsed and checked.
        text: the reply as it came.
        tokens: of the text, with their likeliest alternatives; empty unless asked for.
    """

    form: Form
    text: str
    tokens: tuple[Token, ...]


class Client:
    """One model on one or several OpenAI-compatible servers; use it as an asynchronous context manager.

    Attributes:
        identity: what the servers serve; known inside the context.
    """

    identity: Identity

    def __init__(
        self,
        urls: str | Sequence[str],
        model: str | None,
        limits: Limits | None = None,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        """Check the URLs; nothing is sent yet.

        Args:
            urls: base URLs with the API's path, `http://127.0.0.1:8000/v1`; they share the requests.
            model: name under which they serve it; None for the first that a server lists.
            limits: of transport.
            sleep: waits between attempts.

        Raises:
            RefusedURL: code `refused-url`.
        """
        self._fleet = Fleet([urls] if isinstance(urls, str) else urls, limits or Limits(), sleep)
        self._model = model

    async def __aenter__(self) -> Self:
        """Connect.

        Raises:
            JudgeUnavailable: no server is up, or one serves another model.
        """
        try:
            self.identity = await self._fleet.connect(self._model)
        except BaseException:
            await self._fleet.close()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._fleet.close()

    async def ask(
        self, messages: Sequence[Mapping[str, Any]], form: type[Form], *, max_tokens: int, seeds: Sequence[int]
    ) -> Form:
        """One answer in the form asked for; see `ask_scored`, which this is without the tokens."""
        return (await self._ask(self._body(messages, form, max_tokens), form, seeds)).form

    async def ask_scored(
        self, messages: Sequence[Mapping[str, Any]], form: type[Form], *, max_tokens: int, seeds: Sequence[int]
    ) -> Answer[Form]:
        """One answer in the form asked for with its tokens and their likeliest alternatives.

        It is decoded at temperature 0; after a bad reply the next seed is tried, at `RETRY_TEMPERATURE`.

        Args:
            messages: in the protocol's shape.
            form: its JSON schema constrains the decoding and checks the reply.
            max_tokens: of the reply.
            seeds: at least one; as many replies are waited for.

        Raises:
            JudgeUnavailable: no answer; see its codes.
            JudgeReplyError: the request is rejected, or every reply was bad (the last one's code).
        """
        body = {**self._body(messages, form, max_tokens), "logprobs": True, "top_logprobs": TOP_TOKENS}
        return await self._ask(body, form, seeds)

    async def complete(self, **body: Any) -> Reply:
        """One whole reply.

        Args:
            body: of the chat completion request, without the model.

        Raises:
            JudgeUnavailable: no answer; see its codes.
            JudgeReplyError: the request is rejected, or its reply truncated or malformed.
        """
        return await self._fleet.complete(body)

    def _body(self, messages: Sequence[Mapping[str, Any]], form: type[BaseModel], max_tokens: int) -> dict[str, Any]:
        return {
            "messages": list(messages),
            "response_format": {"type": "json_schema", "json_schema": _schema(form)},
            "max_completion_tokens": max_tokens,
        }

    async def _ask(self, body: dict[str, Any], form: type[Form], seeds: Sequence[int]) -> Answer[Form]:
        for attempt, seed in enumerate(seeds, 1):
            try:
                reply = await self.complete(seed=seed, temperature=RETRY_TEMPERATURE if attempt > 1 else 0, **body)
                return Answer(_parsed(reply.text, form), *reply)
            except JudgeReplyError as error:
                if error.code == "rejected" or attempt == len(seeds):
                    raise
        raise ValueError("at least one seed is needed")


@cache
def _schema(form: type[BaseModel]) -> dict[str, Any]:
    """What constrains the decoding; to work it out takes longer than all else the client does for a request."""
    return {"name": form.__name__, "schema": form.model_json_schema(), "strict": True}


def _parsed(text: str, form: type[Form]) -> Form:
    try:
        return form.model_validate_json(text)
    except ValidationError as error:
        raise JudgeReplyError("malformed", f"not a {form.__name__}: {text[:200]!r}", text) from error
