"""Tickets beside their page: as a PDF, in the wallets of phones, and on the way to somebody else."""

from __future__ import annotations

import time
import uuid
from typing import Annotated, Any, Final

from litestar import MediaType, Request, Response, get, post
from litestar.datastructures import Cookie
from litestar.di import NamedDependency
from litestar.exceptions import NotFoundException
from litestar.params import Parameter, SkipValidation

from gateway.contract.booking import TOKEN_CHARS_MAX
from gateway.pages.languages import N_, current, gettext, prefix
from gateway.pages.look import assets, brand, error_page, page
from gateway.pages.plain import words_of
from gateway.pages.views import PageData, PlainRefusedError, PurchasedSeat, PurchaseView
from messages.calendars import begins_at
from messages.colours import INK, readable_on
from tickets.wallets import APPLE_MEDIA_TYPE, WalletTicket

KEY_TYPED_MAX: Final = 100
Pages = NamedDependency[SkipValidation[PageData]]
Key = Annotated[str, Parameter(max_length=KEY_TYPED_MAX)]
Token = Annotated[str, Parameter(max_length=TOKEN_CHARS_MAX)]
NO_PDF: Final = N_("These tickets cannot be made into a PDF here. Print their page instead.")
LINK_ENDED: Final = N_("This link has ended")


async def purchase_shown(
    request: Request[Any, Any, Any], pages: PageData, purchase_id: uuid.UUID, key: str
) -> PurchaseView | None:
    """The purchase that the key opens, or else the fan's session; None if neither does."""
    if key:
        return await pages.purchase_by_key(purchase_id, key)
    user_id = pages.visitor(request, for_tickets=True).user_id
    purchase = None if user_id is None else await pages.purchase(user_id, purchase_id)
    return purchase if purchase is not None and pages.keep_session(request, [purchase]) else None


@get("/purchases/{purchase_id:uuid}/tickets.pdf")
async def tickets_file(
    request: Request[Any, Any, Any], pages: Pages, purchase_id: uuid.UUID, key: Key = ""
) -> Response[bytes] | Response[str]:
    """The valid tickets as a PDF, each a page."""
    purchase = await purchase_shown(request, pages, purchase_id, key)
    if purchase is None or all(seat.ticket_code is None for seat in purchase.seats):
        raise NotFoundException
    content = await pages.tickets_pdf(request, purchase, f"{gettext('Your tickets')} · {purchase.event.name}")
    if content is None:
        return error_page(404, gettext(NO_PDF))
    return _file(content, "application/pdf", f"tickets-{purchase_id}.pdf")


@get("/purchases/{purchase_id:uuid}/invoice.pdf")
async def invoice_file(
    request: Request[Any, Any, Any], pages: Pages, purchase_id: uuid.UUID, key: Key = ""
) -> Response[bytes]:
    """The invoice of the purchase and its credit notes, for who bought."""
    purchase = await purchase_shown(request, pages, purchase_id, key)
    if purchase is None or purchase.received:
        raise NotFoundException
    return _file(await pages.invoices_pdf(request, purchase), "application/pdf", f"invoice-{purchase_id}.pdf")


def _file(content: bytes, media_type: str, name: str) -> Response[bytes]:
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
    return Response(content, media_type=media_type, headers=headers)


@get("/purchases/{purchase_id:uuid}/wallet/apple/{number:int}")
async def apple_wallet(
    request: Request[Any, Any, Any], pages: Pages, purchase_id: uuid.UUID, number: int, key: Key = ""
) -> Response[bytes]:
    """A ticket as a file that an iPhone opens. ``number`` is the ticket's among the valid ones of the page."""
    wallet = pages.wallets.apple
    if wallet is None:
        raise NotFoundException
    ticket = await _wallet_ticket(request, pages, purchase_id, number, key)
    worn = brand()
    content = wallet.pass_file(
        ticket,
        organisation=worn.name,
        colour=worn.shown_colour,
        ink=readable_on(worn.shown_colour) or INK,
        icon=worn.icon.content if worn.icon is not None else assets.named("icon-192.png").plain,
    )
    return _file(content, APPLE_MEDIA_TYPE, f"ticket-{ticket.serial}.pkpass")


@get("/purchases/{purchase_id:uuid}/wallet/google/{number:int}")
async def google_wallet(
    request: Request[Any, Any, Any], pages: Pages, purchase_id: uuid.UUID, number: int, key: Key = ""
) -> Response[str]:
    """Where Google saves a ticket. ``number`` is the ticket's among the valid ones of the page."""
    wallet = pages.wallets.google
    if wallet is None:
        raise NotFoundException
    ticket = await _wallet_ticket(request, pages, purchase_id, number, key)
    return _to(wallet.link(ticket, organisation=brand().name, now=int(time.time())))


async def _wallet_ticket(
    request: Request[Any, Any, Any], pages: PageData, purchase_id: uuid.UUID, number: int, key: str
) -> WalletTicket:
    purchase = await purchase_shown(request, pages, purchase_id, key)
    valid = [] if purchase is None else [seat for seat in purchase.seats if seat.ticket is not None]
    if purchase is None or not 1 <= number <= len(valid):
        raise NotFoundException
    return _in_wallet(purchase, valid[number - 1])


def _in_wallet(purchase: PurchaseView, seat: PurchasedSeat) -> WalletTicket:
    event = purchase.event
    where = f"{seat.ticket_type_id}-{seat.row_number}-{seat.seat_number}"
    return WalletTicket(
        serial=f"{purchase.purchase_id}-{where}-{seat.issue_number}",
        event_id=event.event_id,
        event_name=event.name,
        venue=event.venue,
        begins=begins_at(event.date, event.time_zone),
        language=current().tag,
        labels={
            "ticket": gettext("Ticket"),
            "section": gettext("Section"),
            "entrance": gettext("Entrance"),
            "row": gettext("Row"),
            "seat": gettext("Seat"),
        },
        ticket_type=seat.ticket_type,
        section=seat.section,
        entrance=seat.entrance,
        row=seat.row,
        seat=seat.seat,
        code=seat.ticket_code or "",
        qr=seat.ticket or "",
    )


@get("/purchases/take/{token:str}")
async def take_page(
    pages: Pages,
    token: Token,
    problem: Annotated[str, Parameter(max_length=32)] = "",
) -> Response[str]:
    """A ticket that somebody hands on: who presses the button has it."""
    offered = await pages.offered(token)
    if offered is None:
        return error_page(404, gettext(LINK_ENDED), words_of("ticket_link_ended"))
    return page("take.html", offered=offered, token=token, problem=words_of(problem))


@post("/purchases/take/{token:str}")
async def take_form(request: Request[Any, Any, Any], pages: Pages, token: Token) -> Response[str]:
    """Take the ticket. `PageData.ensure_session` refuses another site's form."""
    user_id, cookie = await pages.ensure_session(request)
    try:
        path = f"purchases/{await pages.take(request, user_id, token)}"
    except PlainRefusedError as refused:
        path = f"purchases/take/{token}?problem={refused.code}"
    return _to(f"{prefix()}/{path}", cookie)


def _to(location: str, cookie: Cookie | None = None) -> Response[str]:
    headers = {"Location": location, "Cache-Control": "no-store"}
    cookies = [] if cookie is None else [cookie]
    return Response("", status_code=303, media_type=MediaType.HTML, headers=headers, cookies=cookies)


TICKET_PAGES: Final = (tickets_file, invoice_file, apple_wallet, google_wallet, take_page, take_form)
