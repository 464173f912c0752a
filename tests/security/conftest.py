"""The acceptance tests' site, under attack."""

from __future__ import annotations

from tests.acceptance.conftest import module_database_url, site
from tests.browser.conftest import browser, playwright

__all__ = ["browser", "module_database_url", "playwright", "site"]
