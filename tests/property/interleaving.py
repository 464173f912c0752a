"""Two workers at once on one hall, and whether what came of it could have come of one worker alone.

The order is looked for, not taken from the engine: every merge of the two workers' batches is tried on the model,
with the recorded commands and answers, until one fits them all and leaves the seats as Postgres has them.
"""

from __future__ import annotations

import copy
import datetime as dt
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import psycopg

from booking_lane.commands import Command, Sweep
from booking_lane.settings import HoldSettings
from db.booking.seats import Seat
from tests.factories import PRICES
from tests.integration.engine.books import body
from tests.property.engine_machine import GRACE_SECONDS, HOLD_SECONDS, NOW_MS, SEATS, hall_new
from tests.unit.workers.model import Model
from workers.engine.engine import Applied, Engine

JOIN_SECONDS = 30
Batches = Sequence[Sequence[Command]]


@dataclass
class Run:
    """What the workers did: each worker's batches in its order, and the seats afterwards."""

    before: Model
    done: tuple[list[tuple[Sequence[Command], Applied]], ...]
    seats: dict[Seat, tuple[str, str | None]]
    version: int
    failures: list[BaseException] = field(default_factory=list)

    def serial_order(self) -> list[int] | None:
        """Worker numbers in an order of their batches that explains everything; None where there is none."""
        return self._explained(copy.deepcopy(self.before), {}, [0] * len(self.done), [])

    def _explained(
        self, model: Model, told: dict[uuid.UUID, dict[str, Any]], at: list[int], order: list[int]
    ) -> list[int] | None:
        if all(count == len(done) for count, done in zip(at, self.done, strict=True)):
            return order if _seats_of(model) == self.seats else None
        for worker, done in enumerate(self.done):
            if at[worker] == len(done):
                continue
            further, known = copy.deepcopy(model), dict(told)
            if _explains(further, known, *done[at[worker]]):
                at_next = [count + (number == worker) for number, count in enumerate(at)]
                found = self._explained(further, known, at_next, [*order, worker])
                if found is not None:
                    return found
        return None


def _seats_of(model: Model) -> dict[Seat, tuple[str, str | None]]:
    return {
        seat: (status, str(model.held_by[seat]) if status == "reserved" else None)
        for seat, status in model.status.items()
    }


def _explains(
    model: Model, told: dict[uuid.UUID, dict[str, Any]], commands: Sequence[Command], applied: Applied
) -> bool:
    """Whether the batch, done now, gives these answers; the model and what was told follow."""
    answers = {outcome.command_id: body(outcome) for outcome in applied.outcomes}
    found = {key: answer.get("result") or answer["problem"] for key, answer in answers.items()}
    new = [
        dt.datetime.fromisoformat(answer["expiresAt"])
        for key, answer in found.items()
        if key not in told and "expiresAt" in answer and uuid.UUID(answer["reservationId"]) not in model.holds
    ]
    now = new[0] - dt.timedelta(seconds=HOLD_SECONDS) if new else dt.datetime.now(dt.UTC)
    try:
        for command in commands:
            if isinstance(command, Sweep):
                model.apply(command, {}, now)
                continue
            answer = found[command.command_id]
            if command.command_id in told:
                if told[command.command_id] != answer:
                    return False
                continue
            told[command.command_id] = answer
            if answer.get("code", "ok") not in model.expect(command, now):
                return False
            if "code" not in answer:
                model.apply(command, answer, now)
    except (AssertionError, KeyError, ValueError):
        return False
    return True


class Stage:
    """A hall with some holds in it, live and lapsed, for workers to meet in."""

    def __init__(self, database_url: str, connection: psycopg.Connection[tuple[Any, ...]]) -> None:
        self.database_url = database_url
        self.connection = connection
        self.event = hall_new(connection, 4)
        self.model = Model(PRICES, SEATS, 4, HOLD_SECONDS, GRACE_SECONDS)

    def engine(self, probe: Callable[[str], None] = lambda point: None) -> Engine:
        hold = HoldSettings(seconds=HOLD_SECONDS, grace_seconds=GRACE_SECONDS)
        return Engine(self.database_url, lambda: NOW_MS, hold, outage_seconds_max=5, probe=probe)

    def prepare(self, commands: Sequence[Command], *, lapsed: bool) -> None:
        """Apply a batch alone; what it holds is ``lapsed`` afterwards, or not."""
        engine = self.engine()
        applied = engine.apply(commands)
        engine.close()
        assert _explains(self.model, {}, commands, applied)
        if lapsed:
            older = dt.timedelta(seconds=HOLD_SECONDS + GRACE_SECONDS)
            for table, column in (("reservation", "expires_at"), ("seat", "held_until")):
                statement = psycopg.sql.SQL("UPDATE {} SET {column} = {column} - %s WHERE event_id = %s").format(
                    psycopg.sql.Identifier(table), column=psycopg.sql.Identifier(column)
                )
                self.connection.execute(statement, (older, self.event))
            for hold in self.model.holds.values():
                hold.expires_at -= older

    def run(self, engines: Sequence[Engine], batches: Sequence[Batches]) -> Run:
        """Each engine applies its batches in a thread of its own, all beginning at once."""
        begin = threading.Barrier(len(engines))
        done: tuple[list[tuple[Sequence[Command], Applied]], ...] = tuple([] for _ in engines)
        failures: list[BaseException] = []

        def work(worker: int) -> None:
            try:
                engines[worker].connection()
                begin.wait(JOIN_SECONDS)
                for batch in batches[worker]:
                    done[worker].append((batch, engines[worker].apply(batch)))
            except BaseException as failure:
                failures.append(failure)

        threads = [threading.Thread(target=work, args=(worker,)) for worker in range(len(engines))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(JOIN_SECONDS)
            assert not thread.is_alive()
        rows = self.connection.execute(
            "SELECT ticket_type_id, row_number, seat_number, status, reservation_id::text FROM seat"
            " WHERE event_id = %s",
            (self.event,),
        ).fetchall()
        row = self.connection.execute("SELECT version FROM event WHERE event_id = %s", (self.event,)).fetchone()
        assert row is not None
        seats = {(kind, line, number): (status, hold) for kind, line, number, status, hold in rows}
        return Run(self.model, done, seats, row[0], failures)


class Meeting:
    """Lets transactions wait for one another at a point: where locks allow it, none writes before all decided."""

    def __init__(self, point: str, parties: int, seconds_max: float) -> None:
        self._point = point
        self._seconds_max = seconds_max
        self._parties = parties
        self._come = 0
        self._all = threading.Event()
        self._lock = threading.Lock()

    def __call__(self, point: str) -> None:
        if point != self._point:
            return
        with self._lock:
            self._come += 1
            if self._come >= self._parties:
                self._all.set()
        self._all.wait(self._seconds_max)


class Pauses:
    """Waits at each point for as long as drawn, again and again."""

    def __init__(self, pauses_ms: Sequence[int]) -> None:
        self._pauses_ms = pauses_ms
        self._at = 0

    def __call__(self, point: str) -> None:
        pause_ms = self._pauses_ms[self._at % len(self._pauses_ms)]
        self._at += 1
        if pause_ms:
            time.sleep(pause_ms / 1000)
