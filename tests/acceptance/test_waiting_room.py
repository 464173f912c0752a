"""The line over HTTP and SSE: two gateways, a heartbeat good for two seconds, eight of absence."""

from __future__ import annotations

import contextlib
import datetime as dt
import functools
import http.client
import json
import re
import time
from itertools import pairwise
from urllib.parse import urlsplit

import jwt
import psycopg
import pytest

from db.events.seed import RoomSeed, TicketTypePlan
from gateway.line.counts import COUNTS_SECONDS
from gateway.line.door import EMPTY_TICK_SECONDS
from tests import waiting
from tests.acceptance.conftest import Site
from tests.client import Client, Fan, Stream, solve_captcha
from tests.factories import OPEN_DOOR
from waiting_room.keys import room_key, room_keys
from waiting_room.tokens import PlaceToken, Tokens

GATEWAYS = 2
CONNECTED_SECONDS = 2
ABSENCE_SECONDS = 8
ENVIRON = {
    "ADMITONE_CONNECTED_SECONDS": str(CONNECTED_SECONDS),
    "ADMITONE_ABSENCE_SECONDS": str(ABSENCE_SECONDS),
    "ADMITONE_REBUILD_SECONDS": "1",
}
SHUT = RoomSeed(rate_per_minute=0, capacity=100)
"""A room that takes fans into the line and calls nobody."""
ONE_AT_A_TIME = RoomSeed(rate_per_minute=60_000, capacity=1)


@pytest.fixture(scope="module")
def operator(site: Site) -> Client:
    return site.operator()


def turn(operator: Client, event_id: int, **changes: object) -> None:
    """Steer the door."""
    answer = operator.patch(f"/api/ops/rooms/{event_id}", changes)
    assert answer.status == 200, answer.content


await_that = functools.partial(waiting.await_that, seconds_max=5)


def positions(stream: Stream) -> list[int]:
    """Every position that the stream's events seen so far told."""
    told = [json.loads(event.data).get("position") for event in stream.seen if event.event == "place"]
    return [position for position in told if position is not None]


# -- joining


def test_joining_gives_a_place_once(site: Site) -> None:
    event_id = site.event(room=SHUT)
    fan = site.fan()
    first = fan.join(event_id)
    assert first.status == 201
    assert set(first.json) >= {
        "state", "roomState", "token", "ticketNumber", "position", "ahead", "waiting", "etaSeconds", "href",
        "streamHref",
    }  # fmt: skip
    assert (first.json["state"], first.json["roomState"]) == ("waiting", "open")
    assert (first.json["position"], first.json["ahead"], first.json["waiting"]) == (1, 0, 1)
    assert first.json["href"] == f"/api/queue/{event_id}"
    assert first.json["streamHref"] == f"/api/queue/{event_id}/stream"
    assert first.headers["Cache-Control"] == "no-store"
    other = site.fan(1)
    second = other.join(event_id, {}).json
    assert (second["position"], second["ahead"]) == (2, 1)
    assert second["ticketNumber"] > first.json["ticketNumber"]
    # A refresh, a second tab, the other gateway, a poll: one place.
    for again in (fan.join(event_id), fan.at(site.gateways[1].url).join(event_id), fan.poll(event_id)):
        assert again.status == 200
        assert again.json["ticketNumber"] == first.json["ticketNumber"]
        assert again.json["position"] == 1
    assert other.poll(event_id).json["position"] == 2


def test_polling_is_not_joining(site: Site) -> None:
    event_id = site.event(room=SHUT)
    fan = site.fan()
    for answer in (fan.poll(event_id), fan.get(f"/api/queue/{event_id}/stream")):
        assert (answer.status, answer.code) == (404, "not_in_line")


