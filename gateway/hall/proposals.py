"""Proposes seats side by side before anything is held.

They are chosen as the booking engine chooses the best available, from the hall in memory: its free seats follow every
message, so a proposal costs a look at a few rows.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import itertools
import time
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple
from weakref import WeakKeyDictionary

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from db.connections.old_reads import OldReads
from db.events.halls import begin_snapshot, hall_row
from db.plans.best_seats import Block, FreeSeats, PlannedRow, SeatRows, Wish, planned_rows
from db.plans.model import SEAT_PITCH, Point
from db.plans.reading import READ_FOCUSES, READ_HALL
from gateway.contract.hall import Proposal, ProposalList, ProposalReason, ProposedSeat, TicketAnswer
from gateway.hall.hall import Hall, Rendered
from gateway.hall.labels import HallLabels

FURTHER_BACK: Final = 5 * SEAT_PITCH
"""A proposal that is said to be further back is so much further from the focus than the nearest one."""
LOOKED_AT_MAX: Final = 200
"""So many rows are looked at for a proposal."""
ANSWERS_KEPT_MAX: Final = 256
"""So many answers of one hall are kept."""

_encode = msgspec.json.Encoder().encode


class Proposed(NamedTuple):
    reason: ProposalReason
    ticket_type_id: int
    block: Block


def propose(free: Mapping[int, FreeSeats], tickets: Sequence[TicketAnswer], wish: Wish) -> list[Proposed]:
    """Up to three blocks that have no seat in common, the nearest to the middle first.

    Args:
        free: the free seats of each ticket type.
        tickets: the ticket types that may be proposed.
    """
    found = [(ticket, block) for ticket in tickets if (block := free[ticket.ticket_type_id].best(wish)) is not None]
    if not found:
        return []
    if all(free[ticket.ticket_type_id].layout.is_planned for ticket in tickets):
        ticket, nearest = min(found, key=lambda one: (one[1].alone, one[1].cost))
    else:
        # Without a plan nobody knows which ticket type is nearer; the dearest one is meant to be.
        ticket, nearest = min(found, key=lambda one: (one[1].alone, -one[0].cost))
    proposed = [Proposed("nearest", ticket.ticket_type_id, nearest)]
    seats = free[ticket.ticket_type_id]
    cheapest, cheap = min(found, key=lambda one: (one[0].cost, one[1].alone))
    if cheapest.cost < ticket.cost:
        proposed.append(Proposed("cheapest", cheapest.ticket_type_id, cheap))
    if len(tickets) == 1:
        aside = seats.ranked(wish._replace(at_aisle=True))
        proposed += _first("aisle", ticket, (block for block in aside if _are_apart(block, nearest)))
    back = (block for block in seats.ranked(wish) if block.distance >= nearest.distance + FURTHER_BACK)
    others = [one.block for one in proposed if one.ticket_type_id == ticket.ticket_type_id]
    proposed += _first("further_back", ticket, (block for block in back if all(_are_apart(block, o) for o in others)))
    return proposed


def _first(reason: ProposalReason, ticket: TicketAnswer, blocks: Iterable[Block]) -> list[Proposed]:
    return [Proposed(reason, ticket.ticket_type_id, block) for block in itertools.islice(blocks, 1)]


def _are_apart(one: Block, other: Block) -> bool:
    return one.row_number != other.row_number or set(one.seats).isdisjoint(other.seats)


@dataclass(slots=True)
class _Kept:
    """A hall's seats as they stand, and the answers that were made of them at one version."""

    revision: int
    layouts: Mapping[int, SeatRows]
    answers: dict[tuple[int, Wish, Set[int]], Rendered] = field(default_factory=dict)


