from __future__ import annotations

import datetime as dt
import random
import threading
from collections.abc import Sequence

import msgspec
import pytest

from booking_lane.commands import Command
from tests.factories import PRICES
from tests.integration.engine.books import (
    GRACE_SECONDS,
    HOLD_SECONDS,
    VIP_SEATS,
    Books,
    bodies,
)
from tests.unit.booking_lane.asks import best, cancel, checkout, release, reserve, sweep
from tests.unit.workers.model import Model
from workers.engine.engine import Applied

BATCHES = 20
FANS = 12
SEATS = [(1, row, seat) for row in (1, 2) for seat in range(1, 9)] + [(2, 1, seat) for seat in range(1, VIP_SEATS + 1)]


def some_commands(
    books: Books, dice: random.Random, holds: list[tuple[int, str]], purchases: list[tuple[int, str]]
) -> list[Command]:
    commands: list[Command] = []
    for _ in range(dice.randint(1, 8)):
        fan = dice.randint(1, FANS)
        seats = tuple(sorted(dice.sample(SEATS, dice.randint(1, 3))))
        owner, hold = dice.choice(holds) if holds else (fan, None)
        buyer, purchase = dice.choice(purchases) if purchases else (fan, None)
        match dice.randint(0, 6):
            case 0 | 1:
                commands.append(reserve(books.event, fan, *seats))
                if dice.random() < 0.5:
                    commands.append(checkout(books.event, fan, *seats))
            case 2:
                commands.append(best(books.event, fan, dice.randint(1, 2), dice.randint(1, 3)))
            case 3 if hold:
                commands.append(checkout(books.event, owner, hold=hold))
            case 4 if hold:
                commands.append(release(books.event, dice.choice((owner, fan)), hold))
            case 5 if purchase:
                commands.append(
                    cancel(books.event, dice.choice((buyer, buyer, fan)), purchase, *seats[: dice.randint(0, 1)])
                )
            case _:
                commands.append(sweep(books.event))
    return commands


def replay(model: Model, commands: Sequence[Command], applied: Applied) -> None:
    """Let the model do the same batch; it must come to the same answers."""
    answers = dict(
        zip(
            [outcome.command_id for outcome in applied.outcomes],
            bodies_of(applied),
            strict=True,
        )
    )
    ends = [dt.datetime.fromisoformat(str(body["expiresAt"])) for body in answers.values() if "expiresAt" in body]
    # A hold asked for again keeps its end: the batch's own time is that of its newest hold.
    now = max(ends, default=dt.datetime.now(dt.UTC)) - dt.timedelta(seconds=HOLD_SECONDS if ends else 0)
    for command in commands:
        body = answers.get(command.command_id)
        if body is None:
            continue
        expected = model.expect(command, now)
        assert body.get("code", "ok") in expected, (command, body, expected)
        if "code" not in body:
            model.apply(command, body, now)


def bodies_of(applied: Applied) -> list[dict[str, object]]:
    decoded = [msgspec.json.decode(outcome.body) for outcome in applied.outcomes]
    return [found["result"] if found["status"] == "succeeded" else found["problem"] for found in decoded]


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_two_engines_on_one_event_equal_some_serial_order(books: Books, seed: int) -> None:
    holds: list[tuple[int, str]] = []
    purchases: list[tuple[int, str]] = []
    done: list[tuple[list[Command], Applied]] = []
    failures: list[BaseException] = []

    def work(number: int) -> None:
        dice = random.Random(seed * 100 + number)
        engine = books.engine()
        try:
            for _ in range(BATCHES):
                commands = some_commands(books, dice, holds, purchases)
                applied = engine.apply(commands)
                done.append((commands, applied))
                for command, body in zip(
                    [one for one in commands if one.command_id in {o.command_id for o in applied.outcomes}],
                    bodies(applied, *commands),
                    strict=True,
                ):
                    if "expiresAt" in body:
                        holds.append((command.user_id, body["reservationId"]))
                    if "purchaseAt" in body:
                        purchases.append((command.user_id, body["purchaseId"]))
        except BaseException as failure:
            failures.append(failure)
            raise

    threads = [threading.Thread(target=work, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failures == []
    assert len(done) == 2 * BATCHES

    # The version tells the order: a batch that changed nothing comes after the one that left it its version.
    def order(entry: tuple[list[Command], Applied]) -> tuple[int, bool]:
        _, applied = entry
        if applied.changes:
            return applied.changes[0].version, False
        versions = [body["version"] for body in bodies_of(applied)]
        return (int(str(versions[0])), True) if versions else (0, False)

    changed = [entry for entry in done if entry[1].changes]
    assert sorted(order(entry)[0] for entry in changed) == list(range(1, books.version() + 1))
    every_seat = tuple((1, row, seat) for row in range(1, 21) for seat in range(1, 21))
    model = Model(
        PRICES,
        every_seat + tuple((2, 1, seat) for seat in range(1, VIP_SEATS + 1)),
        10,
        HOLD_SECONDS,
        GRACE_SECONDS,
    )
    for commands, applied in sorted(done, key=order):
        replay(model, commands, applied)
    assert {seat: status for seat, status in model.status.items() if status != "available"} == books.statuses()
    assert any(len(applied.bought) for _, applied in done)
    assert books.number("SELECT count(*) FROM outbox WHERE kind = 'purchase.cancelled'") > 0


def test_the_same_batch_in_two_engines_at_once_happens_once(books: Books) -> None:
    """A stalled worker and the one that took its batch over."""
    commands: list[Command] = []
    for fan in range(1, 41):
        seat = (1, 1 + fan // 20, 1 + fan % 20)
        commands += [reserve(books.event, fan, seat), checkout(books.event, fan, seat)]
    answers: list[list[dict[str, object]]] = []
    barrier = threading.Barrier(4)

    def work() -> None:
        engine = books.engine()
        engine.connection()
        barrier.wait(10)
        answers.append(bodies(engine.apply(commands), *commands))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(answers) == 4
    assert all(one == answers[0] for one in answers)
    assert books.version() == 1
    assert books.number("SELECT count(*) FROM purchase") == 40


def test_batches_of_several_events_in_any_order_do_not_deadlock(books: Books, caplog: pytest.LogCaptureFixture) -> None:
    events = [books.event, books.event_new(), books.event_new()]
    barrier = threading.Barrier(3)
    failures: list[BaseException] = []

    def work(number: int) -> None:
        engine = books.engine()
        dice = random.Random(number)
        order = list(events)
        barrier.wait(10)
        try:
            for turn in range(10):
                dice.shuffle(order)
                engine.apply(
                    [
                        reserve(event, number * 100 + turn * 3 + fan, (1, 1 + turn, 1 + number * 3 + fan))
                        for event in order
                        for fan in range(3)
                    ]
                )
        except BaseException as failure:
            failures.append(failure)
            raise

    threads = [threading.Thread(target=work, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failures == []
    assert "trying again" not in caplog.text
    assert books.number("SELECT count(*) FROM reservation") == 3 * 3 * 30
