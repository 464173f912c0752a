"""The venue's programme: events made and changed by operators, in Postgres first, then known to Redis and this gateway.

The work is psycopg's synchronous, in few threads with a connection each: an operator's spreadsheet of a stadium must
not keep a single fan's place waiting, and `db.events.seed` makes its events with the same functions.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Set
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

import msgspec
import psycopg
from psycopg import IsolationLevel
from redis.exceptions import RedisError
from sqlalchemy.exc import SQLAlchemyError

from db.change_log.changes import Change, ChangeRow, Subject, change_rows, insert_changes, select_changes
from db.connections import primary
from db.events.allotments import AllotmentRow, list_allotments
from db.events.definitions import EventRow, ListedEvent, UnknownEventError, list_events, read_event
from db.events.editing import edit_event
from db.events.edits import Edited, EventChangedError, EventEdit, EventRefusedError, Refusal
from db.events.examination import NO_SUCH_PICTURE
from db.events.progress import Progress, read_progress
from db.events.seed import EventPlan, create_event
from db.events.ticket_types import describe
from db.outbox.kinds import EventEdited, OutboxKind
from db.outbox.writer import insert_news
from db.pictures import PictureForms, keep_picture, use_picture
from db.plans.model import HallPlan
from db.plans.writing import PlanChange, PlanRefusedError, change_plan, has_its_picture, read_plan
from gateway.contract.programme import EventDefinition, EventPreview
from gateway.contract.rooms import log_line
from gateway.contract.values import Fault
from gateway.hall.halls import Halls
from gateway.line.registry import RoomRegistry
from gateway.programme.drafts import Draft, definition, faults_of, refused
from gateway.programme.notes import change_notes
from gateway.programme.plan_drafts import contract_faults
from gateway.wire.problems import ProblemError
from waiting_room.errors import RoomUnknown
from waiting_room.line import Line

logger = logging.getLogger(__name__)

EDITS_AT_ONCE_MAX: Final = 2

T = TypeVar("T")


class Programme:
    """Makes, changes and reads events for operators, and makes their changes known.

    Each method that asks Postgres may raise `psycopg.OperationalError`: Postgres is away, or bookings kept what is to
    be changed for too long.

    Args:
        database_url: Postgres' primary.
        seats_max: of an event.
        cancel_until_hours: how long before an event its seats can no longer be given back.
        forget_answers: has no answer of the search be used any more.
    """

    def __init__(
        self,
        database_url: str,
        seats_max: int,
        cancel_until_hours: float,
        halls: Halls,
        line: Line,
        rooms: RoomRegistry,
        forget_answers: Callable[[], Awaitable[None]],
    ) -> None:
        self._database_url = database_url
        self._seats_max = seats_max
        self._cancel_until_hours = cancel_until_hours
        self._halls = halls
        self._line = line
        self._rooms = rooms
        self._forget_answers = forget_answers
        self._threads = ThreadPoolExecutor(max_workers=EDITS_AT_ONCE_MAX, thread_name_prefix="programme")

    async def in_thread(self, work: Callable[[], T]) -> T:
        """The result of ``work``, which takes long and needs no connection."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    async def listed(self, before: int, limit: int, only: Set[int] | None) -> list[ListedEvent]:
        """So many events at most whose id is lower than ``before``, the newest first; none but ``only``, where it is
        given.
        """
        return await self._run(lambda connection: list_events(connection, before, limit, only))

    async def read(self, event_id: int, *, with_seats: bool = True) -> EventRow:
        """The event as it is defined.

        Raises:
            ProblemError: ``unknown_event``.
        """

        def read(connection: psycopg.Connection) -> EventRow:
            connection.isolation_level = IsolationLevel.REPEATABLE_READ
            connection.read_only = True
            with connection.transaction():
                return read_event(connection, event_id, with_seats=with_seats)

        try:
            return await self._run(read)
        except UnknownEventError:
            raise ProblemError("unknown_event") from None

    async def log(self, event_id: int) -> list[ChangeRow]:
        """What was changed of the event, the newest first.

        Raises:
            ProblemError: ``unknown_event``.
        """
        await self.read(event_id, with_seats=False)
        latest = select_changes(Subject.EVENT, event_id)
        return await self._run(lambda connection: change_rows(connection.execute(*latest)))

    async def allotments(self, event_id: int) -> list[AllotmentRow]:
        """The event's allotments, the newest first.

        Raises:
            ProblemError: ``unknown_event``.
        """
        await self.read(event_id, with_seats=False)
        return await self._run(lambda connection: list_allotments(connection, event_id))

    async def progress(self, event_id: int) -> Progress:
        """How far an event has come that was moved or cancelled.

        Raises:
            ProblemError: ``unknown_event``.
        """
        await self.read(event_id, with_seats=False)
        return await self._run(lambda connection: read_progress(connection, event_id))

    async def make(self, plan: EventPlan, operator: str, why: str) -> EventRow:
        """Make the event, log it, and make it known.

        Raises:
            ProblemError: ``event_invalid``: the picture is gone.
        """
        try:
            made = await self._run(lambda connection: _make(connection, plan, operator, why))
        except EventRefusedError as refusal:
            raise refused(faults_of(refusal.refusals)) from None
        await self._publish(made.event_id, configure=True)
        return made

    async def keep_picture(self, forms: PictureForms) -> None:
        """Store a picture, which an event can be given from then on."""
        await self._run(lambda connection: keep_picture(connection, forms))

    async def edit(
        self,
        event_id: int,
        draft: Draft,
        edit: EventEdit,
        operator: str,
        *,
        why: str,
        revision: int | None,
        dry_run: bool,
    ) -> EventDefinition | EventPreview:
        """Apply an edit; where the draft has faults, or for a dry run, only find out what Postgres has against it too.

        Args:
            revision: the one that the operator saw, where it must still be in force.

        Raises:
            ProblemError: ``unknown_event``, ``conflict`` for another revision, or a code of the draft's faults and of
                what Postgres has against the edit.
        """
        only_look = dry_run or bool(draft.faults)

        def work(connection: psycopg.Connection) -> tuple[EventRow, Edited]:
            with connection.transaction(force_rollback=only_look):
                edited = edit_event(
                    connection,
                    event_id,
                    edit,
                    operator,
                    why,
                    seats_max=self._seats_max,
                    cancel_until_hours=self._cancel_until_hours,
                    revision=revision,
                )
                return read_event(connection, event_id), edited

        faults = list(draft.faults)
        found: EventRow | None = None
        try:
            found, edited = await self._run(work)
        except EventRefusedError as refusal:
            faults += faults_of(refusal.refusals)
        except EventChangedError as meanwhile:
            raise _conflict(meanwhile) from None
        except UnknownEventError:
            raise ProblemError("unknown_event") from None
        event = None
        if found is not None and not faults:
            in_line = 0 if edited.cancelled is None else await self._in_line(event_id)
            event = definition(found, change_notes(edited, in_line, pays_back=bool(found.payments)))
        if dry_run:
            return EventPreview(valid=not faults, faults=tuple(faults), event=event)
        if event is None:
            raise refused(faults)
        if edited.changed:
            await self._publish(event_id, configure=edited.sale_moved)
        return event

    async def plan(self, event_id: int) -> tuple[EventRow, HallPlan | None]:
        """The event without its seats, and the hall plan that it was given, if any.

        Raises:
            ProblemError: ``unknown_event``.
        """

        def read(connection: psycopg.Connection) -> tuple[EventRow, HallPlan | None]:
            return read_event(connection, event_id, with_seats=False), read_plan(connection, event_id)

        try:
            return await self._run(read)
        except UnknownEventError:
            raise ProblemError("unknown_event") from None

    async def change_plan(
        self,
        event_id: int,
        change: PlanChange,
        operator: str,
        *,
        why: str,
        revision: int | None,
        dry_run: bool,
    ) -> tuple[int, int, list[Fault]]:
        """Give the event a hall plan or take it away; for a dry run, only find out what Postgres has against it.

        Returns:
            The event's revision then, how many seats were added, and what is wrong with the plan: nothing, unless
            it is a dry run.

        Raises:
            ProblemError: ``unknown_event``, ``conflict`` for another revision, ``plan_invalid`` where the plan has
                other seats than the event, or a code of what stands against the seats that it adds.
        """

        def work(connection: psycopg.Connection) -> tuple[bool, EventRow, int]:
            with connection.transaction(force_rollback=dry_run):
                before = read_event(connection, event_id, with_seats=False)
                changed = change_plan(
                    connection, event_id, change, operator, why, seats_max=self._seats_max, revision=revision
                )
                after = read_event(connection, event_id, with_seats=False)
                return changed, after, _quantity(after) - _quantity(before)

        try:
            changed, event, added = await self._run(work)
        except PlanRefusedError as refusal:
            faults = list(contract_faults(refusal.faults))
        except EventRefusedError as refusal:
            faults = faults_of(refusal.refusals)
        except EventChangedError as meanwhile:
            raise _conflict(meanwhile) from None
        except UnknownEventError:
            raise ProblemError("unknown_event") from None
        else:
            if changed and not dry_run:
                await self._publish(event_id, configure=False)
            return event.revision, added, []
        if not dry_run:
            raise refused(faults)
        return 0, 0, faults

    async def _in_line(self, event_id: int) -> int:
        """How many fans wait for the event, or are called or admitted; 0 where its line is not known."""
        try:
            counts = await self._line.counts(event_id)
        except (RoomUnknown, RedisError, OSError):
            return 0
        return counts.waiting + counts.lobby + counts.away + counts.called + counts.admitted

    async def _run(self, work: Callable[[psycopg.Connection], T]) -> T:
        """``work``'s result, on a connection that commits each statement unless ``work`` begins a transaction."""

        def run() -> T:
            with primary.connect(self._database_url, "admitone-gateway") as connection:
                return work(connection)

        return await self.in_thread(run)

    async def _publish(self, event_id: int, *, configure: bool) -> None:
        """Make a changed event known to this gateway, and what is left of it to Redis; with ``configure`` its room too.

        Should that fail, all of it is known within seconds all the same: by the event's version, the room's revision
        and the worker's housekeeping.
        """
        await self._forget_answers()
        try:
            await self._halls.renew(event_id)
            if configure:
                await self._rooms.renew(event_id)
            hall = await self._halls.hall(event_id)
            await self._line.set_stock(event_id, hall.free, hall.held, hall.version)
            self._rooms.mark_stale(event_id)
        except (SQLAlchemyError, RedisError, OSError) as error:
            logger.warning("event %d: its change is not published yet: %s", event_id, error)

    def close(self) -> None:
        self._threads.shutdown(wait=False)


