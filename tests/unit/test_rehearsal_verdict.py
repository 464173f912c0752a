"""From measured figures to a verdict: what is named as the bottleneck, and what is suggested."""

from __future__ import annotations

import math
from typing import Any

import msgspec
import pytest

from admitone.rehearsal.report import as_json, words
from admitone.rehearsal.verdict import BOTTLENECKS, Busy, Facts, Phase, Suggestion, Verdict, judge

IDLE = Busy(
    gateway=0.3, gateways=0.6, lane=0.2, worker=0.15, postgres=0.1, redis=0.05, machine=0.4, generator=0.2, backlog=1
)
HELD = Phase(
    seconds=60,
    rate_per_minute=1200,
    capacity=2000,
    purchases=1100,
    seats=2200,
    called_per_minute=1190,
    p50_ms=30,
    p95_ms=120,
    lane_p95_ms=90,
    inside_seconds=92,
    full_share=0.0,
    waiting_share=1.0,
    busy=IDLE,
    cpu_ms={"gateways": 4.0, "worker": 0.7},
)
FACTS = Facts(
    fans=20_000,
    expected_fans=20_000,
    seats=12_000,
    no_shows=0.1,
    think_seconds=90,
    target_p95_ms=500,
    line_cap=30_000,
    gateways=2,
    streams_max=18_000,
    configured=HELD,
)


def with_phase(busy: dict[str, Any] | None = None, **changes: Any) -> Facts:
    phase = msgspec.structs.replace(HELD, busy=msgspec.structs.replace(IDLE, **(busy or {})), **changes)
    return msgspec.structs.replace(FACTS, configured=phase)


def suggested(verdict: Verdict, setting: str) -> Suggestion:
    (found,) = (one for one in verdict.suggestions if one.setting == setting)
    return found


@pytest.mark.parametrize(
    ("facts", "code", "fit"),
    [
        (FACTS, "rate", True),
        (with_phase(full_share=0.9, called_per_minute=700.0), "capacity", True),
        (with_phase(full_share=0.1, called_per_minute=600.0, capacity=3, inside_seconds=0.1), "capacity", True),
        (with_phase(waiting_share=0.1, called_per_minute=200.0), "fans", True),
        (
            msgspec.structs.replace(with_phase(waiting_share=0.1, called_per_minute=200.0), sold_out=True),
            "seats",
            True,
        ),
        (msgspec.structs.replace(FACTS, turned_away=3000, line_cap=17_000), "line_cap", False),
        (with_phase({"generator": 0.97}, p95_ms=900.0), "generator", False),
        (with_phase({"lane": 0.97, "worker": 0.8}, p95_ms=900.0), "lane", False),
        (with_phase({"lane": 0.97, "worker": None}, p95_ms=900.0), "lane", False),
        (with_phase({"lane": 0.97, "worker": 0.2}, p95_ms=900.0), "postgres", False),
        (with_phase({"gateway": 0.95}, p95_ms=900.0), "gateways", False),
        (with_phase({"redis": 0.95}, p95_ms=900.0), "redis", False),
        (with_phase({"machine": 0.99}, p95_ms=900.0), "machine", False),
        (with_phase(p95_ms=900.0), "unseen", False),
        (with_phase({"lane": 0.95, "worker": 0.9}, refused={"reserve: overloaded": 40}), "lane", False),
    ],
)
def test_the_bottleneck_is_whoever_the_figures_name(facts: Facts, code: str, fit: bool) -> None:
    verdict = judge(facts)
    assert (verdict.bottleneck.code, verdict.fit) == (code, fit)
    assert verdict.bottleneck.code in BOTTLENECKS
    assert verdict.bottleneck.evidence


def test_a_broken_promise_or_audit_is_not_fit_however_fast_it_was() -> None:
    assert not judge(msgspec.structs.replace(FACTS, audit=("seat_sold_once: twice",))).fit
    assert not judge(msgspec.structs.replace(FACTS, violations=("fan 1: position rose",))).fit
    assert not judge(with_phase(errors={"checkout: HTTP 500": 1})).fit
    assert not judge(with_phase(purchases=0, seats=0, p95_ms=None, p50_ms=None)).fit
    assert judge(FACTS).fit


def test_a_line_too_small_for_the_real_crowd_is_not_fit_though_the_rehearsals_was_smaller() -> None:
    verdict = judge(msgspec.structs.replace(FACTS, fans=1000, expected_fans=40_000))
    assert not verdict.fit
    assert suggested(verdict, "lineCap").value == 50_000
    assert any("stood in for" in warning for warning in verdict.warnings)


