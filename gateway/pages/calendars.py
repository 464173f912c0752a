"""The site's calendar files: the moment a fan must be on the page, and the evening of the tickets."""

from __future__ import annotations

import datetime as dt

from db.events.sale import SaleState
from gateway.pages.languages import gettext
from gateway.pages.views import EventView, PurchaseView
from messages.calendars import Entry, evening_entry, sale_entry


def sale_calendar(event: EventView, host: str, address: str, now: dt.datetime) -> bytes:
    """When the lobby of an event opens, or its sale where it has no lobby.

    Args:
        host: the site's, which makes the entry's name unique.
        address: of the event's page, whole.
        now: when the entry was made.
    """
    begins = event.lobby.opens_at if event.lobby is not None else event.on_sale_at
    words = gettext("The lobby opens: {event}") if event.lobby is not None else gettext("Tickets go on sale: {event}")
    summary = words.format(event=event.name)
    entry = sale_entry(event.event_id, host, address, summary, begins, revision=event.revision, now=now)
    entry.say(description=gettext("Open this page: {address}").format(address=address))
    return _file(entry, event)


def event_calendar(purchase: PurchaseView, host: str, address: str, now: dt.datetime) -> bytes:
    """The evening of a purchase, with its seats. Arguments as of `sale_calendar`."""
    event = purchase.event
    entry = evening_entry(
        purchase.purchase_id,
        host,
        address,
        event.name,
        event.date,
        event.time_zone,
        revision=event.revision,
        now=now,
    )
    seats = [
        gettext("{type} row {row} seat {seat}").format(
            type=f"{seat.section} · {seat.ticket_type}" if seat.section else seat.ticket_type,
            row=seat.row,
            seat=seat.seat,
        )
        for seat in purchase.seats
        if not seat.cancelled
    ]
    entrances = {seat.entrance: None for seat in purchase.seats if seat.entrance and not seat.cancelled}
    seats += [f"{gettext('Entrance')}: {entrance}" for entrance in entrances]
    entry.say(location=event.venue, description="\n".join([*seats, address]))
    return _file(entry, event)


def _file(entry: Entry, event: EventView) -> bytes:
    if event.sale is SaleState.CANCELLED:
        entry.cancel()
    return entry.file()
