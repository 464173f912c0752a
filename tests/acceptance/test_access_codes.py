"""Access codes over HTTP: issued, redeemed once, in their time; guessed in vain; and the class outlives Redis."""

from __future__ import annotations

import datetime as dt
import functools
import json
import uuid
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest

from db.events.seed import RoomSeed
from gateway.identity.wrong_codes import FAN_WRONG_PER_MINUTE
from tests import waiting
from tests.acceptance.conftest import OPERATOR, Site
from tests.acceptance.test_waiting_room import minute
from tests.client import Answer, Client, Fan

GATEWAYS = 2
WRONG_PER_PREFIX = 25
ENVIRON = {
    "ADMITONE_REBUILD_SECONDS": "2",
    "ADMITONE_CONNECTED_SECONDS": "120",
    "ADMITONE_WRONG_CODES_PER_MINUTE": str(WRONG_PER_PREFIX),
}
SHUT = RoomSeed(rate_per_minute=0, capacity=100)
HOUR = dt.timedelta(hours=1)


@pytest.fixture(scope="module")
def operator(site: Site) -> Client:
    return site.operator()


await_that = functools.partial(waiting.await_that, seconds_max=20)


def issue(operator: Client, event_id: int, label: str = "Fan club", **body: object) -> list[str]:
    answer = operator.post(f"/api/ops/rooms/{event_id}/codes", {"label": label, **body})
    assert answer.status == 201, answer.content
    assert answer.headers["Cache-Control"] == "no-store"
    found: list[str] = answer.json["codes"]
    return found


def issues(operator: Client, event_id: int) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = operator.get(f"/api/ops/rooms/{event_id}/codes").json["issues"]
    return found


def uses(operator: Client, event_id: int) -> int:
    return sum(one["uses"] for one in issues(operator, event_id))


def give(fan: Fan, event_id: int, code: str, *, place_token: str = "") -> Answer:
    return fan.join(event_id, {"accessCode": code}, place_token=place_token)


def test_codes_are_told_once_and_kept_as_hashes(site: Site, operator: Client) -> None:
    event_id = site.event(room=SHUT)
    codes = issue(operator, event_id, count=100, why="presale")
    assert len(set(codes)) == 100
    (one,) = issues(operator, event_id)
    assert (one["label"], one["codes"], one["usesMax"], one["uses"], one["issuedBy"], one["revokedAt"]) == (
        "Fan club", 100, 1, 0, OPERATOR, None,
    )  # fmt: skip
    (line,) = operator.get(f"/api/ops/rooms/{event_id}/log").json["entries"]
    assert (line["operator"], line["field"], line["why"]) == (OPERATOR, "codes", "presale")
    with psycopg.connect(site.database_url) as connection:
        kept = connection.execute("SELECT t::text FROM access_code t").fetchall()
    text = "".join(row[0] for row in kept) + json.dumps(one) + json.dumps(line)
    assert not any(code in text or code.replace("-", "").encode().hex() in text for code in codes)


def test_a_code_brings_its_fan_into_a_class_of_its_own(site: Site, operator: Client) -> None:
    event_id = site.event(room=SHUT)
    first, second = issue(operator, event_id, count=2)
    ordinary = [site.fan(number % GATEWAYS) for number in range(3)]
    told = [fan.join(event_id).json for fan in ordinary]
    assert [place["position"] for place in told] == [1, 2, 3]
    assert not any(place["priority"] for place in told)
    newcomer = site.fan()
    joined = give(newcomer, event_id, first)
    assert joined.status == 201
    assert (joined.json["position"], joined.json["priority"], joined.json["waiting"]) == (1, True, 4)
    # A fan who waits may move, once and for good; the ticket number stays, and says who is before whom.
    with ordinary[1].line(event_id) as line:
        assert line.data("place")["position"] == 2
        moved = give(ordinary[1], event_id, second.lower().replace("-", " "))
        assert moved.status == 200
        assert (moved.json["ticketNumber"], moved.json["position"], moved.json["priority"]) == (2, 1, True)
        place = line.data("place")
        assert (place["position"], place.get("priority")) == (1, True)
    assert [fan.poll(event_id).json["position"] for fan in (ordinary[0], ordinary[2])] == [1, 2]
    assert newcomer.poll(event_id).json["priority"]
    room = operator.get(f"/api/ops/rooms/{event_id}").json
    assert (room["waiting"], room["priorityWaiting"], room["priorityShare"]) == (4, 2, 50)
    reasons = [one["reason"] for one in ordinary[1].get(f"/api/queue/{event_id}/receipt").json["entries"]]
    assert reasons == ["joined", "access_code"]


