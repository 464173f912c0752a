"""Payments by real processes: a pool with its cashier, which is killed at each point, stormed and left without answers.

One table for all providers. The test provider keeps books of its own in Postgres; Stripe and Mollie are local servers
that speak what we use of their interfaces (`tests.tills`). What they kept is held against what we know.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import os
import random
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, LiteralString

import msgspec
import psycopg
import pytest
from psycopg.rows import dict_row

from booking_lane.commands import Checkout
from booking_lane.results import decode_record, job_key
from booking_lane.settings import LaneSettings
from db.audit.invariants import at_banks, audit
from db.events.editing import edit_event
from db.events.edits import EventEdit
from db.events.progress import PaidBack, Progress, Told, read_progress
from db.events.sale import EventState
from db.invoices.settings import InvoiceSettings
from db.payments import intents
from db.payments.cashier import HINT, HINT_AT_PROVIDER
from payments.own import TestProvider
from payments.provider import ProviderAwayError
from payments.settings import PaymentSettings
from tests.factories import SECRET, make_event
from tests.faults.harness import Row, append_row
from tests.integration import on_citus
from tests.integration.engine.books import plan
from tests.integration.on_citus import with_citus
from tests.integration.workers.lanes import LANES, Lanes
from tests.tills import mollie_server, stripe_server
from tests.tills.mollie_server import MollieBooks
from tests.tills.server import Books, serving
from tests.tills.stripe_server import StripeBooks
from tests.unit.booking_lane.asks import cancel, checkout, reserve
from tests.waiting import await_that
from workers.payments.cashier import Cashier
from workers.payments.reconciling import reconcile

database_url = on_citus.database_url

POINTS = ("pay_taken", "pay_opened", "pay_noted", "pay_captured", "pay_sent", "pay_refunded")
NUMBERED = "pay_numbered"
KEEPING = ("pay_taken", "pay_kept", "pay_sent")
"""The points round a `Keep`: before its payment is looked at, before it leaves for the lane, and after that."""
TERM_HOURS = 72
PRICE = 4900
RUNS = int(os.environ.get("PAYMENT_RUNS", "200"))
KEEP_RUNS = int(os.environ.get("KEEP_RUNS", "40"))
QUICK = {
    "ADMITONE_PAYMENT_LOOK_SECONDS": "1",
    "ADMITONE_PAYMENT_CALL_SECONDS": "0.5",
    "ADMITONE_PAYMENT_AGAIN_SECONDS": "0.5",
    "ADMITONE_PAYMENT_RETRY_FIRST_SECONDS": "0.05",
    "ADMITONE_PAYMENT_RETRY_SECONDS_MAX": "0.2",
}
PATIENT = {"ADMITONE_PAYMENT_CALL_SECONDS": "10", "ADMITONE_PAYMENT_AGAIN_SECONDS": "5"}
"""These are the defaults: on a busy machine no call of a provider is given up. `Till.is_due_again` ends what a killed
cashier had taken for so long.
"""
SETTINGS = PaymentSettings(
    providers="test",
    look_seconds=1,
    call_seconds=0.5,
    again_seconds=0.5,
    retry_first_seconds=0.05,
    retry_seconds_max=0.2,
)


@dataclass
class Till:
    """An event with payments, its lanes, and fans who pay. ``books`` are those of a provider elsewhere; None: the test
    provider's, in Postgres.
    """

    lanes: Lanes
    event: int
    connection: psycopg.Connection[dict[str, Any]]
    books: Books | None = None
    fans: int = 0

    def buy(self, number: int = 1) -> list[Checkout]:
        """So many fans hold a seat each and check out."""
        commands: list[Any] = []
        for fan in range(self.fans + 1, self.fans + number + 1):
            seat = (1, 1 + fan // 20, 1 + fan % 20)
            commands += [reserve(self.event, fan, seat), checkout(self.event, fan, seat)]
        self.fans += number
        self.lanes.enqueue(self.event % LANES, *commands)
        return commands[1::2]

    def payment(self, job: Checkout) -> dict[str, Any]:
        """The payment that a checkout waits for, once the fan can pay it."""

        def found() -> dict[str, Any] | None:
            rows = self.connection.execute(
                "SELECT p.* FROM payment p JOIN payment_job j USING (event_id, payment_id)"
                " WHERE j.command_id = %s AND p.state <> 'new'",
                (job.command_id,),
            ).fetchall()
            return rows[0] if rows else None

        payment = await_that(found, 30, what="the payment is open")
        assert payment is not None
        return payment

    def _act(self, statement: LiteralString, payment: dict[str, Any], **further: object) -> None:
        which = {"event_id": self.event, "payment_id": payment["payment_id"], **further}
        self.connection.execute(statement, which)

    def hint(self, payment: dict[str, Any]) -> None:
        self._act(HINT, payment)

    def is_due_again(self) -> None:
        """The time is over for which a cashier that is dead had taken payments."""
        self.connection.execute("UPDATE payment SET due_at = now() WHERE due_at > now()")

    def pay(self, payment: dict[str, Any], amount: int = PRICE, *, hints: int = 1) -> None:
        if self.books is None:
            self._act(intents.PAY_INTENT, payment, amount=amount)
        else:
            self.books.pay(str(payment["payment_id"]), amount)
        for _ in range(hints):
            self.hint(payment)

    def delay(self, payment: dict[str, Any]) -> None:
        """The fan pays, and a bank takes days for it."""
        if self.books is None:
            self._act(intents.PAY_INTENT_LATER, payment, seconds=86_400)
        else:
            self.books.delay(str(payment["payment_id"]))
        self.hint(payment)

    def refuse(self, payment: dict[str, Any]) -> None:
        """The bank says no in the end."""
        if self.books is None:
            which = (payment["payment_id"],)
            self.connection.execute("UPDATE provider_intent SET state = 'declined' WHERE payment_id = %s", which)
        else:
            self.books.refuse(str(payment["payment_id"]))
        self.hint(payment)

    def decline(self, payment: dict[str, Any]) -> None:
        if self.books is None:
            self._act(intents.DECLINE_INTENT, payment)
        else:
            self.books.decline(str(payment["payment_id"]))
        self.hint(payment)

    def kept(self) -> dict[str, int]:
        """What the provider took and did not give back, by the payments' ids; what is 0 left out."""
        if self.books is not None:
            return {name: kept for name, kept in self.books.kept().items() if kept}
        rows = self.connection.execute(
            "SELECT payment_id, captured_amount - refunded_amount AS kept FROM provider_intent"
            " WHERE captured_amount <> refunded_amount"
        ).fetchall()
        return {str(row["payment_id"]): row["kept"] for row in rows}

    def end(self, job: Checkout) -> str:
        """The problem's code of a job, or ``ok``, once it has ended."""
        answer = await_that(lambda: self.lanes.answer(job), 40, what="the job has ended") or {}
        return str(answer.get("problem", {"code": "ok"})["code"])

    def waits_for_a_bank(self, payment: dict[str, Any], seconds_max: float = 40) -> None:
        """Wait until the payment's seats are kept for the event's term.

        Raises:
            AssertionError: they are not, in so long.
        """

        def kept() -> bool:
            found = self.connection.execute(
                "SELECT p.processing_at IS NOT NULL AND r.state = 'paying' AND r.expires_at = p.expires_at"
                "       AND r.expires_at - p.processing_at = make_interval(hours => %(hours)s) AS kept"
                "  FROM payment p JOIN reservation r USING (event_id, reservation_id)"
                " WHERE p.event_id = %(event_id)s AND p.payment_id = %(payment_id)s",
                {"hours": TERM_HOURS, "event_id": self.event, "payment_id": payment["payment_id"]},
            ).fetchone()
            return found is not None and bool(found["kept"])

        await_that(kept, seconds_max, what="the seats are kept for the term")

    def number(self, statement: LiteralString) -> int:
        row = self.connection.execute(statement).fetchone()
        assert row is not None
        return int(next(iter(row.values())))

    def assert_money_is_right(self) -> None:
        """The provider's books say what ours say: lost, doubled and overcharged are all 0."""
        refunds = "SELECT count(*) FROM refund WHERE state <> 'done'"
        await_that(lambda: self.number(refunds) == 0, 30, what="all refunds are done")
        rows = self.connection.execute(
            "SELECT p.payment_id, b.total_amount FROM payment p JOIN purchase b USING (event_id, purchase_id)"
            " WHERE b.total_amount > 0"
        ).fetchall()
        bought = {str(row["payment_id"]): row["total_amount"] for row in rows}
        assert self.kept() == bought, "what the provider kept is what the tickets cost"
        assert audit(self.lanes.database_url) == []


