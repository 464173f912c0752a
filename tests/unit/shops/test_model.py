"""Which paths of a shop need a pass, and what an origin is."""

from __future__ import annotations

import pytest

from db.shops.model import Shop, ShopRefusedError, origin_of, shop_of

SHOP = Shop(origin="https://shop.example", paths=("/checkout", "/tickets/"), open_paths=("/checkout/paid",))


@pytest.mark.parametrize(
    ("path", "needs_pass"),
    [
        ("/", False),
        ("/about?x=/checkout", False),
        ("/checkout", True),
        ("/checkout?step=2", True),
        ("/checkout/step", True),
        ("/checkouts", False),
        ("/CheckOut/step", True),
        ("/tickets/7", True),
        ("/checkout/paid", False),
        ("/checkout/paid/7", False),
        ("/checkout/PAID", True),
        ("/checkout/paidout", True),
        # What a shop may read as another path than it seems is protected, wherever it seems to lead.
        ("/checkout/paid/../step", True),
        ("/%63heckout", True),
        ("//checkout", True),
        ("/./checkout", True),
        ("/about/%2e%2e/checkout", True),
        ("/about\\checkout", True),
        ("/about;/checkout", True),
        ("about", True),
        ("", True),
    ],
)
def test_a_path_needs_a_pass_below_a_protected_one(path: str, needs_pass: bool) -> None:
    assert SHOP.protects(path) is needs_pass


def test_a_shop_is_protected_whole_unless_it_says_otherwise() -> None:
    shop = shop_of(origin="https://shop.example")
    assert shop.protects("/")
    assert shop.protects("/any/thing")


@pytest.mark.parametrize(
    ("text", "origin"),
    [
        ("https://Shop.Example/", "https://shop.example"),
        ("https://shop.example:443", "https://shop.example"),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
        ("http://shop.example:80", "http://shop.example"),
        ("https://shop.example:0443", "https://shop.example"),
        ("https://shop.example/path", None),
        ("https://shop.example@evil.example", None),
        ("https://shop.example:99999", None),
        ("javascript://shop.example", None),
        ("//shop.example", None),
        ("https://-shop.example", None),
        ("https://shop.example\n", "https://shop.example"),
    ],
)
def test_an_origin_is_a_scheme_and_a_host(text: str, origin: str | None) -> None:
    assert origin_of(text) == origin


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        ({"origin": "shop.example"}, "origin"),
        ({"origin": "https://a.example", "return_origins": ["ftp://b.example"]}, "return_origins"),
        ({"origin": "https://a.example", "paths": []}, "paths"),
        ({"origin": "https://a.example", "paths": ["checkout"]}, "paths"),
        ({"origin": "https://a.example", "open_paths": ["/a/../b"]}, "open_paths"),
        ({"origin": "https://a.example", "paths": ["/" + "a" * 300]}, "paths"),
        (
            {"origin": "https://a.example", "return_origins": [f"https://{n}.test" for n in range(21)]},
            "return_origins",
        ),
    ],
)
def test_a_shop_that_cannot_be_is_refused_by_its_field(asked: dict[str, object], field: str) -> None:
    with pytest.raises(ShopRefusedError) as refused:
        shop_of(**asked)
    assert refused.value.field == field


def test_each_origin_stands_once_and_the_own_one_in_front() -> None:
    shop = shop_of(
        origin="https://A.example", return_origins=["https://a.example:443", "https://b.example", "https://b.example/"]
    )
    assert shop.origins == ("https://a.example", "https://b.example")
