"""Holds a rehearsal: copies the event, sends the fans, opens the doors, perhaps searches the limit, audits, judges,
and removes the copy.
"""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import msgspec
import psycopg
import redis
from rich.console import Console
from sqlalchemy.exc import SQLAlchemyError

from admitone.fan.ledger import ledger_sentence
from admitone.rehearsal.display import Display
from admitone.rehearsal.generators import ARRIVED_SECONDS_MAX, Generators
from admitone.rehearsal.measuring import LOOK_SECONDS, measure
from admitone.rehearsal.options import NotPossibleError, Options
from admitone.rehearsal.ready import require_ready
from admitone.rehearsal.tail import tail_of
from admitone.rehearsal.verdict import REACHED, Facts, Phase, Verdict, holds, judge
from admitone.rehearsal.watch import Sample, Watch
from admitone.room import show_or_steer
from admitone.settings import Settings
from booking_lane.signals import ending_signals
from db.audit.invariants import audit
from db.connections import primary
from db.patience import Patience
from db.rehearsals import rehearsals
from db.rooms.steering import Ask
from gateway.line.registry import REFRESH_SECONDS

STEADY_SECONDS: Final = 30.0
"""Once the first fans are through, the sale as configured runs for so long before the limit is searched."""
STEP_SECONDS: Final = 6.0
SETTLE_SECONDS: Final = 2.0
STEP_FACTOR: Final = 1.5
RATE_MAX: Final = 600_000
IDLE_SECONDS_MAX: Final = 15.0
FORGOTTEN_SECONDS: Final = REFRESH_SECONDS * 1.2 + 1
"""After this time no gateway knows the room of a removed copy any more, so none brings it back into Redis."""
REASON: Final = "rehearsal"


