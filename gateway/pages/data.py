"""What the pages show, from the same services as the API."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Sequence

import msgspec
from litestar.datastructures import Cookie

from db.events.seed import room_seed
from gateway.contract.booking import PurchaseAnswer
from gateway.contract.line import DrawAnswer
from gateway.hall.hall import Hall, UnknownEventError
from gateway.identity.cookies import refuse_cross_site
from gateway.identity.sessions import Session
from gateway.line.joining import JoinAsk
from gateway.line.places import room_state
from gateway.pages.views import EventView, JoinRefusedError, PurchasedSeat, PurchaseView, Standing, TicketView
from gateway.services import Services, address, network
from gateway.wire.problems import ProblemError
from gateway.wire.requests import AnyRequest


class PagesFromServices:
    """Provides what the pages show: `gateway.pages.views.PageData`."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self.captcha_provider = services.captcha.provider
        self.new_room = room_seed(services.settings.room)

    async def ensure_session(self, request: AnyRequest) -> tuple[int, Cookie | None]:
        identity = self._services.identity
        # Lax keeps the cookie from another site's form, so without this the form would be given a new session, which
        # takes the place of the fan's own.
        refuse_cross_site(request)
        try:
            session = identity.session(request)
        except ProblemError:
            session = None
        if session is not None and session.role == "fan" and not session.rehearses:
            return session.user_id, None
        await self._services.limits.count(
            "session", network(request), self._services.settings.limit.sessions_per_minute
        )
        token, user_id = identity.new_fan()
        return user_id, identity.cookie(token)

    async def list_events(self, q: str, limit: int) -> Sequence[EventView]:
        views = []
        for event_id in await self._services.catalogue.upcoming(q, self._services.clock.moment(), limit):
            view = await self.event_view(event_id)
            if view is not None:
                views.append(view)
        return views

    async def event_view(self, event_id: int) -> EventView | None:
        try:
            hall = await self._services.halls.hall(event_id)
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
        return EventView(
            event_id=event.event_id,
            name=event.name,
            artist=event.artist,
            venue=event.venue,
            date=event.date,
            on_sale_at=event.on_sale_at,
            currency=event.currency,
            seats_per_fan_max=event.seats_per_fan_max,
            hold_seconds=self._services.settings.hold.seconds,
            absence_seconds=self._services.settings.line.absence_seconds,
            tickets=[
                TicketView(
                    ticket_type_id=ticket.ticket_type_id,
                    ticket_type=ticket.ticket_type,
                    price=ticket.price,
                    quantity=ticket.quantity,
                    available_count=ticket.available_count,
                    held_count=ticket.held_count,
                )
                for ticket in hall.tickets.values()
            ],
            room_state="off" if counts is None else room_state(counts),
            waiting=0 if counts is None else counts.waiting + (counts.lobby if counts.undrawn else 0),
            message=self._services.places.message(event.event_id),
            revision=hall.revision,
            lobby=None if counts is None else self._services.places.lobby(event.event_id, counts),
        )

    async def standing(self, event_id: int, user_id: int) -> Standing | None:
        fan = Session(user_id, "fan", "")
        try:
            standing, counts = await self._services.finding.find(event_id, fan, None, None)
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
            waiting=place.waiting,
            eta_seconds=place.eta_seconds,
            eta_range=place.eta_range,
            may_run_out=place.may_run_out,
            all_held=(place.stock.may_return or 0) if place.stock is not None else 0,
            holds_end_at=None if place.stock is None else place.stock.last_hold_ends_at,
            fan_hash=None if place.lobby is None else place.lobby.fan_hash,
        )

    async def join(self, request: AnyRequest, event_id: int, user_id: int) -> None:
        fan = Session(user_id, "fan", "")
        try:
            await self._services.joining.join(JoinAsk(event_id=event_id, fan=fan, address=address(request)))
        except ProblemError as problem:
            document = problem.document
            raise JoinRefusedError(document["code"], document["status"], document.get("retryAfterSeconds")) from None

    async def leave(self, event_id: int, user_id: int) -> None:
        await self._services.line.leave(event_id, user_id)

    async def purchases(self, user_id: int) -> Sequence[PurchaseView]:
        return [await self._purchase(found) for found in await self._services.reader.purchases(user_id)]

    async def purchase(self, user_id: int, purchase_id: uuid.UUID) -> PurchaseView | None:
        found = await self._services.reader.purchase(user_id, purchase_id)
        return None if found is None else await self._purchase(found)

    async def _purchase(self, found: bytes) -> PurchaseView:
        """A purchase as the reader gives it, in JSON, together with its event."""
        purchase = msgspec.json.decode(found, type=PurchaseAnswer)
        hall = await self._services.halls.hall(purchase.event_id)
        cancel_until = hall.event.date - dt.timedelta(hours=self._services.settings.hold.cancel_until_hours)
        is_late = self._services.clock.moment() >= cancel_until
        return PurchaseView(
            purchase_id=purchase.purchase_id,
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
                    amount=detail.amount,
                    ticket_code=detail.ticket_code,
                    cancelled=detail.cancelled_at is not None,
                )
                for detail in purchase.details
            ],
            cancel_until=None if is_late or purchase.status == "cancelled" else cancel_until,
        )
