"""Sends a crowd of fans, and owns everything that they share for as long as the crowd lasts."""

from __future__ import annotations

import asyncio
import contextlib
import random
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from urllib.parse import urlsplit

from rich.console import Console

from admitone.crowd.display import show
from admitone.crowd.plan import CrowdPlan
from admitone.crowd.report import CrowdReport, report_of
from admitone.fan.behaviour import Behaviour, Company, Moment, Tempo
from admitone.fan.calls import Calls, UnexpectedAnswer
from admitone.fan.captcha import CaptchaSolver
from admitone.fan.counts import Counts
from admitone.fan.hall import AskedHall
from admitone.fan.http import HttpClient
from admitone.fan.ledger import Ledger
from admitone.fan.way import Fan, start_session
from booking_lane.signals import ending_signals

SOLD_OUT_LOOK_SECONDS = 5.0
RESERVE_TRIES_MAX = 6
NETWORKS = 200


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
    counts = Counts()
    with Ledger(plan.ledger) as ledger, _signals(stop) as stop, contextlib.ExitStack() as closing:
        solver = CaptchaSolver()
        closing.callback(solver.close)
        client = HttpClient(plan.base_url, connections_max=plan.concurrency_max, sources=_sources(plan))
        closing.callback(client.close)
        company = Company(
            behaviour=_behaviour(plan),
            counts=counts,
            ledger=ledger,
            captcha=solver,
            hall=AskedHall(plan.event_id, random.Random(plan.seed)),  # noqa: S311 - choices, no secret
            session=start_session,
            tempo=lambda chance: _tempo(plan, chance),
        )
        async with _shown(counts, None if quiet else console or Console()):
            await _Crowd(plan, company, client).run(stop)
    return report_of(counts)


def _behaviour(plan: CrowdPlan) -> Behaviour:
    return Behaviour(
        event_id=plan.event_id,
        seed=plan.seed,
        seats_max=plan.seats_per_fan,
        leave_line=plan.abandon_in_line,
        no_show=plan.abandon_after_call,
        walk_away=plan.abandon_hold,
        release=plan.release_hold,
        best=plan.best_available,
        reserve_tries_max=RESERVE_TRIES_MAX,
    )


def _tempo(plan: CrowdPlan, chance: random.Random) -> Tempo:
    def seconds(moment: Moment) -> float:
        return 0.0 if moment == "notice" else chance.random() * plan.think_seconds_max

    return seconds


class _Crowd:
    def __init__(self, plan: CrowdPlan, company: Company, client: HttpClient) -> None:
        self._plan = plan
        self._company = company
        self._client = client
        self._rng = random.Random(plan.seed)  # noqa: S311 - arrivals, no secret
        about_max = min(plan.fans, plan.concurrency_max) if plan.loop_forever else plan.concurrency_max
        self._room = asyncio.Semaphore(about_max)
        self._sold_out = False

    async def run(self, stop: asyncio.Event) -> None:
        """Send the fans, until every visit has ended, ``stop`` is set or the time is up."""
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
        try:
            how = await Fan(number, self._company, self._client).visit()
            self._sold_out = self._sold_out or how in ("sold_out", "no_seats")
        finally:
            self._room.release()

    async def _await_seats(self) -> None:
        counts = self._company.counts
        calls = Calls(self._client, counts, self._rng)
        while True:
            await asyncio.sleep(SOLD_OUT_LOOK_SECONDS)
            try:
                choice = await self._company.hall.choose(calls, 1, is_best=True, front=False, since="")
            except UnexpectedAnswer as unexpected:
                counts.error(str(unexpected))
                continue
            if choice is not None:
                self._sold_out = False
                return


@contextlib.asynccontextmanager
async def _shown(counts: Counts, console: Console | None) -> AsyncIterator[None]:
    if console is None:
        yield
        return
    showing = asyncio.create_task(show(counts, console))
    try:
        yield
    finally:
        showing.cancel()
        await asyncio.gather(showing, return_exceptions=True)


@contextlib.contextmanager
def _signals(stop: asyncio.Event | None) -> Iterator[asyncio.Event]:
    """The caller's ``stop``, or one that the first SIGINT, SIGTERM or SIGHUP sets."""
    if stop is not None:
        yield stop
        return
    stop = asyncio.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    loop = asyncio.get_running_loop()
    numbers = ending_signals()
    for number in numbers:
        loop.add_signal_handler(number, stop.set)
    try:
        yield stop
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)


def _sources(plan: CrowdPlan) -> tuple[str, ...]:
    """The addresses to connect from. A crowd on the gateway's own machine comes from as many networks as real fans do,
    for the limits hold on loopback too; only Linux lets a program choose among them.
    """
    host = urlsplit(plan.base_url).hostname or ""
    if plan.source_addresses or sys.platform != "linux" or not host.startswith("127."):
        return plan.source_addresses
    return loopback_sources(NETWORKS)


def loopback_sources(networks: int) -> tuple[str, ...]:
    """Addresses of this machine, each of another network to the limits."""
    return tuple(f"127.{16 + number // 100}.{number % 100 + 1}.1" for number in range(networks))
