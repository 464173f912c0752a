"""The operators' desk: a fan is found by what the fan can tell, and helped; every act is logged with who and why."""

from __future__ import annotations

import datetime as dt
import uuid

import psycopg
import pytest

from db.events.seed import RoomSeed
from db.operators.accounts import add_operator
from db.operators.roles import OperatorRole
from tests.acceptance.conftest import PASSWORD, Site
from tests.client import Client
from tests.waiting import await_that


@pytest.fixture(scope="module")
def steward(site: Site) -> Client:
    add_operator(site.database_url, "stella", PASSWORD, role=OperatorRole.STEWARD)
    client = Client(site.url, source="127.0.211.1")
    token = client.post("/api/ops/session", {"name": "stella", "password": PASSWORD}).json["token"]
    client.headers["Authorization"] = f"Bearer {token}"
    return client


def found(steward: Client, sought: str, event_id: int | None = None) -> list[tuple[int, int, str]]:
    asked = f"/api/ops/desk?q={sought}" + ("" if event_id is None else f"&eventId={event_id}")
    answer = steward.get(asked)
    assert answer.status == 200, answer.content
    return [(one["eventId"], one["userId"], one["foundBy"]) for one in answer.json["fans"]]


def test_a_fan_is_found_by_what_the_fan_can_tell(site: Site, steward: Client) -> None:
    event_id = site.event()
    fan = site.admitted_fan(event_id)
    hold = fan.hold(event_id, [(1, 1, 1)])
    given = fan.call("PUT", f"/api/events/{event_id}/contact", {"mail": "Fan@Example.org"})
    assert given.status == 200, given.content
    bought = fan.checkout(event_id, hold["reservationId"]).result
    code = bought["details"][0]["ticketCode"]
    assert found(steward, bought["purchaseId"]) == [(event_id, fan.user_id, "order")]
    assert found(steward, hold["reservationId"]) == [(event_id, fan.user_id, "hold")]
    assert found(steward, "Fan%40example.ORG") == [(event_id, fan.user_id, "address")]
    assert found(steward, code.lower()) == [(event_id, fan.user_id, "ticket")]
    assert found(steward, str(fan.user_id)) == [(event_id, fan.user_id, "session")]
    assert found(steward, str(uuid.uuid4())) == []
    assert found(steward, bought["purchaseId"], event_id + 1) == []
    shut = site.event(room=RoomSeed(rate_per_minute=0))
    waiting = site.fan()
    token = waiting.join(shut).json["token"]
    assert found(steward, token, shut) == [(shut, waiting.user_id, "place")]
    assert found(steward, str(waiting.user_id), shut) == [(shut, waiting.user_id, "place")]
    file = steward.get(f"/api/ops/rooms/{event_id}/fans/{fan.user_id}").json
    assert [purchase["purchaseId"] for purchase in file["purchases"]] == [bought["purchaseId"]]
    assert [hold["state"] for hold in file["holds"]] == ["purchased"]
    assert file["addresses"] == {"mail": "Fan@example.org"}
    assert "bought" in [entry["reason"] for entry in file["history"]]
    assert steward.get(f"/api/ops/rooms/{event_id}/fans/12345").code == "unknown_fan"


def test_a_hold_is_extended_and_the_act_is_logged(site: Site, steward: Client) -> None:
    event_id = site.event()
    fan = site.admitted_fan(event_id)
    hold = fan.hold(event_id, [(1, 1, 1)])
    path = f"/api/ops/rooms/{event_id}/fans/{fan.user_id}"
    body = {"reservationId": hold["reservationId"], "seconds": 600, "why": "the card reader was slow"}
    answer = steward.post(f"{path}/hold", body)
    assert (answer.status, answer.json["kind"]) == (200, "extend")
    ends_at = dt.datetime.fromisoformat(answer.json["result"]["expiresAt"])
    assert ends_at - dt.datetime.fromisoformat(hold["expiresAt"]) == dt.timedelta(seconds=600)
    (shown,) = fan.get(f"/api/reservations?eventId={event_id}").json["reservations"]
    assert dt.datetime.fromisoformat(shown["expiresAt"]) == ends_at
    (act,) = steward.get(path).json["acts"]
    assert (act["operator"], act["what"], act["why"]) == ("stella", "hold", "the card reader was slow")
    # The seats can still be bought, and a hold that was bought is not extended.
    fan.checkout(event_id, hold["reservationId"])
    assert steward.post(f"{path}/hold", body).json["problem"]["code"] == "hold_expired"
    assert steward.post(f"{path}/hold", body | {"why": ""}).code == "invalid_request"


