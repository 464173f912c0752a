"""Networks let through or turned away: the smallest network decides, and a million are looked up in microseconds."""

from __future__ import annotations

import datetime as dt
import ipaddress
import random
import time
import uuid

import pytest

from db.networks.rules import Rule, Verdict, network_of
from gateway.identity.networks import NetworkIndex

MADE_AT = dt.datetime(2026, 11, 29, tzinfo=dt.UTC)
MANY = 200_000


def rule(network: str, verdict: Verdict = "deny", number: int = 0) -> Rule:
    return Rule(
        rule_id=uuid.UUID(int=number), network=network, verdict=verdict, until=None, reason="", made_by="Ada",
        made_at=MADE_AT,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("9.255.255.255", None),
        ("10.0.0.0", "10.0.0.0/8"),
        ("10.1.255.255", "10.1.0.0/16"),
        ("10.1.2.3", "10.1.2.3/32"),
        ("10.1.2.4", "10.1.0.0/16"),
        ("10.2.0.0", "10.0.0.0/8"),
        ("10.255.255.255", "10.0.0.0/8"),
        ("11.0.0.0", None),
        ("255.255.255.255", "255.255.255.0/24"),
        ("::ffff:10.1.2.3", "10.1.2.3/32"),
        ("2001:db8::1", "2001:db8::/32"),
        ("2001:db9::1", None),
        ("no address", None),
    ],
)
def test_the_smallest_network_decides(address: str, network: str | None) -> None:
    networks = ["10.0.0.0/8", "10.1.2.3/32", "10.1.0.0/16", "255.255.255.0/24", "2001:db8::/32"]
    found = NetworkIndex([rule(one) for one in networks]).find(address)
    assert (found.network if found else None) == network


def test_of_equal_networks_the_newest_rule_decides() -> None:
    index = NetworkIndex([rule("10.0.0.0/8", "deny", 1), rule("10.0.0.0/8", "allow", 2)])
    found = index.find("10.3.4.5")
    assert found is not None
    assert found.verdict == "allow"


def test_any_rules_answer_as_a_search_of_all_of_them() -> None:
    chance = random.Random(5)
    networks = [
        ipaddress.ip_network((chance.getrandbits(10) << 22, chance.choice([10, 12, 16, 20, 24, 32])), strict=False)
        for _ in range(300)
    ]
    index = NetworkIndex([rule(str(network), number=number) for number, network in enumerate(networks)])
    for _ in range(2000):
        address = ipaddress.IPv4Address(chance.getrandbits(32))
        those = [(network.prefixlen, number) for number, network in enumerate(networks) if address in network]
        found = index.find(str(address))
        assert (found.rule_id.int if found else None) == (max(those)[1] if those else None)


def test_many_rules_are_looked_up_in_microseconds() -> None:
    chance = random.Random(6)
    index = NetworkIndex([rule(f"{ipaddress.IPv4Address(chance.getrandbits(32))}/32") for _ in range(MANY)])
    addresses = [str(ipaddress.IPv4Address(chance.getrandbits(32))) for _ in range(5000)]
    began = time.process_time()
    for address in addresses:
        index.find(address)
    assert (time.process_time() - began) / len(addresses) < 100e-6, "a search of all would take milliseconds"


def test_what_an_operator_names_is_a_network() -> None:
    assert [network_of(text) for text in ("10.1.2.3", " 10.1.2.3/24 ", "2001:db8::7")] == [
        "10.1.2.3/32", "10.1.2.0/24", "2001:db8::7/128",
    ]  # fmt: skip
    with pytest.raises(ValueError, match="does not appear"):
        network_of("example.org")
