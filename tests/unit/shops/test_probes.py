"""Where a shop's probe URL may lead, and where the console's operators may not look."""

from __future__ import annotations

import pytest

from admitone.settings import Settings, SettingsError
from db.shops.probes import check_probe, may_be_asked, networks_in
from db.webhooks.urls import UrlRefusedError

INSIDE = networks_in("10.1.0.0/16, 127.0.0.0/8, fd00:7::/64")


@pytest.mark.parametrize("address", ["10.1.2.3", "::ffff:10.1.2.3", "fd00:7::1", "93.184.216.34"])
def test_public_addresses_and_the_named_networks_may_be_asked(address: str) -> None:
    assert may_be_asked(address, INSIDE)


@pytest.mark.parametrize("address", ["10.2.0.1", "169.254.169.254", "::1", "fd00:8::1", "192.168.0.1", "fe80::1%eth0"])
def test_others_inside_may_not(address: str) -> None:
    assert not may_be_asked(address, INSIDE)


@pytest.mark.parametrize("url", ["http://10.1.2.3:9000/checkout", "https://10.1.2.3/", "http://localhost:9000/"])
def test_a_shop_inside_is_asked_where_the_setting_names_its_network(url: str) -> None:
    check_probe(url, INSIDE, production=True)
    with pytest.raises(UrlRefusedError):
        check_probe(url, (), production=True)
    check_probe(url, (), production=False)


@pytest.mark.parametrize(
    "url", ["http://93.184.216.34/", "https://10.2.0.1/", "https://user@10.1.2.3/", "ftp://10.1.2.3/"]
)
def test_what_is_neither_public_and_https_nor_in_a_named_network_is_refused(url: str) -> None:
    with pytest.raises(UrlRefusedError):
        check_probe(url, INSIDE, production=True)


def test_a_setting_that_names_no_network_ends_the_start() -> None:
    assert Settings.load({"ADMITONE_SHOP_PROBE_NETWORKS": "10.1.0.0/16"}).shop.networks == networks_in("10.1.0.0/16")
    with pytest.raises(SettingsError, match="ADMITONE_SHOP_PROBE_NETWORKS"):
        Settings.load({"ADMITONE_SHOP_PROBE_NETWORKS": "10.1.0.1/16"})
