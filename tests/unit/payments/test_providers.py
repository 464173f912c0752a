"""Each provider against a local server that speaks its documented interface and makes faults: one table for all."""

from __future__ import annotations

import dataclasses
import datetime as dt
import uuid
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import stripe

from gateway.pages.paying import STRIPE_SCRIPT
from payments.minor_units import from_decimal, from_stripe, to_decimal, to_stripe
from payments.mollie_provider import MollieProvider, due_date
from payments.provider import (
    AlreadySettledError,
    Answer,
    PaymentAsk,
    Provider,
    ProviderAwayError,
    ProviderRefusedError,
    Standing,
)
from payments.settings import MollieSettings, StripeSettings
from payments.stripe_provider import StripeProvider
from tests.tills import mollie_server, stripe_server
from tests.tills.mollie_server import MollieBooks
from tests.tills.server import LOST, SLOW, Books, serving
from tests.tills.stripe_server import StripeBooks

CALL_SECONDS = 20
IMPATIENT_SECONDS = 1.0
"""Longer than a busy machine pauses, because an answer before the slow one must come in time."""
SITE = "https://venue.example"
PRICE = 4900


class Counter:
    """A provider, its books, and a payment that it is asked for."""

    def __init__(self, provider: Provider, books: Any, impatient: Provider | None = None) -> None:
        self.provider = provider
        self.impatient = impatient or provider
        self.books = books
        self.ask = PaymentAsk(7, uuid.uuid4(), PRICE, "EUR", words="Nachtflug")

    @property
    def name(self) -> str:
        return str(self.ask.payment_id)

    async def opened(self) -> PaymentAsk:
        opened = await self.provider.open(self.ask)
        self.ask = PaymentAsk(7, self.ask.payment_id, PRICE, self.ask.currency, opened.provider_ref, "Nachtflug")
        return self.ask

    def pay(self, amount: int | None = None) -> None:
        self.books.pay(self.name, amount)

    def made(self) -> int:
        """How many payments the provider has."""
        return len(self.books.intents if isinstance(self.books, StripeBooks) else self.books.payments)


def stripe_at(address: str, key: str = stripe_server.KEY, seconds: float = CALL_SECONDS) -> StripeProvider:
    settings = StripeSettings(secret_key=key, public_key="pk", webhook_secret="whsec", url=address)
    return StripeProvider(settings, seconds, SITE)


def mollie_at(
    address: str, key: str = mollie_server.KEY, seconds: float = CALL_SECONDS, profile: str = ""
) -> MollieProvider:
    return MollieProvider(MollieSettings(api_key=key, url=address, profile=profile), seconds, SITE, "a secret")


KINDS: dict[str, tuple[type[Books], Callable[..., Provider]]] = {
    "stripe": (StripeBooks, stripe_at),
    "mollie": (MollieBooks, mollie_at),
}


@pytest.fixture(params=KINDS)
async def counter(request: pytest.FixtureRequest) -> AsyncIterator[Counter]:
    books_type, at = KINDS[request.param]
    books = books_type()
    with serving(books) as address:
        provider, impatient = at(address), at(address, seconds=IMPATIENT_SECONDS)
        yield Counter(provider, books, impatient)
        books.released.set()
        await provider.end()
        await impatient.end()


async def test_a_payment_is_opened_paid_and_paid_back(counter: Counter) -> None:
    ask = await counter.opened()
    assert (await counter.provider.look(ask)).standing is Standing.OPEN
    counter.pay()
    assert await counter.provider.look(ask) == Answer(Standing.CAPTURED, PRICE, "EUR", 0)
    assert (await counter.provider.close(ask)).standing is Standing.CAPTURED, "what was paid is not closed"
    first, second = uuid.uuid4(), uuid.uuid4()
    reference = await counter.provider.refund(ask, first, 1000)
    assert await counter.provider.refund(ask, first, 1000) == reference
    await counter.provider.refund(ask, second, PRICE - 1000)
    assert (await counter.provider.look(ask)).refunded == PRICE
    assert counter.books.kept() == {counter.name: 0}
    with pytest.raises(ProviderRefusedError):
        await counter.provider.refund(ask, uuid.uuid4(), 1)


