"""Twenty times more bookings than the lane can take: refused early and in words, the accepted ones kept, normal after.

The lane is narrowed (one lane, batches of one command), so that one machine can send twenty times what it takes.
"""

from __future__ import annotations

import datetime as dt
import http.client
import itertools
import random
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import pytest

from admitone.fan.ledger import Ledger
from bench import fans
from bench.client import Address
from bench.load import Flow, closed_loop, open_loop, repeat
from bench.processes import Apart, apart, gather
from bench.servers import Program, System, system
from db.audit.invariants import audit
from db.audit.ledger import LedgerLine
from tests.faults.harness import Row, append_row

FACTOR = 20
SECONDS = 60.0
CONNECTIONS = 4000
NORMAL_CONNECTIONS = 4
SEATS = 80_000
LANE = "lane-0"
RECOVERY_SECONDS_MAX = 10.0
ANSWER_SECONDS_MAX = 30.0
"""The longest a fan waits who asked to wait ten seconds, on a machine that also plays all the fans."""
REFUSED_MS_MAX = 1000.0, 10_000.0
"""Median and p99 of how long a refusal takes: early is at once, or after the lane's wait of two seconds."""
GROWTH_BYTES_MAX = 400 << 20
QUEUE_MAX = 8
"""Batches in Redis: those one gateway may have under way, and the cron's sweeps."""


@dataclass
class Told:
    """What clients were told; ``kept`` are the answers that promise something, with the fan's number."""

    begun: int = 0
    answered: int = 0
    unanswered: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    kept: list[tuple[int, bytes]] = field(default_factory=list)
    slowest_seconds: float = 0.0
    refused_seconds: list[float] = field(default_factory=list)


