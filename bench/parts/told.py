"""Fans are told of an event's move while another event is sold: how fast, and what the sale feels of it."""

from __future__ import annotations

import time

from bench import fans
from bench.load import open_loop, repeat
from bench.parts.reserve import Hall
from bench.processes import apart
from bench.report import Part
from bench.servers import Program, System, free_port, sum_use
from bench.stats import Load, percentile
from db.events.editing import edit_event
from db.events.edits import EventEdit
from db.sealing.rows import seal_plain
from workers.pool import NEWS_NICENESS

TOLD_SECONDS_MAX = 300
SALE_PER_SECOND = 100
CONNECTIONS = 64
SALE_SECONDS_MAX = 900

_CONTACTS = """
INSERT INTO contact (event_id, user_id, channel, address, language)
SELECT %(event_id)s, n, 'mail', 'fan-' || n || '@example.org',
       (ARRAY['en', 'de', 'fr', 'es', 'ja', 'ar'])[1 + n %% 6]
  FROM generate_series(1, %(fans)s) AS n
"""
_LEFT = "SELECT count(*) FILTER (WHERE state = 'sent'), count(*) FROM message WHERE event_id = %(event_id)s"


def _telling_seconds(worker: Program) -> float:
    """Processor time of the worker's processes that stand back for a sale: those of messages and of news."""
    return sum_use([one for one in worker.family if one.nice() == NEWS_NICENESS]).cpu_seconds


def measure(system: System, *, fans_told: int = 40_000, sale_seconds: float = 30.0) -> Part:
    """Sell one event at a steady rate: before another one is moved, while its fans are told, and after that."""
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
    reserves = iter(hall.reserves(int(SALE_PER_SECOND * SALE_SECONDS_MAX)))

    def sale(seconds: float) -> Load:
        ready = [next(reserves) for _ in range(int(SALE_PER_SECOND * seconds * 1.1))]
        return apart(
            lambda: open_loop(
                [gateway.address],
                repeat("reserve", iter(ready)),
                per_second=SALE_PER_SECOND,
                seconds=seconds,
                connections_max=CONNECTIONS,
                warm_seconds=2,
            )
        )

    with system.connect() as connection:
        moved = fans.new_event(connection, 100)
        which = {"event_id": moved, "fans": fans_told}
        connection.execute(_CONTACTS, which)
        # The rows are plain, as those of an older release, and are sealed before anybody is told.
        seal_plain(connection, 1_000, fans_told)
        connection.execute("ANALYZE contact")
        before = sale(sale_seconds)
        began, used = time.monotonic(), _telling_seconds(worker)
        with connection.transaction():
            edit = EventEdit(facts={"venue": "Another arena"})
            edit_event(connection, moved, edit, "bench", "moved", seats_max=10_000)
        during = sale(sale_seconds)
        sent = 0
        while sent < fans_told and time.monotonic() - began < 2 * TOLD_SECONDS_MAX:
            row = connection.execute(_LEFT, which).fetchone()
            assert row is not None
            sent = int(row[0])
            time.sleep(0.5)
        seconds, used = time.monotonic() - began, _telling_seconds(worker) - used
        after = sale(sale_seconds)
    for load in (before, during, after):
        load.require("reserve", "200")
    first, busy, last = (
        percentile(sorted(load.steps["reserve"].seconds), 0.95) * 1000 for load in (before, during, after)
    )
    # The hall fills meanwhile, and the machine may have other work: so the sale is measured on both sides.
    quiet = (first + last) / 2
    part.add(f"{sent} fans told of an event's move", seconds, "s", "five minutes", TOLD_SECONDS_MAX, "≤ 1")
    part.add("mails", sent / seconds, "/s")
    part.add("processor time of a mail", used / sent * 1000, "ms", note="processes of messages and of news")
    part.add(
        "p95 of a running sale meanwhile",
        busy,
        "ms",
        "its p95 before and after",
        quiet,
        "≤ 1.2",
        f"{SALE_PER_SECOND}/s",
    )
    part.details["told"] = {
        "fans": sent,
        "seconds": round(seconds, 1),
        "p95Ms": [round(one, 2) for one in (first, busy, last)],
    }
    return part
