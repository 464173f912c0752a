"""Fans with an account: they make one by a mail's link, have one place on all devices, and are signed out for good."""

from __future__ import annotations

import http.cookies
import json
import re
import urllib.error
import urllib.request
from collections.abc import Iterator
from functools import partial
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

import psycopg
import pytest

from db.events.seed import RoomSeed
from db.messages.addresses import hash_of, opened
from messages.links import LinkTokens
from tests.acceptance.conftest import Site
from tests.client import Answer, Client, Fan
from tests.factories import SECRET
from tests.openid import CLIENT_ID, CLIENT_SECRET, Provider
from tests.waiting import await_that

LINKS: Final = "https://venue.example"
GATEWAYS = 2
ENVIRON = {
    "ADMITONE_MESSAGE_LINKS": LINKS,
    "ADMITONE_OIDC_CLIENT_ID": CLIENT_ID,
    "ADMITONE_OIDC_CLIENT_SECRET": CLIENT_SECRET,
}
CLUB = {"key": "club", "name": "The Club", "clientId": CLIENT_ID, "clientSecret": CLIENT_SECRET}
PASSWORD, ANOTHER = "correct horse battery staple", "another horse, another staple"
SHUT_DOOR: Final = RoomSeed(rate_per_minute=0, capacity=1)
FORM: Final = {"Content-Type": "application/x-www-form-urlencoded"}


@pytest.fixture(scope="module", autouse=True)
def provider() -> Iterator[Provider]:
    """Started before the site, which is told of it."""
    with Provider() as provider:
        ENVIRON["ADMITONE_OIDC_ISSUER"] = provider.issuer
        yield provider


@pytest.fixture(scope="module", autouse=True)
def club() -> Iterator[Provider]:
    """One for all tests: another one at its address would have keys of its own, for which a gateway looks seldom."""
    with Provider() as club:
        ENVIRON["ADMITONE_OIDC_ISSUERS"] = json.dumps([{**CLUB, "issuer": club.issuer}])
        yield club


def account(site: Site, mail: str, session: Client | None = None, **more: Any) -> Fan:
    """A fan who has just made an account by a mail's link, perhaps in a session that there was before."""
    body = {"link": LinkTokens(SECRET).sign_account_link(mail), "password": PASSWORD, **more}
    return signed_in(site, (session or site.client()).post("/api/account/password", body))


def signed_in(site: Site, answer: Answer, gateway: int = 0) -> Fan:
    assert answer.status == 201, answer.content
    return Fan(site.gateways[gateway].url, answer.json["userId"], answer.json["token"], site.ledger)


def device(site: Site, mail: str, gateway: int = 0, password: str = PASSWORD) -> Fan:
    """The same account on one more device."""
    body = {"mail": mail, "password": password}
    return signed_in(site, site.client(gateway).post("/api/account/session", body), gateway)


def is_out(fan: Fan) -> bool:
    answer = fan.get("/api/account")
    assert answer.status in (200, 401), answer.content
    return answer.code == "session_invalid"


def waiting(site: Site) -> tuple[int, Fan]:
    """An event in whose line a fan without an account waits."""
    event_id = site.event(room=SHUT_DOOR)
    site.fan().join(event_id)
    fan = site.fan()
    assert fan.join(event_id).json["state"] == "waiting"
    return event_id, fan


def test_a_mails_link_makes_an_account_and_works_once(site: Site) -> None:
    known = account(site, "ada@example.org")
    for mail in ("Ada@Example.org", "bob@example.org"):
        answer = site.client().post("/api/account/links", {"mail": mail, "language": "de"})
        assert (answer.status, answer.content) == (204, b""), "the answer tells nothing"

    def sent() -> str | None:
        with psycopg.connect(site.database_url) as connection:
            row = connection.execute(
                "SELECT copy FROM message WHERE address_hash = %s AND state = 'sent'", (hash_of("bob@example.org"),)
            ).fetchone()
        return None if row is None else str(json.loads(row[0])["text"])

    found = re.search(rf"{LINKS}/de/account/links/(\S+)", await_that(sent, 40, what="the mail") or "")
    assert found is not None
    body = {"link": found[1], "password": PASSWORD}
    bob = signed_in(site, site.client().post("/api/account/password", body))
    assert bob.user_id != known.user_id
    assert bob.get("/api/account").json == {"userId": bob.user_id, "mail": "bob@example.org", "hasPassword": True}
    assert site.client().post("/api/account/password", body).code == "link_spent"
    with psycopg.connect(site.database_url) as connection:
        rows = connection.execute("SELECT address, kind, payload FROM message").fetchall()
    assert sorted((opened(row[0]), *row[1:]) for row in rows) == [
        (mail, "account_link", {}) for mail in ("ada@example.org", "bob@example.org")
    ]


