"""One simulated fan, from the session to the ticket, by the public API alone (api.md)."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import random
import time
import uuid
from collections.abc import AsyncGenerator
from typing import Any, Literal, NoReturn
from urllib.parse import quote

import aiohttp
import msgspec

from db.audit.ledger import LedgerLine

from .captcha import CaptchaSolver
from .client import FanClient, Reply, UnexpectedAnswer, retry_after_seconds
from .ledger import Ledger
from .plan import CrowdPlan
from .report import Tally
from .sse import EventParser, StreamEvent, StreamTooLong

RESERVE_TRIES_MAX = 6
CAPTCHA_TRIES_MAX = 3
LOST_TRIES_MAX = 3
JOB_POLLS_MAX = 20
JOB_WAIT_SECONDS = 5
STREAM_SILENCE_SECONDS_MAX = 60.0
STREAM_FAILURES_MAX = 10
EVENTS_BEFORE_LEAVING_MAX = 5
STATES_IN_LINE = ("lobby", "waiting", "called", "admitted")

HONEST_REFUSALS = frozenset(
    {
        "seats_taken",
        "no_block",
        "sold_out",
        "limit_exceeded",
        "not_admitted",
        "not_on_sale",
        "hold_expired",
        "payment_failed",
        "captcha_failed",
        "captcha_unavailable",
        "timed_out",
        "overloaded",
        "unavailable",
    }
)
"""What a fan who does everything right can be told by a booking command; all else is an error."""

Kind = Literal["reserve", "checkout", "release"]
Seat = tuple[int, int, int]


class VisitEnded(Exception):  # noqa: N818 - most visits end without any error
    """The visit is over; the message is its outcome."""


class _Hold(msgspec.Struct, frozen=True, rename="camel"):
    reservation_id: str
    total_amount: int
    seats: list[dict[str, Any]]


class Fan:
    """A visit. Its choices come from the plan's seed and its number, so that a crowd can be repeated."""

    def __init__(
        self,
        number: int,
        plan: CrowdPlan,
        session: aiohttp.ClientSession,
        solver: CaptchaSolver,
        ledger: Ledger,
        tally: Tally,
    ) -> None:
        self._plan = plan
        self._rng = random.Random(f"{plan.seed}:{number}")  # noqa: S311 - behaviour, no secret
        self._client = FanClient(session, plan.base_url, tally, self._rng)
        self._solver = solver
        self._ledger = ledger
        self._tally = tally
        self._user_id = 0
        self._place_token = ""
        self._position: int | None = None
        self._leaves_after = (
            self._rng.randint(1, EVENTS_BEFORE_LEAVING_MAX) if self._chance(plan.abandon_in_line) else 0
        )
        self._seats_wanted = self._rng.randint(1, plan.seats_per_fan)
        self._version = 0

    async def visit(self) -> str:
        """Go the whole way; gives how it ended, e.g. ``bought``, ``sold_out``, ``left_line``, ``error``."""
        try:
            with self._tally.at("session"):
                await self._start_session()
            with self._tally.at("line"):
                await self._stand_in_line()
            await self._think()
            with self._tally.at("reserve"):
                hold = await self._hold_seats()
            await self._think()
            with self._tally.at("checkout"):
                await self._give_up_or_buy(hold)
        except VisitEnded as ended:
            return str(ended)
        except UnexpectedAnswer as unexpected:
            self._tally.error(str(unexpected))
            return "error"
        return "bought"

    async def _start_session(self) -> None:
        reply = await self._client.call("session", "POST", "/api/session")
        if reply.status != 201:
            self._end("session", reply)
        self._user_id = int(reply.body["userId"])
        self._client.headers["Authorization"] = f"Bearer {reply.body['token']}"

    # The line.

    async def _stand_in_line(self) -> None:
        reply = await self._join()
        self._place_token = str(reply.body.get("token") or "")
        if self._place_token:
            self._client.headers["X-Place-Token"] = self._place_token
        self._tally.outcome("join", str(reply.body["state"]))
        if await self._is_let_in(reply.body):
            return
        failures = 0
        while True:
            parser = EventParser()
            try:
                async with contextlib.aclosing(self._stream(parser)) as events:
                    async for event in events:
                        failures = 0
                        if await self._is_let_in_by(event):
                            return
            except (aiohttp.ClientError, TimeoutError, StreamTooLong) as error:
                failures += 1
                self._tally.error(f"stream: {type(error).__name__}")
            if failures >= STREAM_FAILURES_MAX:
                raise UnexpectedAnswer(f"stream: {failures} failures in a row")
            await self._client.pause((parser.retry_ms or 1000) / 1000 * 1.5**failures)
            reply = await self._client.call("place", "GET", self._queue_path)
            if reply.status != 200:
                self._end("line", reply)
            if await self._is_let_in(reply.body):
                return

    async def _join(self) -> Reply:
        body: dict[str, str] | None = None
        for _ in range(CAPTCHA_TRIES_MAX):
            reply = await self._client.call("join", "POST", self._queue_path, body=body)
            if reply.status in (200, 201):
                return reply
            if reply.code not in ("captcha_required", "captcha_failed"):
                break
            self._tally.outcome("join", reply.code)
            token = await self._solver.token(self._client)
            body = {"captchaToken": token} if token else None
        return self._end("join", reply)

    async def _stream(self, parser: EventParser) -> AsyncGenerator[StreamEvent]:
        path = f"{self._queue_path}/stream?token={quote(self._place_token)}"
        async with self._client.open_stream(path, silence_seconds_max=STREAM_SILENCE_SECONDS_MAX) as response:
            if response.status in (429, 503):
                wait_seconds = retry_after_seconds("stream", response) or 1
                self._tally.wait("stream", str(response.status))
                response.close()
                await self._client.pause(wait_seconds)
                return
            if response.status == 404:
                # No longer in line; the poll that follows says why.
                self._tally.outcome("stream", "not_in_line")
                return
            if response.status != 200 or response.content_type != "text/event-stream":
                raise UnexpectedAnswer(f"stream: HTTP {response.status} {response.content_type}")
            async for chunk in response.content.iter_any():
                for event in parser.feed(chunk):
                    self._tally.outcome("stream", event.event)
                    if event.event == "bye":
                        return
                    yield event
            self._tally.outcome("stream", "closed_without_bye")

    async def _is_let_in_by(self, event: StreamEvent) -> bool:
        try:
            data = msgspec.json.decode(event.data, type=dict[str, Any])
        except (msgspec.MsgspecError, ValueError):
            raise UnexpectedAnswer(f"stream: {event.event} without a JSON object") from None
        match event.event:
            case "place":
                if data["state"] not in STATES_IN_LINE:
                    raise VisitEnded(str(data["state"]))
                self._note_position(data.get("position"))
                if self._leaves_after:
                    self._leaves_after -= 1
                    if not self._leaves_after:
                        await self._leave("left_line", silently=self._chance(0.5))
                return False
            case "called":
                return await self._claim()
            case "admitted":
                return self._take_pass(data)
            case "sold_out" | "closed":
                raise VisitEnded(event.event)
            case "message":
                return False
            case other:
                self._tally.error(f"stream: event {other!r}")
                return False

    async def _is_let_in(self, place: dict[str, Any]) -> bool:
        if place["roomState"] == "off":
            return True
        match place["state"]:
            case "admitted":
                return self._take_pass(place)
            case "called":
                return await self._claim()
            case "waiting" | "lobby":
                self._note_position(place.get("position"))
                return False
            case ended:
                raise VisitEnded(str(ended))

    async def _claim(self) -> bool:
        if self._chance(self._plan.abandon_after_call):
            raise VisitEnded("abandoned_call")
        reply = await self._client.call("claim", "POST", f"{self._queue_path}/claim")
        if reply.code == "not_called":
            self._tally.outcome("claim", reply.code)
            return False
        if reply.status != 200:
            self._end("claim", reply)
        self._tally.outcome("claim", "admitted")
        return self._take_pass(reply.body)

    def _take_pass(self, body: dict[str, Any]) -> bool:
        if body.get("pass"):
            self._client.headers["X-Admission-Pass"] = str(body["pass"])
        return True

    def _note_position(self, position: int | None) -> None:
        if position is None:
            return
        if self._position is not None and position > self._position:
            self._tally.violation(f"fan {self._user_id}: position rose from {self._position} to {position}")
        self._position = position

    # Seats.

    async def _hold_seats(self) -> _Hold:
        for attempt in range(RESERVE_TRIES_MAX):
            body, count, asked = await self._choose()
            if body is None:
                self._tally.outcome("reserve", "none_free")
                await self._client.pause(1 + attempt)
                continue
            job = await self._command("reserve", "POST", "/api/reserve", body)
            if job.status == "succeeded":
                hold = msgspec.convert(job.result, _Hold)
                if len(hold.seats) != count or (asked and sorted(map(_seat, hold.seats)) != sorted(asked)):
                    self._tally.violation(f"job {job.job_id} holds other seats than were asked for")
                return hold
            if job.code == "no_block":
                self._seats_wanted = max(1, self._seats_wanted - 1)
            if job.code == "sold_out":
                await self._leave("sold_out")
            if job.code not in ("seats_taken", "no_block", "timed_out"):
                await self._leave(str(job.code))
        return await self._leave("no_seats")

    async def _choose(self) -> tuple[dict[str, Any] | None, int, list[Seat]]:
        """A reserve body for seats that looked free (None if none did), how many, and those named."""
        event = self._plan.event_id
        since = self._since
        if self._chance(self._plan.best_available):
            reply = await self._client.call("initial_call", "GET", f"/api/initial-call/{event}{since}")
            if reply.status != 200:
                self._end("initial_call", reply)
            types = [ticket for ticket in reply.body["tickets"] if ticket["availableCount"] > 0]
            if not types:
                return None, 0, []
            ticket = self._rng.choice(types)
            quantity = min(self._seats_wanted, ticket["availableCount"])
            wanted = {"ticketTypeId": ticket["ticketTypeId"], "quantity": quantity}
            return {"eventId": event, "bestAvailable": wanted}, quantity, []
        reply = await self._client.call("seats", "GET", f"/api/events/{event}/seats{since}")
        if reply.status != 200:
            self._end("seats", reply)
        rows = free_rows(reply.body)
        if not rows:
            return None, 0, []
        fitting = [row for row in rows if len(row) >= self._seats_wanted] or rows
        row = self._rng.choice(fitting)
        count = min(self._seats_wanted, len(row))
        start = self._rng.randint(0, len(row) - count)
        chosen = row[start : start + count]
        return {"eventId": event, "seatDetails": seat_details(chosen)}, count, chosen

    async def _give_up_or_buy(self, hold: _Hold) -> None:
        whim = self._rng.random()
        if whim < self._plan.abandon_hold:
            raise VisitEnded("abandoned_hold")
        if whim < self._plan.abandon_hold + self._plan.release_hold:
            path = f"/api/reservations/{hold.reservation_id}?eventId={self._plan.event_id}"
            job = await self._command("release", "DELETE", path, None)
            await self._leave("released" if job.status == "succeeded" else str(job.code))
        await self._buy(hold)

    async def _buy(self, hold: _Hold) -> None:
        body = {"eventId": self._plan.event_id, "reservationId": hold.reservation_id}
        key = uuid.uuid4().hex
        for _ in range(CAPTCHA_TRIES_MAX):
            token = await self._solver.token(self._client)
            sent = body if token is None else {**body, "captchaToken": token}
            job = await self._command("checkout", "POST", "/api/checkout", sent, key)
            if job.code not in ("captcha_failed", "timed_out"):
                break
            # A timed-out command changed nothing and stays so: another try is another command.
            key = uuid.uuid4().hex if job.code == "timed_out" else key
        if job.status != "succeeded":
            raise VisitEnded(job.code)
        purchase_id = str((job.result or {})["purchaseId"])
        path = f"/api/purchases/{purchase_id}{self._since}"
        reply = await self._client.call("purchase", "GET", path)
        if reply.status != 200:
            raise UnexpectedAnswer(f"purchase: HTTP {reply.status} {reply.code} after its checkout")
        bought = sorted(_seat(detail) for detail in reply.body["details"])
        if bought != sorted(map(_seat, hold.seats)) or reply.body["totalAmount"] != hold.total_amount:
            self._tally.violation(f"purchase {purchase_id} is not what was held")
        self._tally.bought(purchase_id, bought)

    # Commands.

    async def _command(self, kind: Kind, method: str, path: str, body: object, key: str | None = None) -> LedgerLine:
        """Send a booking command, wait for its final answer and write it down.

        A refusal before any job has no ``job_id`` and is not an answer of the booking engine: it is returned
        and not written.
        """
        headers = {"Prefer": f"wait={JOB_WAIT_SECONDS}", "Idempotency-Key": key or uuid.uuid4().hex}
        started = time.perf_counter()
        for _ in range(LOST_TRIES_MAX):
            reply = await self._client.call(kind, method, path, body=body, headers=headers)
            if reply.status == 202 and reply.body["status"] != "queued":
                raise UnexpectedAnswer(f"{kind}: HTTP 202 for a finished job")
            if reply.status in (200, 202):
                reply = await self._final(kind, reply)
            # The contract's own cure for a job that Redis lost: the same key again.
            if reply.code != "unknown_job":
                break
        self._tally.latency(f"{kind}_result", time.perf_counter() - started)
        status: Literal["succeeded", "failed"] = "failed"
        result: dict[str, Any] | None = None
        if reply.status == 200:
            status = reply.body["status"]
            result = reply.body.get("result") if status == "succeeded" else None
            code = None if status == "succeeded" else str(reply.body["problem"]["code"])
        else:
            code = reply.code
        if result is not None:
            self._version = max(self._version, int(result.get("version", 0)))
        line = LedgerLine(
            at=dt.datetime.now(dt.UTC),
            user_id=self._user_id,
            event_id=self._plan.event_id,
            kind=kind,
            job_id=uuid.UUID(reply.body["jobId"]) if "jobId" in reply.body else None,
            status=status,
            result=result,
            code=code,
        )
        if line.job_id is not None:
            self._ledger.write(line)
        self._tally.outcome(kind, code or status)
        if code is not None and code not in HONEST_REFUSALS:
            raise UnexpectedAnswer(f"{kind}: {code}")
        return line

    async def _final(self, kind: Kind, reply: Reply) -> Reply:
        job_path = f"/api/jobs/{reply.body['jobId']}?wait={JOB_WAIT_SECONDS}"
        for _ in range(JOB_POLLS_MAX):
            if reply.status >= 400 or reply.body["status"] != "queued":
                return reply
            reply = await self._client.call("job", "GET", job_path)
        raise UnexpectedAnswer(f"{kind}: no final answer in {JOB_POLLS_MAX * JOB_WAIT_SECONDS} s")

    # Small things.

    async def _leave(self, outcome: str, *, silently: bool = False) -> NoReturn:
        """End the visit; unless silently, the place or slot is given back."""
        if not silently:
            reply = await self._client.call("leave", "DELETE", self._queue_path)
            if reply.status not in (204, 404):
                self._end("leave", reply)
        raise VisitEnded(f"{outcome}_silently" if silently else outcome)

    def _end(self, stage: str, reply: Reply) -> NoReturn:
        self._tally.outcome(stage, reply.code or str(reply.status))
        if reply.status in (400, 401, 405, 413, 415, 422) or reply.status < 400:
            raise UnexpectedAnswer(f"{stage}: HTTP {reply.status} {reply.code}")
        raise VisitEnded(reply.code)

    async def _think(self) -> None:
        if self._plan.think_seconds_max:
            await asyncio.sleep(self._rng.random() * self._plan.think_seconds_max)

    def _chance(self, probability: float) -> bool:
        return self._rng.random() < probability

    @property
    def _since(self) -> str:
        return f"?minVersion={self._version}" if self._version else ""

    @property
    def _queue_path(self) -> str:
        return f"/api/queue/{self._plan.event_id}"


def free_rows(seats: dict[str, Any]) -> list[list[Seat]]:
    """The free seats of ``GET /api/events/{id}/seats``, a list for each row that has any."""
    taken = {(ticket_type, row, seat) for ticket_type, row, seat, _ in seats["taken"]}
    rows = []
    for section in seats["sections"]:
        for row in section["rows"]:
            every = ((section["ticketTypeId"], row["rowNumber"], number) for number in row["seatNumbers"])
            free = [seat for seat in every if seat not in taken]
            if free:
                rows.append(free)
    return rows


def seat_details(seats: list[Seat]) -> list[dict[str, Any]]:
    """``seatDetails`` of seats that share their ticket type."""
    return [
        {
            "ticketTypeId": seats[0][0],
            "metaData": {"rowNumbers": [row for _, row, _ in seats], "seatNumbers": [n for *_, n in seats]},
        }
    ]


def _seat(named: dict[str, Any]) -> Seat:
    return named["ticketTypeId"], named["rowNumber"], named["seatNumber"]
