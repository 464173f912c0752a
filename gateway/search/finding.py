"""What a search finds in the `Postings`: the events that `db.search.statements` finds, in the same order."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from pyroaring import BitMap

from db.search.reading import FACET_VALUES_MAX, Facets, Wanted
from db.search.statements import LOST_MOST, STANDINGS, WHOLE_OF
from gateway.search.postings import DAY, PLACE_OF_KEY, Postings

EVENTS_A_VALUE: Final = 4
"""To count how many of a set have one value takes as long as to look at so many of its events."""


class Ranked(NamedTuple):
    """An event's place in an order; the date is in microseconds since 1970. Without a score the order is by date."""

    score: int
    date: int
    event_id: int

    @property
    def key(self) -> tuple[int, int, int]:
        return -self.score, self.date, self.event_id


class Finding:
    """What a search finds among the events as they are now; it is of no use after the next `Postings.write`."""

    def __init__(self, postings: Postings, wanted: Wanted) -> None:
        asked = postings.spellings.asked(wanted.text)
        self._postings = postings
        self._key = "" if asked is None else asked.key
        self._groups = [] if asked is None else [postings.group(group) for group in asked.groups]
        self._filtered = postings.filtered(wanted)

    @property
    def words(self) -> int:
        """How many words the search has; a date is one."""
        return len(self._groups)

    def found(self, *, every: bool) -> BitMap:
        """The events that meet the conditions and have every word, or any of them."""
        sets = [group.every for group in self._groups]
        if not sets:
            return self._postings.every if self._filtered is None else self._filtered
        together = (BitMap.intersection if every else BitMap.union)(*sets)
        return together if self._filtered is None else together & self._filtered

    def by_date(self, found: BitMap, limit: int, after: Ranked | None) -> list[Ranked]:
        """The next events, the soonest first."""
        postings = self._postings
        days = postings.days
        chosen: list[Ranked] = []
        for day in days[0 if after is None else bisect_left(days, after.date // DAY) :]:
            slots = found & postings.of_day[day]
            if slots:
                of_day = sorted(Ranked(0, postings.dates[slot], postings.event_ids[slot]) for slot in slots)
                chosen += [one for one in of_day if after is None or one.key > after.key]
                if len(chosen) >= limit:
                    break
        return chosen[:limit]

    def by_score(
        self, found: BitMap, now: int, limit: int, after: Ranked | None, *, every: bool, ranked_max: int
    ) -> list[Ranked]:
        """The next of the events that `found` gave, the best first."""
        ranked = BitMap()
        for one in [found] if every else [group.every & found for group in self._groups]:
            ranked |= self._soonest(one, now, ranked_max)
        if len(ranked) < len(found):
            for column in WHOLE_OF:
                ranked |= self._whole(found, column)
        scores = self._scores(ranked, now)
        dates, event_ids = self._postings.dates, self._postings.event_ids
        order = sorted((-score, dates[slot], event_ids[slot]) for slot, score in scores.items())
        at = 0 if after is None else bisect_right(order, after.key)
        return [Ranked(-score, date, event_id) for score, date, event_id in order[at : at + limit]]

    def _soonest(self, found: BitMap, now: int, count: int) -> BitMap:
        """The next so many of the events from now on, and then those that were last."""
        if len(found) <= count:
            return found
        postings = self._postings
        today = now // DAY
        at = bisect_left(postings.days, today)
        chosen = BitMap()
        for day in (*postings.days[at:], *reversed(postings.days[:at])):
            slots = found & postings.of_day[day]
            if len(chosen) + len(slots) > count:
                dates = postings.dates
                soonest = sorted(slots, key=lambda slot: (dates[slot] < now, abs(dates[slot] - now)))
                chosen |= BitMap(soonest[: count - len(chosen)])
            else:
                chosen |= slots
            if len(chosen) == count:
                break
        return chosen

    def _whole(self, found: BitMap, column: str) -> BitMap:
        """The events of which this text is the whole search."""
        postings, asked = self._postings, self._key.split()
        of_word = postings.of_word[PLACE_OF_KEY[column]]
        sets = [of_word[word] for word in asked if word in of_word]
        if not asked or len(sets) < len(asked):
            return BitMap()
        keys, key = postings.keys[column], hash(self._key)
        return BitMap(slot for slot in BitMap.intersection(found, *sets) if keys[slot] == key)

    def _scores(self, ranked: BitMap, now: int) -> dict[int, int]:
        """For each slot what `db.search.statements` says of it."""
        parts = len(self._groups)
        scores = self._standings(ranked, now, parts)
        for group in self._groups:
            rest = ranked
            for level, slots in group.levels:
                hit = rest & slots
                if hit:
                    for slot in hit:
                        scores[slot] += level
                    rest = rest - hit
        rest = ranked
        for column, worth in WHOLE_OF.items():
            whole = self._whole(rest, column)
            for slot in whole:
                scores[slot] += parts * worth
            rest = rest - whole
        return scores

    def _standings(self, ranked: BitMap, now: int, parts: int) -> dict[int, int]:
        """For each slot what it has before an event that has begun, as often as the search has words."""
        postings = self._postings
        dates, off_sale, on_sale = postings.dates, postings.off_sale, postings.on_sale
        over, taken, coming, on_now = (parts * (LOST_MOST - lost) for lost in (*STANDINGS, 0))
        cancelled, full = ranked & postings.cancelled, ranked - postings.available
        return {
            slot: 0
            if dates[slot] < now
            else over
            if off_sale[slot] <= now or slot in cancelled
            else taken
            if slot in full
            else coming
            if on_sale[slot] > now
            else on_now
            for slot in ranked
        }

    def _counted(self, found: BitMap, values: Sequence[Any], of_value: Mapping[Any, BitMap]) -> Mapping[Any, int]:
        """How many of the events have each value: by event where they are few, and by value where these are fewer."""
        if len(found) <= EVENTS_A_VALUE * len(of_value):
            return Counter(map(values.__getitem__, found))
        return {value: found.intersection_cardinality(one) for value, one in of_value.items()}

    def facets(self, found: BitMap) -> Facets:
        """How many events there are of each kind. None is left out, however many there are."""
        postings = self._postings
        towns = self._counted(found, postings.towns, postings.of_value["town"])
        months = self._counted(found, postings.months, postings.of_value["month"])
        prices = self._counted(found, postings.bands, postings.of_value["band"])
        return Facets(
            total=len(found),
            towns=sorted(
                ((town, count) for town, count in towns.items() if town and count), key=lambda one: (-one[1], one[0])
            )[:FACET_VALUES_MAX],
            months=sorted((month, count) for month, count in months.items() if count)[:FACET_VALUES_MAX],
            prices=sorted((currency, band, count) for (currency, band), count in prices.items() if count),
            available=found.intersection_cardinality(postings.available),
        )
