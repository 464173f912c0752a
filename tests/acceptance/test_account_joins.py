"""Two accounts of one person become one: both are proved, and all that the one had is the other's, once."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from messages.links import LinkTokens
from tests.acceptance import test_accounts as accounts
from tests.acceptance.conftest import Site
from tests.acceptance.test_accounts import ANOTHER, PASSWORD, account, device, is_out, sent_form
from tests.client import Answer, Fan
from tests.factories import SECRET
from tests.openid import Provider
from tests.waiting import await_that

GATEWAYS = 2
ENVIRON = dict(accounts.ENVIRON)
MOVED_SECONDS_MAX = 30


@pytest.fixture(scope="module", autouse=True)
def provider() -> Iterator[Provider]:
    """Started before the site, which is told of it."""
    with Provider() as provider:
        ENVIRON["ADMITONE_OIDC_ISSUER"] = provider.issuer
        yield provider


def proved(stays: Fan, mail: str, password: str = PASSWORD) -> Answer:
    return stays.post("/api/account/joins/proof", {"mail": mail, "password": password})


def join(stays: Fan, proof: str, password: str = PASSWORD) -> Answer:
    return stays.post("/api/account/joins", {"proof": proof, "password": password})


def had(fan: Fan) -> set[str]:
    return {one["purchaseId"] for one in fan.get("/api/purchases").json["purchases"]}


def owners(site: Site, table: str, event_id: int) -> set[int]:
    with psycopg.connect(site.database_url) as connection:
        statement: Any = f"SELECT user_id FROM {table} WHERE event_id = %s"
        return {row[0] for row in connection.execute(statement, (event_id,))}


def test_all_that_the_other_account_has_is_the_fans(site: Site) -> None:
    event_id, line_id = site.event(seats_per_fan_max=4), site.event(room=accounts.SHUT_DOOR)
    stays, goes = account(site, "ada@example.org"), account(site, "ada@example.com")
    elsewhere = device(site, "ada@example.com", gateway=1)
    site.fan().join(line_id)
    number = goes.join(line_id).json["ticketNumber"]
    assert stays.join(line_id).json["ticketNumber"] > number
    for fan in (goes, stays):
        fan.join(event_id)
    held = goes.hold(event_id, [(1, 2, 1)])["reservationId"]
    bought = goes.buy(event_id, [(1, 1, 1), (1, 1, 2)])["purchaseId"]
    link = goes.get(f"/api/purchases/{bought}/link").json["href"]
    preview = proved(stays, "Ada@example.com").json
    proof = preview.pop("proof")
    assert preview == {
        "mail": "ada@example.com",
        "purchases": 1,
        "holds": 1,
        "waitingEntries": 0,
        "places": 1,
        "passkeys": 0,
        "issuers": 0,
    }
    assert join(stays, proof, "no such password").code == "wrong_password"
    assert goes.get("/api/account").status == 200, "nothing has happened"
    assert join(stays, proof).status == 204
    assert is_out(goes)
    await_that(lambda: is_out(elsewhere), what="the end of the other account's sessions")
    assert had(stays) == {bought}, "its purchases are shown at once"
    await_that(lambda: owners(site, "reservation", event_id) == {stays.user_id}, MOVED_SECONDS_MAX, what="the holds")
    assert owners(site, "purchase", event_id) == {stays.user_id}
    assert had(stays) == {bought}
    await_that(lambda: stays.poll(line_id).json["ticketNumber"] == number, MOVED_SECONDS_MAX, what="the better place")
    body = {"eventId": event_id, "bestAvailable": {"ticketTypeId": 1, "quantity": 2}}
    assert stays.post("/api/reserve", body, Prefer="wait=10").code == "limit_exceeded"
    assert stays.checkout(event_id, reservation_id=held).result["purchaseId"]
    path = re.sub("^https?://[^/]+", "", link)
    shown = site.client().get(path)
    assert (shown.status, "Admit one" in shown.content.decode()) == (200, True), "links that were sent before open them"
    key = path.partition("?key=")[2]
    by_key = site.client().get(f"/api/purchases/{bought}", **{"X-Purchase-Key": key})
    assert by_key.json["userId"] == stays.user_id
    (joined,) = stays.get("/api/account/joins").json["joined"]
    assert (joined["mail"], joined["done"]) == ("ada@example.com", False)


def test_nobody_signs_in_to_an_account_that_was_joined(site: Site) -> None:
    stays, _ = account(site, "bea@example.org"), account(site, "bea@example.com")
    assert join(stays, proved(stays, "bea@example.com").json["proof"]).status == 204
    body = {"mail": "bea@example.com", "password": PASSWORD}
    right, wrong = site.client().post("/api/account/session", body), body | {"password": ANOTHER}
    assert (right.status, right.code) == (409, "account_joined")
    assert site.client().post("/api/account/session", wrong).code == "unauthenticated", "only its owner is told"
    by_link = {"link": LinkTokens(SECRET).sign_account_link("bea@example.com"), "password": ANOTHER}
    assert site.client().post("/api/account/password", by_link).code == "account_joined"
    assert proved(account(site, "eve@example.org"), "bea@example.com").code == "account_joined"
    assert device(site, "bea@example.org").get("/api/account").json["mail"] == "bea@example.org"


def test_both_addresses_are_written_to(site: Site) -> None:
    stays, _ = account(site, "cora@example.org"), account(site, "cora@example.com")
    assert join(stays, proved(stays, "cora@example.com").json["proof"]).status == 204

    def texts() -> list[str]:
        with psycopg.connect(site.database_url) as connection:
            rows = connection.execute(
                "SELECT copy FROM message WHERE kind = 'account_joined' AND state = 'sent' AND created_at > now() - "
                "interval '1 minute'"
            ).fetchall()
        return [str(json.loads(row[0])["text"]) for row in rows]

    await_that(lambda: len(texts()) >= 2, 40, what="the mails")
    assert all("Two accounts were joined into one" in text for text in texts())


def test_takeover_by_joining_needs_both_proofs(site: Site) -> None:
    """Whoever has one of the two accounts gets nothing of the other."""
    victim, thief = account(site, "dan@example.org"), account(site, "eric@example.org")
    assert proved(thief, "dan@example.org", ANOTHER).code == "wrong_password"
    assert proved(thief, "nobody@example.org").code == "wrong_password"
    own = proved(thief, "eric@example.org")
    assert (own.status, own.code) == (403, "join_refused"), "it is the same account"
    # A session that was found open is no proof of the account that stays: the thief's ways in would come along.
    proof = proved(victim, "eric@example.org").json["proof"]
    assert join(victim, proof, "no such password").code == "wrong_password"
    # A proof is its session's: neither another account's nor another session's of the same one.
    assert join(thief, proof).code == "join_refused"
    assert join(device(site, "dan@example.org"), proof).code == "join_refused"
    for forged in ("", "x", proof[:-2] + "xx"):
        assert join(victim, forged).code in ("invalid_request", "join_refused")
    for path, body in (
        ("/api/account/joins/proof", {"mail": "eric@example.org", "password": PASSWORD}),
        ("/api/account/joins", {"proof": proof, "password": PASSWORD}),
    ):
        browser = site.client()
        browser.headers["Cookie"] = f"admitone_session={victim.token}"
        assert browser.post(path, body, Origin="https://evil.example").code == "cross_site"
        assert site.client().post(path, body).code == "unauthenticated"
        assert site.fan().post(path, body).code == "account_required"
    assert device(site, "eric@example.org").get("/api/account").json["userId"] == thief.user_id
    assert join(victim, proof).status == 204, "the owner of both may"
    assert join(victim, proof).code == "account_joined", "once"


def test_tries_to_prove_another_account_are_limited_as_sign_ins_are(site: Site) -> None:
    stays = account(site, "finn@example.org")
    account(site, "gus@example.org")
    codes = [proved(stays, "gus@example.org", f"guess {number}").code for number in range(30)]
    assert set(codes) <= {"wrong_password", "rate_limited", "sign_in_busy"}
    # On a slow machine the wait of the last one may be over.
    assert set(codes) != {"wrong_password"}


def test_an_issuers_account_and_one_with_a_password_are_joined_by_forms(site: Site, provider: Provider) -> None:
    """The account that stays has no address, so it gets the other's, with its password."""
    event_id = site.event()
    provider.person = {"sub": "hanna"}
    browser = site.client()
    browser.headers["Cookie"] = accounts.cookies_of(accounts.through_the_issuer(site, browser))
    stays = browser.get("/api/account").json
    goes = account(site, "hanna@example.org")
    goes.join(event_id)
    bought = goes.buy(event_id, [(1, 3, 1)])["purchaseId"]
    page = browser.get("/account").content.decode()
    assert "Another account of yours" in page
    shown = sent_form(browser, "/account/join/proof", mail="hanna@example.org", password=PASSWORD)
    assert shown.status == 303
    where = shown.headers["Location"]
    page = browser.get(where).content.decode()
    assert "hanna@example.org" in page
    assert "The other account’s address and password sign you in here." in page
    (proof,) = re.findall(r'name="proof" value="([^"]+)"', page)
    done = sent_form(browser, "/account/join", proof=proof)
    assert (done.status, done.headers["Location"]) == (303, "/account?told=joined")
    page = browser.get("/account?told=joined").content.decode()
    assert "is being joined to this one" in page
    fan = device(site, "hanna@example.org")
    assert (fan.user_id, had(fan)) == (stays["userId"], {bought})
    await_that(lambda: owners(site, "purchase", event_id) == {stays["userId"]}, MOVED_SECONDS_MAX, what="the purchase")


