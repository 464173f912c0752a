"""Orders over HTTP: what an event asks, the office's list, lost tickets, refunds and complimentary tickets."""

from __future__ import annotations

import csv
import io
import json
import re
from typing import Any, Final
from urllib.parse import quote

import psycopg
import pytest

from db.booking.order_codes import number_of
from db.booking.states import SeatStatus
from db.messages.addresses import hash_of
from db.operators.accounts import add_operator
from db.operators.roles import OperatorRole
from tests.acceptance.conftest import PASSWORD, Site
from tests.acceptance.test_languages import get
from tests.client import Client, Fan
from tests.waiting import await_that

ASKS: Final = {
    "asks": True,
    "attendees": True,
    "address": True,
    "questions": [{"text": "=How did you hear of us?", "required": True}, {"text": "Anything else?"}],
    "terms": "No bottles.",
}
SEAT, NEXT = {"ticketTypeId": 1, "rowNumber": 1, "seatNumber": 1}, {"ticketTypeId": 1, "rowNumber": 1, "seatNumber": 2}


@pytest.fixture(scope="module")
def steward(site: Site) -> Client:
    add_operator(site.database_url, "stella", PASSWORD, role=OperatorRole.STEWARD)
    client = Client(site.url, source="127.0.212.1")
    token = client.post("/api/ops/session", {"name": "stella", "password": PASSWORD}).json["token"]
    client.headers["Authorization"] = f"Bearer {token}"
    return client


def answers(event_id: int, **other: Any) -> dict[str, Any]:
    return {
        "eventId": event_id,
        "name": "Ada Lovelace",
        "mail": "Ada@Example.org",
        "attendees": [SEAT | {"name": "@Zoë Müller"}, NEXT | {"name": "Ada Lovelace"}],
        "answers": [{"questionId": 1, "answer": "=1+1"}],
        "address": " St James 12\nLondon ",
        "termsVersion": 1,
        "language": "en",
    } | other


def found(client: Client, event_id: int, sought: str) -> list[str]:
    answer = client.get(f"/api/ops/events/{event_id}/orders?q={quote(sought)}")
    assert answer.status == 200, answer.content
    return [one["orderCode"] for one in answer.json["orders"]]


def sent(site: Site, mail: str, kind: str) -> dict[str, Any]:
    def look() -> str | None:
        with psycopg.connect(site.database_url) as connection:
            row = connection.execute(
                "SELECT copy FROM message WHERE address_hash = %s AND kind = %s AND state = 'sent'"
                " ORDER BY created_at DESC",
                (hash_of(mail), kind),
            ).fetchone()
        return None if row is None else str(row[0])

    copy: dict[str, Any] = json.loads(await_that(look, 40, what=f"{kind} to {mail}") or "")
    return copy


def asking(site: Site) -> tuple[int, Fan, dict[str, Any]]:
    """An event that asks, and a fan of it who holds two seats."""
    event_id = site.event()
    answer = site.operator().call("PUT", f"/api/ops/events/{event_id}/asks", ASKS)
    assert (answer.status, answer.json["termsVersion"]) == (200, 1)
    fan = site.admitted_fan(event_id)
    return event_id, fan, fan.hold(event_id, [(1, 1, 1), (1, 1, 2)])


