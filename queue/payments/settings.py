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

    providers: Annotated[
        str, setting("providers that events may take payments by: stripe, mollie, test; empty: none")
    ] = ""
    call_seconds: Annotated[float, bounded("a call of a provider", 0.1, 60)] = 10
    again_seconds: Annotated[
        float, bounded("what came of a payment is told its lane again, if that did not carry it out by then", 0.1, 60)
    ] = 5
    at_once_max: Annotated[int, bounded("calls of providers under way, a worker's pool", 1, 200)] = 32
    look_seconds: Annotated[
        int, bounded("how often an open payment is looked at without news, for a webhook may be lost", 1, 600)
    ] = 30
    bank_look_seconds: Annotated[int, bounded("the same of a payment that a bank takes days for", 1, 86_400)] = 900
    retry_first_seconds: Annotated[float, bounded("after a call that failed; then twice as long each", 0.05, 60)] = 1
    retry_seconds_max: Annotated[float, bounded("between two calls", 0.05, 3600)] = 60
    refund_tries_max: Annotated[
        int,
        bounded("tries of a refund before an operator must look at it: about three days", 1, 9999),
    ] = 4320
    reconcile_minutes: Annotated[
        int,
        bounded("payments of three days are compared with the providers' books so often; 0: never", 0, 10_080),
    ] = 60
    stuck_minutes: Annotated[
        int, bounded("a refund that is not done, or a payment past its end, counts as stuck after so long", 1, 10_080)
    ] = 30
    test_delay_ms: Annotated[int, bounded("how long the test provider takes for each answer", 0, 60_000)] = 0

    @property
    def names(self) -> tuple[str, ...]:
        """The providers by their names."""
        return tuple(self.providers.replace(",", " ").split())

    @property
    def unknown(self) -> tuple[str, ...]:
        """Names that no provider has."""
        return tuple(name for name in self.names if name not in KNOWN)


class StripeSettings(Section, frozen=True, kw_only=True):
    """The keys of an account at Stripe. ``account`` is that of another one which the keys may act for (Connect)."""

    secret_key: Annotated[str, setting("Stripe's secret key (sk_… or rk_…)")] = ""
    public_key: Annotated[str, setting("Stripe's publishable key (pk_…), which the page where fans pay shows")] = ""
    webhook_secret: Annotated[
        str, setting("secret of the webhook that Stripe posts to /api/payments/stripe/notices (whsec_…)")
    ] = ""
    account: Annotated[str, setting("account that the keys act for (acct_…); empty: their own")] = ""
    url: Annotated[str, setting("address of Stripe's API; another one for tests alone")] = "https://api.stripe.com"

    @property
    def is_live(self) -> bool:
        """Whether real money moves."""
        return "_live_" in self.secret_key

    @property
    def is_whole(self) -> bool:
        return bool(self.secret_key and self.public_key and self.webhook_secret)


MOLLIE_METHODS: Final = frozenset(
    {"applepay", "bancontact", "belfius", "blik", "creditcard", "eps", "ideal", "kbc", "paypal", "twint"}
)
"""Mollie's methods that are paid, or not, within minutes."""


class MollieSettings(Section, frozen=True, kw_only=True):
    """The key of a profile at Mollie."""

    api_key: Annotated[str, setting("Mollie's API key (live_… or test_…)")] = ""
    profile: Annotated[str, setting("the key's profile (pfl_…), which payments must be of; empty: any")] = ""
    methods: Annotated[
        str, setting("methods that fans may pay by, of those that are paid at once, as Mollie names them")
    ] = "creditcard ideal bancontact"
    url: Annotated[str, setting("address of Mollie's API; another one for tests alone")] = "https://api.mollie.com"

    @property
    def mode(self) -> str:
        """``live`` or ``test``, as Mollie says it of each payment."""
        return "live" if self.api_key.startswith("live_") else "test"

    @property
    def method_names(self) -> tuple[str, ...]:
        return tuple(self.methods.replace(",", " ").split())

    @property
    def slow_methods(self) -> tuple[str, ...]:
        """Methods that are unknown, or may take days."""
        return tuple(name for name in self.method_names if name not in MOLLIE_METHODS)
