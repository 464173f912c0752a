"""No fan is sent anywhere but to the shop, and not in a circle."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from db.shops.model import Shop
from gateway.shops.addresses import (
    ADDRESS_CHARS_MAX,
    address_of,
    arrival_in,
    return_address,
    waiting_address,
    with_arrival,
    without_arrival,
)
from gateway.wire import addresses

SHOP = Shop(origin="https://shop.example", return_origins=("https://tickets.shop.example:8443",))
DOOR = "https://shop.example/"


@pytest.fixture
def shared_host() -> Iterator[None]:
    """The waiting page stands on the shop's own host."""
    token = addresses._served.set(addresses.PublicAddress.of("https://shop.example"))
    yield
    addresses._served.reset(token)


@pytest.mark.parametrize(
    "address",
    [
        "https://shop.example/",
        "https://shop.example/a?b=c#d",
        "https://shop.example//double",
        "https://tickets.shop.example:8443/x",
    ],
)
def test_an_address_of_the_shop_is_kept(address: str) -> None:
    assert return_address(SHOP, address) == address


@pytest.mark.parametrize(
    "address",
    [
        "",
        "/relative",
        "//evil.example/",
        "https://evil.example/",
        "https://shop.example.evil.example/",
        "https://shop.example@evil.example/",
        "https://shop.example:444/",
        "http://shop.example/",
        "https://SHOP.example/",
        "https://shop.example\\@evil.example/",
        "https://shop.example/\\evil",
        "https://shop.example/a\r\nSet-Cookie: x=1",
        "https://shop.example/ä",
        "javascript:alert(1)",
        " https://shop.example/",
        "https://shop.example/" + "a" * ADDRESS_CHARS_MAX,
    ],
)
def test_any_other_address_leads_to_the_front_door(address: str) -> None:
    assert return_address(SHOP, address) == DOOR


@pytest.mark.usefixtures("shared_host")
def test_a_shop_on_our_host_is_not_sent_back_to_the_line() -> None:
    for path in ("/wait/7?to=x", "/wait/7", "/gate/7/forward"):
        assert return_address(SHOP, "https://shop.example" + path) == DOOR
    assert return_address(SHOP, "https://shop.example/waiting") == "https://shop.example/waiting"
    assert waiting_address(SHOP, 7, "https://shop.example/a?b=c&d") == (
        "https://shop.example/wait/7?to=https%3A%2F%2Fshop.example%2Fa%3Fb%3Dc%26d"
    )


def test_a_shop_with_our_pages_at_its_own_host_is_not_sent_back_to_them() -> None:
    token = addresses._served.set(addresses.PublicAddress.of("https://wait.example/line"))
    try:
        shop = Shop(origin="https://shop.example", own_page=True)
        assert waiting_address(shop, 7, DOOR) == (
            "https://shop.example/line/wait/7?to=https%3A%2F%2Fshop.example%2F"
        ), "at the shop's host, below our path"
        for path in ("/line/wait/7?to=x", "/line/wait/7/go", "/line/gate/7"):
            assert return_address(shop, "https://shop.example" + path) == DOOR
        assert return_address(shop, "https://shop.example/wait/7") == "https://shop.example/wait/7", "the shop's own"
    finally:
        addresses._served.reset(token)


def test_a_host_that_the_shop_does_not_list_is_not_believed() -> None:
    assert address_of(SHOP, "tickets.shop.example:8443", "/a?b") == "https://tickets.shop.example:8443/a?b"
    assert address_of(SHOP, "evil.example", "/a?b") == "https://shop.example/a?b"
    assert address_of(SHOP, "", "@evil.example/") == DOOR


def test_an_arrival_comes_and_goes_with_the_address() -> None:
    for address in ("https://s.example/", "https://s.example/a?b=c", "https://s.example/a?b=c#d"):
        there = with_arrival(address, "to.k.en")
        assert arrival_in(there.partition("#")[0].removeprefix("https://s.example")) == "to.k.en"
        assert without_arrival(there) == address
    assert (
        without_arrival("https://s.example/?admitone_pass=a&admitone_passes=b")
        == "https://s.example/?admitone_passes=b"
    )
    assert arrival_in("/a?xadmitone_pass=b") is None
