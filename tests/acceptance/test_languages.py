"""The fans' pages at their addresses in each language, over a real gateway."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import closing
from email.message import Message
from http.client import HTTPConnection
from urllib.parse import quote, urlsplit

import pytest

from db.events.seed import RoomSeed
from gateway.pages.languages import LANGUAGES
from tests.acceptance.conftest import Site


def get(
    site: Site, path: str, headers: Mapping[str, str] | None = None, method: str = "GET"
) -> tuple[int, Message, str]:
    """A page as a browser gets it, without following where it leads: its status, headers and text."""
    where = urlsplit(site.url)
    with closing(HTTPConnection(where.hostname or "", where.port, timeout=20)) as connection:
        connection.request(method, path, headers={"Accept": "text/html", **(headers or {})})
        with connection.getresponse() as answer:
            return answer.status, answer.headers, answer.read().decode()


@pytest.mark.parametrize("tag", LANGUAGES)
def test_every_page_is_at_an_address_of_its_own_in_each_language(site: Site, tag: str) -> None:
    event_id = site.event()
    for path in ("/", f"/events/{event_id}", "/purchases"):
        status, _, text = get(site, f"/{tag}{path}", {"Accept-Language": "en"})
        assert status == 200, path
        direction = "rtl" if tag == "ar" else "ltr"
        assert f'<html lang="{tag}" dir="{direction}" data-prefix="/{tag}">' in text
        assert f'href="/{tag}/purchases"' in text, "a link stays in the language"
        assert 'href="/purchases"' not in text
        for other in LANGUAGES:
            assert f'href="/language/{other}?to={quote(path)}"' in text
            assert f'<link rel="alternate" hreflang="{other}" href="{site.url}/{other}{path}">' in text
        assert f'<link rel="alternate" hreflang="x-default" href="{site.url}{path}">' in text
        assert text.count('<link rel="canonical"') == 1
        assert f'<link rel="canonical" href="{site.url}/{tag}{path}">' in text


@pytest.mark.parametrize(
    ("headers", "tag"),
    [
        ({}, None),
        ({"Accept-Language": "*"}, None),
        ({"Accept-Language": "en-GB,de;q=0.9"}, None),
        ({"Accept-Language": "pt-BR, pt;q=0.9"}, None),
        ({"Accept-Language": "de-AT"}, "de"),
        ({"Accept-Language": "pt;q=0.9, FR-ca;q=0.8, en;q=0.1"}, "fr"),
        ({"Accept-Language": "de;q=0, es;q=0.2"}, "es"),
        ({"Accept-Language": "en;q=0.3, ja"}, "ja"),
        ({"Accept-Language": "de", "Cookie": "admitone_language=ar"}, "ar"),
        ({"Accept-Language": "de", "Cookie": "admitone_language=en"}, None),
        ({"Accept-Language": "de", "Cookie": "admitone_language=xx"}, "de"),
    ],
)
def test_an_address_without_a_language_follows_the_choice_then_the_browser(
    site: Site, headers: dict[str, str], tag: str | None
) -> None:
    event_id = site.event()
    status, answered, text = get(site, f"/events/{event_id}?q=1", headers)
    if tag is None:
        assert status == 200
        assert '<html lang="en" dir="ltr">' in text
    else:
        assert (status, answered["Location"]) == (302, f"/{tag}/events/{event_id}?q=1")
        assert answered["Vary"] == ("Accept-Language, Cookie" if "Cookie" in headers else "Accept-Language")


def test_a_chosen_language_is_kept(site: Site) -> None:
    status, answered, _ = get(site, "/language/fr?to=/events/1")
    assert (status, answered["Location"]) == (303, "/fr/events/1")
    assert answered["Set-Cookie"].startswith("admitone_language=fr; ")


@pytest.mark.parametrize(
    "to", ["//evil.example", "https://evil.example", "/\\evil.example", "/ops", "/api/x", "/a\r\nb"]
)
def test_a_choice_leads_to_a_page_of_this_site_only(site: Site, to: str) -> None:
    status, answered, _ = get(site, f"/language/de?to={quote(to, safe='')}")
    assert status == 404
    assert "Location" not in answered


@pytest.mark.parametrize("path", ["/de/metrics", "/de/api/captcha", "/de/health/live", "/de/ops", "/de/static/x/y"])
def test_a_language_opens_no_other_way_in(site: Site, path: str) -> None:
    assert get(site, path)[0] == 404


def test_a_form_without_scripts_stays_in_its_language(site: Site) -> None:
    event_id = site.event()
    status, answered, _ = get(site, f"/de/events/{event_id}/join", method="POST")
    assert status == 303
    assert answered["Location"].startswith(f"/de/events/{event_id}")


def test_a_message_is_read_in_the_pages_language_or_else_by_everybody(site: Site) -> None:
    """Told by the place, by the stream and by the page without a script; logged, and taken back whole."""
    event_id = site.event(room=RoomSeed(rate_per_minute=0))
    operator, fan = site.operator(), site.fan()
    room, place = f"/api/ops/rooms/{event_id}", f"/api/queue/{event_id}"
    assert fan.join(event_id).json["messages"] == {}
    with fan.stream(f"{place}/stream") as stream:
        assert json.loads(stream.next("message").data) == {"message": "", "messages": {}}
        given = {"de": "  Einlass\num acht ", "ar": "VIP: \u0627\u0644\u0623\u0628\u0648\u0627\u0628", "fr": " "}
        texts = {"de": "Einlass\num acht", "ar": given["ar"]}
        answer = operator.patch(room, {"message": "Doors at eight", "messages": given})
        assert (answer.status, answer.json["messages"]) == (200, texts)
        told = {"message": "Doors at eight", "messages": texts}
        assert json.loads(stream.next("message").data) == told
        found = fan.get(place).json
        assert {name: found[name] for name in told} == told
        german = '<bdi lang="de" dir="ltr">Einlass\num acht</bdi>'
        assert german in get(site, f"/de/events/{event_id}")[2]
        assert f'<bdi lang="ar" dir="rtl">{texts["ar"]}</bdi>' in get(site, f"/ar/events/{event_id}")[2]
        for prefix in ("", "/fr"):
            assert '<bdi lang="" dir="auto">Doors at eight</bdi>' in get(site, f"{prefix}/events/{event_id}")[2]
        # A text for one language alone is shown to nobody else.
        assert operator.patch(room, {"message": ""}).json["messages"] == texts
        assert json.loads(stream.next("message").data) == {"message": "", "messages": texts}
        assert german in get(site, f"/de/events/{event_id}")[2]
        assert 'aria-live="polite" hidden><b>De l’organisateur' in get(site, f"/fr/events/{event_id}")[2]
        assert operator.patch(room, {"messages": {}}).json["messages"] == {}
        assert json.loads(stream.next("message").data) == {"message": "", "messages": {}}
    logged = [line for line in operator.get(f"{room}/log").json["entries"] if line["field"] == "messages"]
    assert [(json.loads(line["from"]), json.loads(line["to"])) for line in logged] == [(texts, {}), ({}, texts)]


@pytest.mark.parametrize(
    "messages", [{"tlh": "nuqneH"}, {"de": "x" * 281}, {"de": None}, {"de": "nul\0"}, "Doors at eight", None, []]
)
def test_a_message_that_no_page_could_show_is_refused(site: Site, messages: object) -> None:
    event_id = site.event()
    answer = site.operator().patch(f"/api/ops/rooms/{event_id}", {"messages": messages})
    assert (answer.status, answer.code) == (400, "invalid_request")
    assert answer.json["errors"][0]["path"].startswith("$.messages")
