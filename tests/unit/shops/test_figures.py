"""What comes of looks and of pushed figures, and how the autopilot steers a modelled shop by them."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field
from typing import Any

import pytest

from db.shops.model import Shop
from gateway.line.autopilot import sight_of_shop
from waiting_room.autopilot import Steering, start, steer
from waiting_room.shop_figures import (
    DOWN_LOOKS_LEAST,
    FRESH_SECONDS,
    REST_SECONDS_MAX,
    Figures,
    Look,
    Pushed,
    figures_of,
    rest_seconds,
)

NOW = 1_000_000.0
TARGET_MS = 1000


def looks(*ms: float, failed: int = 0, at: float = NOW) -> list[Look]:
    return [Look(at, one, number < failed) for number, one in enumerate(ms)]


def figures(found: Figures | None) -> Figures:
    assert found is not None
    return found


def test_a_single_slow_look_changes_nothing_and_two_do() -> None:
    assert figures(figures_of(looks(*[100] * 19, 5000), None, NOW)).p95_ms == 100
    assert figures(figures_of(looks(*[100] * 18, 5000, 5000), None, NOW)).p95_ms == 5000
    assert figures(figures_of(looks(*[100] * 5, 5000), None, NOW)).p95_ms == 100
    assert figures(figures_of(looks(*[100] * 4, 5000), None, NOW)).p95_ms == 5000, "of few, the slowest"


def test_looks_leave_a_slow_shop_to_its_fans() -> None:
    assert rest_seconds(50, 1.0) == pytest.approx(0.95), "once a second"
    assert rest_seconds(1000, 1.0) == 4.0, "a fifth of the time"
    assert rest_seconds(5000, 1.0) == 10.0
    assert DOWN_LOOKS_LEAST * (REST_SECONDS_MAX + 5) < FRESH_SECONDS, "a shop that is down is seen to be"


def test_the_worse_of_both_sources_counts() -> None:
    pushed = Pushed(NOW - 5, 700, 1000, 3, 10)
    both = figures(figures_of(looks(100, 900), pushed, NOW))
    assert (both.p95_ms, both.asked, both.failed, both.per_second, both.source) == (900, 1002, 3, 100, "both")
    assert figures(figures_of(looks(100, 200), pushed, NOW)).p95_ms == 700
    assert figures_of([], None, NOW) is None


def test_a_failure_is_chance_and_two_percent_are_trouble() -> None:
    assert figures(figures_of(looks(*[100] * 20, failed=1), None, NOW)).troubles == 0
    assert figures(figures_of(looks(*[100] * 20, failed=2), None, NOW)).troubles == 2
    assert figures(figures_of([], Pushed(NOW, 100, 1000, 19, 10), NOW)).troubles == 0, "a shop's everyday"
    assert figures(figures_of([], Pushed(NOW, 100, 1000, 20, 10), NOW)).troubles == 20


def test_what_is_old_says_nothing_but_that_there_were_figures() -> None:
    late = NOW + FRESH_SECONDS + 1
    old = figures(figures_of(looks(100), Pushed(NOW, 100, 1000, 0, 10), late))
    assert (old.is_fresh, old.asked, old.at_seconds) == (False, 0, NOW)
    fresh = figures(figures_of(looks(9000), Pushed(late, 100, 1000, 0, 10), late))
    assert (fresh.is_fresh, fresh.p95_ms) == (True, 100), "an old look does not count beside fresh figures"


@dataclass
class _Pace:
    admitted_per_minute: float = 0.0
    no_show_rate: float = 0.0


@dataclass
class _Counts:
    """What of a room's counts the autopilot reads."""

    now_ms: float
    waiting: int
    slots_free: int
    steering: Steering | None
    admitted: int = 20
    pace: _Pace = field(default_factory=_Pace)


def seen(
    last: Steering, found: Figures | None, *, probe_url: str = "", waiting: int = 10, admitted: int = 20
) -> Steering:
    """The next steering of a shop with these figures."""
    at = last.at_seconds + 1
    counts: Any = _Counts(1000 * at, waiting, 100, last, admitted)
    shop = Shop(origin="https://shop.example", probe_url=probe_url, target_ms=TARGET_MS)
    return steer(last, sight_of_shop(counts, shop, found), 600, TARGET_MS)