def test_an_unknown_address_and_a_wrong_password_are_answered_the_same(site: Site) -> None:
    account(site, "carla@example.org")
    said = [
        site.client().post("/api/account/session", {"mail": mail, "password": ANOTHER})
        for mail in ("carla@example.org", "nobody@example.org", "no address")
    ]
    assert {(answer.status, answer.content) for answer in said} == {(401, said[0].content)}
    assert device(site, "Carla@example.org").get("/api/account").status == 200


@pytest.mark.parametrize("way", ["signs out", "signs out elsewhere", "changes the password", "sets it by a link"])
def test_a_session_ends_at_every_gateway(site: Site, way: str) -> None:
    mail = f"{way.replace(' ', '.')}@example.org"
    here, there = account(site, mail), device(site, mail, gateway=1)
    assert not is_out(here)
    assert not is_out(there)
    if way == "signs out":
        there = here.at(site.gateways[1].url)
        assert here.call("DELETE", "/api/session").status == 204
    elif way == "signs out elsewhere":
        assert here.call("DELETE", "/api/account/sessions").status == 204
    elif way == "changes the password":
        body = {"password": ANOTHER, "newPassword": ANOTHER}
        assert here.call("PUT", "/api/account/password", body).code == "wrong_password"
        assert here.call("PUT", "/api/account/password", body | {"password": PASSWORD}).status == 204
        assert device(site, mail, password=ANOTHER).get("/api/account").status == 200
    else:
        here = account(site, mail)
    await_that(lambda: is_out(there), what="the end of the session")
    assert is_out(here) == (way == "signs out")


def test_a_place_moves_into_the_account_and_is_the_same_on_every_device(site: Site) -> None:
    event_id, fan = waiting(site)
    number = fan.poll(event_id).json["ticketNumber"]
    answer = fan.call("PUT", f"/api/events/{event_id}/contact", {"mail": "dora@example.org"})
    assert answer.status == 200
    here = account(site, "dora@example.org", fan)
    assert here.user_id != fan.user_id
    assert here.poll(event_id).json["ticketNumber"] == number
    assert fan.poll(event_id).json["state"] == "left", "nobody stands twice"
    there = device(site, "dora@example.org", gateway=1)
    with there.line(event_id) as stream:
        stream.next()
        assert there.poll(event_id).json["ticketNumber"] == number
        assert here.call("DELETE", "/api/account/sessions").status == 204
        stream.rest()
    assert here.get(f"/api/events/{event_id}/contact").json["mail"] == "d…@example.org"


def test_an_account_has_one_place_in_a_line(site: Site) -> None:
    event_id, fan = waiting(site)
    here = account(site, "emil@example.org", fan)
    number = here.poll(event_id).json["ticketNumber"]
    second = site.fan()
    assert second.join(event_id).json["ticketNumber"] > number
    answer = second.post("/api/account/session", {"mail": "emil@example.org", "password": PASSWORD})
    assert answer.json["moved"] == []
    assert signed_in(site, answer).join(event_id).json["ticketNumber"] == number


def test_holds_and_limits_count_by_the_account(site: Site) -> None:
    event_id = site.event(seats_per_fan_max=3)
    here = account(site, "finn@example.org")
    here.join(event_id)
    here.reserve(event_id, [(1, 1, 1), (1, 1, 2)])
    there = device(site, "finn@example.org", gateway=1)
    there.join(event_id)
    assert [len(hold["seats"]) for hold in there.get(f"/api/reservations?eventId={event_id}").json["reservations"]] == [
        2
    ]
    body = {"eventId": event_id, "bestAvailable": {"ticketTypeId": 1, "quantity": 2}}
    assert there.post("/api/reserve", body, Prefer="wait=10").code == "limit_exceeded"