def provider_of(till: Till, fault: Any = None) -> TestProvider:
    return TestProvider(with_citus(till.lanes.database_url), SECRET, **({} if fault is None else {"fault": fault}))


@pytest.fixture
def till(lanes: Lanes) -> Iterator[Till]:
    lanes.environ = {**lanes.environ, **on_citus.ENVIRON, **QUICK, "ADMITONE_PAYMENT_PROVIDERS": "test"}
    event = make_event(lanes.database_url, plan(payments="test"))
    with psycopg.connect(lanes.database_url, autocommit=True, row_factory=dict_row) as connection:
        yield Till(lanes, event, connection)


@pytest.fixture(params=["test", "stripe", "mollie"])
def each_till(request: pytest.FixtureRequest, lanes: Lanes) -> Iterator[Till]:
    """The same at each provider."""
    name: str = request.param
    books: Books | None = {"stripe": StripeBooks(), "mollie": MollieBooks()}.get(name)
    environ = {**stripe_server.ENVIRON, **mollie_server.ENVIRON}
    with ExitStack() as stack:
        if books is not None:
            environ[f"ADMITONE_{name.upper()}_URL"] = stack.enter_context(serving(books))
        lanes.environ = {**lanes.environ, **on_citus.ENVIRON, **QUICK, **environ, "ADMITONE_PAYMENT_PROVIDERS": name}
        event = make_event(lanes.database_url, plan(payments=name))
        connection = stack.enter_context(psycopg.connect(lanes.database_url, autocommit=True, row_factory=dict_row))
        yield Till(lanes, event, connection, books)


