"""Take a ticket that its holder hands on."""

from __future__ import annotations

from dataclasses import replace

from booking_lane.commands import Take
from db.booking import purchases as sql
from db.booking.purchases import Detail, Purchase
from db.booking.results import TakeResult
from db.booking.ticket_codes import new_code
from workers.engine.book import Book, Taking
from workers.engine.commands.rule import Rule
from workers.engine.needs import Needs
from workers.engine.refused import Refused
from workers.engine.statements import Connection, run_on


def needs(command: Take, batch: Needs) -> None:
    batch.purchases.add((command.event_id, command.purchase_id))


def decide(book: Book, command: Take) -> TakeResult:
    purchase = book.purchases.get(command.purchase_id)
    if purchase is None or purchase.event_id != command.event_id:
        raise Refused("unknown_purchase")
    book.refuse_if_cancelled(command.event_id)
    detail = next((one for one in purchase.live if one.seat == command.seat), None)
    if detail is None or book.now >= book.events[command.event_id].date:
        raise Refused("ticket_link_ended")
    if _holder(purchase, detail) == command.user_id and detail.issue_number == command.issue_number + 1:
        # The fan took it by this very link, and asks again.
        return _result(purchase, detail)
    if detail.issue_number != command.issue_number:
        raise Refused("ticket_link_ended")
    if (purchase.purchase_id, detail.seat) in book.used_tickets:
        raise Refused("ticket_link_ended", "Somebody was let in with this ticket.")
    if detail.issue_number >= book.settings.ticket_issues_max:
        raise Refused("limit_exceeded", "This ticket was handed on as often as it can be.")
    detail.issue_number += 1
    detail.ticket_code = new_code()
    detail.holder_user_id = None if command.user_id == purchase.user_id else command.user_id
    # A later command of the batch may hand it on again, and each issue is logged.
    book.changes.takings.append(Taking(purchase, replace(detail), command.user_id))
    return _result(purchase, detail)


def _holder(purchase: Purchase, detail: Detail) -> int:
    return purchase.user_id if detail.holder_user_id is None else detail.holder_user_id


def _result(purchase: Purchase, detail: Detail) -> TakeResult:
    ticket_type_id, row_number, seat_number = detail.seat
    return TakeResult(
        purchase_id=purchase.purchase_id,
        event_id=purchase.event_id,
        ticket_type_id=ticket_type_id,
        row_number=row_number,
        seat_number=seat_number,
        issue_number=detail.issue_number,
        version=0,
    )


def write(connection: Connection, book: Book) -> None:
    """Write who has the tickets now, with their new codes, and log each issue."""
    made = book.changes.takings
    if not made:
        return
    last = {(one.purchase.purchase_id, one.detail.seat): one for one in made}
    run_on(connection, sql.WRITE_HANDED_ON, [sql.handed_on(one.purchase, one.detail) for one in last.values()])
    issues = [sql.new_issue(one.purchase, one.detail, one.user_id) for one in made]
    run_on(connection, sql.WRITE_ISSUES, issues, now=book.now)


RULE = Rule(needs, decide, write)