def test_where_there_is_room_one_is_admitted_at_once(site: Site) -> None:
    event_id = site.event(room=RoomSeed(rate_per_minute=60_000, capacity=5, pass_seconds=900))
    fan = site.fan()
    joined = fan.join(event_id)
    assert (joined.status, joined.json["state"]) == (201, "admitted")
    assert joined.json["position"] is None
    assert joined.json["ahead"] is None
    left = dt.datetime.fromisoformat(joined.json["expiresAt"]) - dt.datetime.now(dt.UTC)
    assert dt.timedelta(seconds=890) < left <= dt.timedelta(seconds=900)
    assert f"admitone_pass_{event_id}=" in str(joined.headers.get_all("Set-Cookie"))
    again = fan.join(event_id)
    assert (again.status, again.json["state"], again.json["expiresAt"]) == (200, "admitted", joined.json["expiresAt"])
    fan.at(site.gateways[1].url).hold(event_id, [(1, 1, 1)])


def test_a_full_line_takes_nobody_and_stores_nothing(site: Site, operator: Client) -> None:
    event_id = site.event(room=SHUT)
    first, second, third = (site.fan() for _ in range(3))
    first.join(event_id)
    second.join(event_id)
    turn(operator, event_id, lineCap=2)
    for gateway in site.gateways:
        full = third.at(gateway.url).join(event_id)
        assert (full.status, full.code) == (503, "line_full")
        assert 1 <= int(full.headers["Retry-After"]) <= 60
    assert third.poll(event_id).code == "not_in_line"
    assert first.join(event_id).status == 200, "who stands in line stays"
    second.leave(event_id)
    assert third.join(event_id).status == 201


def test_leaving_gives_the_place_up(site: Site) -> None:
    event_id = site.event(room=ONE_AT_A_TIME)
    inside, waiting = site.fan(), site.fan(1)
    assert inside.join(event_id).json["state"] == "admitted"
    assert waiting.join(event_id).json["state"] == "waiting"
    with waiting.line(event_id) as line:
        left = inside.leave(event_id)
        assert (left.status, left.content) == (204, b"")
        line.next("called")
    assert inside.leave(event_id).status == 204, "leaving twice is leaving"
    assert site.fan().leave(event_id).status == 204
    assert inside.poll(event_id).json["state"] == "left"
    again = inside.join(event_id)
    assert (again.status, again.json["state"], again.json["position"]) == (201, "waiting", 1)


# -- the stream


def test_the_position_falls_and_the_call_comes(site: Site) -> None:
    event_id = site.event(room=ONE_AT_A_TIME)
    fans = [site.fan(number % 2) for number in range(4)]
    joined = [fan.join(event_id).json for fan in fans]
    assert [place["state"] for place in joined] == ["admitted", "waiting", "waiting", "waiting"]
    last = fans[3]
    with (
        fans[1].line(event_id),
        fans[2].line(event_id),
        last.line(event_id) as line,
        last.at(site.gateways[0].url).line(event_id) as other_tab,
    ):
        place = line.data("place", seconds_max=3)
        assert set(place) >= {
            "position", "ahead", "waiting", "etaSeconds", "etaRange", "ratePerMinute", "state", "stock",
        }  # fmt: skip
        assert (place["position"], place["ahead"], place["waiting"], place["state"]) == (3, 2, 3, "waiting")
        assert place["classWaiting"] == 3
        assert place["ratePerMinute"] == 60_000
        assert line.retry_ms is not None
        assert line.retry_ms > 0
        fans[1].leave(event_id)
        await_that(lambda: line.data("place")["position"] == 2)
        fans[2].leave(event_id)
        await_that(lambda: line.data("place")["position"] == 1)
        fans[0].leave(event_id)
        called = line.data("called", seconds_max=5)
        assert 0 < called["claimBySeconds"] <= 60
        other_tab.next("called", seconds_max=5)
        told = positions(line)
        assert told == sorted(told, reverse=True), "it never rises"

        polled = last.poll(event_id).json
        assert polled["state"] == "called"
        assert 0 < polled["claimBySeconds"] <= 60
        claimed = last.claim(event_id)
        assert claimed.status == 200
        assert set(claimed.json) == {"pass", "expiresAt", "idleEndsAt", "mayRunOut"}
        for tab in (line, other_tab):
            admitted = tab.data("admitted", seconds_max=5)
            assert admitted["expiresAt"] == claimed.json["expiresAt"]
            last.headers["X-Admission-Pass"] = admitted["pass"]
            assert last.reserve(event_id, [(1, 1, 1)]).json["status"] == "succeeded"
        again = last.at(site.gateways[0].url).claim(event_id)
        assert (again.status, again.json["expiresAt"]) == (200, claimed.json["expiresAt"])
    # Who opens the stream anew is told at once where they are.
    with last.line(event_id) as line:
        assert line.data(seconds_max=2)["expiresAt"] >= claimed.json["expiresAt"]
        assert line.seen[0].event == "admitted"


