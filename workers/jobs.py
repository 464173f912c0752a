"""The functions that RQ runs, and no others. Jobs name them by their paths, which are part of the wire format."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from types import MappingProxyType
from typing import Protocol

import psycopg

from booking_lane.commands import decode_batch
from booking_lane.listed_jobs import ListedJob
from db.patience import trouble_of
from workers.booking import Booking
from workers.engine.engine import OutageError
from workers.housekeeping import Housekeeping

logger = logging.getLogger(__name__)


class Telling(Protocol):
    """What the process of messages does (`workers.messages.process.Told`), which no other process loads."""

    def telling(self) -> None: ...


@dataclass(slots=True)
class _Installed:
    booking: Booking | None = None
    housekeeping: Housekeeping | None = None
    told: Telling | None = None


_installed = _Installed()


class NotInstalledError(RuntimeError):
    """The process runs jobs but was not started as a worker of Admit One (``admitone worker``)."""


def install(
    booking: Booking | None = None, housekeeping: Housekeeping | None = None, told: Telling | None = None
) -> None:
    """Set the objects that this process' jobs use, and list its jobs. A worker calls this once, when it starts."""
    _installed.booking = booking
    _installed.housekeeping = housekeeping
    _installed.told = told
    functions = (book, give_up, hand_over, sweep, reconcile, retry_failed, forget, seal, index, watch, tell)
    ListedJob.functions = MappingProxyType({f"{__name__}.{function.__name__}": function for function in functions})


def _booking() -> Booking:
    if _installed.booking is None:
        raise NotInstalledError(NotInstalledError.__doc__)
    return _installed.booking


def _housekeeping() -> Housekeeping:
    if _installed.housekeeping is None:
        raise NotInstalledError(NotInstalledError.__doc__)
    return _installed.housekeeping


def book(payload: bytes) -> None:
    """Apply one `booking_lane.commands.Batch` and publish its outcomes."""
    _booking().book(decode_batch(payload))


def give_up(payload: bytes) -> None:
    """End a batch's commands and publish their outcomes. A command without a recorded outcome fails."""
    _booking().give_up(decode_batch(payload))


def hand_over(lane: int, revision: int) -> None:
    """Say that a lane has applied all that it was given before this job, so that events which left it may go on."""
    _booking().hand_over(lane, revision)


@contextlib.contextmanager
def _again_soon(what: str) -> Iterator[None]:
    """A recurring job that finds Postgres away leaves its work to its next run, and is no failed job."""
    try:
        yield
    except OutageError as error:
        logger.warning("%s is left to its next run: %s", what, error)
    except psycopg.Error as error:
        if trouble_of(error) is None:
            raise
        logger.warning("%s is left to its next run: %s", what, error)


def sweep(lane: int) -> None:
    """Give back the seats of the lane's lapsed holds."""
    with _again_soon("the sweep"):
        _booking().sweep(lane)


def reconcile() -> None:
    """Record what Redis may lose, move the places of accounts that were joined to others, and then bring the rooms'
    slots in line with the bookings in Postgres.
    """
    with _again_soon("the reconciliation"):
        _housekeeping().remember()
        _housekeeping().merge()
        _housekeeping().reconcile()


def retry_failed() -> None:
    """Put failed and stranded batches back to work, so that every command that was acknowledged ends."""
    with _again_soon("the retry of failed batches"):
        _housekeeping().retry_failed()
        _housekeeping().keep_lanes()


def forget() -> None:
    """Delete rows that are older than they are promised to be kept, a bounded number in each run."""
    with _again_soon("the deletion of old rows"):
        _housekeeping().forget()


def seal() -> None:
    """Seal the addresses and secrets that an older release wrote plain, a bounded number in each run."""
    with _again_soon("the sealing of rows"):
        _housekeeping().seal()


def index() -> None:
    """Write what the search finds of events that an older release wrote, a bounded number in each run."""
    with _again_soon("the index of events"):
        _housekeeping().index()


def watch() -> None:
    """Look at every figure that has an alarm, and decide what operators are told."""
    with _again_soon("the look at alarms"):
        _housekeeping().watch()


def tell() -> None:
    """Write the messages to fans that follow from what happened, and send those and the alarms that are due."""
    if _installed.told is None:
        raise NotInstalledError(NotInstalledError.__doc__)
    _installed.told.telling()
