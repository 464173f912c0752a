"""A small crowd sells out the demo hall, over real HTTP, through a real gateway and real workers."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import psycopg

from admitone.crowd import CrowdPlan, run_crowd
from db.events.seed import RoomSeed, seed_demo
from tests.services import Services

SEATS = 150


async def test_a_crowd_sells_out_the_demo_and_every_word_was_kept(
    services: Services, database_url: str, tmp_path: Path
) -> None:
    event_id = seed_demo(database_url, room=RoomSeed(rate_per_minute=60_000, capacity=30))
    services.worker()
    gateway = services.gateway()
    ledger = tmp_path / "ledger.jsonl"
    report = await run_crowd(
        CrowdPlan(
            base_url=gateway.url,
            event_id=event_id,
            fans=150,
            rate_per_second=60,
            seats_per_fan=3,
            abandon_in_line=0.05,
            release_hold=0.1,
            best_available=0.4,
            duration_seconds_max=75,
            ledger=ledger,
            source_addresses=("127.0.0.2", "127.0.0.3"),
        ),
        quiet=True,
    )

    assert report.clean, report
    assert report.seats_bought == SEATS, report
    assert "unfinished" not in report.outcomes["fan"], report
    told = [json.loads(line) for line in ledger.read_text().splitlines()]
    sold = [line for line in told if line["kind"] == "checkout" and line["status"] == "succeeded"]
    assert sum(len(line["result"]["details"]) for line in sold) == SEATS
    assert Counter(line["kind"] for line in told)["release"] > 0
    with psycopg.connect(database_url) as connection:
        row = connection.execute("SELECT count(*) FROM purchase_detail WHERE cancelled_at IS NULL").fetchone()
    assert row == (SEATS,)

    audit = services.run("audit", "--ledger", str(ledger))
    assert audit.returncode == 0, audit.stdout + audit.stderr

    # An audit that cannot fail proves nothing: a purchase that Postgres does not hold must be found.
    false = {**sold[0], "result": {**sold[0]["result"], "totalAmount": 1}}
    with ledger.open("a") as lines:
        lines.write(json.dumps(false) + "\n")
    audit = services.run("audit", "--ledger", str(ledger))
    assert audit.returncode == 1, audit.stdout + audit.stderr
