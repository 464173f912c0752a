"""What the pages show, from the same services as the API."""

from __future__ import annotations

import asyncio
import datetime as dt
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import msgspec
from litestar.datastructures import Cookie

from booking_lane.commands import (
    UNSTAMPED,
    BestAvailable,
    Checkout,
    Command,
    Leave,
    Proof,
    Release,
    Reserve,
    Take,
    Wait,
)
from db.booking.charges import Charge, plain
from db.booking.live_holds import holds_of_fan
from db.booking.purchases import cancel_fee, cancellable_until
from db.booking.results import breakdown
from db.booking.seats import Seat
from db.booking.states import PurchaseStatus
from db.events.sale import sale_state
from db.events.seed import room_seed
from db.messages.queue import EventFacts, TicketFacts
from db.payments.states import STRIPE, TEST
from db.search.reading import NO_SEATS, Found, Wanted
from db.waiting.reading import entry_of_fan
from gateway.booking.desk import Ask
from gateway.booking.tickets import KEPT_AFTER_EVENT
from gateway.contract.booking import PurchaseAnswer, PurchaseDetailAnswer
from gateway.contract.hall import TicketAnswer
from gateway.contract.line import DrawAnswer
from gateway.contract.orders import AnswersBody
from gateway.hall.hall import Hall, UnknownEventError
from gateway.identity.answers import BOUGHT, CLAIMED, JOINED, RELEASED, RESERVED, Step, Weighed
from gateway.identity.sessions import Session
from gateway.identity.suspicions import Verdict, verdict_of
from gateway.line.joining import JoinAsk
from gateway.line.places import room_state
from gateway.pages.languages import current
from gateway.pages.views import (
    EventView,
    HeldSeatView,
    HoldView,
    JoinRefusedError,
    ListedView,
    ListView,
    OfferedTicket,
    OrderView,
    PaymentView,
    PlainRefusedError,
    PurchasedSeat,
    PurchaseView,
    Standing,
    TicketView,
    Visitor,
    WaitingView,
)
from gateway.routes.routers import weigh
from gateway.search.answers import as_of, event_list, read_cursor
from gateway.search.catalogue import Search, Sort
from gateway.services import Services, address, network
from gateway.shops.addresses import with_arrival
from gateway.wire.problems import ProblemError
from gateway.wire.requests import AnyRequest
from messages.look import Look
from messages.pdf import tickets_pdf
from tickets.signed import SignedTicket
from waiting_room.errors import TokenInvalid
from waiting_room.model import RoomCounts

SHOWN_AFTER_BEGIN: Final = dt.timedelta(hours=12)
"""An event that has begun is still listed for this long."""

PLAIN_WAIT_SECONDS: Final = 10.0
"""A form's answer waits for so long for what comes of it."""


