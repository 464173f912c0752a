"""The roles of operators. This is the one place that says what a role includes."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final

import msgspec


class OperatorRole(StrEnum):
    """What an operator may do, for one event or for the whole site.

    ``viewer`` reads. ``steward`` also issues access codes, helps fans and checks tickets in. ``door`` checks
    tickets in, and nothing else. ``owner`` does everything.
    """

    VIEWER = "viewer"
    STEWARD = "steward"
    DOOR = "door"
    OWNER = "owner"


VIEWER, STEWARD, DOOR, OWNER = OperatorRole

INCLUDED: Final[Mapping[OperatorRole, frozenset[OperatorRole]]] = MappingProxyType(
    {
        VIEWER: frozenset({VIEWER}),
        STEWARD: frozenset({VIEWER, STEWARD, DOOR}),
        DOOR: frozenset({DOOR}),
        OWNER: frozenset(OperatorRole),
    }
)
"""For each role the roles whose acts it may do."""


ROLE_WORDS: Final[Mapping[OperatorRole, str]] = MappingProxyType(
    {
        VIEWER: "reads",
        STEWARD: "issues codes, helps fans and checks tickets in",
        DOOR: "checks tickets in",
        OWNER: "does everything",
    }
)
"""What each role does, for those who give roles."""


class Grants(msgspec.Struct, frozen=True):
    """The roles of one operator: for the whole site (``site``), and for single events by their ids.

    ``is_held_back``: the roles are not in force before the operator has enrolled a second factor.
    """

    site: OperatorRole | None = None
    events: dict[int, OperatorRole] = {}
    is_held_back: bool = False

    def allow(self, role: OperatorRole, event_id: int | None = None) -> bool:
        """Whether the operator may do what ``role`` may do: at this event; without ``event_id`` at the whole site."""
        if self.is_held_back:
            return False
        if self.site is not None and role in INCLUDED[self.site]:
            return True
        at_event = None if event_id is None else self.events.get(event_id)
        return at_event is not None and role in INCLUDED[at_event]

    def allow_somewhere(self, role: OperatorRole) -> bool:
        """Whether the operator may do what ``role`` may do at the whole site or at one event at least."""
        return self.allow(role) or any(self.allow(role, event_id) for event_id in self.events)

    def events_of(self, role: OperatorRole) -> frozenset[int] | None:
        """The events at which the operator may do what ``role`` may do; None: at all."""
        if self.allow(role):
            return None
        return frozenset(event_id for event_id in self.events if self.allow(role, event_id))


NO_GRANTS: Final = Grants()
