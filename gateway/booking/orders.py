"""Orders: what an event asks and its fans answer, and what the venue's office sees and does of each order."""

from __future__ import annotations

import datetime as dt
import logging
import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from db.booking.live_holds import holds_of_fan
from db.booking.seats import Seat
from db.change_log.changes import Change, Subject, insert_changes
from db.ids import new_user_id, uuid7
from db.messages.contacts import keep_contact, remove_contact
from db.messages.kinds import MAIL, MessageKind
from db.messages.queue import WRITE, message_row, rows_of
from db.orders import answers as db
from db.orders import asks as db_asks
from db.orders import finding as db_finding
from db.orders import listing as db_listing
from db.orders.answers import Answer, Attendee, Content, Hold
from db.orders.asks import Asks, NoSuchEventError, Question
from db.orders.finding import FoundOrder
from db.orders.listing import NUMBER_MAX, OrderRow, PaymentRow, RefundRow
from db.texts import fault_of_name, tidy
from gateway.contacts.contacts import Contacts, tidy_mail
from gateway.contract.orders import ANSWER_CHARS_MAX, AnswersBody, AsksBody, GiftBody, OrderChangeBody
from gateway.hall.hall import Hall
from gateway.hall.halls import Halls
from gateway.identity.limits import RateLimits
from gateway.wire.problems import ProblemError, invalid
from messages.languages import known
from messages.links import LinkTokens
from waiting_room.errors import TokenInvalid

logger = logging.getLogger(__name__)

ANSWERS: Final = "answers"
FINDING: Final = "contact"
"""Who looks for tickets counts with the other addresses that a network gives."""
CSV_PAGE: Final = 1000
CSV_ORDERS_MAX: Final = 200_000


