"""The rule that each command has: what it needs, how it is decided, and what it writes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from booking_lane.commands import Command
from db.booking.results import Result
from workers.engine.book import Book
from workers.engine.needs import Needs
from workers.engine.statements import Connection

C = TypeVar("C", bound=Command)


@dataclass(frozen=True, slots=True)
class Rule(Generic[C]):
    """A command's part in a batch.

    Attributes:
        needs: adds what must be read and locked before the batch's first decision.
        decide: applies the command to the book and returns its result, or raises `Refused` with the book as before.
        write: writes the rows that only this command makes, for the whole batch, from the book's changes. Seats,
            holds, counts and versions are written for all commands together.
        gives_back: its rows are written before those of the others, for a seat that is given back may be taken
            anew in the same batch.
    """

    needs: Callable[[C, Needs], None]
    decide: Callable[[Book, C], Result]
    write: Callable[[Connection, Book], None] | None = None
    gives_back: bool = False
