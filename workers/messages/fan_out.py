"""From news to messages: one for each address that it concerns, written in bounded steps that may run twice."""

from __future__ import annotations

import datetime as dt
import time
import uuid
from collections import OrderedDict, defaultdict, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final, LiteralString, NamedTuple

import msgspec

from db.events.time_zones import zone_of
from db.messages import fan_out as sql
from db.messages.kinds import MAIL, PUSH, SMS, MessageChannel, MessageKind
from db.messages.queue import COUNT_DUE
from db.outbox.kinds import OutboxKind
from messages.settings import MessageSettings
from workers.channels.channel import Connection

NEWS_IN_ONE_TURN_MAX: Final = 200
RECIPIENTS_IN_ONE_STEP_MAX: Final = 128
"""A statement for so many takes the database some milliseconds, which a sale beside it does not feel."""
DUE_AHEAD: Final = 256
"""The next step waits while so many messages of its channel are due: an arena's are written as fast as they leave, and
no faster. No process of messages finds nothing to send meanwhile.
"""
LEASE_SECONDS: Final = 120
HOLDS_IN_ONE_TURN_MAX: Final = 500
REMEMBERED_MAX: Final = 10_000
CLOCKS_DIFFER_BY: Final = dt.timedelta(minutes=1)
RETURNED_ARE_TOLD_EVERY_HOURS: Final = 6


def after_quiet_hours(at: dt.datetime, zone: str, settings: MessageSettings) -> dt.datetime:
    """The moment itself, or the end of the site's quiet hours in which it falls by the clock of the venue."""
    return after_hours(at, zone, settings.quiet_from, settings.quiet_until)


def after_hours(at: dt.datetime, zone: str, begins: int, ends: int) -> dt.datetime:
    """The moment itself, or the end of the hours in which it falls by the clock of a zone."""
    here = at.astimezone(zone_of(zone))
    is_quiet = begins <= here.hour < ends if begins <= ends else here.hour >= begins or here.hour < ends
    if not is_quiet:
        return at
    end = here.replace(hour=ends, minute=0, second=0, microsecond=0)
    return (end if end > here else end + dt.timedelta(days=1)).astimezone(dt.UTC)


class _Walk(NamedTuple):
    """A statement that tells some and returns the last of them, from whom it goes on."""

    statement: LiteralString
    place: tuple[str, ...]
    """The statement's parameters of whom it goes on from."""
    first: tuple[Any, ...]
    channel: MessageChannel


_FANS: Final = (
    _Walk(sql.TO_CONTACTS, ("after_user", "after"), (-1, ""), MAIL),
    _Walk(sql.TO_BROWSERS, ("after_user", "after"), (-1, ""), PUSH),
    _Walk(sql.TO_CONTACTS, ("after_user", "after"), (-1, ""), SMS),
)
"""SMS come last: their providers take ten a second, so that nobody is told sooner by them."""
_FOLLOWERS: Final = _Walk(sql.TO_FOLLOWERS, ("after",), (uuid.UUID(int=0),), MAIL)

_Key = tuple[int, MessageKind, str]
"""The event, what is told of it, and the cause: of one cause everybody is told once."""


@dataclass(slots=True)
class _Telling:
    """Something that many are told, and how far that has come."""

    about: dict[str, Any]
    walks: deque[_Walk]
    outbox_ids: list[uuid.UUID] = field(default_factory=list)
    """The news of the outbox that it follows from."""
    place: tuple[Any, ...] = ()
    began_at: dt.datetime = field(default_factory=lambda: dt.datetime.now(dt.UTC))
    leased_at: float = field(default_factory=time.monotonic)

    @property
    def key(self) -> _Key:
        return self.about["event_id"], self.about["kind"], self.about["cause"]


class ToFan(msgspec.Struct, frozen=True):
    """What one fan is told. The fan is told once of a ``cause``."""

    user_id: int
    cause: str
    payload: dict[str, object]


