"""Addresses begin in one function: every path in templates, styles, scripts and answers goes through it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from litestar import Litestar
from litestar.routes import HTTPRoute

import gateway
from gateway.pages.languages import FIRST_PARTS, LANGUAGES
from gateway.pages.look import FOLDER
from gateway.wire.addresses import OWN_FIRST_PARTS, PublicAddress, below, cookie_path, enter, origin
from tests.unit.gateway.conftest import app

__all__ = ["app"]

PACKAGE = Path(gateway.__file__).parent
SCRIPTS = sorted(path for path in (FOLDER / "static").rglob("*.js") if "vendor" not in path.parts)
NOT_IN_LANGUAGES = {
    ".well-known",
    "alerts.js",
    "api",
    "dev",
    "health",
    "language",
    "manifest.webmanifest",
    "metrics",
    "ops",
    "pictures",
    "scan",
    "scan-worker.js",
    "scan.webmanifest",
    "schema",
    "static",
}
"""Pages of operators and stewards, files, and what programs read."""
NO_ADDRESSES = {
    ("accounts/issuer.py", "/.well-known/openid-configuration"): "the end of another site's address",
    ("accounts/issuer.py", "/"): "the end of another site's address",
    ("pages/orders.py", "/purchases/find"): "what the choice of a language comes back to, as the routes know it",
    ("pages/accounts.py", "/account"): "what the choice of a language comes back to, as the routes know it",
    ("app.py", "/"): "what the setting means where it is empty",
    ("captcha/altcha.py", "/api/captcha/challenge"): "as the routes know it; put below the root where it is told",
    ("captcha/recaptcha.py", "/"): "the end of another site's address",
    ("contract/shops.py", "/"): "a path of another site",
    ("contract/shops.py", "/cart"): "a path of another site",
    ("contract/shops.py", "/checkout"): "a path of another site",
    ("contract/shops.py", "/checkout/webhook"): "a path of another site",
    ("express.py", "/"): "between the parts of a path as the routes know it",
    ("health/knocks.py", "/"): "a folder of sockets",
    ("health/knocks.py", "/.s.PGSQL."): "a socket",
    ("identity/networks.py", "/"): "between a network's address and its bits",
    ("pages/bundles.py", "/*"): "a comment",
    ("pages/bundles.py", "/**"): "a comment",
    ("pages/bundles.py", "//"): "a comment",
    ("pages/bundles.py", "// "): "a comment",
    ("pages/languages.py", "/"): "a path as the routes know it",
    ("pages/schema.py", "/.well-known/"): "how paths begin in the description",
    ("pages/letters.py", "/ops"): "a path as the routes know it, which `Links` puts below the root",
    ("pages/problems.py", "/api/"): "a path as the routes know it",
    ("pages/routes.py", "/"): "how a path begins as the routes know it",
    ("pages/routes.py", "/events/"): "what the choice of a language comes back to, as the routes know it",
    ("pages/routes.py", "/wait/"): "what the choice of a language comes back to, as the routes know it",
    ("pages/schema.py", "/"): "a path as the routes know it, and the description's server where there is no root",
    ("pages/schema.py", "/api/"): "a path as the routes know it",
    ("pages/schema.py", "/api/events/{event_id}/proposals"): "a path as the routes know it",
    ("pages/schema.py", "/api/ops/"): "a path as the routes know it",
    ("pages/schema.py", "/health/"): "a path as the routes know it",
    ("pages/times.py", "/"): "between the parts of a time zone's name",
    ("routes/contacts.py", "/"): "the end of an address that the setting names",
    ("shops/addresses.py", "/wait/"): "as the routes know it; put below the root where it is compared",
    ("shops/addresses.py", "/gate/"): "as the routes know it; put below the root where it is compared",
    ("shops/addresses.py", "/?#"): "what an origin may be followed by",
    ("wire/served.py", "/"): "between the parts of a path as the routes know it",
    ("shops/addresses.py", "/"): "another site's front door",
    ("shops/asked.py", "/gate/"): "the check's path as the routes know it",
    ("shops/asked.py", "/envoy"): "a part of the check's path",
    ("shops/asked.py", "/"): "between the parts of a path",
    ("shops/check.py", "/gate/{event_id}"): "the check's name among the metrics",
    ("shops/check.py", "/"): "another site's front door",
    ("shops/proxies.py", "/gate/7"): "what the shipped files have in place of the room's own",
    ("wire/addresses.py", "/"): "the function itself",
}
"""Texts of Python that begin with a slash and are no addresses, by file, with what they are."""
LOADS = r"\b(?:fetch|EventSource|location\.(?:assign|replace)|sendBeacon)\([^)]*"
TOLD_ADDRESSES = {
    "scan-worker.js": "it loads its own scope, and what its page asks for",
    "widget.js": "it loads what stands beside it, below the address that it was loaded from itself",
}


def _paths_of(file: Path) -> Iterator[tuple[int, str]]:
    """The texts that begin with a slash, but for routes' own paths and what `below` or `prefix` is given."""
    tree = ast.parse(file.read_text())
    covered: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            covered |= {id(part) for decorator in node.decorator_list for part in ast.walk(decorator)}
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Name)
            and node.func.id in ("below", "Router", "OnceRouter")
        ):
            covered |= {id(part) for part in ast.walk(node)}
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "compile":
            covered |= {id(part) for part in ast.walk(node)}
    whole = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values[1:]}
    for node in ast.walk(tree):
        if not isinstance(node, ast.Constant) or not isinstance(node.value, str) or id(node) in covered | whole:
            continue
        if node.value.startswith("/"):
            yield node.lineno, node.value


