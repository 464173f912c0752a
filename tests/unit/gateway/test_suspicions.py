"""What looks like a program's is a sum of sentences, and the answers rise with it."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from typing import Any

import pytest
from litestar import Request
from redis import asyncio as aioredis
from sqlalchemy.ext.asyncio import create_async_engine

from gateway.identity.answers import (
    BOUGHT,
    CANCELLED,
    CLAIMED,
    JOINED,
    POINTS,
    RESERVED,
    Answer,
    Step,
    Weighed,
    answer_of,
)
from gateway.identity.devices import Devices
from gateway.identity.networks import Networks
from gateway.identity.settings import GuardSettings
from gateway.identity.sightings import JOIN, SESSION, Sightings
from gateway.identity.signals import CANCELS, CHURN, IDLE, IGNORED, OTHERS_MOST, SIGNALS, TELLS, WRONG
from gateway.identity.suspicions import LATELY_SECONDS, Suspicions, Verdict, verdict_of
from gateway.wire.problems import ProblemError

ADDRESS, NETWORK = "198.51.100.7", "198.51.100.0/24"
FAN = 7
HOLD_SECONDS = 60


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


class Gate:
    """Suspicions that speak with no server."""

    def __init__(self, **settings: Any) -> None:
        self.clock = Clock()
        client: aioredis.Redis = aioredis.Redis()
        engine = create_async_engine("postgresql+psycopg://nobody@localhost:1/none")
        self.seen = Sightings(client, self.clock)
        networks = Networks(engine, lambda: dt.datetime(2030, 1, 1, tzinfo=dt.UTC), self.seen)
        self.suspicions = Suspicions(
            self.seen,
            Sightings(client, self.clock),
            networks,
            Devices(client, self.clock),
            GuardSettings(**settings),
            hold_seconds=HOLD_SECONDS,
            now=self.clock,
        )

    def step(self, weighed: Weighed, after_seconds: float = 5) -> Verdict:
        """The verdict on the fan's next step."""
        self.clock.now += after_seconds
        request: Request[Any, Any, Any] = Request({"type": "http", "method": "POST", "path": "/", "headers": []})  # type: ignore[arg-type]
        self.suspicions.weigh(request, FAN, weighed, ADDRESS, has_account=False, is_exempt=lambda: False)
        return verdict_of(request)

    def refuse(self, code: str, times: int) -> None:
        for _ in range(times):
            self.suspicions.refused(FAN, code, Step.RESERVE)

    def crowd(self) -> None:
        """The fan's network does as much as a network can."""
        self.seen.latest[NETWORK] = Counter({SESSION: 9000, JOIN: 9000, "captcha_failed": 500})

    def claim(self, after_seconds: float = 5) -> None:
        self.step(CLAIMED, after_seconds)
        self.suspicions.ended(FAN, Step.CLAIM, succeeded=True)

    def lapse(self, times: int) -> None:
        for _ in range(times):
            self.step(RESERVED)
            self.suspicions.ended(FAN, Step.RESERVE, succeeded=True)
            self.clock.now += HOLD_SECONDS


def test_a_busy_client_of_the_api_in_a_busy_network_is_answered_nothing() -> None:
    gate = Gate()
    gate.crowd()
    for _ in range(100):
        assert gate.step(JOINED).answer is Answer.NOTHING
        gate.suspicions.ended(FAN, Step.JOIN, succeeded=True)
        gate.claim(0.01)
        gate.step(RESERVED, 0.01)
    for _ in range(400):
        assert gate.step(RESERVED, 0.01).answer is Answer.NOTHING
    gate.refuse("rate_limited", 100)
    assert gate.step(RESERVED, 0.01).answer is Answer.NOTHING


def test_what_others_do_suffices_for_no_answer_whatever_it_is() -> None:
    most = sum(signal.most for signal in SIGNALS if signal.whose != "fan")
    assert most > OTHERS_MOST
    assert answer_of(OTHERS_MOST) is Answer.NOTHING


