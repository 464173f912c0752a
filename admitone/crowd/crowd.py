"""Fans arriving, each on its way; everything that lives as long as the crowd."""

from __future__ import annotations

import asyncio
import contextlib
import random
import signal
import threading
from collections.abc import AsyncIterator, Iterator

import aiohttp
import msgspec
from rich.console import Console

from .captcha import CaptchaSolver
from .client import CALL_SECONDS_MAX, FanClient, UnexpectedAnswer
from .display import show
from .fan import Fan
from .ledger import Ledger
from .plan import CrowdPlan
from .report import CrowdReport, Tally

SOLD_OUT_LOOK_SECONDS = 5.0
IDLE_SECONDS_MAX = 3.0
"""Below uvicorn's keep-alive of 5 s: a connection it is about to close is never used again."""


async def run_crowd(
    plan: CrowdPlan,
    *,
    stop: asyncio.Event | None = None,
    console: Console | None = None,
    quiet: bool = False,
) -> CrowdReport:
    """Send the crowd and give its report; ``admitone crowd`` runs it on uvloop.

    Args:
        stop: once set, fans under way are sent home and the report is given. Without it, and in the main
            thread, SIGINT and SIGTERM do the same.
        console: where progress is shown, unless ``quiet``.

    Raises:
        OSError: the ledger cannot be written.
    """
    tally = Tally()
    with Ledger(plan.ledger) as ledger, _signals(stop) as stop, contextlib.ExitStack() as closing:
        solver = CaptchaSolver(tally)
        closing.callback(solver.close)
        async with _sessions(plan) as sessions:
            crowd = _Crowd(plan, sessions, solver, ledger, tally)
            showing = None if quiet else asyncio.create_task(show(tally, console or Console()))
            try:
                await crowd.run(stop)
            finally:
                if showing is not None:
                    showing.cancel()
                    await asyncio.gather(showing, return_exceptions=True)
    return tally.report()


class _Crowd:
    def __init__(
        self,
        plan: CrowdPlan,
        sessions: list[aiohttp.ClientSession],
        solver: CaptchaSolver,
        ledger: Ledger,
        tally: Tally,
    ) -> None:
        self._plan = plan
        self._sessions = sessions
        self._solver = solver
        self._ledger = ledger
        self._tally = tally
        self._rng = random.Random(plan.seed)  # noqa: S311 - arrivals, no secret
        about_max = min(plan.fans, plan.concurrency_max) if plan.loop_forever else plan.concurrency_max
        self._room = asyncio.Semaphore(about_max)
        self._sold_out = False

    async def run(self, stop: asyncio.Event) -> None:
        """Until every fan is home, ``stop`` is set or the time is up."""
        everyone = asyncio.create_task(self._send_everyone())
        stopped = asyncio.create_task(stop.wait())
        limit = None if self._plan.loop_forever else self._plan.duration_seconds_max
        try:
            await asyncio.wait({everyone, stopped}, timeout=limit, return_when=asyncio.FIRST_COMPLETED)
            if everyone.done():
                everyone.result()
        finally:
            everyone.cancel()
            stopped.cancel()
            await asyncio.gather(everyone, stopped, return_exceptions=True)

    async def _send_everyone(self) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time()
        number = 0
        async with asyncio.TaskGroup() as fans:
            while self._plan.loop_forever or number < self._plan.fans:
                if self._plan.loop_forever and self._sold_out:
                    await self._await_seats()
                    due = loop.time()
                await asyncio.sleep(due - loop.time())
                await self._room.acquire()
                fans.create_task(self._send(number))
                number += 1
                due += self._rng.expovariate(self._plan.rate_per_second)

    async def _send(self, number: int) -> None:
        self._tally.fans += 1
        outcome = "unfinished"
        try:
            session = self._sessions[number % len(self._sessions)]
            fan = Fan(number, self._plan, session, self._solver, self._ledger, self._tally)
            outcome = await fan.visit()
        except (KeyError, TypeError, ValueError, msgspec.MsgspecError) as error:
            # A field that api.md promises was missing or of another kind.
            self._tally.error(f"an answer's shape: {type(error).__name__} {str(error)[:80]}")
            outcome = "error"
        finally:
            self._sold_out = self._sold_out or outcome in ("sold_out", "no_seats")
            self._tally.outcome("fan", outcome)
            self._room.release()

    async def _await_seats(self) -> None:
        client = FanClient(self._sessions[0], self._plan.base_url, self._tally, self._rng)
        while True:
            await asyncio.sleep(SOLD_OUT_LOOK_SECONDS)
            try:
                reply = await client.call("initial_call", "GET", f"/api/initial-call/{self._plan.event_id}")
            except UnexpectedAnswer as unexpected:
                self._tally.error(str(unexpected))
                continue
            if any(ticket["availableCount"] for ticket in reply.body.get("tickets", ())):
                self._sold_out = False
                return


@contextlib.asynccontextmanager
async def _sessions(plan: CrowdPlan) -> AsyncIterator[list[aiohttp.ClientSession]]:
    """One session per source address, without cookies: many fans share it and say who they are by header."""
    async with contextlib.AsyncExitStack() as stack:
        sessions = []
        for address in plan.source_addresses or (None,):
            connector = aiohttp.TCPConnector(
                limit=0,
                local_addr=(address, 0) if address else None,
                keepalive_timeout=IDLE_SECONDS_MAX,
            )
            session = aiohttp.ClientSession(
                connector=connector,
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=CALL_SECONDS_MAX),
            )
            sessions.append(await stack.enter_async_context(session))
        yield sessions


@contextlib.contextmanager
def _signals(stop: asyncio.Event | None) -> Iterator[asyncio.Event]:
    """The caller's ``stop``, or one that the first SIGINT or SIGTERM sets."""
    if stop is not None:
        yield stop
        return
    stop = asyncio.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    try:
        yield stop
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)
