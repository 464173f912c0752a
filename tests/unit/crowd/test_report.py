from __future__ import annotations

import io
import random

import msgspec
import pytest
from rich.console import Console

from admitone.crowd.display import line
from admitone.crowd.report import ERROR_KINDS_MAX, VIOLATIONS_KEPT_MAX, CrowdReport, Latencies, Tally


def test_percentiles_are_within_two_percent() -> None:
    rng = random.Random(1)
    seconds = sorted(rng.lognormvariate(-3, 1) for _ in range(5000))
    latencies = Latencies()
    for value in seconds:
        latencies.add(value)
    summary = latencies.summary()
    assert summary.count == 5000
    assert summary.max_ms == pytest.approx(seconds[-1] * 1000, abs=0.01)
    for found, share in ((summary.p50_ms, 0.5), (summary.p90_ms, 0.9), (summary.p99_ms, 0.99)):
        exact = seconds[round(share * 5000) - 1] * 1000
        assert exact * 0.999 <= found <= exact * 1.021


def test_no_latency_at_all() -> None:
    assert Latencies().summary().p99_ms == 0.0


def test_a_seat_sold_twice_is_a_violation() -> None:
    tally = Tally()
    tally.bought("a", [(1, 1, 1), (1, 1, 2)])
    assert tally.report().clean
    tally.bought("b", [(1, 1, 2), (1, 1, 3)])
    report = tally.report()
    assert (report.purchases, report.seats_bought, report.violations_count) == (2, 3, 1)
    assert not report.clean


def test_what_is_kept_is_bounded_and_what_is_counted_is_not() -> None:
    tally = Tally()
    for number in range(1000):
        tally.error(f"kind {number}")
        tally.violation(f"sentence {number}")
    report = tally.report()
    assert len(report.errors) == ERROR_KINDS_MAX + 1
    assert sum(report.errors.values()) == 1000
    assert (len(report.violations), report.violations_count) == (VIOLATIONS_KEPT_MAX, 1000)


def test_the_report_prints_and_survives_json() -> None:
    tally = Tally()
    with tally.at("line"):
        assert "1 at line" in line(tally)
    assert "0 at line" in line(tally)
    tally.outcome("fan", "bought")
    tally.latency("reserve", 0.012)
    tally.wait("join", "line_full")
    tally.error("reserve: HTTP 500")
    tally.violation("fan 1: position rose from 2 to 3")
    report = tally.report()
    assert msgspec.json.decode(msgspec.json.encode(report), type=CrowdReport) == report
    text = io.StringIO()
    report.print(Console(file=text, width=120))
    for part in ("bought", "12.0", "join: line_full", "reserve: HTTP 500", "rose from 2 to 3"):
        assert part in text.getvalue()