def test_the_door_keeps_to_the_share(site: Site, operator: Client) -> None:
    event_id = site.event(room=SHUT)
    codes = issue(operator, event_id, count=8)
    ordinary, preferred = [site.fan() for _ in range(8)], [site.fan() for _ in range(8)]
    for fan in ordinary:
        fan.join(event_id)
    for fan, code in zip(preferred, codes, strict=True):
        give(fan, event_id, code)
    changes = {"ratePerMinute": 60_000, "capacity": 8, "priorityShare": 75, "why": "presale"}
    assert operator.patch(f"/api/ops/rooms/{event_id}", changes).json["priorityShare"] == 75
    await_that(lambda: operator.get(f"/api/ops/rooms/{event_id}").json["called"] == 8)
    called = [[fan.poll(event_id).json["state"] for fan in those].count("called") for those in (ordinary, preferred)]
    assert called == [2, 6]


def test_a_single_use_code_is_one_fan_s(site: Site, operator: Client) -> None:
    event_id = site.event(room=SHUT)
    (code,) = issue(operator, event_id)
    fans = [site.fan(number % GATEWAYS) for number in range(8)]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda fan: give(fan, event_id, code), fans))
    assert sorted(answer.status for answer in answers) == [201] + [403] * 7
    assert {answer.code for answer in answers} == {"", "code_used"}
    winner = fans[[answer.status for answer in answers].index(201)]
    loser = next(fan for fan in fans if fan is not winner)
    assert loser.poll(event_id).code == "not_in_line", "a refusal changes nothing"
    for _ in range(3):
        assert give(winner, event_id, code).json["position"] == 1
    winner.leave(event_id)
    assert give(winner, event_id, code).json["priority"], "theirs, also for a new place"
    assert uses(operator, event_id) == 1
    assert loser.join(event_id).json["priority"] is False
    assert give(loser, event_id, code).code == "code_used"
    assert loser.poll(event_id).json["position"] == 1


def test_a_named_code_is_good_for_so_many_fans(site: Site, operator: Client) -> None:
    event_id = site.event(room=SHUT)
    assert issue(operator, event_id, code="Fan-Club 2026", usesMax=3) == ["Fan-Club 2026"]
    taken = operator.post(f"/api/ops/rooms/{event_id}/codes", {"label": "again", "code": "FANCLUB2026"})
    assert (taken.status, taken.code) == (409, "conflict")
    fans = [site.fan() for _ in range(6)]
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda fan: give(fan, event_id, "fanclub2026"), fans))
    assert sorted(answer.code for answer in answers) == ["", "", "", "code_used", "code_used", "code_used"]
    assert (uses(operator, event_id), issues(operator, event_id)[0]["usesMax"]) == (3, 3)
    other = site.event(room=SHUT)
    assert give(site.fan(), other, "fanclub2026").code == "code_unknown", "a code is of one event"


def test_a_code_has_its_time(site: Site, operator: Client) -> None:
    event_id = site.event(room=SHUT)
    now = dt.datetime.now(dt.UTC)
    (early,) = issue(operator, event_id, "early", startsAt=(now + HOUR).isoformat())
    (late,) = issue(operator, event_id, "late", startsAt=(now - 2 * HOUR).isoformat(), endsAt=(now - HOUR).isoformat())
    (good,) = issue(operator, event_id, "good", startsAt=(now - HOUR).isoformat(), endsAt=(now + HOUR).isoformat())
    fan = site.fan()
    not_yet = give(fan, event_id, early)
    assert (not_yet.status, not_yet.code) == (403, "code_not_yet")
    assert dt.datetime.fromisoformat(not_yet.problem["at"]) == now + HOUR
    assert give(fan, event_id, late).code == "code_expired"
    assert fan.poll(event_id).code == "not_in_line"
    assert give(fan, event_id, good).json["priority"]
    backwards = {"label": "x", "startsAt": now.isoformat(), "endsAt": (now - HOUR).isoformat()}
    assert operator.post(f"/api/ops/rooms/{event_id}/codes", backwards).code == "invalid_request"


def test_revoked_codes_let_nobody_in_any_more(site: Site, operator: Client) -> None:
    event_id = site.event(room=SHUT)
    codes = issue(operator, event_id, count=2)
    fan = site.fan()
    give(fan, event_id, codes[0])
    (one,) = issues(operator, event_id)
    path = f"/api/ops/rooms/{event_id}/codes/{one['issueId']}"
    assert [operator.call("DELETE", path).status for _ in range(2)] == [204, 204]
    assert give(site.fan(), event_id, codes[1]).code == "code_unknown"
    assert fan.poll(event_id).json["priority"], "who redeemed one keeps the place"
    (one,) = issues(operator, event_id)
    assert (one["revokedBy"], one["uses"]) == (OPERATOR, 1)
    log = operator.get(f"/api/ops/rooms/{event_id}/log").json["entries"]
    assert [(line["field"], line["to"]) for line in log] == [("codes", "revoked"), ("codes", "2 × 1: Fan club")]
    nowhere = operator.call("DELETE", f"/api/ops/rooms/{event_id}/codes/{uuid.uuid4()}")
    assert (nowhere.status, nowhere.code) == (404, "unknown_codes")


