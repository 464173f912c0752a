"""Pages of orders: how a fan finds lost tickets again, and the console's list of an event's orders."""

from __future__ import annotations

from typing import Annotated, Any, Final

from litestar import MediaType, Request, Response, get, post
from litestar.params import Parameter

from db.booking.order_codes import code_of
from db.currencies import MINOR_DIGITS
from db.orders.asks import QUESTION_CHARS_MAX, QUESTIONS_MAX, TERMS_CHARS_MAX
from gateway.contract.orders import MAIL_CHARS_MAX
from gateway.contract.values import ID_MAX
from gateway.pages.languages import N_, current, gettext, prefix
from gateway.pages.look import error_page, page
from gateway.pages.plain import OTHER, form_fields
from gateway.pages.tickets import LINK_ENDED
from gateway.pages.told import TOLD_WORDS
from gateway.routes.accounts import refuse_visitor
from gateway.routes.orders import TOKEN_CHARS_MAX
from gateway.services import network, services_of
from gateway.wire.problems import ProblemError

LINK_ENDED_WORDS: Final = N_("Ask for a new link: each works for an hour.")


@get("/purchases/find")
async def find_page(sent: bool = False, problem: Annotated[str, Parameter(max_length=32)] = "") -> Response[str]:
    """Ask for a link to tickets that were bought with an address."""
    words = gettext(TOLD_WORDS.get(problem, OTHER)) if problem else ""
    return page("find.html", sent=sent, problem=words)


@post("/purchases/find")
async def find_form(request: Request[Any, Any, Any]) -> Response[str]:
    """Send the link. What is answered does not tell whether there are tickets."""
    refuse_visitor(request)
    said = "sent=true"
    try:
        mail = (await form_fields(request)).get("mail", "")[:MAIL_CHARS_MAX]
        await services_of(request).orders.ask_link(mail, current().tag, network(request))
    except ProblemError as refused:
        said = f"problem={refused.document['code']}"
    headers = {"Location": f"{prefix()}/purchases/find?{said}", "Cache-Control": "no-store"}
    return Response("", status_code=303, media_type=MediaType.HTML, headers=headers)


@get("/purchases/found/{token:str}")
async def found_page(
    request: Request[Any, Any, Any], token: Annotated[str, Parameter(max_length=TOKEN_CHARS_MAX)]
) -> Response[str]:
    """The tickets of the address to which the link was sent, each with its own link."""
    orders = services_of(request).orders
    found = await orders.found(token)
    if found is None:
        return error_page(404, gettext(LINK_ENDED), gettext(LINK_ENDED_WORDS))
    shown = [
        {
            **one._asdict(),
            "code": code_of(one.order_number),
            "key": orders.key_of(one.purchase_id, one.user_id),
        }
        for one in found
    ]
    return page("found.html", orders=shown, page_address="/purchases/find")


@get("/ops/events/{event_id:int}/orders")
async def orders_page(event_id: Annotated[int, Parameter(ge=1, le=ID_MAX)]) -> Response[str]:
    """An event's orders, for its operators; asked for by its script, as in the console."""
    return page(
        "orders.html",
        event_id=event_id,
        questions_max=QUESTIONS_MAX,
        question_chars_max=QUESTION_CHARS_MAX,
        terms_chars_max=TERMS_CHARS_MAX,
        data={"eventId": event_id, "exponents": MINOR_DIGITS},
    )


FINDING: Final = (find_page, find_form, found_page)
"""What a fan sees in the language of the address."""
