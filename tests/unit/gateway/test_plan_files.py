"""Hall plans from files: our JSON, spreadsheets, and pretix' format; each fault is told by where it stands."""

from __future__ import annotations

import math
from typing import Any

import msgspec
import pytest

from db.plans.adjacency import runs
from db.plans.checking import LABEL_CHARS_MAX
from db.plans.model import SECTION_SEATS_MAX, HallPlan, SeatFlag
from gateway.contract.plans import PlanBody
from gateway.programme.plan_csv import has_plan, read_plan_csv
from gateway.programme.plan_drafts import PlanDraft, TicketTypes, contract_faults, document, draft, read_body
from gateway.programme.pretix_plans import PretixPlan, read_pretix
from gateway.programme.row_numbers import row_numbers, seat_numbers

TYPES = {1: "Stalls", 2: "Balcony"}
SEATS_MAX = 1000
ROW = "$.sections[0].rows[0]"


def of_body(body: dict[str, Any], types: dict[int, str] = TYPES) -> PlanDraft:
    return draft(read_body(msgspec.convert(body, PlanBody), TicketTypes(types)))


def of_csv(text: str) -> PlanDraft:
    return draft(read_plan_csv(text, TicketTypes(TYPES), SEATS_MAX))


def of_pretix(content: dict[str, Any], types: TicketTypes | None = None) -> PlanDraft:
    return draft(read_pretix(msgspec.convert(content, PretixPlan), types or TicketTypes(TYPES)))


def plan_of(drafted: PlanDraft) -> HallPlan:
    assert drafted.plan is not None, drafted.faults
    return drafted.plan


def faults_of(drafted: PlanDraft) -> list[tuple[str, str]]:
    assert drafted.plan is None
    return [(fault.path, fault.message) for fault in drafted.faults]


def seat(number: int, x: int, y: int = 200, **further: Any) -> dict[str, Any]:
    return {"seatNumber": number, "x": x, "y": y, **further}


def body(*rows: dict[str, Any], **further: Any) -> dict[str, Any]:
    return {"sections": [{"name": "Left", "rows": list(rows)}], **further}


def row(*seats: dict[str, Any], number: int = 1, type_: int = 1, **further: Any) -> dict[str, Any]:
    return {"ticketTypeId": type_, "rowNumber": number, "seats": list(seats), **further}


def test_a_plan_of_our_own_is_completed() -> None:
    sent = row(seat(1, 40), seat(2, 50, label="2b", attributes=["accessible", "restrictedView"]), label="AA")
    plan = plan_of(of_body(body(sent)))
    section = plan.sections[0]
    assert section.rows[0].label == "AA"
    first, second = section.rows[0].seats
    assert (first.label, first.flags) == ("", 0)
    assert (second.label, SeatFlag(second.flags)) == ("2b", SeatFlag.ACCESSIBLE | SeatFlag.RESTRICTED_VIEW)
    assert len(section.outline) >= 4
    assert plan.focus.kind == "stage"
    assert plan.focus.at[1] < first.y
    assert plan.width > 50


def test_a_stored_plan_can_be_sent_back_as_it_is() -> None:
    plan = plan_of(of_body(body(row(seat(1, 40, label="1c", attributes=["aisle"])), row(seat(1, 40, 212), number=2))))
    again = of_body(msgspec.to_builtins(document(plan)))
    assert again.plan == plan
    named = msgspec.to_builtins(document(plan, TYPES.__getitem__))
    assert named["sections"][0]["rows"][0]["ticketType"] == "Stalls"
    assert of_body(named).plan == plan


@pytest.mark.parametrize(
    ("sent", "path", "said"),
    [
        (body(row(seat(1, 40), seat(1, 50))), f"{ROW}.seats[1]", f"stands at {ROW}.seats[0]"),
        (body(row(seat(1, 40), seat(2, 40))), f"{ROW}.seats[1]", "in the same place"),
        (body(row(seat(1, 40)), width=30, height=300), f"{ROW}.seats[0]", "outside of the plan"),
        (body(row(seat(1, 40), label="A" * 19 + "\u0958")), f"{ROW}.label", "characters at most"),
        ({"sections": [{"name": " ", "rows": [row(seat(1, 40))]}]}, "$.sections[0].name", "can be seen"),
        (
            {"sections": [{"name": "A", "outline": [[0, 0], [9, 9]], "rows": [row(seat(1, 40))]}]},
            "$.sections[0].outline",
            "3 to",
        ),
        (body({"rowNumber": 1, "seats": [seat(1, 40)]}), ROW, "either by ticketTypeId"),
        (body({"ticketType": "Pit", "rowNumber": 1, "seats": [seat(1, 40)]}), f"{ROW}.ticketType", "'Pit'"),
        (
            body(row(seat(1, 40)), focus={"outline": [[0, 0], [9, 0], [90_000, 9]]}, width=500, height=500),
            "$.focus.outline[2]",
            "outside",
        ),
        (body(row(seat(1, 40)), shapes=[{"outline": [[1, 1]]}]), "$.shapes[0].outline", "3 to"),
    ],
)  # fmt: skip
def test_a_fault_is_told_by_its_path(sent: dict[str, Any], path: str, said: str) -> None:
    found = faults_of(of_body(sent))
    assert found[0][0] == path
    assert said in found[0][1]


