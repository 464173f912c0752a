"""Sessions that are used do not end: they come anew, and what belongs to them stays with them."""

from __future__ import annotations

import datetime as dt
import http.cookies
import math
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor

import jwt
import psycopg

from db.events.seed import RoomSeed
from gateway.identity.sessions import _Claims as Claims
from tests.acceptance.conftest import Site
from tests.acceptance.test_languages import get
from tests.client import Answer, Client, Fan
from waiting_room.key_ring import KeyGroup
from waiting_room.signing import Signer

ENVIRON = {"ADMITONE_SESSION_SECONDS": "60"}
RENEWS_AFTER_SECONDS = 16


def cookie_of(answer: Answer, seconds: int = 60) -> str | None:
    for line in answer.headers.get_all("Set-Cookie") or []:
        if line.startswith("admitone_session="):
            found: http.cookies.SimpleCookie = http.cookies.SimpleCookie(line)
            assert found["admitone_session"]["httponly"] is True
            assert abs(int(found["admitone_session"]["max-age"]) - seconds) <= 2
            return found["admitone_session"].value
    return None


def claims(token: str) -> dict[str, object]:
    found: dict[str, object] = jwt.decode(token, options={"verify_signature": False})
    return found


def test_a_session_outlives_the_event_whose_tickets_it_opens(site: Site) -> None:
    event_id = site.event()
    fan = site.admitted_fan(event_id)
    purchase = fan.buy(event_id, [(1, 2, 1)])["purchaseId"]
    date = dt.datetime.fromisoformat(fan.get(f"/api/initial-call/{event_id}").json["event"]["date"])
    for path in ("/purchases", f"/purchases/{purchase}"):
        browser = Client(site.url)
        browser.headers["Cookie"] = f"admitone_session={fan.token}"
        lasts_seconds = math.ceil((date + dt.timedelta(days=2)).timestamp() - time.time())
        kept = cookie_of(browser.get(path, Accept="text/html"), lasts_seconds)
        assert kept is not None
        assert claims(kept)["sub"] == claims(fan.token)["sub"]
        assert float(str(claims(kept)["exp"])) >= (date + dt.timedelta(days=2)).timestamp()
        browser.headers["Cookie"] = f"admitone_session={kept}"
        assert cookie_of(browser.get(path, Accept="text/html")) is None, "once is enough"
    stranger = Client(site.url)
    stranger.headers["Cookie"] = f"admitone_session={site.fan().token}"
    assert cookie_of(stranger.get("/purchases", Accept="text/html")) is None


def test_a_clients_session_outlives_the_event_of_its_tickets_too(site: Site) -> None:
    event_id = site.event()
    fan = site.admitted_fan(event_id)
    purchase = fan.buy(event_id, [(1, 2, 1)])["purchaseId"]
    date = dt.datetime.fromisoformat(fan.get(f"/api/initial-call/{event_id}").json["event"]["date"])
    for path in ("/api/purchases", f"/api/purchases/{purchase}"):
        kept = fan.get(path).headers.get_all("X-Session-Token")
        assert kept is not None
        assert len(kept) == 1
        assert claims(kept[0])["jti"] == claims(fan.token)["jti"]
        assert float(str(claims(kept[0])["exp"])) >= (date + dt.timedelta(days=2)).timestamp()
        client = Client(site.url)
        client.headers["Authorization"] = f"Bearer {kept[0]}"
        assert "X-Session-Token" not in client.get(path).headers, "once is enough"
    assert "X-Session-Token" not in site.fan().get("/api/purchases").headers


def test_a_session_that_ended_opens_its_tickets_and_nothing_else(site: Site) -> None:
    """A client that keeps its first token, whatever it is given since."""
    event_id = site.event()
    fan, other = site.admitted_fan(event_id), site.fan()
    purchase = fan.buy(event_id, [(1, 3, 1)])["purchaseId"]
    signer = Signer(site.services.environ["ADMITONE_SECRET"], KeyGroup.FANS, "admitone session v1", Claims)

    def ended(token: str, seconds: int) -> str:
        names = ("sub", "role", "jti", "rehearses")
        return signer.sign(Claims(**{name: claims(token)[name] for name in names}), int(time.time()) - seconds)  # type: ignore[arg-type]

    browser, client = Client(site.url), Client(site.url)
    browser.headers["Cookie"] = f"admitone_session={ended(fan.token, 3)}"
    client.headers["Authorization"] = f"Bearer {ended(fan.token, 30 * 86_400)}"
    for path in ("/purchases", f"/purchases/{purchase}", f"/purchases/{purchase}/event.ics"):
        answer = browser.get(path, Accept="text/html")
        assert (answer.status, "admitone_session=" in (answer.headers["Set-Cookie"] or "")) == (200, True), path
    assert purchase in browser.get("/purchases", Accept="text/html").content.decode()
    for path in ("/api/purchases", f"/api/purchases/{purchase}"):
        renewed = client.get(path)
        assert renewed.status == 200
        assert claims(renewed.headers["X-Session-Token"])["jti"] == claims(fan.token)["jti"]
    for refused in (
        client.get("/api/reservations?eventId=1"),
        client.get(f"/api/queue/{event_id}"),
        client.post(f"/api/purchases/{purchase}/cancel", {}),
        client.get(f"/api/purchases/{uuid.uuid4()}"),
    ):
        assert (refused.status, refused.code) == (401, "session_invalid")
    # Neither a session without tickets, nor one that ended longer ago than a browser keeps a cookie.
    for token in (ended(other.token, 3), ended(fan.token, 401 * 86_400)):
        client.headers["Authorization"] = f"Bearer {token}"
        assert client.get("/api/purchases").code == "session_invalid"
        browser.headers["Cookie"] = f"admitone_session={token}"
        assert purchase not in browser.get("/purchases", Accept="text/html").content.decode()
        assert get(site, f"/purchases/{purchase}", {"Cookie": f"admitone_session={token}"})[0] == 404
    with psycopg.connect(site.database_url) as connection:
        connection.execute("UPDATE event SET date = now() - interval '3 days' WHERE event_id = %s", (event_id,))
    gateway = site.services.gateway()
    try:
        later = Client(gateway.url)
        later.headers["Authorization"] = f"Bearer {ended(fan.token, 3)}"
        assert later.get(f"/api/purchases/{purchase}").code == "session_invalid", "the event is over"
    finally:
        gateway.kill()


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


def test_questions_that_come_together_all_find_the_place(site: Site) -> None:
    """A page that lost its cookies asks and opens its stream at once: one of them moves the place, for all."""
    event_id = site.event(room=RoomSeed(rate_per_minute=0, capacity=1))
    for _ in range(6):
        token = site.fan().join(event_id).json["token"]
        fans = [site.fan()] * 6
        gate = threading.Barrier(len(fans))

        def ask(fan: Fan, token: str = token, gate: threading.Barrier = gate) -> Answer:
            gate.wait(10)
            return fan.poll(event_id, place_token=token)

        with ThreadPoolExecutor(len(fans)) as threads:
            answers = [*threads.map(ask, fans)]
        assert {answer.status for answer in answers} == {200}
        assert len({answer.json["ticketNumber"] for answer in answers}) == 1