def test_seats_that_are_held_are_finished_first(site: Site) -> None:
    event_id = site.event()
    fan = site.admitted_fan(event_id)
    assert fan.reserve(event_id, [(1, 2, 1)]).result["seats"]
    bought = fan.buy(event_id, [(1, 1, 1)])
    account(site, "gina@example.org")
    body = {"mail": "gina@example.org", "password": PASSWORD}
    refused = fan.post("/api/account/session", body)
    assert (refused.code, refused.problem["eventIds"]) == ("unfinished", [event_id])
    gina = signed_in(site, fan.post("/api/account/session", body | {"leave": True}))
    purchase_id = bought["purchaseId"]
    assert [one["purchaseId"] for one in gina.get("/api/purchases").json["purchases"]] == [purchase_id]
    assert gina.get(f"/api/purchases/{purchase_id}").json["userId"] == fan.user_id
    assert gina.get(f"/api/purchases/{purchase_id}/link").status == 200
    assert account(site, "hans@example.org").get(f"/api/purchases/{purchase_id}").code == "unknown_purchase"


def requires_account(fan: Fan, event_id: int) -> bool:
    return bool(fan.get(f"/api/initial-call/{event_id}").json["event"]["accountRequired"])


def test_an_event_may_require_an_account(site: Site) -> None:
    event_id, off_id = site.event(), site.event(room=RoomSeed(state="off"))
    operator = site.operator()
    fan = site.fan()
    for event in (event_id, off_id):
        answer = operator.patch(f"/api/ops/events/{event}", {"accountRequired": True, "why": "one place a person"})
        assert (answer.status, answer.json["accountRequired"]) == (200, True)
        await_that(partial(requires_account, fan, event))
    refused = fan.join(event_id)
    assert (refused.status, refused.code, refused.problem["href"]) == (403, "account_required", "/account")
    body = {"eventId": off_id, "bestAvailable": {"ticketTypeId": 1, "quantity": 1}}
    assert fan.post("/api/reserve", body, Prefer="wait=10").code == "account_required"
    page = site.client().get(f"/events/{event_id}").content.decode()
    assert f'href="/account?to=/events/{event_id}"' in page
    assert "data-join" not in page
    ida = account(site, "ida@example.org", fan)
    assert ida.join(event_id).json["state"] == "admitted"
    assert ida.post("/api/reserve", body, Prefer="wait=10").result["seats"]


def cookies_of(answer: Answer) -> str:
    jar = http.cookies.SimpleCookie()
    for line in answer.headers.get_all("Set-Cookie") or []:
        jar.load(line)
    return "; ".join(f"{name}={morsel.value}" for name, morsel in jar.items() if morsel.value)


def sent_form(client: Client, path: str, **fields: str) -> Answer:
    return client.call("POST", path, raw=urlencode(fields).encode(), headers=FORM)


def test_all_of_it_works_by_forms(site: Site) -> None:
    browser = site.client()
    asked = sent_form(browser, "/account/links", mail="jo@example.org")
    assert (asked.status, asked.headers["Location"]) == (303, "/account?told=link")
    path = f"/account/links/{LinkTokens(SECRET).sign_account_link('jo@example.org')}"
    assert "jo@example.org" in browser.get(path).content.decode()
    made = sent_form(browser, path, password=PASSWORD)
    assert (made.status, made.headers["Location"]) == (303, "/account?told=in")
    fields = urlencode({"mail": "jo@example.org", "password": ANOTHER}).encode()
    with pytest.raises(urllib.error.HTTPError, match="401") as wrong:
        urllib.request.urlopen(f"{site.url}/account/sign-in", fields, timeout=10)
    with wrong.value as answer:
        assert "The address or the password is wrong." in answer.read().decode()
    back = sent_form(browser, "/account/sign-in", mail="jo@example.org", password=PASSWORD, to="/events/7")
    assert (back.status, back.headers["Location"]) == (303, "/events/7")
    away = sent_form(browser, "/account/sign-in", mail="jo@example.org", password=PASSWORD, to="//evil.example")
    assert away.headers["Location"] == "/account?told=in"
    browser.headers["Cookie"] = cookies_of(back)
    assert "jo@example.org" in browser.get("/account").content.decode()
    changed = sent_form(browser, "/account/password", password=PASSWORD, newPassword=ANOTHER)
    assert changed.headers["Location"] == "/account?told=password"
    assert sent_form(browser, "/account/elsewhere").headers["Location"] == "/account?told=elsewhere"
    assert sent_form(browser, "/sign-out").status == 303
    assert "jo@example.org" not in browser.get("/account").content.decode(), "the cookie that was kept opens nothing"


