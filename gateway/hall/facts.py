"""The facts of an event as the API describes them."""

from __future__ import annotations

from operator import attrgetter
from typing import Any, Final

from db.events.halls import EventFacts
from gateway.contract.hall import EventAnswer

_NAMES: Final = EventAnswer.__struct_fields__
_values: Final = attrgetter(*_NAMES)


def event_answer(facts: EventFacts) -> EventAnswer:
    """An event as the API describes it."""
    return EventAnswer(**answered_facts(facts))


def answered_facts(facts: EventFacts) -> dict[str, Any]:
    """The fields of `EventAnswer`, which have the facts' own names."""
    answered = dict(zip(_NAMES, _values(facts), strict=True))
    answered["asks"] = facts.asks is not None
    return answered
