"""The lobby over HTTP: a countdown, a draw that anybody can recheck, places by it, and a receipt."""

from __future__ import annotations

import contextlib
import datetime as dt
import functools
import hashlib
import hmac
import json
from pathlib import Path
from typing import Any

import psycopg
import pytest

from db.events.seed import RoomSeed
from tests import waiting
from tests.acceptance.conftest import Site
from tests.client import Fan
from waiting_room.keys import room_keys

GATEWAYS = 2
# Nobody listens to the drawn line, which is looked at to the end: until then no fan may be passed over or leave it as
# absent, or have missed a call.
ENVIRON = {
    "ADMITONE_REBUILD_SECONDS": "2",
    "ADMITONE_CONNECTED_SECONDS": "120",
    "ADMITONE_ABSENCE_SECONDS": "600",
}
FANS = 12
LOBBY = RoomSeed(rate_per_minute=60_000, capacity=3, lobby_minutes=30, claim_window_seconds=600)
SALE_SECONDS = 4
CLOCK_SECONDS_MAX = 0.1
"""A gateway knows Redis' clock, by which it counts down, to half of a question's way there and back."""


await_that = functools.partial(waiting.await_that, seconds_max=20)


def soon(site: Site, room: RoomSeed = LOBBY, *, seconds: float = SALE_SECONDS) -> int:
    return site.event(room=room, on_sale_in=dt.timedelta(seconds=seconds))


def drawn(site: Site, event_id: int) -> dict[str, Any]:
    """The draw, once it is done and everybody has a place."""

    def state() -> Any:
        return site.client().get(f"/api/initial-call/{event_id}").json["room"]["state"]

    await_that(lambda: state() not in ("lobby", "rebuilding"))
    found: dict[str, Any] = site.client().get(f"/api/events/{event_id}/draw").json
    assert found["state"] == "drawn"
    return found


def restored(fan: Fan, event_id: int, token: str) -> dict[str, Any]:
    """The fan's place, once Redis takes it back."""
    await_that(lambda: fan.poll(event_id, place_token=token).status == 200)
    found: dict[str, Any] = fan.poll(event_id).json
    return found


def order_of(seed: str, hashes: list[str]) -> list[str]:
    """By the published rule, and by nothing of ours."""
    return sorted(hashes, key=lambda one: (hmac.new(bytes.fromhex(seed), one.encode(), hashlib.sha256).digest(), one))


def reasons(fan: Fan, event_id: int) -> list[str]:
    return [entry["reason"] for entry in receipt(fan, event_id)["entries"]]


def receipt(fan: Fan, event_id: int) -> dict[str, Any]:
    answer = fan.get(f"/api/queue/{event_id}/receipt")
    assert answer.status == 200, answer.content
    assert answer.headers["Cache-Control"] == "no-store"
    found: dict[str, Any] = answer.json
    return found


@pytest.fixture(scope="module")
def sale(site: Site) -> tuple[int, list[Fan], list[str]]:
    """An event whose lobby was drawn, its fans, and their hashes as they were told before the draw."""
    # The fans are there before the event: the sale begins soon, and until then all have joined.
    fans = [site.fan(number % GATEWAYS) for number in range(FANS)]
    event_id = soon(site, seconds=2 * SALE_SECONDS)
    hashes = []
    committed = site.client().get(f"/api/events/{event_id}/draw").json
    assert (committed["state"], committed["seed"], committed["drawnAt"]) == ("open", None, None)
    for fan in fans:
        place = fan.join(event_id).json
        assert (place["state"], place["roomState"], place["position"], place["ticketNumber"]) == (
            "lobby",
            "lobby",
            None,
            None,
        )
        assert place["lobby"]["seedHash"] == committed["seedHash"]
        assert 0 < place["lobby"]["secondsToOnSale"] <= 2 * SALE_SECONDS + CLOCK_SECONDS_MAX
        hashes.append(place["lobby"]["fanHash"])
    assert fans[0].join(event_id).status == 200, "a second tab"
    fans[1].leave(event_id)
    assert fans[1].join(event_id).json["lobby"]["fanHash"] == hashes[1], "to leave and come back changes nothing"
    proof = receipt(fans[2], event_id)["draw"]
    assert (proof["seed"], proof["drawValue"], proof["number"]) == (None, None, None)
    drawn(site, event_id)
    return event_id, fans, hashes


