"""How many connections a busy gateway has to Postgres, as Postgres counts them."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest

from admitone.crowd import CrowdPlan, run_crowd
from db.connections.small_reads import SmallReads
from db.events.seed import RoomSeed, seed_demo
from tests.client import Client
from tests.services import Services

CONNECTIONS_MAX = 4
READERS = 12
READS_EACH = 40
OF_A_GATEWAY = """
SELECT application_name, count(*) FROM pg_stat_activity
 WHERE datname = current_database() AND application_name IN ('admitone-gateway', 'admitone-readiness')
 GROUP BY application_name
"""


@pytest.mark.timeout(240)
async def test_a_busy_gateway_has_four(services: Services, database_url: str, tmp_path: Path) -> None:
    event_id = seed_demo(database_url, room=RoomSeed(rate_per_minute=60_000, capacity=30))
    services.worker()
    gateway = services.gateway()
    most: Counter[str] = Counter()
    is_over = threading.Event()

    def count() -> None:
        with psycopg.connect(database_url, autocommit=True) as connection:
            while not is_over.wait(0.02):
                for name, number in connection.execute(OF_A_GATEWAY):
                    most[name] = max(most[name], number)

    def read() -> None:
        client = Client(gateway.url)
        client.headers["Authorization"] = f"Bearer {client.post('/api/session').json['token']}"
        # Each of them asks Postgres, and none is kept.
        for number in range(READS_EACH):
            paths = ("/api/purchases", f"/api/events/{event_id}/seats", f"/api/events?q=lanterns+{number}", "/metrics")
            answer = client.get(paths[number % len(paths)])
            assert answer.status == 200, (paths[number % len(paths)], answer.status, answer.content)

    with ThreadPoolExecutor(1 + READERS) as threads:
        counting = threads.submit(count)
        try:
            reading = [threads.submit(read) for _ in range(READERS)]
            plan = CrowdPlan(
                base_url=gateway.url,
                event_id=event_id,
                fans=60,
                rate_per_second=60,
                seats_per_fan=2,
                release_hold=0.1,
                best_available=0.5,
                duration_seconds_max=120,
                ledger=tmp_path / "ledger.jsonl",
            )
            report = await run_crowd(plan, quiet=True)
            for one in reading:
                one.result()
        finally:
            is_over.set()
        counting.result()
    assert report.clean, (report, services.report())
    # The pool of two, one for small reads, and one that looks whether Postgres is well.
    assert most == {"admitone-gateway": 3, "admitone-readiness": 1}
    assert most.total() == CONNECTIONS_MAX


async def test_small_reads_share_what_they_have_and_recover(database_url: str) -> None:
    reads = SmallReads(database_url, "shared", 2)
    slow = "SELECT pg_backend_pid() FROM pg_sleep(0.05)"
    found = await asyncio.gather(*(reads.rows(slow) for _ in range(8)))
    assert len({pid for ((pid,),) in found}) == 2
    assert reads.connections() == (0, 2)
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'shared'")
    failed = 0
    for _ in range(6):
        try:
            await reads.rows("SELECT 1")
        except psycopg.OperationalError:
            failed += 1
    assert failed <= 2, "each lost connection fails one read"
    assert await reads.rows("SELECT %(number)s::int", number=7) == [(7,)]
    await reads.close()