def pool(till: Till) -> None:
    till.lanes.pool()
    till.lanes.await_workers()


def pay_there(till: Till, job: Checkout) -> None:
    """A fan without scripts goes to the provider's own page, in place of the element, and pays there."""
    payment = till.payment(job)
    till._act(HINT_AT_PROVIDER, payment)
    opened = await_that(lambda: (found := till.payment(job))["pay_href"] and found, 30, what="the page is open")
    assert opened is not None
    assert opened["pay_href"].startswith("https://checkout.stripe.com/")
    assert opened["provider_ref"] != payment["provider_ref"]
    till.pay(payment)
    assert till.end(job) == "ok"


def test_fans_pay_decline_and_cancel(each_till: Till) -> None:
    till = each_till
    pool(till)
    paid, declined, wrong = till.buy(3)
    if isinstance(till.books, StripeBooks):
        pay_there(till, till.buy()[0])
    record = decode_record(await_that(lambda: till.lanes.jobs.get(job_key(paid.command_id))))  # type: ignore[arg-type]
    assert record.body == b""
    payment = till.payment(paid)
    assert payment["client_secret"].startswith("sealed:")
    # Ten webhooks before the money, and a hundred after it.
    for _ in range(10):
        till.hint(payment)
    till.pay(payment, hints=100)
    till.decline(till.payment(declined))
    till.pay(till.payment(wrong), PRICE + 1)
    assert [till.end(job) for job in (paid, declined, wrong)] == ["ok", "payment_failed", "payment_failed"]
    answer = till.lanes.answer(paid)
    assert answer is not None
    gone = cancel(till.event, paid.user_id, answer["result"]["purchaseId"])
    till.lanes.enqueue(till.event % LANES, gone)
    till.lanes.await_answers(gone)
    till.assert_money_is_right()
    assert till.number("SELECT sum(amount) FROM refund WHERE state = 'done'") == 2 * PRICE + 1
    told = "SELECT payload FROM outbox WHERE kind = 'refund.made'"
    news = {row["payload"]["cause"]: row["payload"] for row in till.connection.execute(told)}
    assert {cause: one["amount"] for cause, one in news.items()} == {"cancelled": PRICE, "wrong_amount": PRICE + 1}
    assert news["cancelled"]["purchaseId"] == answer["result"]["purchaseId"]
    for job in (paid, wrong):
        till.hint(till.payment(job))
    till.assert_money_is_right()


