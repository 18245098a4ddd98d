"""One model server, on this machine or on a host allowed by name: one attempt of one request, its health, its model.

Radiographs and report texts may not reach a third party. So the URL is checked before anything is sent, redirects are
not followed and proxy variables are not read. Nothing is traced.
"""

import json
import re
from collections.abc import Collection
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from pathlib import PurePosixPath
from time import time
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

import httpx2

from .faults import JudgeReplyError, JudgeUnavailable, RefusedURL
from .hosts import is_loopback
from .scores import Token

if TYPE_CHECKING:
    from openai import APIStatusError

RETRIED = frozenset({408, 409, 425, 429})
"""Statuses that promise nothing about the next attempt; so do all from 500 on."""
PLAIN_URL = re.compile(r"https?://[\w.:\[\]-]+(/[\w./~-]*)?", re.ASCII)


@dataclass(frozen=True)
class Limits:
    """How the client behaves in transport; none of it can change an answer.

    Attributes:
        allow_hosts: hosts beyond this machine that may be sent images and report texts.
        connect_seconds: until a connection stands.
        read_seconds: of silence, after which an attempt is given up.
        attempts: of one request at each server, the first included.
        longest_wait: seconds between two attempts at most, whatever a server asks for.
        patience: seconds that requests wait for a lost server while no other is left.
        concurrency: requests under way at once, at each server.
    """

    allow_hosts: Collection[str] = ()
    connect_seconds: float = 5.0
    read_seconds: float = 60.0
    attempts: int = 10
    longest_wait: float = 60.0
    patience: float = 300.0
    concurrency: int = 8


class Identity(NamedTuple):
    """Which model a server serves: two servers that share it give the same answers, up to rounding."""

    model: str
    """Name under which it is served."""
    revision: str | None
    """What the server calls it beside that: the part behind `@` of an alias `MODEL@REVISION`, else where it came from
    (`Qwen/Qwen2.5-VL-7B-Instruct`; of a folder the name alone); None where it tells neither."""


class Reply(NamedTuple):
    """A whole reply of a model."""

    text: str
    tokens: tuple[Token, ...]
    """Empty unless token probabilities were asked for."""


class Busy(Exception):  # noqa: N818 - a state of the server, seen by the fleet alone
    """A status that may pass; `wait` is how many seconds the server asks for."""

    def __init__(self, status: int, wait: float | None) -> None:
        super().__init__(f"status {status}")
        self.wait = wait


class Lost(Exception):  # noqa: N818 - a state of the server, seen by the fleet alone
    """No connection, or none that lasts."""