def test_the_order_is_the_one_that_the_published_seed_gives(site: Site, sale: tuple[int, list[Fan], list[str]]) -> None:
    event_id, fans, hashes = sale
    told = drawn(site, event_id)
    assert hashlib.sha256(bytes.fromhex(told["seed"])).hexdigest() == told["seedHash"]
    assert told["participants"] == FANS
    listed = site.client(1).get(told["listHref"])
    assert listed.json == {"first": 1, "fanHashes": order_of(told["seed"], hashes), "next": None}
    assert "immutable" in listed.headers["Cache-Control"]
    assert site.client().get(f"{told['listHref']}?first=5").json["fanHashes"] == listed.json["fanHashes"][4:]
    for fan, hashed in zip(fans, hashes, strict=True):
        number = listed.json["fanHashes"].index(hashed) + 1
        if number <= LOBBY.capacity:
            await_that(lambda fan=fan: fan.poll(event_id).json["state"] == "called")  # type: ignore[misc]
        place = fan.poll(event_id).json
        assert place["ticketNumber"] == number
        assert (place["state"] == "called") == (number <= LOBBY.capacity)
        assert place["lobby"] is None
        proof = receipt(fan, event_id)["draw"]
        assert (proof["fanHash"], proof["number"], proof["participants"]) == (hashed, number, FANS)
        value = hmac.new(bytes.fromhex(proof["seed"]), hashed.encode(), hashlib.sha256).hexdigest()
        assert (proof["drawValue"], proof["seedHash"]) == (value, told["seedHash"])


def test_nobody_reads_another_fan_or_a_user_id(site: Site, sale: tuple[int, list[Fan], list[str]]) -> None:
    event_id, fans, _ = sale
    public = b"".join(
        site.client().get(path).content
        for path in (f"/api/events/{event_id}/draw", f"/api/events/{event_id}/draw/list", f"/events/{event_id}/draw")
    )
    for fan in fans:
        assert str(fan.user_id).encode() not in public
    assert site.client().get(f"/api/queue/{event_id}/receipt").status == 401
    stranger = site.fan()
    own = stranger.get(f"/api/queue/{event_id}/receipt?userId={fans[0].user_id}").json
    assert (own["userId"], own["entries"], own["draw"]["number"]) == (stranger.user_id, [], None)
    without = site.event()
    assert site.client().get(f"/api/events/{without}/draw").code == "unknown_event"
    assert receipt(stranger, without)["draw"] is None
    assert stranger.get("/api/queue/987654/receipt").code == "unknown_event"


def test_a_receipt_tells_the_whole_way(site: Site, sale: tuple[int, list[Fan], list[str]]) -> None:
    event_id, fans, _ = sale
    first = next(fan for fan in fans if receipt(fan, event_id)["draw"]["number"] == 1)
    await_that(lambda: first.claim(event_id).status == 200)
    first.leave(event_id)
    told = receipt(first, event_id)
    assert told["state"] == "left"
    assert [(entry["state"], entry["reason"]) for entry in told["entries"][-5:]] == [
        ("lobby", "joined_lobby"),
        ("waiting", "drawn"),
        ("called", "called"),
        ("admitted", "claimed"),
        ("left", "left"),
    ]
    times = [dt.datetime.fromisoformat(entry["at"]) for entry in told["entries"]]
    assert times == sorted(times)
    assert all(at.utcoffset() == dt.timedelta(0) for at in times)
    last = next(fan for fan in fans if receipt(fan, event_id)["draw"]["number"] == FANS)
    assert reasons(last, event_id)[-2:] == ["joined_lobby", "drawn"]


def test_the_stream_counts_down_and_then_tells_places(site: Site) -> None:
    fans = [site.fan() for _ in range(3)]
    event_id = soon(site, RoomSeed(rate_per_minute=0, capacity=3, lobby_minutes=30))
    seconds: list[float] = []
    with contextlib.ExitStack() as streams:
        opened = [streams.enter_context(fan.line(event_id, fan.join(event_id).json["token"])) for fan in fans]
        positions = set()
        for stream in opened:
            while (place := stream.data("place"))["state"] == "lobby":
                assert (place["position"], place["roomState"]) == (None, "lobby")
                assert len(place["lobby"]["seedHash"]) == 64
                seconds.append(place["lobby"]["secondsToOnSale"])
            assert place["state"] == "waiting"
            positions.add(place["position"])
        assert positions == {1, 2, 3}
    assert len(seconds) >= 6
    assert 0 < max(seconds) <= SALE_SECONDS + CLOCK_SECONDS_MAX
    late = site.fan().join(event_id).json
    assert (late["ticketNumber"], late["position"]) == (4, 4), "who joins later is behind everybody drawn"


