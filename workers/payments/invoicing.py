"""Writes invoices beside the cashier's other work, on a connection of its own: no payment or booking waits for it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Final

import psycopg

from db.connections import primary
from db.invoices.settings import InvoiceSettings
from db.invoices.writing import write_due

logger = logging.getLogger(__name__)

LOOK_SECONDS: Final = 1.0
AWAY_PAUSE_SECONDS: Final = 5.0
ROWS_MAX: Final = 200
CONNECT_SECONDS: Final = 3
_SESSION: Final = {"timezone": "UTC", "statement_timeout": 10_000}


class Invoicing:
    """Args:
    probe: called at ``pay_numbered``, so that tests can inject faults there.
    """

    def __init__(
        self, database_url: str, settings: InvoiceSettings, probe: Callable[[str], None] = lambda point: None
    ) -> None:
        self._database_url = database_url
        self._settings = settings
        self._probe = probe
        self._told: set[str] = set()

    async def run(self) -> None:
        """Write what is due each second, until the task is cancelled."""
        while True:
            try:
                await self._work()
            except (psycopg.Error, OSError) as error:
                logger.warning("invoices wait for Postgres: %s", error)
            except Exception:
                logger.exception("invoices are written later")
            await asyncio.sleep(AWAY_PAUSE_SECONDS)

    async def _work(self) -> None:
        connection = await primary.connect_async(
            self._database_url, "admitone-invoices", connect_seconds=CONNECT_SECONDS, session=_SESSION
        )
        async with connection:
            while True:
                written = await write_due(connection, self._settings, rows_max=ROWS_MAX, probe=self._probe)
                for fault in written.faults:
                    if fault not in self._told:
                        self._told.add(fault)
                        logger.error("no credit note is written: %s", fault)
                if written.documents < ROWS_MAX:
                    await asyncio.sleep(LOOK_SECONDS)
