"""Invoices of real purchases: their numbers have no gap, whoever writes them and whoever dies."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, LiteralString

import psycopg
import pytest

from db.audit.invariants import audit
from db.audit.invoices import INVARIANTS
from db.booking.charges import half_up
from db.connections.engines import transaction
from db.events.editing import edit_event
from db.events.edits import EventEdit
from db.events.sale import EventState
from db.invoices.keeping import FORGET_PAYERS
from db.invoices.model import Charged, InvoiceKind, Payer, Seller, lines_of, taxes_of
from db.invoices.reading import InvoiceRow, invoices_of
from db.invoices.sellers import seller_of, set_seller
from db.invoices.settings import InvoiceSettings
from db.invoices.writing import Written, write_due
from db.orders.answers import Content, Hold, keep_answers
from db.payments.cashier import REFUND_CANCELLED_EVENTS
from db.privacy import fans
from tests.integration.engine.books import GRACE_SECONDS, Books, bodies, connect
from tests.integration.engine.test_payments import A1, A2, FAN, OTHER, SEAT_PRICE, Till, told
from tests.unit.booking_lane.asks import cancel

SITE = InvoiceSettings(seller="Kulturhalle GmbH", address="Hauptstr. 1; 10115 Berlin", tax_id="DE1", series="T-")
FEE, RATE = 250, 1900
B1 = (1, 2, 1)


@pytest.fixture
def till(database_url: str) -> Any:
    """An event that charges a fee, and a tax that is included."""
    with connect(database_url) as connection:
        books = Books(database_url, connection, 0)
        books.event = books.event_new(payments="test")
        connection.execute("UPDATE ticket SET fee_amount = %s, tax_basis_points = %s", (FEE, RATE))
        connection.execute("UPDATE ticket SET tax_included = false WHERE ticket_type_id = 2")
        yield Till(books, books.engine())
        for engine in books.engines:
            engine.close()


def buy(till: Till, fan: int, *seats: tuple[int, int, int]) -> uuid.UUID:
    hold = till.hold(fan, *seats)
    if fan == FAN:
        asyncio.run(answer(till, hold))
    _, payment = till.check_out(fan, hold)
    till.pay(payment, till.row(payment)["amount"])
    return uuid.UUID(told(till.confirm(payment, hold, *seats, fan=fan))["result"]["purchaseId"])


async def answer(till: Till, hold: uuid.UUID) -> None:
    async with transaction(till.books.database_url, "test") as connection:
        content = Content(name="Ada King", address="St James 12\nLondon")
        of = Hold(till.event, hold, FAN)
        await keep_answers(connection, of, "ada@example.org", content, terms_version=0, language="de")


def write(till: Till, settings: InvoiceSettings = SITE, probe: Callable[[str], None] = lambda point: None) -> Written:
    async def written() -> Written:
        async with await psycopg.AsyncConnection.connect(till.books.database_url, autocommit=True) as connection:
            return await write_due(connection, settings, rows_max=100, probe=probe)

    return asyncio.run(written())


def read(till: Till, purchase_id: uuid.UUID) -> list[InvoiceRow]:
    async def found() -> list[InvoiceRow]:
        async with transaction(till.books.database_url, "test") as connection:
            return await invoices_of(connection, till.event, purchase_id)

    return asyncio.run(found())


def broken(till: Till) -> set[str]:
    violations = audit(till.books.database_url, grace_seconds=GRACE_SECONDS, invoices=SITE)
    return {violation.invariant for violation in violations}


def late(till: Till) -> None:
    """Eleven minutes pass."""
    for statement in (
        "UPDATE payment SET ended_at = ended_at - interval '11 min', captured_at = captured_at - interval '11 min'",
        "UPDATE refund SET created_at = created_at - interval '11 min'",
    ):
        till.books.connection.execute(statement)


def test_what_is_paid_gets_an_invoice_and_what_goes_back_a_credit_note(till: Till) -> None:
    first = buy(till, FAN, A1, A2, (2, 1, 1))
    second = buy(till, OTHER, B1)
    assert write(till) == Written(2, [])
    assert write(till) == Written(0, []), "once"
    (one,), (two,) = read(till, first), read(till, second)
    assert [(one.code, one.of_code), (two.code, two.of_code)] == [("T-00001", None), ("T-00002", None)]
    assert (one.payer, one.mail, one.language) == (Payer("Ada King", "St James 12\nLondon"), "ada@example.org", "de")
    assert (two.payer, two.mail, two.language) == (Payer(), "", "en")
    included = half_up((SEAT_PRICE + FEE) * RATE, 10_000 + RATE)
    on_top = half_up((12_900 + FEE) * RATE, 10_000)
    hall, vip = one.content.lines
    assert (hall.ticket_type, hall.quantity, hall.amount, hall.tax) == ("Hall", 2, 10_300, 2 * included)
    assert (vip.tax_included, vip.amount, vip.tax) == (False, 12_900 + FEE + on_top, on_top)
    assert [(tax.tax_basis_points, tax.amount, tax.tax) for tax in taxes_of(one.content.lines)] == [
        (RATE, one.amount, 2 * included + on_top)
    ]
    assert one.content.seller.tax_id == "DE1"

    till.books.connection.execute("UPDATE room SET cancel_fee_percent = 10")
    gone = cancel(till.event, FAN, first, A1)
    till.books.now_ms += 1
    (answered,) = bodies(till.engine.apply([gone]), gone)
    assert write(till) == Written(1, [])
    _, note = read(till, first)
    assert (note.kind, note.code, note.of_code) == (InvoiceKind.CREDIT_NOTE, "T-00003", "T-00001")
    assert (note.amount, note.content.lines[0].kept) == (answered["refundAmount"], 515)
    assert note.tax == half_up(included * note.amount, SEAT_PRICE + FEE)
    assert (note.payer, note.content.seller) == (one.payer, one.content.seller)
    late(till)
    assert broken(till) == set()

    with psycopg.connect(till.books.database_url) as connection:
        edit = EventEdit(facts={"event_state": EventState.CANCELLED})
        edit_event(connection, till.event, edit, "ada", "it rains", seats_max=1000)
    till.books.connection.execute(REFUND_CANCELLED_EVENTS, {"rows_max": 10})
    assert write(till).documents == 2
    *_, note = read(till, first)
    assert (note.amount, note.of_code) == (one.amount - SEAT_PRICE - FEE, "T-00001")
    assert sum(paper.tax for paper in read(till, second) if paper.kind is InvoiceKind.CREDIT_NOTE) == two.tax


def test_two_cancellations_of_one_batch_are_one_credit_note(till: Till) -> None:
    bought = buy(till, FAN, A1, A2)
    write(till)
    commands = [cancel(till.event, FAN, bought, A1), cancel(till.event, FAN, bought, A2)]
    bodies(till.engine.apply(commands), *commands)
    assert till.books.number("SELECT count(*) FROM refund") == 2
    assert write(till).documents == 1
    invoice, note = read(till, bought)
    assert (note.amount, note.content.lines[0].quantity) == (invoice.amount, 2)
    assert broken(till) == set()


def test_a_writer_that_dies_leaves_no_gap_and_two_at_once_write_once(till: Till) -> None:
    bought = [buy(till, fan, (1, fan, 1)) for fan in range(2, 6)]

    def die(point: str) -> None:
        assert point == "pay_numbered"
        with ThreadPoolExecutor(1) as other:
            meanwhile = other.submit(write, till).result()
        assert meanwhile == Written(0, []), "another writer waits for nothing, and writes nothing"
        raise ConnectionError("killed")

    with pytest.raises(ConnectionError):
        write(till, probe=die)
    assert till.books.number("SELECT count(*) FROM invoice_series") == 0
    assert write(till).documents == 4
    assert [read(till, purchase)[0].number for purchase in bought] == [1, 2, 3, 4], "in the order of the sale"
    assert broken(till) == set()


def test_events_with_a_seller_of_their_own_count_in_its_series_and_others_have_none(till: Till) -> None:
    none = InvoiceSettings()
    bought = buy(till, FAN, A1)
    assert write(till, none).documents == 0
    late(till)
    assert audit(till.books.database_url, grace_seconds=GRACE_SECONDS) == []
    till.books.connection.execute(
        "UPDATE event SET seller = %s WHERE event_id = %s",
        (json.dumps({"name": "Band e.V.", "series": "B{event}-{year}-", "creditSeries": "BC-"}), till.event),
    )
    assert [one.invariant for one in audit(till.books.database_url, grace_seconds=GRACE_SECONDS)] == [
        "payment_has_invoice"
    ]
    assert write(till, none).documents == 1
    gone = cancel(till.event, FAN, bought)
    bodies(till.engine.apply([gone]), gone)
    assert write(till, none).documents == 1
    year = dt.datetime.now(dt.UTC).year
    codes = [paper.code for paper in read(till, bought)]
    assert codes[0] in {f"B{till.event}-{year + more}-00001" for more in (0, 1)}, "the year of the venue's clock"
    assert codes[1:] == ["BC-00001"]


def test_an_operator_sets_the_seller_and_it_is_logged_once(till: Till) -> None:
    async def set_and_read(seller: Seller | None) -> Seller | None:
        async with transaction(till.books.database_url, "test") as connection:
            await set_seller(connection, till.event, seller, "ada", "as agreed")
            return await seller_of(connection, till.event)

    band = Seller(name="Band e.V.", tax_id="DE2")
    for seller in (band, band, None):
        assert asyncio.run(set_and_read(seller)) == seller
    logged = till.books.rows("SELECT before, after FROM change_log WHERE field = 'seller' ORDER BY log_id")
    assert [tuple(row.values()) for row in logged] == [
        ("", "Band e.V.; DE2; E{event}-"),
        ("Band e.V.; DE2; E{event}-", ""),
    ]


def test_purchases_before_the_first_day_get_none(till: Till) -> None:
    # The day after tomorrow, for this one may end in the test.
    later = (dt.datetime.now(dt.UTC) + dt.timedelta(days=2)).date().isoformat()
    buy(till, FAN, A1)
    assert write(till, InvoiceSettings(seller="Hall", since=later)).documents == 0
    with pytest.raises(ValueError, match="a day such as"):
        _ = InvoiceSettings(since="1 May").since_at


BREACHES: dict[str, tuple[LiteralString, set[str]]] = {
    "a number that nobody has": (
        "UPDATE invoice_series SET last_number = last_number + 1",
        {"invoice_numbers_have_no_gap"},
    ),
    "an invoice that is gone": (
        "DELETE FROM invoice WHERE kind = 'invoice' AND number = 2",
        {"invoice_numbers_have_no_gap", "payment_has_invoice"},
    ),
    "a number that was changed": (
        "UPDATE invoice SET number = 9 WHERE number = 2",
        {"invoice_numbers_have_no_gap"},
    ),
    "an invoice for more than was paid": (
        "UPDATE invoice SET amount = amount + 1 WHERE number = 2",
        {"invoice_equals_payment"},
    ),
    "another tax than was charged": (
        "UPDATE invoice SET tax = tax - 1 WHERE number = 2",
        {"invoice_equals_payment"},
    ),
    "a credit note for more than went back": (
        "UPDATE invoice SET amount = amount + 1 WHERE kind = 'credit_note'",
        {"credit_notes_equal_refunds"},
    ),
    "money that went back without a credit note": (
        "DELETE FROM invoice WHERE kind = 'credit_note'; UPDATE invoice_series SET last_number = 2",
        {"credit_notes_equal_refunds"},
    ),
    "a credit note that names somebody else's invoice": (
        "UPDATE invoice SET of_number = 2 WHERE kind = 'credit_note'",
        {"credit_notes_equal_refunds"},
    ),
}


@pytest.mark.parametrize("breach", BREACHES)
def test_each_breach_is_found(till: Till, breach: str) -> None:
    bought = buy(till, FAN, A1)
    buy(till, OTHER, B1)
    write(till)
    gone = cancel(till.event, FAN, bought)
    bodies(till.engine.apply([gone]), gone)
    write(till)
    late(till)
    assert broken(till) == set()
    statement, found = BREACHES[breach]
    till.books.connection.execute(statement)
    assert broken(till) == found


def test_every_invariant_of_invoices_has_a_breach() -> None:
    assert {name for _, names in BREACHES.values() for name in names} == set(INVARIANTS)


def test_an_erased_fan_stands_on_the_invoice_alone_until_its_time_is_over(till: Till) -> None:
    bought = buy(till, FAN, A1)
    write(till)
    with psycopg.connect(till.books.database_url, autocommit=True) as connection:
        person = fans.of_address(connection, "ada@example.org")
        (exported,) = fans.exported(connection, person)["invoice"]
        assert json.loads(exported["payer"])["name"] == "Ada King"
        assert exported["address"] == "ada@example.org"
        fans.erase(connection, person, "asked")
        (invoice,) = read(till, bought)
        assert (invoice.payer.name, invoice.mail) == ("Ada King", "")
        kept: dict[str, Any] = {"keep_hours": 24, "rows_max": 10}
        assert connection.execute(FORGET_PAYERS, kept).rowcount == 0
        connection.execute("UPDATE invoice SET made_at = made_at - interval '25 h'")
        assert connection.execute(FORGET_PAYERS, kept).rowcount == 1
    (invoice,) = read(till, bought)
    assert (invoice.payer, invoice.code) == (Payer(), "T-00001")
    assert broken(till) == set(), "the number stays"


def test_seats_that_were_charged_alike_are_one_line() -> None:
    seat = Charged("Hall", 5150, 4900, 250, 822, 1900, 0)
    lower = seat._replace(amount=4650, discount=500, tax=742)
    lines = lines_of([seat, lower, seat], InvoiceKind.INVOICE)
    assert [(line.quantity, line.amount, line.discount) for line in lines] == [(2, 10_300, 0), (1, 4650, 500)]
    (note,) = lines_of([seat._replace(kept=5150)], InvoiceKind.CREDIT_NOTE)
    assert (note.amount, note.tax, note.kept) == (0, 0, 5150)
    (plain,) = lines_of([Charged("Hall", 4900, None, 0, 0, 0, 0)], InvoiceKind.INVOICE)
    assert (plain.price, plain.tax_included, plain.amount) == (4900, True, 4900)