def test_the_duration_is_of_the_real_crowd_and_hall() -> None:
    """12,000 seats, two a purchase: 6,000 buyers of 18,000 who come, at 1,100 a minute and 90 s of thought."""
    verdict = judge(FACTS)
    assert verdict.minutes_expected == pytest.approx(6000 / 1100 + 1.5, abs=0.1)
    assert "sold out" in verdict.expected
    roomy = judge(msgspec.structs.replace(FACTS, seats=100_000))
    assert roomy.minutes_expected == pytest.approx(18_000 / 1100 + 1.5, abs=0.1)
    assert "everybody was in" in roomy.expected
    assert judge(with_phase(purchases=0, seats=0)).minutes_expected is None


def test_what_held_is_kept_where_no_limit_was_looked_for() -> None:
    verdict = judge(FACTS)
    assert suggested(verdict, "ratePerMinute").value == 1200
    assert suggested(verdict, "capacity").value == math.ceil(1.1 * 20 * 92)
    assert suggested(verdict, "gateways").value == 2
    assert verdict.limit_per_minute is None


def test_what_did_not_hold_is_lowered() -> None:
    verdict = judge(with_phase({"lane": 0.99, "worker": 0.9}, p95_ms=2000.0, purchases=600, seats=1200))
    assert suggested(verdict, "ratePerMinute").value == math.floor(0.8 * 600 / 0.9)


def test_the_limit_is_the_highest_rate_that_held_and_four_fifths_of_it_are_suggested() -> None:
    steps = tuple(
        msgspec.structs.replace(HELD, seconds=10, purchases=bought, rate_per_minute=rate, p95_ms=late, busy=busy)
        for bought, rate, late, busy in (
            (300, 2000, 100.0, IDLE),
            (450, 3000, 200.0, IDLE),
            (470, 4500, 1500.0, msgspec.structs.replace(IDLE, lane=0.99, worker=0.9)),
        )
    )
    verdict = judge(msgspec.structs.replace(FACTS, limit=steps, limit_end="at 4500 fans a minute it held no more"))
    assert verdict.limit_per_minute == 2700
    assert verdict.limit_bottleneck is not None
    assert verdict.limit_bottleneck.code == "lane"
    assert verdict.bottleneck.code == "rate"
    rate = suggested(verdict, "ratePerMinute").value
    assert rate == math.floor(0.8 * 2700 / 0.9)
    assert suggested(verdict, "capacity").value == math.ceil(1.1 * rate / 60 * 92)


def test_bookings_that_stop_growing_name_the_busiest_though_they_are_in_time() -> None:
    step = msgspec.structs.replace(
        HELD,
        seconds=10,
        rate_per_minute=9000,
        capacity=20_000,
        called_per_minute=4000,
        busy=msgspec.structs.replace(IDLE, gateway=0.98),
    )
    verdict = judge(msgspec.structs.replace(FACTS, configured=step))
    assert verdict.bottleneck.code == "gateways"


def test_a_rate_that_the_capacity_kept_from_being_reached_is_not_called_proven() -> None:
    verdict = judge(with_phase(full_share=0.9, called_per_minute=330.0, capacity=500))
    assert suggested(verdict, "ratePerMinute").value == 1200
    assert "not reached" in suggested(verdict, "ratePerMinute").why
    assert suggested(verdict, "capacity").value == math.ceil(1.1 * 20 * 92)
    assert "not proven" in suggested(verdict, "capacity").why


def test_a_slow_generator_is_no_reason_to_lower_the_rate() -> None:
    verdict = judge(with_phase({"generator": 0.99}, p95_ms=900.0))
    assert suggested(verdict, "ratePerMinute").value == 1200


def test_gateways_are_reckoned_by_streams_and_by_processor() -> None:
    many = judge(msgspec.structs.replace(FACTS, expected_fans=50_000, line_cap=100_000))
    assert suggested(many, "gateways").value == 3
    costly = judge(with_phase(cpu_ms={"gateways": 140.0}))
    assert suggested(costly, "gateways").value == math.ceil(20 * 0.9 * 0.14 / 0.7)


def test_the_words_and_the_json_say_the_same() -> None:
    verdict = judge(msgspec.structs.replace(FACTS, warnings=("The captcha is off.",)))
    said = "\n".join(words(verdict))
    assert "VERDICT: FIT" in said
    assert "1100 purchases a minute" in said
    assert "(rate)" in said
    assert "Warning: The captcha is off." in said
    told = msgspec.json.decode(as_json(verdict))
    assert told["fit"] is True
    assert told["bottleneck"]["code"] == "rate"
    assert told["facts"]["configured"]["p95Ms"] == 120
    bad = "\n".join(words(judge(msgspec.structs.replace(FACTS, audit=("seat_sold_once: twice",)))))
    assert "VERDICT: NOT FIT" in bad
    assert "BROKEN" in bad
