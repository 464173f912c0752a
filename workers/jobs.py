"""The functions that RQ runs. Jobs name them by their paths, so the paths are part of the wire format."""

from __future__ import annotations

from dataclasses import dataclass

from booking_lane.commands import decode_batch
from workers.booking import Booking
from workers.housekeeping import Housekeeping


@dataclass(slots=True)
class _Installed:
    booking: Booking | None = None
    housekeeping: Housekeeping | None = None


_installed = _Installed()


class NotInstalledError(RuntimeError):
    """The process runs jobs but was not started as a worker of Admit One (``admitone worker``)."""


def install(booking: Booking | None = None, housekeeping: Housekeeping | None = None) -> None:
    """Set the objects that this process' jobs use. A worker calls this once, when it starts."""
    _installed.booking = booking
    _installed.housekeeping = housekeeping


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


def sweep(lane: int) -> None:
    """Give back the seats of the lane's lapsed holds."""
    _booking().sweep(lane)


def reconcile() -> None:
    """Record what Redis may lose, and then bring the rooms' slots in line with the bookings in Postgres."""
    _housekeeping().remember()
    _housekeeping().reconcile()


def retry_failed() -> None:
    """Put failed batches back to work, so that every command that was acknowledged ends."""
    _housekeeping().retry_failed()


def forget() -> None:
    """Delete rows that are older than they are promised to be kept, a bounded number in each run."""
    _housekeeping().forget()
