"""What is said of a room and of a fan's place in it. Times are milliseconds of Redis' clock since 1970."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, Literal

import msgspec

from .autopilot import Steering

FanState = Literal["lobby", "waiting", "called", "admitted", "done", "expired", "left", "none"]
RoomState = Literal["off", "lobby", "open", "paused", "rebuilding", "sold_out", "closed"]
Configured = Literal["created", "updated", "kept"]
Joined = Literal["new", "restored", "known"]

ROOM_STATES: Final[tuple[RoomState, ...]] = (
    "off", "lobby", "open", "paused", "rebuilding", "sold_out", "closed",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomConfig:
    """How an operator set a room. A higher ``revision`` replaces a lower one.

    ``rate_per_minute`` may be a fraction; 0 calls nobody. ``capacity`` bounds the fans called and admitted at
    a time, ``line_cap`` those in line. With a stock known, called and admitted stay within ``stock_factor``
    times the free seats; 0 does not look at the stock. With a ``draw_at_ms`` (the on-sale) the room is closed
    until ``lobby_at_ms``, then a lobby, which is drawn at ``draw_at_ms``; 0: there is no lobby. ``receipt_*``
    bound how much is noted of each fan, and of how many (twice as many at most). Of the calls while both classes wait
    ``priority_share`` percent go to the priority class; with 0 there is one order for both, that of joining.

    Raises:
        ValueError: a field is out of its bounds.
    """

    state: RoomState = "open"
    rate_per_minute: float = 300
    capacity: int = 500
    line_cap: int = 5000
    claim_window_seconds: int = 60
    pass_seconds: int = 900
    absence_seconds: int = 120
    connected_seconds: int = 15
    stock_factor: float = 2.0
    lobby_at_ms: int = 0
    draw_at_ms: int = 0
    receipt_entries_max: int = 50
    receipt_fans_max: int = 250_000
    autopilot: int = 0
    priority_share: int = 50
    revision: int = 1

    def __post_init__(self) -> None:
        if self.state not in ROOM_STATES:
            raise ValueError(f"state must be one of {', '.join(ROOM_STATES)}, not {self.state!r}")
        if self.receipt_entries_max < 1 or self.receipt_fans_max < 1:
            raise ValueError("receipt_entries_max and receipt_fans_max must be 1 or more")
        if not 0 <= self.priority_share <= 100:
            raise ValueError(f"priority_share must be 0 to 100, not {self.priority_share}")
        for name in (
            "rate_per_minute", "stock_factor", "capacity", "line_cap", "lobby_at_ms", "draw_at_ms", "revision",
        ):  # fmt: skip
            if not 0 <= getattr(self, name) < math.inf:
                raise ValueError(f"{name} must be 0 or more, not {getattr(self, name)}")
        for name in ("claim_window_seconds", "pass_seconds", "absence_seconds", "connected_seconds"):
            if not 1 <= getattr(self, name) <= 86_400:
                raise ValueError(f"{name} must be 1 to 86400, not {getattr(self, name)}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Where a fan stands.

    ``priority`` is the class of the place, ``ahead`` the true rank in it, ``position`` ``ahead + 1`` and ``shown`` the
    lowest position the fan was ever shown in it: give fans ``shown``, operators ``position``. The three are 0 unless
    the fan waits, ``shown`` also while the room is rebuilding. ``epoch`` and ``number`` are of the place held, or of
    the one that ended, or 0. ``joined`` says whether this call made the place.
    """

    state: FanState
    room_state: RoomState
    epoch: int
    number: int
    ahead: int
    position: int
    shown: int
    waiting: int
    claim_by_ms: int | None
    pass_until_ms: int | None
    joined_at_ms: int | None
    now_ms: int
    joined: Joined
    priority: bool = False

    @property
    def claim_by_seconds(self) -> int | None:
        """Seconds left to claim, rounded down; None unless called."""
        return None if self.claim_by_ms is None else max(0, self.claim_by_ms - self.now_ms) // 1000


