"""What every payment provider can do. Each call may be made again at any time, and then changes nothing more."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol


class Standing(StrEnum):
    """Where a payment stands at its provider. ``open``: it may still be paid. ``pending``: it may still be paid, and
    cannot be closed: only the provider ends it, by itself. ``processing``: the fan has paid, and a bank works on it,
    maybe for days. ``captured``: it was paid. ``closed``: it was declined or cancelled, and is never paid.
    """

    OPEN = "open"
    PENDING = "pending"
    PROCESSING = "processing"
    CAPTURED = "captured"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class PaymentAsk:
    """A payment as a provider is asked for it. ``provider_ref`` is empty until the provider has given it one;
    ``words`` say what is paid for. ``term_hours`` is how long the event waits for methods that are not paid at once; 0:
    it takes none of them.
    """

    event_id: int
    payment_id: uuid.UUID
    amount: int
    currency: str
    provider_ref: str = ""
    words: str = "Tickets"
    term_hours: int = 0


@dataclass(frozen=True, slots=True)
class Opened:
    """A payment that the fan can pay now: ``client_secret`` is for the provider's script in the fan's browser, ``href``
    the provider's own page. One of them is empty, or both with the test provider.
    """

    provider_ref: str
    client_secret: str = ""
    href: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the provider says of a payment; ``amount`` is what it took and ``refunded`` what it gave back."""

    standing: Standing
    amount: int = 0
    currency: str = ""
    refunded: int = 0


@dataclass(frozen=True, slots=True)
class Taken:
    """Money that a provider says it took for a payment of ours; ``refunded`` is what it gave back of it."""

    event_id: int
    payment_id: uuid.UUID
    provider_ref: str
    amount: int
    currency: str
    refunded: int


class ProviderAwayError(Exception):
    """The provider gave no answer, or asks for patience. Whether it did what it was asked is not known."""


class ProviderRefusedError(Exception):
    """The provider refuses, and would again."""


class AlreadySettledError(Exception):
    """The payment is paid, closed, or on its way: nothing else can be opened in its place."""


class Provider(Protocol):
    """A payment provider.

    Raises (every call):
        ProviderAwayError, ProviderRefusedError
    """

    @property
    def name(self) -> str: ...

    async def open(self, ask: PaymentAsk) -> Opened:
        """Let the fan pay. One payment id is one payment, however often it is asked for."""
        ...

    async def open_there(self, ask: PaymentAsk) -> Opened:
        """Let the fan pay the payment, which was opened, on the provider's own page, which needs no script. What was
        opened before cannot be paid any more: of both only one can.

        Raises:
            AlreadySettledError: it was paid, or closed, meanwhile.
        """
        ...

    async def look(self, ask: PaymentAsk) -> Answer:
        """How the payment stands."""
        ...

    async def close(self, ask: PaymentAsk) -> Answer:
        """Let nobody pay it any more, unless it is paid already; how it stands then."""
        ...

    async def refund(self, ask: PaymentAsk, refund_id: uuid.UUID, amount: int) -> str:
        """Pay back a part of what was paid, once for each refund id; the provider's name of it."""
        ...

    def taken(self, since: dt.datetime) -> AsyncIterator[Taken]:
        """Whatever the provider took for payments that it opened since then, the newest first."""
        ...

    async def end(self) -> None:
        """Close the connections."""
        ...
