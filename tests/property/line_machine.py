"""Any sequence of operations on a room, on real Valkey and on `LineModel`; what is promised is checked after each.

The machine also keeps what is outside Redis: the tokens that fans were given, and what Postgres remembers.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import count, pairwise
from typing import Any, ClassVar, TypeVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from redis import Redis

from db.rooms.fans import FanRecord
from db.rooms.states import RoomState
from gateway.line.restoring import may_return
from tests.property.line_model import SETS, SETTINGS, Held, LineModel, Ticket
from tests.property.scripts import SMALL, Change, Scripts, Valkey
from waiting_room import operations
from waiting_room.errors import NotCalled, RetryLater, RoomError
from waiting_room.keys import ROOM_KEYS, room_keys
from waiting_room.model import Acted, ListChanges, PassEnds, RoomConfig, Slot, Standing, Stock, Tick
from waiting_room.tokens import PlaceToken

T = TypeVar("T")

EVENT = 42
FANS = (3, 20, 100, 7, 5_000_000_000_001, 12)
"""As strings, and so among equals in Redis, in quite another order."""
GATEWAYS = ("a", "b")
REBUILD_MS = 10_000
LOSSES_MAX = 2
CONFIG = RoomConfig(
    rate_per_minute=60_000,
    capacity=2,
    line_cap=5,
    claim_window_seconds=20,
    pass_seconds=30,
    absence_seconds=40,
    connected_seconds=5,
    stock_spare=0,
    work_seconds=10,
    idle_seconds=15,
    choose_seconds=20,
)
CHANGES: dict[str, tuple[object, ...]] = {
    "state": ("open", "open", "open", "open", "paused", "closed", "sold_out", "off", "rebuilding"),
    "rate_per_minute": (60_000, 600, 60, 7.5, 0),
    "capacity": (1, 2, 3, 6, 0),
    "line_cap": (5, 10, 2, 0),
    "claim_window_seconds": (20, 5, 600),
    "pass_seconds": (30, 900, 5),
    "absence_seconds": (40, 10),
    "connected_seconds": (5, 15),
    "stock_factor": (0.0, 1.5),
    "stock_spare": (0, 1),
    "work_seconds": (10, 0, 3),
    "choose_seconds": (10, 1000),
    "idle_seconds": (15, 0, 4),
    "priority_share": (50, 30, 100, 0, 75),
}

fans = st.sampled_from(FANS)
some_fans = st.lists(fans, min_size=1, max_size=len(FANS), unique=True)


@dataclass
class Seen:
    """What one look at Redis showed."""

    config: dict[bytes, bytes]
    sets: dict[str, dict[int, float]]
    hashes: dict[str, dict[int, bytes]]
    acted: dict[int, float]

    def where(self, fan: int) -> str:
        (where,) = [name for name, there in self.sets.items() if fan in there]
        return where

    def ticket(self, fan: int) -> Ticket:
        return ticket(int(self.hashes["places"][fan].split(b":")[0]))

    def active(self, now: int) -> int:
        return len(self.sets["called"]) + sum(until > now for until in self.sets["admitted"].values())


def ticket(score: float) -> Ticket:
    epoch, number = divmod(int(score), operations.NUMBERS_PER_EPOCH)
    return epoch + operations.EPOCH_ZERO_S, number


def score(place: Ticket) -> int:
    return (place[0] - operations.EPOCH_ZERO_S) * operations.NUMBERS_PER_EPOCH + place[1]


@dataclass
class Memory:
    """What outlives Redis: the fans' wallets, and what Postgres has recorded."""

    tokens: dict[int, list[PlaceToken]] = field(default_factory=dict)
    passes: dict[int, tuple[int, int]] = field(default_factory=dict)
    """fan → (until, since) of the latest pass."""
    departed: dict[int, tuple[Ticket, int]] = field(default_factory=dict)
    bought_at: dict[int, int] = field(default_factory=dict)
    epoch: int = 0

    def record(self, fan: int) -> FanRecord:
        place, at = self.departed.get(fan, (None, None))
        bought_at = self.bought_at.get(fan)
        return FanRecord(place, _moment(at), _moment(bought_at), None)


