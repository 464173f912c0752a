"""A fan's HTTP calls: timed, repeated where the server says so, and held to the contract's error form."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Mapping
from typing import Any

import aiohttp
import msgspec

from .report import Tally

TRIES_MAX = 10
BROKEN_TRIES_MAX = 3
WAIT_SECONDS_MAX = 60.0
CALL_SECONDS_MAX = 45.0
HOPELESS = frozenset({"closed"})
"""A 503 that no wait cures."""


class UnexpectedAnswer(Exception):  # noqa: N818 - the answer is what it names
    """The server broke the contract or the connection; the message is a short kind, fit for counting."""


class Reply(msgspec.Struct, frozen=True):
    """An answer: its status and JSON object (empty where there was no body)."""

    status: int
    body: dict[str, Any]

    @property
    def code(self) -> str:
        """The problem's code; empty on success."""
        return str(self.body.get("code", "")) if self.status >= 400 else ""


class FanClient:
    """Calls as one fan. ``session`` is shared and keeps no cookies; ``headers`` say who the fan is."""

    def __init__(self, session: aiohttp.ClientSession, base_url: str, tally: Tally, rng: random.Random) -> None:
        self.headers: dict[str, str] = {}
        self._session = session
        self._base_url = base_url.rstrip("/")
        self._tally = tally
        self._rng = rng

    async def call(
        self,
        name: str,
        method: str,
        path: str,
        *,
        body: object = None,
        headers: Mapping[str, str] | None = None,
        patient: bool = True,
    ) -> Reply:
        """One call, counted under ``name``; 429 and 503 are waited out ``TRIES_MAX`` times if ``patient``.

        The last refusal is returned. A broken connection is tried anew ``BROKEN_TRIES_MAX`` times, so what
        must not happen twice needs an Idempotency-Key.

        Raises:
            UnexpectedAnswer: another 5xx, a body that is no JSON, a refusal without code or Retry-After.
        """
        broken = 0
        for attempt in range(TRIES_MAX):
            started = time.perf_counter()
            try:
                reply, wait_seconds = await self._once(name, method, path, body, headers or {})
            except (aiohttp.ClientError, TimeoutError) as error:
                broken += 1
                kind = f"{name}: {type(error).__name__}"
                if broken >= BROKEN_TRIES_MAX:
                    raise UnexpectedAnswer(kind) from error
                self._tally.error(kind)
                await self.pause(2**broken / 4)
                continue
            self._tally.latency(name, time.perf_counter() - started)
            if wait_seconds is None or not patient or attempt == TRIES_MAX - 1:
                return reply
            self._tally.wait(name, reply.code)
            await self.pause(wait_seconds)
        raise UnexpectedAnswer(f"{name}: no answer in {TRIES_MAX} tries")

    async def pause(self, seconds: float) -> None:
        """Wait that long and up to a quarter more, so that fans do not come back all at once."""
        await asyncio.sleep(min(seconds, WAIT_SECONDS_MAX) * (1 + self._rng.random() / 4))

    def open_stream(self, path: str, *, silence_seconds_max: float) -> Any:
        """The context manager of an endless GET's response (aiohttp keeps its type private)."""
        return self._session.get(
            self._base_url + path,
            headers={**self.headers, "Accept": "text/event-stream", "Cache-Control": "no-store"},
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=silence_seconds_max),
        )

    async def _once(
        self, name: str, method: str, path: str, body: object, headers: Mapping[str, str]
    ) -> tuple[Reply, float | None]:
        sent = {**self.headers, **headers, "Accept": "application/json"}
        data = None
        if body is not None:
            data = msgspec.json.encode(body)
            sent["Content-Type"] = "application/json"
        async with self._session.request(
            method, self._base_url + path, data=data, headers=sent, allow_redirects=False
        ) as response:
            content = await response.read()
            reply = read_reply(name, response, content)
            return reply, None if reply.code in HOPELESS else retry_after_seconds(name, response)


def read_reply(name: str, response: aiohttp.ClientResponse, content: bytes) -> Reply:
    """The answer, if it is one that api.md knows.

    Raises:
        UnexpectedAnswer: see `FanClient.call`.
    """
    status = response.status
    try:
        body = msgspec.json.decode(content, type=dict[str, Any]) if content else {}
    except (msgspec.MsgspecError, ValueError):
        raise UnexpectedAnswer(f"{name}: HTTP {status} without a JSON object") from None
    reply = Reply(status, body)
    if status >= 500 and status != 503:
        raise UnexpectedAnswer(f"{name}: HTTP {status} {reply.code}")
    if status >= 400 and (response.content_type != "application/problem+json" or not reply.code):
        raise UnexpectedAnswer(f"{name}: HTTP {status} is no problem with a code")
    return reply


def retry_after_seconds(name: str, response: aiohttp.ClientResponse) -> float | None:
    """How long a 429 or 503 asks to wait; None for any other answer.

    Raises:
        UnexpectedAnswer: it does not say.
    """
    if response.status not in (429, 503):
        return None
    value = response.headers.get("Retry-After", "")
    if not (value.isascii() and value.isdigit()):
        raise UnexpectedAnswer(f"{name}: HTTP {response.status} without Retry-After")
    return float(value)
