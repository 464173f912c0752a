"""Valkey forgets, stops, is full or slow while a crowd buys."""

from __future__ import annotations

import signal
import time

import pytest

from tests.faults.harness import Rush, Sale, rss_bytes
from tests.faults.test_redis_loss import kendall_tau
from tests.waiting import await_that
from waiting_room.keys import room_key

SALE = {
    "gateways": 2,
    "valkey_proxied": True,
    "ADMITONE_CONNECTED_SECONDS": "4",
    "ADMITONE_REBUILD_SECONDS": "3",
}
REPEATED = 20
LATENCY_SECONDS = 1.0
"""Each way: a round trip takes two seconds."""
ANSWER_SECONDS_MAX = 20.0
"""No call of the API may take longer than this, whatever becomes of Valkey; a client's own limit is 45 s."""
MEMORY_MORE_BYTES_MAX = 150_000_000


@pytest.mark.long
@pytest.mark.timeout(900)
def test_forgets_everything(sale: Sale) -> None:
    with sale.rush("Valkey FLUSHALL", fans=30) as rush:
        rush.await_normal()
        for _ in range(REPEATED):
            forgotten(rush)


def forgotten(rush: Rush) -> None:
    """All in line at the loss come back in their old order; the room is rebuilt before anybody is called."""
    line = room_key(rush.event_id, "line")
    with rush.sale.redis() as client:
        await_that(lambda: client.zcard(line) >= 20, 30)
        before, _ = client.pipeline(transaction=True).zrange(line, 0, -1).flushall().execute()
        flushed_at = time.monotonic()
        # While the room is being rebuilt nobody is called, so all are seen in line.
        await_that(lambda: set(before) <= set(client.zrange(line, 0, -1)), 10, each_seconds=0.01)
        after = [fan for fan in client.zrange(line, 0, -1) if fan in set(before)]
    tau = kendall_tau([int(fan) for fan in before], [int(fan) for fan in after])
    rush.note = f"Kendall tau {min(tau, float(rush.note.removeprefix('Kendall tau ') or 1))}"
    rush.await_recovery(60, ended=flushed_at)
    assert tau == 1.0


@pytest.mark.long
@pytest.mark.timeout(300)
def test_stopped_for_thirty_seconds(sale: Sale) -> None:
    with sale.rush("Valkey stopped 30 s") as rush:
        rush.await_normal()
        sale.signal_valkey(signal.SIGSTOP)
        stopped_at = time.monotonic()
        try:
            while time.monotonic() - stopped_at < 30:
                time.sleep(0.5)
        finally:
            sale.signal_valkey(signal.SIGCONT)
        rush.await_recovery(60)
        assert slowest_answer_seconds(rush, stopped_at) < ANSWER_SECONDS_MAX


@pytest.mark.long
def test_out_of_memory(sale: Sale) -> None:
    """Nothing more may be written: 503s that say so, and all goes on once there is memory again."""
    with sale.rush("Valkey maxmemory reached") as rush, sale.redis() as client:
        rush.await_normal()
        client.config_set("maxmemory", int(client.info("memory")["used_memory"]) // 2)
        full_at = time.monotonic()
        try:
            time.sleep(6)
        finally:
            client.config_set("maxmemory", 0)
        rush.await_recovery(60)
        during = [result for result in rush.probe.results if full_at <= result.at < full_at + 6]
        assert {result.answer for result in during if result.seconds is None} <= {"unavailable", "overloaded", "202"}, (
            during
        )
        assert any(result.seconds is None for result in during), "it was never full"
        assert slowest_answer_seconds(rush, full_at) < ANSWER_SECONDS_MAX


@pytest.mark.long
@pytest.mark.timeout(300)
def test_slow(sale: Sale) -> None:
    """Early problems instead of long waits, and no memory spent on those who wait."""
    proxy = sale.valkey_proxy
    assert proxy is not None
    with sale.rush("Valkey 2 s slow") as rush:
        rush.await_normal()
        before = [rss_bytes(gateway) for gateway in sale.gateways]
        proxy.latency_seconds = LATENCY_SECONDS
        slow_at = time.monotonic()
        try:
            time.sleep(30)
            more = max(rss_bytes(gateway) - was for gateway, was in zip(sale.gateways, before, strict=True))
        finally:
            proxy.latency_seconds = 0
        rush.await_recovery(60)
        assert slowest_answer_seconds(rush, slow_at) < ANSWER_SECONDS_MAX
        assert more < MEMORY_MORE_BYTES_MAX


def slowest_answer_seconds(rush: Rush, since: float) -> float:
    """Of the probe's reserves, whatever the answer was."""
    return max(result.took for result in rush.probe.results if result.at + result.took >= since)
