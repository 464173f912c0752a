"""A fan's time in line: join, follow the stream, claim when called."""

from __future__ import annotations

import asyncio
import random
import time
from typing import Final, NoReturn
from urllib.parse import quote

import msgspec

from admitone.fan.behaviour import HONEST_REFUSALS, Company, Tempo, VisitEnded
from admitone.fan.calls import CLOSED, Calls, UnexpectedAnswer
from admitone.fan.captcha import CAPTCHA_TRIES_MAX
from admitone.fan.http import Broken, Reply
from admitone.fan.sse import EventParser, StreamEvent, StreamTooLong

STREAM_FAILURES_MAX: Final = 10
EVENTS_BEFORE_LEAVING_MAX: Final = 5
IN_LINE: Final = ("lobby", "waiting")
STATES_IN_LINE: Final = (*IN_LINE, "called", "admitted")


class _Place(msgspec.Struct, rename={"room_state": "roomState", "admission": "pass"}):
    """A fan's standing, as a call answers it or an event of the stream says it."""

    state: str = ""
    room_state: str = ""
    position: int | None = None
    token: str | None = None
    admission: str | None = None


_decode_place = msgspec.json.Decoder(_Place).decode


class Line:
    """One fan's time in line. ``called_at`` is the monotonic clock at the last call."""

    __slots__ = (
        "_behaviour",
        "_calls",
        "_chance",
        "_company",
        "_counts",
        "_fault",
        "_has_pass",
        "_leaves_after",
        "_needs_no_pass",
        "_parser",
        "_path",
        "_place_token",
        "_position",
        "_said_bye",
        "_state",
        "_tempo",
        "_wake",
        "called_at",
        "user_id",
    )

    def __init__(self, company: Company, calls: Calls, chance: random.Random, tempo: Tempo) -> None:
        self._company = company
        self._behaviour = company.behaviour
        self._counts = company.counts
        self._calls = calls
        self._chance = chance
        self._tempo = tempo
        self._path = f"/api/queue/{company.behaviour.event_id}"
        leaves = self._happens(self._behaviour.leave_line)
        self._leaves_after = chance.randint(1, EVENTS_BEFORE_LEAVING_MAX) if leaves else 0
        self.user_id = 0
        self.called_at = 0.0
        self._place_token = ""
        self._position: int | None = None
        self._state = ""
        self._needs_no_pass = False
        self._has_pass = False
        self._parser = EventParser()
        self._wake = asyncio.Event()
        self._said_bye = False
        self._fault: UnexpectedAnswer | None = None

    async def join(self) -> None:
        final = CLOSED if self._behaviour.waits_for_line else CLOSED | {"line_full"}
        body: dict[str, str] | None = None
        for _ in range(CAPTCHA_TRIES_MAX):
            reply = await self._calls.ask("join", "POST", self._path, body=body, final=final)
            if reply.code not in ("captcha_required", "captcha_failed"):
                break
            self._counts.outcome("join", reply.code)
            token = await self._company.captcha.token(self._calls)
            body = {"captchaToken": token} if token else None
        if reply.status not in (200, 201):
            self.end("join", reply)
        place = msgspec.convert(reply.document(), _Place)
        self._place_token = place.token or ""
        if place.token:
            self._calls.headers += f"X-Place-Token: {place.token}\r\n"
        self._counts.outcome("join", place.state)
        self._note(place)

    async def get_in(self) -> None:
        """Wait for the call and claim it."""
        while True:
            await self._wait_for_call()
            self.called_at = time.monotonic()
            if self._needs_no_pass:
                return
            self._counts.called()
            if self._has_pass:
                self._counts.outcome("claim", "admitted")
                return
            if self._happens(self._behaviour.no_show):
                raise VisitEnded("abandoned_call")
            if seconds := self._tempo("notice"):
                await asyncio.sleep(seconds)
            if await self._claim():
                return
            await self._calls.pause(1)

    async def _claim(self) -> bool:
        reply = await self._calls.ask("claim", "POST", f"{self._path}/claim")
        if reply.code == "not_called" and self._behaviour.waits_for_line:
            self._counts.outcome("claim", reply.code)
            self._state = "waiting"
            return False
        if reply.status != 200:
            self.end("claim", reply)
        self._counts.outcome("claim", "admitted")
        self._take_pass(reply.document().get("pass"))
        return True

    async def _wait_for_call(self) -> None:
        """Follow the stream until the fan is called."""
        failures = 0
        while not self._is_called():
            pause_seconds = 1.0
            try:
                pause_seconds = await self._follow_stream()
                failures = 0
            except Broken as error:
                failures += 1
                self._counts.error(f"stream: {error}")
                if failures >= STREAM_FAILURES_MAX:
                    raise UnexpectedAnswer(f"stream: {failures} failures in a row") from None
            if self._is_called():
                return
            await self._calls.pause(pause_seconds * 1.5**failures)
            reply = await self._calls.ask("place", "GET", self._path)
            if reply.status != 200:
                self.end("line", reply)
            self._note(msgspec.convert(reply.document(), _Place))

    async def _follow_stream(self) -> float:
        """Read the stream until it ends or there is news to act on; gives how many seconds to wait before opening the
        next one.

        Raises:
            Broken: the stream was cut, or could not be opened.
        """
        self._wake.clear()
        self._parser = EventParser()
        self._said_bye = False
        reply, stream = await self._calls.open(f"{self._path}/stream?token={quote(self._place_token)}", self._on_chunk)
        if reply.status in (429, 503):
            self._counts.refused("stream", reply.code)
            return max(1.0, float(reply.retry_after or 1))
        if reply.status == 404:
            # The fan is no longer in line; the read that follows says why.
            self._counts.outcome("stream", "not_in_line")
            return 1.0
        if reply.status != 200 or reply.content_type != b"text/event-stream":
            stream.close()
            raise UnexpectedAnswer(f"stream: HTTP {reply.status} {reply.content_type.decode('latin-1')}")
        try:
            with self._counts.at("stream"):
                await self._wake.wait()
        finally:
            stream.close()
        if self._fault is not None:
            raise self._fault
        if self._leaves_after < 0:
            await self.leave("left_line", silently=self._happens(0.5))
        if self._state in IN_LINE and not self._said_bye:
            if stream.was_cut:
                raise Broken("cut")
            self._counts.outcome("stream", "closed_without_bye")
        return (self._parser.retry_ms or 1000) / 1000

    def _on_chunk(self, chunk: bytes | None) -> None:
        if chunk is None:
            self._wake.set()
            return
        try:
            for event in self._parser.feed(chunk):
                self._on_event(event)
        except StreamTooLong:
            self._fault = UnexpectedAnswer("stream: StreamTooLong")
        except (ValueError, msgspec.MsgspecError):
            self._fault = UnexpectedAnswer("stream: an event without its JSON object")
        if self._fault is not None or self._said_bye or self._leaves_after < 0 or self._state not in IN_LINE:
            self._wake.set()

    def _on_event(self, event: StreamEvent) -> None:
        name = event.event
        self._counts.outcome("stream", name)
        if name == "place":
            self._note(_decode_place(event.data))
            if self._leaves_after:
                self._leaves_after -= 1
                if not self._leaves_after:
                    self._leaves_after = -1
        elif name in ("called", "admitted"):
            self._state = name
            self._take_pass(_decode_place(event.data).admission)
        elif name in ("sold_out", "closed"):
            self._state = name
        elif name == "bye":
            self._said_bye = True
        elif name not in ("message", "beat"):
            self._counts.error(f"stream: event {name!r}")

    def _note(self, place: _Place) -> None:
        if not place.state:
            raise ValueError("a place without its state")
        self._state = place.state
        self._needs_no_pass = place.room_state == "off"
        position = place.position
        if position is not None:
            if self._position is not None and position > self._position:
                self._counts.violation(f"fan {self.user_id}: position rose from {self._position} to {position}")
            self._position = position
        if place.admission:
            self._take_pass(place.admission)

    def _is_called(self) -> bool:
        """Whether the fan is called, or needs no call.

        Raises:
            VisitEnded: no call can come any more.
        """
        if self._needs_no_pass:
            return True
        if self._state not in STATES_IN_LINE:
            raise VisitEnded(self._state)
        return self._state not in IN_LINE

    def _take_pass(self, admission: str | None) -> None:
        if admission and not self._has_pass:
            self._has_pass = True
            self._calls.headers += f"X-Admission-Pass: {admission}\r\n"

    async def leave(self, outcome: str, *, silently: bool = False) -> NoReturn:
        """End the visit; unless ``silently``, give the place or the slot back."""
        if silently:
            raise VisitEnded(f"{outcome}_silently")
        reply = await self._calls.ask("leave", "DELETE", self._path)
        if reply.status not in (204, 404):
            self.end("leave", reply)
        raise VisitEnded(outcome)

    def end(self, step: str, reply: Reply) -> NoReturn:
        """End the visit at a refusal. The visit's outcome is the code, or an error if a fan who does everything right
        cannot be refused so.
        """
        code = reply.code
        self._counts.outcome(step, code or str(reply.status))
        is_honest = reply.status in (402, 403, 404, 409, 429, 503)
        if reply.status == 403 and code not in HONEST_REFUSALS:
            is_honest = False
        if not is_honest:
            raise UnexpectedAnswer(f"{step}: HTTP {reply.status} {code}")
        raise VisitEnded(code)

    def _happens(self, share: float) -> bool:
        return self._chance.random() < share
