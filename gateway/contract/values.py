"""Values that bodies and answers share: ids, moments, bounds, and the two base classes."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Any, ClassVar

import msgspec
from msgspec import Meta

from db.booking.charges import AMOUNT_MAX
from db.texts import END, NO_NUL, ONE_LINE
from waiting_room.access import CODE_MAX

ID_MAX = 2**53 - 1

PRICE_MAX = AMOUNT_MAX

INT_MAX = 2**31 - 1

EventId = Annotated[int, Meta(ge=1, le=ID_MAX)]

UserId = Annotated[int, Meta(ge=1, le=ID_MAX)]

TicketTypeId = Annotated[int, Meta(ge=1, le=INT_MAX)]

HALL_NUMBER_MAX = 99_999
"""Of the rows and the seats that operators make."""

HallInt = Annotated[int, Meta(ge=0, le=HALL_NUMBER_MAX)]

SeatInt = Annotated[int, Meta(ge=0, le=INT_MAX)]

Moment = Annotated[dt.datetime, Meta(tz=True)]

CaptchaToken = Annotated[str, Meta(max_length=8192)]

LISTS_MAX = 1000

CURSOR_CHARACTERS_MAX = 400

MONTH = r"^(\d{4}-(0[1-9]|1[0-2]))?" + END
"""The pattern of a month such as 2027-06, or of nothing."""

CURRENCY = "^([A-Z]{3})?" + END
"""The pattern of a currency, or of nothing."""

VoucherCode = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=CODE_MAX,
        description="a voucher's code, however it is typed",
        examples=["7K2M-Q0XD-93HA"],
    ),
]


TimeZone = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=64,
        pattern=ONE_LINE,
        description="the venue's time zone by its IANA name; UTC stands for an unknown one",
        examples=["Europe/Berlin"],
    ),
]


PictureHash = Annotated[
    str,
    Meta(
        pattern="^[0-9a-f]{32}" + END,
        description="a picture's name, as POST /api/ops/pictures gave it",
        examples=["0123456789abcdef0123456789abcdef"],
    ),
]


class RequestBody(msgspec.Struct, rename="camel", forbid_unknown_fields=True, kw_only=True):
    """The base class of bodies, which clients send."""

    EXAMPLES: ClassVar[tuple[dict[str, Any], ...]] = ()
    """Valid bodies that the published description shows as examples."""

    @classmethod
    def complete_schema(cls, schema: dict[str, Any], seats_max: int) -> None:
        """Add the rules that types cannot express to the body's JSON Schema; ``seats_max`` bounds one request."""


class AnswerBody(msgspec.Struct, rename="camel", kw_only=True):
    """The base class of answers, which clients get."""


Why = Annotated[str, Meta(max_length=500, pattern=NO_NUL)]

Revision = Annotated[int, Meta(ge=1, le=ID_MAX)]


class SeatAnswer(AnswerBody, kw_only=True):
    ticket_type_id: int
    row_number: int
    seat_number: int


class Fault(AnswerBody, kw_only=True):
    """What is wrong with a request, and where: a JSON path of the body, or a parameter's name.

    ``line`` is the number of the line of a CSV; line 1 names the columns. ``seats`` are the first hundred seats that
    the fault is about.
    """

    path: str
    message: str
    code: str | msgspec.UnsetType = msgspec.UNSET
    line: int | msgspec.UnsetType = msgspec.UNSET
    seats: tuple[SeatAnswer, ...] | msgspec.UnsetType = msgspec.UNSET


class ProblemAnswer(AnswerBody, kw_only=True):
    """An error (RFC 9457). Some codes add members of their own, for example ``seats`` for ``seats_taken``."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    retry_after_seconds: int | msgspec.UnsetType = msgspec.UNSET
    errors: tuple[Fault, ...] | msgspec.UnsetType = msgspec.UNSET