class FanOut:
    """Writes the messages that follow from what happened.

    What a whole arena or all followers are told is written a step at a turn, and only once hardly anything is left to
    send. So mails leave from the first step on, what is more urgent does not wait for the last one, and the database's
    work for an arena is spread over all the time that its mails take.
    """

    def __init__(self, settings: MessageSettings) -> None:
        self._settings = settings
        self._under_way: dict[_Key, _Telling] = {}
        self._told_followers: OrderedDict[_Key, dt.datetime] = OrderedDict()
        """When they were told last of a cause: only who followed since then is still to be told."""

    @property
    def is_telling(self) -> bool:
        """Whether more is to be written."""
        return bool(self._under_way)

    async def news(self, connection: Connection) -> int:
        """Write the messages of the next news of the outbox, and the next step of what many are told; return how many
        pieces of news there were.
        """
        found = await connection.execute(
            # Its plan must know how large the table has become.
            sql.TAKE_NEWS,
            {"news_max": NEWS_IN_ONE_TURN_MAX, "lease_seconds": LEASE_SECONDS},
            prepare=False,
        )
        rows = await found.fetchall()
        of_fans: defaultdict[tuple[MessageKind, int], list[ToFan]] = defaultdict(list)
        returned: dict[int, _Telling | None] = {}
        done = []
        for event_id, outbox_id, word, payload in rows:
            kind = msgspec.convert(word, OutboxKind)
            if kind is OutboxKind.PURCHASE_CANCELLED:
                if event_id not in returned:
                    returned[event_id] = await self._returned(connection, event_id)
                telling = returned[event_id]
            else:
                telling = self._telling_of(event_id, kind, payload)
            if telling is not None:
                followed_from = self._under_way.setdefault(telling.key, telling).outbox_ids
                if outbox_id not in followed_from:
                    followed_from.append(outbox_id)
                continue
            if kind is not OutboxKind.PURCHASE_CANCELLED:
                message, fan = _of_fan(kind, payload)
                of_fans[message, event_id].append(fan)
            done.append((event_id, outbox_id))
        for (message, event_id), fans in of_fans.items():
            await self.to_fans(connection, message, event_id, fans)
        await self._done(connection, done)
        under_way = list(self._under_way.values())
        for telling in under_way:
            await self._keep(connection, telling)
        # SMS leave far slower than mails, so that each channel has a measure of its own.
        few_due = {
            channel: await self._are_few_due(connection, channel)
            for channel in {telling.walks[0].channel for telling in under_way}
        }
        for telling in under_way:
            if few_due[telling.walks[0].channel]:
                await self._next_step(connection, telling)
        return len(rows) + len(under_way)

    @staticmethod
    async def _are_few_due(connection: Connection, channel: MessageChannel) -> bool:
        found = await connection.execute(COUNT_DUE, {"channel": channel, "messages_max": DUE_AHEAD}, prepare=True)
        row = await found.fetchone()
        return row is not None and row[0] < DUE_AHEAD

    @staticmethod
    async def _keep(connection: Connection, telling: _Telling) -> None:
        """Lease the news anew before another process may take it for lost."""
        if telling.outbox_ids and time.monotonic() - telling.leased_at > LEASE_SECONDS / 4:
            event_id, *_ = telling.key
            which = {"outbox_ids": telling.outbox_ids, "event_id": event_id, "lease_seconds": LEASE_SECONDS}
            await connection.execute(sql.LEASE_NEWS, which, prepare=True)
            telling.leased_at = time.monotonic()

    @staticmethod
    async def _done(connection: Connection, news: Sequence[tuple[int, uuid.UUID]]) -> None:
        if news:
            event_ids = sorted({event_id for event_id, _ in news})
            which = {"event_ids": event_ids, "outbox_ids": [outbox_id for _, outbox_id in news]}
            await connection.execute(sql.NEWS_DONE, which, prepare=False)

    def _telling_of(self, event_id: int, kind: OutboxKind, payload: dict[str, Any]) -> _Telling | None:
        """What all fans of an event are to be told of news; None for news of another sort."""
        facts: dict[str, Any] = {}
        if kind is OutboxKind.EVENT_CHANGED:
            is_moved = bool({"date", "venue"} & payload["before"].keys())
            told = MessageKind.EVENT_MOVED if is_moved else MessageKind.EVENT_CHANGED
            facts = {"before": payload["before"]}
        elif kind is OutboxKind.EVENT_CANCELLED:
            told = MessageKind.EVENT_CANCELLED
        else:
            return None
        about = self._about_all(told, event_id, str(payload["revision"]), facts)
        return _Telling(about, deque(walk for walk in _FANS if walk.channel in told.channels))

    async def _next_step(self, connection: Connection, telling: _Telling) -> None:
        """Tell some more. News whose step fails is taken anew once its lease has ended, and an announcement later."""
        del self._under_way[telling.key]
        walk = telling.walks[0]
        place = dict(zip(walk.place, telling.place or walk.first, strict=True))
        step = {
            **telling.about,
            **place,
            "channels": [str(walk.channel)],
            "recipients_max": RECIPIENTS_IN_ONE_STEP_MAX,
        }
        row = await (await connection.execute(walk.statement, step, prepare=True)).fetchone()
        telling.place = row or ()
        if row is None:
            telling.walks.popleft()
            if walk is _FOLLOWERS:
                self._note_told(telling)
        if telling.walks:
            self._under_way[telling.key] = telling
        elif telling.outbox_ids:
            await self._done(connection, [(telling.key[0], outbox_id) for outbox_id in telling.outbox_ids])

    def _note_told(self, telling: _Telling) -> None:
        self._told_followers[telling.key] = telling.began_at
        self._told_followers.move_to_end(telling.key)
        while len(self._told_followers) > REMEMBERED_MAX:
            self._told_followers.popitem(last=False)

    async def _returned(self, connection: Connection, event_id: int) -> _Telling | None:
        """Seats came back: followers are told of it, some times a day at most. None where they need not be told."""
        found = await connection.execute(sql.ON_SALE_NOW, {"event_id": event_id}, prepare=True)
        row = await found.fetchone()
        if row is None:
            return None
        zone, now = row
        part = now.hour // RETURNED_ARE_TOLD_EVERY_HOURS
        return self._to_followers(MessageKind.RETURNED_TICKETS, event_id, zone, now, cause=f"{now:%Y-%m-%d}.{part}")

    async def to_fans(self, connection: Connection, kind: MessageKind, event_id: int, fans: Sequence[ToFan]) -> None:
        """Tell these fans of an event, by every address that they gave."""
        told = {**self._about(kind, event_id), "fans": msgspec.json.encode(fans).decode()}
        await connection.execute(sql.TO_FANS, told, prepare=True)

    def _to_followers(
        self,
        kind: MessageKind,
        event_id: int,
        zone: str,
        now: dt.datetime,
        *,
        cause: str,
        followed_by: dt.datetime | None = None,
    ) -> _Telling:
        """What those who follow the event's artist or venue are to be told, once the night is over."""
        told_at = self._told_followers.get((event_id, kind, cause))
        about = {
            **self._about_all(kind, event_id, cause, {}),
            "due_at": after_quiet_hours(now, zone, self._settings) if kind.has_quiet_hours else now,
            "followed_by": followed_by,
            "followed_since": told_at and told_at - CLOCKS_DIFFER_BY,
        }
        return _Telling(about, deque((_FOLLOWERS,)), began_at=now)

    @staticmethod
    def _about(kind: MessageKind, event_id: int) -> dict[str, Any]:
        return {
            "kind": kind,
            "event_id": event_id,
            "urgency": kind.urgency,
            "useful_seconds": kind.useful_seconds,
            "channels": [str(channel) for channel in kind.channels],
            "due_at": dt.datetime.now(dt.UTC),
        }

    def _about_all(self, kind: MessageKind, event_id: int, cause: str, payload: dict[str, Any]) -> dict[str, Any]:
        """As `_about`, where all are told the same."""
        return {
            **self._about(kind, event_id),
            "cause": cause,
            "payload": msgspec.json.encode(payload).decode(),
        }

    async def holds_ending(self, connection: Connection) -> None:
        """Tell the fans whose holds are about to end."""
        found = await connection.execute(
            sql.HOLDS_ENDING,
            {
                "kind": MessageKind.HOLD_ENDING,
                "channels": [str(channel) for channel in MessageKind.HOLD_ENDING.channels],
                "seconds": self._settings.hold_ending_seconds,
                "holds_max": HOLDS_IN_ONE_TURN_MAX,
            },
            prepare=True,
        )
        of_events: defaultdict[int, list[ToFan]] = defaultdict(list)
        for event_id, hold_id, user_id, ends_at in await found.fetchall():
            told = ToFan(user_id, str(hold_id), {"endsAt": ends_at.astimezone(dt.UTC).isoformat()})
            of_events[event_id].append(told)
        for event_id, fans in of_events.items():
            await self.to_fans(connection, MessageKind.HOLD_ENDING, event_id, fans)

    async def banks_refused(self, connection: Connection) -> None:
        """Tell the fans whose banks did not pay, days after they had gone."""
        kind = MessageKind.PAYMENT_FAILED
        found = await connection.execute(
            sql.BANKS_REFUSED,
            {
                "kind": kind,
                "channels": [str(channel) for channel in kind.channels],
                "useful_seconds": kind.useful_seconds,
                "payments_max": HOLDS_IN_ONE_TURN_MAX,
            },
            prepare=True,
        )
        for event_id, payment_id, user_id, amount, _ in await found.fetchall():
            await self.to_fans(connection, kind, event_id, [ToFan(user_id, str(payment_id), {"amount": amount})])

    async def announcements(self, connection: Connection) -> None:
        """Begin to tell followers of new events, and of sales that begin within a day."""
        found = await connection.execute(sql.SALES_TO_ANNOUNCE)
        now = dt.datetime.now(dt.UTC)
        for event_id, zone, created_at, on_sale_at, is_tomorrow in await found.fetchall():
            announced = [
                self._to_followers(MessageKind.NEW_EVENT, event_id, zone, now, cause="new", followed_by=created_at)
            ]
            if is_tomorrow and on_sale_at > now:
                cause = on_sale_at.astimezone(dt.UTC).isoformat()
                announced.append(self._to_followers(MessageKind.SALE_TOMORROW, event_id, zone, now, cause=cause))
            for telling in announced:
                self._under_way.setdefault(telling.key, telling)


def _of_fan(kind: OutboxKind, payload: dict[str, Any]) -> tuple[MessageKind, ToFan]:
    """What the fan of a piece of news is told."""
    names: tuple[str, ...]
    if kind is OutboxKind.PURCHASE_MADE:
        message, cause, names = MessageKind.PURCHASE, "purchaseId", ("purchaseId",)
    elif kind is OutboxKind.SEATS_OFFERED:
        message, cause, names = MessageKind.OFFER, "reservationId", ("seats", "endsAt")
    else:
        assert kind is OutboxKind.REFUND_MADE, kind
        message, cause, names = MessageKind.REFUND, "refundId", ("amount", "currency", "cause", "purchaseId")
    return message, ToFan(payload["userId"], payload[cause], {name: payload[name] for name in names})
