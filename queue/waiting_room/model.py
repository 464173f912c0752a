"""The values that the line takes and gives: rooms, places, standings. Times are Unix times in ms by Redis' clock."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Literal, NamedTuple

import msgspec

from db.rooms.dials import DIALS, RoomDials
from db.rooms.states import RoomState

from .autopilot import Steering

DAY_SECONDS: Final = 86_400
NUMBER_MAX: Final = 2**53


class FanState(StrEnum):
    """Where a fan stands, as the API names it."""

    LOBBY = "lobby"
    WAITING = "waiting"
    CALLED = "called"
    ADMITTED = "admitted"
    DONE = "done"
    EXPIRED = "expired"
    LEFT = "left"
    NONE = "none"


class DrawState(StrEnum):
    """How far the draw of a lobby is: to come, its list of fans closed, or every place given."""

    PENDING = "pending"
    CLOSED = "closed"
    DONE = "done"


Configured = Literal["created", "updated", "kept"]
Joined = Literal["new", "restored", "known"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomConfig(RoomDials):
    """A room as Redis keeps it: its dials, its state, and what follows from settings. A higher ``revision`` replaces a
    lower one. The scripts take a shorter claim window and pass than an operator may set.

    Attributes:
        rate_per_minute: may be a fraction; 0 calls nobody.
        stock_factor, stock_spare: with a stock known, the fans called and at work stay within so many times the free
            seats and so many more; a factor of 0 does not look at the stock.
        work_seconds: a fan counts as at work for so long after the last sign of it; 0: as long as the pass lasts.
        choose_seconds: while seats are scarce, a fan who only says to be choosing is believed for so long after the
            last try to book.
        idle_seconds: while seats are scarce, a fan who does nothing for so long loses the pass and keeps the place; 0:
            no pass shrinks.
        lobby_at_ms, draw_at_ms: the room is closed until the first, then a lobby, which is drawn at the second, the
            on-sale; a ``draw_at_ms`` of 0: there is no lobby.
        on_sale_at_ms, off_sale_at_ms: nobody is called before the first, and the room is closed from the second on; 0
            is no bound.
        is_cancelled: the event was cancelled: whoever was called or admitted goes back in line, and nobody is let in.
        receipt_entries_max, receipt_fans_max: how much is noted of each fan, and of how many (twice as many at most).
        news_ms: news of fans wait for so long at most for others to be published with, or for the door's next tick; 0:
            they do not wait.

    Raises:
        ValueError: a field is out of its bounds.
    """

    rate_per_minute: float = 300  # type: ignore[assignment] # the scripts take fractions, of which tests make much
    state: RoomState = RoomState.OPEN
    absence_seconds: int = 120
    connected_seconds: int = 15
    stock_factor: float = 2.0
    stock_spare: int = 20
    work_seconds: int = 10
    choose_seconds: int = 180
    idle_seconds: int = 60
    lobby_at_ms: int = 0
    draw_at_ms: int = 0
    on_sale_at_ms: int = 0
    off_sale_at_ms: int = 0
    is_cancelled: bool = False
    receipt_entries_max: int = 50
    receipt_fans_max: int = 250_000
    news_ms: int = 0
    revision: int = 1

    def __post_init__(self) -> None:
        for name, (least, most) in BOUNDS.items():
            if not least <= getattr(self, name) <= most:
                raise ValueError(f"{name} must be {least} to {most}, not {getattr(self, name)}")
        # Redis and tests give the state as text.
        try:
            object.__setattr__(self, "state", RoomState(self.state))
        except ValueError:
            raise ValueError(f"state must be one of {', '.join(RoomState)}, not {self.state!r}") from None


BOUNDS: Final[Mapping[str, tuple[float, float]]] = {
    **{dial.name: (min(1, dial.least), dial.most) for dial in DIALS.values() if dial.type is int},
    "absence_seconds": (1, DAY_SECONDS),
    "connected_seconds": (1, DAY_SECONDS),
    "stock_factor": (0, NUMBER_MAX),
    "stock_spare": (0, NUMBER_MAX),
    "work_seconds": (0, DAY_SECONDS),
    "choose_seconds": (0, DAY_SECONDS),
    "idle_seconds": (0, DAY_SECONDS),
    "lobby_at_ms": (0, NUMBER_MAX),
    "draw_at_ms": (0, NUMBER_MAX),
    "on_sale_at_ms": (0, NUMBER_MAX),
    "off_sale_at_ms": (0, NUMBER_MAX),
    "receipt_entries_max": (1, NUMBER_MAX),
    "receipt_fans_max": (1, NUMBER_MAX),
    "news_ms": (0, 60_000),
    "revision": (0, NUMBER_MAX),
}
"""The least and the most that the scripts take of each number."""

PACES: Final = ("state", "stock_factor", *(dial.name for dial in DIALS.values() if dial.paces))
"""The fields that the line's speed depends on: after a change of one the forecast is made afresh."""