def test_before_the_lobby_nobody_gets_in(site: Site) -> None:
    event_id = soon(site, seconds=3600)
    early = site.fan().join(event_id).json
    assert (early["state"], early["roomState"], early["token"]) == ("closed", "closed", None)
    assert early["lobby"]["state"] == "early"
    opens = dt.datetime.fromisoformat(early["lobby"]["opensAt"]) - dt.datetime.now(dt.UTC)
    assert dt.timedelta(minutes=29) < opens <= dt.timedelta(minutes=30)
    operator, room = site.operator(), f"/api/ops/rooms/{event_id}"
    answers = [operator.get(room), *(operator.patch(room, {"closed": closed}) for closed in (True, False))]
    assert [(answer.json["state"], answer.json["closed"]) for answer in answers] == [
        ("closed", False), ("closed", True), ("closed", False),
    ], "it is shut, but by nobody"  # fmt: skip
    answer = operator.patch(room, {"lobbyMinutes": 120, "why": "rain"})
    assert (answer.status, answer.json["lobbyMinutes"], answer.json["state"]) == (200, 120, "lobby")
    assert site.fan(1).join(event_id).json["state"] == "lobby"
    begun = site.event()
    assert site.operator().patch(f"/api/ops/rooms/{begun}", {"lobbyMinutes": 5}).code == "invalid_request"


def test_a_fan_of_the_lobby_stays_one_when_redis_loses_it(site: Site) -> None:
    fans = [site.fan(number % GATEWAYS) for number in range(5)]
    # The rebuilding takes two of the seconds.
    event_id = soon(site, RoomSeed(rate_per_minute=0, capacity=3, lobby_minutes=30), seconds=10)
    tokens = [fan.join(event_id).json["token"] for fan in fans]
    with fans[4].line(event_id, tokens[4]) as watched:
        watched.data("place")
        with site.redis() as redis:
            redis.delete(*room_keys(event_id))
        for fan, token in zip(fans[:4], tokens, strict=False):
            place = restored(fan, event_id, token)
            assert (place["state"], place["position"]) == ("lobby", None)
        told = drawn(site, event_id)
    assert told["participants"] == 5, "the fan with a stream did nothing for it"
    numbers = [fan.poll(event_id).json["ticketNumber"] for fan in fans]
    listed = site.client().get(told["listHref"]).json["fanHashes"]
    assert listed == order_of(told["seed"], listed)
    assert numbers == [listed.index(receipt(fan, event_id)["draw"]["fanHash"]) + 1 for fan in fans]
    # And after the draw: the tokens are still those of the lobby, the places those drawn.
    with site.redis() as redis:
        redis.delete(*room_keys(event_id))
    for fan, token, number in reversed(list(zip(fans, tokens, numbers, strict=True))):
        place = restored(fan, event_id, token)
        assert (place["state"], place["ticketNumber"]) == ("waiting", number)
    await_that(lambda: fans[0].poll(event_id).json["roomState"] == "open")
    assert [fan.poll(event_id).json["position"] for fan in fans] == numbers
    assert reasons(fans[0], event_id) == ["joined_lobby", "drawn", "restored"]
    assert receipt(fans[0], event_id)["draw"]["number"] == numbers[0]


def test_the_command_rechecks_the_draw(site: Site, sale: tuple[int, list[Fan], list[str]], tmp_path: Path) -> None:
    event_id, _, _ = sale
    verified = site.services.run("draw", "verify", str(event_id))
    assert verified.returncode == 0, verified.stdout + verified.stderr
    assert f"of {FANS} fans is as its seed says" in verified.stdout
    exported = tmp_path / "draw.json"
    exported.write_text(site.services.run("draw", "export", str(event_id)).stdout)
    assert site.services.run("draw", "verify", "--export", str(exported)).returncode == 0

    document = json.loads(exported.read_text())
    hashes = document["fanHashes"]
    for change in (
        {"fanHashes": [hashes[1], hashes[0], *hashes[2:]]},
        {"seed": hashlib.sha256(b"another").hexdigest()},
        {"fanHashes": hashes[:-1]},
        {"fanHashes": hashes[:-1] + hashes[:1]},
    ):
        exported.write_text(json.dumps(document | change))
        assert site.services.run("draw", "verify", "--export", str(exported)).returncode == 1, change

    swap = "UPDATE draw_entry SET number = -number WHERE event_id = %s AND number IN (4, 5)"
    back = "UPDATE draw_entry SET number = 9 + number WHERE event_id = %s AND number < 0"
    with psycopg.connect(site.database_url) as connection:
        connection.execute(swap, (event_id,))
        connection.execute(back, (event_id,))
    cheated = site.services.run("draw", "verify", str(event_id))
    assert cheated.returncode == 1
    assert "number 4 is" in cheated.stdout
    assert "the line has number" in cheated.stdout
    undrawn = soon(site, seconds=3600)
    assert "not drawn" in site.services.run("draw", "verify", str(undrawn)).stderr
