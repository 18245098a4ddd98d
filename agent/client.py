"""The one client of model servers: on this machine or on hosts allowed by name, and patient in one place only.

Radiographs and report texts may not reach a third party. So the URL is checked before anything is sent, redirects are
not followed and proxy variables are not read. Nothing is traced.
"""

import asyncio
import ipaddress
import random
import re
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from time import time
from typing import Any, Generic, NamedTuple, Self, TypeVar
from urllib.parse import urlsplit

import httpx2
from openai import APIConnectionError, APIStatusError, AsyncOpenAI
from pydantic import BaseModel, ValidationError

from .scores import Token

RETRIED = frozenset({408, 409, 425, 429})
"""Statuses that promise nothing about the next attempt; so do all from 500 on."""
PLAIN_URL = re.compile(r"https?://[\w.:\[\]-]+(/[\w./~-]*)?", re.ASCII)
TOP_TOKENS = 5
"""Alternatives asked for at each token: the four digits of a score and one more way to go on."""
RETRY_TEMPERATURE = 0.5
"""Of decoding after a bad reply; at 0 the next one would be as bad."""
Form = TypeVar("Form", bound=BaseModel)


class RefusedURL(ValueError):  # noqa: N818 - the word of the contract
    """The URL leads off this machine to a host nobody allowed, or is not a plain http(s) URL; nothing was sent."""

    code = "refused-url"