@pytest.mark.parametrize(
    ("marks", "answer"),
    [
        ({}, Answer.NOTHING),
        ({"tells": 1}, Answer.NOTHING),
        ({"tells": 2}, Answer.NOTHING),
        ({"tells": 2, "captcha_required": 5}, Answer.PROOF),
        ({"tells": 2, "captcha_failed": 4}, Answer.CAPTCHA),
        ({"tells": 2, "captcha_failed": 5}, Answer.BEHIND),
    ],
)
def test_the_answers_rise(marks: dict[str, int], answer: Answer) -> None:
    gate = Gate()
    gate.step(JOINED)
    gate.suspicions.note_device(1, FAN, ADDRESS, "", marks.pop("tells", 0))
    for code, times in marks.items():
        gate.refuse(code, times)
    verdict = gate.step(RESERVED)
    assert verdict.answer is answer
    assert gate.step(BOUGHT).answer is Answer.NOTHING, "who holds seats may buy them"


def test_a_refusal_says_why_and_where_to_write_and_ends_by_itself() -> None:
    gate = Gate(appeal="help@venue.example")
    gate.step(JOINED)
    gate.suspicions.note_device(1, FAN, ADDRESS, "", 3)
    gate.refuse("captcha_failed", 6)
    gate.refuse("captcha_required", 20)
    with pytest.raises(ProblemError) as refused:
        gate.step(RESERVED)
    document = refused.value.document
    assert document["code"] == "conduct_refused"
    assert set(document["reasons"]) >= {TELLS, WRONG, IGNORED}
    assert (document["appeal"], document["reference"]) == ("help@venue.example", str(FAN))
    assert "6 proofs were wrong" in document["detail"]
    gate.step(BOUGHT)
    assert gate.step(RESERVED, LATELY_SECONDS).answer is Answer.NOTHING


def test_an_operator_lets_a_fan_go_on() -> None:
    gate = Gate()
    gate.step(JOINED)
    gate.suspicions.note_device(1, FAN, ADDRESS, "", 3)
    gate.refuse("captcha_failed", 20)
    gate.refuse("captcha_required", 20)
    gate.suspicions.pardon(FAN)
    assert gate.step(RESERVED).answer is Answer.NOTHING


def test_a_neighbour_brings_nobody_a_refusal() -> None:
    gate = Gate()
    gate.crowd()
    gate.step(JOINED)
    gate.suspicions.note_device(1, FAN, ADDRESS, "", 2)
    gate.refuse("captcha_failed", 5)
    gate.refuse("captcha_required", 7)
    verdict = gate.step(RESERVED)
    assert verdict.points >= POINTS[Answer.REFUSE]
    assert verdict.answer is Answer.BEHIND


def test_holds_that_lapse_count_and_proofs_speak_for_the_fan() -> None:
    gate = Gate()
    gate.step(JOINED)
    gate.lapse(5)
    asked = gate.step(RESERVED)
    assert asked.answer is Answer.PROOF
    assert [(one.signal, one.points) for one in asked.reasons] == [(CHURN, 60)]
    gate.suspicions.proved(FAN)
    assert gate.step(RESERVED).answer is Answer.NOTHING


def test_a_hold_that_lapsed_is_known_at_the_next_join() -> None:
    gate = Gate()
    for _ in range(5):
        gate.step(JOINED)
        gate.lapse(1)
    asked = gate.step(JOINED)
    assert asked.answer is Answer.PROOF
    assert [(one.signal, one.points) for one in asked.reasons] == [(CHURN, 60)]


def test_who_cancels_again_and_again_is_asked_for_a_proof_and_may_cancel() -> None:
    gate = Gate()
    gate.step(JOINED)
    for _ in range(6):
        assert gate.step(CANCELLED).answer is Answer.NOTHING
    assert gate.step(RESERVED).answer is Answer.NOTHING
    gate.step(CANCELLED)
    asked = gate.step(RESERVED)
    assert asked.answer is Answer.PROOF
    assert [(one.signal, one.points) for one in asked.reasons] == [(CANCELS, 60)]


