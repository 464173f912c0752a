"""Sessions that are used do not end: they come anew, and what belongs to them stays with them."""

from __future__ import annotations

import http.cookies
import time

import jwt

from tests.acceptance.conftest import Site
from tests.client import Answer, Client

ENVIRON = {"ADMITONE_SESSION_SECONDS": "60"}
RENEWS_AFTER_SECONDS = 16


def cookie_of(answer: Answer) -> str | None:
    for line in answer.headers.get_all("Set-Cookie") or []:
        if line.startswith("admitone_session="):
            found: http.cookies.SimpleCookie = http.cookies.SimpleCookie(line)
            assert found["admitone_session"]["httponly"] is True
            assert int(found["admitone_session"]["max-age"]) == 60
            return found["admitone_session"].value
    return None


def claims(token: str) -> dict[str, object]:
    found: dict[str, object] = jwt.decode(token, options={"verify_signature": False})
    return found


def test_a_session_in_use_is_renewed_and_keeps_its_place_and_holds(site: Site) -> None:
    event_id = site.event()
    fan = site.fan()
    browser = Client(site.url)
    browser.headers["Cookie"] = f"admitone_session={fan.token}"
    joined = fan.join(event_id).json
    for answer in (
        fan.get("/api/purchases"),
        browser.get("/api/purchases"),
        browser.get(f"/events/{event_id}", Accept="text/html"),
    ):
        assert "X-Session-Token" not in answer.headers
        assert cookie_of(answer) is None, "not before a part of its life is over"

    time.sleep(RENEWS_AFTER_SECONDS)
    body = {"eventId": event_id, "bestAvailable": {"ticketTypeId": 1, "quantity": 1}}
    admission = {"Prefer": "wait=10", "X-Admission-Pass": joined["pass"]}
    # The page, a read, the short way of reserve, and a stream: wherever the session is used.
    cookies = [
        cookie_of(browser.get(f"/events/{event_id}", Accept="text/html")),
        cookie_of(browser.get("/api/purchases")),
        cookie_of(browser.call("POST", "/api/reserve", body, headers=admission)),
    ]
    tokens = [
        fan.get("/api/purchases").headers["X-Session-Token"],
        fan.call("POST", "/api/reserve", body, headers=admission).headers["X-Session-Token"],
    ]
    stream = fan.stream(f"/api/queue/{event_id}/stream")
    tokens.append(stream.headers["X-Session-Token"])
    stream.close()
    for token in [*cookies, *tokens]:
        assert token is not None
        before, after = claims(fan.token), claims(token)
        assert {name for name in after if after[name] != before[name]} <= {"exp", "iat"}, "it is the same session"
        assert int(str(after["exp"])) > int(str(before["exp"])) + 10
        renewed = Client(site.url)
        renewed.headers["Authorization"] = f"Bearer {token}"
        assert renewed.get(f"/api/queue/{event_id}", X_Place_Token=joined["token"]).status == 200
        assert len(renewed.get(f"/api/reservations?eventId={event_id}").json["reservations"]) == 2
    assert cookie_of(fan.get("/api/purchases")) is None, "a client is answered the way it asked"
    assert "X-Session-Token" not in browser.get("/api/purchases").headers


def test_a_bad_session_is_not_renewed(site: Site) -> None:
    forged = site.client()
    forged.headers["Cookie"] = f"admitone_session={site.fan().token[:-4]}AAAA"
    answer = forged.get("/api/purchases")
    assert (answer.status, cookie_of(answer)) == (401, None)
