"""The line of one room, naively: a dictionary of places and one loop for each rule. What the scripts must agree with.

Nothing here is quick: places are sorted whenever an order is asked for. Times are milliseconds.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Literal

from db.rooms.states import RoomState
from tests.property.scripts import ENDED_MAX, PURGE_CHUNK, WALK_CHUNK
from waiting_room.errors import (
    LineFull,
    NotCalled,
    Rebuilding,
    RoomClosed,
    RoomError,
    RoomOff,
    RoomSoldOut,
    RoomUnknown,
)
from waiting_room.model import Acted, FanState, Joined, ListChanges, RoomConfig, Slot, Standing, Stock, Tick
from waiting_room.tokens import PlaceToken

SETTINGS = (
    "absence_seconds", "connected_seconds", "stock_factor", "stock_spare", "work_seconds", "choose_seconds",
    "idle_seconds",
)  # fmt: skip
"""What the same revision of a configuration changes."""
MISSES_MAX = 2
REOPEN_MS = 90_000
Ticket = tuple[int, int]
"""(epoch, number): a place in the order of the line."""
Where = Literal["line", "away", "called", "admitted", "idle"]
SETS: tuple[tuple[str, Where, bool | None], ...] = (
    ("line", "line", False),
    ("priority", "line", True),
    ("away", "away", None),
    ("called", "called", None),
    ("admitted", "admitted", None),
    ("idle", "idle", None),
)
"""Redis' sorted sets: where their fans stand, and of which class they are (None: of both)."""


@dataclass
class Held:
    """A place somebody holds. ``until`` is the end of the absence, of the claim window or of the pass."""

    fan: int
    ticket: Ticket
    joined_at: int
    admitted_at: int = 0
    where: Where = "line"
    until: int = 0
    seen: int = 0
    missed: int = 0
    shown: int | None = None
    priority: bool = False
    acted: int | None = None
    """Of an admitted fan: last seen at work, or the end of the hold. None: that is forgotten."""
    tried: int = 0
    lists: list[str] = field(default_factory=list)
    """The names of the lists that the fan is on."""


@dataclass
class Lease:
    """A list's lease: when it was renewed last, and how often the list was told."""

    renewed_at: int
    told: int


@dataclass(frozen=True)
class Ended:
    """A place that was left, used or lost."""

    state: str
    ticket: Ticket
    at: int


@dataclass
class Generation:
    """Ended places remembered together, and the highest that ever was among them."""

    ended: dict[int, Ended] = field(default_factory=dict)
    top: Ticket = (0, 0)


