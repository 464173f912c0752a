"""Other keys than the process' own, for as long as a test needs them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from db.sealing.keyring import Keyring, keyring, use


@contextmanager
def sealed_with(*secrets: str, site_secret: str) -> Iterator[None]:
    """Have these data keys, the newest first, and the site's secret."""
    before = keyring()
    use(Keyring(secrets, site_secret))
    try:
        yield
    finally:
        use(before)