def test_only_operators_issue_codes(site: Site, operator: Client) -> None:
    event_id = site.event(room=SHUT)
    for somebody in (site.client(), site.fan()):
        for method, path in (("POST", ""), ("GET", ""), ("DELETE", f"/{uuid.uuid4()}")):
            body: Mapping[str, str] | None = {"label": "mine"} if method == "POST" else None
            refused = somebody.call(method, f"/api/ops/rooms/{event_id}/codes{path}", body)
            assert refused.status in (401, 403)
    assert issues(operator, event_id) == []
    assert operator.post("/api/ops/rooms/99999/codes", {"label": "x"}).code == "unknown_event"


def test_guessing_is_bounded_by_fan_and_by_network(site: Site, operator: Client) -> None:
    event_id = site.event(room=SHUT)
    issue(operator, event_id, code="SESAME", usesMax=1000)
    began_in, networks, codes = -1, (f"127.77.{number}.{{}}" for number in range(1, 100)), [""]
    while began_in != minute(site):
        # Where a minute ends meanwhile, its guesses count for less, and all is asked again by another network.
        began_in, network = minute(site), next(networks)
        guesser = Fan.arrive(site.url, source=network.format(1))
        guesses = [give(guesser, event_id, f"GUESS{number}") for number in range(FAN_WRONG_PER_MINUTE)]
        assert {guess.code for guess in guesses} == {"code_unknown"}
        refused = give(guesser, event_id, "SESAME")
        # Sessions cost nothing, so the network is counted too, at whichever gateway; other networks are not.
        codes = []
        for number in range(WRONG_PER_PREFIX):
            fan = Fan.arrive(site.gateways[number % GATEWAYS].url, source=network.format(2 + number))
            codes.append(give(fan, event_id, "WRONG").code)
    assert (refused.status, refused.code) == (429, "too_many_codes")
    assert 0 < int(refused.headers["Retry-After"]) <= 120
    assert guesser.join(event_id).status == 201, "the line is open without a code"
    assert codes.count("code_unknown") == WRONG_PER_PREFIX - FAN_WRONG_PER_MINUTE
    assert codes[-1] == "too_many_codes"
    elsewhere = [give(Fan.arrive(site.url, source="127.78.1.1"), event_id, "sesame") for _ in range(40)]
    assert all(answer.json["priority"] for answer in elsewhere), "right codes are not counted"


def test_the_class_outlives_redis(site: Site, operator: Client) -> None:
    event_id = site.event(room=SHUT)
    codes = issue(operator, event_id, count=3)
    ordinary, preferred, mover = site.fan(), site.fan(1), site.fan()
    watched = site.fan(1)
    tokens = {fan.user_id: fan.join(event_id).json["token"] for fan in (ordinary, mover)}
    tokens[preferred.user_id] = give(preferred, event_id, codes[0]).json["token"]
    # The mover's token is from before the code, as another tab's would be: Postgres knows better.
    give(mover, event_id, codes[1])
    token = give(watched, event_id, codes[2]).json["token"]
    with watched.line(event_id, token) as line:
        line.data("place")
        with site.redis() as redis:
            redis.flushall()
        for fan in (preferred, ordinary, mover):
            await_that(lambda fan=fan: fan.poll(event_id, place_token=tokens[fan.user_id]).status == 200)  # type: ignore[misc]
        await_that(lambda: ordinary.poll(event_id).json["roomState"] == "open")
        places = [fan.poll(event_id).json for fan in (ordinary, mover, preferred, watched)]
    assert [place["priority"] for place in places] == [False, True, True, True]
    assert [place["position"] for place in places] == [1, 1, 2, 3]
    assert give(mover, event_id, codes[1]).json["priority"]
    assert uses(operator, event_id) == 3


def test_the_command_issues_codes(site: Site, operator: Client) -> None:
    event_id = site.event(room=SHUT)
    made = site.services.run("codes", str(event_id), "--count", "3", "--label", "Press", "--hours", "2")
    assert made.returncode == 0, made.stderr
    codes = made.stdout.split()
    assert len(codes) == 3
    assert give(site.fan(), event_id, codes[1]).json["priority"]
    (one,) = issues(operator, event_id)
    assert (one["label"], one["issuedBy"], one["uses"]) == ("Press", "command line", 1)
    shown = site.services.run("room", str(event_id), "--priority-share", "20")
    assert "priority share 20%" in shown.stdout, shown.stderr
    assert site.services.run("codes", "99999").returncode == 1
    assert "four letters" in site.services.run("codes", str(event_id), "--code", "ab").stderr
