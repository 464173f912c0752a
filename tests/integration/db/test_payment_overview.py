"""What operators are told of payments: the figures of an event, the doctor's findings, and what alarms watch."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import msgspec
import pytest

from admitone.doctor import payments as doctor
from admitone.doctor.site import Site
from admitone.settings import Settings
from db.alarms.kinds import AlarmKind
from db.connections import look
from db.connections.engines import create_engine
from db.payments.overview import AT_THE_BANK, WATCHED, WatchedMoney, read_figures
from db.payments.reconciling import Found, read_latest
from payments.settings import PaymentSettings
from tests.integration.engine.books import Books, connect
from tests.integration.engine.test_payments import A1, A2, A3, FAN, OTHER, Till, told
from tests.unit.booking_lane.asks import cancel
from workers.alarms.sight import money_looks


@pytest.fixture
def till(database_url: str) -> Iterator[Till]:
    """One fan paid and cancelled, a second payment waits for its provider, and a third is with a bank."""
    with connect(database_url) as connection:
        books = Books(database_url, connection, 0)
        books.event = books.event_new(payments="test")
        till = Till(books, books.engine())
        hold = till.hold(FAN, A1)
        _, paid = till.check_out(FAN, hold)
        till.pay(paid)
        bought = told(till.confirm(paid, hold, A1))["result"]
        till.engine.apply([cancel(books.event, FAN, uuid.UUID(bought["purchaseId"]))])
        _, waits = till.check_out(OTHER, till.hold(OTHER, A2))
        _, pending = till.check_out(3, till.hold(3, A3))
        till.books.connection.execute(
            "UPDATE payment SET error = 'no answer: 503', tries = 4, created_at = created_at - interval '2 min'"
            " WHERE payment_id = %s",
            (waits,),
        )
        till.books.connection.execute(
            "UPDATE payment SET state = 'open', error = %s, expires_at = now() - interval '2 h' WHERE payment_id = %s",
            (AT_THE_BANK, pending),
        )
        yield till
        till.engine.close()


def findings(till: Till) -> dict[str, str]:
    made = Site(Settings(payment=PaymentSettings(providers="test")))
    with look.connect(till.books.database_url, "test") as made.postgres:
        return {one.code: one.level.name for one in doctor.examine(made)}


def watched(till: Till) -> WatchedMoney:
    with look.connect(till.books.database_url, "test") as connection:
        (row,) = connection.execute(WATCHED, {"events_max": 10}).fetchall()
    return WatchedMoney._make(row)


def compared(till: Till, *found: Found) -> None:
    till.books.connection.execute(
        "INSERT INTO reconciliation (reconciliation_id, began_at, ended_at, hours, payments, differences)"
        " VALUES (gen_random_uuid(), clock_timestamp(), clock_timestamp(), 72, 1, %s::jsonb)",
        (msgspec.json.encode(found).decode(),),
    )


async def test_the_figures_of_an_event(till: Till) -> None:
    engine = create_engine(till.books.database_url, 1, "test")
    async with engine.connect() as connection:
        payments, refunds = await read_figures(connection, till.event, stuck_minutes=30)
        assert await read_latest(connection) is None
    assert (payments.opening, payments.open, payments.at_the_bank, payments.booked) == (1, 0, 1, 1)
    assert (payments.stuck, payments.captured_amount, payments.error) == (0, 4900, "no answer: 503")
    assert (refunds.pending, refunds.done, refunds.stuck, refunds.owed_amount) == (1, 0, 0, 4900)
    till.books.connection.execute("UPDATE refund SET created_at = now() - interval '40 min', error = 'no money there'")
    till.books.connection.execute("UPDATE payment SET expires_at = now() - interval '40 min' WHERE state = 'new'")
    found = Found("test", "100 were paid back, and we know of 0", till.event, uuid.uuid4())
    compared(till, found)
    async with engine.connect() as connection:
        payments, refunds = await read_figures(connection, till.event, stuck_minutes=30)
        latest = await read_latest(connection)
    await engine.dispose()
    assert (payments.stuck, refunds.stuck, refunds.error) == (1, 1, "no money there")
    assert latest is not None
    assert latest.differences == (found,)


def test_the_doctor_names_what_is_stuck_given_up_or_different(till: Till) -> None:
    assert findings(till) == {"payments_unopened": "ERROR", "payments_not_compared": "WARNING"}
    till.books.connection.execute("UPDATE payment SET error = '', state = 'open' WHERE state = 'new'")
    compared(till)
    assert findings(till) == {"payments": "OK", "payments_compared": "OK"}
    till.books.connection.execute("UPDATE payment SET expires_at = now() - interval '1 h' WHERE state = 'open'")
    till.books.connection.execute("UPDATE refund SET created_at = now() - interval '1 h'")
    compared(till, Found("test", "7 were paid", till.event, uuid.uuid4()))
    assert findings(till) == {"payments_stuck": "WARNING", "refunds_stuck": "WARNING", "payments_differ": "ERROR"}
    till.books.connection.execute("UPDATE refund SET state = 'dead', error = 'refused'")
    compared(till, Found("test", "7 were paid, and we do not know it", till.event, uuid.uuid4(), mended=True))
    assert findings(till) == {"payments_stuck": "WARNING", "refunds_dead": "ERROR", "payments_compared": "OK"}


def test_alarms_watch_payments_also_once_the_sale_is_over(till: Till) -> None:
    till.books.connection.execute("UPDATE event SET state = 'cancelled', off_sale_at = now() - interval '1 day'")
    till.books.connection.execute("UPDATE refund SET created_at = now() - interval '1 h'")
    compared(
        till, Found("test", "x", till.event, uuid.uuid4()), Found("test", "y", till.event, uuid.uuid4(), mended=True)
    )
    looks = {one.kind: one.figure for one in money_looks([watched(till)])}
    assert looks.keys() == {AlarmKind.PAYMENTS_UNOPENED, AlarmKind.REFUNDS_STUCK, AlarmKind.PAYMENTS_DIFFER}
    assert 110 < (looks[AlarmKind.PAYMENTS_UNOPENED] or 0) < 600
    assert (looks[AlarmKind.REFUNDS_STUCK] or 0) >= 3600
    assert looks[AlarmKind.PAYMENTS_DIFFER] == 1
