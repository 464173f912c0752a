"""A rehearsal from beginning to end: copy, fans, doors, perhaps the search for the limit, audit, verdict, no trace."""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import aiohttp
import msgspec
import psycopg
import redis
from rich.console import Console
from sqlalchemy.exc import SQLAlchemyError

from admitone.doctor.examination import examine
from admitone.doctor.finding import Finding, Level
from admitone.doctor.site import open_site
from admitone.fan.http import CONNECTIONS_MAX
from admitone.rehearsal.counted import Sum, Tick
from admitone.rehearsal.display import Display
from admitone.rehearsal.plan import (
    BEST_SHARE,
    FANS_A_GENERATOR,
    FANS_MAX,
    FRONT_SHARE,
    GENERATORS_MAX,
    MINUTES_MAX,
    THINK_SECONDS,
    THINK_SECONDS_MAX,
    Crowd,
)
from admitone.rehearsal.verdict import REACHED, Busy, Facts, Phase, Verdict, holds, judge
from admitone.rehearsal.watch import Sample, Watch
from admitone.room import show_or_steer
from admitone.settings import Settings
from db.audit.invariants import audit
from db.connections import primary
from db.rehearsals import rehearsals
from db.rooms.steering import Ask
from gateway.line.registry import REFRESH_SECONDS

LOOK_SECONDS: Final = 1.0
READY_SECONDS_MAX: Final = 15.0
ARRIVED_SECONDS_MAX: Final = 600.0
"""Beyond the time given to arrive, until the doors open without the rest."""
STEADY_SECONDS: Final = 30.0
"""How long the sale as configured is looked at, once the first fans are through, before the limit is looked for."""
STEP_SECONDS: Final = 6.0
SETTLE_SECONDS: Final = 2.0
STEP_FACTOR: Final = 1.5
RATE_MAX: Final = 600_000
MARGIN_SECONDS: Final = ARRIVED_SECONDS_MAX + 60
"""By how much sessions outlast the time given."""
OTHER_SOCKETS: Final = CONNECTIONS_MAX + 500
"""A generator's, besides one for each fan in line."""
IDLE_SECONDS_MAX: Final = 15.0
FORGOTTEN_SECONDS: Final = REFRESH_SECONDS * 1.2 + 1
"""After so long no gateway knows the removed copy's room any more, nor brings it back into Redis."""
STOP_SECONDS_MAX: Final = 10.0
TICK_BYTES_MAX: Final = 4_000_000
PORTS: Final = Path("/proc/sys/net/ipv4/ip_local_port_range")
WHO: Final = "rehearsal"


