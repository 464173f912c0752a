"""What a gateway of a group serves."""

from __future__ import annotations

import pytest

from gateway.wire.served import Served, SitePart, event_of, part_of


@pytest.mark.parametrize(
    ("path", "part"),
    [
        ("/health/ready", None),
        ("/static/abc/page.js", None),
        ("/", SitePart.PAGES),
        ("/events/7", SitePart.PAGES),
        ("/wait/7", SitePart.PAGES),
        ("/api/events", SitePart.SEARCH),
        ("/api/events/7/seats", SitePart.BOOKING),
        ("/api/events/7/live", SitePart.STREAMS),
        ("/api/queue/7/stream", SitePart.STREAMS),
        ("/api/queue/7", SitePart.BOOKING),
        ("/api/reserve", SitePart.BOOKING),
        ("/gate/7", SitePart.BOOKING),
        ("/ops/events/7", SitePart.OPERATORS),
        ("/api/ops/stream", SitePart.OPERATORS),
        ("/scan", SitePart.OPERATORS),
    ],
)
def test_each_address_belongs_to_one_part(path: str, part: SitePart | None) -> None:
    assert part_of(path) == part


def test_a_group_serves_its_parts_and_events() -> None:
    assert Served.of("", "").is_all
    streams = Served.of("streams", "7, 8")
    assert streams.serves("/health/ready")
    assert streams.serves("/api/queue/7/stream")
    assert not streams.serves("/api/queue/9/stream"), "another event"
    assert not streams.serves("/api/queue/7"), "another part"
    assert event_of("/api/ops/events/9") is None, "operators see every event wherever they are served"


@pytest.mark.parametrize(("parts", "events"), [("pagse", ""), ("", "seven"), ("", "1" * 17)])
def test_what_is_no_part_and_no_event_is_refused(parts: str, events: str) -> None:
    with pytest.raises(ValueError, match="name"):
        Served.of(parts, events)