def test_a_plan_that_is_read_for_no_event_names_its_ticket_types() -> None:
    sent = msgspec.convert(body(row(seat(1, 40))), PlanBody)
    found = faults_of(draft(read_body(sent, TicketTypes({}, grows=True))))
    assert found == [(f"{ROW}.ticketTypeId", "a plan that is read for no event names its ticket types by ticketType")]


def test_a_section_is_not_too_large() -> None:
    rows = [row(*(seat(n, 10 * n, 200 + 12 * r) for n in range(1, 82)), number=r) for r in range(1, 52)]
    assert f"1 to {SECTION_SEATS_MAX} seats, and this one 4131" in faults_of(of_body(body(*rows)))[0][1]


def test_outlines_take_so_much_in_all() -> None:
    outline = [[x, 99_999] for x in range(10_000, 10_200)]
    sections = [{"name": f"S{n}", "outline": outline, "rows": [row(seat(n, 10 * n))]} for n in range(1, 60)]
    assert "use fewer corners" in faults_of(of_body({"sections": sections}))[-1][1]


PLACED = """section;ticketType;row;seat;label;x;y;attributes
Left;Stalls;AA;1;;100;200;accessible, aisle
Left;Stalls;AA;2;2b;110;200;companion
Left;Stalls;AB;1;;100;212;
Right;Balcony;1;7;;300;200;restricted-view
"""


def test_a_spreadsheet_has_positions_labels_and_attributes() -> None:
    plan = plan_of(of_csv(PLACED))
    assert [(section.name, [row.label for row in section.rows]) for section in plan.sections] == [
        ("Left", ["AA", "AB"]), ("Right", ["1"]),
    ]  # fmt: skip
    assert set(plan.seats()) == {(1, 1, 1), (1, 1, 2), (1, 2, 1), (2, 1, 7)}
    first, second = plan.sections[0].rows[0].seats
    assert SeatFlag(first.flags) == SeatFlag.ACCESSIBLE | SeatFlag.AISLE
    assert (second.label, SeatFlag(second.flags)) == ("2b", SeatFlag.COMPANION)
    assert second.x - first.x == 10


def test_a_spreadsheet_without_positions_labels_the_plan_that_is_made() -> None:
    plan = plan_of(of_csv("ticketType,row,seat,rowLabel,attributes\nStalls,1,1,Front,\nStalls,1,3,Front,accessible\n"))
    (row_,) = plan.sections[0].rows
    assert (row_.label, row_.row_number, [seat.seat_number for seat in row_.seats]) == ("Front", 1, [1, 3])
    assert [seat.flags for seat in row_.seats] == [0, SeatFlag.ACCESSIBLE]