def test_no_answer_names_an_address_that_is_not_put_below_the_root() -> None:
    found = [
        f"{file.relative_to(PACKAGE)}:{line} {text!r}"
        for file in sorted(PACKAGE.rglob("*.py"))
        for line, text in _paths_of(file)
        if (file.relative_to(PACKAGE).as_posix(), text) not in NO_ADDRESSES
    ]
    assert found == []


@pytest.mark.parametrize("file", sorted((FOLDER / "templates").glob("*.html")), ids=lambda file: file.name)
def test_no_template_begins_an_address_by_itself(file: Path) -> None:
    assert re.findall(r"""(?:href|src|action|data-[a-z-]+|formaction)=["']/|url=/""", file.read_text()) == []


@pytest.mark.parametrize("file", sorted((FOLDER / "static").glob("*.css")), ids=lambda file: file.name)
def test_no_style_begins_an_address_by_itself(file: Path) -> None:
    assert re.findall(r"""url\(["']?/""", file.read_text()) == []


@pytest.mark.parametrize("file", SCRIPTS, ids=lambda file: file.relative_to(FOLDER / "static").as_posix())
def test_no_script_begins_an_address_by_itself(file: Path) -> None:
    code = re.sub(r"^\s*//.*$", "", file.read_text(), flags=re.MULTILINE)
    # What loads something is given what `below` made, or an address that the page was told.
    loading = [] if file.name in TOLD_ADDRESSES else re.findall(LOADS, code)
    for loads in loading:
        assert re.search(r"\((?:below|pageAddress)\(", loads), f"{file.name}: {loads}"
    assert "path=/" not in code
    for before, path in re.findall(r"""(\S*)["`](/[a-z][^"`\s]*)["`]""", code):
        assert path.startswith("/api/") or before.endswith(("below(", "pageAddress(")), f"{file.name}: {path}"
    assert re.findall(r"""\.(?:href|src|action) = ["'`]/""", code) == []


def test_every_page_for_fans_has_an_address_in_each_language(app: Litestar) -> None:
    """A fan whose browser prefers another language than English is sent to such an address."""
    parts = {route.path.split("/")[1] for route in app.routes if isinstance(route, HTTPRoute)}
    assert parts - NOT_IN_LANGUAGES == FIRST_PARTS


def test_no_path_of_a_site_can_be_mistaken_for_its_own_addresses(app: Litestar) -> None:
    parts = {route.path.split("/")[1] for route in app.routes if isinstance(route, HTTPRoute)} - {""}
    # The check before a shop is answered before the routes.
    assert parts | {"gate"} | set(LANGUAGES) == OWN_FIRST_PARTS


@pytest.mark.parametrize(
    ("text", "site"),
    [
        ("/", PublicAddress()),
        ("/tickets", PublicAddress("", "/tickets")),
        ("/a/b-c/", PublicAddress("", "/a/b-c")),
        ("https://venue.example", PublicAddress("https://venue.example", "")),
        ("https://Venue.Example:443/tickets/", PublicAddress("https://venue.example", "/tickets")),
        ("http://127.0.0.1:8080/x", PublicAddress("http://127.0.0.1:8080", "/x")),
        ("http://[2001:DB8::1]:80", PublicAddress("http://[2001:db8::1]", "")),
    ],
)
def test_an_address_is_taken_as_a_browser_writes_it(text: str, site: PublicAddress) -> None:
    assert PublicAddress.of(text) == site


@pytest.mark.parametrize(
    "text",
    ["tickets", "venue.example/tickets", "//venue.example", "ftp://venue.example", "https://", "https://u:p@venue.example",
     "https://venue.example/t?x=1", "/t#x", "/a//b", "/a/../b", "/a b", "/ä", "/api", "/de/x", "/static", "/metrics",
     "https://venue.example:x", "https://venue.example:99999999/", "https://ve nue.example"],
)  # fmt: skip
def test_what_is_no_address_or_would_hide_our_own_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"name an address as|addresses of its own"):
        PublicAddress.of(text)


@pytest.mark.parametrize(
    ("path", "as_routes_know_it"),
    [
        ("/tickets", "/"),
        ("/tickets/", "/"),
        ("/tickets/events/1", "/events/1"),
        ("/events/1", "/events/1"),
        ("/ticketsx", "/ticketsx"),
        ("/tickets/tickets/events/1", "/tickets/events/1"),
        ("/tickets/metrics", "/tickets/metrics"),
        ("/tickets//metrics/", "/tickets//metrics/"),
    ],
)
def test_a_path_is_known_with_the_root_and_without_it(path: str, as_routes_know_it: str) -> None:
    scope = {"type": "http", "path": path, "raw_path": path.encode()}
    found = enter(scope, PublicAddress("https://venue.example", "/tickets"))
    try:
        assert found["path"] == as_routes_know_it
        assert (below("/x"), cookie_path(), origin()) == ("/tickets/x", "/tickets", "https://venue.example")
    finally:
        enter({"type": "lifespan"}, PublicAddress())
    assert (below("/x"), cookie_path(), origin()) == ("/x", "/", "")
