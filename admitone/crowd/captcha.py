"""Solving the gateway's captcha: ALTCHA's proof of work, in processes beside the event loop's."""

from __future__ import annotations

import asyncio
import base64
import multiprocessing
import os
import signal
import threading
from concurrent.futures import ProcessPoolExecutor

import msgspec
from altcha.v1 import solve_challenge

from .client import FanClient, UnexpectedAnswer
from .report import Tally

PROCESSES_MAX = 2


class CaptchaSolver:
    """Shared by the crowd. The processes start at the first challenge: a crowd without one has none."""

    def __init__(self, tally: Tally) -> None:
        self._tally = tally
        self._pool: ProcessPoolExecutor | None = None
        self._provider: str | None = None

    async def token(self, client: FanClient) -> str | None:
        """A fresh token, or None where the gateway asks for nothing.

        Raises:
            UnexpectedAnswer: the provider is none that a machine can solve.
        """
        if self._provider is None:
            offer = await client.call("captcha_offer", "GET", "/api/captcha")
            self._provider = str(offer.body.get("provider", "missing"))
        if self._provider == "off":
            return None
        if self._provider != "altcha":
            raise UnexpectedAnswer(f"captcha: a crowd cannot solve {self._provider}")
        challenge = await client.call("captcha_challenge", "GET", "/api/captcha/challenge")
        if challenge.status != 200:
            raise UnexpectedAnswer(f"captcha_challenge: HTTP {challenge.status} {challenge.code}")
        if self._pool is None:
            self._pool = ProcessPoolExecutor(
                min(PROCESSES_MAX, os.cpu_count() or 1),
                mp_context=multiprocessing.get_context("spawn"),
                initializer=_live_with_parent,
            )
        with self._tally.at("captcha"):
            solved = await asyncio.get_running_loop().run_in_executor(self._pool, solve, challenge.body)
        if solved is None:
            raise UnexpectedAnswer("captcha: the challenge has no solution")
        return solved

    def close(self) -> None:
        """End the processes; what they work on is dropped."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
            self._pool = None


def solve(challenge: dict[str, object]) -> str | None:
    """The base64 payload that ALTCHA's widget would send, or None if no number fits."""
    text, salt, work_max = str(challenge["challenge"]), str(challenge["salt"]), challenge["maxnumber"]
    if not isinstance(work_max, int):
        return None
    found = solve_challenge(text, salt, "SHA-256", work_max)
    if found is None:
        return None
    payload = {
        "algorithm": challenge["algorithm"],
        "challenge": text,
        "number": found.number,
        "salt": salt,
        "signature": challenge["signature"],
        "took": int(found.took * 1000),
    }
    return base64.b64encode(msgspec.json.encode(payload)).decode()


def _live_with_parent() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