class Hall:
    def __init__(self, system: System) -> None:
        with system.connect() as connection:
            self.event_id = fans.new_event(connection, SEATS)
        self.sessions = fans.sessions(SEATS // 2)
        pairs = fans.pairs(SEATS)
        self.requests = [(user_id, fans.reserve(token, self.event_id, next(pairs))) for token, user_id in self.sessions]
        random.Random(1).shuffle(self.requests)

    def asks(self) -> Iterator[tuple[int, bytes]]:
        return itertools.cycle(self.requests)


def flood(address: Address, hall: Hall, per_second: float, seconds: float) -> Told:
    """In a process of its own."""
    told = Told()

    def ask(user_id: int, one: bytes) -> Flow:
        told.begun += 1
        begun = time.perf_counter()
        status, body = yield "reserve", one
        took = time.perf_counter() - begun
        told.slowest_seconds = max(told.slowest_seconds, took)
        if status == 0:
            told.unanswered += 1
            return
        told.answered += 1
        if status == 503:
            told.refused_seconds.append(took)
            problem = msgspec.json.decode(body)
            told.outcomes[f"503 {problem['code']}" if problem["retryAfterSeconds"] > 0 else "503 without"] += 1
            return
        told.outcomes[str(status)] += 1
        told.kept.append((user_id, body))

    flows = (ask(user_id, one) for user_id, one in hall.asks())
    open_loop(
        [address],
        flows,
        per_second=per_second,
        seconds=seconds,
        connections_max=CONNECTIONS,
        last_answers_seconds=ANSWER_SECONDS_MAX + 10,
    )
    return told


def normal(address: Address, hall: Hall, seconds: float, seed: int) -> tuple[float, float]:
    """p99 in ms and successes a second of a few fans, one after another."""
    requests = (one for _, one in hall.requests[seed::7])
    load = apart(
        lambda: closed_loop([address], repeat("reserve", requests), connections=NORMAL_CONNECTIONS, seconds=seconds)
    )
    return load.latencies("reserve").p99_ms, load.rate("reserve", "200")


def sustained(address: Address, hall: Hall) -> float:
    """What the lane takes a second while as many as it lets wait do."""
    requests = (one for _, one in hall.asks())
    load = apart(
        lambda: closed_loop([address], repeat("reserve", requests), connections=64, seconds=8.0, warm_seconds=2.0)
    )
    return load.rate("reserve", "200")


def retry_after(address: Address, hall: Hall) -> str | None:
    """The header of a refusal in the midst of it all."""
    raw = hall.requests[0][1]
    head, _, body = raw.partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")[1:]
    headers = dict(line.split(": ", 1) for line in lines)
    connection = http.client.HTTPConnection(*address, timeout=ANSWER_SECONDS_MAX)
    try:
        connection.request("POST", "/api/reserve", body, headers)
        response = connection.getresponse()
        response.read()
        return response.headers["Retry-After"] if response.status == 503 else None
    finally:
        connection.close()


def finish(gateway: Program, told: Told, hall: Hall, ledger: Ledger) -> Counter[str]:
    """Every job that a fan was promised, at its end; into the ledger."""
    tokens = {user_id: token for token, user_id in hall.sessions}
    ends: Counter[str] = Counter()
    connection = http.client.HTTPConnection(*gateway.address, timeout=40)
    for user_id, body in told.kept:
        answer = msgspec.json.decode(body)
        if answer.get("status") == "queued":
            headers = {"Authorization": f"Bearer {tokens[user_id]}"}
            connection.request("GET", f"/api/jobs/{answer['jobId']}?wait=30", headers=headers)
            response = connection.getresponse()
            answer = msgspec.json.decode(response.read())
            assert response.status == 200, answer
        status = answer["status"]
        ends[answer["problem"]["code"] if status == "failed" else status] += 1
        if status in ("succeeded", "failed"):
            ledger.write(
                LedgerLine(
                    dt.datetime.now(dt.UTC),
                    user_id,
                    hall.event_id,
                    "reserve",
                    answer["jobId"],
                    status,
                    answer.get("result"),
                    answer["problem"]["code"] if status == "failed" else None,
                )
            )
    connection.close()
    return ends


@pytest.mark.long
@pytest.mark.timeout(600)
def test_twenty_times_what_the_lane_takes(tmp_path: Path) -> None:
    ledger_path = tmp_path / "ledger.jsonl"
    with system() as servers, Ledger(ledger_path) as ledger, servers.redis() as client:
        (gateway,) = servers.gateways(ADMITONE_LANES="1", ADMITONE_BATCH_MAX="1")
        servers.worker(ADMITONE_LANES="1")
        hall = Hall(servers)
        rate = sustained(gateway.address, hall)
        normal_ms, _ = normal(gateway.address, hall, 5.0, 0)
        before = servers.uses()
        grown = dict.fromkeys(("gateway", "valkey"), 0)
        queued_max = 0
        headers: Counter[str | None] = Counter()

        def look() -> None:
            nonlocal queued_max
            uses = servers.uses()
            for name in grown:
                grown[name] = max(grown[name], uses[name].rss_bytes - before[name].rss_bytes)
            queued_max = max(queued_max, int(client.llen(f"rq:queue:{LANE}")))
            headers[retry_after(gateway.address, hall)] += 1

        flooding = Apart(lambda: flood(gateway.address, hall, FACTOR * rate, SECONDS))
        began = time.monotonic()
        (told,) = gather([flooding], look, 2.0)
        # The generator has waited for the last answers; the flood itself ended after SECONDS.
        over_at = max(began + SECONDS, time.monotonic() - ANSWER_SECONDS_MAX)
        recovered: float | None = None
        tries: list[tuple[int, int]] = []
        while recovered is None and time.monotonic() < over_at + ANSWER_SECONDS_MAX + RECOVERY_SECONDS_MAX:
            at = time.monotonic()
            p99_ms, successes = normal(gateway.address, hall, 1.0, 1 + len(tries))
            tries.append((round(p99_ms), round(successes)))
            if p99_ms <= 2 * normal_ms + 50 and successes > 0:
                recovered = at - over_at
        ends = finish(gateway, told, hall, ledger)
        refused = sorted(told.refused_seconds)
        p50_ms, p99_ms = (1000 * refused[int(len(refused) * share)] for share in (0.5, 0.99))
        megabytes = {name: size >> 20 for name, size in grown.items()}
        story = (
            f"sustained {rate:.0f}/s, sent {told.begun / SECONDS:.0f}/s ({told.begun / SECONDS / rate:.1f}x), "
            f"answers {dict(told.outcomes)}, unanswered {told.unanswered}, ends {dict(ends)}, "
            f"refused p50 {p50_ms:.0f} ms p99 {p99_ms:.0f} ms, "
            f"slowest {told.slowest_seconds:.1f} s, p99 normally {normal_ms:.0f} ms, after (p99 ms, /s) {tries}, "
            f"grown {megabytes} MB, queue at most {queued_max}, "
            f"Retry-After {dict(headers)}"
        )
        print(story)
        broken = audit(servers.database_url, ledger=ledger_path)
        append_row(
            Row(
                at=dt.datetime.now(dt.UTC),
                fault=f"overload, {FACTOR} times what the lane takes, {SECONDS:.0f} s",
                fans=len(hall.sessions),
                acknowledged=sum(ends.values()),
                lost=ends["queued"] + told.unanswered,
                doubled=len(broken),
                overtaken=0,
                gave_up=0,
                recovery_seconds=[] if recovered is None else [round(recovered, 3)],
                note=f"{told.begun / SECONDS / rate:.0f} times {rate:.0f}/s; refused after {p50_ms:.0f} ms (median), "
                f"{p99_ms:.0f} ms (p99); at most {queued_max} batches in the queue; "
                + ", ".join(f"{name} +{size} MB" for name, size in megabytes.items()),
            )
        )
        assert broken == [], story
        assert told.begun >= FACTOR * rate * SECONDS / 2, story
        assert told.unanswered == 0, story
        assert told.answered == told.begun, story
        assert set(told.outcomes) <= {"200", "202", "503 overloaded"}, story
        assert told.outcomes["503 overloaded"] > told.answered / 2, story
        assert set(ends) <= {"succeeded", "seats_taken", "limit_exceeded"}, story
        assert headers[None] < headers.total(), story
        assert (p50_ms < REFUSED_MS_MAX[0], p99_ms < REFUSED_MS_MAX[1]) == (True, True), story
        assert told.slowest_seconds < ANSWER_SECONDS_MAX, story
        assert queued_max <= QUEUE_MAX, story
        assert max(grown.values()) < GROWTH_BYTES_MAX, story
        assert recovered is not None, story
        assert recovered <= RECOVERY_SECONDS_MAX, story
