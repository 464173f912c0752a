"""What an event has taken, for its operators: as JSON, and as a spreadsheet."""

from __future__ import annotations

import csv
import io
from decimal import Decimal
from typing import Annotated, Final

from litestar import Response
from litestar.params import Parameter

from db.booking.takings import TakingsRow, takings
from db.currencies import minor_digits
from db.operators.roles import VIEWER
from gateway.contract.takings import Takings, TakingsLine
from gateway.contract.values import ID_MAX
from gateway.identity.needs import at_event
from gateway.routes.routers import operator_router
from gateway.services import services_of
from gateway.wire.requests import AnyRequest
from gateway.wire.spreadsheets import cell

operators = operator_router("takings")

PathEvent = Annotated[int, Parameter(ge=1, le=ID_MAX, description="event id")]
REFUSED: Final = ("invalid_request", "unknown_event")
COLUMNS: Final = (
    "ticketTypeId", "ticketType", "taxPercent", "taxIncluded", "seats", "prices", "discounts", "fees", "tax", "amount",
    "cancelledSeats", "cancelledAmount", "currency", "complimentarySeats",
)  # fmt: skip


@operators.get("/api/ops/events/{event_id:int}/takings", refuses=REFUSED, needs=at_event(VIEWER))
async def of_event(request: AnyRequest, event_id: PathEvent) -> Takings:
    """What was charged at each sale, by ticket type and rate of tax. Nothing is computed by the prices of today."""
    currency, rows = await _read(request, event_id)
    return Takings(
        event_id=event_id,
        currency=currency,
        seats=sum(row.seats for row in rows),
        amount=sum(row.amount for row in rows),
        tax=sum(row.tax for row in rows),
        lines=tuple(TakingsLine(**row._asdict()) for row in rows),
    )


@operators.get(
    "/api/ops/events/{event_id:int}/takings.csv", refuses=REFUSED, needs=at_event(VIEWER), media_type="text/csv"
)
async def as_csv(request: AnyRequest, event_id: PathEvent) -> Response[str]:
    """The same as a CSV, with amounts in the currency's major unit."""
    currency, rows = await _read(request, event_id)
    return Response(
        spreadsheet(rows, currency),
        media_type="text/csv",
        headers={"Content-Disposition": f'attachment; filename="takings-{event_id}.csv"', "Cache-Control": "no-store"},
    )


async def _read(request: AnyRequest, event_id: int) -> tuple[str, list[TakingsRow]]:
    services = services_of(request)
    hall = await services.hall_access.to_read(request, event_id)
    async with services.engine.connect() as connection:
        return hall.event.currency, await takings(connection, event_id)


def spreadsheet(rows: list[TakingsRow], currency: str) -> str:
    """The rows under their columns' names. No name of a ticket type is taken for a formula."""

    def major(amount: int) -> str:
        return str(Decimal(amount).scaleb(-minor_digits(currency)))

    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    for row in rows:
        name = cell(row.ticket_type)
        writer.writerow(
            [
                row.ticket_type_id,
                name,
                Decimal(row.tax_basis_points) / 100,
                str(row.tax_included).lower(),
                row.seats,
                *[major(amount) for amount in (row.prices, row.discounts, row.fees, row.tax, row.amount)],
                row.cancelled_seats,
                major(row.cancelled_amount),
                currency,
                row.complimentary_seats,
            ]
        )
    return text.getvalue()


ROUTERS = (operators,)