class Standing(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Where a fan stands, and in which room.

    Attributes:
        epoch, number: of the place that the fan holds, or of the last one that ended; 0 without either.
        ahead: how many people of the fan's own class stand before the fan.
        position: ``ahead + 1``, for operators.
        shown: the lowest position that the fan was ever shown, for the fan. These three are 0 unless the fan waits, and
            ``shown`` is 0 too while the room is rebuilding.
        joined: whether this call made the place.
        priority: the place is of the priority class.
        idle: the fan lost the pass by doing nothing, waits in front, and is called again after a sign of life.
        idle_ends_ms: when the pass ends if its fan does nothing more; None unless that is before ``pass_until_ms``.
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
    idle: bool = False
    idle_ends_ms: int | None = None

    @property
    def claim_by_seconds(self) -> int | None:
        """Seconds left to claim, rounded down; None unless called."""
        return None if self.claim_by_ms is None else max(0, self.claim_by_ms - self.now_ms) // 1000


@dataclass(frozen=True, slots=True)
class Positions:
    """The ranks of some fans.

    Attributes:
        waiting: how many fans of both classes are in line.
        ranks: each fan's rank in the own class, in the order asked; 0 is next, and -1 is not in line.
        priority: the indices of the fans who are of the priority class.
    """

    waiting: int
    ranks: list[int]
    priority: frozenset[int] = frozenset()


class Mark(NamedTuple):
    """How far the moves of a room are known: which generation of the room, how many bytes of its moves, and their last
    ones.
    """

    generation: bytes = b""
    known_bytes: int = 0
    tail: bytes = b""


@dataclass(frozen=True, slots=True)
class Ranks:
    """What moved in the order of a room's lines, and the ranks of some fans after that.

    Attributes:
        waiting: how many fans of both classes are in line.
        mark: how far the moves are known with this.
        moves: those since the mark that was asked from, as ranks.lua tells them; None if they are not known, so that no
            rank of before counts any more.
        ranks: each fan's rank in the own class and the place's score, in the order asked; 0 is next, -1 is not in line.
        priority: the indices of the fans who are of the priority class.
    """

    waiting: int
    mark: Mark
    moves: bytes | None
    ranks: list[tuple[int, int]]
    priority: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class ListChanges:
    """What changed in a list: the fans with streams at one gateway.

    Attributes:
        here, left: fans who are on the list, and who left it just now; each with the lowest position that the fan was
            shown, 0 if none.
        silent: fans who are on the list no more, because nothing was heard of them since its lease was renewed.
        renews: the lease is renewed with this.
    """

    here: Sequence[tuple[int, int]] = ()
    left: Sequence[tuple[int, int]] = ()
    silent: Sequence[int] = ()
    renews: bool = False


@dataclass(frozen=True, slots=True)
class Tick:
    """What one `admit` did.

    Attributes:
        called, ended: how many fans were called, and how many places ended.
        more: there is more to do; call again at once.
        draw_due: the lobby is due to be drawn.
        is_empty: nobody holds a place.
        due_in_ms: this call did nothing, because the room was ticked so shortly before; in so many ms a call with the
            same ``unless_within_ms`` would do something. 0 where it did.
    """

    called: int
    ended: int
    more: bool
    draw_due: bool = False
    is_empty: bool = False
    due_in_ms: int = 0


@dataclass(frozen=True, slots=True)
class LobbyPage:
    """Some fans of a lobby that is due to be drawn; with the ``last`` page its list is closed."""

    after: int
    fans: list[bytes]
    last: bool


@dataclass(frozen=True, slots=True)
class Drawn:
    """How far the draw has come: ``next_number`` is the first place still to be given, unless the draw is ``done``."""

    next_number: int
    done: bool


@dataclass(frozen=True, slots=True)
class Noted:
    """A line of a fan's history: ``what`` is a word of `receipts.REASONS`."""

    what: str
    at_ms: int


@dataclass(frozen=True, slots=True)
class History:
    """What was noted of a fan, the oldest first; ``joined_at_ms`` is set for a place of which nothing is noted yet."""

    noted: list[Noted]
    joined_at_ms: int | None


@dataclass(frozen=True, slots=True)
class Stock:
    """Seats left to sell and seats in holds, as of ``version`` of the event."""

    free: int
    held: int
    version: int


class InFront(NamedTuple):
    """A fan whose turn is near or has come, with the fan's place."""

    fan: int
    epoch: int
    number: int
    joined_at_ms: int
    priority: bool


class Front(NamedTuple):
    """The fans in front: of both classes from the front on, those called, and those passed over for their absence."""

    line: tuple[InFront, ...]
    priority: tuple[InFront, ...]
    called: tuple[InFront, ...]
    away: tuple[InFront, ...]


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
    kept: bytes
    """The text that Redis keeps of it; `Slots.recorded` compares it before it removes the departure."""


@dataclass(frozen=True, slots=True)
class Acted:
    """What became of a sign of work: the end of the fan's live pass (None without one), and whether the fan had lost
    the pass by doing nothing, and is back in line now.
    """

    pass_until_ms: int | None
    was_idle: bool


@dataclass(frozen=True, slots=True)
class Renewed:
    """The end of a live pass that was just used, and the latest end to which further use can put it off, in ms."""

    until_ms: int
    ends_at_ms: int


@dataclass(frozen=True, slots=True)
class PassEnds:
    """The end of a live pass, and when it ends if its fan does nothing more: None unless that is earlier."""

    until_ms: int
    idle_ends_ms: int | None


@dataclass(frozen=True, slots=True)
class AdmittedPage:
    """Some of the admitted; ``cursor`` asks for the next page and is 0 at the end."""

    cursor: int
    fans: list[Admitted]


@dataclass(frozen=True, slots=True)
class Pace:
    """How the line moved in the last ten minutes. A figure is None until there was enough to measure it by.

    Attributes:
        no_show_rate: the share of calls that nobody claimed, 0 to 1.
        admitted_per_minute: over the last minute.
        line_per_minute: how fast the line's front moved while there was a line, over at most five minutes: calls and
            skipped ghosts, less the fans who were put back.
        called_per_minute: over the last ten to twenty seconds.
        measured_seconds: how long ``line_per_minute`` was measured.
        calling_seconds: since the first call.
        moved_per_call: by how many people the line moved with each call.
        missed_share: how many of the calls that are a claim window old were missed. At first it is higher than
            ``no_show_rate``, because claims come sooner than misses.
        freed: how many slots became free in the last three minutes; ``freed_per_minute`` is their rate.
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
    """How fast fans are told that the line moves, in people a minute.

    Attributes:
        at_ms: since when.
        paced_from_ms: when the room was last changed in what its speed depends on.
        grade: how much was known of the line (`eta.grade_of`).
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
    """A room in numbers.

    Attributes:
        waiting: fans in line, of both classes; ``priority`` of them are of the priority class.
        away: fans who were absent at the front, or did nothing inside, and may come back.
        lobby: fans whose places are still to be drawn; ``drawn`` places were drawn already.
        let_in: fans called or let straight in since Redis knows the room.
        slots: how many fans may be called and admitted at a time; ``slots_free`` of the slots are free, and
            ``is_stock_bound`` says that the stock sets their number, not the capacity. Then only fans ``at_work`` take
            a slot.
        scarce_since_ms: since when more fans inside could take seats than are free, while others wait; 0: it is not so.
        rebuilt_at_ms: when Redis was found to have lost the room, 0 if it never did.
    """

    waiting: int
    away: int
    called: int
    admitted: int
    pace: Pace
    config: RoomConfig
    epoch: int
    stock: Stock | None
    slots: int
    slots_free: int
    is_stock_bound: bool
    now_ms: int
    at_work: int = 0
    scarce_since_ms: int = 0
    rebuilt_at_ms: int = 0
    rebuild_until_ms: int = 0
    lobby: int = 0
    priority: int = 0
    draw: DrawState = DrawState.PENDING
    drawn: int = 0
    let_in: int = 0
    steering: Steering | None = None
    steered_at_ms: int = 0
    forecast: Forecast | None = None
    paced_from_ms: int = 0
    resumed_at_ms: int = 0
    """When an outage or a sell-out was over; the door opens `RoomConfig.connected_seconds` later."""
    holds_end_at_ms: int = 0
    """When the last hold ends, where every seat left is in a hold; else 0. The gateway adds it, from Postgres."""

    @property
    def rate_per_minute(self) -> float:
        """What the door may admit now: as configured, or less where the autopilot steers."""
        if not self.config.autopilot or self.steering is None:
            return self.config.rate_per_minute
        return min(self.config.rate_per_minute, self.steering.rate_per_minute)

    def ahead_in_both(self, ahead: int, *, priority: bool) -> int:
        """How many people of both classes are called before a fan who has ``ahead`` people of the own class before.

        While both classes wait, each has its share of the calls; once the other has gone, it has all of them. If more
        fans come with codes later, the ordinary wait for more people than this, by the priority class's share at most.
        """
        own = self.priority if priority else self.waiting - self.priority
        others = self.waiting - own
        if others <= 0:
            return ahead
        share = self.config.priority_share
        own_share, others_share = (share, 100 - share) if priority else (100 - share, share)
        if share == 0:
            # Both classes stand in one order, of which only the number of fans of each is known.
            own_share, others_share = max(1, own), others
        return ahead + (min(others, (ahead + 1) * others_share // own_share) if own_share else others)

    @property
    def is_crowded(self) -> bool:
        """More fans are at work than seats are free, so that some of them find none."""
        return self.stock is not None and self.at_work > max(0, self.stock.free)

    @property
    def door_open(self) -> bool:
        """Fans may be called now."""
        return self.state is RoomState.OPEN and self.now_ms >= self.resumed_at_ms + self.config.connected_seconds * 1000

    @property
    def undrawn(self) -> bool:
        """The room has a lobby that is not drawn yet."""
        return self.config.draw_at_ms > 0 and self.draw is not DrawState.DONE

    @property
    def state(self) -> RoomState:
        """As configured; ``closed`` before the lobby and ``lobby`` until it is drawn; without a lobby ``paused`` until
        the sale begins; ``rebuilding`` while the places that Redis lost come back; ``closed`` once the sale is over.
        The same as room.lua has it.
        """
        state = self.config.state
        if state is not RoomState.OFF and 0 < self.config.off_sale_at_ms <= self.now_ms:
            return RoomState.CLOSED
        if self.undrawn and state in (RoomState.OPEN, RoomState.PAUSED):
            state = RoomState.CLOSED if self.now_ms < self.config.lobby_at_ms else RoomState.LOBBY
        elif state is RoomState.OPEN and self.now_ms < self.config.on_sale_at_ms:
            state = RoomState.PAUSED
        if self.now_ms < self.rebuild_until_ms and state in (RoomState.OPEN, RoomState.PAUSED, RoomState.LOBBY):
            return RoomState.REBUILDING
        return state


class News(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A message of `keys.ROOM_NEWS`: the fans whose state changed since the last one, so that each gateway wakes its
    own streams. Or one of `keys.NEWS_CHANNEL`: the configuration changed.

    Attributes:
        called, admitted, ended: each fan with claim_by_ms, with pass_until_ms, or with how the place ended.
        waiting: the fans who are back in line after a missed claim.
        config: the revision of the configuration that is now in force, where it changed.
    """

    event: int
    called: list[tuple[int, int]] = []
    admitted: list[tuple[int, int]] = []
    waiting: list[int] = []
    ended: list[tuple[int, Literal["done", "expired", "left"]]] = []
    config: int | None = None


read_news: Final = msgspec.json.Decoder(News).decode