def test_an_event_that_asks_sells_nothing_before_it_was_answered(site: Site, steward: Client) -> None:
    event_id, fan, hold = asking(site)
    assert fan.get(f"/api/initial-call/{event_id}").json["event"]["asks"] is True
    asked = fan.get(f"/api/events/{event_id}/asks").json
    assert [one["questionId"] for one in asked["questions"]] == [1, 2]
    assert fan.checkout(event_id, hold["reservationId"]).code == "answers_missing"
    path = f"/api/reservations/{hold['reservationId']}/answers"
    wrong: dict[str, Any]
    for wrong in (
        {"attendees": [SEAT | {"name": "Ada"}]},
        {"answers": []},
        {"answers": [{"questionId": 3, "answer": "x"}]},
        {"mail": "nobody"},
        {"name": "\u200b"},
        {"address": " "},
    ):
        assert fan.call("PUT", path, answers(event_id, **wrong)).code == "invalid_request", wrong
    assert fan.call("PUT", path, answers(event_id, termsVersion=0)).code == "terms_changed"
    assert site.fan().call("PUT", path, answers(event_id)).code == "hold_expired", "it is another fan's hold"
    assert fan.checkout(event_id, hold["reservationId"]).code == "answers_missing"
    assert fan.call("PUT", path, answers(event_id)).status == 204
    # New terms: who agreed to the old ones agrees anew.
    assert site.operator().call("PUT", f"/api/ops/events/{event_id}/asks", ASKS | {"terms": "No cans."}).status == 200
    assert fan.checkout(event_id, hold["reservationId"]).code == "answers_missing"
    assert fan.call("PUT", path, answers(event_id, termsVersion=2)).status == 204
    bought = fan.checkout(event_id, hold["reservationId"]).result

    # The fan's own order, on its page too; and nobody else's.
    own = fan.get(f"/api/purchases/{bought['purchaseId']}/order").json
    assert (own["name"], own["mail"], own["termsVersion"]) == ("Ada Lovelace", "ada@example.org", 2)
    assert own["address"] == "St James 12\nLondon"
    code = fan.get(f"/api/purchases/{bought['purchaseId']}").json["orderCode"]
    assert own["orderCode"] == code
    assert number_of(code) is not None
    page = get(site, f"/purchases/{bought['purchaseId']}", {"Cookie": f"admitone_session={fan.token}"})[2]
    assert all(words in page for words in (code, "Ada Lovelace", "@Zoë Müller"))
    assert site.fan().get(f"/api/purchases/{bought['purchaseId']}/order").code == "unknown_purchase"
    assert sent(site, "ada@example.org", "purchase")["files"] == ["tickets.pdf", "event.ics"]

    # The office finds it by all that its fan can tell.
    ticket = bought["details"][0]["ticketCode"]
    for sought in (
        code, f"{code[:4]}-{code[4:].lower()}", "ADA@example.org", "lovelace", "zoe MULLER", "row 1 seat 2",
        bought["purchaseId"], ticket,
    ):  # fmt: skip
        assert found(steward, event_id, sought) == [code], sought
    for sought in ("love", "22222222", "row 9 seat 9", "bob@example.org", "\x00"):
        assert found(steward, event_id, sought) == ([code] if sought == "\x00" else []), sought

    # The CSV says it in one line, and nothing in it is a formula.
    assert steward.get(f"/api/ops/events/{event_id}/orders.csv").code == "not_your_role"
    text = site.operator().get(f"/api/ops/events/{event_id}/orders.csv").content.decode()
    head, row = csv.reader(io.StringIO(text))
    line = dict(zip(head, row, strict=True))
    assert line["'=How did you hear of us?"] == "'=1+1"
    assert (line["orderCode"], line["name"], line["attendees"]) == (code, "Ada Lovelace", "'@Zoë Müller, Ada Lovelace")

    # With a name and an address changed, and the tickets sent there.
    path = f"/api/ops/events/{event_id}/orders/{bought['purchaseId']}"
    assert steward.patch(path, {"name": "Ada King", "mail": "king@example.org", "why": "married"}).status == 204
    assert sent(site, "king@example.org", "purchase")
    assert found(steward, event_id, "king") == [code]
    order = steward.get(path).json
    assert (order["name"], len(order["seats"]), "ticketCode" in order["seats"][0]) == ("Ada King", 2, False)
    assert steward.patch(path, {"answers": [{"questionId": 3, "answer": "x"}]}).code == "invalid_request"
    told = {"answers": [{"questionId": 1, "answer": ""}, {"questionId": 2, "answer": "By train"}], "address": "Ockham"}
    assert steward.patch(path, told).status == 204
    changed = steward.get(path).json
    assert [(one["questionId"], one["answer"]) for one in changed["answers"]] == [(2, "By train")]
    assert (changed["address"], changed["name"], changed["attendees"]) == ("Ockham", "Ada King", order["attendees"])
    assert steward.post(f"{path}/tickets", {"why": "lost"}).status == 204
    acts = steward.get(f"/api/ops/rooms/{event_id}/fans/{fan.user_id}").json["acts"]
    assert {(act["operator"], act["what"]) for act in acts} == {("stella", "order")}


def test_the_list_of_orders_goes_on_page_by_page(site: Site, steward: Client) -> None:
    event_id = site.event()
    codes = []
    for number in range(1, 4):
        fan = site.admitted_fan(event_id)
        bought = fan.buy(event_id, [(1, 2, number)])
        codes.append(fan.get(f"/api/purchases/{bought['purchaseId']}").json["orderCode"])
    path = f"/api/ops/events/{event_id}/orders?limit=2"
    first = steward.get(path).json
    rest = steward.get(f"{path}&cursor={first['cursor']}").json
    assert [one["orderCode"] for one in (*first["orders"], *rest["orders"])] == codes[::-1]
    assert rest["cursor"] is None
    assert first["orders"][0]["name"] is None, "the event asks for nothing"
    assert site.client().get(path).code == "unauthenticated"
    assert site.admitted_fan(event_id).get(path).code == "not_operator"


