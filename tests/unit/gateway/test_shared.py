"""How long an edge may keep an answer, and the keys by which it forgets the answer."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

import pytest

from db.edge.keys import Provider
from gateway.wire.shared import Shared, name_keys_for, seconds_until_change

NOW = dt.datetime(2026, 6, 1, 10, tzinfo=dt.UTC)


def later(seconds: float) -> dt.datetime:
    return NOW + dt.timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("moments", "seconds"),
    [
        ([], 10),
        ([None, later(-5), later(0)], 10),
        ([later(3600)], 10),
        ([later(11)], 10),
        ([later(10.9)], 9),
        ([later(400), later(5.5)], 4),
        ([later(1.2)], 1),
        # In the last second the gateways are asked once a second, not by everybody.
        ([later(0.3)], 1),
    ],
)
def test_words_are_kept_until_the_clock_changes_them(moments: list[dt.datetime | None], seconds: int) -> None:
    assert seconds_until_change(NOW, moments, 10) == seconds


@pytest.fixture(autouse=True)
def _no_provider() -> Iterator[None]:
    yield
    name_keys_for(Provider.NONE)


@pytest.mark.parametrize(
    ("provider", "told"),
    [
        (Provider.FASTLY, {"Surrogate-Key": "event-7 events"}),
        (Provider.CLOUDFLARE, {"Cache-Tag": "event-7,events"}),
        (Provider.VARNISH, {"xkey": "event-7 events"}),
        (Provider.NGINX, {}),
        (Provider.NONE, {}),
    ],
)
def test_each_provider_is_told_the_keys_in_its_own_header(provider: Provider, told: dict[str, str]) -> None:
    name_keys_for(provider)
    headers = Shared(1, ("event-7", "events")).headers
    assert headers.pop("Cache-Control") == "public, max-age=0, s-maxage=1, stale-while-revalidate=1"
    assert headers == told
