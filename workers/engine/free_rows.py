"""The free seats of one ticket type, from which the best block is chosen; they are kept between batches."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, TypeVar

from db.plans.best_seats import FreeSeats, SeatRows

EVENTS_KEPT_MAX: Final = 16

_T = TypeVar("_T")


class FreeRows(FreeSeats):
    """The free seats of one ticket type, some of which still count as held.

    Args:
        free: (row_number, numbers of the free seats, those of them that still count as held by a hold that has ended).
    """

    def __init__(self, layout: SeatRows, free: Iterable[tuple[int, Sequence[int], Sequence[int]]]) -> None:
        rows = list(free)
        super().__init__(layout, ((row, seats) for row, seats, _ in rows))
        self._lapsed = {(row, seat) for row, _, lapsed in rows for seat in lapsed}

    def is_lapsed(self, row: int, seat: int) -> bool:
        return (row, seat) in self._lapsed

    def take(self, row_number: int, seat: int) -> None:
        super().take(row_number, seat)
        self._lapsed.discard((row_number, seat))

    def give(self, row_number: int, seat: int) -> None:
        super().give(row_number, seat)
        self._lapsed.discard((row_number, seat))


class KeptRows:
    """Keeps free rows from one batch to the next. They are exact, because they are used only under the event's lock and
    only if the event has the version that they were kept with. A batch takes them out, and puts them back only after
    its commit.

    The seats that a ticket type has, free or not, are kept for as long as the event has the same revision.
    """

    def __init__(self) -> None:
        self._kept: dict[int, tuple[int, dict[tuple[int, int], FreeRows]]] = {}
        self._layouts: dict[int, tuple[int, dict[tuple[int, int], SeatRows]]] = {}

    def take(self, event_id: int, version: int) -> dict[tuple[int, int], FreeRows]:
        """The event's rows by (event_id, ticket_type_id) as of ``version``; empty if there are none of this version."""
        kept_version, rows = self._kept.pop(event_id, (-1, {}))
        return rows if kept_version == version else {}

    def keep(self, event_id: int, version: int, rows: dict[tuple[int, int], FreeRows]) -> None:
        if rows:
            _make_room(self._kept)
            self._kept[event_id] = (version, rows)

    def layouts(self, event_id: int, revision: int) -> dict[tuple[int, int], SeatRows]:
        """The event's seats by (event_id, ticket_type_id) as of ``revision``. What the caller adds to it is kept."""
        kept_revision, layouts = self._layouts.pop(event_id, (-1, {}))
        if kept_revision != revision:
            layouts = {}
        _make_room(self._layouts)
        self._layouts[event_id] = (revision, layouts)
        return layouts


def _make_room(kept: dict[int, _T]) -> None:
    while len(kept) >= EVENTS_KEPT_MAX:
        del kept[next(iter(kept))]