def test_a_fan_is_put_back_in_line(site: Site, steward: Client) -> None:
    event_id = site.event(room=RoomSeed(rate_per_minute=0))
    fans = [site.fan() for _ in range(3)]
    tokens = [fan.join(event_id).json["token"] for fan in fans]
    fans[1].leave(event_id)
    path = f"/api/ops/rooms/{event_id}/fans/{fans[1].user_id}/place"
    back = steward.post(path, {"where": "old", "why": "left by mistake"})
    assert (back.status, back.json["state"], back.json["position"]) == (200, "waiting", 2)
    assert fans[1].poll(event_id).json["position"] == 2
    front = steward.post(
        f"/api/ops/rooms/{event_id}/fans/{fans[2].user_id}/place", {"where": "front", "why": "wheelchair"}
    )
    assert front.json["position"] == 1
    reasons = [entry["reason"] for entry in fans[1].get(f"/api/queue/{event_id}/receipt").json["entries"]]
    assert reasons[-1] == "put_back_by_operator"
    # One more stands ahead, and the position that was shown does not rise.
    assert fans[1].poll(event_id, place_token=tokens[1]).json["position"] == 2


def test_a_message_is_sent_again(site: Site, steward: Client) -> None:
    event_id = site.event()
    fan = site.admitted_fan(event_id)
    fan.call("PUT", f"/api/events/{event_id}/contact", {"mail": "lost@example.org"})
    fan.checkout(event_id, fan.hold(event_id, [(1, 1, 1)])["reservationId"])
    path = f"/api/ops/rooms/{event_id}/fans/{fan.user_id}"

    def messages(state: str) -> list[dict[str, str]]:
        return [one for one in steward.get(path).json["messages"] if one["state"] == state]

    with psycopg.connect(site.database_url) as connection:
        await_that(lambda: steward.get(path).json["messages"], seconds_max=30)
        connection.execute("UPDATE message SET state = 'sent', ended_at = now() WHERE event_id = %s", (event_id,))
    (sent,) = messages("sent")
    answer = steward.post(f"{path}/messages", {"messageId": sent["messageId"], "why": "deleted it"})
    assert answer.status == 204, answer.content
    again = [one for one in steward.get(path).json["messages"] if one["messageId"] != sent["messageId"]]
    assert [one["address"] for one in again] == ["lost@example.org"]
    assert steward.post(f"{path}/messages", {"messageId": str(uuid.uuid4()), "why": "x"}).code == "unknown_message"


def test_only_stewards_help(site: Site) -> None:
    mine, another = site.event(), site.event()
    add_operator(site.database_url, "vera", PASSWORD, role=OperatorRole.VIEWER)
    with psycopg.connect(site.database_url) as connection:
        connection.execute("INSERT INTO operator_event_role VALUES ('vera', %s, 'steward')", (mine,))
    client = Client(site.url, source="127.0.212.1")
    token = client.post("/api/ops/session", {"name": "vera", "password": PASSWORD}).json["token"]
    client.headers["Authorization"] = f"Bearer {token}"
    fan = site.admitted_fan(another)
    hold = fan.hold(another, [(1, 1, 1)])
    assert found(client, hold["reservationId"]) == []
    assert client.get(f"/api/ops/rooms/{another}/fans/{fan.user_id}").code == "not_your_role"
    other = site.admitted_fan(mine)
    assert found(client, other.hold(mine, [(1, 1, 1)])["reservationId"]) == [(mine, other.user_id, "hold")]
