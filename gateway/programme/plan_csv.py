"""Hall plans from spreadsheets, a line for each seat: what stands in a hall's CSV, and where each seat is.

Beside the columns of a hall (`gateway.programme.hall_csv`) there may be ``section``, ``rowLabel``, ``label`` (of the
seat), ``x``, ``y`` and ``attributes``. A row may be named by letters. Without ``x`` and ``y`` the seats stand where the
plan that is made of their numbers has them, and only labels and attributes are the file's.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import msgspec

from db.plans.checking import LABEL_CHARS_MAX, NAME_CHARS_MAX, SIZE_MAX
from db.plans.generated import SeatedType, generate
from db.plans.model import PlanRow, PlanSeat
from db.texts import tidy, with_plain_digits
from gateway.programme.hall_csv import FAULTS_MAX, PLAN_COLUMNS, SEAT_COLUMNS, Table
from gateway.programme.plan_drafts import FLAGS, LoosePlan, LooseSection, TicketTypes, seat_label
from gateway.programme.row_numbers import number_of, row_numbers, seat_numbers
from gateway.programme.standing import standing_order

_coordinate = re.compile("[0-9]{1,6}").fullmatch
_ATTRIBUTES: Final = {name.lower(): flag for name, flag in FLAGS.items()}
_SPLIT: Final = re.compile(r"[\s,;|+/]+")


@dataclass(slots=True)
class _Line:
    """A seat as its line has it."""

    line: int
    name: str
    label: str
    flags: int
    at: tuple[int, int] | None


@dataclass(slots=True)
class _Row:
    """The seats of one row of a ticket type, within one section."""

    section: str
    ticket_type_id: int
    name: str
    label: str
    lines: list[_Line] = field(default_factory=list)


class CsvPaths:
    """The lines of the file that a plan's parts were made of: a section and a row stand where their first seat does."""

    def __init__(self, lines: list[list[list[int]]]) -> None:
        self._lines = lines

    def section(self, section: int) -> str:
        return self.row(section, 0)

    def row(self, section: int, row: int) -> str:
        return self.seat(section, row, 0)

    def seat(self, section: int, row: int, seat: int) -> str:
        return f"line {self._lines[section][row][seat]}"


def has_plan(text: str) -> bool:
    """Whether the CSV names a column that only a plan is read from."""
    columns = Table(text, SEAT_COLUMNS | PLAN_COLUMNS).columns
    return not isinstance(columns, str) and not columns.keys().isdisjoint(PLAN_COLUMNS.values())


def read_plan_csv(text: str, types: TicketTypes, seats_max: int) -> LoosePlan:
    """A plan of a CSV."""
    loose = LoosePlan()
    table = Table(text, SEAT_COLUMNS | PLAN_COLUMNS)
    columns = table.columns
    if isinstance(columns, str):
        loose.fault(f"line {table.header_line}", columns)
        return loose
    placed = "x" in columns
    if placed != ("y" in columns) or ("section" in columns and not placed):
        loose.fault(f"line {table.header_line}", "a plan has both columns x and y, or neither of them and no section")
        return loose
    rows: dict[tuple[str, int, str], _Row] = {}
    count, line = 0, table.header_line
    try:
        for line, cells in table.rows():
            if len(loose.faults) >= FAULTS_MAX:
                break
            count += 1
            if count > seats_max:
                loose.fault(f"line {line}", f"an event has {seats_max} seats at most")
                break
            _read_line(line, cells, columns, types, rows, loose)
    except csv.Error as error:
        loose.fault(f"line {line + 1}", f"not readable as CSV: {error}")
    if not loose.faults and not rows:
        loose.fault(f"line {table.header_line}", "there is no seat in it")
    if loose.faults:
        return loose
    numbered = _numbered(list(rows.values()))
    if placed:
        _place(numbered, loose)
    else:
        _place_by_numbers(numbered, types, loose)
    return loose


def _read_line(
    line: int,
    cells: list[str],
    columns: Mapping[str, int],
    types: TicketTypes,
    rows: dict[tuple[str, int, str], _Row],
    loose: LoosePlan,
) -> None:
    said = {name: tidy(cells[index]) if index < len(cells) else "" for name, index in columns.items()}
    where = f"line {line}"
    if "type_id" in said:
        number = number_of(said["type_id"])
        ticket_type_id = number if number in types.names else None
    else:
        ticket_type_id = types.named(said["type"])
    if ticket_type_id is None:
        loose.fault(where, f"there is no ticket type {(said.get('type_id') or said.get('type', ''))[:100]!r}")
        return
    if not said["row"] or not said["seat"]:
        loose.fault(where, "a line names a row and a seat")
        return
    at = None
    if "x" in columns:
        x, y = with_plain_digits(said["x"]), with_plain_digits(said["y"])
        if not (_coordinate(x) and _coordinate(y) and max(int(x), int(y)) <= SIZE_MAX):
            loose.fault(where, f"x and y are whole numbers from 0 to {SIZE_MAX}")
            return
        at = int(x), int(y)
    flags = 0
    for attribute in filter(None, _SPLIT.split(said.get("attributes", ""))):
        flag = _ATTRIBUTES.get(attribute.replace("_", "").replace("-", "").lower())
        if flag is None:
            loose.fault(where, f"{attribute[:40]!r} is none of the attributes {', '.join(FLAGS)}")
            return
        flags |= flag
    section = said.get("section", "")
    key = section, ticket_type_id, said["row"]
    row = rows.get(key)
    if row is None:
        row = rows[key] = _Row(section, ticket_type_id, said["row"], said.get("row_label", ""))
    row.lines.append(_Line(line, said["seat"], said.get("seat_label", ""), flags, at))


