"""Halls from spreadsheets, a line for each seat; every bad line is reported by its number."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from db.texts import alike
from gateway.contract.values import HALL_NUMBER_MAX

FAULTS_MAX: Final = 100
"""No more bad lines than these are reported."""

SEAT_COLUMNS: Final = {
    "tickettype": "type",
    "tickettypeid": "type_id",
    "row": "row",
    "rownumber": "row",
    "seat": "seat",
    "seatnumber": "seat",
}
PLAN_COLUMNS: Final = {
    "section": "section",
    "rowlabel": "row_label",
    "label": "seat_label",
    "seatlabel": "seat_label",
    "x": "x",
    "y": "y",
    "attributes": "attributes",
}
"""Columns that only a hall plan is read from (`gateway.programme.plan_csv`); every one may be missing."""
_NO_HEADER: Final = "the first line names the columns ticketType (or ticketTypeId), row and seat"
_DELIMITERS: Final = (";", "\t", ",", "|")
_SEPARATOR: Final = re.compile(r'\s*"?sep=([;,|\t])"?(?:[;,|]|[^\S\r\n])*(?:\r\n|\r|\n)', re.IGNORECASE)
"""The line by which Excel is told what stands between the columns. A program that does not know it fills it up with
empty columns when it saves the file.
"""
_LINE_END: Final = re.compile(r"\r\n|\r|\n")
_MARKS: Final = ((b"\xef\xbb\xbf", "utf-8"), (b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be"))
_number = re.compile(r"[0-9]{1,2} [0-9]{3}|[0-9]{1,5}").fullmatch
"""A number as spreadsheets write it: perhaps with a space between its thousands."""


@dataclass(slots=True)
class CsvHall:
    """``seats`` by the ticket type's key; ``faults`` as (line, message), the header being line 1."""

    seats: dict[int, list[tuple[int, int]]] = field(default_factory=dict)
    faults: list[tuple[int, str]] = field(default_factory=list)


def read_hall(text: str, names: Mapping[str, int], ids: Mapping[int, int], seats_max: int) -> CsvHall:
    """Read the seats of ticket types, which are known by name or by id.

    The first line names the columns: ``ticketType`` or ``ticketTypeId``, ``row``, ``seat``, in any order; others are
    passed over. Commas, semicolons, tabs or bars stand between them; a line ``sep=;`` before may say which. Empty lines
    are passed over. No seat may stand there twice.

    Args:
        names, ids: the key of each ticket type, the names by `db.texts.alike`.
    """
    hall = CsvHall()
    table = Table(text, SEAT_COLUMNS)
    if isinstance(table.columns, str):
        hall.faults.append((table.header_line, table.columns))
        return hall
    seen: dict[tuple[int, int, int], int] = {}
    line = table.header_line
    try:
        for line, cells in table.rows():
            if len(hall.faults) >= FAULTS_MAX:
                break
            seat = _seat(cells, table.columns, names, ids)
            if isinstance(seat, str):
                hall.faults.append((line, seat))
            elif seat in seen:
                hall.faults.append((line, f"this seat stands on line {seen[seat]} already"))
            elif len(seen) >= seats_max:
                hall.faults.append((line, f"an event has {seats_max} seats at most"))
                break
            else:
                seen[seat] = line
                hall.seats.setdefault(seat[0], []).append(seat[1:])
    except csv.Error as error:
        hall.faults.append((line + 1, f"not readable as CSV: {error}"))
    return hall


def decode(content: bytes) -> str:
    """The text of a spreadsheet's file. One that says no encoding by its first bytes is in UTF-8, or else in the
    code page that a spreadsheet of the West saves by itself.
    """
    for mark, encoding in _MARKS:
        if content.startswith(mark):
            return content.decode(encoding, errors="replace")
    try:
        return content.decode()
    except UnicodeDecodeError:
        return content.decode("cp1252", errors="replace")


class Table:
    """A CSV's header and its rows. The lines told are the file's: a field may go over several of them.

    Args:
        known: the columns that are read, as they are written in small letters without spaces.

    Attributes:
        columns: where each column stands; a sentence where one is missing.
        header_line: the number of the header's line.
    """

    def __init__(self, text: str, known: Mapping[str, str]) -> None:
        # A field may hold any character that Python takes for a line's end, so only the file's own ends count.
        self._text = text.removeprefix("\ufeff")
        named = _SEPARATOR.match(self._text)
        self._first = len(_LINE_END.findall(named[0])) if named else 0
        self.header_line = 1
        self.columns: dict[str, int] | str = _NO_HEADER
        for self._delimiter in (named[1],) if named else _DELIMITERS:
            header = next(self._rows(), (self._first + 1, []))
            self.header_line, self.columns = header[0], _columns(header[1], known)
            if not isinstance(self.columns, str):
                break

    def rows(self) -> Iterator[tuple[int, list[str]]]:
        """The rows below the header that are not empty, each with the number of its first line.

        Raises:
            csv.Error: the rest cannot be read.
        """
        found = self._rows()
        next(found, None)
        return found

    def _rows(self) -> Iterator[tuple[int, list[str]]]:
        lines = csv.reader(io.StringIO(self._text, newline=""), delimiter=self._delimiter)
        for _ in range(self._first):
            next(lines, None)
        line = lines.line_num + 1
        for cells in lines:
            if any(alike(cell) for cell in cells):
                yield line, cells
            line = lines.line_num + 1


def _columns(header: Sequence[str], known: Mapping[str, str]) -> dict[str, int] | str:
    """Where each column stands; a sentence where one is missing."""
    found: dict[str, int] = {}
    for index, cell in enumerate(header):
        name = known.get(re.sub("[ _]", "", alike(cell)).lower())
        if name is not None:
            found.setdefault(name, index)
    if not ({"row", "seat"} <= found.keys() and found.keys() & {"type", "type_id"}):
        return _NO_HEADER
    return found


def _seat(
    cells: list[str], columns: Mapping[str, int], names: Mapping[str, int], ids: Mapping[int, int]
) -> tuple[int, int, int] | str:
    """(key of the ticket type, row, seat), or what is wrong with the line."""
    if len(cells) <= max(columns.values()):
        return f"{len(cells)} columns, where the first line names more"
    said = {name: alike(cells[index]) for name, index in columns.items()}
    if "type_id" in said:
        key = ids.get(number) if (number := _whole(said["type_id"])) is not None else None
        kind = said["type_id"]
    else:
        key, kind = names.get(said["type"]), said["type"]
    if key is None:
        return f"there is no ticket type {kind[:100]!r}"
    numbers = []
    for name in ("row", "seat"):
        number = _whole(said[name])
        if number is None:
            return f"the {name} is a whole number of at most {HALL_NUMBER_MAX}, not {said[name][:20]!r}"
        numbers.append(number)
    return key, numbers[0], numbers[1]


def _whole(cell: str) -> int | None:
    """The number in a cell; None where it is no whole number."""
    return int(cell.replace(" ", "")) if _number(cell) else None
