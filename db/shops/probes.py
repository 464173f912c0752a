"""Which addresses a shop's probe URL may lead to.

In production these are public ones by https, as with every address that an operator gives us. A shop often stands on an
internal address, though, so whoever runs the gateways may name the networks inside that probes may reach, by http too.
An operator of the console cannot: else the console would be a way to look around in the network of the gateways.
"""

from __future__ import annotations

import ipaddress

from db.webhooks.urls import addresses_of, check_outward, check_url, is_public

Networks = tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]


def networks_in(text: str) -> Networks:
    """The networks that a setting names, separated by commas.

    Raises:
        ValueError: a part is neither an address nor a network; the message says which.
    """
    return tuple(ipaddress.ip_network(part.strip()) for part in text.split(",") if part.strip())


def is_inside(address: str, networks: Networks) -> bool:
    """Whether the IP address is in one of the networks."""
    found = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped is not None:
        found = found.ipv4_mapped
    return any(found in network for network in networks)


def may_be_asked(address: str, networks: Networks) -> bool:
    """Whether a probe in production may connect to the IP address."""
    return is_inside(address, networks) or is_public(address)


def check_probe(url: str, networks: Networks, *, production: bool) -> None:
    """Check a probe URL, in production with what its name resolves to now. This blocks as long as the resolver takes.

    Raises:
        UrlRefusedError: it is malformed, or leads where no probe may go.
    """
    host, port = check_url(url, production=False)
    if production and not (networks and all(is_inside(one, networks) for one in addresses_of(host, port))):
        check_outward(url, production=True)
