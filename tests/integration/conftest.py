"""The Citus cluster of CITUS_URL, for the tests that run on one where it is given."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.citus import distributed_on
from tests.integration.on_citus import CITUS_URL


@pytest.fixture(scope="session")
def citus_database_url() -> Iterator[str]:
    with distributed_on(CITUS_URL) as url:
        yield url