def test_a_shop_of_which_nothing_is_known_is_let_fans_in_as_before_and_one_that_fell_silent_is_not() -> None:
    first = start(600, NOW)
    assert seen(first, None).cause == "raised"
    assert seen(first, figures_of(looks(100), None, NOW)).cause == "raised"
    silent = seen(first, figures_of(looks(100), None, NOW + 100))
    assert (silent.cause, silent.why) == ("held", "held: no figures of the shop came lately")
    assert silent.rate_per_minute == first.rate_per_minute
    assert seen(first, None, probe_url="https://shop.example/").cause == "held", "its first look is to come"


def test_a_shop_that_is_down_lets_nobody_in_until_a_look_succeeds() -> None:
    down = seen(start(600, NOW), figures_of(looks(*[5000] * 5, failed=5), None, NOW))
    assert (down.cause, down.rate_per_minute) == ("troubles", 0.0)
    assert "5 requests failed" in down.why
    back = seen(down, figures_of(looks(*[100] * 15), None, NOW))
    assert back.rate_per_minute > 0


def test_far_over_its_target_the_door_is_slowed_at_once() -> None:
    first = start(600, NOW)
    over = seen(first, figures_of(looks(*[2 * TARGET_MS] * 20), None, NOW))
    assert over.cause == "slowed"
    assert over.rate_per_minute == pytest.approx(first.rate_per_minute * 0.92 * 2 / 3)
    far_over = figures_of(looks(*[4 * TARGET_MS] * 20), None, NOW)
    assert seen(first, far_over).rate_per_minute == 0
    assert seen(first, far_over, admitted=0).rate_per_minute == pytest.approx(first.rate_per_minute * 0.92 / 2), (
        "a shop that is slow without fans does not shut them out for good"
    )
    down = figures_of(looks(*[5000] * 5, failed=5), None, NOW)
    assert seen(first, down, admitted=0).rate_per_minute == 0


@dataclass
class ModelShop:
    """A shop that serves ``per_second`` requests; each visitor makes one each ``thinks_seconds`` for ``visit_seconds``
    and then goes. What it cannot serve queues, and visitors wait for their answers before they go on.
    """

    per_second: float
    visit_seconds: float = 120.0
    thinks_seconds: float = 4.0
    visitors: list[float] = field(default_factory=list)
    queued: float = 0.0

    def second(self, admitted: float) -> float:
        """Let fans in for a second; gives how long an answer takes, in ms."""
        self.visitors.append(admitted)
        inside = sum(self.visitors[-round(self.visit_seconds) :])
        delay = self.queued / self.per_second
        self.queued = max(0.0, self.queued + inside / (self.thinks_seconds + delay) - self.per_second)
        return 150 + 1000 * self.queued / self.per_second

    @property
    def bears_per_minute(self) -> float:
        """How many fans may come in a minute for answers to take as long as the target: so long visitors wait, too."""
        return 60 * self.per_second * (self.thinks_seconds + TARGET_MS / 1000 - 0.15) / self.visit_seconds


@pytest.mark.parametrize("pushes", [False, True], ids=["probed", "pushed"])
def test_a_modelled_shop_is_kept_near_what_it_bears(*, pushes: bool) -> None:
    shop = ModelShop(per_second=100.0)
    last, latest, took, rates, served = start(1200, NOW), [150.0], 0.0, [], []
    seen_looks, next_look_at = [Look(NOW, 150.0, False)], NOW
    for second in range(2000):
        at = NOW + second
        recent = latest[-20:]
        requests = round(min(shop.per_second, sum(shop.visitors[-120:]) / shop.thinks_seconds))
        pushed = Pushed(at, sorted(recent)[-2] if len(recent) > 1 else recent[0], 10 * requests, 0, 10)
        found = figures_of([] if pushes else seen_looks[-20:], pushed if pushes else None, at)
        counts: Any = _Counts(1000 * at, 100_000, 1000, last, pace=_Pace(last.rate_per_minute))
        room = Shop(origin="https://shop.example", target_ms=TARGET_MS)
        last = steer(last, sight_of_shop(counts, room, found), 1200, TARGET_MS)
        took = shop.second(last.rate_per_minute / 60)
        latest.append(took)
        if at >= next_look_at:
            seen_looks.append(Look(at, took, False))
            next_look_at = at + took / 1000 + rest_seconds(took, 1.0)
        rates.append(last.rate_per_minute)
        served.append(took)
    settled = slice(1200, None)
    mean = statistics.mean(rates[settled])
    over = sum(ms > 2 * TARGET_MS for ms in served[settled]) / len(served[settled])
    assert 0.8 * shop.bears_per_minute < mean < 1.05 * shop.bears_per_minute, (mean, shop.bears_per_minute)
    assert over < 0.05, f"twice over its target {over:.0%} of the time"
    assert max(served) < 6_000, "no collapse on the way up"
