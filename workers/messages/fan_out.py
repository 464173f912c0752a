"""From news to messages: one for each address that it concerns, written in bounded steps that may run twice."""

from __future__ import annotations

import datetime as dt
import time
import uuid
from collections import defaultdict, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final, LiteralString

import msgspec

from db.events.time_zones import zone_of
from db.messages import fan_out as sql
from db.messages.kinds import MessageKind
from db.outbox.kinds import OutboxKind
from messages.settings import MessageSettings
from workers.channels.channel import Connection

NEWS_IN_ONE_TURN_MAX: Final = 200
RECIPIENTS_IN_ONE_STEP_MAX: Final = 500
"""A statement for more of them keeps one of the database's processors from a sale for a tenth of a second."""
LEASE_SECONDS: Final = 120
HOLDS_IN_ONE_TURN_MAX: Final = 500
_FIRST_USER: Final = -1
_BEFORE_ALL: Final = uuid.UUID(int=0)
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


@dataclass(slots=True)
class _Everybody:
    """News of which all fans of an event are told, and how far that has come."""

    event_id: int
    outbox_id: uuid.UUID
    about: dict[str, Any]
    statements: deque[LiteralString] = field(default_factory=lambda: deque((sql.TO_CONTACTS, sql.TO_BROWSERS)))
    after_user: int = _FIRST_USER
    after: str = ""
    leased_at: float = field(default_factory=time.monotonic)


class ToFan(msgspec.Struct, frozen=True):
    """What one fan is told. The fan is told once of a ``cause``."""

    user_id: int
    cause: str
    payload: dict[str, object]


