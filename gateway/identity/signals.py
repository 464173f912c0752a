"""What makes a session look like a program's: one table of signals, each with its points and its sentence.

What a fan does itself, and what the page says of the browser, has points of its own. What others do in the same
network, with the same kind of device, counts too, but all of that together never suffices for a proof: nobody answers
for a neighbour. Counts are those of the last ten minutes, of holds those of the last hour.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

from gateway.identity.sightings import BOUGHT, JOIN, SESSION

Whose = Literal["fan", "network", "device"]

QUICK: Final = "quick"
TRIES: Final = "tries"
LINES: Final = "lines"
YOUNG: Final = "young"
CHURN: Final = "churn"
IDLE: Final = "idle"
CANCELS: Final = "cancels"
IGNORED: Final = "ignored"
WRONG: Final = "wrong"
PACE: Final = "pace"
TELLS: Final = "tells"
PROVEN: Final = "proven"
ACCOUNT: Final = "account"
PARDONED: Final = "pardoned"
REFUSED: Final = "refused"
PLACES: Final = "places"
HOSTED: Final = "hosted"

OTHERS_MOST: Final = 20
"""Points that others' doings may bring altogether."""


@dataclass(frozen=True, slots=True)
class Signal:
    """What is counted, and the points for it: so many for each ``per`` beyond the ``usual`` number, up to ``most``.

    Points below zero speak for the fan. In the ``sentence``, {n} is the number.
    """

    name: str
    whose: Whose
    points: int
    most: int
    sentence: str
    usual: int = 0
    per: int = 1

    def points_of(self, number: int) -> int:
        times = (number - self.usual) // self.per
        if times <= 0:
            return 0
        points = self.points * times
        return max(points, self.most) if self.points < 0 else min(points, self.most)


SIGNALS: Final = (
    Signal(QUICK, "fan", 5, 5, "{n} steps came faster than a person takes them"),
    Signal(YOUNG, "fan", 5, 5, "seats were asked for within seconds of the session's first step"),
    Signal(TRIES, "fan", 1, 5, "seats were asked for {n} times", usual=20, per=5),
    Signal(LINES, "fan", 1, 4, "{n} places were taken", usual=10, per=5),
    Signal(CHURN, "fan", 15, 60, "{n} holds blocked seats and were not bought", usual=1),
    Signal(CANCELS, "fan", 15, 60, "seats that were bought were to be cancelled {n} times", usual=3),
    Signal(IDLE, "fan", 10, 30, "{n} passes were taken and no seats asked for", usual=3),
    Signal(IGNORED, "fan", 5, 30, "{n} times a proof was asked for and did not come", usual=3),
    Signal(WRONG, "fan", 10, 40, "{n} proofs were wrong", usual=1),
    Signal(PACE, "fan", 1, 10, "{n} requests came beyond the pace"),
    Signal(TELLS, "fan", 20, 40, "the browser says that a program steers it"),
    Signal(PROVEN, "fan", -25, -50, "{n} proofs were given"),
    Signal(ACCOUNT, "fan", -20, -20, "the fan has an account"),
    Signal(PARDONED, "fan", -1000, -1000, "an operator let the fan go on"),
    Signal(SESSION, "network", 1, 10, "{n} sessions began in the network", usual=100, per=20),
    Signal(JOIN, "network", 1, 10, "{n} places were asked for in the network", usual=100, per=20),
    Signal(BOUGHT, "network", 1, 10, "{n} purchases were made in the network", usual=20, per=5),
    Signal(REFUSED, "network", 1, 10, "{n} requests of the network were refused", usual=20, per=5),
    Signal(HOSTED, "network", 10, 10, "the address is one of a data centre"),
    Signal(PLACES, "device", 1, 10, "{n} sessions have this kind of device", usual=50, per=10),
)
"""Every signal. What an ordinary client of the API does altogether stays below the points of a proof."""


class Reason(NamedTuple):
    """Why somebody has points: the signal's name, the points, and the sentence."""

    signal: str
    points: int
    sentence: str


def reasons_of(whose: Whose, count: Callable[[str], int]) -> tuple[Reason, ...]:
    """Of every signal that has points.

    Args:
        count: tells how often the signal of this name was seen.
    """
    found = []
    for signal in _BY_WHOSE[whose]:
        number = count(signal.name)
        if number and (points := signal.points_of(number)):
            found.append(Reason(signal.name, points, signal.sentence.format(n=number)))
    return tuple(found)


_BY_WHOSE: Final[dict[Whose, tuple[Signal, ...]]] = {
    whose: tuple(signal for signal in SIGNALS if signal.whose == whose) for whose in ("fan", "network", "device")
}
