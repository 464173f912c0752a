"""Pictures of events and of hall plans: kept once by their hash, and forgotten when none has shown them for a day.

Each use notes its time on the picture's row. So a picture that is being given to an event and being forgotten at the
same moment is one or the other: Postgres lets the second wait for the first, and then looks at the row anew.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, LiteralString

import psycopg

UNUSED_HOURS_MAX: Final = 24
"""An uploaded picture waits for so long to be given to an event."""
FORGOTTEN_AT_ONCE_MAX: Final = 100

KEEP: Final = """
INSERT INTO picture (hash, large, small, card, width, height)
VALUES (%(hash)s, %(large)s, %(small)s, %(card)s, %(width)s, %(height)s)
ON CONFLICT (hash) DO UPDATE SET used_at = clock_timestamp()
"""

USE: Final = """
UPDATE picture SET used_at = clock_timestamp() WHERE hash = %(hash)s
"""

FORGET: Final = """
DELETE FROM picture
 WHERE hash IN (SELECT p.hash
                  FROM picture p
                 WHERE p.used_at < clock_timestamp() - make_interval(hours => %(hours)s)
                   AND NOT EXISTS (SELECT FROM event e WHERE e.picture_hash = p.hash)
                   AND NOT EXISTS (SELECT FROM event_plan e WHERE e.picture_hash = p.hash)
                 LIMIT %(rows_max)s)
   AND used_at < clock_timestamp() - make_interval(hours => %(hours)s)
"""

READ: Final[dict[str, LiteralString]] = {
    "large": "SELECT large FROM picture WHERE hash = :hash",
    "small": "SELECT small FROM picture WHERE hash = :hash",
    "card": "SELECT card FROM picture WHERE hash = :hash",
}
"""By the form in which a picture is served."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureForms:
    """A picture in the forms in which it is served; ``width`` and ``height`` are those of ``large``, in pixels."""

    hash: str
    large: bytes
    small: bytes
    card: bytes
    width: int
    height: int


def keep_picture(connection: psycopg.Connection, forms: PictureForms) -> None:
    """Store the picture unless it is there, and forget some that nothing shows any more."""
    forget_unused(connection)
    connection.execute(KEEP, {name: getattr(forms, name) for name in PictureForms.__dataclass_fields__})


def use_picture(connection: psycopg.Connection, picture_hash: str) -> bool:
    """Whether there is such a picture, which then stays until the connection's transaction has given it to an event."""
    return connection.execute(USE, {"hash": picture_hash}).rowcount == 1


def forget_unused(connection: psycopg.Connection) -> int:
    """Delete pictures that no event and no plan has shown for `UNUSED_HOURS_MAX`; returns how many."""
    return connection.execute(FORGET, {"hours": UNUSED_HOURS_MAX, "rows_max": FORGOTTEN_AT_ONCE_MAX}).rowcount