class Server:
    """One OpenAI-compatible server."""

    def __init__(self, url: str, limits: Limits) -> None:
        """Check the URL; nothing is sent yet.

        Raises:
            RefusedURL: code `refused-url`.
        """
        from openai import AsyncOpenAI  # a quarter of a run's start, which one without a judge must not pay

        self.url = checked(url, limits.allow_hosts)
        timeout = httpx2.Timeout(limits.read_seconds, connect=limits.connect_seconds)
        self._http = httpx2.AsyncClient(trust_env=False, follow_redirects=False, timeout=timeout)
        self._api = AsyncOpenAI(base_url=url, api_key="none", max_retries=0, timeout=timeout, http_client=self._http)
        parts = urlsplit(url)
        self._health = f"{parts.scheme}://{parts.netloc}/health"

    async def close(self) -> None:
        """Close its connections."""
        await self._api.close()

    async def complete(self, model: str, body: dict[str, Any]) -> Reply:
        """Try once to get a whole reply.

        Args:
            model: to ask, and to be answered by.
            body: of the chat completion request, without the model.

        Raises:
            Busy: an error status that may pass.
            Lost: the connection failed or fell silent.
            JudgeUnavailable: code `unauthorised`, `wrong-model` or `no-probabilities`.
            JudgeReplyError: the request is rejected, or its reply truncated or malformed.
        """
        from openai import APIConnectionError, APIStatusError

        try:
            # As extra body, and unparsed: the library would check the type of every argument, and build an object of
            # every token, which together cost more than all else it does.
            raw = await self._api.chat.completions.with_raw_response.create(model=model, messages=(), extra_body=body)
            reply = json.loads(raw.content)
        except APIConnectionError as error:
            raise Lost(f"{error} {error.__cause__ or ''}".strip()) from error
        except APIStatusError as error:
            raise self._refusal(error, model) from error
        except ValueError as error:
            raise JudgeReplyError("malformed", f"{self.url}: the reply is not JSON") from error
        return self._whole(reply, model, bool(body.get("logprobs")))

    def _refusal(self, error: "APIStatusError", model: str) -> Exception:
        status = error.status_code
        if status in RETRIED or status >= 500:
            return Busy(status, retry_after(error.response.headers.get("retry-after")))
        if status in (401, 403):
            return JudgeUnavailable("unauthorised", f"{self.url}: {error}")
        if status == 404:
            return JudgeUnavailable("wrong-model", f"{self.url}: does the server serve {model}? {error}")
        return JudgeReplyError("rejected", f"{self.url}: {error}", error.response.text)

    def _whole(self, reply: Any, asked: str, scored: bool) -> Reply:
        try:
            choice, model = reply["choices"][0], reply["model"]
            text, finish = choice["message"]["content"], choice["finish_reason"]
            tokens = _tokens(choice.get("logprobs"))
        except (AttributeError, KeyError, IndexError, TypeError, ValueError) as error:
            raise JudgeReplyError("malformed", f"{self.url}: the reply is no chat completion", str(reply)) from error
        if model != asked:
            raise JudgeUnavailable("wrong-model", f"{self.url}: asked for {asked}, {model} answered")
        if finish != "stop" or text is None:
            raise JudgeReplyError("truncated", f"{self.url}: the reply ended by {finish}, not by itself", text or "")
        if scored and not tokens:
            raise JudgeUnavailable("no-probabilities", f"{self.url}: the server does not tell token probabilities")
        return Reply(text, tokens)

    async def identify(self, model: str | None) -> Identity:
        """Check that the server is up and find out what it serves; `model` None stands for the first it lists.

        A server without a page `/health` counts as up where it lists its models.

        Raises:
            Lost: it is not up.
            JudgeUnavailable: code `wrong-model` or `unauthorised`.
        """
        try:
            health = await self._http.get(self._health)
            listing = await self._http.get(f"{self.url.rstrip('/')}/models")
        except httpx2.TransportError as error:
            raise Lost(f"{type(error).__name__} {error}".strip()) from error
        if health.status_code not in (200, 404, 405):
            raise Lost(f"{self._health} gives status {health.status_code}")
        if listing.status_code in (401, 403):
            raise JudgeUnavailable("unauthorised", f"{self.url}: status {listing.status_code}")
        if listing.status_code in RETRIED or listing.status_code >= 500:
            raise Lost(f"{self.url}/models gives status {listing.status_code}")
        try:
            served = {each["id"]: each.get("root") for each in listing.json()["data"]}
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise JudgeUnavailable("wrong-model", f"{self.url}/models lists no models; is it an API's path?") from error
        return self._identity(served, model)

    def _identity(self, served: dict[str, str | None], model: str | None) -> Identity:
        asked = model or next(iter(served), "a model")
        if asked not in served:
            raise JudgeUnavailable("wrong-model", f"{self.url}: serves {', '.join(served) or 'nothing'}, not {asked}")
        aliases = [each.removeprefix(f"{asked}@") for each in served if each.startswith(f"{asked}@")]
        root = served[asked] or ""
        origin = PurePosixPath(root).name if root.startswith("/") else root
        return Identity(asked, aliases[0] if aliases else origin or None)


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
    if not is_loopback(host) and host not in {name.lower() for name in allow_hosts}:
        raise RefusedURL(
            f"{url}: refused; {host} is neither this machine nor in client.allow_hosts, and what is sent there holds "
            "patients' images or reports"
        )
    return url


def _tokens(listed: Any) -> tuple[Token, ...]:
    return tuple(
        Token(
            each["token"],
            float(each["logprob"]),
            tuple((other["token"], float(other["logprob"])) for other in each.get("top_logprobs") or ()),
        )
        for each in (listed and listed.get("content")) or ()
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
