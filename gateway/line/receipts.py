"""The public facts of draws, which anybody can verify, and fans' own receipts with the proof of their part."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Final, Literal

from sqlalchemy.ext.asyncio import AsyncEngine

from db.connections.old_reads import OldReads
from db.draws.draws import HASHES_MAX, DrawRow, draw_row, drawn_number, fan_hashes
from gateway.contract.line import DrawAnswer, DrawList, DrawProof, Receipt, ReceiptEntry
from gateway.line.counts import Counts
from gateway.line.moments import from_ms
from gateway.line.places import Places
from gateway.line.registry import RoomRegistry
from gateway.wire.addresses import below
from waiting_room.draw import draw_value, fan_hash
from waiting_room.line import Line
from waiting_room.model import Noted, RoomCounts
from waiting_room.receipts import DRAWN, REASONS

RULE: Final = (
    "Places are in the order of drawValue = HMAC-SHA256(key = seed as 32 bytes, message = fanHash as 32 lowercase "
    "hexadecimal digits), compared byte by byte; equal ones by fanHash. SHA-256(seed) = seedHash."
)
State = Literal["early", "open", "drawing", "drawn"]


@dataclass(frozen=True, slots=True)
class EventDraw:
    """The draw of an event's lobby, and how far it has come."""

    row: DrawRow
    counts: RoomCounts
    state: State

    @property
    def participants(self) -> int:
        """How many fans took part; before the draw, how many are in the lobby."""
        return self.counts.lobby if self.row.participants is None else self.row.participants

    @property
    def seed(self) -> str | None:
        """The seed in hexadecimal; None before the draw."""
        return None if self.row.seed is None else self.row.seed.hex()


class PublicDraws:
    """Reads the public facts of draws."""

    def __init__(
        self, engine: AsyncEngine, old_reads: OldReads, rooms: RoomRegistry, counts: Counts, places: Places
    ) -> None:
        self._engine = engine
        self._old_reads = old_reads
        self._rooms = rooms
        self._counts = counts
        self._places = places

    async def of(self, event_id: int) -> EventDraw | None:
        """The event's draw; None if the event has none.

        Raises:
            sqlalchemy.exc.SQLAlchemyError, redis.exceptions.RedisError: Postgres or Redis does not answer.
        """
        counts = await self._counts.of(event_id)
        if counts is None or event_id not in self._rooms.commitments:
            return None
        async with self._engine.connect() as connection:
            row = await draw_row(connection, event_id)
        if row is None:
            return None
        lobby = self._places.lobby(event_id, counts)
        state: State = "drawing" if lobby is None else lobby.state
        return EventDraw(row, counts, "drawn" if row.drawn_at is not None else state)

    async def answer(self, event_id: int) -> DrawAnswer | None:
        """The draw as the API shows it: the hash of the seed, and after the draw the seed; None without a draw."""
        draw = await self.of(event_id)
        if draw is None:
            return None
        return DrawAnswer(
            event_id=event_id,
            state=draw.state,
            on_sale_at=from_ms(draw.counts.config.draw_at_ms),
            opens_at=from_ms(draw.counts.config.lobby_at_ms),
            rule=RULE,
            seed_hash=draw.row.seed_hash.hex(),
            seed=draw.seed,
            participants=draw.participants,
            drawn_at=draw.row.drawn_at,
            list_href=below(f"/api/events/{event_id}/draw/list"),
        )

    async def page(self, event_id: int, draw: EventDraw, first: int) -> DrawList:
        """The hashes of the fans who took part, in the drawn order from number ``first`` on; none before the draw."""
        if draw.row.participants is None:
            return DrawList(first=first, fan_hashes=(), next=None)
        # A page never changes once the draw is made, so it is kept everywhere: a replica must have all of it.
        wanted = max(0, min(HASHES_MAX, draw.row.participants - first + 1))
        hashes = await self._old_reads.read(
            partial(fan_hashes, event_id=event_id, first=first, limit=HASHES_MAX), lambda found: len(found) == wanted
        )
        next_number = first + len(hashes)
        return DrawList(
            first=first,
            fan_hashes=tuple(hash_of_fan.hex() for hash_of_fan in hashes),
            next=next_number if next_number <= draw.row.participants else None,
        )

    async def proof(self, event_id: int, draw: EventDraw, user_id: int) -> DrawProof:
        """The fan's part in the draw."""
        own_hash = fan_hash(draw.row.fan_key, user_id)
        number, value = None, None
        if draw.row.seed is not None:
            value = draw_value(draw.row.seed, own_hash).hex()
            async with self._engine.connect() as connection:
                number = await drawn_number(connection, event_id, user_id)
        return DrawProof(
            state=draw.state,
            rule=RULE,
            seed_hash=draw.row.seed_hash.hex(),
            fan_hash=own_hash,
            seed=draw.seed,
            draw_value=value,
            number=number,
            participants=draw.participants,
            href=below(f"/events/{event_id}/draw"),
        )


class Receipts:
    """Makes fans' own receipts."""

    def __init__(self, line: Line, draws: PublicDraws) -> None:
        self._line = line
        self._draws = draws

    async def receipt(self, event_id: int, user_id: int, counts: RoomCounts) -> Receipt:
        """The fan's history in the line, the oldest first, and the proof of the draw if there is a lobby."""
        history = await self._line.history(event_id, user_id)
        noted = list(history.noted)
        if history.joined_at_ms is not None:
            was_lobby = history.joined_at_ms < counts.config.draw_at_ms
            noted.append(Noted("lobby" if was_lobby else "joined", history.joined_at_ms))
        entries = [_entry(note) for note in noted]
        draw = await self._draws.of(event_id)
        proof = None if draw is None else await self._draws.proof(event_id, draw, user_id)
        if draw is not None and proof is not None and proof.number is not None and draw.row.drawn_at is not None:
            entries.append(ReceiptEntry(at=draw.row.drawn_at, state=DRAWN[0], reason=DRAWN[1]))
            entries.sort(key=lambda entry: entry.at)
        return Receipt(
            event_id=event_id,
            user_id=user_id,
            state=entries[-1].state if entries else "none",
            entries=tuple(entries),
            draw=proof,
        )


def _entry(noted: Noted) -> ReceiptEntry:
    state, reason = REASONS[noted.what]
    return ReceiptEntry(at=from_ms(noted.at_ms), state=state, reason=reason)