class PagesFromServices:
    """Provides what the pages show: `gateway.pages.views.PageData`."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self.captcha_provider = services.captcha.provider
        self.seats_per_request_max = services.settings.limit.seats_per_request_max
        self.stripe_key = services.settings.stripe.public_key
        self.takes_mail = services.contacts.takes_mail
        self.takes_phone = services.contacts.takes_phone
        self.push_key = services.alerts.public_key
        self.new_room = room_seed(services.settings.room)
        self.wallets = services.wallets
        self.edge = services.settings.edge
        self.appeal = services.settings.guard.appeal

    async def ensure_session(self, request: AnyRequest) -> tuple[int, Cookie | None]:
        identity = self._services.identity
        # Lax keeps the cookie from another site's form, so without this the form would be given a new session, which
        # takes the place of the fan's own.
        identity.refuse_foreign(request)
        session = identity.known(request)
        if session is not None and session.role == "fan" and not session.rehearses:
            return session.user_id, None
        # Counted apart from the sessions of programs, so that a neighbour's program has no fan's form refused.
        await self._services.limits.count("page", network(request), self._services.settings.limit.sessions_per_minute)
        token, user_id = identity.new_fan()
        return user_id, identity.cookie(token)

    def visitor(self, request: AnyRequest, *, for_tickets: bool = False) -> Visitor:
        identity = self._services.identity
        if not identity.has_token(request):
            return Visitor(None, is_stranger=True)
        session = identity.ticket_holder(request) if for_tickets else identity.known(request)
        if session is not None and session.role == "fan" and not session.rehearses:
            return Visitor(session.user_id, is_stranger=False)
        # A browser that went on sending it would be refused by every call, and passed by every cache.
        is_over = session is None and not for_tickets and identity.sends_cookie(request)
        return Visitor(None, is_stranger=False, cookie=identity.no_cookie("fan") if is_over else None)

    def now(self) -> dt.datetime:
        return self._services.clock.moment()

    async def list_events(self, wanted: Wanted, *, by_date: bool, cursor: str | None, limit: int) -> ListView:
        now = self._services.clock.moment()
        asked_at = as_of(now)
        sort = Sort.DATE if by_date else Sort.RELEVANCE
        ask = Search(
            wanted=replace(wanted, date_min=asked_at - SHOWN_AFTER_BEGIN),
            sort=sort,
            limit=limit,
            now=asked_at,
            after=None if cursor is None else read_cursor(cursor, sort),
            facets=True,
            seats=True,
        )
        hits = await self._services.catalogue.search(ask)
        answer = event_list(hits, sort)
        assert answer.facets is not None
        return ListView(
            events=await asyncio.gather(*(self._listed(found, now) for found in hits.found)),
            cursor=answer.cursor,
            loose=answer.loose,
            facets=answer.facets,
        )

    async def _listed(self, found: Found, now: dt.datetime) -> ListedView:
        facts = found.facts
        seats = found.seats or NO_SEATS
        counts = await self._services.counts.of(facts.event_id)
        lobby = None if counts is None else self._services.places.lobby(facts.event_id, counts)
        return ListedView(
            event_id=facts.event_id,
            name=facts.name,
            artist=facts.artist,
            venue=facts.venue,
            town=facts.town,
            date=facts.date,
            time_zone=facts.time_zone,
            on_sale_at=facts.on_sale_at,
            sale=sale_state(facts, now),
            currency=facts.currency,
            price_from=found.price_from,
            quantity=seats.quantity,
            free=seats.free,
            held=seats.held,
            room_state="off" if counts is None else room_state(counts),
            waiting=_waiting(counts),
            lobby=lobby,
            picture_hash=facts.picture_hash,
            picture_alt=facts.picture_alt,
            changes_at=[facts.on_sale_at, facts.off_sale_at, *([] if lobby is None else [lobby.opens_at])],
        )

    async def event_view(self, event_id: int) -> EventView | None:
        try:
            hall = await self._services.halls.current(event_id)
        except UnknownEventError:
            return None
        return await self._view(hall) if hall.rehearsal_of is None else None

    async def draw(self, request: AnyRequest, event_id: int) -> DrawAnswer | None:
        services = self._services
        await services.limits.count("draw", network(request), services.settings.limit.draw_reads_per_minute)
        return await services.draws.answer(event_id)

    async def _view(self, hall: Hall) -> EventView:
        counts = await self._services.counts.of(hall.event_id)
        event = hall.event
        now = self._services.clock.moment()
        text, texts = self._services.places.message(event.event_id)
        row = self._services.rooms.rows.get(event.event_id)
        lobby = None if counts is None else self._services.places.lobby(event.event_id, counts)
        return EventView(
            event_id=event.event_id,
            name=event.name,
            artist=event.artist,
            venue=event.venue,
            date=event.date,
            time_zone=event.time_zone,
            on_sale_at=event.on_sale_at,
            off_sale_at=event.off_sale_at,
            sale=sale_state(event, now),
            currency=event.currency,
            seats_per_fan_max=event.seats_per_fan_max,
            hold_seconds=self._services.settings.hold.seconds,
            absence_seconds=self._services.settings.line.absence_seconds,
            tickets=[
                _ticket(ticket, now)
                for ticket in sorted(hall.tickets.values(), key=lambda one: (one.cost, one.ticket_type_id))
            ],
            room_state="off" if counts is None else room_state(counts),
            waiting=_waiting(counts),
            message=text,
            messages=texts,
            notice=event.notice,
            revision=hall.revision,
            doors_at=event.doors_at,
            picture_hash=event.picture_hash,
            picture_alt=event.picture_alt,
            account_required=event.account_required,
            takes_payments=bool(event.payments),
            asks=hall.asks,
            has_waiting_list=row is not None and row.waiting_list,
            shop=None if row is None else row.shop,
            lobby=lobby,
            changes_at=[*hall.changes_at(), *([] if lobby is None else [lobby.opens_at])],
        )

    async def standing(self, event_id: int, user_id: int) -> Standing | None:
        fan = Session(user_id, "fan", "")
        try:
            standing, counts = await self._services.finding.find(event_id, fan, None, None, "")
        except ProblemError as problem:
            if problem.document["code"] in ("not_in_line", "rebuilding"):
                # While it is rebuilt the page's script brings the place, by its token.
                return None
            raise
        place = self._services.places.place(event_id, standing, counts, user_id, "")
        return Standing(
            state=place.state,
            room_state=place.room_state,
            position=place.position,
            ahead=place.ahead,
            class_waiting=place.class_waiting,
            priority=place.priority,
            place=place.ticket_number is not None,
            eta_seconds=place.eta_seconds,
            eta_range=place.eta_range,
            may_run_out=place.may_run_out,
            all_held=(place.stock.may_return or 0) if place.stock is not None else 0,
            holds_end_at=None if place.stock is None else place.stock.last_hold_ends_at,
            claim_by_seconds=place.claim_by_seconds,
            pass_cookies=self._services.passes.cookies(event_id, place.admission_pass),
            fan_hash=None if place.lobby is None else place.lobby.fan_hash,
        )

    async def join(self, request: AnyRequest, event_id: int, user_id: int, patience: str | None) -> None:
        fan = self._services.identity.at_first_join(request, self._fan(request, user_id))
        ask = JoinAsk(event_id=event_id, fan=fan, address=address(request), patience=patience)
        try:
            ask = replace(ask, is_suspicious=self._weigh(request, user_id, JOINED).is_answered)
            standing, _ = await self._services.joining.join(ask)
        except ProblemError as problem:
            document = problem.document
            if document["code"] == "captcha_required":
                ticket, seconds = await self._services.joining.patience(ask)
                raise JoinRefusedError("patience", 200, seconds, ticket) from None
            raise JoinRefusedError(document["code"], document["status"], document.get("retryAfterSeconds")) from None
        if standing.joined == "new":
            self._services.suspicions.ended(fan.user_id, Step.JOIN, succeeded=True)

    def _weigh(self, request: AnyRequest, user_id: int, weighed: Weighed) -> Verdict:
        """Count a form as the call of the API that it stands for, and return what it is answered.

        Raises:
            ProblemError: ``conduct_refused``.
        """
        weigh(self._services, request, self._fan(request, user_id), weighed)
        return verdict_of(request)

    def _fan(self, request: AnyRequest, user_id: int) -> Session:
        """The fan of a form, which may have come without a session and been given one."""
        session = self._services.identity.known(request)
        return session if session is not None and session.user_id == user_id else Session(user_id, "fan", "")

    async def leave(self, event_id: int, user_id: int) -> None:
        await self._services.line.leave(event_id, user_id)

    async def way_to_shop(self, request: AnyRequest, shop: EventView, user_id: int, to: str) -> str | None:
        arrival = await self._services.shop_checks.arrival(
            shop.event_id, user_id, request.headers.get("user-agent", "").encode("latin-1")
        )
        return None if arrival is None else with_arrival(to, arrival)

    async def claim(self, request: AnyRequest, event_id: int, user_id: int) -> Sequence[Cookie]:
        services = self._services
        try:
            self._weigh(request, user_id, CLAIMED)
            standing = await services.finding.claim(event_id, self._fan(request, user_id))
        except ProblemError as problem:
            raise PlainRefusedError(problem.document["code"]) from None
        services.suspicions.ended(user_id, Step.CLAIM, succeeded=True)
        assert standing.pass_until_ms is not None
        token = services.places.sign_pass(event_id, user_id, standing.pass_until_ms)
        return services.passes.cookies(event_id, token)

    async def holds(self, event_id: int, user_id: int) -> Sequence[HoldView]:
        hall = await self._services.halls.current(event_id)
        async with self._services.engine.connect() as connection:
            holds = await holds_of_fan(connection, event_id, user_id)
        return [
            HoldView(
                reservation_id=hold.reservation_id,
                seats=self._held_seats(hall, hold.seats, hold.charges),
                total_amount=hold.total_amount,
                currency=hall.event.currency,
                expires_at=hold.expires_at,
                breakdown=breakdown(hold.charges),
            )
            for hold in holds
        ]

    def _held_seats(self, hall: Hall, seats: Sequence[Seat], charges: Sequence[Charge]) -> list[HeldSeatView]:
        return [
            HeldSeatView(
                ticket_type=ticket.ticket_type if (ticket := hall.tickets.get(seat.ticket_type_id)) else "",
                row_label=seat.row_label or str(seat.row_number),
                label=seat.seat_label or str(seat.seat_number),
                amount=seat.amount,
            )
            for seat in hall.labels.held_seats(seats, charges)
        ]

    async def hold_best(
        self,
        request: AnyRequest,
        event_id: int,
        user_id: int,
        *,
        ticket_type_id: int,
        quantity: int,
        accessible: bool,
        key: str,
    ) -> None:
        if quantity > self.seats_per_request_max:
            raise PlainRefusedError("limit_exceeded")
        await self._require_account(request, event_id)
        try:
            verdict = self._weigh(request, user_id, RESERVED)
        except ProblemError as problem:
            raise PlainRefusedError(problem.document["code"]) from None
        best = BestAvailable(ticket_type_id, quantity)
        command = Reserve(**UNSTAMPED, event_id=event_id, user_id=user_id, best_available=best, accessible=accessible)

        async def permit(command_id: uuid.UUID) -> Command:
            permits = self._services.permits
            counting = permits.counting(command, address(request))
            await self._services.admission.require(request, event_id, user_id)
            permitted = await permits.permit(
                command, address(request), command_id, action="reserve", token=None, counting=counting
            )
            if self.captcha_provider != "off":
                verdict.require_proof(permitted.proof, fresh=Proof.FRESH)
            return permitted

        await self._booked(Ask(command, key, PLAIN_WAIT_SECONDS, permit, behind=verdict.is_behind))
        self._services.suspicions.ended(user_id, Step.RESERVE, succeeded=True)

    async def _require_account(self, request: AnyRequest, event_id: int) -> None:
        try:
            self._services.hall_access.require_account(request, await self._services.halls.hall(event_id))
        except UnknownEventError:
            raise PlainRefusedError("unknown_event") from None
        except ProblemError as problem:
            raise PlainRefusedError(problem.document["code"]) from None

    async def answer(
        self,
        request: AnyRequest,
        event_id: int,
        user_id: int,
        reservation_id: uuid.UUID,
        fields: Mapping[str, str],
    ) -> None:
        try:
            hall = await self._services.halls.hall(event_id)
            if hall.asks is None or hall.rehearsal_of is not None:
                return
            async with self._services.engine.connect() as connection:
                holds = await holds_of_fan(connection, event_id, user_id)
            seats = next((hold.seats for hold in holds if hold.reservation_id == reservation_id), ())
            agreed = fields.get("termsVersion", "") if "agreed" in fields else "0"
            body = {
                "eventId": event_id,
                "name": fields.get("name", ""),
                "mail": fields.get("mail", ""),
                "attendees": [
                    {"ticketTypeId": seat[0], "rowNumber": seat[1], "seatNumber": seat[2], "name": name}
                    for index, seat in enumerate(seats)
                    if (name := fields.get(f"attendee-{index}", ""))
                ],
                "answers": [
                    {"questionId": question.question_id, "answer": answer}
                    for question in hall.asks.questions
                    if (answer := fields.get(f"question-{question.question_id}", ""))
                ],
                "address": fields.get("address", "") if hall.asks.address else "",
                "termsVersion": int(agreed) if agreed.isascii() and agreed.isdigit() else 0,
                "language": current().tag,
            }
            answers = msgspec.convert(body, AnswersBody)
            await self._services.orders.answer(hall, user_id, reservation_id, answers, network(request))
        except UnknownEventError:
            raise PlainRefusedError("unknown_event") from None
        except msgspec.ValidationError:
            raise PlainRefusedError("answers_missing") from None
        except ProblemError as problem:
            code = problem.document["code"]
            raise PlainRefusedError("answers_missing" if code == "invalid_request" else code) from None

    async def buy(
        self, request: AnyRequest, event_id: int, user_id: int, reservation_id: uuid.UUID, voucher: str
    ) -> str:
        if self.captcha_provider != "off":
            raise PlainRefusedError("captcha_failed")
        hashes: tuple[bytes, ...] = ()
        if voucher:
            try:
                hashes = await self._services.vouchers.hashes(event_id, user_id, network(request), voucher)
            except ProblemError as problem:
                raise PlainRefusedError(problem.document["code"]) from None
        command = Checkout(
            **UNSTAMPED, event_id=event_id, user_id=user_id, reservation_id=reservation_id, vouchers=hashes
        )
        try:
            hall = await self._services.halls.hall(event_id)
        except UnknownEventError:
            raise PlainRefusedError("unknown_event") from None
        try:
            await self._services.orders.require_answers(hall, user_id, reservation_id, ())
        except ProblemError as problem:
            raise PlainRefusedError(problem.document["code"]) from None
        # Where it is paid, a second try is another payment. One hold has one payment under way, whatever the key.
        # Without the voucher it is another purchase, where the one with it was refused.
        with_voucher = f"-{hashes[0].hex()[:16]}" if hashes else ""
        key = None if hall.event.payments else f"plain-buy-{reservation_id}{with_voucher}"
        self._weigh(request, user_id, BOUGHT)
        job = await self._booked(Ask(command, key, PLAIN_WAIT_SECONDS))
        self._services.suspicions.ended(user_id, Step.CHECKOUT, succeeded=True)
        return f"pay/{job['paymentId']}" if "paymentId" in job else f"purchases/{job['purchaseId']}"

    async def payment(self, request: AnyRequest, user_id: int, payment_id: uuid.UUID) -> PaymentView | None:
        found = await self._services.payments.seen(payment_id)
        if found is None or found.user_id not in await self.fans_of(request, user_id):
            return None
        hall = await self._services.halls.current(found.event_id)
        seats = tuple(zip(found.ticket_type_ids, found.row_numbers, found.seat_numbers, strict=True))
        stage = "open" if found.can_be_paid else "waiting" if found.is_under_way else found.state
        if stage == "waiting" and found.is_processing and not found.is_captured:
            stage = "processing"
        return PaymentView(
            payment_id=payment_id,
            event=await self._view(hall),
            seats=self._held_seats(hall, seats, [plain(amount) for amount in found.amounts]),
            amount=found.amount,
            currency=found.currency,
            expires_at=found.expires_at,
            provider=found.provider,
            stage=stage,
            purchase_id=found.purchase_id,
            client_secret=self._services.payments.secret_of(found) if stage == "open" else "",
            href=found.pay_href or "",
            discount=sum(found.amounts) - found.amount,
            job_id=found.job_id,
        )

    async def payment_with_news(
        self, request: AnyRequest, user_id: int, payment: PaymentView, wait_seconds: float
    ) -> PaymentView | None:
        if payment.job_id is not None:
            await self._services.desk.job(payment.job_id, wait_seconds)
        return await self.payment(request, user_id, payment.payment_id)

    async def payments_at_banks(self, request: AnyRequest, user_id: int) -> Sequence[PaymentView]:
        found = [await self.payment(request, user_id, one) for one in await self._services.payments.at_banks(user_id)]
        return [one for one in found if one is not None]

    async def act_on_payment(self, payment: PaymentView, act: str) -> None:
        payments = self._services.payments
        found = await payments.seen(payment.payment_id)
        assert found is not None
        if act and found.provider == TEST:
            if found.can_be_paid:
                await payments.pay_test(found, act)
        elif act == "there" and found.provider == STRIPE:
            await payments.go_there(found.event_id, payment.payment_id)
        else:
            await payments.hint(found.event_id, payment.payment_id)

    async def give_back(self, request: AnyRequest, event_id: int, user_id: int, reservation_id: uuid.UUID) -> None:
        command = Release(**UNSTAMPED, event_id=event_id, user_id=user_id, reservation_id=reservation_id)
        self._weigh(request, user_id, RELEASED)
        await self._booked(Ask(command, f"plain-release-{reservation_id}", PLAIN_WAIT_SECONDS))
        self._services.suspicions.ended(user_id, Step.RELEASE, succeeded=True)

    async def waiting(self, event_id: int, user_id: int) -> WaitingView | None:
        async with self._services.engine.connect() as connection:
            entry = await entry_of_fan(connection, event_id, user_id)
        if entry is None:
            return None
        ticket = (await self._services.halls.hall(event_id)).tickets.get(entry.ticket_type_id)
        return WaitingView(
            number=entry.number,
            ticket_type="" if ticket is None else ticket.ticket_type,
            quantity=entry.quantity,
            state=entry.became,
            ahead=entry.ahead,
            offer_ends_at=entry.expires_at if entry.is_offered else None,
        )

    async def wait(
        self, request: AnyRequest, event_id: int, user_id: int, *, ticket_type_id: int, quantity: int
    ) -> None:
        await self._require_account(request, event_id)
        command = Wait(
            **UNSTAMPED, event_id=event_id, user_id=user_id, ticket_type_id=ticket_type_id, quantity=quantity
        )

        async def permit(command_id: uuid.UUID) -> Command:
            permits = self._services.permits
            counting = permits.counting(command, address(request))
            return await permits.permit(
                command, address(request), command_id, action="reserve", token=None, counting=counting
            )

        await self._booked(Ask(command, None, PLAIN_WAIT_SECONDS, permit))

    async def stop_waiting(self, event_id: int, user_id: int) -> None:
        await self._booked(Ask(Leave(**UNSTAMPED, event_id=event_id, user_id=user_id), None, PLAIN_WAIT_SECONDS))

    async def _booked(self, ask: Ask) -> dict[str, Any]:
        """The result of the command.

        Raises:
            PlainRefusedError
        """
        services = self._services
        try:
            # A rehearsal's copy is booked by its own fans, through the API.
            hall = await services.halls.hall(ask.command.event_id)
            if hall.rehearsal_of is not None:
                raise PlainRefusedError("unknown_event")
            services.desk.refuse_if_full(ask.command.event_id)
            _, record = await services.desk.book(ask)
        except UnknownEventError:
            raise PlainRefusedError("unknown_event") from None
        except ProblemError as problem:
            raise PlainRefusedError(problem.document["code"]) from None
        if record is not None and record.payment_id is not None and not record.body:
            return {"paymentId": str(record.payment_id)}
        if record is None or not record.body:
            raise PlainRefusedError("queued")
        services.halls.note_answered(record)
        job: dict[str, Any] = msgspec.json.decode(record.body)
        if "result" not in job:
            raise PlainRefusedError(job["problem"]["code"])
        result: dict[str, Any] = job["result"]
        return result

    def keep_session(self, request: AnyRequest, purchases: Sequence[PurchaseView | PaymentView]) -> bool:
        until_seconds = max(((one.event.date + KEPT_AFTER_EVENT).timestamp() for one in purchases), default=0.0)
        return self._services.identity.keep(request, until_seconds)

    def is_account(self, request: AnyRequest) -> bool:
        session = self._services.identity.known(request)
        return session is not None and session.is_account

    async def fans_of(self, request: AnyRequest, user_id: int) -> Sequence[int]:
        session = self._services.identity.known(request)
        return [user_id] if session is None else await self._services.accounts.fans_of(session)

    async def end_session(self, request: AnyRequest) -> Cookie:
        identity = self._services.identity
        identity.refuse_foreign(request)
        session = identity.known(request)
        if session is not None and session.is_account:
            await self._services.accounts.end(session)
        return identity.no_cookie("fan")

    async def purchase_by_key(self, purchase_id: uuid.UUID, key: str) -> PurchaseView | None:
        try:
            fan = self._services.identity.fan_of_purchase(purchase_id, key)
        except ProblemError:
            return None
        found = await self.purchase(fan.user_id, purchase_id)
        if found is not None:
            return found
        *_, named = await self._services.accounts.fans_named(fan.user_id)
        return None if named == fan.user_id else await self.purchase(named, purchase_id)

    async def purchases(self, user_id: int) -> Sequence[PurchaseView]:
        return [await self._purchase(found) for found in await self._services.reader.purchases(user_id)]

    async def purchase(self, user_id: int, purchase_id: uuid.UUID) -> PurchaseView | None:
        found = await self._services.reader.purchase(user_id, purchase_id)
        return None if found is None else await self._purchase(found)

    async def _purchase(self, found: bytes) -> PurchaseView:
        """A purchase as the reader gives it, in JSON, together with its event."""
        purchase = msgspec.json.decode(found, type=PurchaseAnswer)
        hall = await self._services.halls.current(purchase.event_id)
        room = await self._services.rooms.row(purchase.event_id)
        hours = (room.cancel_hours if room else 0) or self._services.settings.hold.cancel_until_hours
        cancel_until = cancellable_until(purchase.cancel_until, hall.event.date, hours)
        is_late = self._services.clock.moment() >= cancel_until
        return PurchaseView(
            purchase_id=purchase.purchase_id,
            user_id=purchase.user_id,
            key=self._services.identity.purchase_keys.key(purchase.purchase_id, purchase.user_id),
            event=await self._view(hall),
            status=purchase.status,
            total_amount=purchase.total_amount,
            currency=purchase.currency,
            purchase_at=purchase.purchase_at,
            seats=[
                PurchasedSeat(
                    ticket_type_id=detail.ticket_type_id,
                    ticket_type=detail.ticket_type,
                    row_number=detail.row_number,
                    seat_number=detail.seat_number,
                    row=detail.row_label or str(detail.row_number),
                    seat=detail.seat_label or str(detail.seat_number),
                    section="" if detail.section in (None, detail.ticket_type) else str(detail.section),
                    entrance=detail.entrance,
                    amount=detail.amount,
                    charge=_charge(detail),
                    ticket_code=detail.ticket_code,
                    ticket=detail.ticket,
                    issue_number=detail.issue_number,
                    handed_on=detail.handed_on,
                    hand_on=self._hand_on(purchase, detail),
                    cancelled=detail.cancelled_at is not None,
                    fee=detail.cancel_fee
                    if detail.cancelled_at is not None or room is None
                    else cancel_fee(detail.amount, room.cancel_fee_percent, room.cancel_fee_amount),
                )
                for detail in purchase.details
            ],
            cancel_until=(
                cancel_until
                if purchase.status == PurchaseStatus.CONFIRMED and not (is_late or purchase.received)
                else None
            ),
            received=purchase.received,
            order_code=purchase.order_code,
            complimentary=purchase.complimentary,
        )

    async def order(self, purchase: PurchaseView) -> OrderView:
        row, payments, refunds = await self._services.orders.order(purchase.event.event_id, purchase.purchase_id)
        return OrderView(
            name="" if row.content is None else row.content.name,
            mail="" if row.content is None else row.mail or "",
            attendees={} if row.content is None else {one.seat: one.name for one in row.content.attendees},
            paid=sum(one.amount for one in payments),
            returned=sum(one.amount for one in refunds),
            has_invoice=bool(
                payments and await self._services.invoices.of(purchase.event.event_id, purchase.purchase_id)
            ),
        )

    def _hand_on(self, purchase: PurchaseAnswer, detail: PurchaseDetailAnswer) -> str:
        """The token that hands the ticket on; empty where it cannot be handed on."""
        services = self._services
        if detail.ticket is None or detail.issue_number >= services.settings.hold.ticket_issues_max:
            return ""
        seat = (detail.ticket_type_id, detail.row_number, detail.seat_number)
        return services.ticket_links.token(
            SignedTicket(purchase.event_id, purchase.purchase_id, seat, detail.issue_number)
        )

    async def tickets_pdf(self, request: AnyRequest, purchase: PurchaseView, title: str) -> bytes | None:
        services, event = self._services, purchase.event
        await services.limits.count("pdf", network(request), services.settings.limit.pdfs_per_minute)
        facts = EventFacts(
            name=event.name,
            artist=event.artist,
            venue=event.venue,
            date=event.date,
            time_zone=event.time_zone,
            doors_at=event.doors_at,
            on_sale_at=event.on_sale_at,
            currency=event.currency,
            notice=event.notice,
            state="",
            revision=event.revision,
        )
        tickets = [
            TicketFacts(
                total_amount=purchase.total_amount,
                currency=purchase.currency,
                ticket_type=seat.ticket_type,
                section=seat.section,
                row=seat.row,
                seat=seat.seat,
                amount=seat.amount,
                ticket_code=seat.ticket_code,
                entrance=seat.entrance,
                ticket=seat.ticket or "",
            )
            for seat in purchase.seats
            if seat.ticket_code is not None
        ]
        look, font = Look.of(services.settings.brand), services.settings.mail.font
        async with services.tickets.making_pdf:
            return await asyncio.to_thread(tickets_pdf, facts, tickets, current().tag, title, look, font)

    async def invoices_pdf(self, request: AnyRequest, purchase: PurchaseView) -> bytes:
        return await self._services.invoices.pdf(purchase.event.event_id, purchase.purchase_id, network(request))

    async def offered(self, token: str) -> OfferedTicket | None:
        try:
            ticket = self._services.ticket_links.ticket(token)
        except TokenInvalid:
            return None
        event = await self.event_view(ticket.event_id)
        if event is None:
            return None
        hall = await self._services.halls.current(ticket.event_id)
        labels = hall.labels.of(ticket.seat)
        ticket_type_id, row_number, seat_number = ticket.seat
        named = hall.tickets.get(ticket_type_id)
        ticket_type = named.ticket_type if named is not None else ""
        return OfferedTicket(
            event=event,
            ticket_type=ticket_type,
            section="" if labels.section in (None, ticket_type) else str(labels.section),
            row=labels.row or str(row_number),
            seat=labels.seat or str(seat_number),
        )

    async def take(self, request: AnyRequest, user_id: int, token: str) -> uuid.UUID:
        try:
            ticket = self._services.ticket_links.ticket(token)
        except TokenInvalid:
            raise PlainRefusedError("ticket_link_ended") from None
        await self._require_account(request, ticket.event_id)
        command = Take(**UNSTAMPED, user_id=user_id, **ticket._asdict())

        async def permit(_: uuid.UUID) -> None:
            permits = self._services.permits
            await permits.count(permits.counting(command, address(request)), address(request))

        await self._booked(Ask(command, f"plain-take-{token}", PLAIN_WAIT_SECONDS, permit))
        return ticket.purchase_id


def _ticket(ticket: TicketAnswer, now: dt.datetime) -> TicketView:
    is_coming = ticket.sold_from is not None and now < ticket.sold_from
    is_over = not is_coming and not ticket.is_sold_at(now)
    return TicketView(
        ticket_type_id=ticket.ticket_type_id,
        ticket_type=ticket.ticket_type,
        price=ticket.cost,
        fee=ticket.fee,
        tax_basis_points=ticket.tax_basis_points,
        sold_from=ticket.sold_from if is_coming else None,
        sold_until=ticket.sold_until if is_over else None,
        seats_per_fan_max=ticket.seats_per_fan_max,
        quantity=ticket.quantity,
        available_count=ticket.available_count,
        held_count=ticket.held_count,
    )


def _charge(detail: PurchaseDetailAnswer) -> Charge:
    of_seat = detail.charge
    if of_seat is None:
        return plain(detail.amount)
    return Charge(of_seat.price, of_seat.fee, of_seat.tax, of_seat.tax_basis_points, detail.amount, of_seat.discount)


def _waiting(counts: RoomCounts | None) -> int:
    """How many fans are in the room's line, and in its lobby while there is one."""
    return 0 if counts is None else counts.waiting + (counts.lobby if counts.undrawn else 0)
