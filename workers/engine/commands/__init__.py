"""The commands. Each has a module named after its kind, whose ``RULE`` says what the command needs to have read, how
it is decided on the open book, and which rows of its own it writes.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any, Final

from booking_lane.commands import KINDS, Command
from db.booking.results import Result
from workers.engine.book import Book
from workers.engine.commands.rule import Rule
from workers.engine.refused import Refused

RULES: Final[Mapping[type[Command], Rule[Any]]] = {
    command: import_module(f"{__name__}.{kind}").RULE for command, kind in KINDS.items()
}
"""The rule of every command."""


def decide(book: Book, command: Command) -> Result:
    """Apply a command to the book, all of it or nothing. The commands of a batch are decided in the order of arrival.

    Returns: the result, whose ``version`` the engine sets in the end.

    Raises:
        Refused: the command fails, and the book is as before. A reserve that is refused for the fan's conduct ends the
            fan's holds that are in their grace.
    """
    if command.event_id not in book.events:
        raise Refused("unknown_event")
    return RULES[type(command)].decide(book, command)
