from __future__ import annotations

import io
import random

import msgspec
import pytest
from rich.console import Console

from admitone.crowd.display import line
from admitone.crowd.report import CrowdReport, latency_of, report_of
from admitone.fan.counts import ERROR_KINDS_MAX, VIOLATIONS_KEPT_MAX, Counts


def test_percentiles_are_within_two_percent() -> None:
    rng = random.Random(1)
    seconds = sorted(rng.lognormvariate(-3, 1) for _ in range(5000))
    counts = Counts()
    for value in seconds:
        counts.wait("reserve", value)
    summary = latency_of(counts, "reserve")
    assert summary.count == 5000
    assert summary.max_ms == pytest.approx(seconds[-1] * 1000, abs=0.01)
    for found, share in ((summary.p50_ms, 0.5), (summary.p90_ms, 0.9), (summary.p99_ms, 0.99)):
        exact = seconds[round(share * 5000) - 1] * 1000
        assert exact * 0.999 <= found <= exact * 1.021


def test_no_latency_at_all() -> None:
    assert latency_of(Counts(), "reserve").p99_ms == 0.0


def test_a_seat_sold_twice_is_a_violation() -> None:
    counts = Counts()
    counts.bought("a", [(1, 1, 1), (1, 1, 2)], 0.0)
    assert report_of(counts).clean
    counts.bought("b", [(1, 1, 2), (1, 1, 3)], 0.0)
    report = report_of(counts)
    assert (report.purchases, report.seats_bought, report.violations_count) == (2, 3, 1)
    assert not report.clean


def test_what_is_kept_is_bounded_and_what_is_counted_is_not() -> None:
    counts = Counts()
    for number in range(1000):
        counts.error(f"kind {number}")
        counts.violation(f"sentence {number}")
    report = report_of(counts)
    assert len(report.errors) == ERROR_KINDS_MAX + 1
    assert sum(report.errors.values()) == 1000
    assert (len(report.violations), report.violations_count) == (VIOLATIONS_KEPT_MAX, 1000)


def test_the_report_prints_and_survives_json() -> None:
    counts = Counts()
    with counts.at("line"):
        assert "1 at line" in line(counts)
    assert "0 at line" in line(counts)
    counts.outcome("fan", "bought")
    counts.wait("reserve", 0.012)
    counts.refused("join", "line_full")
    counts.error("reserve: HTTP 500")
    counts.violation("fan 1: position rose from 2 to 3")
    report = report_of(counts)
    assert msgspec.json.decode(msgspec.json.encode(report), type=CrowdReport) == report
    text = io.StringIO()
    report.print(Console(file=text, width=120))
    for part in ("bought", "12.0", "join: line_full", "reserve: HTTP 500", "rose from 2 to 3"):
        assert part in text.getvalue()
