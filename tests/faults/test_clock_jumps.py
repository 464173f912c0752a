"""A gateway's clock jumps by an hour: line, holds, passes and captchas go by Redis' and Postgres' clocks."""

from __future__ import annotations

import datetime as dt
import email.utils
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from admitone.embedded.process import package_folder
from tests.client import Client, Fan, solve_captcha
from tests.faults.harness import Sale
from tests.waiting import await_that

SALE = {"gateways": 2, "ADMITONE_CAPTCHA": "altcha"}
LIBRARY = package_folder("libfaketime") / "vendor" / "libfaketime" / "src" / "libfaketime.so.1"
JUMPS = ("+1h", "-1h")
JUMPING = 0
SECONDS = 15


class Clock:
    """The wall clock of one gateway, which the test sets while it runs."""

    def __init__(self, url: str, file: Path) -> None:
        self._url = url
        self._file = file
        self._file.write_text("+0\n")

    @property
    def ahead_seconds(self) -> float:
        """By its answers' Date, of what the clock here says."""
        said = email.utils.parsedate_to_datetime(Client(self._url).get("/health/live").headers["Date"])
        return (said - dt.datetime.now(dt.UTC)).total_seconds()

    def jump(self, offset: str) -> None:
        """To so much from the true time, e.g. ``+1h``."""
        self._file.write_text(f"{offset}\n")
        wanted = 3600 * int(offset.rstrip("h"))
        await_that(lambda: abs(self.ahead_seconds - wanted) < 10)


@pytest.fixture(scope="module")
def clock(sale: Sale) -> Iterator[Clock]:
    """One of the gateways runs with libfaketime before its C library; its monotonic clock stays true."""
    file = sale.folder / "clock"
    clock = Clock(sale.gateways[JUMPING].url, file)
    sale.gateways[JUMPING].stop()
    sale.restart_gateway(
        JUMPING,
        LD_PRELOAD=str(LIBRARY),
        FAKETIME_TIMESTAMP_FILE=str(file),
        FAKETIME_NO_CACHE="1",
        FAKETIME_DONT_FAKE_MONOTONIC="1",
    )
    yield clock
    file.write_text("+0\n")


@pytest.fixture(autouse=True)
def _true_again(clock: Clock) -> Iterator[None]:
    yield
    clock.jump("+0")


@pytest.mark.long
@pytest.mark.parametrize("jump", JUMPS)
def test_a_fan_goes_between_gateways_whose_clocks_differ(sale: Sale, clock: Clock, jump: str) -> None:
    """Whatever one gateway signs the other takes, in either direction; the hold ends by Postgres' clock."""
    event_id = sale.event()
    jumping, true = (gateway.url for gateway in sale.gateways)
    before = Fan.arrive(jumping)
    assert before.join(event_id).json["state"] == "admitted"
    clock.jump(jump)
    for first, second in ((jumping, true), (true, jumping)):
        fan = Fan.arrive(first)
        assert fan.join(event_id).json["state"] == "admitted"
        other = fan.at(second)
        held = other.reserve(event_id, best=(1, 1)).result
        left = dt.datetime.fromisoformat(held["expiresAt"]) - dt.datetime.now(dt.UTC)
        assert dt.timedelta(minutes=9) < left < dt.timedelta(minutes=11)
        # Solved at one gateway, bought at the other.
        solved = solve_captcha(fan)
        assert other.checkout(event_id, held["reservationId"], captcha=solved).result["purchaseId"]
    # Who was in before the jump still is.
    held = before.reserve(event_id, best=(1, 1)).result
    assert before.checkout(event_id, held["reservationId"]).result["purchaseId"]


@pytest.mark.long
@pytest.mark.timeout(400)
def test_jumps_under_load(sale: Sale, clock: Clock) -> None:
    with sale.rush("gateway's clock jumps ±1 h") as rush:
        rush.await_normal()
        jumped_at = time.monotonic()
        for jump in JUMPS:
            clock.jump(jump)
            time.sleep(SECONDS)
            clock.jump("+0")
            rush.await_recovery()
    said = {result.answer for result in rush.probe.results if result.at > jumped_at and result.seconds is None}
    # A busy machine may take its time; none refuses.
    assert said <= {"202"}
    assert rush.crowd.summed("errors") == {}
