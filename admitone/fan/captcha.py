"""Solving the gateway's captcha: ALTCHA's proof of work."""

from __future__ import annotations

import asyncio
import base64
import multiprocessing
import os
import signal
import threading
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from typing import Any, Final, Protocol

import msgspec
from altcha.v1 import solve_challenge

from admitone.fan.calls import Calls, UnexpectedAnswer

PROCESSES_MAX: Final = 2
CAPTCHA_TRIES_MAX: Final = 3


class Captcha(Protocol):
    """Where a fan's captcha tokens come from."""

    async def token(self, calls: Calls) -> str | None:
        """A fresh token, or None where the gateway asks for none.

        Raises:
            UnexpectedAnswer: no token can be got.
        """


async def challenge(calls: Calls) -> dict[str, Any]:
    """Ask the gateway for a challenge.

    Raises:
        UnexpectedAnswer: the gateway gives none.
    """
    reply = await calls.ask("captcha_challenge", "GET", "/api/captcha/challenge")
    if reply.status != 200:
        raise UnexpectedAnswer(f"captcha_challenge: HTTP {reply.status} {reply.code}")
    return reply.document()


def solve(challenge: Mapping[str, Any]) -> str | None:
    """The base64 payload that ALTCHA's widget would send, or None if no number fits."""
    work_max = challenge["maxnumber"]
    if not isinstance(work_max, int):
        return None
    found = solve_challenge(str(challenge["challenge"]), str(challenge["salt"]), "SHA-256", work_max)
    return None if found is None else payload(challenge, found.number)


def payload(challenge: Mapping[str, Any], number: int) -> str:
    """The base64 payload that says ``number`` solves the challenge."""
    named = {name: challenge[name] for name in ("algorithm", "challenge", "salt", "signature")}
    return base64.b64encode(msgspec.json.encode({**named, "number": number})).decode()


class CaptchaSolver:
    """Solves challenges in processes of its own, which start at the first challenge."""

    def __init__(self) -> None:
        self._pool: ProcessPoolExecutor | None = None
        self._provider: str | None = None

    async def token(self, calls: Calls) -> str | None:
        if self._provider is None:
            offer = await calls.ask("captcha_offer", "GET", "/api/captcha")
            self._provider = str(offer.document().get("provider", "missing"))
        if self._provider == "off":
            return None
        if self._provider != "altcha":
            raise UnexpectedAnswer(f"captcha: a crowd cannot solve {self._provider}")
        asked = await challenge(calls)
        if self._pool is None:
            self._pool = ProcessPoolExecutor(
                min(PROCESSES_MAX, os.cpu_count() or 1),
                mp_context=multiprocessing.get_context("spawn"),
                initializer=_live_with_parent,
            )
        with calls.counts.at("captcha"):
            solved = await asyncio.get_running_loop().run_in_executor(self._pool, solve, asked)
        if solved is None:
            raise UnexpectedAnswer("captcha: the challenge has no solution")
        return solved

    def close(self) -> None:
        """End the processes; challenges that they work on are dropped."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
            self._pool = None


def _live_with_parent() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
