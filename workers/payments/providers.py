"""The providers of a site, by their names."""

from __future__ import annotations

from collections.abc import Mapping

from db.payments.states import MOLLIE, STRIPE, TEST
from payments.own import TestProvider
from payments.provider import Provider
from workers.settings import WorkerSettings


def providers_of(settings: WorkerSettings) -> Mapping[str, Provider]:
    """The providers that the settings name. They connect when they are first asked."""
    names, call_seconds = settings.payment.names, settings.payment.call_seconds
    site = settings.site_address.rstrip("/")
    providers: dict[str, Provider] = {}
    if TEST in names:
        providers[TEST] = TestProvider(settings.db.url, settings.site.secret, settings.payment.test_delay_ms)
    if STRIPE in names:
        # Stripe's library is large, and sites without it do not load it.
        from payments.stripe_provider import StripeProvider

        providers[STRIPE] = StripeProvider(settings.stripe, call_seconds, site)
    if MOLLIE in names:
        from payments.mollie_provider import MollieProvider

        providers[MOLLIE] = MollieProvider(settings.mollie, call_seconds, site, settings.site.secret)
    return providers