@pytest.mark.parametrize("fault", [LOST, SLOW, "500", "503", "409", "429"])
async def test_an_answer_that_is_lost_late_or_no_answer_is_asked_for_again(counter: Counter, fault: str) -> None:
    provider = counter.impatient if fault == SLOW else counter.provider
    counter.books.faults = [fault]
    with pytest.raises(ProviderAwayError):
        await provider.open(counter.ask)
    ask = await counter.opened()
    assert counter.made() == 1, "one payment, however often it is asked for"
    # The client of HTTP asks once more by itself where a connection is lost and nothing is changed by it.
    counter.books.faults = [fault, fault]
    with pytest.raises(ProviderAwayError):
        await provider.look(ask)
    counter.pay()
    refund_id = uuid.uuid4()
    # The first call lists the refunds, the second makes one.
    counter.books.faults = ["", fault]
    with pytest.raises(ProviderAwayError):
        await provider.refund(ask, refund_id, PRICE)
    # By now the provider has forgotten the key.
    counter.books.answered.clear()
    await counter.provider.refund(ask, refund_id, PRICE)
    assert counter.books.kept() == {counter.name: 0}
    assert len(counter.books.refunds) == 1


async def test_one_key_with_another_amount_is_refused(counter: Counter) -> None:
    await counter.provider.open(counter.ask)
    other = PaymentAsk(7, counter.ask.payment_id, PRICE + 1, "EUR", words="Nachtflug")
    with pytest.raises(ProviderRefusedError):
        await counter.provider.open(other)


async def test_what_is_closed_cannot_be_paid(counter: Counter) -> None:
    ask = await counter.opened()
    for _ in range(2):
        assert (await counter.provider.close(ask)).standing is Standing.CLOSED
    counter.pay()
    assert (await counter.provider.look(ask)).standing is Standing.CLOSED
    assert sum(counter.books.kept().values()) == 0


async def test_what_a_bank_works_on_is_neither_closed_nor_paid(counter: Counter) -> None:
    ask = await counter.opened()
    counter.books.delay(counter.name)
    # Mollie's methods of ours are decided within minutes, so nobody waits days for it.
    waits = Standing.PROCESSING if isinstance(counter.books, StripeBooks) else Standing.PENDING
    assert (await counter.provider.look(ask)).standing is waits
    assert (await counter.provider.close(ask)).standing is waits
    counter.pay()
    assert (await counter.provider.look(ask)).standing is Standing.CAPTURED


async def test_a_declined_payment_is_closed(counter: Counter) -> None:
    ask = await counter.opened()
    counter.books.decline(counter.name)
    assert (await counter.provider.look(ask)).standing is Standing.CLOSED


async def test_a_wrong_amount_is_told_as_it_is(counter: Counter) -> None:
    ask = await counter.opened()
    counter.pay(PRICE - 1)
    assert (await counter.provider.look(ask)).amount == PRICE - 1


async def test_another_payment_or_another_mode_is_refused(counter: Counter) -> None:
    ask = await counter.opened()
    with pytest.raises(ProviderRefusedError, match="another payment"):
        await counter.provider.look(PaymentAsk(7, uuid.uuid4(), PRICE, "EUR", ask.provider_ref))
    with pytest.raises(ProviderRefusedError):
        await counter.provider.look(PaymentAsk(7, ask.payment_id, PRICE, "EUR", "pi_unknown"))
    found = counter.books.intents if isinstance(counter.books, StripeBooks) else counter.books.payments
    found[ask.provider_ref] |= {"livemode": True, "mode": "live"}
    with pytest.raises(ProviderRefusedError, match=r"real money|live mode"):
        await counter.provider.look(ask)


async def test_the_list_of_what_was_taken_has_every_page(counter: Counter) -> None:
    asks = [await counter.opened()]
    for _ in range(4):
        counter.ask = PaymentAsk(7, uuid.uuid4(), PRICE, "EUR", words="Nachtflug")
        asks.append(await counter.opened())
    for ask in asks[:4]:
        counter.books.pay(str(ask.payment_id))
    await counter.provider.refund(asks[0], uuid.uuid4(), 300)
    since = dt.datetime.now(dt.UTC) - dt.timedelta(hours=1)
    taken = {one.payment_id: (one.event_id, one.amount, one.refunded) async for one in counter.provider.taken(since)}
    assert taken == {ask.payment_id: (7, PRICE, 300 if ask is asks[0] else 0) for ask in asks[:4]}
    counter.books.away = True
    with pytest.raises(ProviderAwayError):
        assert [one async for one in counter.provider.taken(since)]


