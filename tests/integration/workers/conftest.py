from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from booking_lane.clients import jobs_client
from db.audit.invariants import audit
from tests.integration.workers.lanes import LANES, Lanes


@pytest.fixture
def lanes(admitone_env: dict[str, str], tmp_path: Path) -> Iterator[Lanes]:
    """Lanes without workers: a test starts its pools. Afterwards every invariant must hold."""
    client = jobs_client(admitone_env["REDIS_URL"])
    lanes = Lanes(admitone_env["DATABASE_URL"], client, {**admitone_env, "ADMITONE_LANES": str(LANES)}, tmp_path)
    yield lanes
    for pool in lanes.pools:
        pool.stop()
    print(lanes.report())  # pytest shows it where the test failed
    client.connection_pool.disconnect()
    assert audit(lanes.database_url) == []
