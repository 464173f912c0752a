"""The facts of an event as the API describes them."""

from __future__ import annotations

from typing import Any

from db.events.halls import EventFacts
from gateway.contract.hall import EventAnswer


def event_answer(facts: EventFacts) -> EventAnswer:
    """An event as the API describes it."""
    return EventAnswer(**answered_facts(facts))


def answered_facts(facts: EventFacts) -> dict[str, Any]:
    """The fields of `EventAnswer`, which have the facts' own names."""
    answered = {name: getattr(facts, name) for name in EventAnswer.__struct_fields__}
    return answered | {"asks": facts.asks is not None}