@dataclass(frozen=True, slots=True)
class Positions:
    """Ranks in their classes (0 is next; -1 not in line), in the order asked, and how many are in line of both.

    ``priority`` are the indices of those of the priority class.
    """

    waiting: int
    ranks: list[int]
    priority: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Tick:
    """What one `admit` did: fans called, places ended, whether to call again at once, whether the lobby is due to be
    drawn, and whether nobody holds a place."""

    called: int
    ended: int
    more: bool
    draw_due: bool = False
    is_empty: bool = False


@dataclass(frozen=True, slots=True)
class LobbyPage:
    """Some fans of a lobby that is due to be drawn; ``last``: these were the last, and its list is closed."""

    after: int
    fans: list[bytes]
    last: bool


@dataclass(frozen=True, slots=True)
class Drawn:
    """How far the draw has come: the number of the first place still to be given; ``done``: there is none."""

    next_number: int
    done: bool


@dataclass(frozen=True, slots=True)
class Noted:
    """A line of a fan's history: ``what`` is a word of `receipts.REASONS`."""

    what: str
    at_ms: int


@dataclass(frozen=True, slots=True)
class History:
    """What was noted of a fan, the oldest first; ``joined_at_ms`` of a place of which nothing is noted yet."""

    noted: list[Noted]
    joined_at_ms: int | None


@dataclass(frozen=True, slots=True)
class Stock:
    """Seats left to sell and seats in holds, as of ``version`` of the event."""

    free: int
    held: int
    version: int


@dataclass(frozen=True, slots=True)
class Admitted:
    """A fan with a live pass."""

    fan: int
    admitted_at_ms: int
    pass_until_ms: int


@dataclass(frozen=True, slots=True)
class Slot:
    """The slot of a fan admitted before Redis lost the room; ``since_ms`` is when, or a moment before."""

    fan: int
    until_ms: int
    since_ms: int


@dataclass(frozen=True, slots=True)
class Departure:
    """A place that ended: done, expired or left."""

    fan: int
    state: str
    epoch: int
    number: int
    at_ms: int
    told: bytes
    """As Redis has it, to strike it off."""


@dataclass(frozen=True, slots=True)
class AdmittedPage:
    """Some of the admitted; ``cursor`` asks for the next page and is 0 at the end."""

    cursor: int
    fans: list[Admitted]


@dataclass(frozen=True, slots=True)
class Pace:
    """How the line moved in the last ten minutes.

    ``admitted_per_minute`` is of the last minute, ``called_per_minute`` of the last ten to twenty seconds.
    ``line_per_minute`` is how fast the line's front moved while there was a line, over at most five minutes: calls and
    skipped ghosts, less those put back. Each is None before ten seconds of measuring. ``no_show_rate`` is the share of
    calls that went unclaimed, 0 to 1.

    ``measured_seconds`` are those of ``line_per_minute``, ``calling_seconds`` since the first call. ``moved_per_call``
    is how many people the line moved by with a call, ``missed_share`` how many of the calls made a claim window ago
    were missed (``no_show_rate`` is lower at first, for claims come sooner than misses); each is None before thirty.
    ``freed`` slots became free in the last three minutes, ``freed_per_minute``.
    """

    no_show_rate: float
    admitted_per_minute: float | None
    line_per_minute: float | None
    called_per_minute: float | None = None
    measured_seconds: float = 0.0
    calling_seconds: float = 0.0
    moved_per_call: float | None = None
    missed_share: float | None = None
    freed: int = 0
    freed_per_minute: float = 0.0


