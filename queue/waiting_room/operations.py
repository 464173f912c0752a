"""The operations of the line as plain data: script, arguments, and how the reply is read. `line.py` runs them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from itertools import islice
from typing import Any, Final, Generic, TypeVar

import msgspec

from db.languages import Texts
from db.rooms.states import RoomState

from .autopilot import Steering, decode_steering, encode_steering
from .errors import REFUSALS, RETRIES, NotCalled, RoomError
from .keys import room_key, room_keys
from .model import (
    PACES,
    Acted,
    Admitted,
    AdmittedPage,
    Configured,
    Departure,
    Drawn,
    DrawState,
    FanState,
    Forecast,
    Front,
    History,
    InFront,
    ListChanges,
    LobbyPage,
    Mark,
    Noted,
    Pace,
    PassEnds,
    Positions,
    Ranks,
    Renewed,
    RoomConfig,
    RoomCounts,
    Slot,
    Standing,
    Stock,
    Tick,
    decode_forecast,
    encode_forecast,
)
from .receipts import ENDINGS
from .tokens import PlaceToken

T = TypeVar("T")
Item = TypeVar("Item")

CHUNK: Final = 200
"""One script takes at most this many fans, so that none keeps Redis busy for long."""
RANKS: Final = 500
"""One script finds at most this many ranks, each of which takes Redis 2 to 4 µs."""
CLAIMS: Final = 50
"""One script admits at most this many fans, each of whom takes Redis some 15 µs."""
TAIL_BYTES: Final = 64
"""So many of the last bytes of a room's moves show whether they are those that were read before (ranks.lua)."""

NUMBERS_PER_EPOCH: Final = 2**23
EPOCH_ZERO_S: Final = 1_750_000_000
"""With these two numbers the scripts make one score of an epoch and a number (places.lua)."""

BUCKETS_A_MINUTE: Final = 6
PACE_BUCKET_MS: Final = 10_000
LINE_PACE_BUCKETS: Final = 30
FREED_PACE_BUCKETS: Final = 18
CALLS_MIN: Final = 30
"""A ratio of fewer calls than this says nothing."""


@dataclass(frozen=True, slots=True)
class Operation(Generic[T]):
    """A script to run on an event's room. ``read`` turns the reply into the result, or raises the refusal."""

    script: str
    keys: Sequence[str]
    args: Sequence[str | bytes | int | float]
    read: Callable[[Any], T]


def _on(event: int, script: str, read: Callable[[Any], T], *args: str | int | float) -> Operation[T]:
    return Operation(script, room_keys(event), (event, *args), read)


def _alone(
    event: int, script: str, names: Sequence[str], read: Callable[[Any], T], *args: str | bytes | int
) -> Operation[T]:
    return Operation(script, [room_key(event, name) for name in names], args, read)


def chunks(items: Iterable[Item], size: int = CHUNK) -> Iterator[list[Item]]:
    """The items in lists of at most ``size``."""
    rest = iter(items)
    while chunk := list(islice(rest, size)):
        yield chunk


def configure(
    event: int, config: RoomConfig, after_epoch: int = 0, rebuild_seconds: float = 0
) -> Operation[Configured]:
    fields = asdict(config)
    del fields["revision"]
    pairs = [part for name, value in fields.items() for part in (name, _as_argument(value))]
    head = (config.revision, after_epoch, round(rebuild_seconds * 1000), " ".join(PACES))
    return _on(event, "configure", lambda reply: reply.decode(), *head, *pairs)


def join(event: int, fan: int, place: PlaceToken | None, *, redeemed: bool = False) -> Operation[Standing]:
    if place is None:
        return _on(event, "join", _standing, fan, 0, 0, 0, 0, 0, int(redeemed))
    if place.event != event or place.fan != fan:
        raise ValueError("the place token is of another event or fan")
    return _on(event, "join", _standing, fan, *_held(place), int(redeemed))


def move(event: int, fan: int, place: PlaceToken) -> Operation[Standing]:
    if place.event != event or place.fan == fan:
        raise ValueError("the place token is of another event, or of the fan")
    return _on(event, "move", _standing, fan, *_held(place), place.fan)


def merge(event: int, fan: int, from_fan: int) -> Operation[bool]:
    if from_fan == fan:
        raise ValueError("a fan is not merged into itself")
    return _on(event, "merge", bool, fan, from_fan)


