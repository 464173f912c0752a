"""A fan's view of the hall: which pairs of seats look free, kept up by the event's live stream."""

from __future__ import annotations

import random

import msgspec

from bench import fans
from bench.client import Address, Loop, connect, request

FRONT_PAIRS = 200
RECV_BYTES = 1_048_576


class _Change(msgspec.Struct):
    seats: list[tuple[int, int, int, str]] = []
    taken: list[tuple[int, int, int, str]] = []


_decode = msgspec.json.Decoder(_Change).decode


class HallView:
    """Pairs of neighbouring seats (`bench.fans.pairs`), the best rows first."""

    def __init__(self, seats: int, chance: random.Random) -> None:
        self._order = list(fans.pairs(seats))
        self._free = list(self._order)
        self._index = {pair: number for number, pair in enumerate(self._free)}
        self._front = 0
        self._chance = chance

    def choose(self, *, front: bool) -> fans.Pair | None:
        """A pair that looks free: any of them, or one of the FRONT_PAIRS best. None if none does."""
        if not self._free:
            return None
        if not front:
            return self._chance.choice(self._free)
        best: list[fans.Pair] = []
        number = self._front
        while len(best) < FRONT_PAIRS and number < len(self._order):
            if self._order[number] in self._index:
                best.append(self._order[number])
            elif not best:
                self._front = number
            number += 1
        return self._chance.choice(best)

    def take(self, pair: fans.Pair) -> None:
        """It is taken."""
        number = self._index.pop(pair, None)
        if number is not None:
            last = self._free.pop()
            if last != pair:
                self._free[number] = last
                self._index[last] = number

    def give(self, pair: fans.Pair) -> None:
        """It is free again."""
        if pair not in self._index:
            self._index[pair] = len(self._free)
            self._free.append(pair)
            self._front = 0

    def change(self, data: bytes) -> None:
        """A snapshot's or a delta's JSON."""
        change = _decode(data)
        for block, row, seat, status in (*change.seats, *change.taken):
            pair = (block, row, seat - (seat - 1) % 2)
            if status == "available":
                self.give(pair)
            else:
                self.take(pair)


class LiveStream:
    """The event's live stream, read into a view; reopened when the server ends it."""

    def __init__(self, loop: Loop, address: Address, event_id: int, view: HallView) -> None:
        self._loop = loop
        self._address = address
        self._request = request("GET", f"/api/events/{event_id}/live", "Accept: text/event-stream")
        self._view = view
        self._buffer = b""
        self._open()

    def _open(self) -> None:
        self._socket = connect(self._address, "")
        self._loop.add(self._socket, self._on_ready)
        self._socket.send(self._request)

    def _on_ready(self) -> None:
        try:
            data = self._socket.recv(RECV_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._loop.remove(self._socket)
            self._socket.close()
            self._buffer = b""
            self._open()
            return
        # A frame is one chunk of the body, so that the chunks' lengths stand between frames.
        *frames, self._buffer = (self._buffer + data).split(b"\n\n")
        for one in frames:
            at = one.find(b"\ndata: ")
            if at >= 0 and b"event: bye" not in one:
                self._view.change(one[at + 7 :])
