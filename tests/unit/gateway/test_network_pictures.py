"""What operators are told of a network is a sum of sentences."""

from __future__ import annotations

from db.booking.conduct import PictureRow
from gateway.identity.pictures import picture_of


def test_an_office_has_few_points_and_is_answered_nothing() -> None:
    seen = picture_of(PictureRow("198.51.100.0/24", 3, 2, 6, 2, 0.4, 2), 20, 3, {})
    assert (seen.points, seen.answer) == (10, "nothing")
    assert [one.reason for one in seen.reasons] == ["2 of 20 seats without a proof"]


def test_a_hoarder_has_a_sentence_for_each_reason() -> None:
    seen = picture_of(PictureRow("198.51.100.0/24", 15, 0, 0, 20, 45.0, 20), 20, 3, {})
    assert seen.answer == "proof"
    assert {one.reason: one.points for one in seen.reasons} == {
        "20 of 20 seats without a proof": 100,
        "45 of 60 seats blocked for a hold and not bought": 75,
        "15 sessions held seats without a proof": 50,
    }
    assert seen.points == 225


def test_a_campus_whose_fans_proved_themselves_has_none() -> None:
    assert picture_of(PictureRow("198.51.100.0/24", 1500, 1500, 2900, 0, 0.0, 0), 20, 3, {}).points == 0
