"""The proxies whose word about a client's address is believed."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import Final, Self

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

ANY: Final = "*"
MAPPED: Final = ipaddress.IPv6Network("::ffff:0:0/96")
"""An IPv6 socket shows a client that came by IPv4 with such an address."""
_INTERNETS: Final[tuple[Network, ...]] = (ipaddress.IPv4Network("0.0.0.0/0"), ipaddress.IPv6Network("2000::/3"))


@dataclass(frozen=True)
class TrustedProxies:
    """``networks`` has IPv4 in both spellings, so that an IPv6 socket's addresses are found as well."""

    networks: tuple[Network, ...]
    any_peer: bool

    @classmethod
    def of(cls, text: str) -> Self:
        """The proxies that a setting names, separated by commas.

        Raises:
            ValueError: a part is neither an address nor a network; the message says which.
        """
        parts = [part.strip() for part in text.split(",")]
        networks = [spelling for part in parts if part not in ("", ANY) for spelling in _spellings(part)]
        return cls(tuple(networks), ANY in parts)

    @property
    def too_many(self) -> bool:
        """Whether half of the Internet or more is trusted, by IPv4 or by IPv6: fans could claim to be other fans."""
        return self.any_peer or any(2 * _common(self.networks, whole) >= whole.num_addresses for whole in _INTERNETS)

    @property
    def allowed_ips(self) -> list[str] | str:
        """As uvicorn's ``forwarded_allow_ips`` has it."""
        return ANY if self.any_peer else [str(network) for network in self.networks]

    def __bool__(self) -> bool:
        return self.any_peer or bool(self.networks)

    def __contains__(self, host: object) -> bool:
        if self.any_peer:
            return True
        try:
            address = ipaddress.ip_address(str(host))
        except ValueError:
            return False
        return any(address in network for network in self.networks)


def _spellings(part: str) -> tuple[Network, ...]:
    try:
        network = ipaddress.ip_network(part, strict=False)
    except ValueError:
        raise ValueError(f"{part} is neither an address nor a network") from None
    if isinstance(network, ipaddress.IPv4Network):
        first = int(MAPPED.network_address) + int(network.network_address)
        return network, ipaddress.IPv6Network((first, MAPPED.prefixlen + network.prefixlen))
    if network.subnet_of(MAPPED):
        first = int(network.network_address) - int(MAPPED.network_address)
        return ipaddress.IPv4Network((first, network.prefixlen - MAPPED.prefixlen)), network
    return (network, ipaddress.IPv4Network("0.0.0.0/0")) if MAPPED.subnet_of(network) else (network,)


def _common(networks: tuple[Network, ...], whole: Network) -> int:
    """How many addresses of ``whole`` these networks have."""
    same: list[Network] = [network for network in networks if network.version == whole.version]
    found = 0
    for network in ipaddress.collapse_addresses(same):  # type: ignore[type-var]
        if network.subnet_of(whole):  # type: ignore[arg-type]
            found += network.num_addresses
        elif whole.subnet_of(network):  # type: ignore[arg-type]
            found += whole.num_addresses
    return found
