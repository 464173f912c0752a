"""Who may know of a rehearsal's copy of an event: the fans whose session names it, and they of no other event.

Two locks, each enough alone: the copy is marked in Postgres, and the session is signed with the site's secret, by
`admitone rehearse`. A session that names an event on sale is good for nothing, and a copy is nobody else's to see.
"""

from __future__ import annotations

from gateway.identity.sessions import Session
from gateway.wire.problems import ProblemError


def refuse_stranger(is_copy: bool, event_id: int, session: Session | None) -> None:
    """Raises:
    ProblemError: ``unknown_event`` for a copy and anybody but its fans, ``session_invalid`` for them elsewhere.
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