class NotPossibleError(Exception):
    """The rehearsal could not be held; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What the operator asked for.

    Attributes:
        expected_fans: of the real sale; None: as many as are simulated.
        think_seconds: a person's mean time from the call to the ticket; 0: none, which shows the engine's limit.
        minutes_max: the doors close on those who are left by then.
        wants_limit: raise the rate once the sale as configured is steady, until it holds no more.
        generators: processes; None: one for each `FANS_A_GENERATOR`.
        keep: leave the copy, closed, until the event's next rehearsal.

    Raises:
        ValueError: a number out of its bounds.
    """

    url: str
    event_id: int
    fans: int
    expected_fans: int | None = None
    minutes_max: float = 15.0
    arrive_seconds: float = 30.0
    think_seconds: float = THINK_SECONDS
    no_shows: float = 0.1
    seats_per_fan: int = 2
    front: float = FRONT_SHARE
    best: float = BEST_SHARE
    wants_limit: bool = False
    generators: int | None = None
    keep: bool = False
    ledger: Path | None = None
    seed: int = 1
    embedded: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name, value, low, high in (
            ("fans", self.fans, 1, FANS_MAX),
            ("expected fans", self.expected_fans or 1, 1, 10_000_000),
            ("minutes", self.minutes_max, 0.1, MINUTES_MAX),
            ("seconds to arrive", self.arrive_seconds, 0, 3600),
            ("seconds to think", self.think_seconds, 0, THINK_SECONDS_MAX),
            ("the share of no-shows", self.no_shows, 0, 0.95),
            ("seats", self.seats_per_fan, 1, 50),
            ("generators", self.generators or 1, 1, GENERATORS_MAX),
        ):
            if not low <= value <= high:
                raise ValueError(f"{name} must lie within {low} and {high}, not {value}")

    @property
    def processes(self) -> int:
        most = min(GENERATORS_MAX, self.fans)
        return min(most, self.generators or min(os.cpu_count() or 1, -(-self.fans // FANS_A_GENERATOR)))


async def rehearse_until_signal(settings: Settings, options: Options, *, console: Console, quiet: bool) -> Verdict:
    """`rehearse`, stopped by SIGINT or SIGTERM; whoever is impatient waits for the copy to be removed all the same."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    return await rehearse(settings, options, stop=stop, console=console, quiet=quiet)


async def rehearse(
    settings: Settings, options: Options, *, stop: asyncio.Event, console: Console, quiet: bool
) -> Verdict:
    """Hold the rehearsal and give its verdict; whatever happens, the copy is removed (or kept, if asked for).

    Args:
        stop: once set, everything ends and is cleaned up.

    Raises:
        NotPossibleError: something is missing, or it was stopped.
    """
    warnings = await _ready(settings, options)
    with _servers(settings, options.event_id) as connection, _folder(options) as ledger:
        rehearsal = _Rehearsal(settings, options, connection, ledger, Display(console, quiet=quiet))
        return await rehearsal.hold(stop, warnings)


async def _ready(settings: Settings, options: Options) -> tuple[str, ...]:
    """What the doctor warns of.

    Raises:
        NotPossibleError: something needed is not up.
    """
    if not settings.site.secret:
        raise NotPossibleError("Set ADMITONE_SECRET, the site's own: the fans' sessions are signed with it.")
    until = time.monotonic() + READY_SECONDS_MAX
    while True:
        found = await asyncio.to_thread(_findings, settings, options)
        down = [one.says for one in found if one.kind == "up" and one.level == Level.ERROR]
        if not down:
            break
        if time.monotonic() > until:
            raise NotPossibleError(f"Not everything is up: {'; '.join(down)}.")
        await asyncio.sleep(1)
    _need_sockets(options)
    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as http,
            http.get(f"{options.url}/api/captcha") as answer,
        ):
            provider = (await answer.json())["provider"]
    except (aiohttp.ClientError, TimeoutError, KeyError, TypeError, ValueError) as error:
        raise NotPossibleError(f"No gateway answers at {options.url}: {str(error) or type(error).__name__}.") from None
    if provider != settings.captcha.provider:
        raise NotPossibleError(
            f"The gateways' captcha is {provider}, this command's {settings.captcha.provider}: "
            "give it their environment."
        )
    warnings = [f"{one.says}. {one.fix}" for one in found if one.level > Level.OK and one.kind == "setup"]
    if provider.startswith("recaptcha"):
        warnings.append("Google's captcha was left out, for no machine solves it: asking Google was not measured.")
    return tuple(warnings)


def _need_sockets(options: Options) -> None:
    """Raises:
    NotPossibleError: this machine cannot hold so many connections, so that the site would be blamed for it.
    """
    files = -(-options.fans // options.processes) + OTHER_SOCKETS
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if hard != resource.RLIM_INFINITY and hard < files:
        raise NotPossibleError(
            f"A generator opens {files} files, the limit is {hard}: raise it (ulimit -Hn), or give more --generators."
        )
    with contextlib.suppress(OSError, ValueError):
        low, high = map(int, PORTS.read_text().split())
        ports = options.fans + options.processes * OTHER_SOCKETS
        if high - low < ports:
            raise NotPossibleError(
                f"So many fans need {ports} ports to one address, this machine gives {high - low}: widen "
                "net.ipv4.ip_local_port_range, or rehearse with fewer."
            )


def _findings(settings: Settings, options: Options) -> list[Finding]:
    with open_site(settings, options.embedded, options.url) as site:
        return examine(site)


@contextlib.contextmanager
def _folder(options: Options) -> Iterator[Path]:
    if options.ledger is not None:
        yield options.ledger
        return
    with tempfile.TemporaryDirectory(prefix="admitone-rehearsal-") as folder:
        yield Path(folder) / "told.jsonl"


@dataclass(slots=True)
class _Generator:
    process: asyncio.subprocess.Process
    reading: asyncio.Task[None] | None = None
    ticks: list[Tick] = field(default_factory=list)

    @property
    def done(self) -> bool:
        return bool(self.ticks) and self.ticks[-1].done

    @property
    def is_lost(self) -> bool:
        return not self.done and self.process.returncode is not None

    def tell(self, command: bytes) -> None:
        if self.process.stdin is not None and not self.process.stdin.is_closing():
            self.process.stdin.write(command + b"\n")


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
    """Postgres, for the event's one rehearsal.

    Raises:
        NotPossibleError: there is another, no such event, or a server went away.
    """
    try:
        with (
            primary.connect(settings.db.url, "admitone-rehearsal") as connection,
            rehearsals.alone(connection, event_id),
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
        self._generators: list[_Generator] = []
        self._samples: list[Sample] = []
        self._removed: list[int] = []
        """Copies that earlier rehearsals left: Redis too is to forget them."""
        self._copy: rehearsals.Copy
        self._watch: Watch
        self._stop: asyncio.Event

    async def hold(self, stop: asyncio.Event, warnings: tuple[str, ...]) -> Verdict:
        self._stop = stop
        self._removed = await asyncio.to_thread(_remove_copies, self._connection, self._options.event_id)
        self._copy = await asyncio.to_thread(rehearsals.copy_event, self._connection, self._options.event_id)
        self._watch = Watch(self._settings, self._options.url.rstrip("/"), self._copy.event_id, self._connection)
        warnings += self._beside()
        try:
            async with self._fans():
                facts = await self._sale()
            await self._idle()
            broken = await asyncio.to_thread(
                audit,
                self._settings.db.url,
                grace_seconds=self._settings.hold.grace_seconds,
                command_keep_hours=self._settings.lane.command_keep_hours,
                ledger=self._ledger if self._ledger.exists() else None,
            )
            told = tuple(f"{one.invariant}: {one.sentence}" for one in broken)
            return judge(msgspec.structs.replace(facts, audit=told, warnings=warnings))
        finally:
            await asyncio.shield(asyncio.ensure_future(self._clean_up()))

    def _beside(self) -> tuple[str, ...]:
        rows = self._connection.execute(
            "SELECT event_id FROM room JOIN event USING (event_id) WHERE state IN ('open', 'paused')"
            " AND rehearsal_of IS NULL ORDER BY event_id DESC LIMIT 200"
        ).fetchall()
        fans = self._watch.fans_in([row[0] for row in rows])
        if not fans:
            return ()
        return (f"{fans} real fans were in line or inside meanwhile: the rehearsal and they took from one another.",)

    # -- the fans

    @contextlib.asynccontextmanager
    async def _fans(self) -> AsyncIterator[None]:
        options, settings = self._options, self._settings
        share, more = divmod(options.fans, options.processes)
        first = 0
        environ = {**os.environ, "ADMITONE_SECRET": settings.site.secret}
        try:
            for number in range(options.processes):
                fans = share + (number < more)
                crowd = Crowd(
                    base_url=options.url,
                    event_id=self._copy.event_id,
                    first=first,
                    fans=fans,
                    arrive_seconds=options.arrive_seconds,
                    think_seconds=options.think_seconds,
                    no_shows=options.no_shows,
                    seats_per_fan=options.seats_per_fan,
                    front=options.front,
                    best=options.best,
                    session_seconds=round(options.minutes_max * 60 + options.arrive_seconds + MARGIN_SECONDS),
                    solves_captcha=settings.captcha.provider == "altcha",
                    captcha_work_max=settings.captcha.work_max,
                    captcha_ttl_seconds=settings.captcha.ttl_seconds,
                    ledger=str(self._ledger),
                    seed=options.seed,
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
                    # The terminal's Ctrl-C is ours alone: we tell them to stop.
                    start_new_session=True,
                )
                generator = _Generator(process)
                self._generators.append(generator)
                generator.tell(msgspec.json.encode(crowd))
                generator.reading = asyncio.create_task(_read(generator))
            yield
        finally:
            await self._end_fans()

    async def _end_fans(self) -> None:
        for generator in self._generators:
            generator.tell(b"stop")
        for generator in self._generators:
            try:
                await asyncio.wait_for(generator.process.wait(), STOP_SECONDS_MAX)
            except TimeoutError:
                generator.process.kill()
                await generator.process.wait()
            if generator.reading is not None:
                await asyncio.gather(generator.reading, return_exceptions=True)

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
        met = Sum(tick for generator in self._generators for tick in generator.ticks)
        free, held = self._left()
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
            turned_away=met.count("join", "line_full"),
            joined=met.joined,
            sold_out=free + held == 0,
            steady=steady,
            violations=tuple(met.violations),
        )

    async def _search(self, configured: Phase, found: list[Phase], ends_at: float) -> str:
        """Raise the rate step by step; gives why it went no further."""
        for generator in self._generators:
            generator.tell(b"quick")
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
            found.append(phase)
            if not holds(phase, self._settings.autopilot.p95_ms):
                return f"at {rate:.0f} fans a minute it held no more"
            if phase.purchases_per_minute < REACHED * rate * (1 - self._options.no_shows):
                return f"at {rate:.0f} fans a minute bookings grew no more"
            if rate >= RATE_MAX:
                return "the highest rate there is was reached"

    async def _steer(self, ask: Ask) -> None:
        await show_or_steer(self._settings, self._copy.event_id, ask, WHO)

    async def _wait(self, is_over: Callable[[], bool], seconds_max: float, doing: str) -> None:
        """Look once a second until it is over, or the time is.

        Raises:
            NotPossibleError: it was stopped, or a generator ended by a fault.
        """
        until = time.monotonic() + seconds_max
        while not is_over() and time.monotonic() < until:
            left = min(LOOK_SECONDS, max(0.0, until - time.monotonic()))
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stop.wait(), left)
            if self._stop.is_set():
                raise NotPossibleError("Stopped.")
            if any(generator.is_lost for generator in self._generators):
                raise NotPossibleError("A generator of fans ended by a fault; what it said stands above.")
            self._samples.append(await asyncio.to_thread(self._watch.look))
            self._display.show(doing, self._options.fans, [one.ticks for one in self._generators], self._samples[-1])

    def _have_arrived(self) -> bool:
        """Whether every fan is in line, or has gone away again."""
        met = Sum(tick for generator in self._generators for tick in generator.ticks)
        gone = sum(number for what, number in met.outcomes.items() if what.startswith("fan "))
        in_line = sum(one.ticks[-1].now.get("line", 0) for one in self._generators if one.ticks)
        return gone + in_line >= self._options.fans

    def _are_home(self) -> bool:
        return all(generator.done for generator in self._generators)

    # -- measuring

    def _configured(self, doors_at: float) -> tuple[Phase, bool]:
        """The sale as configured, from when the first fans were through to when nobody was left in line."""
        now = time.monotonic()
        waited = [sample.at for sample in self._samples if sample.at > doors_at and sample.waiting]
        bought = [tick.at for one in self._generators for tick in one.ticks if tick.at > doors_at and tick.purchases]
        whole = self._measure(doors_at, max(bought, default=now), self._copy.rate_per_minute, self._copy.capacity)
        through_at = doors_at + max(self._options.think_seconds, whole.inside_seconds or 0.0)
        ended_at = min(now, max(waited, default=doors_at) + LOOK_SECONDS)
        if ended_at - through_at < max(5 * LOOK_SECONDS, self._options.think_seconds / 2):
            return whole, self._are_home()
        return self._measure(through_at, ended_at, self._copy.rate_per_minute, self._copy.capacity), True

    def _measure(self, began_at: float, ended_at: float, rate_per_minute: int, capacity: int) -> Phase:
        ticks = [[tick for tick in one.ticks if began_at < tick.at <= ended_at + 0.5] for one in self._generators]
        met = Sum(tick for one in ticks for tick in one)
        seconds = max(ended_at - began_at, 0.001)
        samples = [sample for sample in self._samples if began_at <= sample.at <= ended_at + LOOK_SECONDS]
        waiting = [sample for sample in samples if sample.waiting]
        full = [one for one in waiting if one.called + one.admitted >= 0.95 * one.capacity]
        called = met.count("claim", "admitted") + met.count("fan", "abandoned_call")
        busy, cpu_ms, lane_p95_ms = _busy(samples, met.purchases)
        refused = {what[8:]: number for what, number in met.outcomes.items() if what.startswith("refused ")}
        refused |= {what: number for what, number in met.outcomes.items() if what.endswith("too_many_streams")}
        return Phase(
            seconds=round(seconds, 1),
            rate_per_minute=rate_per_minute,
            capacity=capacity,
            purchases=met.purchases,
            seats=met.seats,
            called_per_minute=round(called * 60 / seconds, 1),
            p50_ms=met.booking_ms(0.5),
            p95_ms=met.booking_ms(0.95),
            lane_p95_ms=lane_p95_ms,
            inside_seconds=round(met.inside_seconds / met.purchases, 2) if met.purchases else None,
            full_share=round(len(full) / len(waiting), 2) if waiting else 0.0,
            waiting_share=round(len(waiting) / len(samples), 2) if samples else 0.0,
            refused=refused,
            errors=dict(met.errors),
            busy=msgspec.structs.replace(busy, generator=round(max(map(_generator_busy, ticks), default=0.0), 2)),
            cpu_ms=cpu_ms,
        )

    def _left(self) -> tuple[int, int]:
        row = self._connection.execute(
            "SELECT sum(available_count)::bigint, sum(held_count)::bigint FROM ticket WHERE event_id = %s",
            (self._copy.event_id,),
        ).fetchone()
        assert row is not None
        return row[0], row[1]

    # -- the end

    async def _idle(self) -> None:
        until = time.monotonic() + IDLE_SECONDS_MAX
        while not await asyncio.to_thread(self._watch.lane_is_idle) and time.monotonic() < until:  # noqa: ASYNC110
            await asyncio.sleep(0.2)

    async def _clean_up(self) -> None:
        try:
            # Without it the copy is removed all the same.
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


async def _read(generator: _Generator) -> None:
    assert generator.process.stdout is not None
    async for line in generator.process.stdout:
        generator.ticks.append(msgspec.json.decode(line, type=Tick))


def _generator_busy(ticks: list[Tick]) -> float:
    if len(ticks) < 2:
        return 0.0
    return (ticks[-1].cpu_seconds - ticks[0].cpu_seconds) / max(ticks[-1].at - ticks[0].at, 0.001)


def _busy(samples: list[Sample], purchases: int) -> tuple[Busy, dict[str, float], float | None]:
    """How busy the site was between the first and the last look, the CPU of a purchase, and the lane's p95."""
    if len(samples) < 2:
        return Busy(), {}, None
    first, last = samples[0], samples[-1]
    seconds = last.at - first.at
    gateways = [
        (spent - first.gateways[name]) / seconds for name, spent in last.gateways.items() if name in first.gateways
    ]
    worker = None if last.worker is None or first.worker is None else (last.worker - first.worker) / seconds
    postgres = None if last.postgres is None or first.postgres is None else (last.postgres - first.postgres) / seconds
    spent_redis = (last.redis - first.redis) / seconds
    figures = last.figures.since(first.figures)
    cores = {
        "gateways": sum(gateways) if gateways else None,
        "worker": worker,
        "postgres": postgres,
        "redis": spent_redis,
    }
    cpu_ms = {
        name: round(share * seconds * 1000 / purchases, 2)
        for name, share in cores.items()
        if share is not None and purchases
    }
    busy = Busy(
        gateway=round(max(gateways), 2) if gateways else None,
        gateways=round(sum(gateways), 2) if gateways else None,
        lane=round(min(1.0, figures.busy_ms / 1000 / seconds), 2),
        worker=None if worker is None else round(worker, 2),
        postgres=None if postgres is None else round(postgres, 2),
        redis=round(spent_redis, 2),
        machine=round(sum(sample.machine for sample in samples[1:]) / (len(samples) - 1), 2),
        backlog=max(sample.backlog for sample in samples),
    )
    return busy, cpu_ms, figures.wait_ms(0.95)