class Orders:
    """Reads orders, and writes what their fans answered and what the office changes of it. It books nothing.

    Args:
        per_minute: how many addresses one network may give in a minute.
    """

    def __init__(
        self,
        engine: AsyncEngine,
        halls: Halls,
        contacts: Contacts,
        limits: RateLimits,
        tokens: LinkTokens,
        *,
        per_minute: int,
        now: Callable[[], dt.datetime],
    ) -> None:
        self._engine = engine
        self._halls = halls
        self._contacts = contacts
        self._limits = limits
        self._tokens = tokens
        self._per_minute = per_minute
        self._now = now

    # -- what an event asks

    async def set_asks(self, event_id: int, body: AsksBody, operator: str) -> None:
        """Set what an event asks; in force at every gateway within a second.

        Raises:
            ProblemError: ``unknown_event`` or ``invalid_request``.
        """
        asks = None
        if body.asks:
            questions = [
                Question(number, _tidy_line(one.text, db_asks.QUESTION_CHARS_MAX, "$.questions"), one.required)
                for number, one in enumerate(body.questions, 1)
            ]
            asks = Asks(body.attendees, tuple(questions), tidy(body.terms), address=body.address)
        try:
            async with self._engine.begin() as connection:
                is_new = await db_asks.set_asks(connection, event_id, asks, operator, body.why)
        except NoSuchEventError:
            raise ProblemError("unknown_event") from None
        if is_new:
            await self._halls.renew(event_id)

    # -- what a fan answers

    async def answer(
        self, hall: Hall, user_id: int, reservation_id: uuid.UUID, body: AnswersBody, network: str
    ) -> None:
        """Keep what the fan answers for a live hold. Where the site sends mail, the tickets will go to the address.

        Raises:
            ProblemError: ``hold_expired``, ``terms_changed``, ``invalid_request`` or ``rate_limited``.
        """
        asks = hall.asks or Asks()
        mail = tidy_mail(body.mail).lower()
        await self._limits.count(ANSWERS, network, self._per_minute)
        async with self._engine.begin() as connection:
            holds = await holds_of_fan(connection, hall.event_id, user_id)
            hold = next((one for one in holds if one.reservation_id == reservation_id), None)
            if hold is None:
                raise ProblemError("hold_expired")
            content = Content(
                name=_tidy_name(body.name, "$.name"),
                attendees=_attendees(body, hold.seats, is_asked=asks.attendees),
                answers=_answers(body, asks),
                address=_address(body, asks),
            )
            if body.terms_version != asks.terms_version:
                raise ProblemError("terms_changed", termsVersion=asks.terms_version)
            await db.keep_answers(
                connection,
                Hold(hall.event_id, reservation_id, user_id),
                mail,
                content,
                terms_version=asks.terms_version,
                language=known(body.language),
            )
            if self._contacts.takes_mail:
                await keep_contact(connection, hall.event_id, user_id, MAIL, mail, known(body.language))

    async def require_answers(
        self, hall: Hall, user_id: int, reservation_id: uuid.UUID | None, seats: tuple[Seat, ...]
    ) -> None:
        """Return if the event asks for nothing, or the fan has answered for the hold that a checkout names.

        Raises:
            ProblemError: ``answers_missing``.
        """
        asks = hall.asks
        if asks is None:
            return
        async with self._engine.connect() as connection:
            if reservation_id is None:
                holds = await holds_of_fan(connection, hall.event_id, user_id)
                reservation_id = next((one.reservation_id for one in holds if one.seats == seats), None)
            if reservation_id is not None:
                hold = Hold(hall.event_id, reservation_id, user_id)
                if await db.has_answers(connection, hold, asks.terms_version):
                    return
        raise ProblemError("answers_missing", attendees=asks.attendees, termsVersion=asks.terms_version)

    # -- one order

    async def order(self, event_id: int, purchase_id: uuid.UUID) -> tuple[OrderRow, list[PaymentRow], list[RefundRow]]:
        """An order, what was paid for it, and what goes back.

        Raises:
            ProblemError: ``unknown_order``.
        """
        async with self._engine.connect() as connection:
            row = await self._row(connection, event_id, purchase_id)
            return row, *await db_listing.money_of(connection, event_id, purchase_id)

    async def _row(self, connection: AsyncConnection, event_id: int, purchase_id: uuid.UUID) -> OrderRow:
        row = await db_listing.read_order(connection, event_id, purchase_id)
        if row is None:
            raise ProblemError("unknown_order")
        return row

    # -- the office

    async def page(self, event_id: int, text: str, before: int | None, limit: int) -> list[OrderRow]:
        """The event's orders whose numbers are below ``before``, the newest first: all, or what ``text`` finds."""
        below = NUMBER_MAX if before is None else before
        async with self._engine.connect() as connection:
            if text:
                return await db_listing.find_orders(connection, event_id, text, below, limit)
            return await db_listing.list_orders(connection, event_id, below, limit)

    async def pages(self, event_id: int) -> AsyncIterator[list[OrderRow]]:
        """All orders of an event, up to `CSV_ORDERS_MAX`, a page at a time."""
        before: int | None = None
        for _ in range(CSV_ORDERS_MAX // CSV_PAGE):
            rows = await self.page(event_id, "", before, CSV_PAGE)
            if rows:
                yield rows
            if len(rows) < CSV_PAGE:
                return
            before = rows[-1].order_number

    async def change(
        self, event_id: int, purchase_id: uuid.UUID, body: OrderChangeBody, asks: Asks, operator: str
    ) -> None:
        """Change what its fan told of an order, or its mail address, to which the tickets are sent then.

        Raises:
            ProblemError: ``unknown_order`` or ``invalid_request``.
        """
        async with self._engine.begin() as connection:
            row = await self._row(connection, event_id, purchase_id)
            before = row.content or Content(name="")
            mail = tidy_mail(body.mail).lower() if body.mail is not None else row.mail
            name = _tidy_name(body.name, "$.name") if body.name is not None else before.name
            if not name or mail is None:
                raise invalid("this order has no name or address yet: give both", "$")
            named = {one.seat: one for one in before.attendees}
            seats = await db_listing.seats_of(connection, event_id, purchase_id) if body.attendees else set()
            for one in body.attendees:
                seat = (one.ticket_type_id, one.row_number, one.seat_number)
                if seat not in seats:
                    raise invalid("the order has no such seat", "$.attendees")
                named[seat] = Attendee(*seat, _tidy_name(one.name, "$.attendees"))
            content = Content(
                name=name,
                attendees=tuple(named.values()),
                answers=_answers_changed(before.answers, body, asks),
                address=before.address if body.address is None else tidy(body.address),
            )
            language = known(row.language or "")
            await db.keep_answers(
                connection,
                Hold(event_id, row.reservation_id, row.user_id),
                mail,
                content,
                terms_version=row.terms_version,
                language=language,
            )
            what = [
                "name" if name != before.name else "",
                "mail" if mail != row.mail else "",
                "attendees" if body.attendees else "",
                "answers" if content.answers != before.answers else "",
                "address" if content.address != before.address else "",
            ]
            if mail != row.mail and self._contacts.takes_mail:
                await keep_contact(connection, event_id, row.user_id, MAIL, mail, language)
            # The log outlives what a fan may have erased: it says what was changed, and no name.
            await self._log(connection, row, "changed", ", ".join(filter(None, what)), operator, body.why)

    async def resend(self, event_id: int, purchase_id: uuid.UUID, operator: str, why: str) -> None:
        """Send the tickets to the order's address once more.

        Raises:
            ProblemError: ``unknown_order``, ``no_address`` or ``messages_off``.
        """
        if not self._contacts.takes_mail:
            raise ProblemError("messages_off")
        async with self._engine.begin() as connection:
            row = await self._row(connection, event_id, purchase_id)
            if row.mail is None:
                raise ProblemError("no_address")
            message = message_row(
                MessageKind.PURCHASE,
                event_id=event_id,
                channel=MAIL,
                address=row.mail,
                user_id=row.user_id,
                language=known(row.language or ""),
                cause=f"{purchase_id}:again:{uuid7()}",
                payload={"purchaseId": str(purchase_id)},
            )
            await connection.exec_driver_sql(WRITE, rows_of([message]))
            await self._log(connection, row, "tickets", "sent again", operator, why)

    async def log_refund(self, row: OrderRow, seats: Sequence[Seat], operator: str, why: str) -> None:
        """Note that an operator takes back seats of an order."""
        async with self._engine.begin() as connection:
            what = f"{len(seats)} seats" if seats else "all seats"
            await self._log(connection, row, "cancelled", what, operator, why)

    async def new_guest(self, event_id: int, body: GiftBody) -> Hold:
        """Keep who is to be given seats; returns the hold that is to be made, for a new fan."""
        hold = Hold(event_id, uuid7(), new_user_id())
        content = Content(name=_tidy_name(body.name, "$.name"))
        mail, language = tidy_mail(body.mail).lower(), known(body.language)
        async with self._engine.begin() as connection:
            await db.keep_answers(connection, hold, mail, content, terms_version=0, language=language)
            if self._contacts.takes_mail:
                await keep_contact(connection, event_id, hold.user_id, MAIL, mail, language)
        return hold

    async def forget_guest(self, hold: Hold) -> None:
        """Forget who was to be given seats that were not free."""
        async with self._engine.begin() as connection:
            await connection.exec_driver_sql(db.FORGET_ONE, hold._asdict())
            await remove_contact(connection, hold.event_id, hold.user_id, MAIL)

    async def log_gift(self, event_id: int, user_id: int, seats: int, operator: str, why: str) -> None:
        """Note that an operator gives seats away."""
        change = Change(f"gift {user_id}", "", f"{seats} seats")
        async with self._engine.begin() as connection:
            await connection.exec_driver_sql(*insert_changes(Subject.DESK, event_id, [change], operator, why=why))

    async def _log(
        self, connection: AsyncConnection, row: OrderRow, what: str, detail: str, operator: str, why: str
    ) -> None:
        change = Change(f"order {row.user_id}", row.code, f"{what}: {detail}")
        await connection.exec_driver_sql(*insert_changes(Subject.DESK, row.event_id, [change], operator, why=why))
        logger.info("operator %s, order %s of event %d: %s", operator, row.code, row.event_id, what)

    # -- a fan who has lost the way

    async def ask_link(self, mail: str, language: str, network: str) -> None:
        """Send the owner of an address a link to the tickets that were bought with it, if there are any.

        Raises:
            ProblemError: ``messages_off``, ``invalid_request`` or ``rate_limited``.
        """
        if not self._contacts.takes_mail:
            raise ProblemError("messages_off")
        address = tidy_mail(mail)
        await self._limits.count(FINDING, network, self._per_minute)
        async with self._engine.begin() as connection:
            await db_finding.write_link(connection, address, known(language), self._now())

    async def found(self, token: str) -> list[FoundOrder] | None:
        """The orders of the address whose owner has the link; None for a link that is not ours, or has ended."""
        try:
            mail = self._tokens.verify_tickets_link(token)
        except TokenInvalid:
            return None
        async with self._engine.connect() as connection:
            return await db_finding.orders_of_address(connection, mail)

    def key_of(self, purchase_id: uuid.UUID, user_id: int) -> str:
        """The key in a purchase's own link."""
        return self._tokens.purchases.key(purchase_id, user_id)


def _tidy_name(name: str, path: str) -> str:
    return _tidy_line(name, db.NAME_CHARS_MAX, path)


def _tidy_line(text: str, chars_max: int, path: str) -> str:
    line = tidy(text)
    if fault := fault_of_name(line, chars_max):
        raise invalid(fault, path)
    return line


def _attendees(body: AnswersBody, seats: tuple[Seat, ...], *, is_asked: bool) -> tuple[Attendee, ...]:
    """The names of those who are to sit on the hold's seats: of each seat one where the event asks for them."""
    if not is_asked:
        return ()
    named: dict[Seat, Attendee] = {}
    for one in body.attendees:
        seat = (one.ticket_type_id, one.row_number, one.seat_number)
        named[seat] = Attendee(*seat, _tidy_name(one.name, "$.attendees"))
    if set(named) != set(seats) or len(named) != len(body.attendees):
        raise invalid("name one attendee for each seat of the hold", "$.attendees")
    return tuple(named[seat] for seat in seats)


def _address(body: AnswersBody, asks: Asks) -> str:
    """Where the fan lives, where the event asks for it."""
    if not asks.address:
        return ""
    address = tidy(body.address)
    if not address:
        raise invalid("this event asks for an address", "$.address")
    return address


def _answers_changed(before: tuple[Answer, ...], body: OrderChangeBody, asks: Asks) -> tuple[Answer, ...]:
    """The answers with what the office changes of them. A question stays as the fan was asked it."""
    kept = {one.question_id: one for one in before}
    questions = {one.question_id: one.text for one in asks.questions} | {key: one.question for key, one in kept.items()}
    for reply in body.answers:
        question = questions.get(reply.question_id)
        if question is None:
            raise invalid(f"there is no question {reply.question_id}", "$.answers")
        answer = tidy(reply.answer)
        if len(answer) > ANSWER_CHARS_MAX:
            raise invalid(f"an answer has {ANSWER_CHARS_MAX} characters at most", "$.answers")
        if answer:
            kept[reply.question_id] = Answer(reply.question_id, question, answer)
        else:
            kept.pop(reply.question_id, None)
    return tuple(kept[number] for number in sorted(kept))


def _answers(body: AnswersBody, asks: Asks) -> tuple[Answer, ...]:
    given = {one.question_id: tidy(one.answer) for one in body.answers}
    if unknown := set(given) - {question.question_id for question in asks.questions}:
        raise invalid(f"there is no question {min(unknown)}", "$.answers")
    for question in asks.questions:
        answer = given.get(question.question_id, "")
        if question.required and not answer:
            raise invalid(f"question {question.question_id} wants an answer", "$.answers")
        if len(answer) > ANSWER_CHARS_MAX:
            raise invalid(f"an answer has {ANSWER_CHARS_MAX} characters at most", "$.answers")
    return tuple(
        Answer(question.question_id, question.text, answer)
        for question in asks.questions
        if (answer := given.get(question.question_id, ""))
    )