class JudgeUnavailable(ConnectionError):  # noqa: N818 - the word of the contract
    """No answer to be had from the server, whatever is asked; work stops and can be resumed.

    Attributes:
        code: `unreachable` (refused, reset or silent), `overloaded` (error statuses), `unauthorised`,
            `wrong-model` (the server serves another) or `no-probabilities` (it does not tell those of its tokens).
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class JudgeReplyError(ValueError):
    """The server answers, but this request gets no usable reply.

    Attributes:
        code: `rejected` (the server calls the request wrong), `truncated`, or `malformed` (no reply, no JSON, or JSON
            that breaks the schema).
        reply: the raw reply, for the record; empty where there is none.
    """

    def __init__(self, code: str, message: str, reply: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.reply = reply


@dataclass(frozen=True)
class Limits:
    """How the client behaves in transport; none of it can change an answer.

    Attributes:
        allow_hosts: hosts beyond this machine that may be sent images and report texts.
        connect_seconds: until a connection stands.
        read_seconds: of silence, after which an attempt is given up.
        attempts: of one request, the first included.
        longest_wait: seconds between two attempts at most, whatever the server asks for.
        concurrency: requests under way at once.
    """

    allow_hosts: Collection[str] = ()
    connect_seconds: float = 5.0
    read_seconds: float = 60.0
    attempts: int = 10
    longest_wait: float = 60.0
    concurrency: int = 8


def checked(url: str, allow_hosts: Collection[str] = ()) -> str:
    """The URL, if images and reports may be sent there.

    >>> checked("http://127.0.0.1:8000/v1")
    'http://127.0.0.1:8000/v1'

    Args:
        url: http or https, host, port and path only.
        allow_hosts: host names or addresses, without port, that are allowed beside `localhost`, 127.0.0.0/8 and ::1.

    Raises:
        RefusedURL: code `refused-url`.
    """
    # What two parsers may read differently (user info, escapes, backslashes, white space) is refused unread.
    if not PLAIN_URL.fullmatch(url):
        raise RefusedURL(f"{url}: refused; give http(s)://HOST:PORT/PATH without user, query or escapes")
    try:
        parts = urlsplit(url)
        host, _ = (parts.hostname or ""), parts.port
    except ValueError as error:
        raise RefusedURL(f"{url}: refused; {error}") from error
    if not _is_loopback(host) and host not in {name.lower() for name in allow_hosts}:
        raise RefusedURL(
            f"{url}: refused; {host} is neither this machine nor in client.allow_hosts, and what is sent there holds "
            "patients' images or reports"
        )
    return url


def _is_loopback(host: str) -> bool:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host == "localhost"
    return address in ipaddress.ip_network("127.0.0.0/8") if address.version == 4 else str(address) == "::1"


class Reply(NamedTuple):
    """A whole reply of a model."""

    text: str
    tokens: tuple[Token, ...]
    """Empty unless token probabilities were asked for."""


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
    """One model on one OpenAI-compatible server; use it as an asynchronous context manager."""

    def __init__(
        self,
        url: str,
        model: str,
        limits: Limits | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """Check the URL; nothing is sent yet.

        Args:
            url: base URL with the API's path, `http://127.0.0.1:8000/v1`.
            model: name under which the server serves it.
            limits: of transport.
            sleep: waits between attempts.

        Raises:
            RefusedURL: code `refused-url`.
        """
        self.limits = limits or Limits()
        self.url, self.model, self._sleep = checked(url, self.limits.allow_hosts), model, sleep
        timeout = httpx2.Timeout(self.limits.read_seconds, connect=self.limits.connect_seconds)
        self._api = AsyncOpenAI(
            base_url=url,
            api_key="none",
            max_retries=0,
            timeout=timeout,
            http_client=httpx2.AsyncClient(trust_env=False, follow_redirects=False, timeout=timeout),
        )
        self._slots = asyncio.Semaphore(self.limits.concurrency)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._api.close()

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

    def _body(self, messages: Sequence[Mapping[str, Any]], form: type[BaseModel], max_tokens: int) -> dict[str, Any]:
        schema = {"name": form.__name__, "schema": form.model_json_schema(), "strict": True}
        return {
            "messages": list(messages),
            "response_format": {"type": "json_schema", "json_schema": schema},
            "max_completion_tokens": max_tokens,
        }

    async def _ask(self, body: dict[str, Any], form: type[Form], seeds: Sequence[int]) -> Answer[Form]:
        for attempt, seed in enumerate(seeds, 1):
            try:
                reply = await self.complete(seed=seed, temperature=RETRY_TEMPERATURE if attempt > 1 else 0, **body)
                return Answer(self._parsed(reply.text, form), *reply)
            except JudgeReplyError as error:
                if error.code == "rejected" or attempt == len(seeds):
                    raise
        raise ValueError("at least one seed is needed")

    def _parsed(self, text: str, form: type[Form]) -> Form:
        try:
            return form.model_validate_json(text)
        except ValidationError as error:
            raise JudgeReplyError("malformed", f"{self.url}: not a {form.__name__}: {text[:200]!r}", text) from error

    async def complete(self, **body: Any) -> Reply:
        """One whole reply.

        Args:
            body: of the chat completion request, without the model.

        Raises:
            JudgeUnavailable: no answer; see its codes.
            JudgeReplyError: the request is rejected, or its reply truncated or malformed.
        """
        async with self._slots:
            reply = await self._send(body)
        try:
            choice, model = reply.choices[0], reply.model
            text, finish, listed = choice.message.content, choice.finish_reason, choice.logprobs
        except (AttributeError, IndexError, TypeError) as error:
            raise JudgeReplyError("malformed", f"{self.url}: the reply is no chat completion", str(reply)) from error
        if model != self.model:
            raise JudgeUnavailable("wrong-model", f"{self.url}: asked for {self.model}, {model} answered")
        if finish != "stop" or text is None:
            raise JudgeReplyError("truncated", f"{self.url}: the reply ended by {finish}, not by itself", text or "")
        if body.get("logprobs") and not (listed and listed.content):
            raise JudgeUnavailable("no-probabilities", f"{self.url}: the server does not tell token probabilities")
        return Reply(text, _tokens(listed))

    async def _send(self, body: dict[str, Any]) -> Any:
        fault = JudgeUnavailable("unreachable", f"{self.url}: not asked")
        for attempt in range(self.limits.attempts):
            try:
                return await self._api.chat.completions.create(model=self.model, **body)
            except APIConnectionError as error:
                reason = f"{error} {error.__cause__ or ''}".strip()
                fault, wait = JudgeUnavailable("unreachable", f"{self.url}: {reason}; is the server running?"), None
            except APIStatusError as error:
                if error.status_code not in RETRIED and error.status_code < 500:
                    raise self._permanent(error) from error
                wait = retry_after(error.response.headers.get("retry-after"))
                fault = JudgeUnavailable("overloaded", f"{self.url}: {self.limits.attempts} times {error.status_code}")
            except ValueError as error:
                raise JudgeReplyError("malformed", f"{self.url}: the reply is not JSON") from error
            if attempt + 1 < self.limits.attempts:
                await self._sleep(min(self._backoff(attempt) if wait is None else wait, self.limits.longest_wait))
        raise fault

    def _backoff(self, attempt: int) -> float:
        return 0.5 * 2**attempt * random.uniform(0.5, 1.0)

    def _permanent(self, error: APIStatusError) -> JudgeUnavailable | JudgeReplyError:
        if error.status_code in (401, 403):
            return JudgeUnavailable("unauthorised", f"{self.url}: {error}")
        if error.status_code == 404:
            return JudgeUnavailable("wrong-model", f"{self.url}: does the server serve {self.model}? {error}")
        return JudgeReplyError("rejected", f"{self.url}: {error}", error.response.text)


def _tokens(listed: Any) -> tuple[Token, ...]:
    return tuple(
        Token(each.token, each.logprob, tuple((other.token, other.logprob) for other in each.top_logprobs))
        for each in (listed.content if listed and listed.content else ())
    )


def retry_after(header: str | None) -> float | None:
    """Seconds that a Retry-After header asks for, in seconds or as a date (RFC 9110, 10.2.3); None without one.

    >>> retry_after("3")
    3.0
    """
    if header is None:
        return None
    try:
        return max(0.0, float(header))
    except ValueError:
        pass
    try:
        return max(0.0, parsedate_to_datetime(header).timestamp() - time())
    except ValueError:
        return None