def test_passes_that_nobody_uses_count_and_those_that_are_used_do_not() -> None:
    gate = Gate()
    for _ in range(20):
        gate.claim()
        gate.step(RESERVED)
    assert gate.step(JOINED).reasons == ()
    gate.suspicions.note_device(1, FAN, ADDRESS, "", 2)
    for _ in range(5):
        gate.claim()
    asked = gate.step(JOINED)
    assert asked.answer is Answer.PROOF
    assert [(one.signal, one.points) for one in asked.reasons] == [(IDLE, 10), (TELLS, 40)]


def test_a_page_that_claims_at_once_is_not_quick() -> None:
    gate = Gate()
    for _ in range(10):
        gate.step(JOINED)
        gate.claim(0.01)
        gate.step(RESERVED)
    gate.suspicions.note_device(1, FAN, ADDRESS, "", 2)
    gate.refuse("captcha_required", 5)
    assert [one.signal for one in gate.step(RESERVED).reasons] == [IGNORED, TELLS]


def test_a_page_that_brings_each_proof_when_it_is_asked_ignores_none() -> None:
    gate = Gate()
    gate.step(JOINED)
    gate.suspicions.note_device(1, FAN, ADDRESS, "", 2)
    for _ in range(20):
        gate.refuse("captcha_required", 1)
        gate.suspicions.proved(FAN)
    assert gate.step(RESERVED).answer is Answer.NOTHING


def test_holds_that_live_for_ten_minutes_count_for_an_hour() -> None:
    gate = Gate()
    gate.step(JOINED)
    for _ in range(5):
        gate.lapse(1)
        gate.clock.now += LATELY_SECONDS - HOLD_SECONDS
    assert gate.step(RESERVED).answer is Answer.PROOF
    gate.clock.now += 3600
    assert gate.step(RESERVED).answer is Answer.NOTHING


def test_who_buys_or_gives_back_soon_blocked_nothing() -> None:
    gate = Gate()
    gate.step(JOINED)
    for step in (Step.CHECKOUT, Step.RELEASE) * 5:
        gate.step(RESERVED)
        gate.suspicions.ended(FAN, Step.RESERVE, succeeded=True)
        gate.suspicions.ended(FAN, step, succeeded=True)
        gate.clock.now += HOLD_SECONDS
    assert gate.step(RESERVED).answer is Answer.NOTHING


@pytest.mark.parametrize(
    ("answers", "highest"), [("proofs", Answer.CAPTCHA), ("watch", Answer.NOTHING), ("off", Answer.NOTHING)]
)
def test_an_operator_bounds_the_answers(answers: str, highest: Answer) -> None:
    gate = Gate(answers=answers)
    gate.step(JOINED)
    gate.suspicions.note_device(1, FAN, ADDRESS, "", 3)
    gate.refuse("captcha_failed", 20)
    gate.refuse("captcha_required", 20)
    assert gate.step(RESERVED).answer is highest


@pytest.mark.parametrize(
    ("answer", "proof", "is_asked"),
    [
        (Answer.NOTHING, 0, False),
        (Answer.PROOF, 0, True),
        (Answer.PROOF, 1, False),
        (Answer.CAPTCHA, 1, True),
        (Answer.BEHIND, 2, False),
    ],
)
def test_which_proof_an_answer_asks_for(answer: Answer, proof: int, is_asked: bool) -> None:
    verdict = Verdict(answer, 99)
    if is_asked:
        with pytest.raises(ProblemError, match="captcha_required"):
            verdict.require_proof(proof, fresh=2)
    else:
        verdict.require_proof(proof, fresh=2)


def test_a_suspicious_fans_challenge_costs_more() -> None:
    gate = Gate()
    gate.step(JOINED)
    assert gate.suspicions.work_times(FAN, ADDRESS) == 1
    gate.suspicions.note_device(1, FAN, ADDRESS, "", 2)
    gate.refuse("captcha_failed", 5)
    assert gate.suspicions.work_times(FAN, ADDRESS) == 8