def test_an_issuer_proves_the_other_account_and_signs_in_to_the_one_that_stays(site: Site, provider: Provider) -> None:
    provider.person = {"sub": "ines"}
    other = site.client()
    other.headers["Cookie"] = accounts.cookies_of(accounts.through_the_issuer(site, other))
    goes = other.get("/api/account").json["userId"]
    browser = site.client()
    stays = account(site, "ines@example.org")
    browser.headers["Cookie"] = f"admitone_session={stays.token}"
    start = browser.post("/api/account/identities", {"issuer": "", "password": PASSWORD}).json["href"]
    where = accounts.back_from_the_issuer(browser, start).headers["Location"]
    assert where.startswith("/account/join?proof=")
    assert goes != stays.user_id
    (proof,) = re.findall(r'name="proof" value="([^"]+)"', browser.get(where).content.decode())
    assert sent_form(browser, "/account/join", proof=proof, password=PASSWORD).headers["Location"].endswith("=joined")
    again = site.client()
    again.headers["Cookie"] = accounts.cookies_of(accounts.through_the_issuer(site, again))
    assert again.get("/api/account").json["userId"] == stays.user_id


def test_a_mails_link_proves_the_other_account(site: Site) -> None:
    goes = account(site, "jan@example.com")
    stays = account(site, "jan@example.org")
    browser = site.client()
    browser.headers["Cookie"] = f"admitone_session={stays.token}"
    token = LinkTokens(SECRET).sign_account_link("jan@example.com")
    assert "joined to the one that you are signed in to" in browser.get(f"/account/links/{token}").content.decode()
    where = sent_form(browser, "/account/join/proof", link=token).headers["Location"]
    (proof,) = re.findall(r'name="proof" value="([^"]+)"', browser.get(where).content.decode())
    assert sent_form(browser, "/account/join", proof=proof, password=PASSWORD).headers["Location"].endswith("=joined")
    assert is_out(goes)
    assert stays.post("/api/account/joins/proof", {"link": token}).code == "account_joined"
