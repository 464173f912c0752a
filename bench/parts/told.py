"""Fans are told of an event's move while another event is sold: how fast, and what the sale feels of it.

One sale goes on all the time. First the fans are told in one go. Then those of another event are told by turns: mails
leave for some seconds and rest for as long, again and again. What a machine does now and then (a checkpoint, a vacuum,
a neighbour) falls into both sorts of turns, so the sale is compared with itself, and the costs of a mail are what the
two sorts of turns differ by.
"""

from __future__ import annotations

import itertools
import multiprocessing
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from statistics import median
from typing import Final, LiteralString

import psutil
import psycopg
import redis

from bench import fans
from bench.load import Flow, open_loop, repeat
from bench.parts.reserve import Hall
from bench.processes import Apart
from bench.report import Part
from bench.servers import Program, System, free_port, sum_use
from bench.stats import Load, percentile
from db.events.editing import edit_event
from db.events.edits import EventEdit
from db.sealing.rows import seal_plain
from messages.settings import MailSettings
from workers.pool import NEWS_NICENESS

TOLD_SECONDS_MAX = 300
SALE_PER_SECOND = 100
CONNECTIONS = 64
SALE_SECONDS_MAX = 1500
WARM_SECONDS = 10.0
SETTLE_SECONDS = 1.0
"""The beginning of each turn is left out: mails end and begin within a tenth of a second, batches of both live on."""
FIRST_MAILS_SECONDS = 4.0
PACE_KEY: Final = "message:pace:smtp"

_CONTACTS = """
INSERT INTO contact (event_id, user_id, channel, address, language)
SELECT %(event_id)s, n, 'mail', 'fan-' || %(event_id)s || '-' || n || '@example.org',
       (ARRAY['en', 'de', 'fr', 'es', 'ja', 'ar'])[1 + n %% 6]
  FROM generate_series(1, %(fans)s) AS n
"""
_SENT = "SELECT count(*) FROM message WHERE event_id = %(event_id)s AND state = 'sent'"
_WORK: Final[LiteralString] = """
SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::float8,
       (SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()),
       (SELECT array_agg(pid) FROM pg_stat_activity WHERE application_name = 'admitone-messages')
"""
TELLING: Final = "messages and news"
"""The worker's processes of these, which have one niceness and stand back for a sale."""
BACKEND: Final = "Postgres for messages"


@dataclass(slots=True)
class _Turns:
    """The turns of one sort, mails or rest: when they were, and what was used in them."""

    spans: list[tuple[float, float]] = field(default_factory=list)
    used: list[dict[str, float]] = field(default_factory=list)

    @property
    def seconds(self) -> float:
        return sum(end - begin for begin, end in self.spans)

    def p95_ms(self, load: Load, *, of: slice = slice(None), settle_seconds: float = SETTLE_SECONDS) -> float:
        """Of the sale's requests that were due in these turns."""
        spans, step = self.spans[of], load.steps["reserve"]
        within = [
            seconds
            for ended, seconds in zip(step.ended, step.seconds, strict=True)
            if any(begin + settle_seconds <= ended - seconds < end for begin, end in spans)
        ]
        return percentile(sorted(within), 0.95) * 1000

    def a_second(self, name: str) -> float:
        return sum(used.get(name, 0.0) for used in self.used) / self.seconds if self.spans else 0.0


class _Meter:
    """Reads what each program has used so far."""

    def __init__(self, system: System, worker: Program, connection: psycopg.Connection) -> None:
        self._system = system
        self._worker = worker
        self._connection = connection

    def read(self) -> dict[str, float]:
        """Processor seconds by program, bytes of WAL and commits, since the start."""
        found = {name: use.cpu_seconds for name, use in self._system.uses().items()}
        telling = [one for one in self._worker.family if one.nice() == NEWS_NICENESS]
        found[TELLING] = sum_use(telling).cpu_seconds
        found["worker"] -= found[TELLING]
        row = self._connection.execute(_WORK).fetchone()
        assert row is not None
        found["WAL"], found["commits"], backends = row
        found[BACKEND] = sum_use([psutil.Process(pid) for pid in backends or ()]).cpu_seconds
        return found


@contextmanager
def _noted(meter: _Meter, turns: _Turns) -> Iterator[None]:
    """Note what happens meanwhile as one turn."""
    before, began = meter.read(), time.perf_counter()
    yield
    turns.spans.append((began, time.perf_counter()))
    after = meter.read()
    turns.used.append({name: after[name] - before.get(name, 0.0) for name in after})


def _rest(client: redis.Redis, seconds: float) -> None:
    """Give out no moments for mails for so long, as if a provider had been asked for all of them (`pace.lua`)."""
    until = int((time.time() + seconds) * 1e6)
    client.set(PACE_KEY, until, px=int(seconds * 1000) + 1000)


def _event_with_fans(connection: psycopg.Connection, count: int) -> int:
    event_id = fans.new_event(connection, 100)
    connection.execute(_CONTACTS, {"event_id": event_id, "fans": count})
    # The rows are plain, as those of an older release, and are sealed before anybody is told.
    seal_plain(connection, 1_000, count)
    return event_id