async def rehearse_until_signal(settings: Settings, options: Options, *, console: Console, quiet: bool) -> Verdict:
    """`rehearse`, stopped by SIGINT, SIGTERM or SIGHUP. The copy is removed even then, which takes some seconds."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in ending_signals():
        loop.add_signal_handler(number, stop.set)
    return await rehearse(settings, options, stop=stop, console=console, quiet=quiet)


async def rehearse(
    settings: Settings, options: Options, *, stop: asyncio.Event, console: Console, quiet: bool
) -> Verdict:
    """Hold the rehearsal and give its verdict. The copy is removed in any case, unless the options keep it.

    Args:
        stop: once set, the rehearsal ends and is cleaned up.

    Raises:
        NotPossibleError: the rehearsal cannot be held, or it was stopped.
    """
    _need_ledger(options)
    warnings = await require_ready(settings, options)
    with _servers(settings, options.event_id) as connection, _ledger(options) as ledger:
        rehearsal = _Rehearsal(settings, options, connection, ledger, Display(console, quiet=quiet))
        return await rehearsal.hold(stop, warnings)


def _need_ledger(options: Options) -> None:
    if options.ledger is None:
        return
    try:
        options.ledger.open("ab").close()
    except OSError as error:
        raise NotPossibleError(ledger_sentence(options.ledger, error)) from None


@contextlib.contextmanager
def _ledger(options: Options) -> Iterator[Path]:
    if options.ledger is not None:
        yield options.ledger
        return
    with tempfile.TemporaryDirectory(prefix="admitone-rehearsal-") as folder:
        yield Path(folder) / "ledger.jsonl"


async def remove(settings: Settings, event_id: int) -> list[int]:
    """Remove the copies of an event that rehearsals left or kept; gives their ids.

    Raises:
        NotPossibleError: the event is being rehearsed, or a server is away.
    """
    with _servers(settings, event_id) as connection:
        removed = await asyncio.to_thread(_remove_copies, connection, event_id)
        if removed:
            await asyncio.sleep(FORGOTTEN_SECONDS)
            watch = Watch(settings, "", 0, connection)
            watch.forget_rooms(removed)
            watch.close()
        return removed


@contextlib.contextmanager
def _servers(settings: Settings, event_id: int) -> Iterator[psycopg.Connection[tuple[Any, ...]]]:
    """A connection to Postgres, with the lock that allows one rehearsal of the event at a time.

    Raises:
        NotPossibleError: the event is being rehearsed, there is no such event, or a server went away.
    """
    try:
        with (
            primary.connect(settings.db.url, "admitone-rehearsal") as connection,
            rehearsals.alone(settings.db.url, event_id),
        ):
            yield connection
    except (rehearsals.UnknownEventError, rehearsals.RehearsingError) as error:
        raise NotPossibleError(f"{str(error).capitalize()}.") from None
    except (psycopg.OperationalError, redis.RedisError) as error:
        raise NotPossibleError(f"A server went away: {str(error).strip() or type(error).__name__}") from None


class _Rehearsal:
    def __init__(
        self,
        settings: Settings,
        options: Options,
        connection: psycopg.Connection[tuple[Any, ...]],
        ledger: Path,
        display: Display,
    ) -> None:
        self._settings = settings
        self._options = options
        self._connection = connection
        self._ledger = ledger
        self._display = display
        self._generators = Generators()
        self._samples: list[Sample] = []
        # The rooms of removed copies are deleted from Redis, too.
        self._removed: list[int] = []
        self._copy: rehearsals.Copy
        self._watch: Watch
        self._stop: asyncio.Event

    async def hold(self, stop: asyncio.Event, warnings: tuple[str, ...]) -> Verdict:
        self._stop = stop
        self._removed = await asyncio.to_thread(_remove_copies, self._connection, self._options.event_id)
        self._copy = await asyncio.to_thread(rehearsals.copy_event, self._connection, self._options.event_id)
        self._watch = Watch(self._settings, self._options.url.rstrip("/"), self._copy.event_id, self._connection)
        warnings += self._real_fans()
        try:
            async with self._generators.running(self._settings, self._options, self._copy.event_id, self._ledger):
                facts = await self._sale()
            await self._idle()
            broken = await asyncio.to_thread(
                audit,
                self._settings.db.url,
                grace_seconds=self._settings.hold.grace_seconds,
                command_keep_hours=self._settings.lane.command_keep_hours,
                ledger=self._ledger if self._ledger.exists() else None,
            )
            sentences = tuple(f"{one.invariant}: {one.sentence}" for one in broken)
            return judge(msgspec.structs.replace(facts, audit=sentences, warnings=warnings))
        finally:
            await asyncio.shield(asyncio.ensure_future(self._clean_up()))

    def _real_fans(self) -> tuple[str, ...]:
        """A warning if real fans use the site meanwhile."""
        rows = self._connection.execute(
            "SELECT event_id FROM room JOIN event USING (event_id) WHERE room.state IN ('open', 'paused')"
            " AND rehearsal_of IS NULL ORDER BY event_id DESC LIMIT 200"
        ).fetchall()
        fans = self._watch.fans_in([row[0] for row in rows])
        if not fans:
            return ()
        return (f"{fans} real fans were in line or inside meanwhile: the rehearsal and they slowed each other.",)

    # -- the sale

    async def _sale(self) -> Facts:
        options, copy = self._options, self._copy
        await self._wait(self._have_arrived, options.arrive_seconds + ARRIVED_SECONDS_MAX, "arriving")
        doors_at = time.monotonic()
        ends_at = doors_at + options.minutes_max * 60
        await self._steer(Ask(paused=False))
        seconds = ends_at - doors_at
        if options.wants_limit:
            seconds = min(seconds / 2, 2 * options.think_seconds + STEADY_SECONDS)
        await self._wait(self._are_home, seconds, "the sale as configured")
        configured, steady = self._configured(doors_at)
        limit: list[Phase] = []
        limit_end = ""
        if options.wants_limit:
            limit_end = await self._search(configured, limit, ends_at)
        counted = self._generators.sum
        free, held = self._seats_left()
        present = self._watch.gateways()
        return Facts(
            fans=options.fans,
            expected_fans=options.expected_fans or options.fans,
            seats=copy.seats,
            no_shows=options.no_shows,
            think_seconds=options.think_seconds,
            target_p95_ms=self._settings.autopilot.p95_ms,
            line_cap=copy.line_cap,
            gateways=len(present),
            streams_max=min((one.streams_max for one in present), default=self._settings.stream.per_process_max),
            configured=configured,
            limit=tuple(limit),
            limit_end=limit_end,
            turned_away=counted.count("join", "line_full"),
            joined=counted.joined,
            sold_out=free + held == 0,
            tail=tail_of(rehearsals.purchases(self._connection, copy.event_id), copy.seats),
            steady=steady,
            violations=tuple(counted.violations),
        )

    async def _search(self, configured: Phase, phases: list[Phase], ends_at: float) -> str:
        """Raise the rate step by step, and add a phase for each step; gives the reason why the search ended."""
        self._generators.send(b"quick")
        begin = min(configured.purchases_per_minute, configured.rate_per_minute) or configured.rate_per_minute
        rate = float(max(1, begin))
        while True:
            rate = min(rate * STEP_FACTOR, RATE_MAX)
            dials = {"rate_per_minute": round(rate), "capacity": self._options.fans, "autopilot": False}
            await self._steer(Ask(dials=dials))
            began_at = time.monotonic() + SETTLE_SECONDS
            if began_at + STEP_SECONDS > ends_at:
                return "the minutes given were over"
            await self._wait(self._are_home, SETTLE_SECONDS + STEP_SECONDS, f"at {rate:.0f} fans a minute")
            if self._are_home() or not self._samples[-1].waiting:
                return "the fans or the seats ran out before the limit was reached"
            phase = self._measure(began_at, time.monotonic(), round(rate), self._options.fans)
            phases.append(phase)
            if not holds(phase, self._settings.autopilot.p95_ms):
                return f"at {rate:.0f} fans a minute it held no more"
            if phase.purchases_per_minute < REACHED * rate * (1 - self._options.no_shows):
                return f"at {rate:.0f} fans a minute bookings grew no more"
            if rate >= RATE_MAX:
                return "the highest rate there is was reached"

    async def _steer(self, ask: Ask) -> None:
        await show_or_steer(self._settings, self._copy.event_id, ask, REASON)

    async def _wait(self, is_over: Callable[[], bool], seconds_max: float, doing: str) -> None:
        """Sample and show the site once a second until ``is_over``, or until the time is up.

        Raises:
            NotPossibleError: the rehearsal was stopped, or a generator ended by a fault.
        """
        until = time.monotonic() + seconds_max
        while not is_over() and time.monotonic() < until:
            left = min(LOOK_SECONDS, max(0.0, until - time.monotonic()))
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stop.wait(), left)
            if self._stop.is_set():
                raise NotPossibleError("Stopped.")
            if self._generators.is_one_lost:
                raise NotPossibleError("A generator of fans ended by a fault; its output is above.")
            self._samples.append(await asyncio.to_thread(self._watch.look))
            self._display.show(doing, self._options.fans, self._generators.ticks, self._samples[-1])

    def _have_arrived(self) -> bool:
        """Whether every fan is in line, or has ended its visit already."""
        gone = sum(number for what, number in self._generators.sum.outcomes.items() if what.startswith("fan "))
        return gone + self._generators.in_line >= self._options.fans

    def _are_home(self) -> bool:
        return self._generators.are_done

    # -- measuring

    def _configured(self, doors_at: float) -> tuple[Phase, bool]:
        """Measure the sale as configured, from the moment at which the first fans were through to the moment at which
        the line was empty; the second value says whether it was steady.
        """
        now = time.monotonic()
        waited = [sample.at for sample in self._samples if sample.at > doors_at and sample.waiting]
        bought = [
            tick.at for ticks in self._generators.ticks for tick in ticks if tick.at > doors_at and tick.purchases
        ]
        whole = self._measure(doors_at, max(bought, default=now), self._copy.rate_per_minute, self._copy.capacity)
        through_at = doors_at + max(self._options.think_seconds, whole.inside_seconds or 0.0)
        ended_at = min(now, max(waited, default=doors_at) + LOOK_SECONDS)
        if ended_at - through_at < max(5 * LOOK_SECONDS, self._options.think_seconds / 2):
            return whole, self._are_home()
        return self._measure(through_at, ended_at, self._copy.rate_per_minute, self._copy.capacity), True

    def _measure(self, began_at: float, ended_at: float, rate_per_minute: int, capacity: int) -> Phase:
        ticks = self._generators.ticks
        return measure(ticks, self._samples, began_at, ended_at, rate_per_minute, capacity)

    def _seats_left(self) -> tuple[int, int]:
        """How many seats of the copy are free, and how many are held."""
        row = self._connection.execute(
            "SELECT sum(available_count)::bigint, sum(held_count)::bigint FROM ticket WHERE event_id = %s",
            (self._copy.event_id,),
        ).fetchone()
        assert row is not None
        return row[0], row[1]

    # -- the end

    async def _idle(self) -> None:
        await Patience(IDLE_SECONDS_MAX, 0.2).wait_for_async(lambda: asyncio.to_thread(self._watch.lane_is_idle))

    async def _clean_up(self) -> None:
        try:
            # The copy is removed even if its room cannot be closed.
            with contextlib.suppress(redis.RedisError, SQLAlchemyError, OSError):
                await self._steer(Ask(closed=True))
            await self._idle()
            if not self._options.keep:
                self._display.say("Removing the copy, which takes some seconds.")
                await asyncio.to_thread(rehearsals.remove_copy, self._connection, self._copy.event_id)
                self._removed.append(self._copy.event_id)
                await asyncio.sleep(FORGOTTEN_SECONDS)
            self._watch.forget_rooms(self._removed)
        finally:
            self._display.end()
            self._watch.close()


def _remove_copies(connection: psycopg.Connection[tuple[Any, ...]], event_id: int) -> list[int]:
    copies = rehearsals.copies_of(connection, event_id)
    return [copy for copy in copies if rehearsals.remove_copy(connection, copy)]