def test_seats_are_kept_while_a_bank_takes_days_and_free_once_it_refuses(each_till: Till) -> None:
    till = each_till
    till.connection.execute("UPDATE room SET payment_term_hours = 72 WHERE event_id = %s", (till.event,))
    till.lanes.environ = {**till.lanes.environ, "ADMITONE_PAYMENT_BANK_LOOK_SECONDS": "1"}
    pool(till)
    jobs = till.buy(2)
    payments = [till.payment(job) for job in jobs]
    for payment in payments:
        till.delay(payment)
    kept = "SELECT count(*) FROM reservation WHERE expires_at > now() + interval '71 hours' AND state = 'paying'"
    await_that(lambda: till.number(kept) == 2, 30, what="both are kept for the event's term")
    waits = at_banks(till.lanes.database_url)
    assert waits is not None
    assert (waits.payments, waits.seats) == (2, 2)
    assert audit(till.lanes.database_url) == []
    assert all(till.lanes.answer(job) is None for job in jobs), "both checkouts wait"
    paid, refused = payments
    till.refuse(refused)
    assert till.end(jobs[1]) == "payment_failed"
    till.pay(paid)
    assert till.end(jobs[0]) == "ok"
    till.assert_money_is_right()
    assert till.number("SELECT count(*) FROM seat WHERE status <> 'available'") == 1
    assert at_banks(till.lanes.database_url) is None


def test_a_cashier_killed_at_each_point_loses_and_doubles_nothing(each_till: Till) -> None:
    till = each_till
    pool(till)
    for point in POINTS:
        before = point in ("pay_taken", "pay_opened", "pay_noted")
        wrong = point == "pay_refunded"
        if before:
            till.lanes.stop_at(point)
        jobs = till.buy(2)
        if before:
            till.lanes.kill_at(point)
        payments = [till.payment(job) for job in jobs]
        if not before:
            till.lanes.stop_at(point)
        for payment in payments:
            till.pay(payment, PRICE + wrong, hints=3)
        if not before:
            till.lanes.kill_at(point)
        assert [till.end(job) for job in jobs] == ["payment_failed" if wrong else "ok"] * 2, point
    till.assert_money_is_right()


async def _cashing(till: Till, provider: TestProvider, until: asyncio.Event) -> None:
    await Cashier(
        with_citus(till.lanes.database_url), till.lanes.jobs, LaneSettings(count=LANES), SETTINGS, {"test": provider}
    ).run(until)


def _with_cashier(till: Till, provider: TestProvider, work: Any) -> None:
    """Do ``work`` in a thread while a cashier of this process asks a provider with faults."""

    async def both() -> None:
        stop = asyncio.Event()
        cashing = asyncio.create_task(_cashing(till, provider, stop))
        try:
            await asyncio.to_thread(work)
        finally:
            stop.set()
            await cashing

    asyncio.run(both())