class Forecast(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How fast a line is told to move, in people a minute, since ``at_ms`` and from a ``grade`` of knowledge.

    ``paced_from_ms`` is when the room was last changed in what its speed depends on.
    """

    at_ms: int
    paced_from_ms: int
    grade: int
    expected: float
    lowest: float
    highest: float


encode_forecast: Final = msgspec.json.Encoder().encode
decode_forecast: Final = msgspec.json.Decoder(Forecast).decode


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomCounts:
    """A room in numbers. ``waiting`` are in line; ``away`` were absent at the front and may come back; ``lobby``
    are to be drawn. Of those waiting ``priority`` are of the priority class. ``draw`` is pending, closed (being drawn)
    or done, ``drawn`` how many places were drawn. ``let_in`` were called or let straight in since Redis knows the room.

    ``rebuilt_at_ms`` is when Redis was found to have lost the room, 0 if it never did.
    """

    waiting: int
    away: int
    called: int
    admitted: int
    pace: Pace
    config: RoomConfig
    epoch: int
    stock: Stock | None
    now_ms: int
    rebuilt_at_ms: int = 0
    rebuild_until_ms: int = 0
    lobby: int = 0
    priority: int = 0
    draw: Literal["pending", "closed", "done"] = "pending"
    drawn: int = 0
    let_in: int = 0
    steering: Steering | None = None
    steered_at_ms: int = 0
    forecast: Forecast | None = None
    paced_from_ms: int = 0
    resumed_at_ms: int = 0
    """The door opens `RoomConfig.connected_seconds` after an outage or a sell-out was over; this is from when on."""
    holds_end_at_ms: int = 0
    """Where every seat left is in a hold, when the last of them ends; the gateway knows of it. Else 0."""

    @property
    def rate_per_minute(self) -> float:
        """What the door may admit now: as configured, or less where the autopilot steers."""
        if not self.config.autopilot or self.steering is None:
            return self.config.rate_per_minute
        return min(self.config.rate_per_minute, self.steering.rate_per_minute)

    def ahead_in_both(self, ahead: int, *, priority: bool) -> int:
        """How many people of both classes are called before somebody with ``ahead`` of their own class before them.

        While both wait a class has its share; once the other has gone it has all. Should more come with codes, it is
        more for the ordinary, by their share at most.
        """
        own = self.priority if priority else self.waiting - self.priority
        others = self.waiting - own
        if others <= 0:
            return ahead
        share = self.config.priority_share
        own_share, others_share = (share, 100 - share) if priority else (100 - share, share)
        if share == 0:
            # In one order, of which is only known how many it has of each.
            own_share, others_share = max(1, own), others
        return ahead + (min(others, (ahead + 1) * others_share // own_share) if own_share else others)

    @property
    def door_open(self) -> bool:
        """Fans may be called now."""
        return self.state == "open" and self.now_ms >= self.resumed_at_ms + self.config.connected_seconds * 1000

    @property
    def undrawn(self) -> bool:
        """The room has a lobby that is not drawn yet."""
        return self.config.draw_at_ms > 0 and self.draw != "done"

    @property
    def state(self) -> RoomState:
        """As configured; ``closed`` before the lobby and ``lobby`` until it is drawn; ``rebuilding`` while the
        places that Redis lost come back. The same as room.lua has it.
        """
        state = self.config.state
        if self.undrawn and state in ("open", "paused"):
            state = "closed" if self.now_ms < self.config.lobby_at_ms else "lobby"
        if self.now_ms < self.rebuild_until_ms and state in ("open", "paused", "lobby"):
            return "rebuilding"
        return state


class News(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A message of `keys.NEWS_CHANNEL`: whose state changed, so that each gateway wakes its own streams.

    ``called`` pairs a fan with claim_by_ms, ``admitted`` with pass_until_ms, ``ended`` with done, expired or
    left; ``waiting`` are back in line after a missed claim; ``config`` is the revision now in force.
    """

    event: int
    called: list[tuple[int, int]] = []
    admitted: list[tuple[int, int]] = []
    waiting: list[int] = []
    ended: list[tuple[int, Literal["done", "expired", "left"]]] = []
    config: int | None = None


read_news: Final = msgspec.json.Decoder(News).decode
