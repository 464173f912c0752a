"""What a route for operators needs: a role, and where the operator must have it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from db.operators.roles import OWNER, OperatorRole
from gateway.identity.sessions import Session
from gateway.wire.problems import ProblemError


@dataclass(frozen=True, slots=True)
class Need:
    """The role that a route needs. None: any operator will do. ``in_person``: no script's token does.

    ``where``: at the event in the path (``event``), for the whole site (``site``), or at one event at least
    (``somewhere``): such a route answers for those events alone.
    """

    role: OperatorRole | None
    where: Literal["event", "site", "somewhere"]
    in_person: bool = False

    def check(self, operator: Session, arguments: Mapping[str, Any]) -> None:
        """Return if the operator may call the route with these arguments.

        Raises:
            ProblemError: ``not_your_role`` or ``second_factor_needed``.
        """
        if self.in_person and operator.is_token:
            raise ProblemError("not_your_role", "A script's token has no account of its own.")
        if self.role is None:
            return
        grants = operator.grants
        if grants.is_held_back:
            raise ProblemError("second_factor_needed")
        if self.where == "somewhere":
            is_allowed = grants.allow_somewhere(self.role)
        else:
            is_allowed = grants.allow(self.role, arguments["event_id"] if self.where == "event" else None)
        if not is_allowed:
            at = " for the whole site" if self.where == "site" else " at this event" if self.where == "event" else ""
            raise ProblemError("not_your_role", f"This needs the role {self.role}{at}.", role=self.role)


def at_event(role: OperatorRole) -> Need:
    """The role at the event that the path names, or for the whole site."""
    return Need(role, "event")


def at_site(role: OperatorRole) -> Need:
    """The role for the whole site."""
    return Need(role, "site")


def somewhere(role: OperatorRole) -> Need:
    """The role at one event at least, or for the whole site."""
    return Need(role, "somewhere")


SIGNED_IN: Final = Need(None, "somewhere")
"""Whoever is signed in, with any role or none."""
IN_PERSON: Final = Need(None, "somewhere", in_person=True)
"""Whoever is signed in, but no script: for what belongs to one's own account."""
UNDECLARED: Final = at_site(OWNER)
"""What holds for a route that declares nothing. A test finds such routes."""