def test_only_the_called_can_claim(site: Site) -> None:
    event_id = site.event(room=SHUT)
    fan, stranger = site.fan(), site.fan()
    fan.join(event_id)
    for claimer, state in ((fan, "waiting"), (stranger, "none")):
        refused = claimer.claim(event_id)
        assert (refused.status, refused.code, refused.json["state"]) == (409, "not_called", state)
    fan.leave(event_id)
    assert fan.claim(event_id).json["state"] == "left"


def test_stock_and_rate_are_told_while_waiting(site: Site, operator: Client) -> None:
    event_id = site.event(room=OPEN_DOOR)
    site.admitted_fan(event_id).hold(event_id, [(1, 1, 1), (1, 1, 2)])
    turn(operator, event_id, ratePerMinute=0)
    fan = site.fan(1)
    fan.join(event_id)
    with fan.line(event_id) as line:
        place = line.data("place")
        assert place["stock"] == {"free": 82, "held": 2}
        assert place["ratePerMinute"] == 0
        turn(operator, event_id, capacity=77)
        line.next("place", seconds_max=1.5)


def test_every_gateway_tells_the_same_estimate_and_it_does_not_rise(site: Site) -> None:
    event_id = site.event(room=RoomSeed(rate_per_minute=6, capacity=100))
    fans = [site.fan(number % 2) for number in range(6)]
    for fan in fans:
        fan.join(event_id)
    told: list[tuple[float, int, int]] = []
    for turn_number in range(16):
        asker = fans[-1].at(site.gateways[turn_number % 2].url)
        place = asker.poll(event_id).json
        told.append((place["linePerMinute"], place["etaSeconds"], place["etaRange"][1]))
        time.sleep(0.15)
    for (speed, seconds, most), (speed_now, seconds_now, most_now) in pairwise(told):
        assert speed_now != speed or (seconds_now <= seconds and most_now <= most), told
    assert len({speed for speed, _, _ in told}) <= 2, told


# -- claims missed, ghosts


def test_a_missed_claim_costs_the_turn_and_the_second_one_the_place(site: Site) -> None:
    event_id = site.event(room=RoomSeed(rate_per_minute=60_000, capacity=1, claim_window_seconds=1))
    inside, fan = site.fan(), site.fan()
    inside.join(event_id)
    fan.join(event_id)
    with fan.line(event_id) as line:
        inside.leave(event_id)
        line.next("called")
        line.next("called", seconds_max=4)
        await_that(lambda: line.data("place")["state"] == "expired")
    refused = fan.claim(event_id)
    assert (refused.code, refused.json["state"]) == ("not_called", "expired")
    assert fan.join(event_id).json["state"] == "admitted", "they may join anew"


