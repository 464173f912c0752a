"""The addresses of a shop to which fans are sent back. None is taken on the word of a request: what does not begin with
an origin that the shop's operators listed leads to the shop's front door.
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import quote, urlsplit

from db.shops.model import Shop
from gateway.wire.addresses import below, origin

ARRIVAL: Final = "admitone_pass"
"""The parameter by which an arrival's token travels."""
ADDRESS_CHARS_MAX: Final = 1500
"""A longer address is not kept: the waiting page's own address has it, and its cookie."""
_is_sane: Final = re.compile(r"[!-~]*").fullmatch
_OWN: Final = ("/wait/", "/gate/")


def return_address(shop: Shop, address: str) -> str:
    """The address if a fan may be sent to it, without an arrival's token; otherwise the shop's front door."""
    if len(address) > ADDRESS_CHARS_MAX or not _is_sane(address) or "\\" in address:
        return front_door(shop)
    for allowed in shop.origins:
        rest = address[len(allowed) :]
        if address.startswith(allowed) and (not rest or rest[0] in "/?#"):
            return front_door(shop) if _leads_to_us(shop, allowed, rest) else allowed + without_arrival(rest or "/")
    return front_door(shop)


def is_address_of(shop: Shop, address: str) -> bool:
    """Whether the address is at one of the shop's origins."""
    return any(address.startswith(f"{allowed}/") for allowed in shop.origins)


def address_of(shop: Shop, host: str, path: str) -> str:
    """The address of a path at a host of the shop, as the shop's proxy was asked for it; or the shop's front door."""
    for allowed in shop.origins:
        if urlsplit(allowed).netloc == host.lower():
            return return_address(shop, allowed + path)
    return return_address(shop, shop.origin + path)


def front_door(shop: Shop) -> str:
    return f"{shop.origin}/"


def without_arrival(address: str) -> str:
    """The address without an arrival's token."""
    if ARRIVAL not in address:
        return address
    whole, hash_sign, fragment = address.partition("#")
    path, _, query = whole.partition("?")
    kept = "&".join(part for part in query.split("&") if part.partition("=")[0] != ARRIVAL)
    return f"{path}{'?' if kept else ''}{kept}{hash_sign}{fragment}"


def with_arrival(address: str, token: str) -> str:
    """The address with an arrival's token."""
    whole, hash_sign, fragment = address.partition("#")
    return f"{whole}{'&' if '?' in whole else '?'}{ARRIVAL}={token}{hash_sign}{fragment}"


def arrival_in(path: str) -> str | None:
    """The token that a path of the shop carries; None without one."""
    query = path.partition("?")[2]
    for part in query.split("&"):
        name, _, value = part.partition("=")
        if name == ARRIVAL:
            return value
    return None


def waiting_page(shop: Shop, event_id: int) -> str:
    """The address of a room's waiting page: at our own host, or below our path of the shop's."""
    return f"{shop.origin if shop.own_page else origin()}{below(f'/wait/{event_id}')}"


def waiting_address(shop: Shop, event_id: int, to: str) -> str:
    """The address of a room's waiting page for a fan who wants to go to ``to``."""
    return f"{waiting_page(shop, event_id)}?to={quote(to, safe='')}"


def _leads_to_us(shop: Shop, allowed: str, rest: str) -> bool:
    """Whether a shop that shares our host, or has our pages at its own, would send its fan in a circle."""
    return (shop.own_page or allowed == origin()) and any(rest.startswith(below(own)) for own in _OWN)
