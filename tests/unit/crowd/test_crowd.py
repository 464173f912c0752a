"""The crowd against a scripted gateway: that it notices what a sound one never does.

How it fares with the real gateway is the acceptance test's matter.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import uuid
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from altcha.v1 import ChallengeOptions, create_challenge, verify_solution

from admitone.crowd import CrowdPlan, CrowdReport, run_crowd
from tests.waiting import await_that

KEY = "a key of the test"
SEATS = 4


Event = tuple[str, dict[str, object]]


def place(position: int) -> Event:
    return "place", {"position": position, "state": "waiting"}


CALLED: Event = ("called", {"claimBySeconds": 60})


class Stage:
    """A hall of one row and a line; attributes bend it."""

    def __init__(self) -> None:
        self.url = ""
        self.streams: list[list[Event]] = [[place(2), place(1), CALLED]]
        self.room_state = "open"
        self.captcha_at_join = False
        self.other_seat = False
        self.forgets = False
        self.stingy = False
        self.overloaded = 0
        self.broken: Callable[[], web.Response] | None = None
        self.connections = 0
        self.users = itertools.count(1)
        self.taken: set[int] = set()
        self.holds: dict[str, list[int]] = {}
        self.purchases: dict[str, list[int]] = {}
        self.keys: list[str] = []
        self.left = 0

    def routes(self) -> list[web.RouteDef]:
        return [
            web.post("/api/session", self.session),
            web.post("/api/queue/1", self.join),
            web.get("/api/queue/1", self.place),
            web.delete("/api/queue/1", self.leave),
            web.get("/api/queue/1/stream", self.line),
            web.post("/api/queue/1/claim", self.claim),
            web.get("/api/events/1/seats", self.seats),
            web.get("/api/initial-call/1", self.initial_call),
            web.get("/api/captcha", self.captcha),
            web.get("/api/captcha/challenge", self.challenge),
            web.post("/api/reserve", self.reserve),
            web.post("/api/checkout", self.checkout),
            web.delete("/api/reservations/{id}", self.release),
            web.get("/api/jobs/{id}", self.job),
            web.get("/api/purchases/{id}", self.purchase),
        ]

    async def session(self, request: web.Request) -> web.Response:
        return web.json_response({"token": "t", "userId": next(self.users)}, status=201)

    def told(self, state: str, position: int | None, status: int) -> web.Response:
        place = {"state": state, "roomState": self.room_state, "token": "p", "position": position}
        return web.json_response(place, status=status)

    async def join(self, request: web.Request) -> web.Response:
        if self.captcha_at_join:
            body = await request.json() if request.can_read_body else {}
            if not verify_solution(str(body.get("captchaToken", "")), KEY)[0]:
                return problem(403, "captcha_required")
        if len(self.taken) == SEATS:
            return self.told("sold_out", None, 201)
        return self.told("waiting", 3, 201)

    async def place(self, request: web.Request) -> web.Response:
        return self.told("waiting", 1, 200)

    async def leave(self, request: web.Request) -> web.Response:
        self.left += 1
        return web.Response(status=204)

    async def line(self, request: web.Request) -> web.StreamResponse:
        assert request.query["token"] == "p"
        script = self.streams[min(self.connections, len(self.streams) - 1)]
        self.connections += 1
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        with contextlib.suppress(ConnectionError):
            await response.prepare(request)
            await response.write(b"retry: 10\r\n\r\n")
            for event, data in script:
                await response.write(f"event: {event}\ndata: {json.dumps(data)}\n\n".encode())
            await asyncio.sleep(0 if script[-1][0] == "bye" else 1)
        return response

    async def claim(self, request: web.Request) -> web.Response:
        assert request.headers["X-Place-Token"] == "p"
        return web.json_response({"pass": "the pass", "expiresAt": "2030-01-01T00:00:00Z"})

    async def seats(self, request: web.Request) -> web.Response:
        rows = [{"rowNumber": 1, "seatNumbers": list(range(1, SEATS + 1))}]
        taken = [[1, 1, number, "booked"] for number in self.taken]
        return web.json_response({"sections": [{"ticketTypeId": 1, "rows": rows}], "taken": taken})

    async def initial_call(self, request: web.Request) -> web.Response:
        tickets = [{"ticketTypeId": 1, "availableCount": SEATS - len(self.taken)}]
        return web.json_response({"tickets": tickets})

    async def captcha(self, request: web.Request) -> web.Response:
        return web.json_response({"provider": "altcha", "requiredFor": ["checkout"]})

    async def challenge(self, request: web.Request) -> web.Response:
        made = create_challenge(ChallengeOptions(max_number=100, hmac_key=KEY))
        return web.json_response(
            {
                "algorithm": made.algorithm,
                "challenge": made.challenge,
                "maxnumber": made.max_number,
                "salt": made.salt,
                "signature": made.signature,
            }
        )

    async def reserve(self, request: web.Request) -> web.Response:
        assert request.headers.get("X-Admission-Pass") == (None if self.room_state == "off" else "the pass")
        self.keys.append(request.headers["Idempotency-Key"])
        if self.broken is not None:
            return self.broken()
        if self.overloaded:
            self.overloaded -= 1
            return problem(503, "overloaded", {"Retry-After": "0"})
        body = await request.json()
        if "bestAvailable" in body:
            free = [number for number in range(1, SEATS + 1) if number not in self.taken]
            numbers = free[: body["bestAvailable"]["quantity"]]
        else:
            numbers = body["seatDetails"][0]["metaData"]["seatNumbers"]
        if self.taken.intersection(numbers) or not numbers:
            return job(200, "reserve", problem={"code": "seats_taken"})
        if not self.forgets:
            self.taken.update(numbers)
        if self.stingy:
            numbers = []
        hold = str(uuid.uuid4())
        self.holds[hold] = [number % SEATS + 1 for number in numbers] if self.other_seat else numbers
        return web.json_response({"jobId": hold, "status": "queued", "href": ""}, status=202)

    async def job(self, request: web.Request) -> web.Response:
        hold = request.match_info["id"]
        return job(200, "reserve", result=self._result(hold, self.holds[hold]))

    async def checkout(self, request: web.Request) -> web.Response:
        body = await request.json()
        if not verify_solution(body["captchaToken"], KEY)[0]:
            return problem(403, "captcha_failed")
        purchase = str(uuid.uuid4())
        self.purchases[purchase] = self.holds.pop(body["reservationId"])
        details = self._seats(self.purchases[purchase])
        return job(200, "checkout", result={"purchaseId": purchase, "details": details})

    async def release(self, request: web.Request) -> web.Response:
        assert request.query["eventId"] == "1"
        self.taken.difference_update(self.holds.pop(request.match_info["id"]))
        return job(200, "release", result={"reservationId": request.match_info["id"]})

    async def purchase(self, request: web.Request) -> web.Response:
        numbers = self.purchases[request.match_info["id"]]
        return web.json_response({"details": self._seats(numbers), "totalAmount": 100 * len(numbers)})

    def _result(self, hold: str, numbers: list[int]) -> dict[str, Any]:
        seats = self._seats(numbers)
        return {"reservationId": hold, "totalAmount": 100 * len(numbers), "seats": seats, "version": 1}

    def _seats(self, numbers: list[int]) -> list[dict[str, int]]:
        return [{"ticketTypeId": 1, "rowNumber": 1, "seatNumber": number} for number in numbers]


def job(http_status: int, kind: str, **end: object) -> web.Response:
    status = "succeeded" if "result" in end else "failed"
    return web.json_response({"jobId": str(uuid.uuid4()), "kind": kind, "status": status, **end}, status=http_status)


def problem(status: int, code: str, headers: dict[str, str] | None = None) -> web.Response:
    return web.json_response({"code": code}, status=status, headers=headers, content_type="application/problem+json")


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    stage = Stage()
    app = web.Application()
    app.add_routes(stage.routes())
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    stage.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield stage
    await runner.cleanup()


async def send(stage: Stage, **plan: Any) -> CrowdReport:
    given: dict[str, Any] = {"fans": 1, "rate_per_second": 100, "seats_per_fan": 1, "best_available": 0.0}
    given |= {"duration_seconds_max": 20} | plan
    return await run_crowd(CrowdPlan(base_url=stage.url, event_id=1, **given), quiet=True)


async def test_fans_buy_until_all_is_sold(stage: Stage, tmp_path: Path) -> None:
    stage.captcha_at_join = True
    stage.overloaded = 2
    report = await send(
        stage,
        fans=SEATS,
        best_available=0.5,
        ledger=tmp_path / "ledger.jsonl",
        source_addresses=("127.0.0.2", "127.0.0.3"),
    )
    assert report.clean, report
    assert report.outcomes["fan"] == {"bought": SEATS}
    assert (report.purchases, report.seats_bought) == (SEATS, SEATS)
    assert report.waits == {"reserve: overloaded": 2}
    assert len(stage.keys) - len(set(stage.keys)) == 2, "a retry keeps its key, another try has its own"
    lines = [json.loads(line) for line in (tmp_path / "ledger.jsonl").read_text().splitlines()]
    told = [(line["kind"], line["status"]) for line in lines]
    assert told.count(("reserve", "succeeded")) == told.count(("checkout", "succeeded")) == SEATS
    [checkout, *_] = [line for line in lines if line["kind"] == "checkout"]
    assert set(checkout["result"]) == {"purchaseId", "details"}
    assert (await send(stage, fans=3)).outcomes["fan"] == {"sold_out": 3}


async def test_a_position_that_rises_is_a_violation(stage: Stage) -> None:
    stage.streams = [[place(2), place(9), place(1), CALLED]]
    report = await send(stage)
    assert report.outcomes["fan"] == {"bought": 1}
    assert report.violations == ("fan 1: position rose from 2 to 9",)


async def test_a_position_is_remembered_over_a_farewell(stage: Stage) -> None:
    stage.streams = [[place(1), ("bye", {})], [place(2), CALLED]]
    report = await send(stage)
    assert stage.connections == 2
    assert report.outcomes["stream"]["bye"] == 1
    assert report.violations == ("fan 1: position rose from 1 to 2",)


async def test_other_seats_than_asked_for_are_a_violation(stage: Stage) -> None:
    stage.other_seat = True
    report = await send(stage)
    assert report.violations_count == 1
    assert "other seats" in report.violations[0]


async def test_fewer_seats_than_asked_for_are_a_violation(stage: Stage) -> None:
    stage.stingy = True
    report = await send(stage, best_available=1.0)
    assert "other seats" in report.violations[0]


async def test_a_seat_sold_twice_is_a_violation(stage: Stage) -> None:
    stage.forgets = True
    report = await send(stage, fans=SEATS + 1)
    assert report.purchases == SEATS + 1
    assert report.violations_count >= 1
    assert "was sold in purchase" in report.violations[0]


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (lambda: problem(500, "internal_error"), "reserve: HTTP 500 internal_error"),
        (lambda: problem(503, "overloaded"), "reserve: HTTP 503 without Retry-After"),
        (lambda: web.Response(text="busy", status=502), "reserve: HTTP 502 without a JSON object"),
        (lambda: web.json_response({"code": "x"}, status=409), "reserve: HTTP 409 is no problem with a code"),
        (lambda: job(202, "reserve", result={}), "reserve: HTTP 202 for a finished job"),
        (lambda: problem(403, "not_you"), "reserve: not_you"),
        (lambda: web.json_response({}), "an answer's shape: KeyError 'jobId'"),
    ],
)
async def test_an_answer_out_of_contract_is_an_error(
    stage: Stage, answer: Callable[[], web.Response], error: str
) -> None:
    stage.broken = answer
    report = await send(stage)
    assert report.errors == {error: 1}
    assert report.outcomes["fan"] == {"error": 1}


async def test_no_server_is_an_error() -> None:
    report = await run_crowd(CrowdPlan(base_url="http://127.0.0.1:1", event_id=1, fans=1), quiet=True)
    assert report.errors == {"session: ConnectionRefusedError": 3}


@pytest.mark.parametrize(
    ("whim", "outcome"),
    [
        ({"abandon_after_call": 1}, "abandoned_call"),
        ({"abandon_hold": 1}, "abandoned_hold"),
        ({"release_hold": 1}, "released"),
    ],
)
async def test_fans_abandon_as_planned(stage: Stage, whim: dict[str, float], outcome: str) -> None:
    report = await send(stage, **whim)
    assert report.clean, report
    assert report.outcomes["fan"] == {outcome: 1}
    assert stage.left == (outcome == "released")


async def test_fans_leave_the_line_as_planned(stage: Stage) -> None:
    stage.streams = [[place(1)] * 5]
    report = await send(stage, fans=12, abandon_in_line=1)
    assert report.clean, report
    assert set(report.outcomes["fan"]) == {"left_line", "left_line_silently"}
    assert stage.left == report.outcomes["fan"]["left_line"]


@pytest.mark.parametrize("last", [("place", {"position": None, "state": "expired"}), ("sold_out", {}), ("closed", {})])
async def test_a_fan_who_is_told_it_is_over_goes_home(stage: Stage, last: Event) -> None:
    stage.streams = [[place(1), last]]
    report = await send(stage)
    assert report.clean, report
    assert report.outcomes["fan"] == {last[1].get("state", last[0]): 1}


async def test_a_room_that_is_off_needs_no_pass(stage: Stage) -> None:
    stage.room_state = "off"
    report = await send(stage)
    assert report.clean, report
    assert stage.connections == 0
    assert report.outcomes["fan"] == {"bought": 1}


async def test_the_time_limit_sends_fans_home(stage: Stage) -> None:
    stage.streams = [[place(1)]]
    report = await send(stage, fans=3, duration_seconds_max=0.5)
    assert report.outcomes["fan"] == {"unfinished": 3}


async def loop_until(enough: Callable[[], bool], stage: Stage, **whim: float) -> CrowdReport:
    stop = asyncio.Event()
    plan = CrowdPlan(
        base_url=stage.url,
        event_id=1,
        fans=2,
        rate_per_second=50,
        loop_forever=True,
        **whim,  # type: ignore[arg-type]
    )
    crowd = asyncio.create_task(run_crowd(plan, stop=stop, quiet=True))
    await asyncio.to_thread(await_that, enough)
    await asyncio.sleep(0.1)
    stop.set()
    return await asyncio.wait_for(crowd, 5)


async def test_a_crowd_that_loops_has_so_many_fans_about_until_stopped(stage: Stage) -> None:
    stage.streams = [[place(1)]]
    report = await loop_until(lambda: stage.connections >= 2, stage)
    assert report.outcomes["fan"] == {"unfinished": 2}


async def test_a_crowd_that_loops_sends_new_fans_for_those_who_went(stage: Stage) -> None:
    report = await loop_until(lambda: stage.connections > 5, stage, abandon_after_call=1)
    assert report.fans > 5
    assert report.outcomes["fan"]["abandoned_call"] > 0