@pytest.mark.parametrize("kind", KINDS)
async def test_a_key_that_is_refused_waits_for_an_operator_and_is_not_told(kind: str) -> None:
    books_type, at = KINDS[kind]
    with serving(books_type()) as address:
        provider = at(address, "sk_test_wrong_and_secret")
        with pytest.raises(ProviderAwayError) as caught:
            await provider.open(PaymentAsk(7, uuid.uuid4(), PRICE, "EUR"))
        await provider.end()
    assert "wrong_and_secret" not in str(caught.value)
    assert caught.value.__cause__ is None


async def test_stripe_takes_debits_where_the_event_waits_for_banks_and_closes_what_one_refused() -> None:
    books = StripeBooks()
    with serving(books) as address:
        provider = stripe_at(address)
        for waits, currency, methods in (
            (True, "EUR", ["card", "sepa_debit"]),
            (True, "USD", ["card"]),
            (False, "EUR", ["card"]),
        ):
            ask = PaymentAsk(7, uuid.uuid4(), PRICE, currency, term_hours=72 * waits)
            opened = await provider.open(ask)
            assert books.intents[opened.provider_ref]["payment_method_types"] == methods
        ask = PaymentAsk(7, uuid.uuid4(), PRICE, "EUR", term_hours=72)
        opened = await provider.open(ask)
        there = await provider.open_there(dataclasses.replace(ask, provider_ref=opened.provider_ref))
        paid = dataclasses.replace(ask, provider_ref=there.provider_ref)
        books.delay(str(ask.payment_id))
        assert (await provider.look(paid)).standing is Standing.PROCESSING
        books.refuse(str(ask.payment_id))
        assert (await provider.look(paid)).standing is Standing.OPEN, "Stripe would let the fan try again"
        assert (await provider.close(paid)).standing is Standing.CLOSED
        books.pay(str(ask.payment_id))
        assert (await provider.look(paid)).standing is Standing.CLOSED
        await provider.end()


async def test_mollie_takes_bank_transfers_where_the_event_waits_for_banks() -> None:
    books = MollieBooks()
    with serving(books) as address:
        provider = mollie_at(address)
        for hours, currency, is_taken in ((72, "EUR", True), (72, "CHF", False), (0, "EUR", False)):
            ask = PaymentAsk(7, uuid.uuid4(), PRICE, currency, term_hours=hours)
            opened = await provider.open(ask)
            assert ("banktransfer" in books.payments[opened.provider_ref]["methods"]) is is_taken
        ends = {}
        for end in (books.pay, books.refuse, None):
            ask = PaymentAsk(7, uuid.uuid4(), PRICE, "EUR", term_hours=72)
            ask = dataclasses.replace(ask, provider_ref=(await provider.open(ask)).provider_ref)
            assert (await provider.look(ask)).standing is Standing.OPEN, "the fan has not chosen yet"
            books.delay(str(ask.payment_id))
            assert (await provider.look(ask)).standing is Standing.PROCESSING
            if end is not None:
                end(str(ask.payment_id))
            ends[end] = (await provider.look(ask) if end else await provider.close(ask)).standing
        assert ends == {books.pay: Standing.CAPTURED, books.refuse: Standing.CLOSED, None: Standing.CLOSED}
        await provider.end()


@pytest.mark.parametrize(("hours", "day"), [(1, 2), (24, 2), (48, 2), (71, 3), (72, 3), (480, 20)])
def test_a_transfer_to_mollie_is_due_on_the_day_before_the_term_ends(hours: int, day: int) -> None:
    assert due_date(dt.datetime(2026, 12, 1, 9, tzinfo=dt.UTC), hours) == dt.date(2026, 12, day)


async def test_nobody_there_is_a_provider_that_is_away() -> None:
    for at in (stripe_at, mollie_at):
        provider = at("http://127.0.0.1:9")
        with pytest.raises(ProviderAwayError):
            await provider.open(PaymentAsk(7, uuid.uuid4(), PRICE, "EUR"))
        await provider.end()