def test_a_moved_and_cancelled_event_tells_and_pays_back_all_though_the_cashier_is_killed(till: Till) -> None:
    def edit(**facts: object) -> None:
        with psycopg.connect(till.lanes.database_url) as connection:
            edit_event(connection, till.event, EventEdit(facts=facts), "ada", "it rains", seats_max=1000)

    def progress() -> Progress:
        return read_progress(connection, till.event)

    def all_is_done() -> bool:
        return progress().is_complete

    pool(till)
    jobs = till.buy(5)
    for job in jobs:
        till.pay(till.payment(job))
    assert [till.end(job) for job in jobs] == ["ok"] * 5
    for fan in (1, 2, 3):
        till.connection.execute(
            "INSERT INTO contact (event_id, user_id, channel, address, address_hash, language)"
            " VALUES (%s, %s, 'mail', %s, %s, 'en')",
            (till.event, fan, f"fan-{fan}@example.org", bytes([fan])),
        )
    with psycopg.connect(till.lanes.database_url, autocommit=True) as connection:
        assert progress() == Progress(None, is_written=True)
        edit(date=dt.datetime.now(dt.UTC) + dt.timedelta(weeks=9))
        await_that(all_is_done, 30, what="all are told of the move")
        assert progress() == Progress(Told("event_moved", 3, 0, 3, 0, 0), is_written=True)

        till.lanes.stop_at("pay_refunded")
        edit(event_state=EventState.CANCELLED)
        till.lanes.reached()
        halfway = progress()
        assert halfway.paid_back == PaidBack("EUR", 5, 5 * PRICE, 0, 0, 0)
        assert (halfway.is_complete, halfway.cancelled_at is None) == (False, False)
        till.lanes.kill_at("pay_refunded")
        await_that(all_is_done, 40, what="all are told of the cancellation, and paid back")
        done = progress()
        assert done.told == Told("event_cancelled", 3, 0, 3, 0, 0)
        assert done.paid_back == PaidBack("EUR", 5, 5 * PRICE, 5, 5 * PRICE, 0)
        assert (done.purchases, done.purchases_told) == (5, 5)
    assert till.number("SELECT sum(refunded_amount) FROM provider_intent") == 5 * PRICE
    assert audit(till.lanes.database_url) == []


def test_lost_answers_delays_and_an_hour_without_the_provider(till: Till) -> None:
    """Every call fails half of the time, before or after it was carried out; some wait too long."""
    till.lanes.environ = {**till.lanes.environ, "ADMITONE_PAYMENT_PROVIDERS": ""}
    pool(till)
    chance = random.Random(7)
    away = True

    async def fault(call: str) -> None:
        if away or chance.random() < 0.3:
            raise ProviderAwayError(f"no answer to {call}")

    def work() -> None:
        nonlocal away
        jobs = till.buy(12)
        await_that(lambda: till.number("SELECT count(*) FROM payment WHERE tries > 1") > 0, 30)
        away = False
        for number, job in enumerate(jobs):
            payment = till.payment(job)
            if number % 3 == 2:
                till.decline(payment)
            else:
                till.pay(payment, PRICE + (number % 3 == 1), hints=2)
        ended = [till.end(job) for job in jobs]
        assert ended == ["ok", "payment_failed", "payment_failed"] * 4
        till.assert_money_is_right()

    _with_cashier(till, provider_of(till, fault), work)


