"""Seats as the API names them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

Seat = tuple[int, int, int]
"""A seat is (ticketTypeId, rowNumber, seatNumber)."""


def seat_details(seats: Iterable[Seat]) -> list[dict[str, Any]]:
    """The contract's ``seatDetails``: arrays per ticket type, pairwise one seat."""
    ticket_types: dict[int, tuple[list[int], list[int]]] = {}
    for ticket_type_id, row, number in seats:
        rows, numbers = ticket_types.setdefault(ticket_type_id, ([], []))
        rows.append(row)
        numbers.append(number)
    return [
        {"ticketTypeId": ticket_type_id, "metaData": {"rowNumbers": rows, "seatNumbers": numbers}}
        for ticket_type_id, (rows, numbers) in ticket_types.items()
    ]


def seats_of(documents: Iterable[Mapping[str, Any]]) -> list[Seat]:
    """The seats that a result or a problem lists, sorted."""
    return sorted((seat["ticketTypeId"], seat["rowNumber"], seat["seatNumber"]) for seat in documents)
