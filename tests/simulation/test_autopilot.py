"""The real controller steering a modelled sale (`tests.simulation.sale`): the cases of its design."""

from __future__ import annotations

import itertools
import statistics

import pytest

from tests.simulation.sale import Sale, Second
from waiting_room.autopilot import NO_SHOW_MAX

pytestmark = pytest.mark.timeout(300)  # Each computes for ten seconds, and longer beside other work.
TRUE_PER_MINUTE = 3000
"""What the modelled engine bears: 100 commands a second, two a fan."""


def crowd(fans: int) -> Sale:
    return Sale(arrivals=lambda second: fans if second == 0 else 0)


def steady(seconds: list[Second], bears_per_minute: float) -> None:
    """No oscillation over ±20 %, p95 within its target, and the engine in use."""
    rates = [second.shown_per_minute for second in seconds]
    mean = statistics.mean(rates)
    assert max(rates) < mean * 1.2, (mean, max(rates))
    assert min(rates) > mean * 0.8, (mean, min(rates))
    assert 0.8 * bears_per_minute < mean < 1.05 * bears_per_minute
    over = sum(second.p95_ms > 500 for second in seconds) / len(seconds)
    assert over < 0.05, f"p95 over its target {over:.0%} of the time"


def never_idle(seconds: list[Second]) -> None:
    """While people wait and may be let in, nobody waits ten seconds for the next to be admitted."""
    for start in range(len(seconds) - 10):
        window = seconds[start : start + 10]
        if all(second.waiting and second.slots_free and second.p95_ms < 500 for second in window):
            assert any(second.admitted for second in window), window[0]


def test_a_step_of_load_is_taken_up_and_held() -> None:
    seconds = crowd(60_000).run(900)
    assert max(second.p95_ms for second in seconds[:90]) < 500, "no overload on the way up"
    steady(seconds[240:], TRUE_PER_MINUTE)
    never_idle(seconds)


def test_a_slow_database_slows_the_door_and_its_recovery_opens_it() -> None:
    sale = crowd(90_000)
    sale.engine_per_second = lambda second: 40.0 if 300 <= second < 700 else 100.0
    seconds = sale.run(1200)
    steady(seconds[400:680], 0.4 * TRUE_PER_MINUTE)
    steady(seconds[850:], TRUE_PER_MINUTE)
    assert next(s.at for s in seconds if s.at > 700 and s.shown_per_minute > 0.8 * TRUE_PER_MINUTE) < 800
    assert any("over the 500 ms target" in second.why for second in seconds[300:330])
    never_idle(seconds)


@pytest.mark.parametrize("no_show", [pytest.param(0.3, marks=pytest.mark.long), 0.6])
def test_no_shows_are_called_for(no_show: float) -> None:
    sale = crowd(300_000)
    sale.ceiling_per_minute = 20_000
    sale.capacity = 20_000
    sale.no_show = lambda _: no_show
    seconds = sale.run(900)
    steady(seconds[300:], TRUE_PER_MINUTE)
    late = seconds[-1]
    assert late.rate_per_minute == pytest.approx(late.shown_per_minute / (1 - no_show), rel=0.15)
    assert "not answered" in late.why
    never_idle(seconds)


def test_the_ceiling_is_the_operators() -> None:
    sale = crowd(60_000)
    sale.ceiling_per_minute = 1200
    sale.no_show = lambda _: NO_SHOW_MAX
    seconds = sale.run(600)
    assert max(second.rate_per_minute for second in seconds) <= 1200
    assert "ceiling" in seconds[-1].why


def test_what_is_left_to_sell_bounds_the_admitted() -> None:
    sale = crowd(60_000)
    sale.seats = 10_000
    seconds = sale.run(500)
    assert seconds[-1].sold == 10_000
    for before, second in itertools.pairwise(seconds):
        if second.active > before.active:
            assert second.active <= 10_000 - before.sold, second
    assert "still buy" in seconds[-1].why


def test_up_to_the_sell_out_it_is_steady_and_then_says_why_nobody_is_called() -> None:
    sale = crowd(60_000)
    sale.seats = 50_000
    seconds = sale.run(800)
    sold_out_at = next(second.at for second in seconds if second.sold == 50_000)
    steady(seconds[240 : sold_out_at - 90], TRUE_PER_MINUTE)
    never_idle(seconds)
    assert sold_out_at < 50_000 / 2 / TRUE_PER_MINUTE * 60 * 1.4, "a sale not much longer than the engine needs"
    assert "still buy" in seconds[-1].why


def test_a_control_that_never_raises_the_rate_is_idle() -> None:
    """Negative control of `never_idle`: a door that stands shut while people wait and slots are free."""
    seconds = crowd(60_000).run(120)
    for second in seconds[60:]:
        second.admitted = 0
    with pytest.raises(AssertionError):
        never_idle(seconds)


def test_a_control_that_cuts_by_half_each_second_would_be_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Negative control: without the wait for a cut to show, the same checks fail."""
    monkeypatch.setattr("waiting_room.autopilot.REACTION_SECONDS", 0.0)
    monkeypatch.setattr("waiting_room.autopilot.BORNE_SHARE", 0.5)
    with pytest.raises(AssertionError):
        steady(crowd(60_000).run(900)[240:], TRUE_PER_MINUTE)
