"""Halls from spreadsheets, a line for each seat; every bad line is reported by its number."""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

NUMBER_MAX: Final = 99_999
"""Of rows and of seats."""
FAULTS_MAX: Final = 100
"""No more bad lines than these are reported."""

_COLUMNS: Final = {
    "tickettype": "type",
    "tickettypeid": "type_id",
    "row": "row",
    "rownumber": "row",
    "seat": "seat",
    "seatnumber": "seat",
}
_number = re.compile("[0-9]{1,5}").fullmatch


@dataclass(slots=True)
class CsvHall:
    """``seats`` by the ticket type's key; ``faults`` as (line, message), the header being line 1."""

    seats: dict[int, list[tuple[int, int]]] = field(default_factory=dict)
    faults: list[tuple[int, str]] = field(default_factory=list)


def read_hall(text: str, names: Mapping[str, int], ids: Mapping[int, int], seats_max: int) -> CsvHall:
    """Read the seats of ticket types, which are known by name or by id.

    The first line names the columns: ``ticketType`` or ``ticketTypeId``, ``row``, ``seat``, in any order; others are
    passed over. Commas, semicolons or tabs stand between them. No seat may stand there twice.

    Args:
        names, ids: the key of each ticket type.
    """
    hall = CsvHall()
    lines = csv.reader(text.removeprefix("\ufeff").splitlines(keepends=True), delimiter=_delimiter(text))
    try:
        columns = _columns(next(lines, []))
        if isinstance(columns, str):
            hall.faults.append((1, columns))
            return hall
        seen: dict[tuple[int, int, int], int] = {}
        for cells in lines:
            if len(hall.faults) >= FAULTS_MAX:
                break
            if not any(cell.strip() for cell in cells):
                continue
            seat = _seat(cells, columns, names, ids)
            if isinstance(seat, str):
                hall.faults.append((lines.line_num, seat))
            elif seat in seen:
                hall.faults.append((lines.line_num, f"this seat stands on line {seen[seat]} already"))
            elif len(seen) >= seats_max:
                hall.faults.append((lines.line_num, f"an event has {seats_max} seats at most"))
                break
            else:
                seen[seat] = lines.line_num
                hall.seats.setdefault(seat[0], []).append(seat[1:])
    except csv.Error as error:
        hall.faults.append((lines.line_num, f"not readable as CSV: {error}"))
    return hall


def _delimiter(text: str) -> str:
    header = text.partition("\n")[0]
    return next((mark for mark in (";", "\t") if mark in header), ",")


def _columns(header: list[str]) -> dict[str, int] | str:
    """Where each column stands; a sentence where one is missing."""
    found: dict[str, int] = {}
    for index, cell in enumerate(header):
        name = _COLUMNS.get(re.sub("[ _]", "", cell).lower())
        if name is not None:
            found.setdefault(name, index)
    if not ({"row", "seat"} <= found.keys() and found.keys() & {"type", "type_id"}):
        return "the first line names the columns ticketType (or ticketTypeId), row and seat"
    return found


def _seat(
    cells: list[str], columns: Mapping[str, int], names: Mapping[str, int], ids: Mapping[int, int]
) -> tuple[int, int, int] | str:
    """(key of the ticket type, row, seat), or what is wrong with the line."""
    if len(cells) <= max(columns.values()):
        return f"{len(cells)} columns, where the first line names more"
    said = {name: cells[index].strip() for name, index in columns.items()}
    if "type_id" in said:
        key = ids.get(int(said["type_id"])) if _number(said["type_id"]) else None
        kind = said["type_id"]
    else:
        key, kind = names.get(said["type"]), said["type"]
    if key is None:
        return f"there is no ticket type {kind[:100]!r}"
    for name in ("row", "seat"):
        if not _number(said[name]):
            return f"the {name} is a whole number of at most {NUMBER_MAX}, not {said[name][:20]!r}"
    return key, int(said["row"]), int(said["seat"])