class HallProposals:
    """Answers with proposals. What it knows of a hall's seats is kept with the hall until its revision changes."""

    def __init__(self, old_reads: OldReads) -> None:
        self._old_reads = old_reads
        self._kept: WeakKeyDictionary[Hall, _Kept] = WeakKeyDictionary()
        self._lock = asyncio.Lock()

    async def answer(self, hall: Hall, wish: Wish, ticket_type_id: int, version_min: int, now: dt.datetime) -> Rendered:
        """The answer of `GET …/proposals`, at the hall's version, or at an earlier one where the hall is busy
        (`Hall.is_outdated`).

        Args:
            ticket_type_id: 0 for any.
            now: ticket types that are not sold at this moment are not proposed.

        Raises:
            KeyError: the event has no such ticket type.
            sqlalchemy.exc.OperationalError: the seats must be read, and Postgres does not answer.
        """
        kept = await self._of(hall)
        sold = frozenset(one.ticket_type_id for one in hall.tickets.values() if one.is_sold_at(now))
        key = (ticket_type_id, wish, sold)
        rendered = kept.answers.get(key)
        if rendered is None or hall.is_outdated(rendered, version_min):
            began_at = time.monotonic()
            body = _encode(self._proposals(hall, kept, wish, ticket_type_id, sold))
            rendered = Rendered(hall.version, began_at, body, time.monotonic() - began_at)
            if len(kept.answers) >= ANSWERS_KEPT_MAX:
                kept.answers.clear()
            kept.answers[key] = rendered
        return rendered

    async def _of(self, hall: Hall) -> _Kept:
        kept = self._kept.get(hall)
        if kept is None or kept.revision != hall.revision:
            # One at a time: each reads the seats of a whole hall.
            async with self._lock:
                kept = self._kept.get(hall)
                if kept is None or kept.revision != hall.revision:
                    kept = self._kept[hall] = await self._read(hall.event_id, hall.revision)
        if hall.free_seats is None:
            hall.free_seats = _free(kept.layouts, hall.taken)
        return kept

    async def _read(self, event_id: int, revision: int) -> _Kept:
        async def read(connection: AsyncConnection) -> tuple[int, Sequence[Any], Any]:
            await begin_snapshot(connection)
            row = await hall_row(connection, event_id)
            rows = (await connection.exec_driver_sql(READ_HALL, {"event_id": event_id})).all()
            planned = (await connection.exec_driver_sql(READ_FOCUSES, {"event_ids": [event_id]})).one_or_none()
            return -1 if row is None else row.revision, rows, planned

        _, rows, planned = await self._old_reads.read(read, lambda read: read[0] >= revision)
        focus = None if planned is None else (planned.focus_x, planned.focus_y)
        return await asyncio.to_thread(_kept, revision, rows, focus)

    def _proposals(self, hall: Hall, kept: _Kept, wish: Wish, ticket_type_id: int, sold: Set[int]) -> ProposalList:
        assert hall.free_seats is not None
        # A ticket type without seats, or one that was added a moment ago, has nothing to propose.
        tickets = [hall.tickets[ticket_type_id]] if ticket_type_id else list(hall.tickets.values())
        tickets = [ticket for ticket in tickets if ticket.ticket_type_id in hall.free_seats.keys() & sold]
        return ProposalList(
            event_id=hall.event_id,
            version=hall.version,
            quantity=wish.quantity,
            accessible=wish.accessible,
            currency=hall.event.currency,
            proposals=tuple(
                _proposal(one, hall.tickets[one.ticket_type_id], hall.labels)
                for one in propose(hall.free_seats, tickets, wish)
            ),
        )


def _proposal(proposed: Proposed, ticket: TicketAnswer, labels: HallLabels) -> Proposal:
    reason, ticket_type_id, block = proposed
    called = [labels.of((ticket_type_id, block.row_number, seat)) for seat in block.seats]
    return Proposal(
        reason=reason,
        ticket_type_id=ticket_type_id,
        ticket_type=ticket.ticket_type,
        row_number=block.row_number,
        row_label=called[0].row or str(block.row_number),
        total_amount=ticket.cost * len(block.seats),
        leaves_single=block.alone > 0,
        seats=tuple(
            ProposedSeat(
                ticket_type_id=ticket_type_id,
                row_number=block.row_number,
                seat_number=seat,
                label=labelled.seat or str(seat),
                amount=ticket.cost,
            )
            for seat, labelled in zip(block.seats, called, strict=True)
        ),
    )


def _kept(revision: int, rows: Iterable[Sequence[Any]], focus: Point | None) -> _Kept:
    by_type: dict[int, list[PlannedRow]] = {}
    for ticket_type_id, *columns in rows:
        by_type.setdefault(ticket_type_id, []).append(PlannedRow._make(columns))
    return _Kept(revision, {key: planned_rows(one, focus) for key, one in by_type.items()})


def _free(layouts: Mapping[int, SeatRows], taken: Iterable[tuple[int, int, int]]) -> dict[int, FreeSeats]:
    of_type: dict[int, list[tuple[int, int]]] = {}
    for ticket_type_id, row, seat in taken:
        of_type.setdefault(ticket_type_id, []).append((row, seat))
    return {key: layout.free_without(of_type.get(key, ())) for key, layout in layouts.items()}