def _move(connection: psycopg.Connection, event_id: int) -> None:
    with connection.transaction():
        edit = EventEdit(facts={"venue": "Another arena"})
        edit_event(connection, event_id, edit, "bench", "moved", seats_max=10_000)


def _sent(connection: psycopg.Connection, event_id: int) -> int:
    row = connection.execute(_SENT, {"event_id": event_id}).fetchone()
    assert row is not None
    return int(row[0])


def measure(system: System, *, fans_told: int = 40_000, turns: int = 12, turn_seconds: float = 10.0) -> Part:
    """Sell one event at a steady rate while the fans of two others are told: in one go, and by turns."""
    part = Part("told")
    port = free_port()
    system.start("smtp", "bench.smtp_sink", str(port))
    (gateway,) = system.gateways()
    worker = system.worker(
        ADMITONE_MAIL_URL=f"smtp+plain://127.0.0.1:{port}",
        ADMITONE_MAIL_SENDER="tickets@venue.example",
        ADMITONE_MESSAGE_LINKS="https://venue.example",
    )
    hall = Hall(system, 200_000, 20_000)
    requests = hall.reserves(min(SALE_PER_SECOND * SALE_SECONDS_MAX, 100_000))
    is_over = multiprocessing.get_context("fork").Event()

    def flows() -> Iterator[Flow]:
        return itertools.takewhile(lambda flow: not is_over.is_set(), repeat("reserve", iter(requests)))

    def sale() -> Load:
        return open_loop(
            [gateway.address],
            flows(),
            per_second=SALE_PER_SECOND,
            seconds=SALE_SECONDS_MAX,
            connections_max=CONNECTIONS,
        )

    in_one_go, mails, rest = _Turns(), _Turns(), _Turns()
    with system.connect() as connection, system.redis() as client:
        all_at_once = _event_with_fans(connection, fans_told)
        by_turns = _event_with_fans(connection, int((turns + 1) * turn_seconds * MailSettings().per_second))
        connection.execute("ANALYZE contact")
        meter = _Meter(system, worker, connection)
        opened_at, selling = time.monotonic(), Apart(sale)
        time.sleep(WARM_SECONDS)

        began = time.monotonic()
        with _noted(meter, in_one_go):
            _move(connection, all_at_once)
            # They cannot be done sooner, and who asks for it all the time is one more load.
            time.sleep(fans_told / MailSettings().per_second)
            while (sent := _sent(connection, all_at_once)) < fans_told:
                if time.monotonic() - began > 2 * TOLD_SECONDS_MAX:
                    break
                time.sleep(0.5)
        told_seconds = time.monotonic() - began

        _move(connection, by_turns)
        time.sleep(FIRST_MAILS_SECONDS)
        sent_by_turns = 0
        for _ in range(turns):
            before = _sent(connection, by_turns)
            with _noted(meter, mails):
                time.sleep(turn_seconds)
            _rest(client, turn_seconds + SETTLE_SECONDS)
            time.sleep(SETTLE_SECONDS)
            sent_by_turns += _sent(connection, by_turns) - before
            with _noted(meter, rest):
                time.sleep(turn_seconds)
        is_over.set()
        load, sale_seconds = selling.result(), time.monotonic() - opened_at
    load.require("reserve", "200")

    part.add(f"{sent} fans told of an event's move", told_seconds, "s", "five minutes", TOLD_SECONDS_MAX, "≤ 1")
    part.add("mails", sent / told_seconds, "/s")
    busy, quiet = mails.p95_ms(load), rest.p95_ms(load)
    pairs = [tuple(one.p95_ms(load, of=slice(n, n + 1)) for one in (mails, rest)) for n in range(turns)]
    note = f"{SALE_PER_SECOND}/s, {turns} turns of {turn_seconds:g} s each"
    part.add("p95 of a running sale while mails leave", busy, "ms", "its p95 while they rest", quiet, "≤ 1.2", note)
    part.add("the same in one go", in_one_go.p95_ms(load, settle_seconds=0), "ms", "its p95 while they rest", quiet)
    part.add("the same of a turn and the next one, median", median(one / other for one, other in pairs), "times")
    per_second = sent_by_turns / mails.seconds
    costs = {name: (mails.a_second(name) - rest.a_second(name)) / per_second for name in mails.used[0]}
    for name in (TELLING, BACKEND, "postgres", "smtp"):
        part.add(f"processor time of a mail: {name}", costs[name] * 1000, "ms")
    part.add("write-ahead log of a mail", costs["WAL"], "bytes")
    part.add("commits of a mail", costs["commits"], "")
    part.add("processor of the load itself", 100 * load.cpu_seconds / sale_seconds, "% of a core")
    part.details["told"] = {
        "fans": sent,
        "seconds": round(told_seconds, 1),
        "mailsPerSecondByTurns": round(per_second, 1),
        "p95MsByTurns": [[round(one, 2) for one in pair] for pair in pairs],
        "aSecondWhileMailsLeave": {name: round(mails.a_second(name), 4) for name in mails.used[0]},
        "aSecondWhileTheyRest": {name: round(rest.a_second(name), 4) for name in rest.used[0]},
    }
    return part
