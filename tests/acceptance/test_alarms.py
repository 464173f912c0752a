"""Operators set when there is an alarm and who is told, and a running site tells them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

import pytest

from db.events.seed import RoomSeed
from tests.acceptance.conftest import Site
from tests.client import Client
from tests.providers import HttpServer, http_server
from tests.waiting import await_that

ENVIRON = {"ADMITONE_MESSAGE_LINKS": "https://venue.example", "ADMITONE_ALARM_GROUP_SECONDS": "0"}
API: Final = "/api/ops/alarms"
CLOSED_DOOR: Final = RoomSeed(rate_per_minute=0, capacity=5)


@pytest.fixture(scope="module")
def office(site: Site) -> Client:
    return site.operator()


@pytest.fixture(scope="module")
def chat() -> Iterator[HttpServer]:
    with http_server() as server:
        yield server


def add(office: Client, **body: Any) -> int:
    answer = office.post(f"{API}/receivers", body)
    assert answer.status == 201, answer.content
    return int(answer.json["receiverId"])


def test_a_long_line_is_told_by_a_running_site(site: Site, office: Client, chat: HttpServer) -> None:
    event_id = site.event(room=CLOSED_DOOR)
    receiver = add(office, chat=f"{chat.url}/services/T0/secretABCD", kinds=["line_long"])
    mailed = add(office, mail="Ops@Venue.Example", name="Office", kinds=["line_long"])
    rule = {"enabled": True, "threshold": 1, "forSeconds": 0}
    answer = office.call("PUT", f"{API}/rules/line_long", rule)
    assert answer.status == 200, answer.content
    site.fan().join(event_id)
    await_that(lambda: chat.asked, seconds_max=60, what="the chat's message")
    text = json.loads(chat.asked[0][2])["text"]
    assert "Alarm: The line is long" in text
    assert "The line has 1 fan." in text
    assert "https://venue.example/ops/alarms" in text
    listed = office.get(API).json
    assert [one["kind"] for one in listed["firing"]] == ["line_long"]
    assert listed["firing"][0]["eventId"] == event_id
    assert listed["lookedAt"] is not None
    metrics = site.client().get("/metrics").content.decode()
    assert 'admitone_alarms{kind="line_long"} 1.0' in metrics
    assert "admitone_alarms_look_age_seconds" in metrics

    def told() -> bool:
        found = {one["receiverId"]: one for one in office.get(f"{API}/receivers").json["receivers"]}
        return all(found[one]["deliveredAt"] is not None for one in (receiver, mailed))

    await_that(told, seconds_max=30, what="both receivers are told")
    assert "The line is long" in site.client().get("/dev/mailbox?to=Ops@venue.example").content.decode()
    assert len(chat.asked) == 1
    assert office.post(f"{API}/receivers/{receiver}/test", None).status == 204
    await_that(lambda: len(chat.asked) == 2, seconds_max=30, what="the test alarm")
    for one in (receiver, mailed):
        assert office.call("DELETE", f"{API}/receivers/{one}").status == 204
    assert office.call("DELETE", f"{API}/rules/line_long").status == 204


def test_a_chats_address_is_shown_to_nobody(office: Client, chat: HttpServer) -> None:
    receiver = add(office, chat=f"{chat.url}/services/T0/secretABCD")
    for path in ("receivers", "log"):
        assert "secretA" not in office.get(f"{API}/{path}").content.decode()
    (shown,) = (one for one in office.get(f"{API}/receivers").json["receivers"] if one["receiverId"] == receiver)
    assert shown["address"] == "127.0.0.1/…ABCD"
    assert office.call("DELETE", f"{API}/receivers/{receiver}").status == 204


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "code"),
    [
        ("PUT", "rules/no_such", {"enabled": True}, 404, "unknown_alarm"),
        ("PUT", "rules/sold_share", {"enabled": True, "threshold": 100}, 400, "invalid_request"),
        ("PUT", "rules/sold_out", {"enabled": True, "threshold": 50}, 400, "invalid_request"),
        ("PUT", "rules/line_long", {"enabled": True, "forSeconds": 3601}, 400, "invalid_request"),
        ("PUT", "rules/booking_p95/events/1", {"enabled": True}, 400, "invalid_request"),
        ("PUT", "rules/line_long/events/999999", {"enabled": True}, 404, "unknown_event"),
        ("POST", "receivers", {"mail": "nobody"}, 400, "invalid_request"),
        ("POST", "receivers", {"mail": "a@venue.example", "chat": "https://chat.example/x"}, 400, "invalid_request"),
        ("POST", "receivers", {}, 400, "invalid_request"),
        ("POST", "receivers", {"mail": "a@venue.example", "kinds": ["no_such"]}, 400, "invalid_request"),
        ("PATCH", "receivers/999999", {"name": "x"}, 404, "unknown_receiver"),
        ("PATCH", "receivers/1", {}, 400, "invalid_request"),
        ("DELETE", "receivers/999999", None, 404, "unknown_receiver"),
        ("POST", "receivers/999999/test", None, 404, "unknown_receiver"),
    ],
)
def test_what_cannot_be_is_refused(office: Client, method: str, path: str, body: Any, status: int, code: str) -> None:
    answer = office.call(method, f"{API}/{path}", body)
    assert (answer.status, answer.code) == (status, code), answer.content


def test_the_command_line_sets_them_too(site: Site, office: Client, chat: HttpServer) -> None:
    def said(*words: str, status: int = 0) -> str:
        done = site.services.run("alarm", *words)
        assert done.returncode == status, (words, done.stdout, done.stderr)
        return (done.stdout + done.stderr).strip()

    assert said("set", "line_long", "--threshold", "70", "--off").startswith("line_long  off  from 70 fans")
    assert "line_long  off  from 70 fans" in said("rules")
    (rule,) = (one for one in office.get(f"{API}/rules").json["rules"] if one["kind"] == "line_long")
    assert (rule["enabled"], rule["threshold"]) == (False, 70)
    assert {"operator": "command line"}.items() <= office.get(f"{API}/log").json["entries"][0].items()
    said("reset", "line_long")
    assert "Nothing was set." in said("reset", "line_long", status=1)
    assert "from 1 to 99" in said("set", "sold_share", "--threshold", "100", status=1)
    assert "no such event" in said("set", "line_long", "--event", "999999", status=1)

    receiver = said("add", "--chat", f"{chat.url}/hooks/secret", "--name", "The office", "--kind", "sold_out")
    (line,) = (one for one in said("receivers").splitlines() if one.startswith(f"{receiver}  "))
    assert "sold_out" in line
    assert "secret" not in line
    said("test", receiver)
    said("remove", receiver)
    assert "no such receiver" in said("remove", receiver, status=1)
    assert "either --mail or --chat" in said("add", status=1)


def test_what_is_set_is_logged_and_defaults_come_back(office: Client) -> None:
    assert office.call("PUT", f"{API}/rules/no_shows", {"enabled": False, "threshold": 7}).status == 200
    (rule,) = (one for one in office.get(f"{API}/rules").json["rules"] if one["kind"] == "no_shows")
    assert (rule["enabled"], rule["threshold"], rule["forSeconds"]) == (False, 7, 300)
    entries = office.get(f"{API}/log").json["entries"]
    assert {"no_shows.enabled", "no_shows.threshold"} <= {one["field"] for one in entries}
    assert office.call("DELETE", f"{API}/rules/no_shows").status == 204
    (rule,) = (one for one in office.get(f"{API}/rules").json["rules"] if one["kind"] == "no_shows")
    assert rule["threshold"] == rule["defaultThreshold"]
