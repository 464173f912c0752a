"""The one function that says where a sale stands; the line's scripts are held to the same answers."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

import pytest

from db.events.sale import PROBLEMS, REASONS, EventState, SaleState, sale_state

ON_SALE = dt.datetime(2026, 6, 1, 12, tzinfo=dt.UTC)
OFF_SALE = ON_SALE + dt.timedelta(days=1)
INSTANT = dt.timedelta(microseconds=1)


@dataclass
class Event:
    event_state: EventState = EventState.PUBLISHED
    on_sale_at: dt.datetime = ON_SALE
    off_sale_at: dt.datetime = OFF_SALE


@pytest.mark.parametrize(
    ("now", "state"),
    [
        (ON_SALE - INSTANT, SaleState.COMING),
        (ON_SALE, SaleState.ON_SALE),
        (OFF_SALE - INSTANT, SaleState.ON_SALE),
        (OFF_SALE, SaleState.OVER),
    ],
)
def test_seats_are_sold_from_the_beginning_of_the_sale_until_its_end(now: dt.datetime, state: SaleState) -> None:
    assert sale_state(Event(), now) is state


@pytest.mark.parametrize("now", [ON_SALE - INSTANT, ON_SALE, OFF_SALE])
def test_a_withdrawn_event_is_never_on_sale(now: dt.datetime) -> None:
    assert sale_state(Event(EventState.CANCELLED), now) is SaleState.CANCELLED
    assert sale_state(Event(EventState.UNPUBLISHED), now) is SaleState.UNPUBLISHED


def test_a_sale_that_ends_before_it_begins_is_over() -> None:
    assert sale_state(Event(off_sale_at=ON_SALE - INSTANT), ON_SALE) is SaleState.OVER


def test_every_state_without_a_sale_has_its_sentence_and_its_problem() -> None:
    assert PROBLEMS.keys() == {state for state in SaleState if REASONS[state]} == {*SaleState} - {SaleState.ON_SALE}
