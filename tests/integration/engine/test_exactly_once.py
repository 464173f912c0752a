from __future__ import annotations

import msgspec
import pytest

from booking_lane.commands import Command
from tests.integration.engine.books import Books, bodies, body, codes
from tests.unit.booking_lane.asks import best, cancel, checkout, release, reserve, sweep

A1, A2 = (1, 1, 1), (1, 1, 2)


@pytest.fixture
def commands(books: Books) -> list[Command]:
    """One of each, some that fail, and a sweep."""
    before: list[Command] = [
        reserve(books.event, 9, (1, 9, 9)),
        reserve(books.event, 8, (1, 8, 8), (1, 8, 9)),
        checkout(books.event, 8, (1, 8, 8), (1, 8, 9)),
    ]
    hold, _, purchase = bodies(books.engine().apply(before), *before)
    return [
        reserve(books.event, 1, A1, A2, body_hash=b"0123456789abcdef"),
        reserve(books.event, 2, A2),
        checkout(books.event, 1, A1, A2),
        best(books.event, 3, 1, 3),
        release(books.event, 9, hold["reservationId"]),
        checkout(books.event, 4, (1, 5, 5)),
        reserve(books.event, 5, (7, 7, 7)),
        cancel(books.event, 8, purchase["purchaseId"], (1, 8, 8)),
        cancel(books.event, 8, purchase["purchaseId"], (1, 8, 8)),
        sweep(books.event),
    ]


CODES = ["ok", "seats_taken", "ok", "ok", "ok", "hold_mismatch", "unknown_seats", "ok", "not_cancellable"]


@pytest.mark.parametrize("same_engine", [True, False])
def test_a_batch_applied_twice_happens_once(books: Books, commands: list[Command], same_engine: bool) -> None:
    engine = books.engine()
    first = engine.apply(commands)
    assert codes(first, *commands) == CODES
    before = books.everything()
    again = (engine if same_engine else books.engine()).apply(commands)
    assert bodies(again, *commands) == bodies(first, *commands), "the same answers, ticket codes and all"
    assert books.everything() == before
    assert (again.changes, again.bought, again.holds_until_ms) == ((), (), ())
    hashes = {outcome.command_id: outcome.body_hash for outcome in again.outcomes}
    assert hashes == {outcome.command_id: outcome.body_hash for outcome in first.outcomes}
    kinds = {outcome.command_id: (outcome.kind, outcome.user_id, outcome.event_id) for outcome in again.outcomes}
    assert kinds == {o.command_id: (o.kind, o.user_id, o.event_id) for o in first.outcomes}


def test_a_larger_batch_applies_what_is_new(books: Books, commands: list[Command]) -> None:
    engine = books.engine()
    first = engine.apply(commands[:3])
    everything = [reserve(books.event, 7, (1, 6, 6)), *commands, checkout(books.event, 7, (1, 6, 6))]
    again = engine.apply(everything)
    assert codes(again, *everything) == ["ok", *CODES, "ok"]
    assert bodies(again, *everything)[1:4] == bodies(first, *commands[:3])
    assert books.number("SELECT count(*) FROM purchase WHERE user_id = 1") == 1
    assert books.version() == 3


def test_one_command_twice_in_a_batch_is_one_command(books: Books) -> None:
    command = reserve(books.event, 1, A1)
    changed = msgspec.structs.replace(command, seats=(A2,))
    buys = checkout(books.event, 1, A1)
    applied = books.engine().apply([command, changed, buys, command, buys])
    assert [body(outcome)["status"] for outcome in applied.outcomes] == ["succeeded", "succeeded"]
    assert books.statuses() == {A1: "booked"}
    assert books.number("SELECT count(*) FROM booking_command") == 2


def test_what_is_recorded_is_what_was_answered(books: Books, commands: list[Command]) -> None:
    applied = books.engine().apply(commands)
    recorded = {
        row["command_id"]: row
        for row in books.rows(
            "SELECT * FROM booking_command WHERE command_id = ANY (%s)", [c.command_id for c in commands]
        )
    }
    assert {o.command_id: (o.kind, o.user_id, o.body_hash, body(o)) for o in applied.outcomes} == {
        key: (row["kind"], row["user_id"], row["body_hash"], row["outcome"]) for key, row in recorded.items()
    }


def test_ids_of_another_event_are_other_commands(books: Books) -> None:
    other = books.event_new()
    first = reserve(books.event, 1, A1)
    elsewhere = msgspec.structs.replace(first, event_id=other)
    engine = books.engine()
    assert codes(engine.apply([first]), first) == ["ok"]
    assert codes(engine.apply([elsewhere]), elsewhere) == ["ok"]
    assert books.version(other) == 1