def test_a_ghost_does_not_block_and_may_come_back(site: Site) -> None:
    event_id = site.event(room=ONE_AT_A_TIME)
    inside, ghost, faithful, poller = (site.fan() for _ in range(4))
    for fan in (inside, ghost, faithful, poller):
        fan.join(event_id)
    with faithful.at(site.gateways[1].url).line(event_id) as line:
        until = time.monotonic() + CONNECTED_SECONDS + 0.7
        while time.monotonic() < until:
            poller.poll(event_id)
            time.sleep(0.2)
        inside.leave(event_id)
        # The ghost was first in line; whoever listens is called.
        line.next("called", seconds_max=3)
        faithful.claim(event_id)
        # Back in time, the ghost has the old place before those who came later.
        back = ghost.poll(event_id).json
        assert (back["state"], back["position"]) == ("waiting", 1)
        assert poller.poll(event_id).json["state"] == "waiting"
        faithful.leave(event_id)
        await_that(lambda: ghost.poll(event_id).json["state"] == "called")
        assert poller.poll(event_id).json["state"] == "waiting"
    ghost.leave(event_id)
    # Polling alone is a heartbeat: the poller was never taken for a ghost.
    await_that(lambda: poller.poll(event_id).json["state"] == "called")
    assert poller.claim(event_id).status == 200


def test_who_stays_away_too_long_loses_the_place(site: Site) -> None:
    event_id = site.event(room=ONE_AT_A_TIME)
    inside, ghost = site.fan(), site.fan()
    inside.join(event_id)
    ghost.join(event_id)
    time.sleep(CONNECTED_SECONDS + 0.2)
    inside.leave(event_id)
    time.sleep(ABSENCE_SECONDS - CONNECTED_SECONDS + 0.5)
    assert ghost.poll(event_id).json["state"] == "expired"


# -- the room's states


def test_while_paused_nobody_is_called(site: Site, operator: Client) -> None:
    event_id = site.event(room=ONE_AT_A_TIME)
    inside, fan = site.fan(), site.fan(1)
    inside.join(event_id)
    fan.join(event_id)
    with fan.line(event_id) as line:
        turn(operator, event_id, paused=True)
        inside.leave(event_id)
        line.next("place", seconds_max=2)
        time.sleep(1)
        assert fan.poll(event_id).json["state"] == "waiting"
        assert fan.poll(event_id).json["roomState"] == "paused"
        late = site.fan().join(event_id)
        assert (late.status, late.json["state"]) == (201, "waiting"), "joining goes on"
        turn(operator, event_id, paused=False)
        line.next("called", seconds_max=2)
    assert "called" not in [event.event for event in line.seen[:-1]]


def test_a_closed_room_says_so(site: Site, operator: Client) -> None:
    event_id = site.event(room=SHUT)
    fan = site.fan(1)
    fan.join(event_id)
    with fan.line(event_id) as line:
        line.next("place")
        turn(operator, event_id, closed=True)
        line.next("closed", seconds_max=2)
    for asker in (fan, site.fan(), site.fan(1)):
        joined = asker.join(event_id)
        assert (joined.status, joined.json["state"], joined.json["roomState"]) == (200, "closed", "closed")
        assert joined.json["pass"] is None
    turn(operator, event_id, closed=False)
    assert fan.poll(event_id).json["position"] == 1, "reopened, with the places kept"


def test_a_sold_out_room_says_so_only_when_no_seat_can_return(site: Site) -> None:
    hall = (TicketTypePlan(ticket_type="Box", price=100, rows=1, seats_per_row=2),)
    event_id = site.event(hall=hall, room=RoomSeed(rate_per_minute=60_000, capacity=1))
    buyer, fan = site.fan(), site.fan(1)
    buyer.join(event_id)
    fan.join(event_id)
    with fan.line(event_id) as line:
        hold = buyer.hold(event_id, [(1, 1, 1), (1, 1, 2)])
        await_that(lambda: (line.data("place")["stock"] or {}).get("mayReturn") == 2)
        assert fan.poll(event_id).json["state"] == "waiting"
        buyer.checkout(event_id, hold["reservationId"])
        line.next("sold_out", seconds_max=3)
    for asker in (fan, site.fan()):
        # The other gateway hears of it in a moment of its own.
        await_that(lambda asker=asker: asker.join(event_id).json["state"] == "sold_out")  # type: ignore[misc]
        assert asker.poll(event_id).json["roomState"] == "sold_out"


