"""The dials of a waiting room: each is one field of `RoomDials`, and everything else that knows of dials reads it here.

Derived from this table are the columns of ``room`` and their checks, the bodies and the answer of the API, the options
of ``admitone room``, the settings of a new event's room, a rehearsal's copy, and what the line's scripts read.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final, TypeAlias, get_args, get_type_hints

from db.booking.conduct import NETWORK_LIMITS_OFF
from db.languages import LANGUAGE_TAGS, MESSAGE_CHARS_MAX, Texts

DialValue: TypeAlias = int | bool | str | Texts

INTEGER_MAX: Final = 2**31 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Dial:
    """What is known of one dial. Its name, its type and its default are those of its field in `RoomDials`.

    Attributes:
        least, most: the bounds that an operator keeps to; of a text, or of each of several, how many characters it has.
        meaning: a sentence, for settings, help and documentation.
        unit: what a number counts.
        paces: a change makes what was learnt about the line's speed worthless, so a forecast is made afresh.
        setting_default: what a new event's room starts with where neither the environment nor its maker says anything
            else. None: an operator can change the dial, but no setting and no new event names it.
        option: the option of ``admitone room``; empty: the dial's name.
        check: name and condition of the check on the column; None: one of the dial's own, by its bounds.
    """

    meaning: str
    unit: str = ""
    least: int = 0
    most: int = INTEGER_MAX
    paces: bool = False
    setting_default: int | None = None
    option: str = ""
    check: tuple[str, str] | None = None
    name: str = ""
    type: type[DialValue] = int
    default: DialValue = 0

    @property
    def option_name(self) -> str:
        """The option of ``admitone room``, without its dashes before it."""
        return self.option or self.name.replace("_", "-")

    def refusal_of(self, value: object) -> str | None:
        """What is wrong with the value, as a sentence without its end; None: nothing is."""
        if type(value) is not self.type:
            return f"a room's {self.name} cannot be set to {value!r}"
        if isinstance(value, str | Texts):
            texts = [value] if isinstance(value, str) else [value.of(tag) for tag in LANGUAGE_TAGS]
            if any(len(text) > self.most or "\0" in text for text in texts):
                at_fault = self.name if isinstance(value, str) else f"text in {self.name}"
                return f"a room's {at_fault} has at most {self.most} characters, none of them NUL"
        elif not isinstance(value, bool) and isinstance(value, int) and not self.least <= value <= self.most:
            return f"a room's {self.name} is from {self.least} to {self.most}, not {value}"
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomDials:
    """How a room is set. The defaults are those of the columns."""

    rate_per_minute: Annotated[
        int,
        Dial(
            meaning="fans whom the door calls in a minute; the autopilot's ceiling",
            unit="a minute",
            most=1_000_000,
            paces=True,
            setting_default=300,
            option="rate",
            check=("limits", "rate_per_minute >= 0"),
        ),
    ] = 300
    capacity: Annotated[
        int,
        Dial(
            meaning="fans called and admitted at a time",
            unit="fans",
            most=1_000_000,
            paces=True,
            setting_default=500,
            check=("limits", "capacity >= 0"),
        ),
    ] = 500
    line_cap: Annotated[
        int,
        Dial(
            meaning="fans in line at a time; beyond it nobody can join",
            unit="fans",
            most=5_000_000,
            setting_default=5000,
            check=("limits", "line_cap >= 0"),
        ),
    ] = 5000
    claim_window_seconds: Annotated[
        int,
        Dial(
            meaning="a called fan has this long to claim the admission",
            unit="s",
            least=5,
            most=3600,
            paces=True,
            setting_default=60,
            check=("lifetimes", "claim_window_seconds > 0"),
        ),
    ] = 60
    pass_seconds: Annotated[
        int,
        Dial(
            meaning="an admission's pass lives this long",
            unit="s",
            least=5,
            most=86_400,
            paces=True,
            setting_default=900,
            check=("lifetimes", "pass_seconds > 0"),
        ),
    ] = 900
    autopilot: Annotated[
        bool, Dial(meaning="the door goes at the rate that bookings bear, up to the rate that is set", paces=True)
    ] = False
    lobby_minutes: Annotated[
        int,
        Dial(
            meaning="an event made before its on-sale opens its lobby so long before it, to be drawn then; 0: none",
            unit="min",
            most=10_080,
            setting_default=30,
            check=("lobby", "lobby_minutes >= 0"),
        ),
    ] = 0
    message: Annotated[
        str, Dial(meaning="what the operators tell everybody in line; empty: nothing", most=MESSAGE_CHARS_MAX)
    ] = ""
    priority_share: Annotated[
        int,
        Dial(
            meaning="percent of the calls for access codes while both classes wait; 0: one order for both",
            unit="%",
            most=100,
        ),
    ] = 50
    messages: Annotated[
        Texts,
        Dial(
            meaning="what fans read in place of the message whose pages are in one of these languages",
            most=MESSAGE_CHARS_MAX,
        ),
    ] = Texts()  # noqa: RUF009 - it is frozen
    pass_life_seconds: Annotated[
        int,
        Dial(
            meaning="a pass lives no longer than this, whatever its fan holds; 0: twice as long as a pass",
            unit="s",
            most=604_800,
            setting_default=0,
        ),
    ] = 0
    network_limits_max: Annotated[
        int,
        Dial(
            meaning="a network's seats without proofs, in limits (10 or more); 0: holds 2/5, buys 2; 100,000: all",
            unit="limits",
            most=NETWORK_LIMITS_OFF,
            setting_default=0,
        ),
    ] = 0
    fan_unbought_max: Annotated[
        int,
        Dial(
            meaning="holds that a fan lets end unbought in an hour before each one more needs a proof; 0: any number",
            unit="holds",
            most=100_000,
            setting_default=3,
        ),
    ] = 3
    waiting_list: Annotated[
        bool,
        Dial(meaning="fans of a sold-out event enter a waiting list, and seats that come back are offered to them"),
    ] = False
    offer_minutes: Annotated[
        int,
        Dial(
            meaning="how long seats are kept for a fan of the waiting list to whom they are offered",
            unit="min",
            least=1,
            most=10_080,
        ),
    ] = 60
    cancel_hours: Annotated[
        int,
        Dial(
            meaning="hours before the event until which fans may cancel; 0: as ADMITONE_CANCEL_UNTIL_HOURS says",
            unit="h",
            most=100_000,
        ),
    ] = 0
    cancel_fee_percent: Annotated[
        int, Dial(meaning="percent of a seat's price that are kept when its fan cancels it", unit="%", most=100)
    ] = 0
    cancel_fee_amount: Annotated[
        int,
        Dial(
            meaning="what is kept besides for each seat that its fan cancels, up to the whole price",
            unit="minor units",
            most=100_000_000,
        ),
    ] = 0
    payment_term_hours: Annotated[
        int,
        Dial(
            meaning="how long seats are kept for a fan whose bank takes days, as by SEPA debit; 0: all pay at once",
            unit="h",
            most=480,
        ),
    ] = 0
    payment_term_seats_max: Annotated[
        int,
        Dial(
            meaning="how many seats at a time are kept so for such fans; 0: any number",
            unit="seats",
            most=1_000_000,
        ),
    ] = 0


def _dials() -> dict[str, Dial]:
    hints = get_type_hints(RoomDials, include_extras=True)
    found = {}
    for field in dataclasses.fields(RoomDials):
        kind, dial = get_args(hints[field.name])
        found[field.name] = dataclasses.replace(dial, name=field.name, type=kind, default=field.default)
    return found


DIALS: Final[Mapping[str, Dial]] = _dials()
"""Every dial by its name, in the order of their columns."""

SETTING_DIALS: Final[tuple[Dial, ...]] = tuple(dial for dial in DIALS.values() if dial.setting_default is not None)
"""The dials of which a setting and a new event's maker say what its room starts with."""


def dials_of(room: RoomDials) -> dict[str, Any]:
    """Each dial's value, by its name."""
    return {name: getattr(room, name) for name in DIALS}
