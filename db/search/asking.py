"""What a search asks for: its words with all that they may stand for, and how much each of these is worth."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import Final

from rapidfuzz.distance import OSA, Prefix

from db.search.dates import date_meanings, take_dates
from db.search.folding import words
from db.search.terms import Where, lexeme

WORDS_MAX: Final = 8
"""Further words of a search are left out."""

_SMALL_WORDS: Final = """
a an and the of in on at to for with by live der die das und im am von zu mit bei le la les et du de des au en el los
las y del al
"""
OPTIONAL: Final = frozenset(_SMALL_WORDS.split())
"""Words that say nothing beside others."""

NEAR_MIN: Final = 4
"""A shorter word is never taken for a misspelt one."""

WITHIN_MIN: Final = 4
"""A shorter word is not looked for within others, except at their beginning."""

PREFIX_MIN: Final = 2
STEM_MIN: Final = 6
ENDING_MAX: Final = 3
"""Words that begin with `STEM_MIN` letters alike, and have other endings of so many letters, are forms of one word."""

EXACT, BEGINS, DATE, NEAR, WITHIN, FURTHER, FORM = 100, 85, 80, 70, 60, 45, 40
"""What a meaning is worth: the word itself, the beginning of one, a date, one letter off, within one, two off, and
another form of it.
"""

WORTH_OF_PLACE: Final[Mapping[Where, int]] = {Where.ARTIST: 100, Where.NAME: 95, Where.VENUE: 90, Where.TAG: 75}
"""What a word is worth by where it stands in the event, in hundredths."""


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a word may stand for: an event's word, or with ``begins`` any that begins so. ``worth`` is of 100."""

    word: str
    worth: int
    begins: bool = False

    def query(self, where: str = "") -> str:
        """The meaning as a part of a ``tsquery``, in these places (letters of `Where`) only."""
        flags = f"{where}{'*' if self.begins else ''}"
        return f"{lexeme(self.word)}:{flags}" if flags else lexeme(self.word)


@dataclass(frozen=True, slots=True)
class Asked:
    """The words of a search, each with its meanings; ``key`` is the whole text folded."""

    key: str
    groups: tuple[tuple[Meaning, ...], ...]

    def query(self, *, every: bool) -> str:
        """The ``tsquery`` that finds events with every word, or with any of them."""
        return (" & " if every else " | ").join(f"({one})" for one in self.queries())

    def queries(self) -> list[str]:
        """For each word the ``tsquery`` that finds events with it."""
        return [" | ".join(meaning.query() for meaning in _needed(group)) for group in self.groups]


def _needed(group: Sequence[Meaning]) -> list[Meaning]:
    """The meanings without those that the beginning of a word finds as well, which Postgres would look up twice."""
    begun = tuple(meaning.word for meaning in group if meaning.begins)
    return [meaning for meaning in group if meaning.begins or not meaning.word.startswith(begun)]


@dataclass(frozen=True, slots=True)
class Typed:
    """A search text in its words. ``joined`` are two neighbours as one word, each with the first one's index."""

    words: tuple[str, ...]
    dates: tuple[str, ...]
    joined: tuple[tuple[int, str], ...]


def typed(text: str) -> Typed:
    """The words of a search text."""
    dated = take_dates(text)
    found = list(dict.fromkeys(words(dated.text)))
    telling = [word for word in found if word not in OPTIONAL] or ([] if dated.dates else found)
    kept = telling[:WORDS_MAX]
    joined = tuple((index, left + right) for index, (left, right) in enumerate(pairwise(kept)))
    return Typed(tuple(kept), dated.dates, joined)


def asked(what: Typed, like: Mapping[str, Iterable[str]]) -> Asked:
    """The words with their meanings.

    Args:
        like: for each word, joined ones too, the words of events that are spelt like it, itself too if it is one.
    """
    groups = [_meanings(word, set(like.get(word, ()))) for word in what.words]
    for index, word in what.joined:
        if word in like.get(word, ()):
            for group in groups[index : index + 2]:
                group.append(Meaning(word, EXACT))
    for first, behind, date in date_meanings(what.words):
        for group in groups[first:behind]:
            group.append(Meaning(date, DATE))
    dates = [[Meaning(date, EXACT)] for date in what.dates]
    ordered = [tuple(sorted(group, key=lambda one: -one.worth)) for group in (*groups, *dates)]
    return Asked(" ".join(what.words), tuple(ordered))


def may_be_misspelt(word: str) -> bool:
    """Whether a word that no event has may stand for one that is spelt like it."""
    return len(word) >= NEAR_MIN and not any(one.isdigit() for one in word)


def is_like(word: str, other: str) -> bool:
    """Whether a word that was typed, or begun, may stand for the other."""
    return (
        other.startswith(word)
        or (len(word) >= WITHIN_MIN and word in other)
        or any(_off(word, begun) for begun in {other, other[: len(word)]})
        or _is_form(word, other)
    )


def off_max(word: str) -> int:
    """By how many letters a word may differ from the one that is meant."""
    return 1 if len(word) < 6 else 2


def _meanings(word: str, like: set[str]) -> list[Meaning]:
    found = [Meaning(word, EXACT)]
    if len(word) >= PREFIX_MIN or not word.isascii():
        found.append(Meaning(word, BEGINS, begins=True))
    is_known = word in like
    for other in sorted(like):
        if other.startswith(word):
            continue
        if word in other and len(word) >= WITHIN_MIN:
            found.append(Meaning(other, WITHIN))
        elif not is_known and (off := _off(word, other)):
            found.append(Meaning(other, NEAR if off == 1 else FURTHER))
        elif not is_known and _is_form(word, other):
            found.append(Meaning(other, FORM))
    return found


def _off(word: str, other: str) -> int:
    """By how many letters the words differ, two neighbours that changed places counting once; 0: by too many."""
    if not may_be_misspelt(word):
        return 0
    most = off_max(word)
    off = int(OSA.distance(word, other, score_cutoff=most))
    return off if off <= most else 0


def _is_form(word: str, other: str) -> bool:
    stem = int(Prefix.similarity(word, other))
    return stem >= STEM_MIN and max(len(word), len(other)) - stem <= ENDING_MAX


LEVELS: Final = (1000, 950, 900, 850, 750, 650, 550, 400)
"""What a word can be worth in an event, of 1000. A statement asks for each in turn (`db.search.statements`)."""


@cache
def level_of(worth: float) -> int:
    """The nearest of `LEVELS`."""
    return min(LEVELS, key=lambda level: abs(level - worth))


def scored(what: Asked) -> list[list[str | None]]:
    """For each word and each of `LEVELS` the ``tsquery`` of the events in which the word is worth so much; None where
    there is no way to be.
    """
    found = []
    for group in what.groups:
        levels: list[list[str]] = [[] for _ in LEVELS]
        for meaning in group:
            for where, of_place in WORTH_OF_PLACE.items():
                level = level_of(meaning.worth * of_place / 10)
                levels[LEVELS.index(level)].append(meaning.query(where.value))
        found.append([" | ".join(queries) or None for queries in levels])
    return found
