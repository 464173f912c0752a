"""Bodies and answers of vouchers: as operators issue them, and as a fan gives one for a hold."""

from __future__ import annotations

import uuid
from typing import Annotated, Any

from msgspec import Meta

from db.booking.results import Breakdown, HeldSeat
from db.events.terms import BASIS_POINTS
from db.texts import ONE_LINE, fault_of_name, tidy
from db.vouchers.vouchers import LABEL_MAX, VOUCHERS_MAX
from gateway.contract.values import (
    LISTS_MAX,
    PRICE_MAX,
    AnswerBody,
    EventId,
    Moment,
    RequestBody,
    TicketTypeId,
    VoucherCode,
    Why,
)
from waiting_room.access import CODE_MAX, NAMED_CODE


class VouchersBody(RequestBody, kw_only=True):
    """Vouchers to issue: ``count`` random ones, or the one given in ``code``. Each is good for ``usesMax`` purchases
    until ``endsAt``. They lower the price of each seat of the named ticket types, or of all, by ``basisPoints``
    (hundredths of a percent) or by ``amount`` minor units, down to 0. The booking fee stays.
    """

    EXAMPLES = (
        {"label": "Half price for students", "basisPoints": 5000, "count": 2},
        {"label": "Friends of the house", "amount": 1000, "code": "FRIENDS-2026", "usesMax": 40, "ticketTypeIds": [1]},
    )

    label: Annotated[str, Meta(min_length=1, max_length=LABEL_MAX, pattern=ONE_LINE)]
    count: Annotated[int, Meta(ge=1, le=VOUCHERS_MAX)] = 1
    code: Annotated[str, Meta(max_length=CODE_MAX, pattern=NAMED_CODE)] | None = None
    uses_max: Annotated[int, Meta(ge=1, le=1_000_000)] = 1
    basis_points: Annotated[int, Meta(ge=0, le=BASIS_POINTS)] = 0
    amount: Annotated[int, Meta(ge=0, le=PRICE_MAX)] = 0
    ticket_type_ids: Annotated[tuple[TicketTypeId, ...], Meta(min_length=1, max_length=LISTS_MAX)] | None = None
    ends_at: Moment | None = None
    why: Why = ""

    def __post_init__(self) -> None:
        fault = fault_of_name(tidy(self.label), LABEL_MAX)
        if fault is not None:
            raise ValueError(f"label: {fault}")
        if self.code is not None and self.count != 1:
            raise ValueError("count is for random vouchers; give either count or code")
        if (self.basis_points > 0) == (self.amount > 0):
            raise ValueError("give either basisPoints or amount, above 0")
        if self.ends_at is not None and not 2000 <= self.ends_at.year < 2200:
            raise ValueError("the year of endsAt must be from 2000 to 2199")

    @classmethod
    def complete_schema(cls, schema: dict[str, Any], seats_max: int) -> None:
        above_0 = {"type": "integer", "minimum": 1}
        none = {"type": "integer", "maximum": 0}
        schema["anyOf"] = [{"properties": {"count": {"const": 1}}}, {"properties": {"code": {"type": "null"}}}]
        schema["oneOf"] = [
            {"required": ["basisPoints"], "properties": {"basisPoints": above_0, "amount": none}},
            {"required": ["amount"], "properties": {"basisPoints": none, "amount": above_0}},
        ]


class VouchersIssued(AnswerBody, kw_only=True):
    """The vouchers just issued. No later answer contains their codes."""

    issue_id: uuid.UUID
    codes: tuple[str, ...]


class VoucherIssueAnswer(AnswerBody, kw_only=True):
    """Vouchers that were issued together: ``vouchers`` is their number, ``usesMax`` for how many purchases each is
    good, ``uses`` how many were made with them in all.
    """

    issue_id: uuid.UUID
    label: str
    vouchers: int
    uses_max: int
    uses: int
    basis_points: int
    amount: int
    ticket_type_ids: tuple[int, ...] | None
    ends_at: Moment | None
    issued_at: Moment
    issued_by: str
    revoked_at: Moment | None
    revoked_by: str | None


class VoucherIssueList(AnswerBody, kw_only=True):
    issues: tuple[VoucherIssueAnswer, ...]


class QuoteBody(RequestBody, kw_only=True):
    """A voucher that the fan wants to buy a hold with."""

    EXAMPLES = ({"eventId": 1, "voucher": "FRIENDS-2026"},)

    event_id: EventId
    voucher: VoucherCode


class Quote(AnswerBody, kw_only=True, omit_defaults=True):
    """What the hold costs with the voucher. Nothing is used up: the checkout counts it, if it is still good then."""

    reservation_id: uuid.UUID
    event_id: int
    total_amount: int
    currency: str
    seats: tuple[HeldSeat, ...]
    breakdown: Breakdown | None = None
