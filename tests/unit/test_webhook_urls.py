"""Where a webhook may point: nowhere inside, in production."""

from __future__ import annotations

import pytest

from db.webhooks.urls import UrlRefusedError, check_resolves_to_public, check_url, is_public


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "0.0.0.0",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "192.0.2.1",
        "198.18.0.1",
        "224.0.1.1",
        "255.255.255.255",
        "::",
        "::1",
        "fe80::1%eth0",
        "fc00::1",
        "fec0::1",
        "ff0e::1",
        "2001:db8::1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "64:ff9b::7f00:1",
        "64:ff9b::a9fe:a9fe",
        "2002:7f00:1::",
        "::127.0.0.1",
        "::10.0.0.1",
        "::ffff:0:127.0.0.1",
        "64:ff9b:1::7f00:1",
        "64:ff9b:1:abcd::",
        "100::1",
        "168.63.129.16",
        "::ffff:168.63.129.16",
        "64:ff9b::a83f:8110",
        "192.88.99.1",
        "3fff::1",
        "5f00::1",
        "4000::1",
    ],
)
def test_addresses_inside_are_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize(
    "address",
    ["1.1.1.1", "168.63.129.17", "2606:4700:4700::1111", "2a00:1450::1", "::ffff:1.1.1.1", "64:ff9b::101:101"],
)
def test_others_are(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "url",
    [
        "http://shop.example.org/hook",
        "https://127.0.0.1/hook",
        "https://[::1]/hook",
        "https://[::ffff:10.0.0.1]/hook",
        "https://169.254.169.254/latest/meta-data",
        "https://localhost/hook",
        "https://intranet/hook",
        "https://2130706433/hook",
        "https://0x7f.1/hook",
        "https://127.1/hook",
        "https://user:password@shop.example.org/hook",
        "https://shop.example.org/hook#part",
        "https:///hook",
        "https://shop.example.org:port/hook",
        "ftp://shop.example.org/hook",
        "https://shop.example.org/a b",
        "https://shop.example.org/\n",
        "https://shöp.example.org/",
        "https://[::1/",
        "https://shop.example.org/" + "x" * 2000,
        "",
    ],
)
def test_what_production_refuses(url: str) -> None:
    with pytest.raises(UrlRefusedError):
        check_url(url, production=True)


def test_what_it_takes() -> None:
    assert check_url("https://shop.example.org/hook?a=b", production=True) == ("shop.example.org", 443)
    assert check_url("https://shop.example.org:8443/", production=True) == ("shop.example.org", 8443)
    assert check_url("https://1.1.1.1/", production=True) == ("1.1.1.1", 443)


def test_development_takes_what_is_on_this_machine() -> None:
    assert check_url("http://localhost:9000/hook", production=False) == ("localhost", 9000)
    with pytest.raises(UrlRefusedError):
        check_url("ftp://localhost/", production=False)


def test_a_name_that_leads_inside_or_nowhere_is_refused() -> None:
    with pytest.raises(UrlRefusedError, match="not public"):
        check_resolves_to_public("localhost", 443)
    with pytest.raises(UrlRefusedError, match="no address"):
        check_resolves_to_public("no-such-host.invalid", 443)
