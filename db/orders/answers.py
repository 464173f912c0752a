"""What fans told of themselves before they bought: written by gateways by the hold, read by the purchase.

Names and answers are one sealed text, the mail address is sealed as all addresses are. A name is found by keyed hashes
of its words (ADR 89).
"""

from __future__ import annotations

import re
import unicodedata
import uuid
from collections.abc import Iterable
from typing import Any, Final, LiteralString, NamedTuple

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from db.booking.seats import Seat
from db.messages.addresses import stored
from db.sealing.keyring import SealedField, keyring

NAME_CHARS_MAX: Final = 120
WORDS_MAX: Final = 200
_word: Final = re.compile(r"\w+")


class Attendee(msgspec.Struct, frozen=True, rename="camel"):
    """Who is to sit on a seat."""

    ticket_type_id: int
    row_number: int
    seat_number: int
    name: str

    @property
    def seat(self) -> Seat:
        return self.ticket_type_id, self.row_number, self.seat_number


class Answer(msgspec.Struct, frozen=True, rename="camel"):
    """An answer beside the question as the fan read it."""

    question_id: int
    question: str
    answer: str


class Content(msgspec.Struct, frozen=True, rename="camel"):
    """The part of the answers that is sealed as one text. ``address`` is where the fan lives, for the invoice."""

    name: str
    attendees: tuple[Attendee, ...] = ()
    answers: tuple[Answer, ...] = ()
    address: str = ""


class Hold(NamedTuple):
    """The hold whose fan answers."""

    event_id: int
    reservation_id: uuid.UUID
    user_id: int


KEEP: Final[LiteralString] = """
INSERT INTO order_answers AS a (event_id, reservation_id, user_id, address, address_hash, content, words,
                                terms_version, language)
VALUES (%(event_id)s, %(reservation_id)s, %(user_id)s, %(sealed)s, %(hash)s, %(content)s, %(words)s,
        %(terms_version)s, %(language)s)
    ON CONFLICT (reservation_id, event_id) DO UPDATE
   SET address = excluded.address, address_hash = excluded.address_hash, content = excluded.content,
       words = excluded.words, terms_version = excluded.terms_version, language = excluded.language
 WHERE a.user_id = excluded.user_id
"""

HAS: Final[LiteralString] = """
SELECT EXISTS (
    SELECT 1
      FROM order_answers
     WHERE reservation_id = %(reservation_id)s AND event_id = %(event_id)s AND user_id = %(user_id)s
       AND terms_version >= %(terms_version)s)
"""

FORGET_ONE: Final[LiteralString] = """
DELETE FROM order_answers
 WHERE reservation_id = %(reservation_id)s AND event_id = %(event_id)s AND user_id = %(user_id)s
"""

FORGET_UNBOUGHT: Final[LiteralString] = """
DELETE FROM order_answers a
 USING (SELECT o.reservation_id, o.event_id
          FROM order_answers o
         WHERE o.made_at < clock_timestamp() - make_interval(hours => %(keep_hours)s)
           AND NOT EXISTS (SELECT
                             FROM purchase p
                            WHERE p.user_id = o.user_id AND p.event_id = o.event_id
                              AND p.reservation_id = o.reservation_id)
           AND NOT EXISTS (SELECT
                             FROM payment y
                            WHERE y.reservation_id = o.reservation_id AND y.event_id = o.event_id
                              AND y.state IN ('new', 'open'))
         LIMIT %(rows_max)s) AS old
 WHERE a.reservation_id = old.reservation_id AND a.event_id = old.event_id
"""
"""Forgets the answers of holds that were not bought, nor are being paid, which may take a bank days."""

FORGET_PAST: Final[LiteralString] = """
DELETE FROM order_answers a
 USING (SELECT o.reservation_id, o.event_id
          FROM event e
          JOIN order_answers o USING (event_id)
         WHERE e.date < clock_timestamp() - make_interval(hours => %(keep_hours)s)
         LIMIT %(rows_max)s) AS old
 WHERE a.reservation_id = old.reservation_id AND a.event_id = old.event_id
"""
"""Forgets the answers of events that were long ago."""


def words_of(texts: Iterable[str]) -> list[bytes]:
    """The hashes by which names are found: of each word, in small letters and without accents."""
    found = {word for text in texts for word in _word.findall(_plain(text))}
    return [keyring().lookup(SealedField.ORDER, word) for word in sorted(found)[:WORDS_MAX]]


def _plain(text: str) -> str:
    parts = unicodedata.normalize("NFKD", text.casefold())
    return "".join(char for char in parts if not unicodedata.combining(char))


def words_in(content: Content) -> list[bytes]:
    """The hashes of all names of an order."""
    return words_of([content.name, *[one.name for one in content.attendees]])


def seal(content: Content) -> str:
    """The content as it is stored."""
    return keyring().seal(SealedField.ORDER, msgspec.json.encode(content).decode())


def open_content(sealed: str) -> Content:
    """The content of a row.

    Raises:
        SealError: no key of this site opens it.
    """
    return msgspec.json.decode(open_text(sealed), type=Content)


def open_text(sealed: str) -> str:
    """The content of a row as JSON.

    Raises:
        SealError: no key of this site opens it.
    """
    return keyring().open(SealedField.ORDER, sealed)


async def keep_answers(
    connection: AsyncConnection, hold: Hold, mail: str, content: Content, *, terms_version: int, language: str
) -> None:
    """Write what the fan of a hold answered, in the place of what was answered before."""
    which: dict[str, Any] = {
        **hold._asdict(),
        **stored(mail)._asdict(),
        "content": seal(content),
        "words": words_in(content),
        "terms_version": terms_version,
        "language": language,
    }
    await connection.exec_driver_sql(KEEP, which)


async def has_answers(connection: AsyncConnection, hold: Hold, terms_version: int) -> bool:
    """Whether the fan of a hold has answered, and agreed to these terms or later ones."""
    found = await connection.exec_driver_sql(HAS, {**hold._asdict(), "terms_version": terms_version})
    return bool(found.scalar_one())
