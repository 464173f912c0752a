"""The URLs that a webhook may have: in production https and public addresses only.

A name may resolve to another address at any time, so each address is checked again when a connection to it is made
(`workers.channels.webhooks.post`). The check here comes first, so that the operator learns of a bad URL at once.
"""

from __future__ import annotations

import ipaddress
import socket
from typing import Final
from urllib.parse import urlsplit

URL_CHARS_MAX: Final = 2000
_NAT64: Final = ipaddress.ip_network("64:ff9b::/96")
_GLOBAL_UNICAST: Final = ipaddress.ip_network("2000::/3")
"""All that is given out of IPv6. What lies beside it leads to this host, this site or this network (RFC 4291, 2.4),
also in spellings that Python's own tables do not know: ``::127.0.0.1``, ``::ffff:0:127.0.0.1``, ``64:ff9b:1::/48``.
"""
_INSIDE: Final = (
    ipaddress.ip_network("168.63.129.16/32"),  # Azure's own services answer there, to every machine
    ipaddress.ip_network("192.88.99.0/24"),  # relays of 6to4, given up (RFC 7526)
    ipaddress.ip_network("3fff::/20"),  # documentation (RFC 9637)
)


class UrlRefusedError(ValueError):
    """The URL may not be a webhook's; the message says why."""


def is_public(address: str) -> bool:
    """Whether the IP address belongs to the public internet. An address that contains another one (as 6to4 does) is
    judged by that one.
    """
    found = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(found, ipaddress.IPv6Address):
        inner = found.ipv4_mapped or found.sixtofour or (found.teredo[1] if found.teredo is not None else None)
        if found in _NAT64:
            inner = ipaddress.IPv4Address(int(found) & 0xFFFF_FFFF)
        if inner is not None:
            return is_public(str(inner))
        if found not in _GLOBAL_UNICAST:
            return False
    return found.is_global and not found.is_multicast and not any(found in network for network in _INSIDE)


def check_url(url: str, *, production: bool) -> tuple[str, int]:
    """The host and port that the URL names.

    Raises:
        UrlRefusedError: it is malformed, or in production not https or of an address that is not public.
    """
    if len(url) > URL_CHARS_MAX or not url.isascii() or any(character <= " " for character in url):
        raise UrlRefusedError(f"a URL has {URL_CHARS_MAX} printable ASCII characters at most, without spaces")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise UrlRefusedError("this is no URL") from None
    if parts.scheme not in (("https",) if production else ("https", "http")):
        raise UrlRefusedError("in production the URL must be https" if production else "the URL must be https or http")
    if not host or "@" in parts.netloc or parts.fragment:
        raise UrlRefusedError("the URL must name a host, and neither a user nor a fragment")
    try:
        public = is_public(host)
    except ValueError:
        # A name. Its last part decides; all digits would be read as an address by some resolvers.
        public = "." in host.rstrip(".") and not host.rstrip(".").rpartition(".")[2].isdigit()
    if production and not public:
        raise UrlRefusedError("in production the URL must name a public host")
    return host, port or (443 if parts.scheme == "https" else 80)


def check_outward(url: str, *, production: bool) -> None:
    """Check an address that we are to post to, in production with what its name resolves to now. This blocks for as
    long as the resolver takes.

    Raises:
        UrlRefusedError: see `check_url` and `check_resolves_to_public`.
    """
    host, port = check_url(url, production=production)
    if production:
        check_resolves_to_public(host, port)


def check_resolves_to_public(host: str, port: int) -> None:
    """Check that the name resolves to public addresses only. This blocks for as long as the resolver takes.

    Raises:
        UrlRefusedError: the name has no address, or one that is not public.
    """
    if not all(map(is_public, addresses_of(host, port))):
        raise UrlRefusedError(f"{host} has an address that is not public")


def addresses_of(host: str, port: int) -> list[str]:
    """What the name resolves to now. This blocks for as long as the resolver takes.

    Raises:
        UrlRefusedError: the name has no address.
    """
    try:
        return [str(entry[4][0]) for entry in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]
    except OSError:
        raise UrlRefusedError(f"{host} has no address") from None
