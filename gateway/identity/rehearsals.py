"""A rehearsal's copy of an event is open to the fans of the rehearsal alone, and they may use no other event.

Two locks hold this, and each is enough alone: the copy is marked in Postgres, and `admitone rehearse` signs the
sessions of its fans with the site's secret, each for one copy. Such a session opens no event that is on sale.
"""

from __future__ import annotations

from gateway.identity.sessions import Session
from gateway.wire.problems import ProblemError


def refuse_stranger(is_copy: bool, event_id: int, session: Session | None) -> None:
    """Refuse a session that does not belong to the event.

    Raises:
        ProblemError: ``unknown_event`` where the event is a copy and the session is not of its rehearsal;
            ``session_invalid`` where the session is of a rehearsal and the event is no copy.
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
