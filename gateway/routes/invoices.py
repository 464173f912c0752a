"""Invoices for the venue's office: of one order as a PDF, all of an event as a spreadsheet, and who sells."""

from __future__ import annotations

import csv
import io
import uuid
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Annotated, Final

from litestar import Response
from litestar.params import Parameter
from litestar.response import Stream

from db.currencies import minor_digits
from db.invoices.model import Seller, taxes_of
from db.invoices.reading import InvoiceRow
from db.operators.roles import OWNER, STEWARD
from gateway.contract.invoices import SellerAnswer, SellerBody
from gateway.contract.values import ID_MAX
from gateway.identity.needs import at_event
from gateway.identity.sessions import Session
from gateway.routes.routers import operator_router
from gateway.services import Services, network, services_of
from gateway.wire.requests import AnyRequest
from gateway.wire.spreadsheets import cell

operators = operator_router("invoices")

PathEvent = Annotated[int, Parameter(ge=1, le=ID_MAX, description="event id")]
PathPurchase = Annotated[uuid.UUID, Parameter(description="the order's purchaseId")]
REFUSED: Final = ("invalid_request", "unknown_event")
COLUMNS: Final = (
    "number", "kind", "corrects", "madeAt", "orderCode", "payer", "taxPercent", "net", "tax", "amount", "currency",
)  # fmt: skip


@operators.get(
    "/api/ops/events/{event_id:int}/orders/{purchase_id:uuid}/invoice.pdf",
    refuses=(*REFUSED, "no_invoice", "rate_limited"),
    needs=at_event(STEWARD),
    media_type="application/pdf",
)
async def of_order(request: AnyRequest, event_id: PathEvent, purchase_id: PathPurchase) -> Response[bytes]:
    """The invoice of an order with its credit notes, as its fan sees it. It comes seconds after the payment."""
    content = await services_of(request).invoices.pdf(event_id, purchase_id, network(request))
    headers = {"Content-Disposition": f'attachment; filename="invoice-{purchase_id}.pdf"', "Cache-Control": "no-store"}
    return Response(content, media_type="application/pdf", headers=headers)


@operators.get(
    "/api/ops/events/{event_id:int}/invoices.csv", refuses=REFUSED, needs=at_event(OWNER), media_type="text/csv"
)
async def as_csv(request: AnyRequest, event_id: PathEvent) -> Stream:
    """All invoices and credit notes of an event as a CSV: a line for each rate of tax, with amounts in the currency's
    major unit. Those of credit notes are negative.
    """
    services = services_of(request)
    await services.hall_access.to_read(request, event_id)
    return Stream(
        _spreadsheet(services, event_id),
        media_type="text/csv",
        headers={
            "Content-Disposition": f'attachment; filename="invoices-{event_id}.csv"',
            "Cache-Control": "no-store",
        },
    )


async def _spreadsheet(services: Services, event_id: int) -> AsyncIterator[str]:
    yield _lines([[*COLUMNS]])
    async for rows in services.invoices.pages(event_id):
        yield _lines([line for row in rows for line in _cells(row)])


def _lines(rows: list[list[str]]) -> str:
    text = io.StringIO(newline="")
    csv.writer(text).writerows(rows)
    return text.getvalue()


def _cells(row: InvoiceRow) -> list[list[str]]:
    digits, sign = minor_digits(row.currency), -1 if row.of_code else 1

    def major(amount: int) -> str:
        return str(Decimal(sign * amount).scaleb(-digits))

    said = [row.code, str(row.kind), row.of_code or "", row.made_at.isoformat(), row.content.order_code, row.payer.name]
    return [
        [
            *map(cell, said),
            str(Decimal(tax.tax_basis_points) / 100),
            major(tax.net),
            major(tax.tax),
            major(tax.amount),
            row.currency,
        ]
        for tax in taxes_of(row.content.lines)
    ]


@operators.get("/api/ops/events/{event_id:int}/seller", refuses=REFUSED, needs=at_event(STEWARD))
async def seller(request: AnyRequest, event_id: PathEvent) -> SellerAnswer:
    """Who sells the event, as its invoices say, where that is not the site."""
    return _seller(event_id, await services_of(request).invoices.seller(event_id))


@operators.put(
    "/api/ops/events/{event_id:int}/seller",
    refuses=(*REFUSED, "body_too_large", "unsupported_media_type"),
    needs=at_event(OWNER),
)
async def set_seller(request: AnyRequest, operator: Session, event_id: PathEvent, data: SellerBody) -> SellerAnswer:
    """Set who sells the event. It holds for the invoices to come; those of before stay as they are."""
    invoices = services_of(request).invoices
    await invoices.set_seller(event_id, data, operator.name)
    return _seller(event_id, await invoices.seller(event_id))


def _seller(event_id: int, found: Seller | None) -> SellerAnswer:
    named = found or Seller(name="")
    return SellerAnswer(
        event_id=event_id,
        name=named.name,
        address=named.address,
        tax_id=named.tax_id,
        note=named.note,
        series=named.series,
        credit_series=named.credit_series,
    )


ROUTERS = (operators,)
