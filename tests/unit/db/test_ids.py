"""Ids that carry their event."""

from __future__ import annotations

import uuid

import pytest

from db.ids import EVENT_BITS, event_of_id, id_of_event, uuid7


@pytest.mark.parametrize("event_id", [1, 4711, 2**EVENT_BITS - 1])
def test_an_id_says_its_event(event_id: int) -> None:
    made = id_of_event(event_id)
    assert (made.version, made.variant) == (8, uuid.RFC_4122)
    assert event_of_id(made) == event_id


def test_two_ids_of_one_event_differ() -> None:
    assert len({id_of_event(7) for _ in range(1000)}) == 1000


def test_ids_sort_by_the_time_they_were_made_as_others_do() -> None:
    assert uuid7().int >> 80 <= id_of_event(7).int >> 80 <= uuid7().int >> 80


@pytest.mark.parametrize("other", [uuid7(), uuid.uuid4(), uuid.UUID(int=0), id_of_event(2**EVENT_BITS)])
def test_an_id_of_another_kind_says_none(other: uuid.UUID) -> None:
    assert event_of_id(other) is None
