"""The events on show in memory, as sets of numbers: for each word, value and day those that have it.

Two sets of ten thousand events are compared in some microseconds, where Postgres reads each event's row.
"""

from __future__ import annotations

import datetime as dt
import math
import re
import string
import sys
from array import array
from bisect import insort
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, cast

from pyroaring import BitMap

from db.events.halls import EventFacts
from db.events.sale import EventState
from db.search.asking import WORTH_OF_PLACE, Meaning, level_of
from db.search.folding import fold, words
from db.search.reading import Wanted
from db.search.statements import WHOLE_OF
from db.search.terms import Where
from gateway.search.moments import micros, moment
from gateway.search.spellings import Spellings

DAY: Final = 86_400_000_000
"""In microseconds."""

_TERM: Final = re.compile(r"'([^']+)':(\S+)")
"""A word of a ``tsvector`` and where it stands. No folded word has an apostrophe."""

REST: Final = 8
"""So many columns are in `db.search.following.SHOWN`."""

VALUES: Final = ("town", "town_key", "tag", "month", "currency", "price", "band")

SETTLED_AT_ONCE: Final = 500
"""So many words' sets are made before others have their turn."""

SAME_MAX: Final = 10_000
"""So many tuples are remembered to be given again."""

_KEYS: Final = tuple(WHOLE_OF)
PLACE_OF_KEY: Final = {
    "artist_key": Where.ARTIST,
    "name_key": Where.NAME,
    "town_key": Where.VENUE,
    "venue_key": Where.VENUE,
}


class Row(NamedTuple):
    """A row of ``event_search``, and what is shown of its event. ``terms`` is the text of the ``tsvector``, moments are
    microseconds since 1970 (`db.search.following.COLUMNS`).
    """

    event_id: int
    is_available: bool
    terms: str
    artist_key: str
    name_key: str
    town_key: str
    venue_key: str
    town: str
    tag_keys: list[str]
    month: str
    state: str
    currency: str
    date: int
    on_sale: int
    off_sale: int
    price_from: int | None
    price_band: int
    name: str
    artist: str
    venue: str
    time_zone: str
    tags: list[str]
    seats_per_fan_max: int
    notice: str
    doors_at: dt.datetime | None
    picture_hash: str | None
    picture_alt: str
    account_required: bool
    payments: str
    asks: bool


class Shown(NamedTuple):
    """What is shown of an event, beside what is kept for each slot anyway. ``rest`` are the columns of
    `db.search.following.SHOWN`, one tuple for all events that have the same.
    """

    name: str
    artist: str
    venue: str
    time_zone: str
    tags: tuple[str, ...]
    state: str
    price_from: int | None
    rest: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Group:
    """A word of a search: the events that have it, and for each worth, the best first, those in which it is worth so
    much at least by one of its meanings.
    """

    every: BitMap
    levels: Sequence[tuple[int, BitMap]]


class Gathered:
    """What events add to the sets of `Postings`: slots by word, value and day. Words stand by the last character of
    their place in a ``tsvector``: a letter of `Where`, or a digit where Postgres left out the last of its weights.
    """

    def __init__(self) -> None:
        of_tags: dict[str, list[int]] = defaultdict(list)
        places = (Where.ARTIST, Where.NAME, Where.VENUE)
        self.words: dict[str, dict[str, list[int]]] = {where.value: defaultdict(list) for where in places}
        self.words |= dict.fromkeys(string.digits, of_tags)
        self.values: dict[str, dict[Any, list[int]]] = {name: defaultdict(list) for name in VALUES}
        self.days: dict[int, list[int]] = defaultdict(list)
        self.every: list[int] = []
        self.available: list[int] = []
        self.cancelled: list[int] = []


