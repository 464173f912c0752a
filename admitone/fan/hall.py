"""How fans choose seats: from one hall that is kept up for all fans of a process, or by a request at each choice."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import random
from typing import Any, Final, NamedTuple, Protocol

import msgspec

from admitone.fan.calls import Calls, UnexpectedAnswer
from admitone.fan.http import Broken
from admitone.fan.seats import Seat
from admitone.fan.sse import EventParser, StreamTooLong

GUESSES_MAX: Final = 40
FRONT_ROWS: Final = 3
"""A fan that wants the front chooses from this many of the first rows that have enough free seats."""

_Taken = list[tuple[int, int, int, str]]


class Choice(NamedTuple):
    """Seats that looked free. With ``is_best`` the fan lets the server choose as many seats of their ticket type."""

    seats: list[Seat]
    is_best: bool


class Choosing(Protocol):
    """A way to choose seats."""

    async def choose(self, calls: Calls, count: int, *, is_best: bool, front: bool, since: str) -> Choice | None:
        """Up to ``count`` seats; None if none looks free. ``since`` is the query (``?minVersion=…``) of a read that
        must be fresh.

        Raises:
            UnexpectedAnswer: the hall could not be read.
        """

    def taken(self, seats: list[Seat]) -> None:
        """Note that these seats are taken: a fan got them, or was refused because another fan has them."""


class _Change(msgspec.Struct):
    version: int
    seats: _Taken = []
    taken: _Taken = []


_decode_change = msgspec.json.Decoder(_Change).decode


class Hall:
    """The free seats of an event, kept up to date by ``GET …/seats`` and the frames of ``GET …/live``."""

    def __init__(self, chance: random.Random, *, front_rows: int = FRONT_ROWS) -> None:
        self._chance = chance
        self._front_rows = front_rows
        self._rows: list[tuple[int, int, tuple[int, ...]]] = []
        self._free: list[set[int]] = []
        self._index: dict[tuple[int, int], int] = {}
        self.version = -1

    def read(self, seats: dict[str, Any]) -> None:
        """Take in the answer of ``GET …/seats``."""
        self._rows = [
            (section["ticketTypeId"], row["rowNumber"], tuple(sorted(row["seatNumbers"])))
            for section in seats["sections"]
            for row in section["rows"]
        ]
        self._index = {(ticket_type_id, row): at for at, (ticket_type_id, row, _) in enumerate(self._rows)}
        self._restart(seats["taken"], seats.get("version", 0))

    def change(self, event: str, data: str) -> None:
        """Take in a frame of the live stream: a ``snapshot``, which replaces all that was known, or a change."""
        if event not in ("snapshot", "seats"):
            return
        change = _decode_change(data)
        if event == "snapshot":
            self._restart(change.taken, change.version)
        elif change.version > self.version:
            self.version = change.version
            for ticket_type_id, row, number, status in change.seats:
                if status != "available":
                    self._take((ticket_type_id, row, number))
                elif (at := self._index.get((ticket_type_id, row))) is not None:
                    self._free[at].add(number)

    def _restart(self, taken: _Taken, version: int) -> None:
        self._free = [set(numbers) for _, _, numbers in self._rows]
        for ticket_type_id, row, number, _ in taken:
            self._take((ticket_type_id, row, number))
        self.version = version

    def taken(self, seats: list[Seat]) -> None:
        for seat in seats:
            self._take(seat)

    async def choose(self, calls: Calls, count: int, *, is_best: bool, front: bool, since: str) -> Choice | None:
        seats = self.free_seats(count, front=front)
        return Choice(seats, is_best) if seats else None

    @property
    def free(self) -> int:
        """How many seats look free."""
        return sum(map(len, self._free))

    def free_seats(self, count: int, *, front: bool) -> list[Seat]:
        """``count`` seats side by side, fewer where no row has so many; none if no seat is free.

        Each run of free seats is equally likely, so that fans want the same seats no more often than people do.
        """
        for wanted in range(count, 0, -1):
            rows = (at for at, free in enumerate(self._free) if len(free) >= wanted)
            if front and (chosen := self._run_in(list(itertools.islice(rows, self._front_rows)), wanted)):
                return chosen
            if not front and (chosen := self._guess(wanted)):
                return chosen
            if chosen := self._run_in(list(rows), wanted):
                return chosen
        return []

    def _guess(self, count: int) -> list[Seat]:
        """A run of free seats at a random spot. This is the quickest way while many seats are free."""
        for _ in range(GUESSES_MAX if self._rows else 0):
            at = int(self._chance.random() * len(self._rows))
            ticket_type_id, row, numbers = self._rows[at]
            start = int(self._chance.random() * (len(numbers) // count)) * count
            chosen = numbers[start : start + count]
            if len(chosen) == count and self._free[at].issuperset(chosen):
                return [(ticket_type_id, row, number) for number in chosen]
        return []

    def _run_in(self, rows: list[int], count: int) -> list[Seat]:
        """A run of free seats in one of these rows."""
        while rows:
            (at,) = self._chance.choices(rows, [len(self._free[at]) for at in rows])
            ticket_type_id, row, numbers = self._rows[at]
            # Runs that begin at multiples of their length leave no single seats between them.
            for step in (count, 1):
                runs = [numbers[start : start + count] for start in range(0, len(numbers) - count + 1, step)]
                if free := [run for run in runs if self._free[at].issuperset(run)]:
                    return [(ticket_type_id, row, number) for number in self._chance.choice(free)]
            rows.remove(at)
        return []

    def _take(self, seat: Seat) -> None:
        at = self._index.get(seat[:2])
        if at is not None:
            self._free[at].discard(seat[2])


async def watch(hall: Hall, calls: Calls, event_id: int) -> None:
    """Keep ``hall`` up to date until cancelled: read it, follow its changes, and read it again when the stream ends."""
    while True:
        with contextlib.suppress(Broken, UnexpectedAnswer, KeyError, TypeError):
            hall.read((await calls.ask("hall", "GET", f"/api/events/{event_id}/seats")).document())
            await _follow(hall, calls, event_id)
        await asyncio.sleep(1)


async def _follow(hall: Hall, calls: Calls, event_id: int) -> None:
    parser, ended = EventParser(), asyncio.Event()

    def on_chunk(chunk: bytes | None) -> None:
        try:
            for event in parser.feed(chunk) if chunk is not None else ():
                hall.change(event.event, event.data)
        except (StreamTooLong, ValueError, msgspec.MsgspecError):
            ended.set()
        if chunk is None:
            ended.set()

    reply, stream = await calls.open(f"/api/events/{event_id}/live", on_chunk)
    if reply.status == 200:
        try:
            await ended.wait()
        finally:
            stream.close()


class AskedHall:
    """Asks the gateway at each choice: for the whole map, or for the number of free seats of each ticket type."""

    def __init__(self, event_id: int, chance: random.Random) -> None:
        self._event_id = event_id
        self._chance = chance

    async def choose(self, calls: Calls, count: int, *, is_best: bool, front: bool, since: str) -> Choice | None:
        if not is_best:
            hall = Hall(self._chance)
            hall.read(await self._read(calls, "seats", f"/api/events/{self._event_id}/seats{since}"))
            return await hall.choose(calls, count, is_best=False, front=front, since=since)
        call = await self._read(calls, "initial_call", f"/api/initial-call/{self._event_id}{since}")
        available = [ticket_type for ticket_type in call["tickets"] if ticket_type["availableCount"] > 0]
        if not available:
            return None
        ticket_type = self._chance.choice(available)
        seats = [(ticket_type["ticketTypeId"], 0, 0)] * min(count, ticket_type["availableCount"])
        return Choice(seats, is_best=True)

    def taken(self, seats: list[Seat]) -> None:
        """Do nothing, because the next choice asks again."""

    async def _read(self, calls: Calls, step: str, path: str) -> dict[str, Any]:
        reply = await calls.ask(step, "GET", path)
        if reply.status != 200:
            raise UnexpectedAnswer(f"{step}: HTTP {reply.status} {reply.code}")
        return reply.document()