def _conflict(meanwhile: EventChangedError) -> ProblemError:
    lines = [log_line(row) for row in meanwhile.since]
    return ProblemError("conflict", revision=meanwhile.revision, changes=msgspec.to_builtins(lines))


def _quantity(event: EventRow) -> int:
    return sum(one.quantity for one in event.ticket_types)


def _make(connection: psycopg.Connection, plan: EventPlan, operator: str, why: str) -> EventRow:
    types = [Change("ticket_types", "", describe(one.ticket_type, one.price, one.hall)) for one in plan.ticket_types]
    with connection.transaction():
        if plan.picture_hash is not None and not use_picture(connection, plan.picture_hash):
            raise EventRefusedError([Refusal("event_invalid", "$.pictureHash", NO_SUCH_PICTURE)])
        if plan.hall_plan is not None and not has_its_picture(connection, plan.hall_plan):
            raise EventRefusedError([Refusal("event_invalid", "$.plan.picture.href", NO_SUCH_PICTURE)])
        event_id = create_event(connection, plan)
        lines = [*types[::-1], Change("event", "", plan.name)]
        connection.execute(*insert_changes(Subject.EVENT, event_id, lines, operator, why=why, revision=1))
        connection.execute(*insert_news(OutboxKind.EVENT_EDITED, [EventEdited(event_id=event_id, revision=1)]))
        return read_event(connection, event_id)