def put_back(event: int, fan: int, *, in_front: bool) -> Operation[Standing]:
    return _on(event, "put_back", _standing, fan, int(in_front))


def _held(place: PlaceToken) -> tuple[int, ...]:
    return place.epoch, place.number, place.joined_at_ms, int(place.lobby), int(place.priority)


def standing(event: int, fan: int, *, touch: bool) -> Operation[Standing]:
    return _on(event, "standing", _standing, fan, int(touch))


def claim(event: int, fans: Sequence[int]) -> Operation[list[Standing | RoomError]]:
    return _on(event, "claim", _claimed, *fans)


def _claimed(reply: Sequence[Any]) -> list[Standing | RoomError]:
    if not isinstance(reply[0], list):
        _refuse(reply)
    return [_standing_or_refusal(one) for one in reply]


def _standing_or_refusal(reply: Sequence[Any]) -> Standing | RoomError:
    try:
        return _standing(reply)
    except RoomError as refusal:
        return refusal


def act(event: int, fan: int, *, tries: bool) -> Operation[Acted]:
    return _on(event, "act", _acted, fan, int(tries))


def renew(event: int, fan: int) -> Operation[Renewed | None]:
    return _on(event, "renew", _renewed, fan)


def passes(event: int, fans: Sequence[int]) -> Operation[list[PassEnds | None]]:
    return _on(event, "passes", _passes, *fans)


def leave(event: int, fan: int) -> Operation[bool]:
    return _on(event, "leave", bool, fan)


def positions(event: int, fans: Sequence[int]) -> Operation[Positions]:
    return _alone(event, "positions", ["line", "priority"], _positions, " ".join(map(str, fans)))


def heartbeat(event: int, fans: Sequence[tuple[int, int]]) -> Operation[list[int]]:
    pairs = " ".join([f"{fan} {shown}" for fan, shown in fans])
    return _on(event, "heartbeat", lambda reply: [int(fan) for fan in reply], pairs)


def ranks(event: int, mark: Mark, fans: Sequence[int]) -> Operation[Ranks]:
    names = ["line", "priority", "moves", "config"]
    return _alone(event, "ranks", names, partial(_ranks, mark), *mark, " ".join(map(str, fans)))


def renew_lease(event: int, name: str, told: int) -> Operation[bool]:
    return _alone(event, "lease", ["leases", "config"], bool, name, told)


def tell_list(event: int, name: str, told: int, changes: ListChanges) -> Operation[list[int] | None]:
    here, left = (" ".join([f"{fan} {shown}" for fan, shown in fans]) for fans in (changes.here, changes.left))
    silent = " ".join(map(str, changes.silent))
    return _on(event, "listing", _listed, name, told, here, left, silent, int(changes.renews))


def admit(event: int, unless_within_ms: int = 0) -> Operation[Tick]:
    return _on(event, "admit", _tick, unless_within_ms)


def steer(event: int, after_ms: int, steering: Steering) -> Operation[bool]:
    return _on(event, "steer", bool, after_ms, steering.rate_per_minute, encode_steering(steering).decode())


def publish_forecast(event: int, last: Forecast | None, forecast: Forecast) -> Operation[bool]:
    before = "0:0" if last is None else f"{last.at_ms}:{last.grade}"
    after = f"{forecast.at_ms}:{forecast.grade}"
    return _on(event, "forecast", bool, before, after, encode_forecast(forecast).decode())


def lobby_page(event: int, after: int, size: int) -> Operation[LobbyPage | None]:
    return _on(event, "lobby_page", lambda reply: _lobby_page(reply, size), after, size)


def place_drawn(event: int, epoch: int, first: int, fans: Sequence[int], *, last: bool) -> Operation[Drawn | None]:
    return _on(event, "place_drawn", _drawn, epoch, first, int(last), *fans)


def history(event: int, fan: int) -> Operation[History]:
    return _alone(event, "history", ["history", "history_before", "places"], _history, fan)


def admitted(event: int, fans: Sequence[int]) -> Operation[list[int | None]]:
    return _alone(event, "admitted", ["admitted"], _ends, *fans)


def extend(event: int, ends: Sequence[tuple[int, int]]) -> Operation[int]:
    fans, untils_ms = zip(*ends, strict=True)
    return _alone(event, "extend", ["admitted", "acted", "places", "config"], int, *fans, *untils_ms)


