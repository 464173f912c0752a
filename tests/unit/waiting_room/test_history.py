"""What befalls a fan is noted once, in order, and within bounds."""

from __future__ import annotations

import re
from importlib.resources import files
from pathlib import Path

from tests.unit.waiting_room.room import Room
from tests.unit.waiting_room.test_lobby import draw, hours_to_sale
from tests.unit.waiting_room.test_rebuild import rebuild
from tests.unit.waiting_room.test_restore import tokens_of
from waiting_room.model import Slot
from waiting_room.receipts import ENDINGS, REASONS


async def told(room: Room, fan: int) -> list[str]:
    history = await room.line.history(42, fan)
    return [one.what for one in history.noted] + ["…"] * (history.joined_at_ms is not None)


def test_every_word_of_the_scripts_has_a_meaning() -> None:
    texts = [entry.read_text() for entry in Path(str(files("waiting_room"))).rglob("*.lua")]
    words = {
        word
        for text in texts
        for call in re.findall(r"note\(\w+, (.*)\)", text)
        for word in re.findall("'(.+?)'", call)
    }
    words |= {
        word for text in texts for word in re.findall(r"EXPIRED = .*", text) for word in re.findall("'(.+?)'", word)
    }
    assert words - {"expired"} | {"left", "done", "lobby", "joined"} == set(REASONS)
    (endings,) = re.findall(r"ENDINGS = {([^}]*)}", "".join(texts))
    assert set(re.findall(r"\w+(?= =)", endings)) == ENDINGS


async def test_from_the_lobby_to_the_purchase(room: Room) -> None:
    await hours_to_sale(room, 1)
    await room.line.join(42, 1)
    await room.line.join(42, 1)
    assert await told(room, 1) == ["…"], "to have joined is told by the place"
    await room.next_ms()
    await hours_to_sale(room, 0)
    await draw(room)
    await room.called(1)
    await room.line.claim(42, 1)
    await room.line.claim(42, 1)
    await room.line.finish(42, [1])
    assert await told(room, 1) == ["lobby", "called", "admitted", "done"]
    at = [one.at_ms for one in (await room.line.history(42, 1)).noted]
    assert at == sorted(at)
    assert abs(at[0] - (await room.line.counts(42)).now_ms) < 60_000
    assert await told(room, 2) == []


async def test_claims_missed_and_absence(room: Room) -> None:
    await room.fill(1, 2)
    await room.tick()
    for _ in range(2):
        await room.pass_time(room.config.claim_window_seconds + 1)
        await room.heard_from(1)
        await room.tick()
    assert await told(room, 1) == ["joined", "called", "missed", "called", "unclaimed"]
    await room.fill(3)
    await room.pass_time(room.config.connected_seconds + 1)
    await room.tick()
    await room.line.standing(42, 3)
    await room.pass_time(room.config.connected_seconds + 1)
    await room.tick()
    await room.pass_time(room.config.absence_seconds + 1)
    await room.tick()
    assert await told(room, 3) == ["joined", "skipped", "back", "skipped", "absent"]


async def test_straight_in_and_out(room: Room) -> None:
    await room.line.join(42, 1)
    await room.pass_time(room.config.pass_seconds + 1)
    await room.tick()
    await room.line.finish(42, [1])
    assert await told(room, 1) == ["joined", "straight", "pass_over", "done"]
    await room.line.join(42, 1)
    await room.line.leave(42, 1)
    assert (await told(room, 1))[4:] == ["joined", "straight", "left"]


async def test_after_a_loss_it_begins_anew(room: Room) -> None:
    await room.fill(1, rate_per_minute=0)
    tokens = await tokens_of(room, 1)
    await rebuild(room, after_epoch=tokens[1].epoch)
    await room.line.join(42, 1, tokens[1])
    now_ms = (await room.line.counts(42)).now_ms
    await room.line.retake(42, [Slot(1, now_ms + 60_000, 1)])
    assert await told(room, 1) == ["joined", "restored", "retaken"]


async def test_a_history_keeps_its_latest_lines(room: Room) -> None:
    await room.open(receipt_entries_max=4)
    for _ in range(3):
        await room.line.join(42, 1)
        await room.line.leave(42, 1)
    assert await told(room, 1) == ["straight", "left", "joined", "straight", "left"][-4:]


async def test_the_histories_are_bounded_in_all_and_in_time(room: Room) -> None:
    await room.open(receipt_fans_max=3, state="paused")
    await room.line.join(42, 100)
    for fan in range(1, 9):
        await room.line.join(42, fan)
        await room.line.leave(42, fan)
        await room.tick()
    assert [await told(room, fan) for fan in (1, 4, 8)] == [[], ["joined", "left"], ["joined", "left"]]
    await room.line.join(42, 4)
    await room.line.leave(42, 4)
    assert await told(room, 4) == ["joined", "left"] * 2, "who goes on takes the lines along"
    kept = sum([await room.client.hlen(room.keys[name]) for name in ("history", "history_before")])
    assert kept <= 2 * 3
    left_seconds = max([await room.client.ttl(room.keys[name]) for name in ("history", "history_before")])
    assert 0 < left_seconds <= 7 * 24 * 3600
