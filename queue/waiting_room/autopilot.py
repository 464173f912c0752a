"""Steers the door by how many fans the booking engine can serve. It is a pure function of measurements, so that it can
be simulated.

A fan admitted now books many seconds later. Plain AIMD, which cuts the rate by a fixed share until the effect shows,
cuts several times for one overload, and the rate swings (ADR 14). So the autopilot raises the rate in small steps: in
larger ones while the workers are idle for much of the time, in smaller ones near the rate at which the engine was last
overloaded. To cut the rate it does not guess: while commands wait, the number that end in a second is the engine's
pace, and this pace divided by the commands that a fan makes is the rate that the engine can serve. To follow a measured
bottleneck instead of losses is the idea of BBR (Cardwell et al., "BBR: Congestion-Based Congestion Control", ACM Queue
14:5, 2016).
"""

from __future__ import annotations

from typing import Final, Literal

import msgspec

STEP_SECONDS: Final = 1.0
WINDOW_SECONDS: Final = 10.0
"""The p95, the ended commands and the troubles are measured over this long."""
REACTION_SECONDS: Final = 15.0
"""After a cut the next one comes this much later at the earliest, because only then does the first one show its effect.
Meanwhile the backlog itself slows the door.
"""
EASY_SHARE: Final = 0.7
"""Below this share of the target p95 the rate may rise."""
BUSY_SHARE: Final = 0.6
"""Workers that are busy for less than this share of the time can certainly do more."""
GROWTH_SHARE: Final = 0.016
"""While workers are idle, the rate rises by this share each second. In the half minute until the effect shows, this
makes less than half.
"""
PROBE_SHARE: Final = 0.0002
"""Near the rate of the last overload, the rate rises by this share each second. With three times as much, the p95 was
over its target for a tenth of the time.
"""
START_SHARE: Final = 0.25
BORNE_SHARE: Final = 0.92
TROUBLED_SHARE: Final = 0.7
DRAIN_SECONDS: Final = 15.0
"""A backlog that takes this long to work off stops the door. A shorter one slows it in proportion."""
NO_SHOW_MAX: Final = 0.8
FLOOR_PER_MINUTE: Final = 6.0
FORGETTING: Final = 0.003
"""At each step this share of the commands and fans counted so far is dropped, so that the number of commands that a fan
makes is measured over some minutes.
"""

Cause = Literal["raised", "held", "slowed", "capacity", "ceiling", "stock", "nobody", "troubles"]


class Sight(msgspec.Struct, frozen=True, kw_only=True):
    """The measurements of the sale, or of a shop, over the last `WINDOW_SECONDS`.

    Attributes:
        slots_free: how many more fans may be let in by capacity and stock.
        stock_bound: whether the stock sets this number, not the capacity.
        backlog: how many commands have not ended.
        busy_share: the share of the time in which the lane's worker was at work.
        troubles: how many commands failed through no fault of the fan; of a shop, how many ``requests``.
        excess_share: what the door is slowed by beside the backlog; 1 stops it.
        is_blind: figures ought to be there, and are not: the rate stays as it is.
        reaction_seconds: what stands in place of `REACTION_SECONDS`; 0: nothing does.
    """

    at_seconds: float
    waiting: int
    slots_free: int
    stock_bound: bool
    p95_ms: float | None
    backlog: int
    ended_per_second: float
    admitted_per_second: float
    busy_share: float
    troubles: int
    no_show_rate: float
    requests: Literal["bookings", "requests"] = "bookings"
    excess_share: float = 0.0
    is_blind: bool = False
    reaction_seconds: float = 0.0


class Steering(msgspec.Struct, frozen=True, kw_only=True):
    """The rate that the autopilot sets, and the reason.

    Attributes:
        rate_per_minute: how many fans are called. It allows for no-shows, and is lower while there is a backlog.
        shows_per_minute: how many fans are meant to come in.
        borne_per_minute: the rate to which the last overload was cut.
        commands, fans: how many were counted so far; older counts are slowly dropped.
    """

    at_seconds: float
    rate_per_minute: float
    shows_per_minute: float
    borne_per_minute: float = 0.0
    commands: float = 0.0
    fans: float = 0.0
    cut_at_seconds: float = 0.0
    cause: Cause = "raised"
    why: str = ""