class Postings:
    """The events on show. A set holds an event's slot, which another event gets once the first is gone."""

    def __init__(self) -> None:
        self.spellings = Spellings()
        self._slots: dict[int, int] = {}
        self._gone: list[int] = []
        self._shapes = array("q")
        """For each slot the hash of what a row says, without whether seats are free."""
        self.event_ids = array("q")
        self.dates = array("q")
        self.on_sale = array("q")
        self.off_sale = array("q")
        self.keys = {column: array("q") for column in _KEYS}
        """For each slot the hash of each of its whole texts."""
        self.towns: list[str | None] = []
        self.months: list[str | None] = []
        self.bands: list[tuple[str, int] | None] = []
        """Currencies, each with the band of the price."""
        self.shown: list[Shown | None] = []
        self._same: dict[tuple[Any, ...], tuple[Any, ...]] = {}
        """Tuples that many events have; each of them is kept once."""
        self.of_word: dict[Where, dict[str, BitMap]] = {where: {} for where in Where}
        self.of_value: dict[str, dict[Any, BitMap]] = {name: {} for name in VALUES}
        self.of_day: dict[int, BitMap] = {}
        self.days: list[int] = []
        self.every = BitMap()
        self.available = BitMap()
        self.cancelled = BitMap()

    def __len__(self) -> int:
        return len(self._slots)

    def slot(self, event_id: int) -> int:
        """The slot of an event that is here."""
        return self._slots[event_id]

    def facts(self, slot: int) -> EventFacts:
        """What is shown of an event."""
        name, artist, venue, time_zone, tags, state, _, rest = cast(Shown, self.shown[slot])
        seats_per_fan_max, notice, doors_at, picture_hash, picture_alt, account_required, payments, asks = rest
        return EventFacts(
            self.event_ids[slot],
            name,
            artist,
            moment(self.dates[slot]),
            time_zone,
            venue,
            moment(self.on_sale[slot]),
            moment(self.off_sale[slot]),
            EventState(state),
            cast(tuple[str, int], self.bands[slot])[0],
            seats_per_fan_max,
            notice,
            doors_at,
            picture_hash,
            picture_alt,
            account_required,
            payments,
            cast(str, self.towns[slot]),
            tags,
            {} if asks else None,
        )

    def price_from(self, slot: int) -> int | None:
        """What the cheapest seat costs; None without a ticket type."""
        return cast(Shown, self.shown[slot]).price_from

    def write(self, rows: Iterable[Row], gone: Iterable[int] = ()) -> bool:
        """Take in these events as they are now, and forget those of the ids that are gone. False where they differ from
        what was known in nothing but that there are free seats or none.
        """
        new = []
        old = BitMap(self._slots[event_id] for event_id in gone if event_id in self._slots)
        for row in rows:
            slot = self._slots.get(row.event_id)
            if slot is None or self._shapes[slot] != _shape(row):
                new.append(row)
                if slot is not None:
                    old.add(slot)
            elif row.is_available:
                self.available.add(slot)
            else:
                self.available.discard(slot)
        if old:
            self._remove(old)
        gathered = Gathered()
        self.add(new, gathered)
        for _ in self.settle(gathered):
            pass
        return bool(old or new)

    def add(self, rows: Sequence[Row], gathered: Gathered) -> None:
        """Take in events that are new here. They are found once what they gathered is settled."""
        for row, slot in zip(rows, self._free_slots(len(rows)), strict=True):
            self._add(row, slot, gathered)

    def settle(self, gathered: Gathered) -> Iterator[None]:
        """Have the events be found that have gathered; pauses now and then, for it takes long where they are many."""
        done = 0
        for of_word, slots_of_word in (
            *((self.of_word[where], gathered.words[where.value]) for where in (Where.ARTIST, Where.NAME, Where.VENUE)),
            (self.of_word[Where.TAG], gathered.words["0"]),
        ):
            for word, slots in slots_of_word.items():
                if word in of_word:
                    of_word[word].update(slots)
                else:
                    of_word[word] = BitMap(slots)
                    if word[0] != "=":
                        self.spellings.add(word)
                done += 1
                if done % SETTLED_AT_ONCE == 0:
                    yield
        for name, of_value in self.of_value.items():
            for value, slots in gathered.values[name].items():
                of_value.setdefault(value, BitMap()).update(slots)
        for day, slots in gathered.days.items():
            if day not in self.of_day:
                self.of_day[day] = BitMap()
                insort(self.days, day)
            self.of_day[day].update(slots)
        for kept, slots in (
            (self.every, gathered.every),
            (self.available, gathered.available),
            (self.cancelled, gathered.cancelled),
        ):
            kept.update(slots)

    def _remove(self, slots: BitMap) -> None:
        for sets in (*self.of_word.values(), *self.of_value.values(), self.of_day):
            for one in sets.values():
                if one.intersect(slots):
                    one -= slots
        for one in (self.every, self.available, self.cancelled):
            one -= slots
        for slot in slots:
            del self._slots[self.event_ids[slot]]
            self.shown[slot] = None
        self._gone += slots

    def _add(self, row: Row, slot: int, gathered: Gathered) -> None:
        self._slots[row.event_id] = slot
        self._shapes[slot], self.event_ids[slot] = _shape(row), row.event_id
        self.dates[slot], self.on_sale[slot], self.off_sale[slot] = row.date, row.on_sale, row.off_sale
        for column, keys in self.keys.items():
            keys[slot] = hash(getattr(row, column))
        slots_of_word = gathered.words
        for word, at in _TERM.findall(row.terms):
            if "," in at:
                for position in at.split(","):
                    slots_of_word[position[-1]][word].append(slot)
            else:
                slots_of_word[at[-1]][word].append(slot)
        band = self._kept_once((row.currency, row.price_band))
        values = gathered.values
        values["town"][row.town].append(slot)
        values["town_key"][row.town_key].append(slot)
        values["month"][row.month].append(slot)
        values["currency"][row.currency].append(slot)
        values["price"][row.price_from].append(slot)
        values["band"][band].append(slot)
        for tag in row.tag_keys:
            values["tag"][tag].append(slot)
        self.towns[slot], self.months[slot], self.bands[slot] = sys.intern(row.town), sys.intern(row.month), band
        self.shown[slot] = Shown(
            row.name,
            sys.intern(row.artist),
            sys.intern(row.venue),
            sys.intern(row.time_zone),
            self._kept_once(tuple(row.tags)),
            sys.intern(row.state),
            row.price_from,
            self._kept_once(row[-REST:]),
        )
        gathered.days[row.date // DAY].append(slot)
        gathered.every.append(slot)
        if row.is_available:
            gathered.available.append(slot)
        if row.state == EventState.CANCELLED:
            gathered.cancelled.append(slot)

    def _kept_once(self, value: tuple[Any, ...]) -> tuple[Any, ...]:
        if len(self._same) >= SAME_MAX:
            self._same.clear()
        return self._same.setdefault(value, value)

    def _free_slots(self, count: int) -> list[int]:
        """So many slots, first those of events that are gone."""
        taken, self._gone = self._gone[:count], self._gone[count:]
        first = len(self.event_ids)
        new = range(first, first + count - len(taken))
        for numbers in (self._shapes, self.event_ids, self.dates, self.on_sale, self.off_sale, *self.keys.values()):
            numbers.frombytes(bytes(numbers.itemsize * len(new)))
        for values in (self.towns, self.months, self.bands, self.shown):
            values.extend([None] * len(new))
        return [*taken, *new]

    def group(self, meanings: Sequence[Meaning]) -> Group:
        """The events that have a word of a search."""
        levels: dict[int, list[BitMap]] = {}
        for meaning in meanings:
            begun = list(self.spellings.beginning(meaning.word)) if meaning.begins else [meaning.word]
            for where, worth in WORTH_OF_PLACE.items():
                of_word = self.of_word[where]
                sets = [of_word[word] for word in begun if word in of_word]
                if sets:
                    levels.setdefault(level_of(meaning.worth * worth / 10), []).extend(sets)
        united = [(level, BitMap.union(*levels[level])) for level in sorted(levels, reverse=True)]
        return Group(BitMap.union(*(one for _, one in united)) if united else BitMap(), united)

    def filtered(self, wanted: Wanted) -> BitMap | None:
        """The events that meet every condition beside the words; None where there is no condition."""
        venue = self.of_word[Where.VENUE]
        found = [
            _united(venue[word] for word in self.spellings.beginning(begins) if word in venue)
            for begins in words(wanted.venue)
        ]
        for name, value in (
            ("town_key", fold(wanted.town)),
            ("tag", fold(wanted.tag)),
            ("month", wanted.month),
            ("currency", wanted.currency),
        ):
            if value:
                found.append(self.of_value[name].get(value, BitMap()))
        if wanted.available:
            found.append(self.available)
        if wanted.price_min is not None or wanted.price_max is not None:
            least, most = wanted.price_min or 0, wanted.price_max
            prices = self.of_value["price"].items()
            found.append(
                _united(
                    one
                    for price, one in prices
                    if price is not None and price >= least and (most is None or price < most)
                )
            )
        if wanted.date_min is not None or wanted.date_max is not None:
            found.append(self._between(wanted.date_min, wanted.date_max))
        return BitMap.intersection(*found) if found else None

    def _between(self, date_min: dt.datetime | None, date_max: dt.datetime | None) -> BitMap:
        least = -math.inf if date_min is None else micros(date_min)
        most = math.inf if date_max is None else micros(date_max)
        found = BitMap()
        for day, slots in self.of_day.items():
            if day * DAY >= least and (day + 1) * DAY <= most:
                found |= slots
            elif (day + 1) * DAY > least and day * DAY <= most:
                found |= BitMap(slot for slot in slots if least <= self.dates[slot] <= most)
        return found


def _shape(row: Row) -> int:
    return hash((*row[2:8], tuple(row.tag_keys), *row[9:21], tuple(row.tags), *row[22:]))


def _united(sets: Iterable[BitMap]) -> BitMap:
    found = list(sets)
    return BitMap.union(*found) if found else BitMap()