def test_lost_tickets_are_found_by_the_address(site: Site) -> None:
    event_id = site.event()
    fan = site.admitted_fan(event_id)
    bought = fan.buy(event_id, [(1, 2, 1)])
    fan.call("PUT", f"/api/events/{event_id}/contact", {"mail": "Lost@Example.org"})
    for mail in ("Lost@Example.org", "never.bought@example.org"):
        answer = site.client().post("/api/tickets/find", {"mail": mail, "language": "de"})
        assert (answer.status, answer.content) == (204, b""), "the answer tells nothing"
    text = sent(site, "Lost@example.org", "tickets_link")["text"]
    found_path = re.search(r"/de(/purchases/found/(\S+))", text)
    assert found_path is not None
    (order,) = site.client().get(f"/api/tickets/found/{found_path[2]}").json["purchases"]
    assert order["purchaseId"] == bought["purchaseId"]
    page = get(site, found_path[1])[2]
    href = order["href"].removeprefix(site.url)
    assert href in page
    assert bought["details"][0]["ticketCode"] in get(site, href)[2], "in any browser"
    assert site.client().get("/api/tickets/found/x").code == "link_spent"
    assert get(site, "/purchases/found/x")[0] == 404
    with psycopg.connect(site.database_url) as connection:
        asked = connection.execute(
            "SELECT count(*) FROM message WHERE address_hash = %s", (hash_of("never.bought@example.org"),)
        ).fetchone()
    assert asked == (0,)


def test_complimentary_tickets_are_orders_that_cost_nothing(site: Site, steward: Client) -> None:
    event_id = site.event()
    held = site.admitted_fan(event_id).hold(event_id, [(1, 1, 3)])
    assert held
    guest = {"name": "Grace Hopper", "mail": "grace@example.org", "seats": [SEAT, NEXT], "why": "press"}
    path = f"/api/ops/events/{event_id}/gifts"
    assert steward.post(path, guest).code == "not_your_role"
    taken = site.operator().post(path, guest | {"seats": [SEAT, SEAT | {"seatNumber": 3}]})
    assert taken.json["problem"]["code"] == "seats_taken"
    gift = site.operator().post(path, guest).result
    assert (gift["totalAmount"], len(gift["details"])) == (0, 2)
    assert sent(site, "grace@example.org", "purchase")["files"] == ["tickets.pdf", "event.ics"]
    (order,) = steward.get(f"/api/ops/events/{event_id}/orders").json["orders"]
    assert (order["name"], order["givenBy"], order["seats"]) == ("Grace Hopper", "Ada", 2)
    (line,) = [one for one in steward.get(f"/api/ops/events/{event_id}/takings").json["lines"] if one["seats"]]
    assert (line["complimentarySeats"], line["amount"]) == (2, 0)
    with psycopg.connect(site.database_url) as connection:
        rows = connection.execute("SELECT address_hash FROM contact WHERE event_id = %s", (event_id,)).fetchall()
    assert rows == [(hash_of("grace@example.org"),)], "nothing is kept of the gift that failed"
    assert site.operator().post(path, guest).json["problem"]["code"] == "seats_taken"


def test_the_office_takes_seats_back_past_the_fans_time(site: Site, steward: Client) -> None:
    event_id = site.event()
    patched = site.operator().patch(f"/api/ops/rooms/{event_id}", {"cancelHours": 100_000, "cancelFeePercent": 50})
    assert patched.status == 200, patched.content
    fan = site.admitted_fan(event_id)
    bought = fan.buy(event_id, [(1, 1, 1), (1, 1, 2)])
    path = f"/api/ops/events/{event_id}/orders/{bought['purchaseId']}/cancel"
    assert steward.post(path, {}).code == "not_your_role"
    back = site.operator().post(path, {"details": [NEXT], "why": "ill"}).result
    assert (len(back["details"]), "feeAmount" in back) == (1, False)
    assert back["refundAmount"] == bought["details"][1]["amount"]
    rest = site.operator().post(path, {"why": "ill"}).result
    assert (rest["status"], rest["totalAmount"]) == ("cancelled", 0)
    with psycopg.connect(site.database_url) as connection:
        row = connection.execute(
            "SELECT count(*) FROM seat WHERE event_id = %s AND status <> %s", (event_id, SeatStatus.AVAILABLE)
        ).fetchone()
    assert row == (0,)
    assert site.operator().post(path, {}).json["problem"]["code"] == "not_cancellable"
