"""Invoices as their fan and the venue's office see them; the cashier writes them."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Sequence
from typing import Final

from sqlalchemy.ext.asyncio import AsyncEngine

from db.invoices import reading as db
from db.invoices import sellers
from db.invoices.model import Seller
from db.invoices.reading import InvoiceRow
from db.invoices.sellers import NoSuchEventError
from db.invoices.settings import SELLER_CHARS_MAX
from db.texts import fault_of_name, tidy
from gateway.contract.invoices import SellerBody
from gateway.identity.limits import RateLimits
from gateway.wire.problems import ProblemError, invalid
from messages.invoice_pdf import invoices_pdf
from messages.look import Look

CSV_PAGE: Final = 1000
CSV_INVOICES_MAX: Final = 400_000


class Invoices:
    """Reads invoices, and sets who sells an event.

    Args:
        making_pdf: is held while a PDF is made, which takes a processor.
        font: the file of a font that comes first in PDFs; empty: those of the system.
        pdfs_per_minute: how many one network may ask for in a minute.
    """

    def __init__(
        self,
        engine: AsyncEngine,
        limits: RateLimits,
        look: Look,
        making_pdf: asyncio.Semaphore,
        *,
        font: str,
        pdfs_per_minute: int,
    ) -> None:
        self._engine = engine
        self._limits = limits
        self._look = look
        self._making_pdf = making_pdf
        self._font = font
        self._pdfs_per_minute = pdfs_per_minute

    async def of(self, event_id: int, purchase_id: uuid.UUID) -> list[InvoiceRow]:
        """The invoice of a purchase, and then its credit notes."""
        async with self._engine.connect() as connection:
            return await db.invoices_of(connection, event_id, purchase_id)

    async def codes(self, event_id: int, purchase_ids: Sequence[uuid.UUID]) -> dict[uuid.UUID, list[str]]:
        """The numbers of the invoices and credit notes of some purchases."""
        async with self._engine.connect() as connection:
            return await db.codes_of(connection, event_id, [*purchase_ids])

    async def pdf(self, event_id: int, purchase_id: uuid.UUID, network: str) -> bytes:
        """The invoice of a purchase with its credit notes.

        Raises:
            ProblemError: ``no_invoice`` or ``rate_limited``.
        """
        await self._limits.count("pdf", network, self._pdfs_per_minute)
        found = await self.of(event_id, purchase_id)
        if not found:
            raise ProblemError("no_invoice")
        async with self._making_pdf:
            content = await asyncio.to_thread(invoices_pdf, found, self._look, self._font)
        if content is None:
            raise ProblemError("no_invoice", "No font of this site has the letters of this invoice.")
        return content

    async def seller(self, event_id: int) -> Seller | None:
        """The event's own seller; None where the site sells.

        Raises:
            ProblemError: ``unknown_event``.
        """
        try:
            async with self._engine.connect() as connection:
                return await sellers.seller_of(connection, event_id)
        except NoSuchEventError:
            raise ProblemError("unknown_event") from None

    async def set_seller(self, event_id: int, body: SellerBody, operator: str) -> None:
        """Set who sells the event, for the invoices to come.

        Raises:
            ProblemError: ``unknown_event`` or ``invalid_request``.
        """
        name = tidy(body.name)
        if name and (fault := fault_of_name(name, SELLER_CHARS_MAX)):
            raise invalid(fault, "$.name")
        seller = Seller(
            name=name,
            address=tidy(body.address),
            tax_id=tidy(body.tax_id),
            note=tidy(body.note),
            series=body.series,
            credit_series=body.credit_series,
        )
        try:
            async with self._engine.begin() as connection:
                await sellers.set_seller(connection, event_id, seller if name else None, operator, body.why)
        except NoSuchEventError:
            raise ProblemError("unknown_event") from None

    async def pages(self, event_id: int) -> AsyncIterator[list[InvoiceRow]]:
        """All invoices and credit notes of an event as they were made, up to `CSV_INVOICES_MAX`, a page at a time."""
        after: InvoiceRow | None = None
        for _ in range(CSV_INVOICES_MAX // CSV_PAGE):
            async with self._engine.connect() as connection:
                rows = await db.invoices_of_event(connection, event_id, after, CSV_PAGE)
            if rows:
                yield rows
            if len(rows) < CSV_PAGE:
                return
            after = rows[-1]
