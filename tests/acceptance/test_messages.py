"""Fans are told by a development site: what they give, what they are sent, and how they end it."""

from __future__ import annotations

import base64
import datetime as dt
import hmac
import json
import re
import urllib.error
import urllib.request
from typing import Any, Final
from urllib.parse import urlencode

import psycopg
import pytest
import redis
from standardwebhooks import Webhook

from db.events.seed import RoomSeed
from db.languages import LANGUAGE_TAGS
from db.messages.addresses import hash_of
from db.messages.kinds import MessageKind
from messages.links import LinkTokens, Reader
from tests.acceptance.conftest import Site
from tests.client import Client, Fan
from tests.factories import SECRET
from tests.waiting import await_that

REPORTS: Final = "whsec_" + base64.b64encode(b"a secret of providers, shared").decode()
TWILIO: Final = "a token of an account"
ENVIRON = {
    "ADMITONE_MESSAGE_LINKS": "https://venue.example",
    "ADMITONE_MESSAGE_WEBHOOK_SECRET": REPORTS,
    "ADMITONE_SMS_URL": f"twilio://AC1:{TWILIO}@127.0.0.1:1/",
    "ADMITONE_MESSAGE_QUIET_FROM": "0",
    "ADMITONE_MESSAGE_QUIET_UNTIL": "0",
    "ADMITONE_CONNECTED_SECONDS": "2",
    "ADMITONE_ABSENCE_SECONDS": "60",
}
FORM: Final = {"Content-Type": "application/x-www-form-urlencoded"}


def told(site: Site, address: str, kind: str) -> dict[str, Any]:
    """The message of a kind to an address, once it was sent."""

    def look() -> dict[str, Any] | None:
        with psycopg.connect(site.database_url) as connection:
            row = connection.execute(
                "SELECT copy FROM message WHERE address_hash = %s AND kind = %s AND state = 'sent'",
                (hash_of(address), kind),
            ).fetchone()
        return None if row is None else json.loads(row[0])

    found = await_that(look, seconds_max=40, what=f"{kind} to {address}")
    assert found is not None
    return found


def link(message: dict[str, Any], pattern: str) -> str:
    found = re.search(rf"https://venue\.example({pattern})", message["text"])
    assert found is not None, message["text"]
    return found[1]


def sent_form(client: Client, path: str, fields: dict[str, str]) -> Any:
    return client.call("POST", path, raw=urlencode(fields).encode(), headers=FORM)


def test_tickets_come_to_an_address_that_is_given_after_they_were_bought(site: Site) -> None:
    event_id = site.event()
    fan = site.admitted_fan(event_id)
    fan.buy(event_id, [(1, 1, 1)])
    answer = fan.call("PUT", f"/api/events/{event_id}/contact", {"mail": "Ada@Example.ORG", "language": "de"})
    assert (answer.status, answer.json) == (200, {"mail": "A…@example.org", "phone": None})
    assert fan.get(f"/api/events/{event_id}/contact").json["mail"] == "A…@example.org"
    mail = told(site, "Ada@example.org", "purchase")
    assert mail["subject"].startswith("Ihr Ticket: ")
    assert mail["files"] == ["tickets.pdf", "event.ics"]
    page = site.client().get("/dev/mailbox")
    assert page.status == 200
    assert "Ihr Ticket: " in page.content.decode()


@pytest.mark.parametrize(
    "mail", ["nobody", "a@b", "a b@example.org", "a@example.org\nBcc: b@example.org", "@example.org"]
)
def test_what_is_no_address_is_refused_and_nothing_kept(site: Site, mail: str) -> None:
    event_id, fan = site.event(), site.fan()
    answer = fan.call("PUT", f"/api/events/{event_id}/contact", {"mail": mail})
    assert (answer.status, answer.code) == (400, "invalid_request")
    assert fan.get(f"/api/events/{event_id}/contact").json["mail"] is None


def test_a_fan_who_closed_the_page_is_told_of_the_turn_and_comes_back_elsewhere(site: Site) -> None:
    event_id = site.event(room=RoomSeed(rate_per_minute=0, capacity=5))
    fan = site.fan()
    assert fan.join(event_id).json["state"] == "waiting"
    fan.call("PUT", f"/api/events/{event_id}/contact", {"mail": "turn@example.org"})
    await_that(lambda: absent(site, event_id), seconds_max=20)
    patched = site.operator().patch(f"/api/ops/rooms/{event_id}", {"ratePerMinute": 600})
    assert patched.status == 200, patched.content
    mail = told(site, "turn@example.org", "turn")
    token = link(mail, rf"/events/{event_id}#place=\S+").partition("#place=")[2]
    phone = site.fan()
    came = phone.join(event_id, place_token=token)
    assert came.json["ticketNumber"] == 1, "it is the same place"
    await_that(lambda: phone.poll(event_id).json["state"] == "called", seconds_max=20)
    assert phone.claim(event_id).status == 200