async def test_mollie_ends_by_itself_what_it_does_not_let_anybody_cancel() -> None:
    books = MollieBooks(can_cancel=False)
    with serving(books) as address:
        counter = Counter(mollie_at(address), books)
        ask = await counter.opened()
        assert (await counter.provider.close(ask)).standing is Standing.PENDING
        document = books.payments[ask.provider_ref]
        assert document["redirectUrl"] == f"{SITE}/pay/{counter.name}/back"
        assert document["webhookUrl"].startswith(f"{SITE}/api/payments/mollie/notices?event=7&payment={counter.name}&")
        await counter.provider.end()
        of_another = mollie_at(address, profile="pfl_2")
        with pytest.raises(ProviderRefusedError, match="another profile"):
            await of_another.look(ask)
        await of_another.end()


def test_stripes_script_is_of_the_release_that_its_library_speaks() -> None:
    release = stripe.api_version.rpartition(".")[2]
    assert f"/{release}/" in STRIPE_SCRIPT


async def test_what_could_be_paid_by_a_debit_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    books = StripeBooks()
    monkeypatch.setattr("tests.tills.stripe_server._methods", lambda form: ["card", "sepa_debit"])
    with serving(books) as address:
        counter = Counter(stripe_at(address), books)
        with pytest.raises(ProviderRefusedError, match="sepa_debit"):
            await counter.opened()
        await counter.provider.end()


async def test_of_stripes_element_and_its_own_page_only_one_can_be_paid() -> None:
    books = StripeBooks()
    with serving(books) as address:
        counter = Counter(stripe_at(address), books)
        ask = await counter.opened()
        books.faults = ["", LOST]
        with pytest.raises(ProviderAwayError):
            await counter.provider.open_there(ask)
        there = await counter.provider.open_there(ask)
        assert there == await counter.provider.open_there(ask)
        assert there.href.startswith("https://checkout.stripe.com/")
        assert (len(books.sessions), books.intents[ask.provider_ref]["status"]) == (1, "canceled")
        ask = PaymentAsk(7, ask.payment_id, PRICE, "EUR", there.provider_ref)
        assert (await counter.provider.look(ask)).standing is Standing.OPEN
        counter.pay()
        assert (await counter.provider.close(ask)).standing is Standing.CAPTURED
        await counter.provider.refund(ask, uuid.uuid4(), PRICE)
        assert await counter.provider.look(ask) == Answer(Standing.CAPTURED, PRICE, "EUR", PRICE)
        assert counter.books.kept() == {counter.name: 0}

        closed = Counter(counter.provider, books)
        await closed.opened()
        there = await closed.provider.open_there(closed.ask)
        ask = PaymentAsk(7, closed.ask.payment_id, PRICE, "EUR", there.provider_ref)
        assert (await closed.provider.close(ask)).standing is Standing.CLOSED
        closed.pay()
        assert (await closed.provider.close(ask)).standing is Standing.CLOSED

        paid = Counter(counter.provider, books)
        await paid.opened()
        paid.pay()
        with pytest.raises(AlreadySettledError):
            await paid.provider.open_there(paid.ask)
        await counter.provider.end()


@pytest.mark.parametrize(
    ("currency", "amount", "stripe", "mollie"),
    [
        ("EUR", 4900, 4900, "49.00"),
        ("EUR", 5, 5, "0.05"),
        ("JPY", 4900, 4900, "4900"),
        ("ISK", 4900, 490000, "4900"),
        ("UGX", 4900, 490000, "4900"),
        ("MGA", 490000, 4900, "4900.00"),
        ("KWD", 4900, 4900, "4.900"),
        ("CLF", 4900, None, "0.4900"),
        ("KWD", 4901, None, "4.901"),
        ("MGA", 490001, None, "4900.01"),
    ],
)
def test_amounts_as_each_provider_counts_them(currency: str, amount: int, stripe: int | None, mollie: str) -> None:
    assert to_decimal(amount, currency) == mollie
    assert from_decimal(mollie, currency) == amount
    if stripe is None:
        with pytest.raises(ProviderRefusedError):
            to_stripe(amount, currency)
    else:
        assert to_stripe(amount, currency) == stripe
        assert from_stripe(stripe, currency) == amount
