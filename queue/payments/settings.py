"""Settings of payments: the providers of this site, and how patiently they are asked."""

from __future__ import annotations

from typing import Annotated, Final

from db.payments.states import PROVIDERS
from db.settings import Section, bounded, setting

KNOWN: Final = frozenset(PROVIDERS) - {""}


class PaymentSettings(Section, frozen=True, kw_only=True):
    """A payment process runs where there is a provider. The n-th retry of a call comes ``retry_first_seconds`` times
    two to the n-1 after it, ``retry_seconds_max`` at most.
    """

    providers: Annotated[str, setting("providers that events may take payments by: test; empty: none is asked")] = ""
    call_seconds: Annotated[float, bounded("a call of a provider", 0.1, 60)] = 10
    again_seconds: Annotated[
        float, bounded("what came of a payment is told its lane again, if that did not carry it out by then", 0.1, 60)
    ] = 5
    at_once_max: Annotated[int, bounded("calls of providers under way, a worker's pool", 1, 200)] = 32
    look_seconds: Annotated[
        int, bounded("how often an open payment is looked at without news, for a webhook may be lost", 1, 600)
    ] = 30
    retry_first_seconds: Annotated[float, bounded("after a call that failed; then twice as long each", 0.05, 60)] = 1
    retry_seconds_max: Annotated[float, bounded("between two calls", 0.05, 3600)] = 60
    refund_tries_max: Annotated[
        int,
        bounded("tries of a refund before an operator must look at it: about three days", 1, 9999),
    ] = 4320
    test_delay_ms: Annotated[int, bounded("how long the test provider takes for each answer", 0, 60_000)] = 0

    @property
    def names(self) -> tuple[str, ...]:
        """The providers by their names."""
        return tuple(self.providers.replace(",", " ").split())

    @property
    def unknown(self) -> tuple[str, ...]:
        """Names that no provider has."""
        return tuple(name for name in self.names if name not in KNOWN)