def absent(site: Site, event_id: int) -> bool:
    """Whether the fan of the line has not been heard of for longer than counts as connected."""
    with redis.Redis.from_url(site.redis_url) as client:
        seconds, _ = client.time()
        seen = client.hvals(f"room:{{{event_id}}}:seen")
        return all(int(at) < (seconds - 3) * 1000 for at in seen)


def test_only_the_buttons_of_a_mails_pages_change_anything(site: Site) -> None:
    event_id, fan = site.event(), site.fan()
    asked = {"eventId": event_id, "what": "venue", "mail": "follow@example.org", "language": "en"}
    assert fan.post("/api/follows", asked).status == 204
    path = link(told(site, "follow@example.org", "confirm"), r"/messages/confirm/\S+")
    nobody = site.client()

    def confirmed() -> bool:
        with psycopg.connect(site.database_url) as connection:
            query = "SELECT confirmed_at IS NOT NULL FROM follower WHERE address_hash = %s"
            return bool(connection.execute(query, (hash_of("follow@example.org"),)).fetchone() == (True,))

    assert nobody.get(path).status == 200
    assert not confirmed(), "a mail scanner opens links"
    assert sent_form(nobody, path, {}).status == 200
    assert confirmed()
    made = site.event()
    mail = told(site, "follow@example.org", "new_event")
    assert f"/events/{made}" in mail["text"]
    away = link(mail, r"/messages/\S+/unsubscribe")
    assert nobody.get(away).status == 200
    assert suppressed(site, "follow@example.org") == []
    one_click = nobody.call("POST", away, raw=b"List-Unsubscribe=One-Click", headers=FORM)
    assert one_click.status == 200
    assert suppressed(site, "follow@example.org") == [("new_event", "unsubscribed")]
    choices = away.removesuffix("/unsubscribe")
    assert 'value="new_event"> ' in nobody.get(choices).content.decode()
    kept = sent_form(nobody, choices, {"kind": "new_event"})
    assert kept.status == 303
    assert ("new_event", "unsubscribed") not in suppressed(site, "follow@example.org")
    assert ("turn", "unsubscribed") in suppressed(site, "follow@example.org")


def suppressed(site: Site, address: str) -> list[tuple[str, str]]:
    with psycopg.connect(site.database_url) as connection:
        query = "SELECT kind, reason FROM suppression WHERE address_hash = %s ORDER BY kind"
        return connection.execute(query, (hash_of(address),)).fetchall()


def status_of(site: Site, method: str, path: str) -> int:
    """The status of a page's answer, which may be an error page."""
    try:
        with urllib.request.urlopen(urllib.request.Request(site.url + path, method=method), timeout=30) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code


def test_a_forged_link_opens_nothing(site: Site) -> None:
    for path in ("/messages/abc", "/messages/abc/unsubscribe", "/de/messages/abc"):
        assert status_of(site, "GET", path) == 404, path
    for path in ("/messages/abc", "/messages/confirm/abc", "/messages/abc/unsubscribe"):
        assert status_of(site, "POST", path) == 404, path


def test_forms_work_without_scripts(site: Site) -> None:
    event_id, fan = site.event(room=RoomSeed(rate_per_minute=0, capacity=5)), site.fan()
    fan.headers["Cookie"] = f"admitone_session={fan.token}"
    html = fan.get(f"/events/{event_id}").content.decode()
    assert f'action="/events/{event_id}/contact"' in html
    answer = sent_form(fan, f"/events/{event_id}/contact", {"mail": "form@example.org"})
    assert answer.status == 303
    assert answer.headers["Location"] == f"/events/{event_id}?told=contact#told"
    assert "We shall write to you." in fan.get(f"/events/{event_id}?told=contact").content.decode()
    assert fan.get(f"/api/events/{event_id}/contact").json["mail"] == "f…@example.org"
    refused = sent_form(fan, f"/events/{event_id}/contact", {"mail": "no address"})
    assert refused.headers["Location"].startswith(f"/events/{event_id}?told=invalid_request")


def report(site: Site, body: dict[str, str], secret: str = REPORTS, path: str = "reports") -> Any:
    content, at = json.dumps(body), dt.datetime.now(dt.UTC)
    headers = {
        "Content-Type": "application/json",
        "webhook-id": "report-1",
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": Webhook(secret).sign("report-1", at, content),
    }
    return site.client().call("POST", f"/api/messages/{path}", raw=content.encode(), headers=headers)