def through_the_issuer(site: Site, browser: Client, to: str = "", key: str = "") -> Answer:
    """What the site answers a browser that comes back from the issuer."""
    begun = browser.get(f"/account/issuer{key and '/'}{key}?{urlencode({'to': to})}")
    assert begun.status == 303, begun.content
    address = urlsplit(begun.headers["Location"])
    issuer = Client(f"http://{address.netloc}")
    sent_back = issuer.get(f"{address.path}?{address.query}")
    back = urlsplit(sent_back.headers["Location"])
    kept = [browser.headers.get("Cookie", ""), cookies_of(begun)]
    return browser.call("GET", f"{back.path}?{back.query}", headers={"Cookie": "; ".join(filter(None, kept))})


def test_an_issuers_sign_in_is_the_account_of_the_address_that_it_verified(site: Site, provider: Provider) -> None:
    event_id, fan = waiting(site)
    kim = account(site, "kim@example.org")
    provider.person = {"sub": "kim", "email": "Kim@example.org", "email_verified": True}
    browser = site.client()
    browser.headers["Cookie"] = f"admitone_session={fan.token}"
    back = through_the_issuer(site, browser, f"/events/{event_id}")
    assert (back.status, back.headers["Location"]) == (303, f"/events/{event_id}")
    browser.headers = {"Cookie": cookies_of(back)}
    assert browser.get("/api/account").json["userId"] == kim.user_id
    assert kim.poll(event_id).json["state"] == "waiting", "the place came along"
    provider.person = {"sub": "a stranger", "email": "kim@example.org"}
    stranger = site.client()
    stranger.headers["Cookie"] = cookies_of(through_the_issuer(site, stranger))
    assert stranger.get("/api/account").json["userId"] != kim.user_id, "the issuer has not verified that address"
    assert stranger.get("/api/account").json["mail"] is None


def test_fans_choose_among_issuers_and_each_has_people_of_its_own(
    site: Site, provider: Provider, club: Provider
) -> None:
    provider.person = {"sub": "robin", "email": "robin@example.org", "email_verified": True}
    first, again, other = site.client(), site.client(), site.client()
    page = first.get("/account").content.decode()
    assert 'href="/account/issuer?to="' in page
    assert 'href="/account/issuer/club?to="' in page
    assert "Sign in with The Club" in page
    first.headers["Cookie"] = cookies_of(through_the_issuer(site, first))
    robin = first.get("/api/account").json["userId"]
    club.person = dict(provider.person)
    other.headers["Cookie"] = cookies_of(through_the_issuer(site, other, key="club"))
    met = other.get("/api/account").json
    assert met["userId"] != robin, "the same subject and address of an issuer whose word is not trusted"
    assert met["mail"] is None
    again.headers["Cookie"] = cookies_of(through_the_issuer(site, again, key="club"))
    assert again.get("/api/account").json["userId"] == met["userId"]
    # A code of the one issuer is none of the other's, though it comes to the browser that began both.
    begun = site.client().get("/account/issuer/club")
    address = urlsplit(begun.headers["Location"])
    back = urlsplit(Client(f"http://{address.netloc}").get(f"{address.path}?{address.query}").headers["Location"])
    assert back.path == "/account/issuer/club/back"
    crossed = site.client().call("GET", f"/account/issuer/back?{back.query}", headers={"Cookie": cookies_of(begun)})
    assert crossed.headers["Location"] == "/account?problem=issuer_refused"
    assert site.client().get("/account/issuer/nobody").status == 404


