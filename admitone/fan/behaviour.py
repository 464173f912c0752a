"""How the fans of one plan behave, and the objects that they share."""

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
        "captcha_required",
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
"""A booking command may fail with these codes for a fan who does everything right; any other code is an error."""

Moment = Literal["notice", "choose", "pay"]
"""The moments at which a fan thinks: before it claims, before it reserves, and before it checks out."""
Tempo = Callable[[Moment], float]
"""Gives the number of seconds that one fan thinks at a moment."""


class VisitEnded(Exception):  # noqa: N818 - most visits end without any error
    """The visit is over; the message is its outcome."""


class Behaviour(msgspec.Struct, frozen=True, kw_only=True):
    """What the fans of one plan do. A share is a part of all fans, within 0..1.

    ``seats_min``, ``seats_max``: each fan wants a number of seats within these, evenly spread.
    ``leave_line``: the share that leaves the line, half of them without a request. ``no_show``: the share that is
    called and never claims. ``idle``: the share that is admitted and does nothing. ``walk_away``: the share that holds
    seats and forgets them. ``release``: the share that gives its held seats back. ``best``: the share that lets the
    server choose seats. ``front``: the share that wants the first rows. ``reserve_tries_max``: how often a fan chooses
    seats at most.
    ``waits_for_line``: a fan waits until a full line has room, and waits again after a call that it missed.
    ``looks_at_map``: a fan reads the whole map and its changes before it chooses, as a page does.
    ``solves_early``: a fan solves the checkout's captcha right after joining.
    ``every_break_counts``: a broken connection is an error even if the next try was answered.
    """

    event_id: int
    seed: int = 1
    seats_min: int = 1
    seats_max: int = 2
    leave_line: float = 0.0
    no_show: float = 0.0
    idle: float = 0.0
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
    """What the fans of one plan share. ``session`` gives a fan's token and user id, ``tempo`` a fan's tempo."""

    behaviour: Behaviour
    counts: Counts
    ledger: Ledger
    captcha: Captcha
    hall: Choosing
    session: Callable[[Calls], Awaitable[tuple[str, int]]]
    tempo: Callable[[random.Random], Tempo]
