"""Notes of what came of calls, which are written together: many payments share a round trip and a commit."""

from __future__ import annotations

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, LiteralString

import msgspec
import psycopg

from db.citus.one_event import of_one_event

Connection = psycopg.AsyncConnection[Any]

TRIES_MAX: Final = 100
"""A payment that batches have locked at so many turns is looked at again instead."""


@dataclass(slots=True, eq=False)
class _Note:
    """A row of a statement about many payments; or, with ``is_alone``, all the parameters of a statement.

    ``noted`` is whether it changed something, once it is written.
    """

    statement: LiteralString
    values: dict[str, Any]
    noted: asyncio.Future[bool]
    is_alone: bool
    tries: int = field(default=0)


class Notes:
    """The notes that wait to be written, each with a task that waits for it.

    Args:
        on_note: called when there is one more.
    """

    def __init__(self, is_citus: bool, on_note: Callable[[], None]) -> None:
        self._is_citus = is_citus
        self._on_note = on_note
        self._waiting: list[_Note] = []

    @property
    def waiting(self) -> int:
        """How many tasks wait for their notes."""
        return len(self._waiting)

    async def add(self, statement: LiteralString, values: dict[str, Any], *, is_alone: bool = False) -> bool:
        """Have it written; whether it changed something.

        Args:
            statement: one of `db.payments.cashier` about many payments; with ``is_alone``, any with these parameters.

        Raises:
            psycopg.Error: Postgres refuses it.
            TimeoutError: the payment was locked all the time.
        """
        note = _Note(statement, values, asyncio.get_running_loop().create_future(), is_alone)
        self._waiting.append(note)
        self._on_note()
        return await note.noted

    async def write(self, connection: Connection) -> int:
        """Write what waits in one transaction, on a cluster in one for each event; how many notes were written.

        Raises:
            psycopg.OperationalError: Postgres is away. What is not written waits on.
        """
        self._waiting = [note for note in self._waiting if not note.noted.done()]
        groups: dict[int, list[_Note]] = defaultdict(list)
        for note in self._waiting:
            groups[note.values["event_id"] if self._is_citus else 0].append(note)
        for notes in groups.values():
            await self._write_or_halve(connection, notes)
        before = len(self._waiting)
        self._waiting = [note for note in self._waiting if not note.noted.done()]
        return before - len(self._waiting)

    async def _write_or_halve(self, connection: Connection, notes: Sequence[_Note]) -> None:
        """One note that Postgres refuses keeps no other from being written."""
        try:
            await self._write_together(connection, notes)
        except (psycopg.OperationalError, psycopg.InterfaceError):
            raise
        except psycopg.Error as error:
            if len(notes) == 1:
                _fail(notes[0], error)
                return
            middle = len(notes) // 2
            await self._write_or_halve(connection, notes[:middle])
            await self._write_or_halve(connection, notes[middle:])

    async def _write_together(self, connection: Connection, notes: Sequence[_Note]) -> None:
        of_statements: dict[LiteralString, list[_Note]] = defaultdict(list)
        alone = [note for note in notes if note.is_alone]
        for note in notes:
            if not note.is_alone:
                of_statements[note.statement].append(note)
        async with contextlib.AsyncExitStack() as opened:
            if self._is_citus:
                await opened.enter_async_context(connection.transaction())
            # What is executed in one pipeline is one round trip and one transaction, except on a cluster.
            await opened.enter_async_context(connection.pipeline())
            of_many = [
                (own, await self._execute(connection, statement, own)) for statement, own in of_statements.items()
            ]
            of_one = [(note, await connection.execute(note.statement, note.values, prepare=True)) for note in alone]
        for own, cursor in of_many:
            changed = dict(await cursor.fetchall())
            for note in own:
                _answer(note, changed.get(note.values["payment_id"]))
        for note, cursor in of_one:
            _answer(note, cursor.rowcount > 0)

    async def _execute(
        self, connection: Connection, statement: LiteralString, notes: Sequence[_Note]
    ) -> psycopg.AsyncCursor[Any]:
        rows = msgspec.json.encode([note.values for note in notes]).decode()
        if not self._is_citus:
            return await connection.execute(statement, {"rows": rows}, prepare=True)
        which = {"rows": rows, "event_id": notes[0].values["event_id"]}
        return await connection.execute(of_one_event(statement), which)


def _answer(note: _Note, changed: bool | None) -> None:
    """``changed`` is None where the payment was locked: the note waits for the next turn."""
    if note.noted.done():
        return
    if changed is not None:
        note.noted.set_result(changed)
        return
    note.tries += 1
    if note.tries >= TRIES_MAX:
        _fail(note, TimeoutError("a batch has the payment locked"))


def _fail(note: _Note, error: Exception) -> None:
    if not note.noted.done():
        note.noted.set_exception(error)
