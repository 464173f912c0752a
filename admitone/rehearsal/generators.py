"""Starts and stops the processes that simulate a rehearsal's fans, and collects their reports."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import msgspec

from admitone.rehearsal.counted import Sum, Tick
from admitone.rehearsal.options import Options
from admitone.rehearsal.plan import Crowd
from admitone.settings import Settings, environ_with
from db.connections.engines import transaction
from db.keys.signing_keys import read_keys

ARRIVED_SECONDS_MAX: Final = 600.0
"""The doors wait so long beyond the time given to arrive, and then open even if fans are missing."""
MARGIN_SECONDS: Final = ARRIVED_SECONDS_MAX + 60
"""Sessions last so much longer than the time given to arrive and to buy."""
STOP_SECONDS_MAX: Final = 10.0
TICK_BYTES_MAX: Final = 4_000_000


@dataclass(slots=True)
class _Process:
    process: asyncio.subprocess.Process
    reading: asyncio.Task[None] | None = None
    ticks: list[Tick] = field(default_factory=list)

    @property
    def done(self) -> bool:
        return bool(self.ticks) and self.ticks[-1].done

    @property
    def is_lost(self) -> bool:
        return not self.done and self.process.returncode is not None

    def send(self, command: bytes) -> None:
        if self.process.stdin is not None and not self.process.stdin.is_closing():
            self.process.stdin.write(command + b"\n")


class Generators:
    """The processes of one rehearsal."""

    def __init__(self) -> None:
        self._processes: list[_Process] = []

    @contextlib.asynccontextmanager
    async def running(self, settings: Settings, options: Options, event_id: int, ledger: Path) -> AsyncIterator[None]:
        """Send the fans of ``options`` to the event, for the length of a ``with`` block; its end stops them.

        Args:
            ledger: a file to which a line is appended for each final answer.
        """
        share, more = divmod(options.fans, options.processes)
        first = 0
        async with transaction(settings.db.url, "admitone-rehearsal") as connection:
            keys = await read_keys(connection)
        environ = environ_with({"ADMITONE_SECRET": settings.site.secret})
        try:
            for number in range(options.processes):
                fans = share + (number < more)
                crowd = Crowd(
                    base_url=options.url,
                    event_id=event_id,
                    first=first,
                    fans=fans,
                    arrive_seconds=options.arrive_seconds,
                    think_seconds=options.think_seconds,
                    no_shows=options.no_shows,
                    idle=options.idle,
                    seats_per_fan=options.seats_per_fan,
                    front=options.front,
                    best=options.best,
                    session_seconds=round(options.minutes_max * 60 + options.arrive_seconds + MARGIN_SECONDS),
                    solves_captcha=settings.captcha.provider == "altcha",
                    captcha_work_max=settings.captcha.work_max,
                    captcha_ttl_seconds=settings.captcha.ttl_seconds,
                    ledger=str(ledger),
                    seed=options.seed,
                    keys=keys,
                )
                first += fans
                process = await asyncio.create_subprocess_exec(
                    sys.executable,
                    "-m",
                    "admitone.rehearsal.generator",
                    stdin=asyncio.subprocess.PIPE,
                    stdout=asyncio.subprocess.PIPE,
                    env=environ,
                    limit=TICK_BYTES_MAX,
                    # A Ctrl-C of the terminal reaches this process alone, which then stops the generators.
                    start_new_session=True,
                )
                generator = _Process(process)
                self._processes.append(generator)
                generator.send(msgspec.json.encode(crowd))
                generator.reading = asyncio.create_task(_read(generator))
            yield
        finally:
            await self._end()

    async def _end(self) -> None:
        for generator in self._processes:
            generator.send(b"stop")
        for generator in self._processes:
            try:
                await asyncio.wait_for(generator.process.wait(), STOP_SECONDS_MAX)
            except TimeoutError:
                generator.process.kill()
                await generator.process.wait()
            if generator.reading is not None:
                await asyncio.gather(generator.reading, return_exceptions=True)

    def send(self, command: bytes) -> None:
        """Send a command to every process."""
        for generator in self._processes:
            generator.send(command)

    @property
    def ticks(self) -> list[list[Tick]]:
        """The ticks that each process has reported so far."""
        return [generator.ticks for generator in self._processes]

    @property
    def sum(self) -> Sum:
        """The sum of all ticks."""
        return Sum(tick for ticks in self.ticks for tick in ticks)

    @property
    def in_line(self) -> int:
        """How many fans are in line."""
        return sum(ticks[-1].now.get("line", 0) for ticks in self.ticks if ticks)

    @property
    def are_done(self) -> bool:
        return all(generator.done for generator in self._processes)

    @property
    def is_one_lost(self) -> bool:
        """Whether a process ended by a fault."""
        return any(generator.is_lost for generator in self._processes)


async def _read(generator: _Process) -> None:
    assert generator.process.stdout is not None
    async for line in generator.process.stdout:
        generator.ticks.append(msgspec.json.decode(line, type=Tick))
