"""How the fans of a plan behave, and what they work with."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, Literal

import msgspec

from admitone.fan.calls import Calls
from admitone.fan.captcha import Captcha
from admitone.fan.counts import Counts
from admitone.fan.hall import Choosing
from admitone.fan.ledger import Ledger

HONEST_REFUSALS: Final = frozenset(
    {
        "seats_taken",
        "no_block",
        "sold_out",
        "limit_exceeded",
        "not_admitted",
        "not_on_sale",
        "hold_expired",
        "payment_failed",
        "captcha_failed",
        "captcha_unavailable",
        "timed_out",
        "overloaded",
        "unavailable",
    }
)
"""Codes that a booking command may give to a fan who does everything right; any other is an error."""

Moment = Literal["notice", "choose", "pay"]
"""When a fan thinks: before claiming, before reserving, before checking out."""
Tempo = Callable[[Moment], float]
"""How many seconds a fan thinks."""


class VisitEnded(Exception):  # noqa: N818 - most visits end without any error
    """The visit is over; the message is its outcome."""


class Behaviour(msgspec.Struct, frozen=True, kw_only=True):
    """What the fans of one plan do; shares lie within 0..1.

    ``seats_min``, ``seats_max``: each fan wants so many seats, evenly spread.
    ``leave_line``: share who leave the line, half of them without a word. ``no_show``: share who are called and never
    claim. ``walk_away``, ``release``: shares who hold seats and forget them, or give them back.
    ``best``: share who let the server choose. ``front``: share who want the first rows.
    ``reserve_tries_max``: how often a fan whose seats were taken chooses again.
    ``waits_for_line``: a full line is waited out, and a call that was missed is waited for again.
    ``looks_at_map``: reads the whole map and its changes before choosing, as a page does.
    ``solves_early``: solves the checkout's captcha right after joining.
    ``every_break_counts``: a broken connection is an error even where the next try was answered.
    """

    event_id: int
    seed: int = 1
    seats_min: int = 1
    seats_max: int = 2
    leave_line: float = 0.0
    no_show: float = 0.0
    walk_away: float = 0.0
    release: float = 0.0
    best: float = 0.0
    front: float = 0.0
    reserve_tries_max: int = 8
    waits_for_line: bool = True
    looks_at_map: bool = False
    solves_early: bool = False
    every_break_counts: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Company:
    """What the fans of one plan work with. ``session`` gives a fan's token and user id, ``tempo`` a fan's tempo."""

    behaviour: Behaviour
    counts: Counts
    ledger: Ledger
    captcha: Captcha
    hall: Choosing
    session: Callable[[Calls], Awaitable[tuple[str, int]]]
    tempo: Callable[[random.Random], Tempo]
