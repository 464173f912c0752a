"""A fan's HTTP calls: timed, repeated where the server says so, and held to the contract's error form."""

from __future__ import annotations

import asyncio
import random
import time
from typing import Final

import msgspec

from admitone.fan.counts import Counts
from admitone.fan.http import Broken, Chunk, HttpClient, Reply, Stream

TRIES_MAX: Final = 10
BROKEN_TRIES_MAX: Final = 3
WAIT_SECONDS_MAX: Final = 60.0
CLOSED: Final = frozenset({"closed"})
"""A 503 with this code stays, however long a client waits."""

_encode = msgspec.json.Encoder().encode


class UnexpectedAnswer(Exception):  # noqa: N818 - the answer is what it names
    """The server broke the contract or the connection; the message is a short kind, fit for counting."""


class Calls:
    """The calls of one fan. ``headers`` identify the fan: lines, each with its line break.

    Args:
        client: shared by many fans.
        every_break_counts: a connection that broke is an error even if the next try was answered.
    """

    __slots__ = ("_chance", "_every_break_counts", "client", "counts", "headers")

    def __init__(
        self, client: HttpClient, counts: Counts, chance: random.Random, *, every_break_counts: bool = True
    ) -> None:
        self.client = client
        self.counts = counts
        self.headers = ""
        self._chance = chance
        self._every_break_counts = every_break_counts

    async def ask(
        self,
        step: str,
        method: str,
        path: str,
        *,
        body: object = None,
        headers: str = "",
        final: frozenset[str] = CLOSED,
    ) -> Reply:
        """One call, counted as ``step``; 429 and 503 are waited out ``TRIES_MAX`` times unless their code is ``final``.

        The last refusal is returned. A broken connection is tried anew ``BROKEN_TRIES_MAX`` times, so that a call
        which must not happen twice needs an Idempotency-Key.

        Raises:
            UnexpectedAnswer: another 5xx, a body that is no JSON, a refusal without code or Retry-After.
        """
        data = None if body is None else _encode(body)
        request = self.client.request(method, path, f"{self.headers}{headers}Accept: application/json\r\n", data)
        broken = 0
        for tried in range(1, TRIES_MAX + 1):
            began = time.perf_counter()
            try:
                reply = await self.client.call(request)
            except Broken as error:
                broken += 1
                if broken == BROKEN_TRIES_MAX:
                    raise UnexpectedAnswer(f"{step}: {error}") from None
                if self._every_break_counts:
                    self.counts.error(f"{step}: {error}")
                await self.pause(2**broken / 4)
                continue
            self.counts.wait(step, time.perf_counter() - began)
            if reply.status < 400:
                return reply
            wait_seconds = check(step, reply)
            if wait_seconds is None or reply.code in final:
                return reply
            self.counts.refused(step, reply.code)
            if tried == TRIES_MAX:
                return reply
            await self.pause(wait_seconds)
        raise UnexpectedAnswer(f"{step}: no answer in {TRIES_MAX} tries")

    async def open(self, path: str, chunk: Chunk) -> tuple[Reply, Stream]:
        """Open a stream of events.

        Raises:
            Broken: there is no reply.
        """
        headers = f"{self.headers}Accept: text/event-stream\r\nCache-Control: no-store\r\n"
        return await self.client.open(self.client.request("GET", path, headers), chunk)

    async def pause(self, seconds: float) -> None:
        """Wait that long and up to a quarter more, so that fans do not come back all at once."""
        await asyncio.sleep(min(seconds, WAIT_SECONDS_MAX) * (1 + self._chance.random() / 4))


def check(step: str, reply: Reply) -> float | None:
    """Check an error against the contract; gives how many seconds a 429 or 503 asks to wait, None for other replies.

    Raises:
        UnexpectedAnswer: see `Calls.ask`.
    """
    status = reply.status
    try:
        code = reply.code
    except Broken as error:
        raise UnexpectedAnswer(f"{step}: {error}") from None
    if status >= 500 and status != 503:
        raise UnexpectedAnswer(f"{step}: HTTP {status} {code}")
    if reply.content_type != b"application/problem+json" or not code:
        raise UnexpectedAnswer(f"{step}: HTTP {status} is no problem with a code")
    if status not in (429, 503) or code in CLOSED:
        return None
    if not reply.retry_after.isdigit():
        raise UnexpectedAnswer(f"{step}: HTTP {status} without Retry-After")
    return float(reply.retry_after)
