"""Which processes a pool has that does a part of the work."""

from __future__ import annotations

import pytest

from admitone.settings import Settings
from workers.parts import Part
from workers.pool import Pool
from workers.settings import WorkerSettings

ENVIRON = {
    "DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none",
    "REDIS_URL": "redis://127.0.0.1:1/0",
    "ADMITONE_LANES": "3",
}


@pytest.mark.parametrize(
    ("parts", "lanes", "roles"),
    [
        (
            tuple(Part),
            None,
            ["lane-0", "lane-1", "lane-2", "housekeeping", "messages", "cron", "webhooks", "payments"],
        ),
        ((Part.LANES,), (2,), ["lane-2"]),
        ((Part.LANES, Part.HOUSEKEEPING), None, ["lane-0", "lane-1", "lane-2", "housekeeping"]),
        ((Part.CRON, Part.WEBHOOKS), None, ["cron", "webhooks"]),
        ((Part.PAYMENTS,), None, ["payments"]),
    ],
)
def test_a_pool_has_the_processes_of_its_parts(
    parts: tuple[Part, ...], lanes: tuple[int, ...] | None, roles: list[str]
) -> None:
    settings = Settings.load({**ENVIRON, "ADMITONE_PAYMENT_PROVIDERS": "test"}).part(WorkerSettings)
    assert Pool(settings, lanes, parts=parts)._roles == roles


def test_without_a_provider_nothing_asks_for_payments() -> None:
    settings = Settings.load(ENVIRON).part(WorkerSettings)
    assert Pool(settings, parts=(Part.PAYMENTS,))._roles == []
