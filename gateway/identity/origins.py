"""Whose an address is and in which country, where the site has database files of it (MaxMind's format)."""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, NamedTuple

import maxminddb

CACHED_MAX: Final = 65_536
_hosts: Final = re.compile(
    r"\b(amazon|aws|azure|microsoft|google|digitalocean|hetzner|ovh|linode|akamai|vultr|choopa|contabo|leaseweb|oracle"
    r"|alibaba|tencent|cloud|hosting|hosted|servers?|datacent(er|re)|data ?cent(er|re)|vps|colo(cation)?|m247|proxy)\b",
    re.IGNORECASE,
).search
"""Words in the names of networks whose addresses are rented to programs, and not to households."""


class Origin(NamedTuple):
    """The number and the name of the network (autonomous system) that an address is of, and its country's two letters.
    What no file says is 0 or empty.
    """

    asn: int = 0
    organisation: str = ""
    country: str = ""

    @property
    def is_hosted(self) -> bool:
        """Whether the network's name is one of a data centre."""
        return _hosts(self.organisation) is not None

    @property
    def names(self) -> tuple[str, ...]:
        """How rules name it, the narrower first."""
        return tuple(name for name in (f"AS{self.asn}" if self.asn else "", self.country) if name)


NOWHERE: Final = Origin()


class Origins:
    """The files, read into memory at the start. A newer file is read by the next start of a process.

    Args:
        asn_file, country_file: empty: there is none.

    Raises:
        OSError, maxminddb.InvalidDatabaseError: a file cannot be read.
    """

    def __init__(self, asn_file: str = "", country_file: str = "") -> None:
        self._asn, self._country = _opened(asn_file), _opened(country_file)
        self.of = lru_cache(maxsize=CACHED_MAX)(self._of)
        """The origin of an address; empty without files, and for what is no address."""

    @property
    def has_files(self) -> bool:
        return self._asn is not None or self._country is not None

    def _of(self, address: str) -> Origin:
        asn, country = _found(self._asn, address), _found(self._country, address)
        of_country = country.get("country") or country.get("registered_country") or {}
        return Origin(
            int(asn.get("autonomous_system_number") or 0),
            str(asn.get("autonomous_system_organization") or ""),
            str(of_country.get("iso_code") or "").upper(),
        )


def _opened(path: str) -> maxminddb.Reader | None:
    return maxminddb.open_database(Path(path), maxminddb.MODE_MEMORY) if path else None


def _found(reader: maxminddb.Reader | None, address: str) -> dict[str, Any]:
    if reader is None:
        return {}
    try:
        found = reader.get(address.split("%", 1)[0])
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
