"""Whose an address is, from files of MaxMind's format, and rules that name a system or a country."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest
from mmdb_writer import MMDBWriter
from netaddr import IPSet  # type: ignore[import-untyped]
from redis import asyncio as aioredis
from sqlalchemy.ext.asyncio import create_async_engine

from db.networks.rules import is_origin, network_of
from gateway.identity.networks import NetworkIndex, Networks
from gateway.identity.origins import NOWHERE, Origin, Origins
from gateway.identity.sightings import Sightings
from gateway.wire.problems import ProblemError
from tests.unit.gateway.test_network_rules import rule

HOUSEHOLD, RENTED, ABROAD = "198.51.100.7", "203.0.113.9", "2001:db8::1"


@pytest.fixture(scope="module")
def origins(tmp_path_factory: pytest.TempPathFactory) -> Origins:
    folder = tmp_path_factory.mktemp("origins")
    systems, countries = (
        MMDBWriter(6, "Test-ASN", ipv4_compatible=True),
        MMDBWriter(6, "Test-Country", ipv4_compatible=True),
    )
    for network, asn, name, country in (
        ("198.51.100.0/24", 64500, "Kabel Muster GmbH", "DE"),
        ("203.0.113.0/24", 64501, "Hetzner Online GmbH", "DE"),
        ("2001:db8::/32", 64502, "Fibre Exemple", "FR"),
    ):
        systems.insert_network(
            IPSet([network]), {"autonomous_system_number": asn, "autonomous_system_organization": name}
        )
        countries.insert_network(IPSet([network]), {"country": {"iso_code": country}})
    systems.to_db_file(str(folder / "asn.mmdb"))
    countries.to_db_file(str(folder / "country.mmdb"))
    return Origins(str(folder / "asn.mmdb"), str(folder / "country.mmdb"))


@pytest.mark.parametrize(
    ("address", "found", "is_hosted"),
    [
        (HOUSEHOLD, Origin(64500, "Kabel Muster GmbH", "DE"), False),
        (RENTED, Origin(64501, "Hetzner Online GmbH", "DE"), True),
        (ABROAD, Origin(64502, "Fibre Exemple", "FR"), False),
        ("192.0.2.1", NOWHERE, False),
        ("no address", NOWHERE, False),
    ],
)
def test_an_address_has_a_system_and_a_country(origins: Origins, address: str, found: Origin, is_hosted: bool) -> None:
    assert origins.of(address) == found
    assert origins.of(address).is_hosted == is_hosted


def test_without_files_nothing_is_known() -> None:
    assert Origins().of(HOUSEHOLD) == NOWHERE


def test_a_file_that_is_none_is_told_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="nowhere"):
        Origins(str(tmp_path / "nowhere.mmdb"))


@pytest.mark.parametrize(
    ("text", "network"),
    [("as64500", "AS64500"), (" AS064500", "AS64500"), ("de", "DE"), ("10.1.2.3", "10.1.2.3/32")],
)
def test_a_rule_names_addresses_a_system_or_a_country(text: str, network: str) -> None:
    assert network_of(text) == network
    assert is_origin(network) == (not network[0].isdigit())


@pytest.mark.parametrize("text", ["AS0", "AS4294967296", "DEU", "ASX", "D", "10.0.0.0/33"])
def test_nothing_else_is_a_network(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        network_of(text)


def test_addresses_decide_before_the_system_and_that_before_the_country(origins: Origins) -> None:
    index = NetworkIndex([rule("DE", "deny", 1), rule("AS64501", "allow", 2), rule("203.0.113.128/25", "deny", 3)])
    found = {
        address: index.find(address, origins.of(address)) for address in (HOUSEHOLD, RENTED, "203.0.113.200", ABROAD)
    }
    assert {address: one and one.network for address, one in found.items()} == {
        HOUSEHOLD: "DE",
        RENTED: "AS64501",
        "203.0.113.200": "203.0.113.128/25",
        ABROAD: None,
    }


def test_a_country_is_turned_away_with_the_reason(origins: Origins) -> None:
    engine = create_async_engine("postgresql+psycopg://nobody@localhost:1/none")
    client: aioredis.Redis = aioredis.Redis()
    networks = Networks(engine, lambda: dt.datetime(2030, 1, 1, tzinfo=dt.UTC), Sightings(client, lambda: 0.0), origins)
    networks.index = NetworkIndex([rule("FR"), rule("AS64500", "allow")])
    with pytest.raises(ProblemError, match="network_denied"):
        networks.refuse(ABROAD)
    networks.refuse(HOUSEHOLD)
    assert networks.lets_through(HOUSEHOLD)
    assert networks.is_hosted(RENTED)
    assert not networks.is_hosted(HOUSEHOLD)
