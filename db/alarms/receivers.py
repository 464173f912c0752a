"""Who is told of alarms: operators' mail addresses, their browsers, and the webhooks of chats. The caller commits."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any, Final, LiteralString, NamedTuple
from urllib.parse import urlsplit

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from db.alarms.kinds import AlarmKind, ReceiverChannel
from db.alarms.states import Notice
from db.change_log.changes import Change, Subject, as_text, insert_changes
from db.ids import uuid7
from db.sealing.keyring import SealedField, SealError, keyring
from db.texts import tidy

RECEIVERS_MAX: Final = 50
NAME_CHARS_MAX: Final = 100
ENDING_CHARS: Final = 4
_LOCK: Final = 0xA1A_0024

_COLUMNS: Final[LiteralString] = """receiver_id, channel, address, name, kinds, quiet_until, made_at, delivered_at,
       failing_since, error, gone_at"""

READ_RECEIVERS: Final[LiteralString] = f"""
SELECT {_COLUMNS}
  FROM alarm_receiver
 WHERE %(receiver_id)s::bigint IS NULL OR receiver_id = %(receiver_id)s::bigint
 ORDER BY receiver_id
 LIMIT %(receivers_max)s
"""  # noqa: S608 - of constants alone

_ADD: Final[LiteralString] = f"""
INSERT INTO alarm_receiver (channel, address, p256dh, auth, name, kinds)
VALUES (%(channel)s, %(address)s, %(p256dh)s, %(auth)s, %(name)s, %(kinds)s)
RETURNING {_COLUMNS}
"""  # noqa: S608 - of constants alone

_SET_ANEW: Final[LiteralString] = f"""
UPDATE alarm_receiver
   SET p256dh = %(p256dh)s, auth = %(auth)s, name = %(name)s, kinds = %(kinds)s, gone_at = NULL, failing_since = NULL,
       error = ''
 WHERE receiver_id = %(receiver_id)s
RETURNING {_COLUMNS}
"""  # noqa: S608 - of constants alone

_CHANGE: Final[LiteralString] = f"""
UPDATE alarm_receiver
   SET name = %(name)s, kinds = %(kinds)s, quiet_until = %(quiet_until)s
 WHERE receiver_id = %(receiver_id)s
RETURNING {_COLUMNS}
"""  # noqa: S608 - of constants alone

_REMOVE_NOTICES: Final[LiteralString] = "DELETE FROM alarm_notice WHERE receiver_id = %(receiver_id)s"
"""First, because the sender of a notice writes to it before it writes to its receiver. The foreign key has the other
order, in which the two could wait for each other.
"""

_REMOVE: Final[LiteralString] = "DELETE FROM alarm_receiver WHERE receiver_id = %(receiver_id)s"

_TEST: Final[LiteralString] = """
INSERT INTO alarm_notice (notice_id, receiver_id, what, dedup_key, payload, due_at)
VALUES (%(notice_id)s, %(receiver_id)s, %(what)s, %(dedup_key)s, %(payload)s::jsonb, clock_timestamp())
"""


class UnknownReceiverError(LookupError):
    """There is no such receiver."""


class TooManyReceiversError(Exception):
    """There are `RECEIVERS_MAX` already."""


class ReceiverRow(NamedTuple):
    """A receiver; ``kinds`` is empty for all kinds."""

    receiver_id: int
    channel: ReceiverChannel
    address: str
    name: str
    kinds: Sequence[str]
    quiet_until: dt.datetime | None
    made_at: dt.datetime
    delivered_at: dt.datetime | None
    failing_since: dt.datetime | None
    error: str
    gone_at: dt.datetime | None

    def wants(self, kind: AlarmKind, now: dt.datetime) -> bool:
        """Whether it is to be told of an alarm of this kind now."""
        is_quiet = self.quiet_until is not None and self.quiet_until > now
        return self.gone_at is None and not is_quiet and (not self.kinds or kind in self.kinds)


def receiver_row(row: Sequence[Any]) -> ReceiverRow:
    return ReceiverRow._make((row[0], ReceiverChannel(row[1]), opened_receiver(row[2]), *row[3:11]))


def opened_receiver(stored: str) -> str:
    """An address, or a browser's key, as it was given; empty where no key of this site opens it."""
    try:
        return keyring().open(SealedField.RECEIVER, stored)
    except SealError:
        return ""


def _sealed(text: str) -> str:
    return keyring().seal(SealedField.RECEIVER, text) if text else ""


def shown_address(channel: ReceiverChannel, address: str) -> str:
    """The address as operators are shown it: who knows a chat's or a browser's whole address can write there."""
    if channel is ReceiverChannel.MAIL:
        return address
    return f"{urlsplit(address).hostname}/…{address[-ENDING_CHARS:]}"


