"""The operators' desk for fans: finds a fan, reads the fan's part in an event, and helps. Every act is logged."""

from __future__ import annotations

import logging
import uuid
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from db.booking.ticket_codes import beginnings_of
from db.change_log.changes import Change, ChangeRow, Subject, change_rows, insert_changes, select_changes
from db.help.fans import (
    FIND_BY_ADDRESS,
    FIND_BY_FAN,
    FIND_BY_ID,
    FIND_BY_TICKET,
    FanRows,
    FoundFan,
    fan_rows,
    find_fans,
    forget_departure,
    send_again,
)
from db.ids import uuid7
from db.messages.addresses import hash_of
from db.messages.contacts import contacts_of
from gateway.contacts.contacts import tidy_mail
from gateway.contract.line import ReceiptEntry
from gateway.contract.values import ID_MAX
from gateway.line.counts import Counts
from gateway.line.places import Places
from gateway.line.receipts import Receipts
from gateway.line.registry import RoomRegistry
from gateway.wire.problems import ProblemError
from waiting_room.errors import NoPlace, RetryLater, RoomClosed, RoomOff, RoomSoldOut, RoomUnknown, TokenInvalid
from waiting_room.line import Line
from waiting_room.model import FanState, Standing

logger = logging.getLogger(__name__)

PLACE: Final = "place"


