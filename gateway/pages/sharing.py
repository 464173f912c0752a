"""What other programs are told of an event's page: previews where its link is shared, and search engines."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from db.currencies import minor_digits
from db.events.sale import SaleState
from db.events.time_zones import zone_of
from gateway.pages.formats import format_money
from gateway.pages.languages import gettext
from gateway.pages.times import format_moment
from gateway.pages.views import EventView
from gateway.wire.addresses import below

SCHEMA: Final = "https://schema.org"


@dataclass(frozen=True, slots=True)
class Sharing:
    """``url`` and ``image`` are whole addresses; ``image`` is empty where the event has no picture. ``data`` is
    schema.org's Event, for a data block in the page.
    """

    description: str
    url: str
    image: str
    data: dict[str, Any]


def sharing_of(event: EventView, site: str, page: str, organiser: str) -> Sharing:
    """How an event's page is shared.

    Args:
        site: how every address of this site begins, e.g. ``https://tickets.example``.
        page: the path of the page in its language.
        organiser: the site's name.
    """
    image = site + below(f"/pictures/{event.picture_hash}-card.jpg") if event.picture_hash else ""
    return Sharing(_description(event), site + page, image, _data(event, site + page, image, organiser))


def _description(event: EventView) -> str:
    parts = [event.artist, event.venue, format_moment(event.date, event.time_zone)]
    if event.price_from is not None:
        parts.append(gettext("from %(price)s") % {"price": format_money(event.price_from, event.currency)})
    return " · ".join(part for part in parts if part and part != event.name)


def _data(event: EventView, url: str, image: str, organiser: str) -> dict[str, Any]:
    zone = zone_of(event.time_zone)
    data: dict[str, Any] = {
        "@context": SCHEMA,
        "@type": "Event",
        "name": event.name,
        "startDate": event.date.astimezone(zone).isoformat(),
        "eventStatus": f"{SCHEMA}/Event{'Cancelled' if event.sale is SaleState.CANCELLED else 'Scheduled'}",
        "eventAttendanceMode": f"{SCHEMA}/OfflineEventAttendanceMode",
        "location": {"@type": "Place", "name": event.venue, "address": event.venue},
        "organizer": {"@type": "Organization", "name": organiser},
        "url": url,
    }
    if event.doors_at is not None:
        data["doorTime"] = event.doors_at.astimezone(zone).isoformat()
    if event.artist:
        data["performer"] = {"@type": "PerformingGroup", "name": event.artist}
    if image:
        data["image"] = [image]
    if event.tickets and not event.is_withdrawn:
        prices = [ticket.price for ticket in event.tickets]
        data["offers"] = {
            "@type": "AggregateOffer",
            "url": url,
            "priceCurrency": event.currency,
            "lowPrice": _major(min(prices), event.currency),
            "highPrice": _major(max(prices), event.currency),
            "availability": f"{SCHEMA}/{_availability(event)}",
            "validFrom": event.on_sale_at.astimezone(zone).isoformat(),
            "validThrough": event.off_sale_at.astimezone(zone).isoformat(),
        }
    return data


def _availability(event: EventView) -> str:
    if event.is_sold_out:
        return "SoldOut"
    return "PreSale" if event.sale is SaleState.COMING else "InStock"


def _major(amount: int, currency: str) -> str:
    return str(Decimal(amount).scaleb(-minor_digits(currency)))