def test_a_room_that_is_off_asks_nobody_in(site: Site) -> None:
    event_id = site.event(room=RoomSeed(state="off"))
    joined = site.fan().join(event_id)
    assert (joined.status, joined.json["roomState"]) == (200, "off")


# -- the place token


def lose(site: Site, event_id: int) -> None:
    """Redis loses the room."""
    with site.redis() as redis:
        assert redis.delete(*room_keys(event_id)) > 0


def test_place_tokens_restore_the_order_that_redis_lost(site: Site) -> None:
    event_id = site.event(room=SHUT)
    fans = [site.fan(number % 2) for number in range(4)]
    tokens = [fan.join(event_id).json["token"] for fan in fans]
    numbers = [fan.poll(event_id).json["ticketNumber"] for fan in fans]
    lose(site, event_id)
    # The last comes back first, by a stream; a newcomer cuts in between; then the others, by poll and join.
    newcomer = site.fan()
    await_that(lambda: fans[3].poll(event_id, place_token=tokens[3]).code != "rebuilding")
    with fans[3].line(event_id, place_token=tokens[3]) as line:
        await_that(lambda: line.data("place")["position"] == 1)
        await_that(lambda: newcomer.join(event_id).status == 201)
        assert fans[1].poll(event_id, place_token=tokens[1]).json["state"] == "waiting"
        assert fans[0].join(event_id, place_token=tokens[0]).status in (200, 201)
        assert fans[2].poll(event_id, place_token=tokens[2]).status == 200
    assert [fan.poll(event_id).json["ticketNumber"] for fan in fans] == numbers
    with site.redis() as redis:
        order = redis.zrange(room_key(event_id, "line"), 0, -1)
    assert order == [str(fan.user_id).encode() for fan in (*fans, newcomer)]
    assert newcomer.poll(event_id).json["waiting"] == 5
    for fan in fans:
        fan.leave(event_id)
    await_that(lambda: newcomer.poll(event_id).json["position"] == 1)


def test_a_token_does_not_bring_back_a_place_that_ended(site: Site) -> None:
    event_id = site.event(room=SHUT)
    fan, other = site.fan(), site.fan()
    token = fan.join(event_id).json["token"]
    other.join(event_id)
    fan.leave(event_id)
    again = fan.join(event_id, place_token=token).json
    assert again["position"] == 2, "behind those who stayed"


def test_forged_places_and_those_of_other_events_are_refused(site: Site) -> None:
    event_id, elsewhere = site.event(room=SHUT), site.event(room=SHUT)
    fan, other = site.fan(), site.fan()
    theirs = other.join(event_id).json["token"]
    mine_elsewhere = fan.join(elsewhere).json["token"]
    claims = jwt.decode(theirs, options={"verify_signature": False})
    mine = PlaceToken(**{**{name: claims[name] for name in PlaceToken.__struct_fields__}, "fan": fan.user_id})
    forger = Tokens("somebody else's secret, long enough", place_seconds=600, hold_seconds=600)
    old = Tokens(site.services.environ["ADMITONE_SECRET"], place_seconds=-600, hold_seconds=600)
    tokens = {
        "words": "first in line",
        "another event's": mine_elsewhere,
        "forged": forger.sign_place(mine),
        "alg none": jwt.encode(claims | {"fan": fan.user_id}, "", algorithm="none"),
        "expired": old.sign_place(mine),
        "a session": fan.token,
        "long": "x" * 3000,
    }
    for name, token in tokens.items():
        refused = fan.join(event_id, place_token=token)
        assert (refused.status, refused.code) == (401, "session_invalid"), name
        assert fan.poll(event_id, place_token=token).code == "session_invalid", name
        by_query = fan.get(f"/api/queue/{event_id}/stream?token={token.replace(' ', '%20')}")
        assert by_query.code in ("session_invalid", "invalid_request"), name
    assert fan.poll(event_id).code == "not_in_line"


