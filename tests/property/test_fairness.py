"""Fairness: who stays, and claims when called, comes in in the order of joining, whatever breaks around them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
import redis
from hypothesis import settings

from tests.property.fairness import Sale, Story
from tests.property.scripts import Change, Scripts

pytestmark = pytest.mark.deep


def runs() -> int:
    """Forty, and far more in `make test-deep`."""
    assert settings.default is not None
    return settings.default.max_examples


def play(url: str, monkeypatch: pytest.MonkeyPatch, seeds: range, *changes: Change) -> Iterator[Story]:
    """So many random sales, on scripts sabotaged by ``changes``."""
    monkeypatch.setattr("waiting_room.scripts.script", Scripts(*changes))
    for seed in seeds:
        with redis.Redis.from_url(url, socket_timeout=10) as client:
            client.flushall()
        yield asyncio.run(Sale(url, seed).run())


CONTROLS = {
    "the door calls from the back": Change(
        "admit", "redis.call('ZRANGE', line, 0, chunk - 1)", "redis.call('ZREVRANGE', line, 0, chunk - 1)"
    ),
}


@pytest.mark.parametrize("control", CONTROLS)
def test_control_of_fairness(redis_url: str, monkeypatch: pytest.MonkeyPatch, control: str) -> None:
    """With the line so sabotaged, the same check on the same sales finds somebody overtaken or left out."""
    stories = play(redis_url, monkeypatch, range(40), CONTROLS[control])
    assert any(story.overtaken() or story.left_out() for story in stories)


def test_admission_follows_the_order_of_joining(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    admitted, lost, unfaithful = 0, 0, 0
    for seed, story in enumerate(play(redis_url, monkeypatch, range(runs()))):
        assert story.overtaken() == [], f"sale {seed}"
        assert story.left_out() == set(), f"sale {seed}"
        admitted += len(story.admitted)
        lost += story.lost
        unfaithful += len(set(story.joined) - story.faithful)
    print(admitted, lost, unfaithful)
    assert lost > 5
    assert unfaithful > 50