def test_a_bounce_that_is_signed_ends_the_messages_to_an_address(site: Site) -> None:
    bounce = {"type": "bounce", "address": "bounced@example.org", "detail": "550 5.1.1"}
    forged = report(site, bounce, "whsec_" + base64.b64encode(b"another secret, of nobody").decode())
    assert (forged.status, forged.code) == (401, "signature_invalid")
    assert suppressed(site, "bounced@example.org") == []
    assert report(site, bounce).status == 204
    assert suppressed(site, "bounced@example.org") == [("", "bounce")]
    assert report(site, {"type": "praise", "address": "a@example.org"}).status == 400


def signed_by_twilio(path: str, fields: dict[str, str], token: str) -> str:
    """As Twilio's documentation says: the address, and each field's name and value in the order of the names."""
    text = f"https://venue.example{path}" + "".join(f"{name}{fields[name]}" for name in sorted(fields))
    return base64.b64encode(hmac.new(token.encode(), text.encode(), "sha1").digest()).decode()


def answered(site: Site, number: str, words: str, *, token: str = TWILIO, path: str = "/api/messages/replies") -> Any:
    fields = {"MessageSid": "SM1", "AccountSid": "AC1", "From": number, "To": "+4930123", "Body": words, "ToState": ""}
    headers = {**FORM, "X-Twilio-Signature": signed_by_twilio(path, fields, token)}
    return site.client().call("POST", path, raw=urlencode(fields).encode(), headers=headers)


def test_a_reader_stops_sms_by_an_answer_and_takes_it_back(site: Site) -> None:
    number = "+4915112345678"
    forged = answered(site, number, "STOP", token="another token")
    assert (forged.status, forged.code) == (401, "signature_invalid")
    assert answered(site, number, "When does it begin?").status == 200
    assert suppressed(site, number) == []
    stopped = answered(site, number, " Stop. ", path="/api/messages/replies?from=twilio")
    assert (stopped.status, stopped.content) == (200, b"<Response/>")
    assert suppressed(site, number) == [("", "unsubscribed")]
    assert answered(site, number, "START").status == 200
    assert suppressed(site, number) == []


def test_any_other_provider_of_sms_signs_what_it_posts(site: Site) -> None:
    body = {"from": "+49 151 2222222", "text": "Arrêt"}
    forged = report(site, body, "whsec_" + base64.b64encode(b"another secret, of nobody").decode(), "replies")
    assert (forged.status, forged.code) == (401, "signature_invalid")
    assert report(site, body, path="replies").status == 200
    assert suppressed(site, "+491512222222") == [("", "unsubscribed")]
    assert report(site, {"from": "nobody", "text": "STOP"}, path="replies").status == 400


@pytest.mark.parametrize(
    "reader",
    [
        Reader(channel="sms", address="+4915133333333"),
        Reader(channel="push", address="https://push.example/send/" + "x" * 300, kind="turn"),
    ],
    ids=lambda reader: reader.channel,
)
def test_a_reader_without_mail_chooses_kinds_and_quiet_hours(site: Site, reader: Reader) -> None:
    path, nobody = f"/messages/{LinkTokens(SECRET).sign_reader(reader)}", site.client()
    html = nobody.get(path).content.decode()
    assert 'value="turn" checked' in html
    assert 'value="purchase"' not in html, "tickets come by mail alone"
    assert ("push.example" in html) is False
    asked = {"kind": "turn", "quietFrom": "22", "quietUntil": "7"}
    assert sent_form(nobody, path, asked).status == 303
    chosen = nobody.get(path).content.decode()
    assert 'value="turn" checked' in chosen
    assert 'value="hold_ending" checked' not in chosen
    assert '<option value="22" selected>22:00' in chosen
    assert '<option value="7" selected>07:00' in chosen
    assert ("turn", "unsubscribed") not in suppressed(site, reader.address)
    assert ("hold_ending", "unsubscribed") in suppressed(site, reader.address)
    assert sent_form(nobody, path, {"kind": "turn", "quietFrom": "99", "quietUntil": "7"}).status == 303
    assert "selected" not in nobody.get(path).content.decode()


def test_the_form_of_the_tickets_leads_back_to_them(site: Site) -> None:
    event_id = site.event()
    fan = site.admitted_fan(event_id)
    fan.headers["Cookie"] = f"admitone_session={fan.token}"
    path = f"/purchases/{fan.buy(event_id, [(1, 1, 1)])['purchaseId']}"
    asked = {"mail": "tickets@example.org", "purchase": path.rpartition("/")[2]}
    answer = sent_form(fan, f"/events/{event_id}/contact", asked)
    assert (answer.status, answer.headers["Location"]) == (303, f"{path}?told=tickets#told")
    assert "on their way" in fan.get(f"{path}?told=tickets").content.decode()
    refused = sent_form(fan, f"/events/{event_id}/contact", {**asked, "mail": "no address"})
    assert refused.headers["Location"] == f"{path}?told=invalid_request#told"
    elsewhere = sent_form(fan, f"/events/{event_id}/contact", {**asked, "purchase": "//evil.example"})
    assert elsewhere.headers["Location"] == f"/events/{event_id}?told=contact#told"


