"""What a fan, or the sweep, asks of the booking engine; and the batch they travel in.

Commands travel as msgpack inside RQ jobs: typed, small, and unable to run code in a worker.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Mapping
from typing import ClassVar, Final, TypedDict, get_args

import msgspec

from db.booking.seats import Seat
from db.ids import uuid7

_IDEMPOTENT = uuid.UUID("5e0e8f6c-6b1f-5a58-9d4b-6b6f1c9d2a11")


class BestAvailable(msgspec.Struct, frozen=True, array_like=True):
    """So many adjacent seats in one row of a ticket type, chosen by the engine inside the lock."""

    ticket_type_id: int
    quantity: int


class _Command(msgspec.Struct, frozen=True, kw_only=True, tag_field="k", omit_defaults=True):
    """Fields of every command; those of its own say what is asked.

    ``received_at_ms`` and ``deadline_ms`` are milliseconds of the jobs' Redis' clock; a command that no
    transaction has applied by its deadline is recorded as ``timed_out`` and changes nothing.
    ``body_hash`` tells a retry from another request under the same Idempotency-Key. ``trace`` is the request's
    ``traceparent`` where it is traced (`booking_lane.tracing`); a worker that does not know it passes over it.
    """

    command_id: uuid.UUID
    event_id: int
    user_id: int
    received_at_ms: int
    deadline_ms: int
    body_hash: bytes = b""
    trace: str = ""

    is_recorded: ClassVar[bool] = True
    """Whether somebody waits for its outcome, which is recorded; the struct of its result is in `RESULTS`."""


class Stamp(TypedDict):
    """The fields that a gateway's desk fills in as a command leaves."""

    command_id: uuid.UUID
    received_at_ms: int
    deadline_ms: int


UNSTAMPED: Final[Stamp] = {"command_id": uuid.UUID(int=0), "received_at_ms": 0, "deadline_ms": 0}
"""For a command that says what a fan asks, and has not left yet."""


class Reserve(_Command, frozen=True, kw_only=True, tag="reserve"):
    """Hold seats: either these (sorted, distinct) or the best available."""

    seats: tuple[Seat, ...] = ()
    best_available: BestAvailable | None = None


class Checkout(_Command, frozen=True, kw_only=True, tag="checkout"):
    """Buy a hold, named by exactly its seats (sorted) or by its id."""

    seats: tuple[Seat, ...] = ()
    reservation_id: uuid.UUID | None = None


class Release(_Command, frozen=True, kw_only=True, tag="release"):
    """Give a hold back before its end."""

    reservation_id: uuid.UUID


class Cancel(_Command, frozen=True, kw_only=True, tag="cancel"):
    """Give bought seats back: these (sorted, distinct), or all that are left of the purchase."""

    purchase_id: uuid.UUID
    seats: tuple[Seat, ...] = ()


class Sweep(_Command, frozen=True, kw_only=True, tag="sweep"):
    """Give back the seats of the event's lapsed holds. Nobody waits for it."""

    is_recorded = False


Command = Reserve | Checkout | Release | Cancel | Sweep


class Batch(msgspec.Struct, frozen=True, array_like=True):
    """One RQ job's commands, in order of arrival at gateway ``origin``, and the ``traceparent`` of their way here."""

    batch_id: uuid.UUID
    origin: str
    lane: int
    commands: tuple[Command, ...]
    trace: str = ""


class Outcome(msgspec.Struct, frozen=True, array_like=True):
    """A command's answer: ``body`` is JSON, `{"status": "succeeded", "result": …}` or
    `{"status": "failed", "problem": …}`, as Postgres keeps it and the API repeats it."""

    command_id: uuid.UUID
    event_id: int
    user_id: int
    kind: str
    body_hash: bytes
    body: bytes


KINDS: Final[Mapping[type[Command], str]] = {
    command: str(command.__struct_config__.tag) for command in get_args(Command)
}
"""Each command's kind: its word on the wire, in records, figures and traces, and the name of its engine module."""

_ASKED: Final[Mapping[type[Command], tuple[str, ...]]] = {
    command: command.__struct_fields__[len(_Command.__struct_fields__) :] for command in KINDS
}


def command_id_new() -> uuid.UUID:
    """A new command's id; ids sort by the time they were made."""
    return uuid7()


def command_id_for(user_id: int, idempotency_key: str) -> uuid.UUID:
    """The one command id of a fan's Idempotency-Key, so that any gateway finds its first outcome."""
    return uuid.uuid5(_IDEMPOTENT, f"{user_id}:{idempotency_key}")


def body_hash(command: Command) -> bytes:
    """16 bytes that differ when another thing is asked under the same key. Only what a fan asks of the engine is a
    part: neither the fields that the desk fills in, nor the captcha's token.
    """
    kind = type(command)
    parts = (command.event_id, *[getattr(command, name) for name in _ASKED[kind]])
    return hashlib.blake2b(msgspec.msgpack.encode((KINDS[kind], parts)), digest_size=16).digest()


encode_batch = msgspec.msgpack.Encoder().encode
decode_batch = msgspec.msgpack.Decoder(Batch).decode
