"""What the words of a fan's history mean: the state that each led to, and the reason as the API names it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from .model import FanState

REASONS: Final[Mapping[str, tuple[FanState, str]]] = {
    "lobby": ("lobby", "joined_lobby"),
    "joined": ("waiting", "joined"),
    "restored": ("waiting", "restored"),
    "called": ("called", "called"),
    "preferred": ("waiting", "access_code"),
    "missed": ("waiting", "claim_missed"),
    "skipped": ("waiting", "skipped_absent"),
    "back": ("waiting", "came_back"),
    "admitted": ("admitted", "claimed"),
    "straight": ("admitted", "no_line"),
    "retaken": ("admitted", "restored"),
    "left": ("left", "left"),
    "done": ("done", "bought"),
    "pass_over": ("expired", "pass_ended"),
    "unclaimed": ("expired", "claim_missed_again"),
    "absent": ("expired", "absent_too_long"),
}
"""By the word that the scripts note."""
ENDINGS: Final = frozenset({"left", "done", "pass_over", "unclaimed", "absent"})
"""After one of them a place is a new one."""
DRAWN: Final[tuple[FanState, str]] = ("waiting", "drawn")
"""Noted by the draw itself, in Postgres."""