@pytest.mark.parametrize(
    ("text", "path", "said"),
    [
        ("row,seat,x\n", "line 1", "names the columns"),
        ("ticketType,row,seat,x\nStalls,1,1,5\n", "line 1", "both columns x and y"),
        ("ticketType,row,seat,section\nStalls,1,1,Left\n", "line 1", "both columns x and y"),
        ("ticketType,row,seat,x,y\nStalls,1,1,5,-4\n", "line 2", "whole numbers from 0"),
        ("ticketType,row,seat,x,y\nStalls,1,1,5,4\nPit,1,2,6,4\n", "line 3", "no ticket type 'Pit'"),
        ("ticketType,row,seat,attributes\nStalls,1,1,blue\n", "line 2", "none of the attributes accessible"),
        ("ticketType,row,seat,x,y\nStalls,1,1,5,4\nStalls,1,2,5,4\n", "line 3", "the same place"),
        ("ticketType,row,seat,rowLabel\nStalls,1,1,a\nStalls,1,1,a\n", "line 2", ""),
        (f"ticketType,row,seat,rowLabel\nStalls,1,1,{'A' * (LABEL_CHARS_MAX + 1)}\n", "line 2", "characters at most"),
        ("ticketType,row,seat,rowLabel\n", "line 1", "no seat in it"),
        ("ticketType,row,seat,rowLabel\nStalls,,1,\n", "line 2", "a row and a seat"),
    ],
)
def test_a_fault_of_a_spreadsheet_is_told_by_its_line(text: str, path: str, said: str) -> None:
    drafted = of_csv(text)
    if said:
        (fault, *_) = contract_faults(drafted.faults)
        assert (fault.path, f"line {fault.line}") == ("$", path)
        assert said in faults_of(drafted)[0][1]
    else:
        # Two lines name one seat: they are two seats of the row by their order.
        assert [seat.label for seat in plan_of(drafted).sections[0].rows[0].seats] == ["", "1"]


def test_only_columns_of_a_plan_make_a_plan() -> None:
    assert has_plan("ticketType,row,seat,Row Label\n")
    assert not has_plan("ticketType,row,seat,remark\n")


def pretix_seat(number: str, x: float, category: str = "Stalls", **further: Any) -> dict[str, Any]:
    return {"seat_guid": number, "seat_number": number, "position": {"x": x, "y": 0.5}, "category": category, **further}


def pretix(*zones: dict[str, Any], categories: tuple[str, ...] = ("Stalls", "Balcony")) -> dict[str, Any]:
    return {
        "name": "Our test hall",
        "categories": [{"name": name, "color": "#123456"} for name in categories],
        "zones": list(zones),
        "size": {"width": 800, "height": 600},
    }


def zone(name: str, *rows: dict[str, Any], x: float = 0, y: float = 0, areas: Any = ()) -> dict[str, Any]:
    return {"name": name, "position": {"x": x, "y": y}, "rows": list(rows), "areas": list(areas), "uuid": "u"}


def pretix_row(name: str, y: float, *seats: dict[str, Any]) -> dict[str, Any]:
    return {"row_number": name, "row_number_position": "both", "position": {"x": 7, "y": y}, "seats": list(seats)}


def test_a_plan_of_pretix_becomes_sections_rows_and_seats() -> None:
    stage = {"shape": "rectangle", "rectangle": {"width": 300, "height": 60}, "position": {"x": 0, "y": 0},
             "rotation": 0, "color": "#ddd", "text": {"text": "Die Bühne", "position": {"x": 9, "y": 9}}}  # fmt: skip
    bar = {"shape": "circle", "circle": {"radius": 20}, "position": {"x": 400, "y": 300}, "text": {"text": "Bar",
           "position": {"x": 0, "y": 0}}}  # fmt: skip
    turned = {"shape": "rectangle", "rectangle": {"width": 100, "height": 50}, "position": {"x": 500, "y": 300},
              "rotation": 90}  # fmt: skip
    main = zone(
        "Main",
        pretix_row("A", 0, pretix_seat("1", 0), pretix_seat("2", 25), pretix_seat("3", 100)),
        pretix_row(
            "B", 30, pretix_seat("4", 75), pretix_seat("1", 0), pretix_seat("2", 25), pretix_seat("3", 50, "Balcony")
        ),
        y=100,
    )
    plan = plan_of(of_pretix(pretix(main, zone("Scenery", areas=[stage, bar, turned]))))
    assert [section.name for section in plan.sections] == ["Main"]
    assert [(row.ticket_type_id, row.row_number, row.label) for row in plan.sections[0].rows] == [
        (1, 1, "A"), (1, 2, "B"), (2, 1, "B"),
    ]  # fmt: skip
    row_a, row_b, _ = plan.sections[0].rows
    assert [seat.x - row_a.seats[0].x for seat in row_a.seats] == [0, 10, 40]
    assert [seat.seat_number for seat in row_b.seats] == [1, 2, 4]
    assert row_b.seats[0].y - row_a.seats[0].y == 12
    assert (plan.focus.label, plan.focus.kind) == ("Die Bühne", "stage")
    assert [shape.label for shape in plan.shapes] == ["Bar", ""]
    assert len(plan.shapes[0].outline) == 24
    (x1, y1), (x2, y2) = plan.shapes[1].outline[:2]
    assert (x2 - x1, y2 - y1) == (0, 40)


