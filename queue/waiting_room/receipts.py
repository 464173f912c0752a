"""The words of a fan's history, and what they mean to the API."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from .model import FanState

REASONS: Final[Mapping[str, tuple[FanState, str]]] = {
    "lobby": (FanState.LOBBY, "joined_lobby"),
    "joined": (FanState.WAITING, "joined"),
    "restored": (FanState.WAITING, "restored"),
    "called": (FanState.CALLED, "called"),
    "preferred": (FanState.WAITING, "access_code"),
    "missed": (FanState.WAITING, "claim_missed"),
    "skipped": (FanState.WAITING, "skipped_absent"),
    "back": (FanState.WAITING, "came_back"),
    "idle": (FanState.WAITING, "idle_inside"),
    "put_back": (FanState.WAITING, "put_back_by_operator"),
    "put_off": (FanState.WAITING, "sale_put_off"),
    "called_off": (FanState.WAITING, "event_cancelled"),
    "admitted": (FanState.ADMITTED, "claimed"),
    "straight": (FanState.ADMITTED, "no_line"),
    "retaken": (FanState.ADMITTED, "restored"),
    "moved": (FanState.WAITING, "moved_to_this_session"),
    "moved_away": (FanState.LEFT, "moved_to_another_session"),
    "left": (FanState.LEFT, "left"),
    "done": (FanState.DONE, "bought"),
    "pass_over": (FanState.EXPIRED, "pass_ended"),
    "unclaimed": (FanState.EXPIRED, "claim_missed_again"),
    "absent": (FanState.EXPIRED, "absent_too_long"),
}
"""Each word that the scripts note, with the state that it led to and the reason that the API gives."""
ENDINGS: Final = frozenset({"left", "done", "pass_over", "unclaimed", "absent", "moved_away"})
"""The words that end a place. Any later word belongs to the fan's next place."""
DRAWN: Final[tuple[FanState, str]] = (FanState.WAITING, "drawn")
"""The state and reason of the draw on a receipt. The draw itself is recorded in Postgres."""