def _logged(channel: ReceiverChannel, address: str) -> str:
    """The address as the log keeps it: the log is plain, and a mail address is somebody's."""
    if channel is not ReceiverChannel.MAIL:
        return shown_address(channel, address)
    name, _, domain = address.rpartition("@")
    return f"{name[:1]}…@{domain}"


async def read_receivers(connection: AsyncConnection) -> list[ReceiverRow]:
    """All receivers, the oldest first."""
    rows = await connection.exec_driver_sql(READ_RECEIVERS, {"receiver_id": None, "receivers_max": RECEIVERS_MAX})
    return [receiver_row(row) for row in rows]


async def _receiver(connection: AsyncConnection, receiver_id: int) -> ReceiverRow:
    which = {"receiver_id": receiver_id, "receivers_max": 1}
    row = (await connection.exec_driver_sql(READ_RECEIVERS, which)).first()
    if row is None:
        raise UnknownReceiverError(UnknownReceiverError.__doc__)
    return receiver_row(row)


async def add_receiver(
    connection: AsyncConnection,
    *,
    channel: ReceiverChannel,
    address: str,
    name: str,
    kinds: Sequence[AlarmKind],
    operator: str,
    p256dh: str = "",
    auth: str = "",
) -> ReceiverRow:
    """Tell an address of alarms from now on, those included that stand. An address that is known is set anew.

    Raises:
        TooManyReceiversError: there are `RECEIVERS_MAX` already.
    """
    await connection.exec_driver_sql("SELECT pg_advisory_xact_lock(%(lock)s)", {"lock": _LOCK})
    known = await read_receivers(connection)
    before = next((one for one in known if (one.channel, one.address) == (channel, address)), None)
    if before is None and len(known) >= RECEIVERS_MAX:
        raise TooManyReceiversError
    values = {
        "channel": channel,
        "address": _sealed(address),
        "p256dh": _sealed(p256dh),
        "auth": _sealed(auth),
        "receiver_id": None if before is None else before.receiver_id,
        "name": tidy(name),
        "kinds": [str(kind) for kind in kinds],
    }
    row = (await connection.exec_driver_sql(_ADD if before is None else _SET_ANEW, values)).one()
    receiver = receiver_row(row)
    await _log(
        connection,
        receiver.receiver_id,
        {"address": ("", _logged(channel, address)), "kinds": ("", as_text(list(receiver.kinds)))},
        operator,
    )
    return receiver


async def change_receiver(
    connection: AsyncConnection, receiver_id: int, changes: Mapping[str, object], operator: str
) -> ReceiverRow:
    """Set ``name``, ``kinds`` or ``quiet_until``, and log each that differs.

    Raises:
        UnknownReceiverError: there is no such receiver.
    """
    before = await _receiver(connection, receiver_id)
    wanted = {name: changes.get(name, getattr(before, name)) for name in ("name", "kinds", "quiet_until")}
    wanted |= {"name": tidy(str(wanted["name"])), "kinds": [str(kind) for kind in wanted["kinds"]]}  # type: ignore[attr-defined]
    row = (await connection.exec_driver_sql(_CHANGE, {"receiver_id": receiver_id, **wanted})).first()
    if row is None:
        raise UnknownReceiverError(UnknownReceiverError.__doc__)
    after = receiver_row(row)
    differing = {
        name: (as_text(getattr(before, name)), as_text(getattr(after, name)))
        for name in ("name", "kinds", "quiet_until")
        if getattr(before, name) != getattr(after, name)
    }
    await _log(connection, receiver_id, differing, operator)
    return after


async def remove_receiver(connection: AsyncConnection, receiver_id: int, operator: str) -> None:
    """Tell an address nothing more.

    Raises:
        UnknownReceiverError: there is no such receiver.
    """
    before = await _receiver(connection, receiver_id)
    for statement in (_REMOVE_NOTICES, _REMOVE):
        await connection.exec_driver_sql(statement, {"receiver_id": receiver_id})
    await _log(connection, receiver_id, {"address": (_logged(before.channel, before.address), "")}, operator)


async def send_test(connection: AsyncConnection, receiver_id: int, operator: str) -> None:
    """Send a receiver a test alarm, even where it is quiet.

    Raises:
        UnknownReceiverError: there is no such receiver.
    """
    await _receiver(connection, receiver_id)
    notice_id = uuid7()
    payload = {"by": operator}
    await connection.exec_driver_sql(
        _TEST,
        {
            "notice_id": notice_id,
            "receiver_id": receiver_id,
            "what": Notice.TEST,
            "dedup_key": f"{Notice.TEST}:{notice_id}",
            "payload": msgspec.json.encode(payload).decode(),
        },
    )


async def _log(
    connection: AsyncConnection, receiver_id: int, changes: Mapping[str, tuple[str, str]], operator: str
) -> None:
    lines = [Change(field, before, after) for field, (before, after) in changes.items()]
    if lines:
        await connection.exec_driver_sql(*insert_changes(Subject.ALARM_RECEIVER, receiver_id, lines, operator))
