"""A fan's place as the API shows it: position, estimate, stock, lobby and signed tokens."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from gateway.contract.line import Lobby, Place, StockLeft
from gateway.line.moments import from_ms
from gateway.line.registry import RoomRegistry
from waiting_room.draw import fan_hash
from waiting_room.eta import eta_in, seats_reach, speed_in
from waiting_room.model import RoomCounts, Standing
from waiting_room.tokens import AdmissionPass, PlaceToken, Tokens


def room_state(counts: RoomCounts) -> str:
    """The room's state that fans are shown: ``sold_out`` if every seat is sold and none is held."""
    state = counts.state
    stock = counts.stock
    if state in ("open", "paused") and stock is not None and stock.free <= 0 and stock.held <= 0:
        return "sold_out"
    return state


def stock_left(counts: RoomCounts) -> StockLeft | None:
    """How many seats are left to sell, and how many may be returned; None if this is not known."""
    stock = counts.stock
    if stock is None:
        return None
    return StockLeft(
        free=stock.free,
        held=stock.held,
        may_return=stock.held if stock.free <= 0 else None,
        last_hold_ends_at=from_ms(counts.holds_end_at_ms) if counts.holds_end_at_ms else None,
    )


class Places:
    """Renders places, and signs their tokens.

    Args:
        now: the clock of Redis (Unix time, seconds).
    """

    def __init__(self, rooms: RoomRegistry, tokens: Tokens, now: Callable[[], float]) -> None:
        self._rooms = rooms
        self.tokens = tokens
        self._now = now

    def place(self, event_id: int, standing: Standing, counts: RoomCounts, fan: int, session: str) -> Place:
        """The standing as the API shows it, with signed tokens."""
        # The counts may be a second older than the standing.
        state = room_state(counts)
        if "rebuilding" in (state, standing.room_state) or "lobby" in (state, standing.room_state):
            state = standing.room_state
        closes_wait = state in ("closed", "sold_out") and standing.state in ("waiting", "none")
        fan_state = state if closes_wait else standing.state
        ahead = standing.shown - 1 if fan_state == "waiting" and standing.shown else None
        estimate = eta_in(counts, ahead, priority=standing.priority) if ahead is not None else None
        speed, reach = speed_in(counts), seats_reach(counts)
        before = counts.ahead_in_both(ahead or 0, priority=standing.priority)
        until_ms = standing.pass_until_ms
        return Place(
            state=fan_state,
            room_state=state,
            token=self._sign_place(event_id, standing, fan, session),
            ticket_number=None if standing.state == "lobby" else standing.number or None,
            position=None if ahead is None else ahead + 1,
            ahead=ahead,
            waiting=standing.waiting,
            eta_seconds=None if estimate is None else estimate.eta_seconds,
            eta_range=None if estimate is None else estimate.eta_range,
            line_per_minute=None if estimate is None or speed is None else round(speed.expected, 1),
            may_run_out=ahead is not None and reach is not None and before >= reach,
            stock=stock_left(counts),
            claim_by_seconds=standing.claim_by_seconds,
            admission_pass=None if until_ms is None else self.sign_pass(event_id, fan, until_ms),
            expires_at=None if until_ms is None else from_ms(until_ms),
            href=f"/api/queue/{event_id}",
            stream_href=f"/api/queue/{event_id}/stream",
            lobby=self.lobby(event_id, counts, fan) if state in ("lobby", "closed", "rebuilding") else None,
            message=self.message(event_id),
            priority=standing.priority,
        )

    def message(self, event_id: int) -> str:
        """The operators' message to the line; empty if there is none."""
        row = self._rooms.rows.get(event_id)
        return "" if row is None else row.message

    def lobby(self, event_id: int, counts: RoomCounts, fan: int | None = None) -> Lobby | None:
        """The lobby, with the fan's hash; None if the event has no lobby, or if it was drawn."""
        commitment = self._rooms.commitments.get(event_id)
        if commitment is None or not counts.undrawn:
            return None
        seconds = counts.config.draw_at_ms / 1000 - self._now()
        state: Literal["early", "open", "drawing"] = "open"
        if seconds <= 0:
            state = "drawing"
        elif counts.config.lobby_at_ms / 1000 > self._now():
            state = "early"
        return Lobby(
            state=state,
            opens_at=from_ms(counts.config.lobby_at_ms),
            on_sale_at=from_ms(counts.config.draw_at_ms),
            seconds_to_on_sale=round(max(0.0, seconds), 3),
            participants=counts.lobby + counts.drawn,
            drawn=counts.drawn,
            seed_hash=commitment.seed_hash,
            fan_hash=None if fan is None else fan_hash(commitment.fan_key, fan),
        )

    def sign_pass(self, event_id: int, fan: int, until_ms: int) -> str:
        return self.tokens.sign_pass(AdmissionPass(event=event_id, fan=fan, until_ms=until_ms))

    def _sign_place(self, event_id: int, standing: Standing, fan: int, session: str) -> str | None:
        if not standing.number or standing.joined_at_ms is None:
            return None
        return self.tokens.sign_place(
            PlaceToken(
                event=event_id,
                fan=fan,
                epoch=standing.epoch,
                number=standing.number,
                joined_at_ms=standing.joined_at_ms,
                session=session,
                lobby=standing.state == "lobby",
                priority=standing.priority,
            )
        )
