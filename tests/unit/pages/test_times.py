"""Moments on pages: a venue's clock for its event, both clocks for a sale, and one day in words and in the date box."""

from __future__ import annotations

import datetime as dt

import pytest

from gateway.pages import languages
from gateway.pages.times import date_box, event_time, reader_time, site_time

# Nine in the evening of the 9th in Hamburg is the 10th in Tokyo, and still the 9th in Los Angeles.
LATE = dt.datetime(2027, 1, 9, 23, 30, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("zone", "words", "day"),
    [
        ("Europe/Berlin", "Sun 10 Jan 2027, 00:30 CET (Berlin time)", "<b>10</b>"),
        ("America/Los_Angeles", "Sat 9 Jan 2027, 15:30 PST (Los Angeles time)", "<b>9</b>"),
        ("Asia/Tokyo", "Sun 10 Jan 2027, 08:30 JST (Tokyo time)", "<b>10</b>"),
        ("Asia/Kolkata", "Sun 10 Jan 2027, 05:00 IST (Kolkata time)", "<b>10</b>"),
        ("America/Sao_Paulo", "Sat 9 Jan 2027, 20:30 UTC\u22123 (Sao Paulo time)", "<b>9</b>"),
    ],
)
def test_an_event_is_told_by_its_venues_clock_and_its_date_box_agrees(zone: str, words: str, day: str) -> None:
    told = event_time(LATE, zone, with_place=True)
    assert f">{words}</time>" in told
    assert 'data-time="venue"' in told
    box = date_box(LATE, zone)
    assert day in box
    assert "data-day" not in box, "no script changes it"


def test_a_sale_is_for_both_clocks_and_a_purchase_for_the_readers() -> None:
    assert site_time(LATE, "Europe/Berlin", short=True) == (
        '<time datetime="2027-01-10T00:30:00+01:00" data-time="both" data-short>10 Jan, 00:30 CET</time>'
    )
    assert 'data-time="reader"' in reader_time(LATE, "Europe/Berlin")


def test_a_venue_without_a_zone_is_told_by_the_readers_clock() -> None:
    assert 'data-time="reader"' in event_time(LATE, "UTC", with_place=True)
    assert "Sat 9 Jan 2027, 23:30 UTC" in event_time(LATE, "UTC", with_place=True)
    assert 'data-day="2027-01-09T23:30:00+00:00"' in date_box(LATE, "UTC")


def test_a_day_is_named_in_the_pages_language() -> None:
    languages.enter({"path": "/de/events/1", "type": "http"})
    try:
        assert "So 10. Jan. 2027, 00:30 CET" in event_time(LATE, "Europe/Berlin").replace("So.", "So")
        assert "<span>Jan</span>" in date_box(LATE, "Europe/Berlin").replace("Jan.", "Jan")
        languages.enter({"path": "/ja/events/1", "type": "http"})
        assert "2027年1月10日(日) 00:30 CET" in event_time(LATE, "Europe/Berlin")
    finally:
        languages.enter({"path": "/", "type": "http"})
