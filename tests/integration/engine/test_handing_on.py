"""A ticket that is handed on has a new code and one holder, whoever asks, and however often."""

from __future__ import annotations

import asyncio
import uuid
from typing import Any

import msgspec
import pytest

from booking_lane.commands import Command
from booking_lane.settings import HoldSettings
from db.connections.small_reads import SmallReads
from gateway.booking.reader import Reader
from tests.integration.engine.books import GRACE_SECONDS, Books, bodies
from tests.unit.booking_lane.asks import cancel, checkout, reserve, take
from tickets.keys import TicketKeys
from tickets.signed import SignedTicket

BUYER, FRIEND, THIRD = 7, 8, 9
A, B = (1, 1, 1), (1, 1, 2)
KEYS = TicketKeys("the secret of these tests, which is long enough")


def apply(books: Books, *commands: Command) -> list[dict[str, Any]]:
    """The results and problems of the commands, in one batch."""
    return bodies(books.engine().apply(commands), *commands)


@pytest.fixture
def purchase(books: Books) -> uuid.UUID:
    """A purchase of the buyer, of two seats."""
    *_, bought = apply(books, reserve(books.event, BUYER, A, B), checkout(books.event, BUYER, A, B))
    return uuid.UUID(bought["purchaseId"])


def issues(books: Books) -> list[tuple[int, int]]:
    """The log: issue number and fan."""
    rows = books.rows("SELECT issue_number, user_id FROM ticket_issue ORDER BY issued_at, issue_number")
    return [(row["issue_number"], row["user_id"]) for row in rows]


def read(books: Books, user_id: int, purchase: uuid.UUID) -> dict[str, Any] | None:
    """The purchase as a gateway shows it to a fan, alone and in the fan's list."""

    async def ask() -> tuple[bytes | None, list[bytes]]:
        reads = SmallReads(books.database_url, "admitone-test", 2)
        reader = Reader(reads, grace_seconds=GRACE_SECONDS, ticket_keys=KEYS)
        try:
            return await reader.purchase(user_id, purchase), await reader.purchases(user_id)
        finally:
            await reads.close()

    found, listed = asyncio.run(ask())
    assert listed == ([] if found is None else [found])
    return None if found is None else msgspec.json.decode(found)


def seat_of(shown: dict[str, Any] | None, number: int) -> dict[str, Any]:
    assert shown is not None
    return next(one for one in shown["details"] if one["seatNumber"] == number)


def test_the_friend_has_the_ticket_and_the_old_code_is_gone(books: Books, purchase: uuid.UUID) -> None:
    before = read(books, BUYER, purchase)
    assert KEYS.verify(seat_of(before, 1)["ticket"]) == SignedTicket(books.event, purchase, A, 1)
    assert read(books, FRIEND, purchase) is None
    taking = take(books.event, FRIEND, purchase, A)
    (taken,) = apply(books, taking)
    assert (taken["purchaseId"], taken["seatNumber"], taken["issueNumber"]) == (str(purchase), 1, 2)

    friends, buyers = read(books, FRIEND, purchase), read(books, BUYER, purchase)
    assert friends is not None
    assert buyers is not None
    assert [(one["seatNumber"], one["issueNumber"]) for one in friends["details"]] == [(1, 2)]
    assert (friends["received"], friends["userId"]) == (True, FRIEND)
    assert friends["totalAmount"] == seat_of(friends, 1)["amount"]
    assert seat_of(friends, 1)["ticketCode"] != seat_of(before, 1)["ticketCode"]
    assert KEYS.verify(seat_of(friends, 1)["ticket"]).issue_number == 2
    assert (buyers["received"], buyers["userId"], buyers["totalAmount"]) == (
        False, BUYER, before["totalAmount"] if before else None,
    )  # fmt: skip
    given, kept = seat_of(buyers, 1), seat_of(buyers, 2)
    assert (given["handedOn"], given["ticketCode"], given["ticket"]) == (True, None, None)
    assert kept == seat_of(before, 2)
    # What the checkout said is not said again of a ticket that somebody else has.
    hold = books.rows("SELECT reservation_id FROM reservation")[0]["reservation_id"]
    (again,) = apply(books, checkout(books.event, BUYER, hold=hold))
    assert [one["seatNumber"] for one in again["details"]] == [2]


def test_a_link_gives_the_ticket_once_and_its_taker_may_ask_again(books: Books, purchase: uuid.UUID) -> None:
    first, again, late = (take(books.event, fan, purchase, A) for fan in (FRIEND, FRIEND, THIRD))
    answers = apply(books, first, again, late)
    assert [one.get("issueNumber", one.get("code")) for one in answers] == [2, 2, "ticket_link_ended"]
    assert [one["code"] for one in apply(books, take(books.event, BUYER, purchase, A))] == ["ticket_link_ended"]
    (later,) = apply(books, take(books.event, FRIEND, purchase, A))
    assert later["issueNumber"] == 2
    assert issues(books) == [(2, FRIEND)]


def test_it_is_handed_on_further_and_back_and_each_issue_is_logged(books: Books, purchase: uuid.UUID) -> None:
    # In one batch, so that the last holder is written and every issue logged.
    answers = apply(
        books,
        take(books.event, FRIEND, purchase, A, 1),
        take(books.event, THIRD, purchase, A, 2),
        take(books.event, BUYER, purchase, A, 3),
    )
    assert [one["issueNumber"] for one in answers] == [2, 3, 4]
    assert issues(books) == [(2, FRIEND), (3, THIRD), (4, BUYER)]
    assert read(books, FRIEND, purchase) is None
    back = seat_of(read(books, BUYER, purchase), 1)
    assert (back["handedOn"], KEYS.verify(back["ticket"]).issue_number) == (False, 4)
    assert books.number("SELECT count(*) FROM purchase_detail WHERE holder_user_id IS NOT NULL") == 0


def test_what_somebody_else_has_is_cancelled_by_nobody(books: Books, purchase: uuid.UUID) -> None:
    apply(books, take(books.event, FRIEND, purchase, A))
    for command in (cancel(books.event, BUYER, purchase, A), cancel(books.event, FRIEND, purchase, A)):
        assert apply(books, command)[0]["code"] in ("not_cancellable", "unknown_purchase")
    (rest,) = apply(books, cancel(books.event, BUYER, purchase))
    assert [one["seatNumber"] for one in rest["details"]] == [2], "all that the buyer still has"
    assert (rest["status"], rest["totalAmount"]) == ("confirmed", seat_of(read(books, FRIEND, purchase), 1)["amount"])
    (none,) = apply(books, cancel(books.event, BUYER, purchase))
    assert none["code"] == "not_cancellable"
    # A seat that was given back is nobody's to hand on.
    assert apply(books, take(books.event, FRIEND, purchase, B))[0]["code"] == "ticket_link_ended"


def test_it_ends_with_the_bound_and_with_the_event(books: Books, purchase: uuid.UUID) -> None:
    most = HoldSettings().ticket_issues_max
    answers = apply(books, *(take(books.event, 10 + n, purchase, A, n) for n in range(1, most + 1)))
    assert [one.get("issueNumber") for one in answers] == [*range(2, most + 1), None]
    assert answers[-1]["code"] == "limit_exceeded"
    assert apply(books, take(books.event, FRIEND, uuid.uuid4(), A))[0]["code"] == "unknown_purchase"
    books.connection.execute("UPDATE event SET date = now() WHERE event_id = %s", (books.event,))
    assert apply(books, take(books.event, FRIEND, purchase, B))[0]["code"] == "ticket_link_ended"