def retake(event: int, slots: Sequence[Slot]) -> Operation[int]:
    return _on(event, "retake", int, *(part for slot in slots for part in (slot.fan, slot.until_ms, slot.since_ms)))


def departing(event: int) -> Operation[list[Departure]]:
    return _alone(event, "departing", ["departing"], _departures, CHUNK)


def recorded(event: int, departures: Sequence[Departure]) -> Operation[int]:
    pairs = [part for gone in departures for part in (gone.fan, gone.kept.decode())]
    return Operation("recorded", [room_key(event, "departing")], pairs, int)


def finish(event: int, fans: Sequence[int]) -> Operation[int]:
    return _on(event, "finish", int, *fans)


def set_stock(event: int, stock: Stock, lost_version: int = -1) -> Operation[bool]:
    names = ["stock", "config", "places"]
    return _alone(event, "stock", names, bool, stock.free, stock.held, stock.version, lost_version)


def front(event: int, fans_max: int) -> Operation[Front]:
    return _alone(event, "front", ["line", "priority", "called", "away", "places"], _front, fans_max)


def keep(event: int, waiting: Sequence[int], told: Sequence[int], kept_ms: int) -> Operation[int]:
    return _on(event, "keep", int, " ".join(map(str, waiting)), " ".join(map(str, told)), kept_ms)


def counts(event: int) -> Operation[RoomCounts]:
    return _on(event, "counts", _counts)


def admitted_page(event: int, cursor: int) -> Operation[AdmittedPage]:
    return _alone(event, "admitted_page", ["admitted", "places"], _admitted_page, cursor, CHUNK)


def place_of(place: bytes) -> tuple[int, int]:
    """The epoch and number of a place that is written as Redis keeps it."""
    epoch_offset, number = divmod(int(place.partition(b":")[0]), NUMBERS_PER_EPOCH)
    return epoch_offset + EPOCH_ZERO_S, number


def _front(reply: Sequence[Sequence[bytes]]) -> Front:
    return Front(*(tuple(map(_in_front, part[::2], part[1::2])) for part in reply))


def _in_front(fan: bytes, place: bytes) -> InFront:
    epoch, number = place_of(place)
    return InFront(int(fan), epoch, number, int(place.split(b":")[1]), place.endswith(b":1") and place.count(b":") == 3)


def _refuse(reply: Sequence[Any]) -> None:
    if reply[0] == b"ok":
        return
    code = reply[0].decode()
    if code in RETRIES:
        raise RETRIES[code](reply[1])
    if code == NotCalled.code:
        raise NotCalled(reply[1].decode())
    raise REFUSALS[code]()


_FAN_STATES: Final = {state.encode(): state for state in FanState}
_ROOM_STATES: Final = {state.encode(): state for state in RoomState}


def _standing(reply: Sequence[Any]) -> Standing:
    _refuse(reply)
    _, state, room_state, joined, *numbers = reply
    epoch, number, ahead, shown, waiting, claim_by_ms, pass_until_ms, joined_at_ms, now_ms, priority, *work = numbers
    return Standing(
        state=_FAN_STATES[state],
        room_state=_ROOM_STATES[room_state],
        epoch=epoch,
        number=number,
        ahead=ahead,
        position=ahead + 1 if state == b"waiting" else 0,
        shown=shown,
        waiting=waiting,
        claim_by_ms=claim_by_ms or None,
        pass_until_ms=pass_until_ms or None,
        joined_at_ms=joined_at_ms or None,
        now_ms=now_ms,
        joined=joined.decode(),
        priority=bool(priority),
        idle=bool(work[0]),
        idle_ends_ms=work[1] or None,
    )


def _acted(reply: Sequence[Any]) -> Acted:
    _refuse(reply)
    return Acted(pass_until_ms=reply[1] or None, was_idle=bool(reply[2]))


def _renewed(reply: Sequence[Any]) -> Renewed | None:
    _refuse(reply)
    return Renewed(reply[1], reply[2]) if reply[1] else None


def _passes(reply: Sequence[int]) -> list[PassEnds | None]:
    ends = zip(reply[::2], reply[1::2], strict=True)
    return [PassEnds(until_ms, idle_ends_ms or None) if until_ms else None for until_ms, idle_ends_ms in ends]