class FanOut:
    """Writes the messages that follow from what happened.

    What a whole arena is told is written a step at a turn. So mails leave from the first step on, what is more urgent
    does not wait for the last one, and a sale beside it has the database between two steps.
    """

    def __init__(self, settings: MessageSettings) -> None:
        self._settings = settings
        self._under_way: dict[uuid.UUID, _Everybody] = {}

    async def news(self, connection: Connection) -> int:
        """Write the messages of the next news of the outbox, and of the news that is under way those of the next step;
        return how many pieces of news there were.
        """
        found = await connection.execute(
            # Its plan must know how large the table has become.
            sql.TAKE_NEWS,
            {"news_max": NEWS_IN_ONE_TURN_MAX, "lease_seconds": LEASE_SECONDS},
            prepare=False,
        )
        rows = await found.fetchall()
        of_fans: defaultdict[tuple[MessageKind, int], list[ToFan]] = defaultdict(list)
        with_seats_back: set[int] = set()
        done = []
        for event_id, outbox_id, word, payload in rows:
            kind = msgspec.convert(word, OutboxKind)
            everybody = self._everybody(event_id, outbox_id, kind, payload)
            if everybody is not None:
                self._under_way.setdefault(outbox_id, everybody)
                continue
            if kind is OutboxKind.PURCHASE_CANCELLED:
                with_seats_back.add(event_id)
            else:
                message, fan = _of_fan(kind, payload)
                of_fans[message, event_id].append(fan)
            done.append((event_id, outbox_id))
        for (message, event_id), fans in of_fans.items():
            await self.to_fans(connection, message, event_id, fans)
        for event_id in with_seats_back:
            await self._returned(connection, event_id)
        await self._done(connection, done)
        under_way = list(self._under_way.values())
        for everybody in under_way:
            await self._next_step(connection, everybody)
        return len(rows) + len(under_way)

    @staticmethod
    async def _done(connection: Connection, news: Sequence[tuple[int, uuid.UUID]]) -> None:
        if news:
            event_ids = sorted({event_id for event_id, _ in news})
            which = {"event_ids": event_ids, "outbox_ids": [outbox_id for _, outbox_id in news]}
            await connection.execute(sql.NEWS_DONE, which, prepare=False)

    def _everybody(
        self, event_id: int, outbox_id: uuid.UUID, kind: OutboxKind, payload: dict[str, Any]
    ) -> _Everybody | None:
        """What all fans of an event are to be told; None for news of another sort."""
        if kind is OutboxKind.EVENT_CHANGED:
            is_moved = bool({"date", "venue"} & payload["before"].keys())
            told = MessageKind.EVENT_MOVED if is_moved else MessageKind.EVENT_CHANGED
            facts = {"before": payload["before"]}
        elif kind is OutboxKind.EVENT_CANCELLED:
            told, facts = MessageKind.EVENT_CANCELLED, {}
        else:
            return None
        return _Everybody(event_id, outbox_id, self._about_all(told, event_id, str(payload["revision"]), facts))

    async def _next_step(self, connection: Connection, everybody: _Everybody) -> None:
        """Tell some more fans. News whose step fails is taken anew once its lease has ended."""
        del self._under_way[everybody.outbox_id]
        step = {
            "after_user": everybody.after_user,
            "after": everybody.after,
            "recipients_max": RECIPIENTS_IN_ONE_STEP_MAX,
        }
        found = await connection.execute(everybody.statements[0], {**everybody.about, **step}, prepare=True)
        row = await found.fetchone()
        if row is None:
            everybody.statements.popleft()
            row = _FIRST_USER, ""
        everybody.after_user, everybody.after = row
        if not everybody.statements:
            await self._done(connection, [(everybody.event_id, everybody.outbox_id)])
            return
        if time.monotonic() - everybody.leased_at > LEASE_SECONDS / 4:
            which = {"outbox_id": everybody.outbox_id, "event_id": everybody.event_id, "lease_seconds": LEASE_SECONDS}
            await connection.execute(sql.LEASE_NEWS, which, prepare=True)
            everybody.leased_at = time.monotonic()
        self._under_way[everybody.outbox_id] = everybody

    async def _returned(self, connection: Connection, event_id: int) -> None:
        """Seats came back: followers are told of it, some times a day at most."""
        found = await connection.execute(sql.ON_SALE_NOW, {"event_id": event_id}, prepare=True)
        row = await found.fetchone()
        if row is None:
            return
        zone, now = row
        part = now.hour // RETURNED_ARE_TOLD_EVERY_HOURS
        await self.to_followers(
            connection, MessageKind.RETURNED_TICKETS, event_id, zone, now, cause=f"{now:%Y-%m-%d}.{part}"
        )

    async def to_fans(self, connection: Connection, kind: MessageKind, event_id: int, fans: Sequence[ToFan]) -> None:
        """Tell these fans of an event, by every address that they gave."""
        told = {**self._about(kind, event_id), "fans": msgspec.json.encode(fans).decode()}
        await connection.execute(sql.TO_FANS, told, prepare=True)

    async def to_followers(
        self,
        connection: Connection,
        kind: MessageKind,
        event_id: int,
        zone: str,
        now: dt.datetime,
        *,
        cause: str,
        followed_by: dt.datetime | None = None,
    ) -> None:
        """Tell those who follow the event's artist or venue, once the night is over."""
        about = {
            **self._about_all(kind, event_id, cause, {}),
            "due_at": after_quiet_hours(now, zone, self._settings) if kind.has_quiet_hours else now,
            "followed_by": followed_by,
        }
        after = _BEFORE_ALL
        while True:
            step = {"after": after, "recipients_max": RECIPIENTS_IN_ONE_STEP_MAX}
            row = await (await connection.execute(sql.TO_FOLLOWERS, {**about, **step}, prepare=True)).fetchone()
            if row is None:
                return
            (after,) = row

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
        """Tell followers of new events, and of sales that begin within a day."""
        found = await connection.execute(sql.SALES_TO_ANNOUNCE)
        now = dt.datetime.now(dt.UTC)
        for event_id, zone, created_at, on_sale_at, is_tomorrow in await found.fetchall():
            await self.to_followers(
                connection, MessageKind.NEW_EVENT, event_id, zone, now, cause="new", followed_by=created_at
            )
            if is_tomorrow and on_sale_at > now:
                cause = on_sale_at.astimezone(dt.UTC).isoformat()
                await self.to_followers(connection, MessageKind.SALE_TOMORROW, event_id, zone, now, cause=cause)


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
