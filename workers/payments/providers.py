"""The providers of a site, by their names."""

from __future__ import annotations

from collections.abc import Mapping

from db.payments.states import TEST
from db.settings import SiteSettings
from payments.own import TestProvider
from payments.provider import Provider
from payments.settings import PaymentSettings


def providers_of(settings: PaymentSettings, site: SiteSettings, database_url: str) -> Mapping[str, Provider]:
    """The providers that the settings name. They connect when they are first asked."""
    providers: dict[str, Provider] = {}
    if TEST in settings.names:
        providers[TEST] = TestProvider(database_url, site.secret, settings.test_delay_ms)
    return providers