# -- the place token in a new session


def receipt(fan: Fan, event_id: int) -> list[str]:
    return [entry["reason"] for entry in fan.get(f"/api/queue/{event_id}/receipt").json["entries"]]


def test_a_place_token_brings_the_place_into_a_new_session(site: Site) -> None:
    event_id = site.event(room=SHUT)
    old, other = site.fan(), site.fan()
    token = old.join(event_id).json["token"]
    number = other.join(event_id).json["ticketNumber"] - 1
    renewed = [site.fan(1), site.fan(), site.fan()]
    # By a join, then by a poll, then by a stream, each with the token that the one before was given.
    joined = renewed[0].join(event_id, place_token=token)
    assert (joined.status, joined.json["ticketNumber"], joined.json["position"]) == (201, number, 1)
    polled = renewed[1].poll(event_id, place_token=joined.json["token"])
    assert (polled.status, polled.json["ticketNumber"], polled.json["position"]) == (200, number, 1)
    with renewed[2].line(event_id, place_token=polled.json["token"]) as line:
        assert line.data("place")["position"] == 1
    assert receipt(renewed[2], event_id) == ["joined", *["moved_to_this_session"] * 3]
    assert receipt(old, event_id) == ["joined", "moved_to_another_session"]
    for fan in (old, *renewed[:2]):
        assert fan.poll(event_id).json["state"] == "left"
    assert other.poll(event_id).json["waiting"] == 2, "the place stands once"
    # What was moved is moved: no old token clones it, or brings it back.
    thief = site.fan()
    assert thief.poll(event_id, place_token=token).code == "not_in_line"
    assert thief.poll(event_id, place_token=polled.json["token"]).code == "not_in_line"
    assert thief.join(event_id, place_token=token).json["position"] == 3
    assert old.join(event_id, place_token=token).json["position"] == 4


def test_what_is_admitted_or_held_stays_with_its_session(site: Site) -> None:
    event_id = site.event()
    old = site.admitted_fan(event_id)
    token = old.poll(event_id).json["token"]
    old.hold(event_id, [(1, 1, 1)])
    new = site.fan()
    assert new.poll(event_id, place_token=token).code == "not_in_line"
    assert old.poll(event_id).json["state"] == "admitted"
    assert old.buy(event_id, [(1, 1, 2)])
    assert new.poll(event_id, place_token=token).code == "not_in_line", "nor what was bought from"


def test_a_moved_place_outlives_the_loss_of_redis_and_the_old_one_does_not(site: Site) -> None:
    event_id = site.event(room=SHUT)
    old, other, new, thief = site.fan(), site.fan(), site.fan(), site.fan()
    token = old.join(event_id).json["token"]
    other.join(event_id)
    moved = new.join(event_id, place_token=token).json
    with psycopg.connect(site.database_url, autocommit=True) as postgres:
        gone = "SELECT FROM departed_place WHERE event_id = %s AND user_id = %s"
        await_that(lambda: postgres.execute(gone, (event_id, old.user_id)).rowcount == 1, seconds_max=30)
    lose(site, event_id)
    await_that(lambda: new.poll(event_id, place_token=moved["token"]).status == 200)
    assert new.poll(event_id).json["ticketNumber"] == moved["ticketNumber"]
    assert thief.poll(event_id, place_token=token).status != 200
    assert old.poll(event_id, place_token=token).json.get("position") != 1
    # A place that Redis lost comes into a new session as well.
    lose(site, event_id)
    last = site.fan()
    await_that(lambda: last.poll(event_id, place_token=moved["token"]).status == 200)
    assert last.poll(event_id).json["ticketNumber"] == moved["ticketNumber"]