def test_an_address_of_one_fan_is_nobody_elses(site: Site) -> None:
    event_id = site.event()
    one, other = site.fan(), site.fan()
    one.call("PUT", f"/api/events/{event_id}/contact", {"mail": "one@example.org"})
    assert other.get(f"/api/events/{event_id}/contact").json["mail"] is None
    assert Fan.arrive(site.url).get(f"/api/events/{event_id}/contact").json["mail"] is None


def test_dead_letters_are_seen_and_sent_again(site: Site) -> None:
    event_id, operator = site.event(), site.operator()
    with psycopg.connect(site.database_url) as connection:
        connection.execute(
            "INSERT INTO message (event_id, message_id, kind, channel, address, address_hash, user_id, language,"
            " dedup_key, payload, urgency, state, tries, due_at, useful_until, ended_at, error)"
            " VALUES (%s, gen_random_uuid(), 'event_changed', 'mail', 'dead@example.org', %s, 1, 'en', 'dead', '{}', 2,"
            " 'dead', 8, now(), now(), now(), '451 come back later')",
            (event_id, hash_of("dead@example.org")),
        )
    dead = operator.get("/api/ops/messages/dead").json
    assert [(one["address"], one["tries"], one["error"]) for one in dead["messages"]] == [
        ("dead@example.org", 8, "451 come back later")
    ]
    assert site.fan().get("/api/ops/messages/dead").status in (401, 403)
    assert operator.post("/api/ops/messages/resend", {}).json == {"resent": 1}
    assert "has changed" in told(site, "dead@example.org", "event_changed")["text"]
    assert operator.get("/api/ops/messages/dead").json == {"count": 0, "messages": []}


def test_every_mail_is_previewed_in_every_language(site: Site) -> None:
    nobody = site.client()
    for kind in MessageKind:
        for tag in LANGUAGE_TAGS:
            answer = nobody.get(f"/ops/messages/preview/{kind}/{tag}")
            html = answer.content.decode()
            assert answer.status == 200
            assert f'<html lang="{tag}"' in html
            assert "sandbox" in answer.headers["Content-Security-Policy"]
            assert "%(" not in html
    assert "Moved: A Night" in nobody.get("/ops/messages/preview/event_moved/en?text=true").content.decode()


def test_no_log_and_no_table_has_an_address_a_code_or_a_token(site: Site) -> None:
    """It is the module's last test, so that the logs are those of all before it."""
    event_id = site.event()
    fan, operator = site.admitted_fan(event_id), site.operator()
    bought = fan.buy(event_id, [(1, 1, 1)])
    fan.call("PUT", f"/api/events/{event_id}/contact", {"mail": "grep@example.org", "phone": "+4930777777"})
    told(site, "grep@example.org", "purchase")
    assert operator.get("/api/ops/desk?q=grep@example.org").json["fans"]
    token = LinkTokens(SECRET).sign_reader(Reader(channel="mail", address="grep@example.org", kind="turn"))
    code = bought["details"][0]["ticketCode"]
    with psycopg.connect(site.database_url, autocommit=True) as connection:
        connection.execute("ALTER TABLE follower RENAME TO follower_away")
        assert status_of(site, "GET", f"/messages/{token}") == 500
        connection.execute("ALTER TABLE follower_away RENAME TO follower")
        kept = connection.execute("SELECT outcome::text FROM booking_command").fetchall()
        kept += connection.execute("SELECT ticket_code FROM purchase_detail").fetchall()
        # The mailbox of a development site keeps whole messages, and is left out.
        kept += connection.execute("SELECT address || error || dedup_key || payload::text FROM message").fetchall()
    with redis.Redis.from_url(site.redis_url) as client:
        results = b"".join(client.get(key) or b"" for key in client.scan_iter("job:*"))
    assert b"ticketCode" in results, "there are results to look at"
    logs = "".join(service.text() for service in site.services.started)
    assert "/messages/…" in logs, "the fault was logged"
    stored = "".join(row[0] for row in kept) + results.decode(errors="replace")
    for secret in ("grep@", "4930777777", code, token, fan.token, operator.headers["Authorization"]):
        assert secret not in logs
        assert secret not in stored
    addresses = re.findall(r"[A-Za-z0-9.]+@example[.]org", logs + stored)
    assert addresses == [] or set(addresses) == {"dead@example.org"}, "the one that a test wrote plain"