def test_the_older_format_of_pretix_is_read_too() -> None:
    old = {
        "name": "Old",
        "categories": [{"name": "Stalls"}],
        "zones": [
            {
                "position": {"x": 0, "y": 0},
                "displayed": True,
                "rows": [{"row_number": "0", "seats": [pretix_seat("0-0", 0), pretix_seat("0-1", 30)]}],
                "areas": [{"width": 90, "height": 20, "position": {"x": 0, "y": 50}, "text": "Screen"}],
            }
        ],
    }
    plan = plan_of(of_pretix(old))
    assert plan.sections[0].name == "Section 1"
    (row_,) = plan.sections[0].rows
    assert [(seat.seat_number, seat.label) for seat in row_.seats] == [(1, "0-0"), (2, "0-1")]
    assert plan.focus.kind == "screen"


def test_a_category_of_pretix_is_a_ticket_type_of_that_name() -> None:
    content = pretix(
        zone("Main", pretix_row("1", 0, pretix_seat("1", 0), pretix_seat("2", 25, "Pit"))),
        categories=("Stalls", "Pit", "Unused"),
    )
    assert faults_of(of_pretix(content)) == [
        ("$.categories[1].name", "the event has no ticket type 'Pit'"),
        ("$.zones[0].rows[0].seats[1].category", "there is no category 'Pit'"),
    ]
    types = TicketTypes({}, grows=True)
    assert len(list(plan_of(of_pretix(content, types)).seats())) == 2
    assert types.names == {1: "Stalls", 2: "Pit"}


def test_a_fault_in_a_plan_of_pretix_is_told_by_its_path_there() -> None:
    content = pretix(zone("Empty"), zone("Main", pretix_row("1", 0, pretix_seat("1", 25), pretix_seat("2", 25))))
    assert faults_of(of_pretix(content))[0][0] == "$.zones[1].rows[0].seats[1]"


def test_a_large_zone_of_pretix_is_cut() -> None:
    rows = [pretix_row(str(r), 30 * r, *(pretix_seat(str(n), 25 * n) for n in range(100))) for r in range(41)]
    plan = plan_of(of_pretix(pretix(zone("Main", *rows))))
    assert [(section.name, section.quantity) for section in plan.sections] == [("Main 1", 4000), ("Main 2", 100)]


def test_rows_keep_their_numbers_where_they_can() -> None:
    assert row_numbers(["3", "7"], [[1, 2], [1, 2]]) == [3, 7]
    assert row_numbers(["3", "3"], [[1, 2], [3, 4]]) == [3, 3]
    assert row_numbers(["3", "3"], [[1, 2], [2, 3]]) == [1, 2]
    assert row_numbers(["A", "B", "1"], [[1], [1], [1]]) == [1, 2, 3]
    assert seat_numbers(["5", "3", "٧"]) == [5, 3, 7]
    assert seat_numbers(["5", "5"]) == [1, 2]
    assert seat_numbers(["100000", "2"]) == [1, 2]


def test_seats_around_a_table_stand_down_one_side_and_up_the_other() -> None:
    seats = [pretix_seat(str(n), 60 * ((n - 1) % 2)) for n in range(1, 9)]
    for index, one in enumerate(seats):
        one["position"]["y"] = 25 * (index // 2)
    (row_,) = plan_of(of_pretix(pretix(zone("Beer garden", pretix_row("12", 0, *seats))))).sections[0].rows
    assert [seat.seat_number for seat in row_.seats] == [1, 3, 5, 7, 8, 6, 4, 2]
    assert [len(part) for part in runs(row_.seats)] == [4, 4]


def test_a_row_that_is_more_than_half_a_circle_stands_as_it_is_named() -> None:
    seats = []
    for n in range(40):
        one = pretix_seat(str(n + 1), 0)
        one["position"] = {"x": 200 * math.cos(n * 0.125), "y": 200 * math.sin(n * 0.125)}
        seats.append(one)
    (row_,) = plan_of(of_pretix(pretix(zone("Arena", pretix_row("1", 0, *seats))))).sections[0].rows
    assert [seat.seat_number for seat in row_.seats] == list(range(1, 41))
    (shuffled,) = (
        plan_of(of_pretix(pretix(zone("Arena", pretix_row("1", 0, *seats[::2], *seats[1::2]))))).sections[0].rows
    )
    assert [len(part) for part in runs(shuffled.seats)] == [40]
