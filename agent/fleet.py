"""Several servers of one model: requests go where the fewest are under way; a lost server is drained and comes back."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from typing import Any

from .faults import JudgeUnavailable
from .server import Busy, Identity, Limits, Lost, Reply, Server

Sleep = Callable[[float], Awaitable[None]]
LONGEST_POLL = 5.0
"""Seconds between two looks at a lost server at most: it takes tens of seconds to start again."""


class Member:
    """A server of the fleet and how it stands."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.under_way = 0
        self.taken = 0
        """Requests it was ever given."""
        self.fault: JudgeUnavailable | None = None
        """Why it is drained; None while it takes requests."""
        self.poll: asyncio.Task[None] | None = None

    @contextmanager
    def busy(self) -> Iterator[None]:
        """Count one request while it is under way."""
        self.under_way += 1
        self.taken += 1
        try:
            yield
        finally:
            self.under_way -= 1


class Fleet:
    """Servers of one model; `connect` before the first request, `close` after the last."""

    def __init__(self, urls: Sequence[str], limits: Limits, sleep: Sleep) -> None:
        """Check the URLs; nothing is sent yet.

        Raises:
            RefusedURL: code `refused-url`.
        """
        self._members = [Member(Server(url, limits)) for url in dict.fromkeys(urls)]
        self._limits, self._sleep = limits, sleep
        self._identity: Identity | None = None
        self._changed = asyncio.Event()
        self._down_since = 0.0

    async def connect(self, model: str | None) -> Identity:
        """Find out what the servers serve; those that are down may come up later.

        Args:
            model: to be asked; None for the first that a server lists.

        Raises:
            JudgeUnavailable: none is up, or one serves another model or revision.
        """
        lost: list[tuple[Member, Lost]] = []
        for member in self._members:
            try:
                self._identity = await self._checked(member, model)
            except Lost as error:
                lost.append((member, error))
        if self._identity is None:
            raise _unreachable(*lost[0])
        for member, error in lost:
            self._drain(member, _unreachable(member, error))
        return self._identity

    async def close(self) -> None:
        """Stop polling and close all connections."""
        polls = [member.poll for member in self._members if member.poll]
        for poll in polls:
            poll.cancel()
        await asyncio.gather(*polls, return_exceptions=True)
        for member in self._members:
            await member.server.close()

    async def complete(self, body: dict[str, Any]) -> Reply:
        """One reply. A failed attempt is repeated at the other servers, and at all of them again after a wait.

        Raises:
            JudgeUnavailable: no server answers; see its codes.
            JudgeReplyError: the request is rejected, or its reply truncated or malformed.
        """
        attempt = 0
        while True:
            outcome = await self._round(body, _backoff(attempt))
            if isinstance(outcome, Reply):
                return outcome
            wait, fault = outcome
            attempt += 1
            if attempt == self._limits.attempts:
                raise fault
            await self._sleep(min(wait, self._limits.longest_wait))

    async def _round(self, body: dict[str, Any], backoff: float) -> Reply | tuple[float, JudgeUnavailable]:
        """Ask every server that takes requests until one answers; else how long to wait, and the last fault."""
        assert self._identity is not None, "connect first"
        tried, waits, fault = set[Member](), list[float](), None
        while member := await self._free(tried):
            tried.add(member)
            try:
                with member.busy():
                    return await member.server.complete(self._identity.model, body)
            except Busy as error:
                waits.append(backoff if error.wait is None else error.wait)
                fault = JudgeUnavailable("overloaded", f"{member.server.url}: {error}, time and again")
            except Lost as error:
                waits.append(backoff)
                fault = _unreachable(member, error)
                self._drain(member, fault)
            finally:
                self._wake()
        assert fault is not None, "the first server tried is waited for"
        return min(waits), fault

    async def _free(self, tried: Collection[Member]) -> Member | None:
        """The server with the fewest requests under way, as soon as one has room; None where all that are up failed."""
        while True:
            left = self._open(tried)
            free = [each for each in left if each.under_way < self._limits.concurrency]
            if free:
                return min(free, key=lambda each: (each.under_way, each.taken))
            if not left and tried:
                return None
            if left:
                await self._changed.wait()
            else:
                await self._come_up()

    def _open(self, tried: Collection[Member]) -> list[Member]:
        return [each for each in self._members if each.fault is None and each not in tried]

    async def _come_up(self) -> None:
        """Wait for a change while no server is up, as long as patience goes."""
        try:
            async with asyncio.timeout_at(self._down_since + self._limits.patience):
                await self._changed.wait()
        except TimeoutError:
            faults = [each.fault for each in self._members if each.fault]
            if len(faults) == len(self._members):  # none came up in this very turn
                raise JudgeUnavailable(faults[0].code, "; ".join(map(str, faults))) from None

    def _wake(self) -> None:
        """Have everybody who waits look again."""
        self._changed.set()
        self._changed = asyncio.Event()

    def _drain(self, member: Member, fault: JudgeUnavailable) -> None:
        if member.fault is None:
            member.fault = fault
            self._down_since = asyncio.get_running_loop().time()
            member.poll = asyncio.create_task(self._poll(member))

    async def _poll(self, member: Member) -> None:
        """Look after a lost server until it is up again and serves what it did."""
        for attempt in count():
            try:
                await self._checked(member, None)
                break
            except Lost as error:
                member.fault = _unreachable(member, error)
            except JudgeUnavailable as error:
                member.fault = error
            await self._sleep(min(_backoff(attempt), LONGEST_POLL))
        member.fault = None
        self._wake()

    async def _checked(self, member: Member, model: str | None) -> Identity:
        """What a server serves, which is what the others do."""
        known = self._identity
        found = await member.server.identify(known.model if known else model)
        if known and found != known:
            raise JudgeUnavailable(
                "wrong-model", f"{member.server.url} serves {_name(found)}, the other servers {_name(known)}"
            )
        return found


def _name(identity: Identity) -> str:
    return f"{identity.model} ({identity.revision or 'revision unknown'})"


def _unreachable(member: Member, error: Lost) -> JudgeUnavailable:
    return JudgeUnavailable("unreachable", f"{member.server.url}: {error}; is the server running?")


def _backoff(attempt: int) -> float:
    """Seconds to wait: twice as long each time, and never in step with others."""
    return 0.5 * 2 ** min(attempt, 20) * random.uniform(0.5, 1.0)