def test_a_network_moves_so_many_places_and_no_more(site: Site) -> None:
    event_id = site.event(room=SHUT)
    gateway = site.services.gateway(ADMITONE_MOVES_PER_MINUTE="2")
    fans = [Fan.arrive(gateway.url, source=f"127.4.1.{host}") for host in range(1, 5)]
    try:
        token = fans[0].join(event_id).json["token"]
        for fan in fans[1:3]:
            token = fan.poll(event_id, place_token=token).json["token"]
        refused = fans[3].poll(event_id, place_token=token)
        assert (refused.status, refused.code) == (429, "rate_limited")
        assert int(refused.headers["Retry-After"]) >= 1
        assert fans[2].poll(event_id, place_token=token).status == 200, "one's own token is no move"
        assert fans[3].at(site.gateways[0].url).poll(event_id, place_token=token).status == 200
    finally:
        gateway.kill()


# -- limits


def minute(site: Site) -> int:
    """The minute of Redis' clock, by which the limits count."""
    with site.redis() as client:
        return int(client.time()[0]) // 60


def test_over_the_free_rate_a_join_asks_for_a_captcha(site: Site) -> None:
    event_id = site.event(room=SHUT)
    gateway = site.services.gateway(ADMITONE_JOINS_FREE_PER_MINUTE="2", ADMITONE_JOINS_PER_MINUTE="9")
    fans = [Fan.arrive(gateway.url, source=f"127.2.1.{host}") for host in range(1, 6)]
    try:
        assert [fan.join(event_id).status for fan in fans[:2]] == [201, 201]
        asked = fans[2].join(event_id)
        assert (asked.status, asked.code, asked.json["href"]) == (403, "captcha_required", "/api/captcha")
        assert fans[2].poll(event_id).code == "not_in_line"
        assert fans[2].join(event_id, {"captchaToken": "I am no robot"}).code == "captcha_failed"
        token = solve_captcha(fans[2])
        assert fans[2].join(event_id, {"captchaToken": token}).status == 201
        assert fans[3].join(event_id, {"captchaToken": token}).code == "captcha_failed", "one solution, one fan"
        assert fans[0].join(event_id).status == 200, "who has a place needs none"
        assert Fan.arrive(gateway.url, source="127.2.2.1").join(event_id).status == 201, "another network is free"
        for _ in range(3):
            limited = fans[4].join(event_id)
        assert (limited.status, limited.code) == (429, "rate_limited")
        assert 1 <= int(limited.headers["Retry-After"]) <= 120
        assert fans[0].poll(event_id).status == 200, "polling is not joining"
        lobby = site.event(room=RoomSeed(lobby_minutes=30), on_sale_in=dt.timedelta(minutes=20))
        early = Fan.arrive(gateway.url, source="127.2.3.1")
        assert [early.join(lobby).status for _ in range(4)] == [201, 200, 200, 200], "nor does who is in a lobby"
    finally:
        gateway.stop()


def test_one_network_fills_neither_the_door_nor_the_line_of_a_small_room(site: Site) -> None:
    room = RoomSeed(rate_per_minute=6000, capacity=100, line_cap=200)
    gateway = site.services.gateway(ADMITONE_JOINS_FREE_PER_MINUTE="300")
    networks = (f"127.2.{number}.1" for number in range(101, 200))
    try:
        began_in = -1
        while began_in != minute(site):
            # Where a minute ends meanwhile, its joins count for less, and all is asked again by another network.
            began_in, network, event_id = minute(site), next(networks), site.event(room=room)
            answers = [Fan.arrive(gateway.url, source=network).join(event_id) for _ in range(80)]
        # A quarter of the room's places; what is beyond brings a proof.
        assert [answer.status for answer in answers] == [201] * 75 + [403] * 5
        assert {answer.code for answer in answers[75:]} == {"captcha_required"}
        other = Fan.arrive(gateway.url, source="127.2.8.1").join(event_id)
        assert other.status == 201
        assert other.json["state"] in ("called", "admitted"), "somebody else finds the door open"
    finally:
        gateway.stop()


