"""Spreadsheets of halls, as people save them; and each bad line told by its number."""

from __future__ import annotations

import pytest

from gateway.programme.hall_csv import FAULTS_MAX, CsvHall, decode, read_hall

NAMES = {"Stalls": 1, "Box, left": 2}
IDS = {1: 1, 2: 2}


def read(text: str, seats_max: int = 1000) -> CsvHall:
    return read_hall(text, NAMES, IDS, seats_max)


@pytest.mark.parametrize(
    "text",
    [
        'ticketType,row,seat\nStalls,1,2\n"Box, left",3,4\n',
        'ticketType,row,seat\r\nStalls,1,2\r\n\r\n"Box, left",3,4',
        "\ufeffticketType;row;seat\nStalls;1;2\nBox, left;3;4\n;;\n",
        "Seat number\tRow number\tPrice band\tTicket_Type\n2\t1\tA\tStalls\n4\t3\tB\tBox, left\n",
        "ticket type id,row,seat\n1,1,2\n2, 3 ,4\n",
        "sep=;\r\nticketType;row;seat\r\nStalls;1;2\r\nBox, left;3;4\r\n",
        '\ufeff"sep=|"\nticketType|row|seat\nStalls|1|2\nBox, left|3|4\n',
        '\n\n,,\nticketType,row,seat\nStalls,1,2\n"Box, left",3,4\n',
        '"Price; in €",ticketType,row,seat\n4,Stalls,1,2\n4,"Box, left",3,4\n',
        '"a\nb";ticketType;row;seat\n"c\nd";Stalls;1;2\n;Box, left;3;4\n',
        "ticket\u00a0type;\u00a0row;seat\u200b\nStalls\u00a0;1\u00a0;\u202f2\n Box,\u00a0left;3;4\n",
        "ticketType;row;seat;note\nStalls;1;2;a\u2028b\x0bc\x85\nBox, left;3;4;\x1c\n",
        'ticketType,row,seat\rStalls,1,2\r"Box, left",3,4\r',
        "\r\n\r\nsep=;\r\nticketType;row;seat\r\nStalls;1;2\r\nBox, left;3;4\r\n",
        'sep=,,,\nticketType,row,seat\nStalls,1,2\n"Box, left",3,4\n',
    ],
    ids=[
        "commas",
        "quoted and empty lines",
        "semicolons and a mark",
        "tabs and other columns",
        "ids",
        "sep",
        "quoted sep",
        "empty first lines",
        "quoted separator in the header",
        "fields of two lines",
        "no-break spaces",
        "odd line ends in a field",
        "returns alone",
        "empty lines before sep",
        "sep in a file that was saved again",
    ],
)
def test_seats_are_read(text: str) -> None:
    hall = read(text)
    assert hall.faults == []
    assert hall.seats == {1: [(1, 2)], 2: [(3, 4)]}


def test_a_space_may_stand_between_thousands() -> None:
    hall = read("ticketType;row;seat\nStalls;1\u00a0000;12\u202f345\n")
    assert (hall.faults, hall.seats) == ([], {1: [(1000, 12345)]})


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("", 1, "names the columns"),
        ("row,seat\n1,1\n", 1, "names the columns"),
        ("ticketType,row,seat\nStalls,1\n", 2, "2 columns"),
        ("ticketType,row,seat\nStalls,1,1\nStals,1,2\n", 3, "no ticket type 'Stals'"),
        ("ticketTypeId,row,seat\n3,1,1\n", 2, "no ticket type '3'"),
        ("ticketTypeId,row,seat\nStalls,1,1\n", 2, "no ticket type 'Stalls'"),
        ("ticketType,row,seat\nStalls,A,1\n", 2, "the row is a whole number"),
        ("ticketType,row,seat\nStalls,1,-1\n", 2, "the seat is a whole number"),
        ("ticketType,row,seat\nStalls,1,1.0\n", 2, "the seat is a whole number"),
        ("ticketType,row,seat\nStalls,1,100000\n", 2, "at most 99999"),
        ("ticketType,row,seat\nStalls,1,\u0661\n", 2, "the seat is a whole number"),
        ("ticketType,row,seat\n\nStalls,1,1\n\nStalls,01,1\n", 5, "on line 3 already"),
        ("\n\nsep=;\n\nticketType;row;seat\nStalls;1;1\n\nStals;1;2\n", 8, "no ticket type 'Stals'"),
        ("ticketType;row;seat\nStalls;1.5;1\n", 2, "whole number"),
        ("ticketType;row;seat\nStalls;1000 000;1\n", 2, "whole number"),
        ("sep=;\n\nticketType;row;seat\nStalls;1;1\n\nStals;1;2\n", 6, "no ticket type 'Stals'"),
        ('ticketType,row,seat,note\nStalls,1,1,"a\nb"\nStals,1,2,\n', 4, "no ticket type 'Stals'"),
        ("ticketType,row,seat,note\nStalls,1,1,a\u2028b\nStals,1,2,\n", 3, "no ticket type 'Stals'"),
        ('ticketType,row,seat\n"' + "x" * 200_000 + '"\n', 2, "not readable"),
    ],
)
def test_a_bad_line_is_told_by_its_number(text: str, line: int, words: str) -> None:
    (fault,) = read(text).faults
    assert fault[0] == line
    assert words in fault[1]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_a_file_is_read_in_the_encoding_that_a_spreadsheet_saves(encoding: str) -> None:
    text = "ticketType;row;seat\nLoge für vier;1;1\n"
    content = text.encode(encoding)
    assert decode(content).removeprefix("\ufeff") == text
    assert decode(b"\xfe\xff" + text.encode("utf-16-be")).removeprefix("\ufeff") == text


def test_faults_and_seats_are_bounded() -> None:
    assert len(read("ticketType,row,seat\n" + "bad,1,1\n" * 500).faults) == FAULTS_MAX
    many = read("ticketType,row,seat\n" + "".join(f"Stalls,1,{seat}\n" for seat in range(20)), seats_max=10)
    assert many.faults == [(12, "an event has 10 seats at most")]
