"""One generator process: it reads its share of the fans from its input and reports on them on its output.

Its input is the `Crowd` as one line of JSON, and later perhaps the line ``quick``. The process ends at the line
``stop`` or when its input is closed, so that no generator outlives the process that started it. Its output is a `Tick`
each second, as one line of JSON. The site's secret is in the environment, as in every process of the site.
"""

from __future__ import annotations

import asyncio
import gc
import os
import random
import resource
import sys
import time
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Final

import msgspec
import uvloop

from admitone.fan.behaviour import Behaviour, Company, Moment, Tempo
from admitone.fan.calls import Calls
from admitone.fan.captcha import challenge
from admitone.fan.counts import Counts
from admitone.fan.hall import Hall, watch
from admitone.fan.http import HttpClient
from admitone.fan.ledger import Ledger
from admitone.fan.way import Fan
from admitone.rehearsal.counted import take_tick
from admitone.rehearsal.plan import Crowd
from gateway.captcha.altcha import solved
from gateway.identity.sessions import Identity
from waiting_room.key_ring import KeyRing

TICK_SECONDS: Final = 1.0
LATE_LOOK_SECONDS: Final = 0.05
QUICK, STOP = b"quick", b"stop"
THINK_SHARES: Final[dict[Moment, float]] = {"notice": 0.1, "choose": 0.5, "pay": 0.4}
"""A fan's time from the call to the ticket is shared out so among the moments at which it thinks."""
NOTICE_SECONDS_MAX: Final = 20.0
SPREAD: Final = 0.5
"""The times of fans are spread by a log-normal distribution with this sigma."""
SPREAD_MAX: Final = 3.0


class Site:
    """Gives a generator's fans their tempo, and sessions and captcha tokens that are made with the secret."""

    def __init__(self, plan: Crowd, secret: str) -> None:
        # While the limit of the engine is looked for, no fan thinks.
        self.is_quick = False
        self._plan = plan
        self._keys = KeyRing(secret)
        self._keys.take(plan.keys)
        self._identity = Identity(self._keys, session_seconds=plan.session_seconds, open_auth=False, secure=False)

    async def session(self, calls: Calls) -> tuple[str, int]:
        return self._identity.new_rehearsal_fan(self._plan.event_id, self._plan.session_seconds)

    async def token(self, calls: Calls) -> str | None:
        plan = self._plan
        if not plan.solves_captcha:
            return None
        # The challenge is fetched because it costs a gateway something; the solution is made with the site's secret.
        await challenge(calls)
        return solved(self._keys, work_max=plan.captcha_work_max, ttl_seconds=plan.captcha_ttl_seconds)

    def tempo(self, chance: random.Random) -> Tempo:
        # The mean of exp(N(-s²/2, s)) is 1.
        pace = min(chance.lognormvariate(-(SPREAD**2) / 2, SPREAD), SPREAD_MAX)

        def seconds(moment: Moment) -> float:
            if self.is_quick:
                return 0.0
            thinks = self._plan.think_seconds * THINK_SHARES[moment] * pace
            return min(thinks, NOTICE_SECONDS_MAX) if moment == "notice" else thinks

        return seconds


async def run(plan: Crowd, secret: str, commands: AsyncGenerator[bytes]) -> None:
    """Send the fans, and report on them until all are home or the commands end."""
    counts, site = Counts(), Site(plan, secret)
    client = HttpClient(plan.base_url)
    with Ledger(Path(plan.ledger)) as ledger:
        chance = random.Random(f"{plan.seed}:{plan.first}:hall")  # noqa: S311 - choices, no secret
        hall = Hall(chance)
        company = Company(
            behaviour=_behaviour(plan),
            counts=counts,
            ledger=ledger,
            captcha=site,
            hall=hall,
            session=site.session,
            tempo=site.tempo,
        )
        watching = Calls(client, Counts(), chance)
        token, _ = await site.session(watching)
        watching.headers = f"Authorization: Bearer {token}\r\n"
        lateness = Lateness()
        coroutines = (watch(hall, watching, plan.event_id), lateness.look(), _report(counts, lateness))
        beside = [asyncio.create_task(one) for one in coroutines]
        fans = asyncio.create_task(_send(plan, company, client))
        obeying = asyncio.create_task(_obey(site, commands))
        try:
            await asyncio.wait({fans, obeying}, return_when=asyncio.FIRST_COMPLETED)
            if fans.done():
                fans.result()
        finally:
            for task in (fans, obeying, *beside):
                task.cancel()
            await asyncio.gather(fans, obeying, *beside, return_exceptions=True)
            client.close()
    _write(counts, lateness, done=True)


def _behaviour(plan: Crowd) -> Behaviour:
    return Behaviour(
        event_id=plan.event_id,
        seed=plan.seed,
        seats_max=plan.seats_per_fan,
        no_show=plan.no_shows,
        idle=plan.idle,
        best=plan.best,
        front=plan.front,
        waits_for_line=False,
        looks_at_map=plan.think_seconds > 0,
        every_break_counts=False,
    )


async def _send(plan: Crowd, company: Company, client: HttpClient) -> None:
    loop = asyncio.get_running_loop()
    began = loop.time()
    async with asyncio.TaskGroup() as fans:
        for number in range(plan.fans):
            # Fans of all generators come in turn.
            due = began + plan.arrive_seconds * number / plan.fans
            if due > loop.time():
                await asyncio.sleep(due - loop.time())
            elif number % 16 == 0:
                await asyncio.sleep(0)
            fans.create_task(Fan(plan.first + number, company, client).visit())


async def _obey(site: Site, commands: AsyncGenerator[bytes]) -> None:
    async for command in commands:
        if command == QUICK:
            site.is_quick = True
        elif command == STOP:
            return


class Lateness:
    """Measures the longest that the event loop is late: a generator that is late measures itself, not the site."""

    def __init__(self) -> None:
        self._worst_ms = 0.0

    async def look(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + LATE_LOOK_SECONDS
            await asyncio.sleep(LATE_LOOK_SECONDS)
            self._worst_ms = max(self._worst_ms, (loop.time() - due) * 1000)

    def take_ms(self) -> float:
        worst, self._worst_ms = self._worst_ms, 0.0
        return round(worst, 1)


async def _report(counts: Counts, lateness: Lateness) -> None:
    while True:
        await asyncio.sleep(TICK_SECONDS)
        _write(counts, lateness, done=False)


def _write(counts: Counts, lateness: Lateness, *, done: bool) -> None:
    tick = take_tick(counts, time.monotonic(), time.process_time(), lateness.take_ms(), done=done)
    sys.stdout.buffer.write(msgspec.json.encode(tick) + b"\n")
    sys.stdout.buffer.flush()


async def _lines() -> AsyncGenerator[bytes]:
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        yield line.strip()


async def _main() -> None:
    lines = _lines()
    plan = msgspec.json.decode(await anext(lines), type=Crowd)
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    random.seed(plan.seed)
    gc.set_threshold(100_000, 20, 50)
    await run(plan, os.environ["ADMITONE_SECRET"], lines)


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_main())