@dataclass
class LineModel:
    """What Redis knows of the room; ``config`` is None where it knows no such room."""

    now: int
    config: RoomConfig | None = None
    epoch: int = 0
    number: int = 0
    first_epoch: int = 0
    ticked_at: int = 0
    resumed_at: int = 0
    rebuilt_at: int = 0
    rebuild_until: int = 0
    bucket: tuple[float, int] | None = None
    credit: int = 0
    stock: Stock | None = None
    held: dict[int, Held] = field(default_factory=dict)
    ended: Generation = field(default_factory=Generation)
    ended_before: Generation = field(default_factory=Generation)
    forgotten: Ticket = (0, 0)
    departing: dict[int, Ended] = field(default_factory=dict)
    scarce_since: int = 0
    crowded_since: int = 0
    resumed: int = 0
    leases: dict[str, Lease] = field(default_factory=dict)

    # -- what is so

    def begin(self) -> None:
        """Every operation first looks whether the room was out: no tick came for as long as one may be silent."""
        self.resumed = self.resumed_at
        if self.ticked_at and self.config and self.now - self.ticked_at > self.config.connected_seconds * 1000:
            if self.held:
                self.resumed = self.now
            else:
                self.ticked_at = self.now

    @property
    def the_config(self) -> RoomConfig:
        if self.config is None:
            raise RoomUnknown
        return self.config

    @property
    def state(self) -> RoomState:
        state = self.the_config.state
        is_rebuilding = self.now < self.rebuild_until and state in ("open", "paused", "lobby")
        return RoomState.REBUILDING if is_rebuilding else state

    def those(self, where: Where) -> list[Held]:
        """In line by ticket; elsewhere by the end of what they are in."""
        found = [held for held in self.held.values() if held.where == where]
        if where == "line":
            return sorted(found, key=lambda held: (held.ticket, str(held.fan)))
        return sorted(found, key=lambda held: (held.until, str(held.fan)))

    def line_of(self, priority: bool) -> list[Held]:
        return [held for held in self.those("line") if held.priority == priority]

    def ended_of(self, fan: int) -> Ended | None:
        return self.ended.ended.get(fan) or self.ended_before.ended.get(fan)

    def door_open(self) -> bool:
        return self.state == "open" and self.now >= self.resumed + self.the_config.connected_seconds * 1000

    def tokens(self) -> float:
        rate = self.the_config.rate_per_minute
        if rate <= 0:
            return 0
        burst = max(1, rate / 60)
        if self.bucket is None:
            return burst
        tokens, at = self.bucket
        return min(burst, tokens + max(0, self.now - at) * rate / 60000)

    def active(self) -> int:
        live = sum(held.until > self.now for held in self.those("admitted"))
        return len(self.those("called")) + live

    def at_work(self) -> int:
        config = self.the_config
        if config.work_seconds == 0:
            return self.active()
        since = self.now - config.work_seconds * 1000
        window_ms = config.claim_window_seconds * 1000
        called = sum(held.until - window_ms > since for held in self.those("called"))
        return called + sum(since < acted <= self.now for acted in self.acts())

    def acts(self) -> list[int]:
        return [held.acted for held in self.those("admitted") if held.acted is not None]

    def slots_free(self) -> int:
        config = self.the_config
        free = config.capacity - self.active()
        if self.stock is not None and config.stock_factor > 0:
            slots = math.ceil(config.stock_factor * self.stock.free) + config.stock_spare if self.stock.free else 0
            if slots < config.capacity:
                free = min(free, slots - self.at_work())
        return max(0, free)

    def idle_since(self, acted: int) -> int:
        return max(acted, self.scarce_since, self.resumed)

    def idle_allowed(self) -> tuple[int, int] | None:
        """How long a fan may do nothing, and from when that counts; None while nobody waits for it."""
        config = self.the_config
        if self.scarce_since and config.idle_seconds:
            return config.idle_seconds * 1000, self.idle_since(0)
        if self.crowded_since and config.choose_seconds:
            return config.choose_seconds * 1000, max(self.crowded_since, self.resumed)
        return None

    def idle_end(self, held: Held) -> int | None:
        """When the pass ends of a fan who does nothing more; None where it does not end sooner by that."""
        allowed = self.idle_allowed()
        if allowed is None or held.acted is None:
            return None
        ends_at = max(held.acted, allowed[1]) + allowed[0]
        return ends_at if ends_at < held.until else None

    def absence_over(self, ends_at: int) -> bool:
        return max(ends_at, self.resumed + self.the_config.absence_seconds * 1000) <= self.now

    def claim_over(self, claim_by: int) -> bool:
        return max(claim_by, self.resumed + self.the_config.claim_window_seconds * 1000) <= self.now

    # -- what changes

    def end(self, fans: list[int], state: str) -> None:
        self.remember({fan: Ended(state, self.held.pop(fan).ticket, self.now) for fan in fans})

    def remember(self, gone: dict[int, Ended]) -> None:
        if not gone:
            return
        if len(self.ended.ended) >= ENDED_MAX:
            self.forgotten = max(self.forgotten, self.ended_before.top)
            self.ended_before, self.ended = self.ended, Generation()
        self.ended.ended |= gone
        self.ended.top = max(self.ended.top, *(ended.ticket for ended in gone.values()))
        if len(self.departing) < ENDED_MAX:
            self.departing |= gone

    def miss(self, fans: list[int]) -> None:
        over = []
        for fan in fans:
            held = self.held[fan]
            held.missed += 1
            if held.missed >= MISSES_MAX:
                over.append(fan)
            else:
                held.where = "line"
        self.end(over, "expired")

    def settle(self, fan: int) -> Held | None:
        """The fan's place, once what lapsed is settled."""
        held = self.held.get(fan)
        if held is None:
            return None
        if held.where == "called" and self.claim_over(held.until):
            self.miss([fan])
        elif (held.where == "admitted" and held.until <= self.now) or (
            held.where == "away" and self.absence_over(held.until)
        ):
            self.end([fan], "expired")
        return self.held.get(fan)

    def admitted(self, held: Held) -> None:
        held.where, held.admitted_at, held.acted, held.tried = "admitted", self.now, self.now, 0
        held.until = self.now + self.the_config.pass_seconds * 1000

    def next_ticket(self) -> Ticket:
        self.number += 1
        return self.epoch, self.number

    # -- the operations

    def configure(self, config: RoomConfig, after_epoch: int = 0, rebuild_ms: int = 0) -> str:
        self.begin()
        if self.config is not None and config.revision <= self.config.revision:
            if config.revision == self.config.revision:
                self.config = replace(self.config, **{name: getattr(config, name) for name in SETTINGS})
            return "kept"
        outcome = "updated"
        if self.config is None:
            outcome = "created"
            self.epoch = self.first_epoch = max(self.now // 1000, after_epoch + 1)
            if after_epoch and rebuild_ms:
                self.rebuilt_at = self.ticked_at = self.resumed_at = self.now
                self.rebuild_until = self.now + rebuild_ms
        self.config = replace(config)
        return outcome

    def lose(self) -> None:
        self.__init__(self.now)  # type: ignore[misc]

    def standing(self, fan: int, *, touch: bool, joined: Joined = "known") -> Standing:
        self.begin()
        return self._standing(fan, touch=touch, joined=joined)

    def _standing(self, fan: int, *, touch: bool, joined: Joined) -> Standing:
        room_state = self.state
        held = self.settle(fan)
        ended = None if held else self.ended_of(fan)
        ticket = held.ticket if held else ended.ticket if ended else (0, 0)
        state, ahead, shown, claim_by, pass_until = ended.state if ended else "none", 0, 0, None, None
        idle_ends = None
        if held:
            if touch:
                held.seen = self.now
                if held.where == "away":
                    held.where = "line"
            if held.where == "called":
                state = "called"
                claim_by = max(held.until, self.resumed + self.the_config.claim_window_seconds * 1000)
            elif held.where == "admitted":
                state, pass_until, idle_ends = "admitted", held.until, self.idle_end(held)
            else:
                state = "waiting"
                ahead = sum(other.ticket < held.ticket for other in self.line_of(held.priority))
                if room_state != "rebuilding":
                    held.shown = shown = min(ahead + 1, held.shown or ahead + 1)
        return Standing(
            state=FanState(state),
            room_state=room_state,
            epoch=ticket[0],
            number=ticket[1],
            ahead=ahead,
            position=ahead + 1 if state == "waiting" else 0,
            shown=shown,
            waiting=len(self.those("line")),
            claim_by_ms=claim_by,
            pass_until_ms=pass_until,
            joined_at_ms=held.joined_at if held else None,
            now_ms=self.now,
            joined=joined,
            priority=held is not None and held.priority,
            idle=held is not None and held.where == "idle",
            idle_ends_ms=idle_ends,
        )

    def join(self, fan: int, token: PlaceToken | None = None, *, redeemed: bool = False) -> Standing:
        self.begin()
        config, state = self.the_config, self.state
        if state == "off":
            raise RoomOff
        if fan in self.held:
            if redeemed:
                self._prefer(fan)
            standing = self._standing(fan, touch=True, joined="known")
            if fan in self.held:
                return standing
        if state in ("closed", "sold_out"):
            raise {"closed": RoomClosed, "sold_out": RoomSoldOut}[state]
        ended = self.ended_of(fan)
        restored = (token.epoch, token.number) if token else (0, 0)
        if restored > max(ended.ticket if ended else (0, 0), self.forgotten):
            assert token is not None
            self._forget_ended(fan)
            self.held[fan] = Held(fan, restored, token.joined_at_ms, priority=token.priority or redeemed)
            self.epoch, self.number = max((self.epoch, self.number), restored)
            return self._standing(fan, touch=True, joined="restored")
        if state == "rebuilding":
            raise Rebuilding(5)
        line, tokens = self.those("line"), self.tokens()
        at_once = not line and tokens >= 1 and self.door_open() and self.slots_free() >= 1
        if not at_once and self._is_full() and self.absence_over(0):
            silent_from = self.now - self.the_config.absence_seconds * 1000
            self.end([held.fan for held in self.those("line") if self.heard_at(held) <= silent_from], "expired")
            line = self.those("line")
        if not at_once and len(line) + len(self.those("away")) + len(self.those("idle")) >= config.line_cap:
            rate = config.rate_per_minute
            wait = math.ceil(60 / rate) if rate > 0 and state == "open" else 60
            raise LineFull(max(5, min(60, wait)))
        self._forget_ended(fan)
        held = self.held[fan] = Held(fan, self.next_ticket(), self.now, priority=redeemed)
        if at_once:
            self.bucket = tokens - 1, self.now
            self.admitted(held)
        return self._standing(fan, touch=True, joined="new")

    def _prefer(self, fan: int) -> None:
        held = self.held[fan]
        if not held.priority and self.settle(fan) and held.where in ("line", "away", "idle"):
            held.priority, held.shown = True, None

    def _forget_ended(self, fan: int) -> None:
        self.ended.ended.pop(fan, None)
        self.ended_before.ended.pop(fan, None)

    def heartbeat(self, shown: dict[int, int]) -> list[int]:
        self.begin()
        gone, over = [], []
        for fan, position in shown.items():
            held = self.held.get(fan)
            if held and held.where == "away" and self.absence_over(held.until):
                over.append(fan)
                held = None
            if held is None:
                gone.append(fan)
                continue
            held.seen = self.now
            if held.where == "away":
                held.where = "line"
            if position and position < (held.shown or math.inf):
                held.shown = position
        self.end(over, "expired")
        return gone

    def heard_at(self, held: Held) -> int:
        """When the fan gave a sign of life last, or a list with the fan did."""
        return max(held.seen, *(self.leases[name].renewed_at for name in held.lists), 0)

    def _is_lapsed(self, lease: Lease) -> bool:
        return self.now - lease.renewed_at >= (self.config.connected_seconds if self.config else 0) * 1000

    def renew_lease(self, name: str, told: int) -> bool:
        lease = self.leases.get(name)
        if lease is None or lease.told != told or self._is_lapsed(lease):
            return False
        lease.renewed_at = self.now
        return True

    def tell_list(self, name: str, told: int, changes: ListChanges) -> list[int] | None:
        self.begin()
        lease = self.leases.get(name, Lease(0, 0))
        if lease.told != told or (name in self.leases and self._is_lapsed(lease)):
            return None
        gone, over = [], []
        here = [(fan, shown, True, self.now) for fan, shown in changes.here]
        left = [(fan, shown, False, self.now) for fan, shown in changes.left]
        silent = [(fan, 0, False, lease.renewed_at) for fan in changes.silent]
        for fan, shown, is_on, heard_at in [*here, *left, *silent]:
            held = self.held.get(fan)
            if held and held.where == "away" and heard_at == self.now:
                if self.absence_over(held.until):
                    over.append(fan)
                    held = None
                else:
                    held.where = "line"
            if held is None:
                gone += [fan] if is_on else []
                continue
            if shown and shown < (held.shown or math.inf):
                held.shown = shown
            if is_on and name in held.lists:
                continue
            held.lists = [one for one in held.lists if one != name and not self._is_lapsed(self.leases[one])]
            if is_on:
                held.lists.append(name)
            else:
                held.seen = max(held.seen, heard_at)
        self.end(over, "expired")
        renewed_at = self.now if changes.renews or name not in self.leases else lease.renewed_at
        self.leases[name] = Lease(renewed_at, told + 1)
        return gone

    def claim(self, fans: list[int]) -> list[Standing | RoomError]:
        """Who was called is admitted before the others are looked at."""
        self.begin()
        self.the_config  # noqa: B018 - raises where there is no room
        called = {
            fan: held
            for fan in fans
            if (held := self.held.get(fan)) and held.where == "called" and not self.claim_over(held.until)
        }
        for held in called.values():
            self.admitted(held)
        admitted = {fan: self._standing(fan, touch=True, joined="known") for fan in called}
        answers: list[Standing | RoomError] = []
        for fan in fans:
            if fan not in admitted:
                self.settle(fan)
            standing = admitted.get(fan) or self._standing(fan, touch=True, joined="known")
            answers.append(standing if standing.state == "admitted" else NotCalled(standing.state))
        return answers

    def act(self, fan: int, *, tries: bool) -> Acted:
        self.begin()
        config = self.the_config
        held = self.settle(fan)
        if held is None or held.where not in ("admitted", "idle"):
            return Acted(None, was_idle=False)
        if held.where == "idle":
            held.where, held.seen = "line", self.now
            return Acted(None, was_idle=True)
        if tries:
            held.tried = self.now
        since = self.idle_since(held.tried or held.admitted_at)
        if tries or not self.scarce_since or self.now < since + config.choose_seconds * 1000:
            held.acted = max(held.acted or 0, self.now)
        return Acted(held.until, was_idle=False)

    def leave(self, fan: int) -> bool:
        self.begin()
        held = self.settle(fan)
        if held:
            self.end([fan], "left")
        return held is not None

    def finish(self, fans: list[int]) -> int:
        self.begin()
        bought = [fan for fan in fans if fan in self.held and self.held[fan].where == "admitted"]
        late = {}
        for fan in fans:
            ended = self.ended_of(fan)
            if fan not in self.held and ended and ended.state == "expired":
                late[fan] = Ended("done", ended.ticket, self.now)
        idle = [fan for fan in fans if fan in self.held and self.held[fan].where == "idle"]
        self.end(bought, "done")
        self.end(idle, "done")
        self.remember(late)
        return len(bought)

    def extend(self, ends: dict[int, int]) -> int:
        later = 0
        for fan, until in ends.items():
            held = self.held.get(fan)
            if held and held.where == "admitted" and self.now < held.until:
                held.acted = max(held.acted or 0, until)
                if self.config is not None and held.admitted_at:
                    pass_seconds = self.config.pass_seconds
                    life_seconds = max(self.config.pass_life_seconds or 2 * pass_seconds, pass_seconds)
                    if held.until > held.admitted_at + pass_seconds * 1000:
                        until = min(until, held.admitted_at + life_seconds * 1000)
                later += held.until < until
                held.until = max(held.until, until)
        return later

    def retake(self, slot: Slot) -> int:
        self.begin()
        if self.config is None or not self.rebuilt_at or slot.until_ms <= self.now:
            return 0
        held = self.held.get(slot.fan)
        if held is None and self.ended_of(slot.fan) is None:
            held = self.held[slot.fan] = Held(slot.fan, self.next_ticket(), slot.since_ms)
        elif held and held.ticket < (self.first_epoch, 0) and not held.admitted_at:
            held.missed, held.shown = 0, None
        else:
            return 0
        held.where, held.until, held.admitted_at, held.seen = "admitted", slot.until_ms, slot.since_ms, self.now
        held.acted, held.tried = self.now, 0
        return 1

    def set_stock(self, stock: Stock) -> bool:
        if self.stock is not None and stock.version < self.stock.version:
            return False
        reopened = self.stock is not None and self.stock.free <= 0 and self.stock.held <= 0 and stock.free > 0
        if reopened and self.held and self.config is not None:
            opens_at = self.now + max(0, REOPEN_MS - 1000 * self.config.connected_seconds)
            self.resumed_at = max(self.resumed_at, opens_at)
        self.stock = stock
        return True

    def _keep_idle(self, fans: list[int]) -> None:
        absence_ms = self.the_config.absence_seconds * 1000
        for fan in fans:
            if self.heard_at(self.held[fan]) > self.now - absence_ms:
                self.held[fan].until = self.now + absence_ms
            else:
                self.end([fan], "expired")

    def _mark_scarcity(self) -> None:
        free = self.stock.free if self.stock else 0
        scarce = False
        if self.the_config.idle_seconds and free > 0 and self.door_open() and self.those("line"):
            without_seats = len(self.those("called")) + sum(acted <= self.now for acted in self.acts())
            scarce = without_seats * (2 if self.scarce_since else 1) > free
        if scarce != bool(self.scarce_since):
            self.scarce_since = self.now if scarce else 0

    def _is_full(self) -> bool:
        standing = len(self.those("line")) + len(self.those("away")) + len(self.those("idle"))
        return standing >= self.the_config.line_cap

    def _mark_crowd(self) -> None:
        crowded = self.door_open() and self.the_config.capacity - self.active() <= 0 and bool(self.those("line"))
        if crowded != bool(self.crowded_since):
            self.crowded_since = self.now if crowded else 0

    def _set_idle(self, fans: list[int]) -> None:
        for fan in fans:
            held = self.held[fan]
            held.acted = None
            if held.until > self.now:
                held.where = "idle"
                held.until = max(held.until, self.now + self.the_config.absence_seconds * 1000)

    def tick(self) -> Tick:
        self.begin()
        config = self.the_config
        self.ticked_at, self.resumed_at = self.now, self.resumed
        before = len(self.held)
        more = False

        def lapsed(where: Where) -> list[int]:
            nonlocal more
            fans = [held.fan for held in self.those(where) if held.until <= self.now][:PURGE_CHUNK]
            more = more or len(fans) == PURGE_CHUNK
            return fans

        self.end(lapsed("admitted"), "expired")
        if self.claim_over(0):
            self.miss(lapsed("called"))
        if self.absence_over(0):
            self.end(lapsed("away"), "expired")
            self._keep_idle(lapsed("idle"))
        self._mark_scarcity()
        self._mark_crowd()
        allowed = self.idle_allowed()
        if allowed is not None and allowed[1] + allowed[0] <= self.now:
            idle_ms = allowed[0]
            inside = sorted((held.acted, str(held.fan)) for held in self.those("admitted") if held.acted is not None)
            idle = [int(fan) for acted, fan in inside if acted <= self.now - idle_ms][:PURGE_CHUNK]
            more = more or len(idle) == PURGE_CHUNK
            self._set_idle(idle)
        calls = 0
        if self.door_open():
            tokens = self.tokens()
            slots = min(math.floor(tokens), self.slots_free())
            classes = {priority: self.line_of(priority) for priority in (False, True)}
            chunk = WALK_CHUNK // 2 if classes[True] else WALK_CHUNK
            fronts = {priority: those[:chunk] if slots else [] for priority, those in classes.items()}
            walked = any(fronts.values())
            cut = [priority for priority, front in fronts.items() if len(front) == chunk]
            over = []
            while calls < slots and any(fronts.values()) and all(fronts[priority] for priority in cut):
                both = all(fronts.values())
                preferred = bool(fronts[True])
                if both and config.priority_share:
                    preferred = self.credit + config.priority_share >= 100
                elif both:
                    preferred = fronts[True][0].ticket < fronts[False][0].ticket
                held = fronts[preferred].pop(0)
                absent_until = self.heard_at(held) + config.absence_seconds * 1000
                if self.heard_at(held) > self.now - config.connected_seconds * 1000:
                    calls += 1
                    if both and config.priority_share:
                        self.credit += config.priority_share - 100 * preferred
                    held.where, held.until = "called", self.now + config.claim_window_seconds * 1000
                elif self.absence_over(absent_until):
                    over.append(held.fan)
                else:
                    held.where, held.until = "away", absent_until
            self.end(over, "expired")
            if walked:
                self.bucket = tokens - calls, self.now
                more = more or (calls < slots and not all(fronts[priority] for priority in cut))
        return Tick(calls, before - len(self.held), more, is_empty=not self.held)
