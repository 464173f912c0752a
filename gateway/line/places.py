"""A fan's place as the API shows it: position, estimate, stock, lobby and signed tokens."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Final, Literal

from db.events.sale import REASONS, WITHDRAWN, SaleState, sale_state
from db.languages import Texts
from gateway.contract.line import Lobby, Place, StockLeft
from gateway.line.moments import from_ms
from gateway.line.registry import RoomRegistry
from gateway.wire.addresses import below
from waiting_room.draw import fan_hash
from waiting_room.eta import eta_in, seats_reach, speed_in
from waiting_room.model import FanState, RoomCounts, Standing
from waiting_room.tokens import AdmissionPass, PlaceToken, Tokens

HANDOVER_SECONDS: Final = 300
"""A place can be brought to another device for so long after its code was shown."""
MOVABLE: Final = (FanState.LOBBY, FanState.WAITING, FanState.CALLED)


def room_state(counts: RoomCounts) -> str:
    """The room's state that fans are shown: ``sold_out`` if every seat is sold and none is held."""
    state = counts.state
    stock = counts.stock
    if state in ("open", "paused") and stock is not None and stock.free <= 0 and stock.held <= 0:
        return "sold_out"
    return state


def is_quiet(sale: SaleState, room_state: str, lobby: Lobby | None) -> bool:
    """Nobody books and nobody enters, so that what an event shows changes by the clock or by an operator alone."""
    is_early = sale is SaleState.COMING and room_state != "lobby"
    return sale in WITHDRAWN or (is_early and (lobby is None or lobby.state == "early"))


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
        now_of: the clock of an event's room (Unix time, seconds).
    """

    def __init__(self, rooms: RoomRegistry, tokens: Tokens, now_of: Callable[[int], float]) -> None:
        self._rooms = rooms
        self.tokens = tokens
        self._now_of = now_of

    def place(self, event_id: int, standing: Standing, counts: RoomCounts, fan: int, session: str) -> Place:
        """The standing as the API shows it, with signed tokens."""
        # The counts may be a second older than the standing.
        state = room_state(counts)
        if "rebuilding" in (state, standing.room_state) or "lobby" in (state, standing.room_state):
            state = standing.room_state
        sale = self.sale(event_id)
        ends_lobby = standing.state == "lobby" and sale not in (SaleState.COMING, SaleState.ON_SALE)
        # A cancelled event has nothing to wait for and nothing to choose from, wherever the fan stood.
        is_cancelled = sale is SaleState.CANCELLED
        closes_wait = state in ("closed", "sold_out") and (standing.state in ("waiting", "none") or ends_lobby)
        fan_state = "closed" if is_cancelled else state if closes_wait else standing.state
        ahead = standing.shown - 1 if fan_state == "waiting" and standing.shown else None
        estimate = eta_in(counts, ahead, priority=standing.priority) if ahead is not None else None
        speed, reach = speed_in(counts), seats_reach(counts)
        before = counts.ahead_in_both(ahead or 0, priority=standing.priority)
        until_ms = None if is_cancelled else standing.pass_until_ms
        text, texts = self.message(event_id)
        return Place(
            state=fan_state,
            room_state=state,
            token=self._sign_place(event_id, standing, fan, session),
            ticket_number=None if standing.state == "lobby" else standing.number or None,
            position=None if ahead is None else ahead + 1,
            ahead=ahead,
            waiting=standing.waiting,
            class_waiting=None if ahead is None else self._class_waiting(standing, counts),
            eta_seconds=None if estimate is None else estimate.eta_seconds,
            eta_range=None if estimate is None else estimate.eta_range,
            line_per_minute=None if estimate is None or speed is None else round(speed.expected, 1),
            may_run_out=counts.is_crowded
            if fan_state == "admitted"
            else ahead is not None and reach is not None and before >= reach,
            stock=stock_left(counts),
            claim_by_seconds=None if is_cancelled else standing.claim_by_seconds,
            admission_pass=None if until_ms is None else self.sign_pass(event_id, fan, until_ms),
            expires_at=None if until_ms is None else from_ms(standing.idle_ends_ms or until_ms),
            idle_ends_at=None if standing.idle_ends_ms is None else from_ms(standing.idle_ends_ms),
            idle=standing.idle and fan_state == "waiting",
            href=below(f"/api/queue/{event_id}"),
            stream_href=below(f"/api/queue/{event_id}/stream"),
            lobby=self.lobby(event_id, counts, fan) if state in ("lobby", "closed", "rebuilding") else None,
            message=text,
            messages=texts,
            priority=standing.priority,
            sale=sale,
            reason=REASONS[sale],
        )

    def sale(self, event_id: int) -> SaleState:
        """The state of the event's sale, by the clock of its room."""
        row = self._rooms.rows.get(event_id)
        if row is None:
            return SaleState.ON_SALE
        return sale_state(row, dt.datetime.fromtimestamp(self._now_of(event_id), dt.UTC))

    def message(self, event_id: int) -> tuple[str, Texts]:
        """The operators' message to the line, empty if there is none, and what some languages have in its place."""
        row = self._rooms.rows.get(event_id)
        return ("", Texts()) if row is None else (row.message, row.messages)

    def lobby(self, event_id: int, counts: RoomCounts, fan: int | None = None) -> Lobby | None:
        """The lobby, with the fan's hash; None if the event has no lobby, or if it was drawn."""
        commitment = self._rooms.commitments.get(event_id)
        if commitment is None or not counts.undrawn:
            return None
        now = self._now_of(event_id)
        seconds = counts.config.draw_at_ms / 1000 - now
        state: Literal["early", "open", "drawing"] = "open"
        if seconds <= 0:
            state = "drawing"
        elif counts.config.lobby_at_ms / 1000 > now:
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

    @staticmethod
    def _class_waiting(standing: Standing, counts: RoomCounts) -> int:
        """How many wait in the fan's own class, with the fan. The counts may be a second older than the standing."""
        own = counts.priority if standing.priority else standing.waiting - counts.priority
        return max(own, standing.shown)

    def handover(self, event_id: int, standing: Standing, fan: int, session: str) -> tuple[str, dt.datetime] | None:
        """A short-lived token that brings the place to another device (`gateway.line.moving`), and when it ends; None
        without a place that can move.
        """
        place = self.place_token(event_id, standing, fan, session)
        if place is None or standing.state not in MOVABLE:
            return None
        until = int(self._now_of(event_id)) + HANDOVER_SECONDS
        return self.tokens.sign_handover(place, until), dt.datetime.fromtimestamp(until, dt.UTC)

    def _sign_place(self, event_id: int, standing: Standing, fan: int, session: str) -> str | None:
        place = self.place_token(event_id, standing, fan, session)
        return None if place is None else self.tokens.sign_place(place)

    @staticmethod
    def place_token(event_id: int, standing: Standing, fan: int, session: str) -> PlaceToken | None:
        """What the token of a fan's place says; None without a place."""
        if not standing.number or standing.joined_at_ms is None:
            return None
        return PlaceToken(
            event=event_id,
            fan=fan,
            epoch=standing.epoch,
            number=standing.number,
            joined_at_ms=standing.joined_at_ms,
            session=session,
            lobby=standing.state == "lobby",
            priority=standing.priority,
        )