encode_steering: Final = msgspec.json.Encoder().encode
decode_steering: Final = msgspec.json.Decoder(Steering).decode


def start(ceiling_per_minute: int, at_seconds: float) -> Steering:
    """The first steering, whose rate is a share of the ceiling."""
    rate = max(min(FLOOR_PER_MINUTE, ceiling_per_minute), ceiling_per_minute * START_SHARE)
    return Steering(
        at_seconds=at_seconds,
        rate_per_minute=rate,
        shows_per_minute=rate,
        why="started at a quarter of the ceiling",
    )


def steer(last: Steering, sight: Sight, ceiling_per_minute: int, target_ms: float) -> Steering:
    """The next steering. Call this function every `STEP_SECONDS`.

    Args:
        ceiling_per_minute: the operator's rate, which is never exceeded.
        target_ms: the 95th percentile of bookings should stay below this.
    """
    ceiling = float(ceiling_per_minute)
    shows = min(last.shows_per_minute, ceiling)
    borne, cut_at = last.borne_per_minute, last.cut_at_seconds
    commands = last.commands * (1 - FORGETTING) + sight.ended_per_second
    fans = last.fans * (1 - FORGETTING) + sight.admitted_per_second
    p95_ms = sight.p95_ms or 0.0
    backlog_seconds = sight.backlog / sight.ended_per_second if sight.ended_per_second else float(sight.backlog > 0)
    pressure = max(p95_ms, backlog_seconds * 1000) / target_ms
    cause: Cause
    if pressure > 1 or sight.troubles:
        cause = "troubles" if sight.troubles else "slowed"
        what = (
            f"{sight.troubles} {sight.requests} failed lately"
            if sight.troubles
            else f"p95 {max(p95_ms, backlog_seconds * 1000):.0f} ms over the {target_ms:.0f} ms target"
        )
        if sight.at_seconds - cut_at >= (sight.reaction_seconds or REACTION_SECONDS):
            bears = sight.ended_per_second * 60 * fans / commands if commands else shows
            shows = borne = min(shows, bears) * (TROUBLED_SHARE if sight.troubles else BORNE_SHARE)
            cut_at = sight.at_seconds
        why = f"slowed: {what}"
    elif sight.is_blind:
        cause, why = "held", "held: no figures of the shop came lately"
    elif sight.waiting == 0:
        cause, why = "nobody", "nobody waits"
    elif sight.slots_free == 0:
        cause = "stock" if sight.stock_bound else "capacity"
        why = "as many are admitted as can still buy" if sight.stock_bound else "as many are admitted as may be at once"
    elif pressure > EASY_SHARE:
        cause, why = "held", f"held: p95 {p95_ms:.0f} ms of the {target_ms:.0f} ms target"
    elif shows >= ceiling * (1 - min(sight.no_show_rate, NO_SHOW_MAX)) - 1e-9:
        cause, why = "ceiling", "at the operator's ceiling"
    else:
        shows *= 1 + (GROWTH_SHARE if sight.busy_share < BUSY_SHARE or shows < borne else PROBE_SHARE)
        cause, why = "raised", f"raised: p95 {p95_ms:.0f} ms, well under the {target_ms:.0f} ms target"
    shows = min(max(shows, min(FLOOR_PER_MINUTE, ceiling)), ceiling)
    no_show_rate = min(max(sight.no_show_rate, 0.0), NO_SHOW_MAX)
    if no_show_rate >= 0.01:
        why += f"; {no_show_rate:.0%} of calls are not answered, so more are called"
    return Steering(
        at_seconds=sight.at_seconds,
        rate_per_minute=min(ceiling, shows / (1 - no_show_rate))
        * max(0.0, 1 - backlog_seconds / DRAIN_SECONDS - sight.excess_share),
        shows_per_minute=shows,
        borne_per_minute=borne,
        commands=commands,
        fans=fans,
        cut_at_seconds=cut_at,
        cause=cause,
        why=why,
    )