def _moment(at_ms: int | None) -> dt.datetime | None:
    return None if at_ms is None else dt.datetime.fromtimestamp(at_ms / 1000, dt.UTC)


class LineMachine(RuleBasedStateMachine):
    """``client`` and ``changes`` are set by `machine_on`."""

    client: ClassVar[Redis]
    changes: ClassVar[tuple[Change, ...]]
    happened: ClassVar[Counter[str]]
    """How often which operation came to what."""

    def __init__(self) -> None:
        super().__init__()
        self.valkey = Valkey(self.client, Scripts(*SMALL, *self.changes))
        self.model = LineModel(self.valkey.now_ms)
        self.memory = Memory()
        self.config = CONFIG
        self.arrivals: dict[tuple[int, Ticket], int] = {}
        self.shown: dict[tuple[int, Ticket, bool], int] = {}
        self.ended: dict[int, Ticket] = {}
        self.let_in: list[tuple[int, int]] = []
        self.step = ""
        self.losses = 0
        self.lists: dict[str, tuple[str, int]] = {}
        """Each gateway's list: its name, and how often it was told."""
        self.names = count(1)
        self.seen = self._look()

    # -- running both

    def both(self, operation: operations.Operation[T], model: Callable[[], Any]) -> T | None:
        """The same of both: a value, or a refusal."""
        self.step = operation.script
        found, expected = _outcome(lambda: self.valkey.do(operation)), _outcome(model)
        assert found == expected, f"{operation.script}: {found}, expected {expected}"
        self.happened[f"{operation.script}: {_told_as(*found)}"] += 1
        value = found[1] if found[0] == "value" else None
        if isinstance(value, Standing):
            self._told(int(operation.args[1]), value)
        return value

    def _told(self, fan: int, standing: Standing) -> None:
        place = (standing.epoch, standing.number)
        if standing.joined_at_ms is not None:
            token = PlaceToken(
                event=EVENT,
                fan=fan,
                epoch=standing.epoch,
                number=standing.number,
                joined_at_ms=standing.joined_at_ms,
                session="",
                priority=standing.priority,
            )
            wallet = self.memory.tokens.setdefault(fan, [])
            if token not in wallet:
                wallet.append(token)
        if standing.joined == "new":
            assert (fan, place) not in self.arrivals
            self.arrivals[fan, place] = len(self.arrivals)
        if standing.pass_until_ms is not None:
            since = standing.pass_until_ms - 1000 * self.config.pass_seconds
            self.memory.passes[fan] = standing.pass_until_ms, since
        if standing.shown:
            assert standing.shown <= standing.position
            told = (fan, place, standing.priority)
            assert standing.shown <= self.shown.get(told, standing.shown), "a position rose in front of a fan"
            self.shown[told] = standing.shown

    def _configure(self, after_epoch: int = 0, rebuild_ms: int = 0) -> None:
        self.both(
            operations.configure(EVENT, self.config, after_epoch, rebuild_ms / 1000),
            lambda: self.model.configure(self.config, after_epoch, rebuild_ms),
        )
        self.let_in.clear()

    def _look(self) -> Seen:
        keys = dict(zip(ROOM_KEYS, room_keys(EVENT), strict=True))
        sets, hashes = tuple(name for name, _, _ in SETS), ("places", "seen", "listed", "missed", "shown", "departing")
        with self.valkey.client.pipeline(transaction=False) as pipeline:
            pipeline.hgetall(keys["config"])
            for name in sets:
                pipeline.zrange(keys[name], 0, -1, withscores=True)
            for name in (*hashes, "ended", "ended_before"):
                pipeline.hgetall(keys[name])
            pipeline.zrange(keys["acted"], 0, -1, withscores=True)
            pipeline.hmget(keys["bucket"], "tokens", "at", "credit")
            config, *rest, acted, self._bucket = pipeline.execute()
        self._ended = [{int(fan): value for fan, value in found.items()} for found in rest[-2:]]
        return Seen(
            config,
            {name: {int(fan): at for fan, at in found} for name, found in zip(sets, rest, strict=False)},
            {
                name: {int(fan): value for fan, value in found.items()}
                for name, found in zip(hashes, rest[len(sets) :], strict=False)
            },
            {int(fan): at for fan, at in acted},
        )

    # -- time

    @initialize(
        crowd=some_fans,
        early=st.booleans(),
        changes=st.fixed_dictionaries(
            {}, optional={name: st.sampled_from(of) for name, of in CHANGES.items() if name != "state"}
        ),
    )
    def open(self, crowd: list[int], changes: dict[str, Any], early: bool) -> None:
        """A crowd is there, and came before the door opened or after."""
        self.config = replace(self.config, **changes, state=RoomState.PAUSED if early else RoomState.OPEN)
        self._configure()
        self.join_one_by_one(crowd, -1)
        self.config = replace(self.config, state=RoomState.OPEN, revision=2)
        self._configure()

    @rule(ms=st.sampled_from([1, 250, 1000, 4000, 5000, 6000, 61_000, 901_000, -1, -2000]))
    def pass_time(self, ms: int) -> None:
        """Without a tick: for longer than one may be silent it is an outage. A clock may be set back a little, too."""
        self.model.now += ms
        self.valkey.set_clock(self.model.now)
        self.step = "pass_time"
        if ms < 0:
            self.let_in.clear()

    @precondition(lambda self: self.model.config)
    @rule(seconds=st.sampled_from([1, 5, 20, 45]), heard=some_fans, prompt=st.booleans(), renewed=st.booleans())
    def pass_time_ticking(self, seconds: int, heard: list[int], prompt: bool, renewed: bool) -> None:
        """Time goes by as it does: some fans are heard from, and those on lists; the door is ticked, and the prompt
        claim.
        """
        while seconds > 0:
            step = max(1, min(seconds, self.config.connected_seconds))
            self.pass_time(step * 500)
            for gateway in GATEWAYS if renewed else ():
                self.renew_lease(gateway)
            self.pass_time(step * 500)
            seconds -= step
            self.heartbeat(dict.fromkeys(heard, 0))
            self.tick()
            self.holds_together()
            for fan in heard if prompt else ():
                if self.model.held.get(fan) and self.model.held[fan].where == "called":
                    self.claim([fan])

    # -- fans

    @rule(crowd=some_fans, with_token=st.integers(-1, 2), with_codes=st.sampled_from([0, 0, 1, 2]))
    def join_one_by_one(self, crowd: list[int], with_token: int, with_codes: int = 0) -> None:
        """``with_codes``: none of them, each second, or all have redeemed an access code."""
        for at, fan in enumerate(crowd):
            self.join(fan, with_token, redeemed=with_codes == 2 or (with_codes == 1 and at % 2 == 0))
            self.holds_together()

    def join(self, fan: int, with_token: int, *, redeemed: bool) -> None:
        """As the gateway does it: a token counts where Redis knows nothing of the fan, or knows the place ended."""
        token = self._token(fan, with_token)
        if token is not None:
            standing = self.both(
                operations.standing(EVENT, fan, touch=False), lambda: self.model.standing(fan, touch=False)
            )
            if standing is None:
                return
            if standing.state == "none" and not may_return(token, self.memory.record(fan)):
                token = None
        joined = self.both(
            operations.join(EVENT, fan, token, redeemed=redeemed),
            lambda: self.model.join(fan, token, redeemed=redeemed),
        )
        if joined is not None and joined.joined == "new" and joined.state == "admitted":
            self.let_in.append((self.model.now, 1))

    def _token(self, fan: int, which: int) -> PlaceToken | None:
        wallet = self.memory.tokens.get(fan, [])
        return wallet[-1 - which % len(wallet)] if wallet and which >= 0 else None

    @rule(fan=fans, touch=st.booleans())
    def poll(self, fan: int, touch: bool) -> None:
        self.both(operations.standing(EVENT, fan, touch=touch), lambda: self.model.standing(fan, touch=touch))

    @rule(shown=st.dictionaries(fans, st.sampled_from([0, 0, 1, 2, 5]), min_size=2))
    def heartbeat(self, shown: dict[int, int]) -> None:
        """A gateway never shows more than it was told, so these are cut to that."""
        told = {}
        for fan, position in shown.items():
            held = self.model.held.get(fan)
            last = self.shown.get((fan, held.ticket, held.priority)) if held else None
            told[fan] = min(position, last or 0)
            if held and told[fan]:
                self.shown[fan, held.ticket, held.priority] = told[fan]
        self.both(operations.heartbeat(EVENT, list(told.items())), lambda: self.model.heartbeat(told))

    @rule(gateway=st.sampled_from(GATEWAYS), crowd=some_fans, how=st.sampled_from(["here", "here", "left", "silent"]))
    def tell_list(self, gateway: str, crowd: list[int], how: str) -> None:
        """A gateway has streams of these fans, or has them no more. Where Redis lost its list, it begins a new one."""
        name, told = self.lists.get(gateway, ("", 0))
        if not name:
            name, told = f"{gateway}{next(self.names)}", 0
        changes = ListChanges(
            here=[(fan, 0) for fan in crowd] if how == "here" else (),
            left=[(fan, 0) for fan in crowd] if how == "left" else (),
            silent=crowd if how == "silent" else (),
            renews=how != "left",
        )
        gone = self.both(
            operations.tell_list(EVENT, name, told, changes), lambda: self.model.tell_list(name, told, changes)
        )
        self.lists[gateway] = (name, told + 1) if gone is not None else ("", 0)

    @rule(gateway=st.sampled_from(GATEWAYS))
    def renew_lease(self, gateway: str) -> None:
        name, told = self.lists.get(gateway, ("", 0))
        if name and not self.both(
            operations.renew_lease(EVENT, name, told), lambda: self.model.renew_lease(name, told)
        ):
            self.lists[gateway] = "", 0

    @rule(claiming=st.lists(fans, min_size=1, max_size=len(FANS)))
    def claim(self, claiming: list[int]) -> None:
        """Fans claim together, some of them twice."""
        claims = operations.claim(EVENT, claiming)
        outcomes = operations.Operation(
            claims.script,
            claims.keys,
            claims.args,
            lambda reply: [_outcome(partial(_given, one)) for one in claims.read(reply)],
        )
        told = self.both(outcomes, lambda: [_outcome(partial(_given, one)) for one in self.model.claim(claiming)])
        for fan, (_, standing) in zip(claiming, told or (), strict=bool(told)):
            if isinstance(standing, Standing):
                self._told(fan, standing)

    @rule(fan=fans, tries=st.booleans())
    def act(self, fan: int, tries: bool) -> None:
        self.both(operations.act(EVENT, fan, tries=tries), lambda: self.model.act(fan, tries=tries))

    @precondition(lambda self: self.model.config)
    @rule(asked=some_fans)
    def passes(self, asked: list[int]) -> None:
        """What fans inside are told of the end of their passes."""
        ends = self.valkey.do(operations.passes(EVENT, asked))
        for fan, told in zip(asked, ends, strict=True):
            self.model.begin()
            held = self.model.held.get(fan)
            live = held is not None and held.where == "admitted" and held.until > self.model.now
            assert told == (PassEnds(held.until, self.model.idle_end(held)) if live and held else None)

    @rule(fan=fans)
    def leave(self, fan: int) -> None:
        self.both(operations.leave(EVENT, fan), lambda: self.model.leave(fan))

    # -- the door, the operator and the bookings

    def tick(self) -> None:
        before = self.seen
        tick = self.both(operations.admit(EVENT), self.model.tick)
        if tick is not None and tick.called:
            self.let_in.append((self.model.now, tick.called))
            self._check_nobody_overtaken(before)

    @precondition(lambda self: self.model.config)
    @rule(times=st.integers(1, 6))
    def tick_on(self, times: int) -> None:
        """As a gateway does while there is more to do; each is followed by the checks."""
        for _ in range(times):
            self.tick()
            self.holds_together()

    @rule(name=st.sampled_from(sorted(CHANGES)), which=st.integers(0, 8), stale=st.sampled_from([0, 0, 0, 1]))
    def change(self, name: str, which: int, stale: int) -> None:
        values = CHANGES[name]
        changes: dict[str, Any] = {name: values[which % len(values)], "revision": self.config.revision + 1 - stale}
        config = replace(self.config, **changes)
        if self.model.config is None:
            return
        self.both(operations.configure(EVENT, config), lambda: self.model.configure(config))
        if not stale:
            self.config = config
            self.let_in.clear()
        elif name in SETTINGS:
            self.config = replace(config, revision=self.config.revision)

    @rule(free=st.integers(0, 4), version=st.integers(1, 4))
    def set_stock(self, free: int, version: int) -> None:
        stock = Stock(free, 0, version)
        self.both(operations.set_stock(EVENT, stock), lambda: self.model.set_stock(stock))

    @rule(buyers=some_fans, holders=some_fans, seconds=st.sampled_from([1, 200, 1000]))
    def book(self, buyers: list[int], holders: list[int], seconds: int) -> None:
        """Some hold seats, which prolongs their passes; some have bought, which ends them."""
        ends = dict.fromkeys(holders, self.model.now + 1000 * seconds)
        self.both(operations.extend(EVENT, list(ends.items())), lambda: self.model.extend(ends))
        self.holds_together()
        for fan in buyers:
            if (held := self.model.held.get(fan)) and held.where == "admitted":
                self.memory.bought_at[fan] = self.model.now
        self.both(operations.finish(EVENT, buyers), lambda: self.model.finish(buyers))

    # -- the loss of Redis

    @rule()
    def remember(self) -> None:
        """The housekeeping worker records in Postgres."""
        gone = self.valkey.do(operations.departing(EVENT))
        assert {one.fan: (one.state, (one.epoch, one.number), one.at_ms) for one in gone} == {
            fan: (ended.state, ended.ticket, ended.at) for fan, ended in self.model.departing.items()
        }
        for one in gone:
            place = (one.epoch, one.number)
            if place >= self.memory.departed.get(one.fan, (place, 0))[0]:
                self.memory.departed[one.fan] = place, one.at_ms
        self.valkey.do(operations.recorded(EVENT, gone)) if gone else None
        self.model.departing.clear()
        self.memory.epoch = max(self.memory.epoch, self.model.epoch)

    @precondition(lambda self: self.model.config and self.losses < LOSSES_MAX)
    @rule(again=st.sampled_from([True, True, True, False]), window_ms=st.sampled_from([REBUILD_MS, REBUILD_MS, 0]))
    def lose(self, again: bool, window_ms: int) -> None:
        """All is gone. A gateway finds out and configures the room anew, unless it is too slow to."""
        self.losses += 1
        self.valkey.client.delete(*room_keys(EVENT))
        self.model.lose()
        self.shown.clear()
        self.ended.clear()
        if again:
            self.recover(window_ms)

    @precondition(lambda self: self.model.config is None)
    @rule(window_ms=st.sampled_from([REBUILD_MS, REBUILD_MS, 0]))
    def recover(self, window_ms: int) -> None:
        # An epoch is a second: two losses within one second of its first joins are out of scope.
        latest = max((place[0] for _, place in self.arrivals), default=0)
        self.pass_time(max(0, (latest + 1) * 1000 - self.model.now))
        self._configure(max(1, self.memory.epoch), window_ms)

    @rule(fan=fans)
    def come_back_with_pass(self, fan: int) -> None:
        """As `Restoring.restore` does for a pass whose fan has neither departed nor bought since."""
        until, since = self.memory.passes.get(fan, (0, 0))
        departed_at = self.memory.departed.get(fan, ((0, 0), 0))[1]
        if not until or max(departed_at, self.memory.bought_at.get(fan, 0)) >= since:
            return
        slot = Slot(fan, until, since)
        retaken = self.both(operations.retake(EVENT, [slot]), lambda: self.model.retake(slot))
        if retaken and (fan, self.model.held[fan].ticket) not in self.arrivals:
            self.arrivals[fan, self.model.held[fan].ticket] = len(self.arrivals)

    # -- what holds after each

    @invariant()
    def holds_together(self) -> None:
        before, self.seen = self.seen, self._look()
        self._check_model()
        self._check_places()
        self._check_slots(before)
        self._check_order()
        self._check_rate()
        self._check_ended()

    def _check_model(self) -> None:
        """Redis knows what the model knows, to the millisecond."""
        seen, model = self.seen, self.model
        held = model.held
        for where, found in seen.sets.items():
            (stands, priority) = next((stands, priority) for name, stands, priority in SETS if name == where)
            expected = {
                one.fan: score(one.ticket) if stands == "line" else one.until
                for one in held.values()
                if one.where == stands and priority in (None, one.priority)
            }
            assert found == expected, where
        assert seen.hashes["places"] == {fan: _place(one) for fan, one in held.items()}
        assert seen.hashes["seen"] == {fan: b"%d" % one.seen for fan, one in held.items()}
        assert seen.hashes["listed"] == {fan: " ".join(one.lists).encode() for fan, one in held.items() if one.lists}
        assert seen.hashes["missed"] == {fan: b"%d" % one.missed for fan, one in held.items() if one.missed}
        assert seen.hashes["shown"] == {fan: b"%d" % one.shown for fan, one in held.items() if one.shown}
        for found_ended, generation in zip(self._ended, (model.ended, model.ended_before), strict=True):
            assert found_ended == {
                fan: f"{one.state}:{score(one.ticket)}:{one.at}".encode() for fan, one in generation.ended.items()
            }
        assert seen.acted == {
            one.fan: one.acted for one in held.values() if one.where == "admitted" and one.acted is not None
        }
        if model.config is not None:
            assert int(seen.config.get(b"scarce_since", 0)) == model.scarce_since
            assert int(seen.config.get(b"crowded_since", 0)) == model.crowded_since
        bucket = None if self._bucket[0] is None else (float(self._bucket[0]), int(self._bucket[1]))
        assert bucket == model.bucket
        assert int(self._bucket[2] or 0) == model.credit

    def _check_places(self) -> None:
        seen = self.seen
        standing = [fan for there in seen.sets.values() for fan in there]
        assert len(standing) == len(set(standing)), "a fan is in two states"
        assert set(standing) == set(seen.hashes["places"]), "the states' counts add up to the places"
        if self.model.config is not None:
            counts = self.valkey.do(operations.counts(EVENT))
            assert counts.waiting + counts.away + counts.called + counts.admitted <= len(standing)
            lapsed = sum(until <= self.model.now for until in seen.sets["admitted"].values())
            assert counts.waiting + counts.away + counts.called + counts.admitted == len(standing) - lapsed

    def _check_slots(self, before: Seen) -> None:
        """Nobody is called or admitted beyond the capacity, nobody takes a place beyond the cap."""
        inside = set(self.seen.sets["called"]) | set(self.seen.sets["admitted"])
        entered = inside - set(before.sets["called"]) - set(before.sets["admitted"])
        if entered and self.step in ("admit", "join"):
            assert self.seen.active(self.model.now) <= self.config.capacity, "more inside than the capacity"
        waiting = ("line", "priority", "away")
        line = sum(len(self.seen.sets[name]) for name in waiting)
        if self.step == "join" and line > sum(len(before.sets[name]) for name in waiting):
            (came,) = set(self.seen.hashes["places"]) - set(before.hashes["places"]) or {0}
            place = (came, self.seen.ticket(came)) if came else None
            if place and self.arrivals.get(place) == len(self.arrivals) - 1:
                restored = self.shown.get((*place, False)) is None and self.model.state == "rebuilding"
                assert line <= self.config.line_cap or restored or not self._is_new(came), "the line is over its cap"

    def _is_new(self, fan: int) -> bool:
        return self.model.held[fan].joined_at == self.model.now

    def _check_order(self) -> None:
        """Each class stands in the order of joining, whatever was lost, restored or missed in between."""
        for those in (self.seen.sets["line"], self.seen.sets["priority"]):
            line = sorted(those, key=lambda fan: (those[fan], str(fan)))
            arrived = [self.arrivals[fan, self.seen.ticket(fan)] for fan in line]
            assert all(earlier < later for earlier, later in pairwise(arrived)), f"the line stands as {arrived}"
        tickets = [self.seen.ticket(fan) for fan in self.seen.hashes["places"]]
        assert len(set(tickets)) == len(tickets), "a number was given twice"

    def _check_nobody_overtaken(self, before: Seen) -> None:
        """Whoever is connected and still in line joined after everybody called of the own class."""
        now = self._look()
        called = set(now.sets["called"]) - set(before.sets["called"])
        for line, priority in (("line", False), ("priority", True)):
            arrived = [
                self.arrivals[fan, now.ticket(fan)] for fan in called if self.model.held[fan].priority == priority
            ]
            for fan in now.sets[line]:
                held = self.model.held.get(fan)
                if held and self.model.heard_at(held) > self.model.now - 1000 * self.config.connected_seconds:
                    assert self.arrivals[fan, now.ticket(fan)] > max(arrived, default=-1), f"{fan} was overtaken"

    def _check_rate(self) -> None:
        """In no stretch of time more are let in than the rate gives, and one second's worth saved up."""
        rate = self.config.rate_per_minute
        for begin, (since, _) in enumerate(self.let_in):
            count = sum(number for _, number in self.let_in[begin:])
            elapsed_ms = self.let_in[-1][0] - since
            assert count <= max(1, rate / 60) + elapsed_ms * rate / 60_000 + 1e-6, "more than the rate allows"

    def _check_ended(self) -> None:
        """No token brings back a place that ended: each is remembered, or held to be forgotten with all before it."""
        for found in self._ended:
            for fan, told in found.items():
                self.ended[fan] = max(self.ended.get(fan, (0, 0)), ticket(int(told.split(b":")[1])))
        forgotten = ticket(int(self.seen.config.get(b"forgotten", 0)))
        for fan, place in self.ended.items():
            remembered = [found[fan] for found in self._ended if fan in found]
            later = fan in self.seen.hashes["places"] and self.seen.ticket(fan) > place
            assert remembered or later or place <= forgotten, f"the end of {fan}'s place is forgotten too early"


