"""The fans of a rehearsal: each goes from the line to the ticket over real HTTP and SSE, and takes a person's time."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import random
import time
import uuid
from typing import Any, Final, NoReturn

import msgspec

from admitone.crowd.fan import HONEST_REFUSALS, STATES_IN_LINE, seat_details
from admitone.crowd.ledger import Ledger
from admitone.crowd.sse import EventParser, StreamTooLong
from admitone.rehearsal.counted import Counted
from admitone.rehearsal.hall import Hall, Seat
from admitone.rehearsal.http import Broken, HttpClient, Reply, Stream
from admitone.rehearsal.plan import Crowd
from db.audit.ledger import LedgerLine
from gateway.captcha.altcha import solved
from gateway.identity.sessions import Identity

RESERVE_TRIES_MAX: Final = 8
WAITED_OUT_MAX: Final = 10
JOB_POLLS_MAX: Final = 12
JOB_WAIT_SECONDS: Final = 5
STREAM_FAILURES_MAX: Final = 10
RETRY_SECONDS_MAX: Final = 30.0
NOTICE_SHARE, CHOOSE_SHARE, PAY_SHARE = 0.1, 0.5, 0.4
"""Of a person's time from the call to the ticket."""
NOTICE_SECONDS_MAX: Final = 20.0
SPREAD: Final = 0.5
"""Sigma of the log-normal that people's times are spread by."""
SPREAD_MAX: Final = 3.0
SOLD_OUT: Final = frozenset({"sold_out", "closed"})


class VisitEnded(Exception):  # noqa: N818 - most visits end without any error
    """The visit is over; the message is how."""


class Shared:
    """What all fans of one generator work with."""

    def __init__(self, plan: Crowd, secret: str, counted: Counted, ledger: Ledger) -> None:
        self.plan = plan
        self.counted = counted
        self.ledger = ledger
        self.http = HttpClient(plan.base_url)
        self.hall = Hall(random.Random(f"{plan.seed}:{plan.first}:hall"))  # noqa: S311 - choices, no secret
        self.is_quick = False
        """From now on nobody thinks: the engine's limit is looked for."""
        self._secret = secret
        self._identity = Identity(secret, session_seconds=plan.session_seconds, open_auth=False, secure=False)

    def session(self) -> tuple[str, int]:
        return self._identity.new_rehearsal_fan(self.plan.event_id, self.plan.session_seconds)

    def captcha(self) -> str:
        plan = self.plan
        return solved(self._secret.encode(), work_max=plan.captcha_work_max, ttl_seconds=plan.captcha_ttl_seconds)


