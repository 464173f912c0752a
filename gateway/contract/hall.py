"""Answers about events as fans see them: ticket types, seats, counts."""

from __future__ import annotations

from typing import Literal

from gateway.contract.values import AnswerBody, Moment


class EventAnswer(AnswerBody, kw_only=True):
    event_id: int
    name: str
    artist: str
    date: Moment
    venue: str
    on_sale_at: Moment
    currency: str
    seats_per_fan_max: int


class TicketAnswer(AnswerBody, kw_only=True):
    ticket_type_id: int
    ticket_type: str
    price: int
    quantity: int
    available_count: int
    held_count: int


class RoomSummary(AnswerBody, kw_only=True):
    """``waiting`` counts the fans in line, and the fans in the lobby while there is one."""

    state: str
    waiting: int


class InitialCall(AnswerBody, kw_only=True):
    event: EventAnswer
    tickets: tuple[TicketAnswer, ...]
    room: RoomSummary
    version: int


class SeatRow(AnswerBody, kw_only=True):
    row_number: int
    seat_numbers: tuple[int, ...]


class Section(AnswerBody, kw_only=True):
    ticket_type_id: int
    rows: tuple[SeatRow, ...]


class SeatMap(AnswerBody, kw_only=True):
    event_id: int
    version: int
    sections: tuple[Section, ...]
    taken: tuple[tuple[int, int, int, Literal["reserved", "booked"]], ...]


class EventList(AnswerBody, kw_only=True):
    events: tuple[EventAnswer, ...]
    cursor: str | None = None