def _positions(reply: list[int]) -> Positions:
    waiting, of_priority, *ranks = reply
    if not of_priority:
        return Positions(waiting, ranks)
    priority = frozenset(at for at, rank in enumerate(ranks) if rank < -1)
    return Positions(waiting, [-2 - rank if rank < -1 else rank for rank in ranks], priority)


def _listed(reply: Sequence[Any]) -> list[int] | None:
    return [int(fan) for fan in reply[1:]] if reply[0] else None


def _ranks(mark: Mark, reply: Sequence[Any]) -> Ranks:
    waiting, _, generation, known_bytes, follows, text, *pairs = reply
    tail = mark.tail + text if follows else text
    at_ranks = pairs[::2]
    return Ranks(
        waiting,
        Mark(generation, known_bytes, tail[-TAIL_BYTES:]),
        text if follows else None,
        [(-2 - rank if rank < -1 else rank, score) for rank, score in zip(at_ranks, pairs[1::2], strict=True)],
        frozenset(at for at, rank in enumerate(at_ranks) if rank < -1),
    )


def _ends(reply: Sequence[int]) -> list[int | None]:
    return [until_ms or None for until_ms in reply]


def _tick(reply: Sequence[Any]) -> Tick:
    _refuse(reply)
    called, ended, more, draw_due, is_empty, due_in_ms = reply[1:]
    return Tick(called, ended, bool(more), bool(draw_due), bool(is_empty), due_in_ms)


def _lobby_page(reply: Sequence[Any], size: int) -> LobbyPage | None:
    if reply[0] != b"ok":
        return None
    return LobbyPage(after=int(reply[1]), fans=list(reply[2:]), last=len(reply) - 2 < size)


def _drawn(reply: Sequence[Any]) -> Drawn | None:
    return Drawn(next_number=reply[1], done=bool(reply[2])) if reply[0] == b"ok" else None


def _history(reply: Sequence[bytes]) -> History:
    entries = (entry.split(":") for entry in reply[0].decode().split(";") if entry)
    noted = [Noted(what, int(at_ms)) for what, at_ms in entries]
    joined_at_ms = int(reply[1].split(b":")[1]) if reply[1] and (not noted or noted[-1].what in ENDINGS) else None
    return History(noted, joined_at_ms)


def _admitted_page(reply: Sequence[bytes]) -> AdmittedPage:
    numbers = [int(part) for part in reply]
    fans = [Admitted(*numbers[at : at + 3]) for at in range(1, len(numbers), 3)]
    return AdmittedPage(cursor=numbers[0], fans=fans)


def _departures(reply: Sequence[bytes]) -> list[Departure]:
    departures = []
    for fan, kept in zip(reply[::2], reply[1::2], strict=True):
        state, score, at_ms = kept.split(b":")
        epoch_offset, number = divmod(int(score), NUMBERS_PER_EPOCH)
        departures.append(Departure(int(fan), state.decode(), epoch_offset + EPOCH_ZERO_S, number, int(at_ms), kept))
    return departures


def _as_argument(value: str | float | Texts) -> str | int | float:
    # redis-py refuses booleans.
    return int(value) if isinstance(value, bool) else str(value) if isinstance(value, Texts) else value


def _number(text: bytes) -> int | float:
    number = float(text)
    return int(number) if number.is_integer() else number


def _config(fields: Mapping[str, bytes]) -> RoomConfig:
    """The configuration in these fields. A field that an older release did not write has its default."""
    return RoomConfig(**{name: read(fields[name]) for name, read in _CONFIG_READERS.items() if name in fields})


def _reader(default: object) -> Callable[[bytes], Any]:
    if isinstance(default, bool):
        return lambda value: value != b"0"
    if isinstance(default, Texts):
        return lambda value: Texts.known_of(msgspec.json.decode(value))
    return bytes.decode if isinstance(default, str) else _number


_CONFIG_READERS: Final = {field.name: _reader(field.default) for field in dataclasses.fields(RoomConfig)}