class Fan:
    """A visit; its choices come from the plan's seed and its number."""

    __slots__ = (
        "_called",
        "_chance",
        "_for_front",
        "_has_token",
        "_headers",
        "_pace",
        "_parser",
        "_place",
        "_position",
        "_seats",
        "_shared",
        "_state",
        "_token",
        "_user",
    )

    def __init__(self, number: int, shared: Shared) -> None:
        self._shared = shared
        self._chance = random.Random(f"{shared.plan.seed}:{number}")  # noqa: S311 - behaviour, no secret
        self._token, self._user = shared.session()
        self._place = ""
        self._headers = ""
        self._position: int | None = None
        self._seats = self._chance.randint(1, shared.plan.seats_per_fan)
        self._for_front = self._chance.random() < shared.plan.front
        # The mean of exp(N(-s²/2, s)) is 1.
        self._pace = min(self._chance.lognormvariate(-(SPREAD**2) / 2, SPREAD), SPREAD_MAX)
        self._parser = EventParser()
        self._state = ""
        self._called: asyncio.Event = asyncio.Event()

    async def visit(self) -> str:
        """Go the whole way; gives how it ended, e.g. ``bought``, ``no_show``, ``line_full``, ``error``."""
        counted = self._shared.counted
        try:
            with self._at("join"):
                await self._join()
            with self._at("line"):
                await self._stand_in_line()
            called_at = time.monotonic()
            if self._chance.random() < self._shared.plan.no_shows:
                return "no_show"
            with self._at("inside"):
                await self._think(NOTICE_SHARE, NOTICE_SECONDS_MAX)
                await self._claim()
                seats = await self._buy()
            counted.purchases += 1
            counted.seats += seats
            counted.inside_seconds += time.monotonic() - called_at
        except VisitEnded as ended:
            return str(ended)
        except Broken as broken:
            counted.error(str(broken))
            return "error"
        except (KeyError, TypeError, ValueError, msgspec.MsgspecError) as error:
            # A field that the contract promises was missing or of another kind.
            counted.error(f"an answer's shape: {type(error).__name__} {str(error)[:80]}")
            return "error"
        return "bought"

    # -- the line

    async def _join(self) -> None:
        reply = await self._ask("join", "POST", self._queue, patient=False)
        if reply.status not in (200, 201):
            self._end("join", reply)
        place = reply.document()
        self._place = str(place.get("token") or "")
        self._state = str(place["state"])
        self._shared.counted.outcome("join", "in_line")

    async def _stand_in_line(self) -> None:
        failures = 0
        while not self._is_called():
            self._called.clear()
            self._parser = EventParser()
            request = self._request("GET", f"{self._queue}/stream?token={self._place}", "Accept: text/event-stream\r\n")
            pause_seconds = 1.0
            try:
                reply, stream = await self._shared.http.open(request, self._hear)
                if reply.status == 200:
                    try:
                        await self._called.wait()
                    finally:
                        stream.close()
                    failures = 0
                    pause_seconds = (self._parser.retry_ms or 1000) / 1000
                elif reply.status in (429, 503):
                    self._shared.counted.outcome("stream", _code(reply))
                    pause_seconds = max(1.0, reply.retry_after_seconds)
            except Broken as broken:
                failures += 1
                self._shared.counted.error(f"stream: {broken}")
                if failures >= STREAM_FAILURES_MAX:
                    raise
            if self._is_called():
                return
            await self._pause(pause_seconds * 1.5**failures)
            reply = await self._ask("place", "GET", self._queue)
            if reply.status != 200:
                self._end("line", reply)
            self._note(reply.document())

    def _hear(self, chunk: bytes | None) -> None:
        if chunk is None:
            self._called.set()
            return
        try:
            for event in self._parser.feed(chunk):
                if event.event in ("place", "called", "admitted"):
                    self._note(msgspec.json.decode(event.data, type=dict[str, Any]), event.event)
                elif event.event in SOLD_OUT:
                    self._state = event.event
                elif event.event == "bye":
                    self._called.set()
        except (StreamTooLong, KeyError, ValueError, msgspec.MsgspecError) as error:
            self._shared.counted.error(f"stream: {type(error).__name__}")
            self._called.set()
        if self._state not in ("waiting", "lobby"):
            self._called.set()

    def _note(self, told: dict[str, Any], event: str = "place") -> None:
        self._state = event if event != "place" else str(told["state"])
        position = told.get("position")
        if position is not None:
            if self._position is not None and position > self._position:
                self._shared.counted.violation(f"fan {self._user}: position rose from {self._position} to {position}")
            self._position = position
        if told.get("pass"):
            self._headers = f"X-Admission-Pass: {told['pass']}\r\n"

    def _is_called(self) -> bool:
        """Raises VisitEnded where no call will ever come."""
        if self._state not in STATES_IN_LINE:
            raise VisitEnded(self._state)
        return self._state in ("called", "admitted")

    async def _claim(self) -> None:
        reply = await self._ask("claim", "POST", f"{self._queue}/claim")
        if reply.status != 200:
            # Somebody who noticed too late; the place is kept, and so is the way on.
            self._end("claim", reply)
        self._headers = f"X-Admission-Pass: {reply.document()['pass']}\r\n"
        self._shared.counted.outcome("claim", "admitted")

    # -- the seats

    async def _buy(self) -> int:
        watching = await self._look_at_map()
        try:
            await self._think(CHOOSE_SHARE)
            reservation = await self._reserve()
        finally:
            if watching is not None:
                watching.close()
        await self._think(PAY_SHARE)
        return await self._check_out(reservation)

    async def _look_at_map(self) -> Stream | None:
        """What a page does once its fan is in: the whole map, then what changes. Chosen from is the generator's own."""
        if self._shared.plan.think_seconds <= 0:
            return None
        event_id = self._shared.plan.event_id
        await self._ask("seats", "GET", f"/api/events/{event_id}/seats")
        request = self._request("GET", f"/api/events/{event_id}/live", "Accept: text/event-stream\r\n")
        reply, stream = await self._shared.http.open(request, _drop)
        if reply.status != 200:
            self._shared.counted.outcome("live", _code(reply))
            return None
        return stream

    async def _reserve(self) -> dict[str, Any]:
        shared = self._shared
        for attempt in range(RESERVE_TRIES_MAX):
            is_best = self._chance.random() < shared.plan.best and not self._for_front
            seats = shared.hall.choose(self._seats, front=self._for_front)
            if not seats:
                shared.counted.outcome("reserve", "none_free")
                await self._pause(1 + attempt)
                continue
            body: dict[str, Any] = {"eventId": shared.plan.event_id}
            if is_best:
                body["bestAvailable"] = {"ticketTypeId": seats[0][0], "quantity": len(seats)}
            else:
                body["seatDetails"] = seat_details(seats)
            code, result = await self._command("reserve", "/api/reserve", body)
            if result is not None:
                held = [_seat(seat) for seat in result["seats"]]
                if len(held) != len(seats) or (not is_best and sorted(held) != sorted(seats)):
                    shared.counted.violation(f"fan {self._user} holds other seats than were asked for")
                shared.hall.taken(held)
                return result
            if code == "seats_taken":
                shared.hall.taken(seats[:1])
                # Who was beaten to the front takes what there is.
                self._for_front = self._for_front and self._chance.random() < 0.5
            elif code == "no_block":
                self._seats = max(1, self._seats - 1)
            elif code != "timed_out":
                await self._leave(code)
        return await self._leave("no_seats")

    async def _check_out(self, hold: dict[str, Any]) -> int:
        plan = self._shared.plan
        body: dict[str, Any] = {"eventId": plan.event_id, "reservationId": hold["reservationId"]}
        if plan.solves_captcha:
            # Asked for, as a page does, for what it costs the gateway; solved is one made with the site's secret.
            await self._ask("challenge", "GET", "/api/captcha/challenge")
            body["captchaToken"] = self._shared.captcha()
        code, result = await self._command("checkout", "/api/checkout", body)
        if result is None:
            await self._leave(code)
        reply = await self._ask("ticket", "GET", f"/api/purchases/{result['purchaseId']}")
        if reply.status != 200:
            raise Broken(f"ticket: HTTP {reply.status} after its checkout")
        bought = reply.document()
        told = sorted(_seat(detail) for detail in bought["details"])
        if told != sorted(map(_seat, hold["seats"])) or bought["totalAmount"] != hold["totalAmount"]:
            self._shared.counted.violation(f"purchase {result['purchaseId']} is not what was held")
        return len(told)

    async def _command(self, kind: Any, path: str, body: dict[str, Any]) -> tuple[str, dict[str, Any] | None]:
        """Send a booking command and wait for its outcome: a problem's code, or the result; written to the ledger."""
        headers = f"{self._headers}Prefer: wait={JOB_WAIT_SECONDS}\r\nIdempotency-Key: {uuid.uuid4().hex}\r\n"
        began = time.monotonic()
        reply = await self._ask(kind, "POST", path, body=msgspec.json.encode(body), headers=headers)
        document = reply.document()
        for _ in range(JOB_POLLS_MAX):
            if reply.status != 202 and not (reply.status == 200 and document["status"] == "queued"):
                break
            reply = await self._ask("job", "GET", f"/api/jobs/{document['jobId']}?wait={JOB_WAIT_SECONDS}")
            document = reply.document()
        self._shared.counted.wait("booking", time.monotonic() - began)
        if reply.status == 202 or document.get("status") == "queued":
            raise Broken(f"{kind}: no final answer in {JOB_POLLS_MAX * JOB_WAIT_SECONDS} s")
        has_succeeded = reply.status == 200 and document["status"] == "succeeded"
        code = "" if has_succeeded else str((document["problem"] if reply.status == 200 else document)["code"])
        if "jobId" in document:
            line = LedgerLine(
                at=dt.datetime.now(dt.UTC),
                user_id=self._user,
                event_id=self._shared.plan.event_id,
                kind=kind,
                job_id=uuid.UUID(document["jobId"]),
                status="succeeded" if has_succeeded else "failed",
                result=document["result"] if has_succeeded else None,
                code=code or None,
            )
            self._shared.ledger.write(line)
        self._shared.counted.outcome(kind, code or "succeeded")
        if code and code not in HONEST_REFUSALS:
            raise Broken(f"{kind}: {code}")
        return code, document["result"] if has_succeeded else None

    # -- small things

    async def _ask(
        self, step: str, method: str, path: str, *, body: bytes = b"", headers: str = "", patient: bool = True
    ) -> Reply:
        """One call, timed; 429 and 503 are counted, and waited out if ``patient``."""
        request = self._request(method, path, headers, body)
        for tried in range(1, WAITED_OUT_MAX + 1):
            began = time.monotonic()
            try:
                reply = await self._shared.http.ask(request)
            except Broken as broken:
                raise Broken(f"{step}: {broken}") from None
            self._shared.counted.wait(step, time.monotonic() - began)
            if reply.status not in (429, 503):
                if reply.status >= 500:
                    raise Broken(f"{step}: HTTP {reply.status}")
                return reply
            code = _code(reply)
            if not patient and code == "line_full":
                return reply
            self._shared.counted.outcome("refused", f"{step}: {code}")
            if tried == WAITED_OUT_MAX or code == "closed":
                return reply
            await self._pause(max(1.0, reply.retry_after_seconds))
        raise AssertionError

    def _request(self, method: str, path: str, headers: str, body: bytes = b"") -> bytes:
        place = f"X-Place-Token: {self._place}\r\n" if self._place else ""
        return self._shared.http.request(method, path, self._token, body, place + headers)

    async def _leave(self, outcome: str) -> NoReturn:
        """Give place and slot back, as one who closes the page after the news that all is sold."""
        with contextlib.suppress(Broken):
            await self._ask("leave", "DELETE", self._queue)
        raise VisitEnded(outcome)

    def _end(self, step: str, reply: Reply) -> NoReturn:
        code = _code(reply)
        self._shared.counted.outcome(step, code)
        if reply.status in (400, 401, 403, 405, 413, 415, 422) or reply.status < 400:
            raise Broken(f"{step}: HTTP {reply.status} {code}")
        raise VisitEnded(code)

    async def _think(self, share: float, seconds_max: float = float("inf")) -> None:
        seconds = 0.0 if self._shared.is_quick else self._shared.plan.think_seconds * share * self._pace
        if seconds:
            await asyncio.sleep(min(seconds, seconds_max))

    async def _pause(self, seconds: float) -> None:
        await asyncio.sleep(min(seconds, RETRY_SECONDS_MAX) * (1 + self._chance.random() / 4))

    @contextlib.contextmanager
    def _at(self, stage: str) -> Any:
        self._shared.counted.now[stage] += 1
        try:
            yield
        finally:
            self._shared.counted.now[stage] -= 1

    @property
    def _queue(self) -> str:
        return f"/api/queue/{self._shared.plan.event_id}"


def _code(reply: Reply) -> str:
    with contextlib.suppress(Broken):
        return str(reply.document().get("code", reply.status))
    return str(reply.status)


def _drop(chunk: bytes | None) -> None:
    """What a fan's page would draw."""


def _seat(named: dict[str, Any]) -> Seat:
    return named["ticketTypeId"], named["rowNumber"], named["seatNumber"]
