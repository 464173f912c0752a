"""What a cache in front of the site may keep: the same bytes for every stranger, and nothing of anybody's."""

from __future__ import annotations

import datetime as dt
import re

import pytest

from db.events.seed import RoomSeed
from tests.acceptance.conftest import Site
from tests.client import Answer, Client

ENVIRON = {"ADMITONE_EDGE_PROVIDER": "varnish", "ADMITONE_EDGE_QUIET_SECONDS": "60"}
HTML = {"Accept": "text/html"}


@pytest.fixture(scope="module")
def event_id(site: Site) -> int:
    return site.event()


def kept_seconds(answer: Answer) -> int:
    """How long an edge may keep the answer; 0: not at all."""
    found = re.fullmatch(
        r"public, max-age=0, s-maxage=(\d+), stale-while-revalidate=1", answer.headers["Cache-Control"]
    )
    return int(found[1]) if found else 0


def shared_paths(event_id: int) -> list[str]:
    pages = [f"{language}{path}" for language in ("", "/de", "/ar") for path in ("/", f"/events/{event_id}")]
    return [
        *pages,
        "/api/events",
        f"/api/initial-call/{event_id}",
        f"/api/events/{event_id}/seats",
        f"/api/events/{event_id}/plan",
    ]


def by_cookie(site: Site, token: str) -> Client:
    client = site.client()
    client.headers["Cookie"] = f"admitone_session={token}"
    return client


def test_strangers_are_given_the_same_bytes_and_no_cookie(site: Site, event_id: int) -> None:
    for path in shared_paths(event_id):
        one, other = (site.client().get(path, Accept="text/html") for _ in range(2))
        assert one.status == 200, path
        assert one.content == other.content, path
        assert "Set-Cookie" not in one.headers, path
        assert kept_seconds(one) >= 1, (path, one.headers["Cache-Control"])
        keys = one.headers["xkey"].split()
        assert keys == (["events"] if path.endswith(("/", "/api/events")) else [f"event-{event_id}"]), path


def test_a_validator_is_strong_and_belongs_to_one_coding(site: Site, event_id: int) -> None:
    for path in (f"/events/{event_id}", f"/api/events/{event_id}/seats"):
        tags = {}
        for coding in ("", "gzip", "br"):
            answer = site.client().get(path, Accept_Encoding=coding) if coding else site.client().get(path)
            tags[answer.headers.get("Content-Encoding", "")] = tag = answer.headers["ETag"]
            assert re.fullmatch(r'"[0-9a-z-]+"', tag), (path, tag)
            again = site.client().get(path, Accept_Encoding=coding, If_None_Match=tag)
            assert (again.status, again.content, again.headers["ETag"]) == (304, b"", tag), (path, coding)
            assert kept_seconds(again) == kept_seconds(answer)
        assert len(set(tags.values())) == len(tags), path


def test_an_address_that_names_its_language_has_one_document(site: Site, event_id: int) -> None:
    german = site.client().get(f"/de/events/{event_id}", Accept_Language="fr")
    assert german.headers["Vary"] == "Accept-Encoding"
    assert german.content == site.client().get(f"/de/events/{event_id}", Accept_Language="en").content
    bare = site.client().get(f"/events/{event_id}")
    assert bare.headers["Vary"] == "Accept-Encoding, Accept-Language"
    sent_on = site.client().get(f"/events/{event_id}", Accept_Language="de-AT, en;q=0.5")
    assert (sent_on.status, sent_on.headers["Location"]) == (302, f"/de/events/{event_id}")
    assert (kept_seconds(sent_on), sent_on.headers["Vary"]) == (60, "Accept-Language")
    chose = site.client()
    chose.headers["Cookie"] = "admitone_language=fr"
    assert kept_seconds(chose.get(f"/events/{event_id}", Accept_Language="de")) == 0, "another reader chose nothing"
    chose.headers["Cookie"] = "admitone_language=en"
    assert kept_seconds(chose.get(f"/events/{event_id}", Accept_Language="de")) == 0


def test_who_has_a_session_is_given_a_page_that_nobody_keeps(site: Site, event_id: int) -> None:
    fan = site.fan()
    fan.join(event_id)
    stranger = site.client().get(f"/events/{event_id}", **HTML)
    for client in (by_cookie(site, fan.token), fan):
        own = client.get(f"/events/{event_id}", **HTML)
        assert own.headers["Cache-Control"] == "no-store"
        assert "ETag" not in own.headers
        assert own.content != stranger.content
        for path in (f"/api/initial-call/{event_id}", f"/api/events/{event_id}/seats", f"/api/events/{event_id}/plan"):
            assert client.get(path).headers["Cache-Control"] == "no-cache", path
    newer = site.client().get(f"/api/initial-call/{event_id}?minVersion=1")
    assert newer.headers["Cache-Control"] == "no-cache", "a reader who asks for a version is not given a kept one"


def test_a_session_that_is_not_valid_is_given_up(site: Site, event_id: int) -> None:
    answer = by_cookie(site, "forged").get(f"/events/{event_id}", **HTML)
    assert answer.headers["Cache-Control"] == "no-store"
    assert re.match(r'admitone_session="?"?; .*Max-Age=0', answer.headers["Set-Cookie"], re.IGNORECASE)


def test_to_look_begins_no_session_and_to_join_does(site: Site, event_id: int) -> None:
    stranger = site.client()
    for path in (
        "/purchases",
        f"/events/{event_id}?problem=sold_out",
        "/account",
        f"/events/{event_id}/sale.ics",
    ):
        assert "Set-Cookie" not in stranger.get(path, **HTML).headers, path
    joined = stranger.call("POST", f"/events/{event_id}/join")
    assert (joined.status, joined.headers["Location"]) == (303, f"/events/{event_id}?session=new")
    token = joined.headers["Set-Cookie"].partition("=")[2].partition(";")[0]
    own = by_cookie(site, token).get(joined.headers["Location"], **HTML)
    assert b'data-now="choose"' in own.content, "the place is this session's"
    blocked = site.client().get(joined.headers["Location"], **HTML)
    assert b"Please allow cookies" in blocked.content
    assert blocked.headers["Cache-Control"] == "no-store"


def test_what_the_clock_changes_is_kept_until_then_alone(site: Site) -> None:
    """The page, and the one call that its script makes before a sale."""
    coming = site.event(room=RoomSeed(), on_sale_in=dt.timedelta(seconds=55))
    later = site.event(room=RoomSeed(), on_sale_in=dt.timedelta(hours=4))
    selling = site.event()
    for path in ("/events/{}", "/api/initial-call/{}"):
        assert 5 <= kept_seconds(site.client().get(path.format(coming), **HTML)) <= 54, path
        assert kept_seconds(site.client().get(path.format(later), **HTML)) == 60, path
        assert kept_seconds(site.client().get(path.format(selling), **HTML)) == 1, path


def test_a_lobby_moves_what_is_kept_until_its_draw(site: Site) -> None:
    """Fans enter it, and are counted."""
    room = RoomSeed(state="open", lobby_minutes=60)
    inside = site.event(room=room, on_sale_in=dt.timedelta(minutes=30))
    site.fan().join(inside)
    before = site.event(room=room, on_sale_in=dt.timedelta(hours=4))
    for path in ("/events/{}", "/api/initial-call/{}"):
        assert kept_seconds(site.client().get(path.format(inside), **HTML)) == 1, path
        assert kept_seconds(site.client().get(path.format(before), **HTML)) == 60, path