class FanHelp:
    """What operators do for single fans."""

    def __init__(
        self,
        engine: AsyncEngine,
        line: Line,
        rooms: RoomRegistry,
        counts: Counts,
        receipts: Receipts,
        places: Places,
    ) -> None:
        self._engine = engine
        self._line = line
        self._rooms = rooms
        self._counts = counts
        self._receipts = receipts
        self._places = places

    async def find(self, sought: str, event_id: int | None, event_ids: frozenset[int] | None) -> list[FoundFan]:
        """The fans whom the operator may mean.

        Args:
            sought: an order's or a hold's id, a mail address, a ticket's code, a fan's number, or with ``event_id`` the
                token of a place.
            event_id: look at this event alone.
            event_ids: the events that the operator may help at; None: all.

        Raises:
            ProblemError: ``invalid_request`` for an address that is none.
        """
        sought = sought.strip()
        if event_id is not None and sought.count(".") == 2 and "@" not in sought:
            return await self._find_place(sought, event_id)
        key: str | bytes | list[str]
        if "@" in sought:
            statement, key = FIND_BY_ADDRESS, hash_of(tidy_mail(sought))
        elif _is_uuid(sought):
            statement, key = FIND_BY_ID, sought
        elif sought.isascii() and sought.isdigit() and int(sought) <= ID_MAX:
            statement, key = FIND_BY_FAN, sought
        else:
            statement, key = FIND_BY_TICKET, beginnings_of(sought.upper())
        async with self._engine.connect() as connection:
            found = await find_fans(connection, statement, key, event_id, event_ids)
        if not found and statement is FIND_BY_FAN and event_id is not None:
            return await self._find_waiting(event_id, int(sought))
        return found

    async def _find_place(self, token: str, event_id: int) -> list[FoundFan]:
        try:
            place = self._places.tokens.verify_place(token, event=event_id)
        except TokenInvalid:
            return []
        return [FoundFan(event_id, await self.event_name(event_id), place.fan, PLACE)]

    async def _find_waiting(self, event_id: int, user_id: int) -> list[FoundFan]:
        standing = await self._standing(event_id, user_id)
        if standing is None or standing.state is FanState.NONE:
            return []
        return [FoundFan(event_id, await self.event_name(event_id), user_id, PLACE)]

    async def event_name(self, event_id: int) -> str:
        """Raises:
        ProblemError: ``unknown_event``.
        """
        async with self._engine.connect() as connection:
            found = await connection.exec_driver_sql(
                "SELECT name FROM event WHERE event_id = %(event_id)s AND rehearsal_of IS NULL", {"event_id": event_id}
            )
            name = found.scalar_one_or_none()
        if name is None:
            raise ProblemError("unknown_event")
        return str(name)

    async def _standing(self, event_id: int, user_id: int) -> Standing | None:
        """Where the fan stands; None where the event has no line. To look is no sign of life."""
        try:
            return await self._line.standing(event_id, user_id, touch=False)
        except (RoomUnknown, RoomOff):
            return None

    async def standing(self, event_id: int, user_id: int) -> Standing | None:
        """Where the fan stands, and None for an event without a line."""
        return await self._standing(event_id, user_id)

    async def history(self, event_id: int, user_id: int) -> tuple[ReceiptEntry, ...]:
        """What happened to the fan's places, the oldest first."""
        counts = await self._counts.of(event_id)
        return () if counts is None else (await self._receipts.receipt(event_id, user_id, counts)).entries

    async def rows(self, event_id: int, user_id: int) -> tuple[FanRows, dict[str, str], list[ChangeRow]]:
        """What Postgres has of the fan, the fan's addresses by channel, and what the desk did for the fan."""
        async with self._engine.connect() as connection:
            rows = await fan_rows(connection, event_id, user_id)
            addresses = await contacts_of(connection, event_id, user_id)
            log = change_rows(await connection.exec_driver_sql(*select_changes(Subject.DESK, event_id)))
        return rows, addresses, [line for line in log if line.field.endswith(f" {user_id}")]

    async def send_again(self, event_id: int, user_id: int, message_id: uuid.UUID, operator: str, why: str) -> None:
        """Send a message to the fan once more.

        Raises:
            ProblemError: ``unknown_message``.
        """
        async with self._engine.begin() as connection:
            what = await send_again(connection, event_id, user_id, message_id, uuid7())
            if what is None:
                raise ProblemError("unknown_message")
            await self._log(connection, event_id, user_id, "message", what, operator, why)

    async def put_back(self, event_id: int, user_id: int, *, in_front: bool, operator: str, why: str) -> Standing:
        """Put the fan back in line: at the place that ended, or in front.

        Raises:
            ProblemError: ``no_place``, ``closed``, ``sold_out``, ``rebuilding`` or ``unknown_event``.
        """
        await self._rooms.required_row(event_id)
        try:
            standing = await self._line.put_back(event_id, user_id, in_front=in_front)
        except RetryLater as later:
            raise ProblemError(later.code, retry_after_seconds=later.retry_after_seconds) from None
        except (NoPlace, RoomSoldOut) as refused:
            raise ProblemError(refused.code) from None
        except (RoomClosed, RoomOff, RoomUnknown):
            raise ProblemError("no_place", "The event has no open line.") from None
        async with self._engine.begin() as connection:
            await forget_departure(connection, event_id, user_id)
            where = "in front" if in_front else "at the old place"
            detail = f"{where}: {standing.state}" if standing.joined == "restored" else f"was {standing.state} already"
            await self._log(connection, event_id, user_id, "place", detail, operator, why)
        self._rooms.mark_stale(event_id)
        return standing

    async def log(self, event_id: int, user_id: int, what: str, detail: str, operator: str, why: str) -> None:
        """Note what an operator did for a fan."""
        async with self._engine.begin() as connection:
            await self._log(connection, event_id, user_id, what, detail, operator, why)

    async def _log(
        self,
        connection: AsyncConnection,
        event_id: int,
        user_id: int,
        what: str,
        detail: str,
        operator: str,
        why: str,
    ) -> None:
        change = Change(f"{what} {user_id}", "", detail)
        await connection.exec_driver_sql(*insert_changes(Subject.DESK, event_id, [change], operator, why=why))
        logger.info("operator %s helped fan %d of event %d: %s %s", operator, user_id, event_id, what, detail)


def _is_uuid(text: str) -> bool:
    try:
        uuid.UUID(text)
    except ValueError:
        return False
    return True
