"""The words of all events in memory, and which of them a word that a fan typed may be spelt like."""

from __future__ import annotations

import string
from bisect import bisect_left, insort
from collections.abc import Iterator
from typing import Final

from pyroaring import BitMap
from rapidfuzz import process
from rapidfuzz.distance import OSA

from db.search.asking import ENDING_MAX, STEM_MIN, WITHIN_MIN, Asked, asked, may_be_misspelt, off_max, typed
from db.search.dates import date_meanings

LETTERS: Final = string.ascii_lowercase + string.digits
"""All that words are made of once they are folded, but for Kanji and kana."""

LIKE_MAX: Final = 24
"""So many words at most are taken for what another one may mean, the likest of them."""


class Spellings:
    """The words of events. A word stays when its last event is gone."""

    def __init__(self) -> None:
        self._ordered: list[str] = []
        self._known: set[str] = set()
        self._by_end: dict[str, list[str]] = {}
        self._numbered: list[str] = []
        self._of_part: dict[str, BitMap] = {}
        """By three letters, the numbers of the words in which they stand behind the first one."""

    def __contains__(self, word: str) -> bool:
        return word in self._known

    def add(self, word: str) -> None:
        """Add a word, which may be here already."""
        if word not in self._known:
            self._known.add(word)
            insort(self._ordered, word)
            for end in _ends(word):
                self._by_end.setdefault(end, []).append(word)
            for part in _parts(word[1:]):
                if part in self._of_part:
                    self._of_part[part].add(len(self._numbered))
                else:
                    self._of_part[part] = BitMap((len(self._numbered),))
            self._numbered.append(word)

    def beginning(self, begins: str) -> Iterator[str]:
        """The words that begin so, in order."""
        at = bisect_left(self._ordered, begins)
        while at < len(self._ordered) and (word := self._ordered[at]).startswith(begins):
            yield word
            at += 1

    def asked(self, text: str) -> Asked | None:
        """The words of a search text with all that they may stand for; None where there is no word in it."""
        what = typed(text)
        like = {word: [word] for _, word in what.joined if word in self}
        like.update((word, list(self._like(word))) for word in what.words)
        meant = asked(what, like)
        return meant if meant.groups else None

    def _like(self, word: str) -> Iterator[str]:
        if len(word) >= WITHIN_MIN:
            yield from self._with(word)
        if word in self:
            yield word
        elif may_be_misspelt(word):
            yield from self._near(word)
            yield from self._forms(word)

    def _with(self, part: str) -> list[str]:
        """The words in which the part stands behind their beginning, the shortest first."""
        sets = [self._of_part[one] for one in _parts(part) if one in self._of_part]
        if len(sets) < len(part) - 2:
            return []
        found = [word for word in map(self._numbered.__getitem__, BitMap.intersection(*sets)) if part in word[1:]]
        return sorted(found, key=lambda one: (len(one), one))[:LIKE_MAX]

    def _near(self, word: str) -> list[str]:
        """The words with a letter more, less, other or at another place; where there is none, two letters."""
        near = sorted(_one_letter_off(word) & self._known)
        if near or off_max(word) < 2 or self._begins_one(word) or date_meanings([word]):
            return near[:LIKE_MAX]
        alike = {one for end in _ends(word) for one in self._by_end.get(end, ()) if abs(len(one) - len(word)) <= 2}
        found = process.extract(word, alike, scorer=OSA.distance, score_cutoff=2, limit=LIKE_MAX)
        return sorted(one for one, *_ in found)

    def _begins_one(self, word: str) -> bool:
        return next(self.beginning(word), None) is not None

    def _forms(self, word: str) -> list[str]:
        """The words that begin alike and end otherwise."""
        if len(word) < STEM_MIN:
            return []
        stem = word[: max(STEM_MIN, len(word) - ENDING_MAX)]
        alike = (one for one in self.beginning(stem) if len(one) - len(stem) <= 2 * ENDING_MAX)
        return sorted(alike, key=lambda one: (abs(len(one) - len(word)), one))[:LIKE_MAX]


def _ends(word: str) -> tuple[str, str]:
    """The beginning and the end of a word. Most words that are two letters off another have one of the two alike."""
    return f"{word[:2]}-", f"-{word[-2:]}"


def _parts(word: str) -> Iterator[str]:
    """Each three letters that follow each other."""
    return (word[at : at + 3] for at in range(len(word) - 2))


def _one_letter_off(word: str) -> set[str]:
    cuts = [(word[:at], word[at:]) for at in range(len(word) + 1)]
    found = {left + right[1:] for left, right in cuts if right}
    found.update([left + right[1] + right[0] + right[2:] for left, right in cuts if len(right) > 1])
    for left, right in cuts:
        rest = right[1:]
        found.update([left + letter + right for letter in LETTERS])
        if right:
            found.update([left + letter + rest for letter in LETTERS])
    return found