def test_a_browser_is_told_in_words_that_it_asks_too_much(site: Site) -> None:
    event_id = site.event(room=SHUT)
    gateway = site.services.gateway(ADMITONE_SESSIONS_PER_MINUTE="1")
    try:
        join = f"/events/{event_id}/join"
        assert page_of(gateway.url, join, source="127.2.5.1", method="POST")[0] == 303
        status, kind, retry_after, text = page_of(gateway.url, join, source="127.2.5.1", method="POST")
    finally:
        gateway.stop()
    assert (status, kind) == (429, "text/html; charset=utf-8")
    assert int(retry_after or 0) > 0
    assert "Many requests come from your network" in text


def test_a_browser_gets_the_page_while_the_line_is_rebuilt(site: Site) -> None:
    """For its script knows the place."""
    event_id = site.event(room=SHUT)
    site.fan().join(event_id)
    with site.redis() as client:
        seconds, _ = client.time()
        client.hset(f"room:{{{event_id}}}:config", "rebuild_until", (seconds + 60) * 1000)
        time.sleep(COUNTS_SECONDS + 0.2)
        status, kind, _, text = page_of(site.url, f"/events/{event_id}", source="127.2.5.2")
        client.hdel(f"room:{{{event_id}}}:config", "rebuild_until")
    assert (status, kind) == (200, "text/html; charset=utf-8")
    assert re.search('data-stage="rebuilding"(?! hidden)', text)


def page_of(url: str, path: str, *, source: str, method: str = "GET") -> tuple[int, str | None, str | None, str]:
    """A browser's first visit, or its first form: status, Content-Type, Retry-After and the page."""
    address = urlsplit(url)
    connection = http.client.HTTPConnection(
        address.hostname or "", address.port, timeout=20, source_address=(source, 0)
    )
    with contextlib.closing(connection):
        headers = {"Accept": "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8", "Sec-Fetch-Site": "same-origin"}
        if method == "POST":
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        connection.request(method, path, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.headers["Content-Type"], answer.headers["Retry-After"], answer.read().decode()


# -- a room with nobody in it


def test_an_empty_room_is_looked_after_less_often_until_somebody_comes(site: Site) -> None:
    event_id = site.event(room=SHUT)
    fan = site.fan()
    fan.join(event_id)
    fan.leave(event_id)
    with site.redis() as client:

        def ticks(seconds: float) -> int:
            seen = set()
            until = time.monotonic() + seconds
            while time.monotonic() < until:
                seen.add(client.hget(f"room:{{{event_id}}}:config", "ticked_at"))
                time.sleep(0.02)
            return len(seen)

        ticks(1.5)
        alone = ticks(3)
        assert 2 <= alone <= GATEWAYS * (3 / (0.8 * EMPTY_TICK_SECONDS) + 1)
        fan.join(event_id)
        assert ticks(3) > alone


# -- a gateway goes


def test_a_gateway_that_stops_says_farewell_and_the_place_stays(site: Site, operator: Client) -> None:
    event_id = site.event(room=SHUT)
    gateway = site.services.gateway()
    first, fan = site.fan(), site.fan()
    first.join(event_id)
    before = fan.join(event_id).json
    steering = Client(gateway.url)
    steering.headers = dict(operator.headers)
    with (
        fan.at(gateway.url).line(event_id) as line,
        Client(gateway.url).stream(f"/api/events/{event_id}/live") as live,
        steering.stream("/api/ops/stream") as rooms,
    ):
        line.next("place")
        live.next("snapshot")
        rooms.next("room")
        started = time.monotonic()
        gateway.process.terminate()
        for stream in (line, live, rooms):
            assert stream.rest(seconds_max=5)[-1].event == "bye"
        gateway.stop()
        assert time.monotonic() - started < 9, "nobody had to be cut off"
    assert gateway.process.returncode in (0, -15)
    with fan.at(site.gateways[1].url).line(event_id, place_token=before["token"]) as line:
        assert line.data("place")["position"] == 2
    assert fan.poll(event_id).json["ticketNumber"] == before["ticketNumber"]
