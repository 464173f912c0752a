"""The kinds of alarms. This is the one place where a kind, and what holds for it, is written down.

The console's form, the API's bodies, the evaluation (`workers.alarms`) and docs/alarms.md follow from this table.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

FOR_SECONDS_MAX: Final = 3600


class AlarmScope(StrEnum):
    """What an alarm is about: one event, or one lane, on which the bookings of some events run."""

    EVENT = "event"
    LANE = "lane"


EVENT, LANE = AlarmScope.EVENT, AlarmScope.LANE


class Unit(StrEnum):
    """What a figure counts; `NONE` is for a kind that holds or does not, and has no threshold to set."""

    MS = "ms"
    PERCENT = "%"
    FANS = "fans"
    SECONDS = "s"
    NONE = ""


class AlarmKind(StrEnum):
    """The kinds of alarms. An alarm begins once the figure is at the threshold or above it for ``for_seconds``.

    It ends once the figure is below ``calm_share`` of the threshold for as long, so that a figure that moves about its
    threshold is told once. ``is_trouble``: somebody should look; it is told again while it stands, and its end is told
    even where the sale is over. The others are good news. ``headline`` says to operators what it is, ``sentence`` has
    the figure, and ``meaning`` is the form's help.
    """

    scope: AlarmScope
    unit: Unit
    threshold: int
    threshold_min: int
    threshold_max: int
    for_seconds: int
    calm_share: float
    is_trouble: bool
    headline: str
    sentence: str
    meaning: str

    def __new__(
        cls,
        word: str,
        scope: AlarmScope,
        unit: Unit,
        threshold: int,
        bounds: tuple[int, int],
        for_seconds: int,
        calm_share: float,
        is_trouble: bool,
        headline: str,
        sentence: str,
        meaning: str,
    ) -> AlarmKind:
        kind = str.__new__(cls, word)
        kind._value_ = word
        kind.scope = scope
        kind.unit = unit
        kind.threshold = threshold
        kind.threshold_min, kind.threshold_max = bounds
        kind.for_seconds = for_seconds
        kind.calm_share = calm_share
        kind.is_trouble = is_trouble
        kind.headline = headline
        kind.sentence = sentence
        kind.meaning = meaning
        return kind

    @property
    def has_threshold(self) -> bool:
        """Whether an operator can set the threshold."""
        return self.threshold_min < self.threshold_max

    BOOKING_P95 = (
        "booking_p95",
        LANE,
        Unit.MS,
        2000,
        (50, 60_000),
        60,
        0.8,
        True,
        "Bookings are slow",
        "95 of 100 bookings take up to {figure}.",
        "The 95th percentile of what fans wait for a booking, over the last minute",
    )
    BOOKING_ERRORS = (
        "booking_errors",
        LANE,
        Unit.PERCENT,
        5,
        (1, 100),
        30,
        0.8,
        True,
        "Bookings fail",
        "{figure} of the bookings fail.",
        "The share of bookings that fail, over the last minute; that seats are taken is no failure",
    )
    BOOKINGS_STUCK = (
        "bookings_stuck",
        LANE,
        Unit.SECONDS,
        20,
        (5, 600),
        0,
        1.0,
        True,
        "Bookings stand still",
        "Bookings wait, and nothing was done for {figure}.",
        "How long a lane has done nothing though work waits on it",
    )
    NO_SHOWS = (
        "no_shows",
        EVENT,
        Unit.PERCENT,
        40,
        (1, 100),
        300,
        0.8,
        True,
        "Many do not come when they are called",
        "{figure} of the calls are not answered.",
        "The share of calls that no fan answers, over the last ten minutes",
    )
    LINE_LONG = (
        "line_long",
        EVENT,
        Unit.FANS,
        5000,
        (1, 10_000_000),
        60,
        0.9,
        True,
        "The line is long",
        "The line has {figure}.",
        "How many fans wait in line",
    )
    DOOR_STALLED = (
        "door_stalled",
        EVENT,
        Unit.SECONDS,
        60,
        (10, 3600),
        0,
        1.0,
        True,
        "Nobody is let in",
        "Nobody was let in for {figure}, though fans wait and there is room.",
        "How long nobody was let in, though fans wait and there is room",
    )
    REBUILDING = (
        "rebuilding",
        EVENT,
        Unit.NONE,
        1,
        (1, 1),
        30,
        1.0,
        True,
        "Places are being restored",
        "The line was lost, and its places are being restored; nobody is let in meanwhile.",
        "The line was lost and is being restored",
    )
    PAYMENTS_UNOPENED = (
        "payments_unopened",
        EVENT,
        Unit.SECONDS,
        60,
        (10, 3600),
        0,
        1.0,
        True,
        "Fans cannot pay",
        "A payment has waited {figure} for its provider to open it.",
        "For how long the payment provider has not opened the oldest payment that it was asked for",
    )
    REFUNDS_STUCK = (
        "refunds_stuck",
        EVENT,
        Unit.SECONDS,
        1800,
        (60, 604_800),
        0,
        1.0,
        True,
        "Refunds are stuck",
        "Money is owed to a fan for {figure}.",
        "For how long the oldest refund is not done; also once the sale is over",
    )
    PAYMENTS_DIFFER = (
        "payments_differ",
        EVENT,
        Unit.NONE,
        1,
        (1, 1),
        0,
        1.0,
        True,
        "The provider’s books differ",
        "What the payment provider took or gave back is not what is known here.",
        "The last comparison with the payment provider’s books found something that nobody mends by itself",
    )
    SOLD_SHARE = (
        "sold_share",
        EVENT,
        Unit.PERCENT,
        90,
        (1, 99),
        0,
        0.95,
        False,
        "Nearly sold out",
        "{figure} of the seats are sold.",
        "The share of the seats that are sold",
    )
    SOLD_OUT = (
        "sold_out",
        EVENT,
        Unit.NONE,
        100,
        (100, 100),
        0,
        1.0,
        False,
        "Sold out",
        "Every seat is sold.",
        "Every seat is sold, and none is held",
    )


KINDS: Final[Mapping[str, AlarmKind]] = {str(kind): kind for kind in AlarmKind}
"""The kinds by their words. A word that is not here is of another release."""


class ReceiverChannel(StrEnum):
    """The ways by which operators are told."""

    MAIL = "mail"
    PUSH = "push"
    CHAT = "chat"


def words_of(figure: float, unit: Unit) -> str:
    """A figure with its unit, e.g. ``2,140 ms``, ``41 %``, ``1 fan``."""
    number = f"{figure:,.1f}" if unit is Unit.PERCENT and figure % 1 else f"{int(figure):,}"
    if unit is Unit.FANS and number == "1":
        return "1 fan"
    return f"{number} {unit}".rstrip()


def sentence_of(kind: AlarmKind, figure: float) -> str:
    """What is the matter, in words."""
    return kind.sentence.format(figure=words_of(figure, kind.unit))