def _counts(reply: Sequence[Any]) -> RoomCounts:
    _refuse(reply)
    _, now_ms, waiting, away, called, admitted_count, pairs, stock, pace, lobby, priority, *slots = reply
    slots_in_all, slots_free, is_stock_bound, at_work = slots
    fields: Mapping[str, bytes] = {name.decode(): value for name, value in zip(pairs[::2], pairs[1::2], strict=True)}
    config = _config(fields)
    return RoomCounts(
        waiting=waiting,
        away=away,
        called=called,
        admitted=admitted_count,
        pace=read_pace(pace, now_ms, int(fields["paced_from"]) * 1000, config.claim_window_seconds),
        config=config,
        epoch=int(fields["epoch"]),
        stock=Stock(*(int(part) for part in stock)) if stock else None,
        slots=slots_in_all,
        slots_free=slots_free,
        is_stock_bound=bool(is_stock_bound),
        now_ms=now_ms,
        at_work=at_work,
        scarce_since_ms=int(fields.get("scarce_since", 0)),
        rebuilt_at_ms=int(fields.get("rebuilt_at", 0)),
        rebuild_until_ms=int(fields.get("rebuild_until", 0)),
        lobby=lobby,
        priority=priority,
        draw=DrawState(fields["draw"].decode()) if "draw" in fields else DrawState.PENDING,
        drawn=int(fields.get("drawn", 0)),
        let_in=int(fields.get("let_in", 0)),
        steering=decode_steering(fields["steered"]) if "steered" in fields else None,
        steered_at_ms=int(fields.get("steered_at", 0)),
        forecast=decode_forecast(fields["forecast"]) if "forecast" in fields else None,
        resumed_at_ms=int(fields.get("resumed_at", 0)),
        paced_from_ms=int(fields["paced_from"]) * 1000,
    )


def read_pace(buckets: Iterable[bytes], now_ms: int, paced_from_ms: int, claim_window_seconds: float = 0.0) -> Pace:
    """The pace that the ring's buckets show, each "index:called:claimed:missed:admitted:moved:backlogged:freed".

    The line's speed is taken from whole buckets since the room was last changed in what its speed depends on.
    """
    now_index = now_ms // PACE_BUCKET_MS
    line_from = max(now_index - LINE_PACE_BUCKETS, paced_from_ms // PACE_BUCKET_MS + 1)
    oldest = now_index - 10 * BUCKETS_A_MINUTE
    # An older release did not count freed slots.
    rows = sorted((*(int(part) for part in bucket.split(b":")), 0)[:8] for bucket in buckets)
    rows = [row for row in rows if oldest < row[0] <= now_index]
    claimed = sum(row[2] for row in rows)
    missed = sum(row[3] for row in rows)
    complete = [row for row in rows if row[0] < now_index]
    per_minute = called_per_minute = None
    if complete:
        window = min(BUCKETS_A_MINUTE, now_index - complete[0][0])
        admissions = sum(row[4] for row in complete if row[0] >= now_index - window)
        per_minute = admissions * BUCKETS_A_MINUTE / window
        calls = sum(row[1] for row in rows if row[0] >= now_index - 1)
        called_per_minute = calls * 60_000 / (now_ms - (now_index - 1) * PACE_BUCKET_MS)
    backlogged = [row for row in complete if row[6] and row[0] >= line_from]
    line_per_minute = None
    if backlogged:
        line_per_minute = max(0.0, sum(row[5] for row in backlogged) * BUCKETS_A_MINUTE / len(backlogged))
    calling = [row for row in rows if row[1]]
    called = sum(row[1] for row in backlogged)
    settled = sum(row[1] for row in rows if (row[0] + 1) * PACE_BUCKET_MS <= now_ms - claim_window_seconds * 1000)
    freed = freed_per_minute = 0.0
    if complete:
        freed_from = max(now_index - FREED_PACE_BUCKETS, complete[0][0], paced_from_ms // PACE_BUCKET_MS + 1)
        if freed_from < now_index:
            freed = sum(row[7] for row in complete if row[0] >= freed_from)
            freed_per_minute = freed * BUCKETS_A_MINUTE / (now_index - freed_from)
    return Pace(
        no_show_rate=missed / (claimed + missed) if missed else 0.0,
        admitted_per_minute=per_minute,
        line_per_minute=line_per_minute,
        called_per_minute=called_per_minute,
        measured_seconds=len(backlogged) * PACE_BUCKET_MS / 1000,
        calling_seconds=(now_ms - calling[0][0] * PACE_BUCKET_MS) / 1000 if calling else 0.0,
        missed_share=min(1.0, missed / settled) if settled >= CALLS_MIN else None,
        moved_per_call=max(0.0, sum(row[5] for row in backlogged)) / called if called >= CALLS_MIN else None,
        freed=int(freed),
        freed_per_minute=freed_per_minute,
    )