def test_a_sign_in_by_the_issuer_is_the_browsers_that_began_it(site: Site, provider: Provider) -> None:
    provider.person = {"sub": "lea"}
    begun = site.client().get("/account/issuer")
    address = urlsplit(begun.headers["Location"])
    back = urlsplit(Client(f"http://{address.netloc}").get(f"{address.path}?{address.query}").headers["Location"])
    for cookie in ("", cookies_of(site.client().get("/account/issuer"))):
        refused = site.client().call("GET", f"{back.path}?{back.query}", headers={"Cookie": cookie})
        assert refused.headers["Location"] == "/account?problem=issuer_refused"
        assert "admitone_session" not in cookies_of(refused)


def linked(browser: Client) -> dict[str, bool]:
    return {
        one["issuer"]: one["linkedAt"] is not None for one in browser.get("/api/account/identities").json["identities"]
    }


def back_from_the_issuer(browser: Client, start: str) -> Answer:
    """What the site answers the browser after the issuer, to which this address of ours leads."""
    begun = browser.get(start)
    assert begun.status == 303, begun.content
    address = urlsplit(begun.headers["Location"])
    back = urlsplit(Client(f"http://{address.netloc}").get(f"{address.path}?{address.query}").headers["Location"])
    cookies = "; ".join(filter(None, [browser.headers.get("Cookie", ""), cookies_of(begun)]))
    return browser.call("GET", f"{back.path}?{back.query}", headers={"Cookie": cookies})


def test_a_second_issuer_is_linked_by_the_accounts_own_fan_and_unlinked(
    site: Site, provider: Provider, club: Provider
) -> None:
    provider.person = {"sub": "pat"}
    sign_in = partial(through_the_issuer, site)
    browser, attacker = site.client(), site.client()
    browser.headers["Cookie"] = cookies_of(sign_in(browser))
    attacker.headers["Cookie"] = f"admitone_session={account(site, 'eve@example.org').token}"
    pat = browser.get("/api/account").json["userId"]
    assert linked(browser) == {"": True, "club": False}
    assert browser.call("DELETE", "/api/account/identities?issuer=").code == "last_way_in"
    club.person = {"sub": "pat of the club"}
    wrong = attacker.post("/api/account/identities", {"issuer": "club", "password": "no such password"})
    assert wrong.code == "wrong_password"
    own = attacker.post("/api/account/identities", {"issuer": "club", "password": PASSWORD}).json["href"]
    assert back_from_the_issuer(browser, own).headers["Location"].endswith("problem=issuer_refused&issuer=club")
    assert linked(attacker) == {"": False, "club": False}, "another's session cannot bring the proof"
    goes_on = sent_form(browser, "/account/identities", issuer="club").headers["Location"]
    (start,) = re.findall(r'href="(/account/issuer/club\?proof=[^"]+)"', browser.get(goes_on).content.decode())
    assert back_from_the_issuer(browser, start).headers["Location"] == "/account?told=linked"
    assert linked(browser) == {"": True, "club": True}
    by_club = site.client()
    by_club.headers["Cookie"] = cookies_of(sign_in(by_club, key="club"))
    assert by_club.get("/api/account").json["userId"] == pat
    own = attacker.post("/api/account/identities", {"issuer": "club", "password": PASSWORD}).json["href"]
    assert back_from_the_issuer(attacker, own).headers["Location"].startswith("/account/join?proof=")
    assert linked(attacker) == {"": False, "club": False}, "the two accounts may be joined, and are not yet"
    assert sent_form(browser, "/account/identities/remove", issuer="").headers["Location"] == "/account?told=unlinked"
    assert linked(by_club) == {"": False, "club": True}
    assert browser.call("DELETE", "/api/account/identities?issuer=").status == 404
    assert browser.call("DELETE", "/api/account/identities?issuer=club").code == "last_way_in"
