"""The queue of password hashes is bounded, and fair to networks."""

from __future__ import annotations

import asyncio

import pytest

from gateway.identity import hashing
from gateway.identity.hashing import HashQueue
from gateway.wire.problems import ProblemError


class Served:
    """Takes turns of a queue, and writes down who had them and who was refused."""

    def __init__(self, waiting_max: int) -> None:
        self.queue = HashQueue(waiting_max)
        self.turns: list[str] = []
        self.refused: list[str] = []
        self.is_open = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    async def come(self, *networks: str) -> list[asyncio.Task[None]]:
        """Let these wait for a turn, which none ends before `ended`."""
        began = [asyncio.create_task(self._turn(network)) for network in networks]
        self._tasks += began
        for _ in range(3):
            await asyncio.sleep(0)
        return began

    async def _turn(self, network: str) -> None:
        try:
            async with self.queue.turn(network):
                self.turns.append(network)
                await self.is_open.wait()
        except ProblemError:
            self.refused.append(network)

    async def ended(self) -> None:
        self.is_open.set()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self.queue.close()


async def test_a_network_without_a_turn_yet_comes_before_those_who_had_one() -> None:
    served = Served(64)
    await served.come("flood", *["flood"] * 20, "new", "flood", "newer")
    await served.ended()
    assert served.turns == ["flood", "new", "newer", *["flood"] * 21]
    assert not served.refused


async def test_networks_take_turns() -> None:
    served = Served(64)
    await served.come("first", *["a"] * 3, *["b"] * 3)
    await served.ended()
    assert served.turns == ["first", "a", "b", "a", "b", "a", "b"]


async def test_who_waits_most_gives_up_a_place_in_a_full_queue() -> None:
    served = Served(4)
    await served.come("flood", *["flood"] * 6)
    assert served.refused == ["flood"] * 2
    await served.come("new")
    assert served.refused == ["flood"] * 3
    await served.ended()
    assert served.turns == ["flood", "new", *["flood"] * 3]


async def test_a_full_queue_of_networks_that_had_turns_lets_a_new_one_in() -> None:
    served = Served(4)
    networks = [f"flood {number}" for number in range(5)]
    await served.come(*networks)
    await served.ended()
    again = Served(4)
    again.queue = served.queue
    await again.come(*networks, "new", "newer")
    assert again.refused == ["flood 4", "flood 3"]
    again.queue = HashQueue()
    await again.ended()
    assert again.turns == ["flood 0", "new", "newer", "flood 1", "flood 2"]


async def test_as_many_new_networks_as_places_leave_none_for_one_more() -> None:
    served = Served(4)
    await served.come("now", "a", "b", "c", "d", "e")
    assert served.refused == ["e"]
    await served.ended()


async def test_who_goes_away_or_waits_too_long_leaves_no_place_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hashing, "WAIT_SECONDS_MAX", 0.05)
    served = Served(1)
    _, gone = await served.come("now", "gone")
    gone.cancel()
    (late,) = await served.come("late")
    await asyncio.wait_for(late, 5)
    assert served.refused == ["late"]
    monkeypatch.undo()
    await served.come("next")
    await served.ended()
    assert served.turns == ["now", "next"]


@pytest.mark.parametrize("turn", ["not given yet", "given"])
async def test_the_turn_of_one_who_goes_away_meanwhile_is_the_next_ones(turn: str) -> None:
    queue = HashQueue()
    had: list[str] = []

    async def take(name: str) -> None:
        async with queue.turn(name):
            had.append(name)

    async with queue.turn("now"):
        leaves, stays = asyncio.create_task(take("leaves")), asyncio.create_task(take("stays"))
        await asyncio.sleep(0)
        if turn == "not given yet":
            # Its place in the queue is taken out when its task runs, which is after the turn was given.
            leaves.cancel()
    if turn == "given":
        # Its owner has not run yet.
        leaves.cancel()
    await asyncio.wait_for(asyncio.gather(leaves, stays, return_exceptions=True), 5)
    assert had == ["stays"]
    async with queue.turn("after"):
        had.append("after")
    queue.close()