def machine_on(client: Redis, *changes: Change) -> type[LineMachine]:
    """A machine on this Valkey; with ``changes``, on scripts so sabotaged."""
    return type("Machine", (LineMachine,), {"client": client, "changes": changes, "happened": Counter()})


def _place(held: Held) -> bytes:
    return f"{score(held.ticket)}:{held.joined_at}:{held.admitted_at}{':1' if held.priority else ''}".encode()


def _told_as(code: str, value: Any) -> str:
    match value:
        case Standing():
            return value.state if value.joined == "known" else f"{value.joined} {value.state}"
        case Acted():
            return "was idle" if value.was_idle else f"inside {value.pass_until_ms is not None:d}"
        case Tick():
            return f"called {value.called > 0:d} ended {value.ended > 0:d} more {value.more:d}"
        case [tuple(), *_]:
            return " and ".join(sorted({_told_as(*one) for one in value}))
        case _:
            return f"{bool(value)}" if code == "value" and not isinstance(value, str) else str(value or code)


def _given(answer: Standing | RoomError) -> Standing:
    if isinstance(answer, RoomError):
        raise answer
    return answer


def _outcome(act: Callable[[], Any]) -> tuple[str, Any]:
    try:
        return "value", act()
    except RetryLater as refusal:
        return refusal.code, refusal.retry_after_seconds
    except NotCalled as refusal:
        return refusal.code, refusal.state
    except RoomError as refusal:
        return refusal.code, None
