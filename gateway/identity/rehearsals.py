"""Keeps rehearsals apart from the sale: only the simulated fans of a rehearsal see its copy of an event, and they see
no other event.

Two marks secure this, and each suffices alone: the copy is marked in Postgres, and `admitone rehearse` signs the fans'
sessions with the site's secret. A rehearsal's session that names a real event is refused everywhere.
"""

from __future__ import annotations

from gateway.identity.sessions import Session
from gateway.wire.problems import ProblemError


def refuse_stranger(is_copy: bool, event_id: int, session: Session | None) -> None:
    """Return if a request with this session may know of the event.

    Raises:
        ProblemError: ``unknown_event`` if the event is a copy and the session is not of its rehearsal;
            ``session_invalid`` if the session is of a rehearsal and the event is not its copy.
    """
    rehearses = 0 if session is None else session.rehearses
    if is_copy and rehearses != event_id:
        raise ProblemError("unknown_event")
    if rehearses and not is_copy:
        raise ProblemError(
            "session_invalid",
            "The session is of a rehearsal, and good for its own event alone.",
            headers={"WWW-Authenticate": "Bearer"},
        )