def test_money_that_comes_after_the_hold_is_a_ticket_or_goes_back(till: Till) -> None:
    till.lanes.environ = {**till.lanes.environ, "ADMITONE_PAYMENT_PROVIDERS": ""}
    pool(till)
    away = False

    async def fault(_: str) -> None:
        if away:
            raise ProviderAwayError("the line is cut")

    def work() -> None:
        nonlocal away
        free, taken = till.buy(2)
        payments = [till.payment(job) for job in (free, taken)]
        away = True
        # The provider is out of reach as the holds lapse; both fans pay meanwhile.
        till.connection.execute("UPDATE payment SET expires_at = now(), due_at = now()")
        till.connection.execute(
            "UPDATE reservation SET expires_at = now() - interval '1 min', lifetime_ends_at = now(),"
            " created_at = (created_at AT TIME ZONE 'UTC' - interval '2 hours') AT TIME ZONE 'UTC'"
        )
        till.connection.execute("UPDATE seat SET held_until = now() WHERE status = 'reserved'")
        await_that(lambda: till.number("SELECT count(*) FROM reservation WHERE state = 'lapsed'") == 2, 20)
        seat = (1, 1 + taken.user_id // 20, 1 + taken.user_id % 20)
        other = reserve(till.event, 99, seat)
        till.lanes.enqueue(till.event % LANES, other)
        till.lanes.await_answers(other)
        for payment in payments:
            till.pay(payment)
        away = False
        assert [till.end(job) for job in (free, taken)] == ["ok", "payment_failed"]
        till.assert_money_is_right()

    _with_cashier(till, provider_of(till, fault), work)


def test_what_expires_unpaid_fails_and_cannot_be_paid_any_more(till: Till) -> None:
    pool(till)
    (job,) = till.buy()
    payment = till.payment(job)
    till.connection.execute("UPDATE payment SET expires_at = now(), due_at = now()")
    assert till.end(job) == "payment_failed"
    till.pay(payment)
    assert till.number("SELECT captured_amount FROM provider_intent") == 0
    till.assert_money_is_right()


def test_reconciling_finds_what_no_webhook_told_and_mends_it(till: Till) -> None:
    pool(till)
    lost, failed, kept = till.buy(3)
    payments = [till.payment(job) for job in (lost, failed, kept)]
    till.pay(payments[2])
    assert till.end(kept) == "ok"
    till.decline(payments[1])
    assert till.end(failed) == "payment_failed"
    # The provider errs: it takes money for what it said was declined.
    till.connection.execute(
        "UPDATE provider_intent SET state = 'captured', captured_amount = amount WHERE payment_id = %s",
        (payments[1]["payment_id"],),
    )

    def compared() -> list[tuple[uuid.UUID | None, str, bool]]:
        done = asyncio.run(_reconciled(till))
        return [(one.payment_id, one.sentence, one.mended) for one in done.differences]

    ((found, sentence, mended),) = compared()
    assert (found, mended) == (payments[1]["payment_id"], True), sentence
    await_that(lambda: till.number("SELECT count(*) FROM refund WHERE state = 'done'") == 1, 20)
    assert compared() == []
    # What cannot be mended is told each time.
    till.connection.execute(
        "UPDATE provider_intent SET refunded_amount = 100 WHERE payment_id = %s", (payments[2]["payment_id"],)
    )
    ((found, _, mended),) = compared()
    assert (found, mended) == (payments[2]["payment_id"], False)


async def _reconciled(till: Till) -> Any:
    provider = provider_of(till)
    try:
        return await reconcile(with_citus(till.lanes.database_url), {"test": provider}, hours=1)
    finally:
        await provider.end()


def _with_cashier_alone(till: Till, **further: str) -> str:
    """A pool, and a cashier alone that is there again at once when it is killed; gives the provider's name.

    Args:
        further: settings of the cashier.
    """
    names = till.lanes.environ["ADMITONE_PAYMENT_PROVIDERS"]
    with_cashier = {**till.lanes.environ, **PATIENT, **further}
    till.lanes.environ = {**till.lanes.environ, "ADMITONE_PAYMENT_PROVIDERS": ""}
    pool(till)
    till.lanes.environ = with_cashier
    till.lanes.cashier()
    return names


@pytest.mark.long
@pytest.mark.timeout(1200)
def test_two_hundred_runs_of_a_cashier_killed_at_random_points(each_till: Till) -> None:
    """Lost, doubled and overcharged are 0, and no invoice's number is missing. Only the cashier dies: it is quick."""
    till = each_till
    names = _with_cashier_alone(till, ADMITONE_INVOICE_SELLER="Kulturhalle")
    chance, recovered = random.Random(16), []
    points = [*POINTS[:-1], NUMBERED]
    for _ in range(RUNS):
        point = chance.choice(points)
        is_late = point in ("pay_captured", "pay_sent", NUMBERED)
        if not is_late:
            till.lanes.stop_at(point)
        job = till.buy()[0]
        if is_late:
            payment = till.payment(job)
            till.lanes.stop_at(point)
            till.pay(payment, hints=chance.randrange(1, 20))
        till.lanes.kill_at(point)
        till.is_due_again()
        killed_at = time.monotonic()
        if not is_late:
            till.pay(till.payment(job), hints=chance.randrange(1, 20))
        assert till.end(job) == "ok"
        recovered.append(round(time.monotonic() - killed_at, 3))
    invoices = InvoiceSettings(seller="Kulturhalle")
    due = "SELECT count(*) FROM payment WHERE NOT invoiced"
    await_that(lambda: till.number(due) == 0, 30, what="all invoices are written")
    till.assert_money_is_right()
    assert audit(till.lanes.database_url, invoices=invoices) == []
    kept, purchases = till.kept(), till.number("SELECT count(*) FROM purchase")
    append_row(
        Row(
            at=dt.datetime.now(dt.UTC),
            fault=f"cashier kill -9 at a random point, {names}",
            fans=RUNS,
            acknowledged=RUNS,
            lost=RUNS - purchases,
            doubled=sum(amount > PRICE for amount in kept.values()) + len(kept) - purchases,
            overtaken=0,
            gave_up=0,
            recovery_seconds=recovered,
            note=f"until the tickets; {till.number('SELECT last_number FROM invoice_series')} invoices without a gap",
        )
    )
    assert (purchases, len(kept), till.number("SELECT count(*) FROM invoice")) == (RUNS, RUNS, RUNS)


def _with_banks(till: Till) -> str:
    """As `_with_cashier_alone`, and the event waits for banks."""
    till.connection.execute("UPDATE room SET payment_term_hours = %s WHERE event_id = %s", (TERM_HOURS, till.event))
    return _with_cashier_alone(till)


@pytest.mark.long
@pytest.mark.timeout(1200)
def test_a_cashier_killed_round_the_keeping_of_seats_keeps_them_once(each_till: Till) -> None:
    """Every other fan's bank pays in the end, and the others' seats are free again."""
    till = each_till
    names = _with_banks(till)
    chance, recovered, paid = random.Random(107), [], 0
    for run in range(KEEP_RUNS):
        point = chance.choice(KEEPING)
        job = till.buy()[0]
        payment = till.payment(job)
        till.lanes.stop_at(point)
        till.delay(payment)
        till.lanes.kill_at(point)
        till.is_due_again()
        killed_at = time.monotonic()
        till.waits_for_a_bank(payment)
        recovered.append(round(time.monotonic() - killed_at, 3))
        if run % 2:
            till.refuse(payment)
            assert till.end(job) == "payment_failed"
        else:
            till.pay(payment, hints=chance.randrange(1, 20))
            assert till.end(job) == "ok"
            paid += 1
    till.assert_money_is_right()
    kept, purchases = till.kept(), till.number("SELECT count(*) FROM purchase")
    append_row(
        Row(
            at=dt.datetime.now(dt.UTC),
            fault=f"cashier kill -9 round the keeping of seats for a bank, {names}",
            fans=KEEP_RUNS,
            acknowledged=KEEP_RUNS,
            lost=paid - purchases,
            doubled=sum(amount > PRICE for amount in kept.values()) + len(kept) - purchases,
            overtaken=0,
            gave_up=0,
            recovery_seconds=recovered,
            note=f"until the seats are kept for {TERM_HOURS} h; {paid} banks paid, {KEEP_RUNS - paid} did not",
        )
    )
    assert (purchases, len(kept)) == (paid, paid)
    assert till.number("SELECT count(*) FROM seat WHERE status <> 'available'") == paid


@pytest.mark.long
def test_seats_are_not_kept_if_a_cashier_notes_before_it_sends(till: Till) -> None:
    """The negative control: this cashier noted that the bank was asked, and died before its `Keep` left."""
    _with_banks(till)
    job = till.buy()[0]
    payment = till.payment(job)
    till.lanes.stop_at("pay_kept")
    till.delay(payment)
    till.lanes.reached()
    noted = "UPDATE payment SET due_at = now() + interval '1 day' WHERE payment_id = %s"
    till.connection.execute(noted, (payment["payment_id"],))
    till.lanes.kill_at("pay_kept")
    with pytest.raises(AssertionError, match="kept for the term"):
        till.waits_for_a_bank(payment, seconds_max=2)
    till.hint(payment)
    till.waits_for_a_bank(payment)


def test_the_outcome_is_json_of_the_contract(till: Till) -> None:
    pool(till)
    (job,) = till.buy()
    till.pay(till.payment(job))
    assert till.end(job) == "ok"
    (row,) = till.connection.execute(
        "SELECT outcome FROM booking_command WHERE command_id = %s", (job.command_id,)
    ).fetchall()
    assert msgspec.convert(row["outcome"]["result"]["totalAmount"], int) == PRICE