def _numbered(rows: list[_Row]) -> list[tuple[_Row, int, list[int]]]:
    """Each row with its number and those of its seats."""
    by_type: dict[int, list[_Row]] = {}
    for row in rows:
        by_type.setdefault(row.ticket_type_id, []).append(row)
    numbers: dict[int, tuple[int, list[int]]] = {}
    for of_type in by_type.values():
        seats = [seat_numbers([line.name for line in row.lines]) for row in of_type]
        found = row_numbers([row.name for row in of_type], seats)
        numbers |= {id(row): (number, of_row) for row, number, of_row in zip(of_type, found, seats, strict=True)}
    return [(row, *numbers[id(row)]) for row in rows]


def _place(rows: list[tuple[_Row, int, list[int]]], loose: LoosePlan) -> None:
    """Sections in the order in which the file names them first."""
    sections: dict[str, LooseSection] = {}
    lines: dict[str, list[list[int]]] = {}
    for row, row_number, numbers in rows:
        name = row.section or "Seats"
        points = [line.at for line in row.lines if line.at is not None]
        order = standing_order(points)
        seats = tuple(
            PlanSeat(numbers[index], *points[index], row.lines[index].flags, _label(row.lines[index], numbers[index]))
            for index in order
        )
        section = sections.setdefault(name, LooseSection(name[: NAME_CHARS_MAX + 1], []))
        section.rows.append(PlanRow(row.ticket_type_id, row_number, _row_label(row, row_number), seats))
        lines.setdefault(name, []).append([row.lines[index].line for index in order])
    loose.sections = list(sections.values())
    loose.paths = CsvPaths(list(lines.values()))


def _place_by_numbers(rows: list[tuple[_Row, int, list[int]]], types: TicketTypes, loose: LoosePlan) -> None:
    """The plan that is made of the seats' numbers, with the file's labels and attributes."""
    by_type: dict[int, dict[int, list[int]]] = {}
    known: dict[tuple[int, int, int], _Line] = {}
    labels: dict[tuple[int, int], str] = {}
    for row, row_number, numbers in rows:
        by_type.setdefault(row.ticket_type_id, {}).setdefault(row_number, []).extend(numbers)
        labels[row.ticket_type_id, row_number] = _row_label(row, row_number)
        for number, line in zip(numbers, row.lines, strict=True):
            other = known.setdefault((row.ticket_type_id, row_number, number), line)
            if other is not line:
                loose.fault(f"line {line.line}", f"this seat stands on line {other.line} already")
    if loose.faults:
        return
    seated = [
        SeatedType(
            number,
            types.names[number],
            types.prices.get(number, 0),
            tuple((row, tuple(sorted(seats))) for row, seats in sorted(of_type.items())),
        )
        for number, of_type in sorted(by_type.items())
    ]
    plan = generate(seated)
    loose.focus, loose.width, loose.height = plan.focus, plan.width, plan.height
    lines: list[list[list[int]]] = []
    for section in plan.sections:
        made = LooseSection(section.name, [], section.outline, section.label_at)
        lines.append([])
        for plain in section.rows:
            keys = [(plain.ticket_type_id, plain.row_number, seat.seat_number) for seat in plain.seats]
            seats = tuple(
                msgspec.structs.replace(seat, flags=known[key].flags, label=_label(known[key], seat.seat_number))
                for seat, key in zip(plain.seats, keys, strict=True)
            )
            label = labels[plain.ticket_type_id, plain.row_number]
            made.rows.append(msgspec.structs.replace(plain, label=label, seats=seats))
            lines[-1].append([known[key].line for key in keys])
        loose.sections.append(made)
    loose.paths = CsvPaths(lines)


def _row_label(row: _Row, row_number: int) -> str:
    return (row.label or row.name)[: LABEL_CHARS_MAX + 1] or str(row_number)


def _label(line: _Line, seat_number: int) -> str:
    return seat_label((line.label or line.name)[: LABEL_CHARS_MAX + 1], seat_number)
