"""What a fan does, from the session to the ticket, by the public API alone."""

from __future__ import annotations

import asyncio
import os
import random
import time
from typing import Any, Final

import msgspec

from admitone.fan.behaviour import HONEST_REFUSALS, Company, Moment, VisitEnded
from admitone.fan.calls import Calls, UnexpectedAnswer
from admitone.fan.captcha import CAPTCHA_TRIES_MAX
from admitone.fan.http import Broken, HttpClient, Reply, Stream
from admitone.fan.ledger import Kind, line_of
from admitone.fan.line import Line
from admitone.fan.seats import seat_details, seats_of

LOST_TRIES_MAX: Final = 3
JOB_POLLS_MAX: Final = 20
JOB_WAIT_SECONDS: Final = 5
NONE_FREE_SECONDS_MAX: Final = 8
SIGN_SECONDS: Final = 10.0


class _Hold(msgspec.Struct, frozen=True, rename="camel"):
    reservation_id: str
    total_amount: int
    seats: list[dict[str, Any]]


class Fan:
    """One fan and its visit. Its choices depend on the behaviour's seed and its number alone, so that a plan can be
    repeated.
    """

    __slots__ = (
        "_behaviour",
        "_calls",
        "_captcha_token",
        "_chance",
        "_company",
        "_counts",
        "_event_id",
        "_line",
        "_seats_wanted",
        "_tempo",
        "_version",
        "_wants_front",
    )

    def __init__(self, number: int, company: Company, client: HttpClient) -> None:
        behaviour = company.behaviour
        self._company = company
        self._behaviour = behaviour
        self._counts = company.counts
        self._event_id = behaviour.event_id
        self._chance = random.Random(f"{behaviour.seed}:{number}")  # noqa: S311 - behaviour, no secret
        self._calls = Calls(client, company.counts, self._chance, every_break_counts=behaviour.every_break_counts)
        self._tempo = company.tempo(self._chance)
        self._line = Line(company, self._calls, self._chance, self._tempo)
        self._seats_wanted = self._chance.randint(behaviour.seats_min, behaviour.seats_max)
        self._wants_front = self._happens(behaviour.front)
        self._captcha_token: str | None = None
        self._version = 0

    async def visit(self) -> str:
        """Make the whole visit. Counts and gives its end, e.g. ``bought``, ``sold_out``, ``left_line`` or ``error``."""
        how = "unfinished"
        self._counts.fans += 1
        try:
            how = await self._go()
        except VisitEnded as ended:
            how = str(ended)
        except (UnexpectedAnswer, Broken) as error:
            self._counts.error(str(error))
            how = "error"
        except (KeyError, TypeError, ValueError, msgspec.MsgspecError) as error:
            # A field that the contract promises is missing or has another type.
            self._counts.error(f"an answer's shape: {type(error).__name__} {str(error)[:80]}")
            how = "error"
        finally:
            self._counts.outcome("fan", how)
        return how

    async def _go(self) -> str:
        counts = self._counts
        with counts.at("session"):
            token, self._line.user_id = await self._company.session(self._calls)
            self._calls.headers = f"Authorization: Bearer {token}\r\n"
            await self._line.join()
            if self._behaviour.solves_early:
                self._captcha_token = await self._company.captcha.token(self._calls)
        with counts.at("line"):
            await self._line.get_in()
        if self._behaviour.idle and self._happens(self._behaviour.idle):
            raise VisitEnded("idle_inside")
        with counts.at("reserve"):
            hold = await self._choose_and_hold()
        await self._think("pay")
        with counts.at("checkout"):
            await self._give_up_or_buy(hold)
        return "bought"

    # -- the seats

    async def _choose_and_hold(self) -> _Hold:
        live = await self._look_at_map() if self._behaviour.looks_at_map else None
        try:
            await self._look_around(self._tempo("choose"))
            return await self._reserve()
        finally:
            if live is not None:
                live.close()

    async def _look_at_map(self) -> Stream | None:
        """Read the map and open its stream, only so that the gateway has the work that a page gives it: the seats are
        chosen from the hall that is kept up for all fans.
        """
        await self._calls.ask("seats", "GET", f"/api/events/{self._event_id}/seats")
        reply, stream = await self._calls.open(f"/api/events/{self._event_id}/live", _draw_nothing)
        if reply.status != 200:
            self._counts.outcome("live", reply.code or str(reply.status))
            return None
        return stream

    async def _look_around(self, seconds: float) -> None:
        """Think; a fan who looks at the map moves on its page, which tells the gateway so."""
        while seconds > SIGN_SECONDS and self._behaviour.looks_at_map:
            await asyncio.sleep(SIGN_SECONDS)
            seconds -= SIGN_SECONDS
            await self._calls.ask("choosing", "POST", f"/api/queue/{self._event_id}/choosing")
        if seconds > 0:
            await asyncio.sleep(seconds)

    async def _reserve(self) -> _Hold:
        company, counts = self._company, self._counts
        for attempt in range(self._behaviour.reserve_tries_max):
            choice = await company.hall.choose(
                self._calls,
                self._seats_wanted,
                is_best=not self._wants_front and self._happens(self._behaviour.best),
                front=self._wants_front,
                since=self._since,
            )
            if choice is None:
                counts.outcome("reserve", "none_free")
                await self._calls.pause(min(1 + attempt, NONE_FREE_SECONDS_MAX))
                continue
            seats = choice.seats
            body: dict[str, Any] = {"eventId": self._event_id}
            if choice.is_best:
                body["bestAvailable"] = {"ticketTypeId": seats[0][0], "quantity": len(seats)}
            else:
                body["seatDetails"] = seat_details(seats)
            code, answer = await self._command("reserve", "POST", "/api/reserve", body)
            if code == "captcha_required":
                # The page does so too: it proves that this fan is a person, and asks again.
                token = await company.captcha.token(self._calls)
                more = f"X-Captcha-Token: {token}\r\n"
                code, answer = await self._command("reserve", "POST", "/api/reserve", body, more=more)
            if not code:
                hold = msgspec.convert(answer, _Hold)
                held = seats_of(hold.seats)
                if len(held) != len(seats) or (not choice.is_best and held != sorted(seats)):
                    counts.violation(f"fan {self._line.user_id} holds other seats than were asked for")
                company.hall.taken(held)
                return hold
            if code == "seats_taken":
                company.hall.taken(seats_of(answer.get("seats", ())))
                # Half of the fans whose seats at the front were taken want any seats from now on.
                self._wants_front = self._wants_front and self._happens(0.5)
            elif code == "no_block":
                self._seats_wanted = max(1, self._seats_wanted - 1)
            elif code != "timed_out":
                await self._line.leave(code)
        return await self._line.leave("no_seats")

    async def _give_up_or_buy(self, hold: _Hold) -> None:
        behaviour, whim = self._behaviour, self._chance.random()
        if whim < behaviour.walk_away:
            raise VisitEnded("abandoned_hold")
        if whim < behaviour.walk_away + behaviour.release:
            path = f"/api/reservations/{hold.reservation_id}?eventId={self._event_id}"
            code, _ = await self._command("release", "DELETE", path, None)
            await self._line.leave(code or "released")
        bought = await self._check_out(hold)
        reply = await self._calls.ask("purchase", "GET", f"/api/purchases/{bought['purchaseId']}{self._since}")
        if reply.status != 200:
            raise UnexpectedAnswer(f"purchase: HTTP {reply.status} {reply.code} after its checkout")
        ticket = reply.document()
        seats = seats_of(ticket["details"])
        if seats != seats_of(hold.seats) or ticket["totalAmount"] != hold.total_amount:
            self._counts.violation(f"purchase {bought['purchaseId']} is not what was held")
        self._counts.bought(str(bought["purchaseId"]), seats, time.monotonic() - self._line.called_at)

    async def _check_out(self, hold: _Hold) -> dict[str, Any]:
        body = {"eventId": self._event_id, "reservationId": hold.reservation_id}
        key = new_key()
        for _ in range(CAPTCHA_TRIES_MAX):
            token = self._captcha_token or await self._company.captcha.token(self._calls)
            self._captcha_token = None
            sent = body if token is None else {**body, "captchaToken": token}
            code, answer = await self._command("checkout", "POST", "/api/checkout", sent, key)
            if not code:
                return answer
            if code not in ("captcha_failed", "timed_out"):
                break
            # The outcome of a command that timed out does not change, so another try needs another key.
            key = new_key() if code == "timed_out" else key
        return await self._line.leave(code)

    async def _command(
        self, kind: Kind, method: str, path: str, body: object, key: str = "", more: str = ""
    ) -> tuple[str, dict[str, Any]]:
        """Send a booking command, wait for its final answer and write it into the ledger.

        Gives the problem's code and the problem, or an empty code and the result. A refusal before there is a job is no
        answer of the booking engine, so the ledger has no line for it.
        """
        headers = f"Prefer: wait={JOB_WAIT_SECONDS}\r\nIdempotency-Key: {key or new_key()}\r\n{more}"
        began = time.perf_counter()
        for _ in range(LOST_TRIES_MAX):
            reply = await self._calls.ask(kind, method, path, body=body, headers=headers)
            if reply.status == 202 and reply.document()["status"] != "queued":
                raise UnexpectedAnswer(f"{kind}: HTTP 202 for a finished job")
            if reply.status in (200, 202):
                reply = await self._finished(kind, reply)
            # If Redis lost the job, the contract has clients send the same key again.
            if reply.code != "unknown_job":
                break
        self._counts.wait(f"{kind}_result", time.perf_counter() - began)
        code, answer = reply.code, reply.document()
        if reply.status == 200:
            line = line_of(kind, self._line.user_id, self._event_id, answer)
            self._company.ledger.write(line)
            code = line.code or ""
            answer = answer["problem"] if code else answer["result"]
            self._version = max(self._version, answer.get("version", 0))
        self._counts.outcome(kind, code or "succeeded")
        if code and code not in HONEST_REFUSALS:
            raise UnexpectedAnswer(f"{kind}: {code}")
        return code, answer

    async def _finished(self, kind: Kind, reply: Reply) -> Reply:
        path = f"/api/jobs/{reply.document()['jobId']}?wait={JOB_WAIT_SECONDS}"
        for _ in range(JOB_POLLS_MAX):
            if reply.status >= 400 or reply.document()["status"] != "queued":
                return reply
            reply = await self._calls.ask("job", "GET", path)
        raise UnexpectedAnswer(f"{kind}: no final answer in {JOB_POLLS_MAX * JOB_WAIT_SECONDS} s")

    # -- small things

    async def _think(self, moment: Moment) -> None:
        seconds = self._tempo(moment)
        if seconds > 0:
            await asyncio.sleep(seconds)

    def _happens(self, share: float) -> bool:
        return self._chance.random() < share

    @property
    def _since(self) -> str:
        return f"?minVersion={self._version}" if self._version else ""


async def start_session(calls: Calls) -> tuple[str, int]:
    """A session of the site's own, as a new browser gets one: its token and the user id.

    Raises:
        UnexpectedAnswer: the gateway gave none.
    """
    reply = await calls.ask("session", "POST", "/api/session")
    if reply.status != 201:
        raise UnexpectedAnswer(f"session: HTTP {reply.status} {reply.code}")
    session = reply.document()
    return str(session["token"]), int(session["userId"])


def _draw_nothing(chunk: bytes | None) -> None:
    """Take a change of the map, which a page would draw."""


def new_key() -> str:
    """A new Idempotency-Key."""
    return os.urandom(16).hex()
