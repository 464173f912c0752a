"""The commands that fans, operators and the sweep send to the booking engine, and the batches that carry them.

Commands travel as msgpack inside RQ jobs. They are typed and small, and cannot run code in a worker.
"""

from __future__ import annotations

import enum
import hashlib
import uuid
from collections.abc import Mapping
from typing import ClassVar, Final, TypedDict, get_args

import msgspec

from db.booking.seats import Seat
from db.ids import uuid7

_IDEMPOTENT = uuid.UUID("5e0e8f6c-6b1f-5a58-9d4b-6b6f1c9d2a11")


class BestAvailable(msgspec.Struct, frozen=True, array_like=True):
    """``quantity`` adjacent seats in one row of a ticket type, which the engine chooses while it holds the lock."""

    ticket_type_id: int
    quantity: int


class _Command(msgspec.Struct, frozen=True, kw_only=True, tag_field="k", omit_defaults=True):
    """The fields of every command. The fields that a kind of command adds are its own parameters.

    ``received_at_ms`` and ``deadline_ms`` are on the clock of the jobs' Redis. A command that no transaction has
    applied by its deadline is recorded as ``timed_out`` and changes nothing. ``body_hash`` distinguishes a retry from
    another request with the same Idempotency-Key. ``trace`` is the ``traceparent`` of a traced request
    (`booking_lane.tracing`); a worker that does not know the field ignores it. ``network`` is the address prefix that
    counts the fan (empty: none does), and ``proof`` how well the fan proved to be a person: one of `Proof`.
    """

    command_id: uuid.UUID
    event_id: int
    user_id: int
    received_at_ms: int
    deadline_ms: int
    body_hash: bytes = b""
    trace: str = ""
    network: str = ""
    proof: int = 0

    is_recorded: ClassVar[bool] = True
    """Whether its outcome is recorded, because a request waits for it; the type of its result is in `RESULTS`."""


class Proof(enum.IntEnum):
    """How well a command's fan proved to be a person. A proof counts if it was bound to this fan's session."""

    NONE = 0
    STANDS = 1
    """The fan gave one for an earlier request of this event."""
    FRESH = 2
    """The fan gave one with this request."""


class Stamp(TypedDict):
    """The fields that a gateway's desk sets when it sends a command."""

    command_id: uuid.UUID
    received_at_ms: int
    deadline_ms: int


UNSTAMPED: Final[Stamp] = {"command_id": uuid.UUID(int=0), "received_at_ms": 0, "deadline_ms": 0}
"""The stamp of a command that was not sent yet."""


class Reserve(_Command, frozen=True, kw_only=True, tag="reserve"):
    """Hold seats: either ``seats`` (sorted, distinct) or the best available, of which one is to be an accessible seat
    if ``accessible`` is set.
    """

    seats: tuple[Seat, ...] = ()
    best_available: BestAvailable | None = None
    accessible: bool = False


class Checkout(_Command, frozen=True, kw_only=True, tag="checkout"):
    """Buy a hold, named by exactly its seats (sorted) or by its id.

    ``vouchers`` are the hashes of the one voucher that it is bought with, by each key that the site has.
    """

    seats: tuple[Seat, ...] = ()
    reservation_id: uuid.UUID | None = None
    vouchers: tuple[bytes, ...] = ()


class Release(_Command, frozen=True, kw_only=True, tag="release"):
    """Give a hold back before its end."""

    reservation_id: uuid.UUID


class Extend(_Command, frozen=True, kw_only=True, tag="extend"):
    """Let a fan's hold last ``seconds`` longer. An operator asks for it, in the fan's name."""

    reservation_id: uuid.UUID
    seconds: int


class Cancel(_Command, frozen=True, kw_only=True, tag="cancel"):
    """Give bought seats back: ``seats`` (sorted, distinct), or all that are left of the purchase if it is empty.

    ``by_venue``: an operator asks for it, in the fan's name, so it is never too late and no fee is kept.
    """

    purchase_id: uuid.UUID
    seats: tuple[Seat, ...] = ()
    by_venue: bool = False


class Give(_Command, frozen=True, kw_only=True, tag="give"):
    """Give free ``seats`` (sorted, distinct) away as complimentary tickets. The operator ``given_by`` asks for it, in
    the name of a new fan; ``reservation_id`` is that of the hold that it makes and buys.
    """

    reservation_id: uuid.UUID
    seats: tuple[Seat, ...]
    given_by: str


class Take(_Command, frozen=True, kw_only=True, tag="take"):
    """Take the ticket of a seat of another fan's purchase, by a link that its holder gave. ``issue_number`` is the
    ticket's when the link was made.
    """

    purchase_id: uuid.UUID
    seat: Seat
    issue_number: int


class Wait(_Command, frozen=True, kw_only=True, tag="wait"):
    """Enter the waiting list of a sold-out event, for ``quantity`` seats of a ticket type."""

    ticket_type_id: int
    quantity: int


class Leave(_Command, frozen=True, kw_only=True, tag="leave"):
    """Leave the waiting list, or decline the seats that were offered."""


class Sweep(_Command, frozen=True, kw_only=True, tag="sweep"):
    """Give back the seats of the event's lapsed holds, and offer what is free to those who wait. No request waits for
    the outcome.
    """

    is_recorded = False


class Confirm(_Command, frozen=True, kw_only=True, tag="confirm"):
    """A payment came: book its hold, or pay it back. The checkouts that wait for it get their outcome.

    ``seats`` are the hold's, which may be free again.
    """

    payment_id: uuid.UUID
    reservation_id: uuid.UUID
    seats: tuple[Seat, ...] = ()

    is_recorded = False


class Fail(_Command, frozen=True, kw_only=True, tag="fail"):
    """A payment ended without money: the checkouts that wait for it fail. The seats stay held until the hold ends;
    those that were kept for a bank are free at once.
    """

    payment_id: uuid.UUID
    reservation_id: uuid.UUID

    is_recorded = False


class Keep(_Command, frozen=True, kw_only=True, tag="keep"):
    """The fan has paid, and a bank takes days for it: the hold lasts as long as the event's payment term."""

    payment_id: uuid.UUID
    reservation_id: uuid.UUID

    is_recorded = False


class Merge(_Command, frozen=True, kw_only=True, tag="merge"):
    """Give the fan all that another fan has of the event, because the accounts of the two were joined: they are one
    person. A lane's sweep makes it, so it travels with sweeps alone. It may be applied any number of times: it moves
    what is there.
    """

    from_user_id: int

    is_recorded = False


Command = (
    Reserve | Checkout | Release | Extend | Cancel | Give | Take | Wait | Leave | Sweep | Confirm | Fail | Keep | Merge
)


class Batch(msgspec.Struct, frozen=True, array_like=True):
    """The commands of one RQ job, in the order of their arrival at the gateway ``origin``; ``trace`` is the
    ``traceparent`` of their enqueueing.
    """

    batch_id: uuid.UUID
    origin: str
    lane: int
    commands: tuple[Command, ...]
    trace: str = ""


class Outcome(msgspec.Struct, frozen=True, array_like=True):
    """What became of a command. ``body`` is the JSON that Postgres records and the API sends:
    `{"status": "succeeded", "result": …}` or `{"status": "failed", "problem": …}`.
    """

    command_id: uuid.UUID
    event_id: int
    user_id: int
    kind: str
    body_hash: bytes
    body: bytes


class Awaiting(msgspec.Struct, frozen=True, array_like=True):
    """A checkout whose outcome comes with its payment. ``payment_until_us`` is the payment's end in Unix microseconds,
    and ``is_processing``: a bank works on it, for the event's payment term.
    """

    command_id: uuid.UUID
    event_id: int
    user_id: int
    kind: str
    body_hash: bytes
    payment_id: uuid.UUID
    payment_until_us: int = 0
    is_processing: bool = False


KINDS: Final[Mapping[type[Command], str]] = {
    command: str(command.__struct_config__.tag) for command in get_args(Command)
}
"""Each command's kind: its word on the wire, in records, figures and traces, and the name of its engine module."""

_PARAMETERS: Final[Mapping[type[Command], tuple[str, ...]]] = {
    command: command.__struct_fields__[len(_Command.__struct_fields__) :] for command in KINDS
}


_ADDED: Final = frozenset({"accessible", "vouchers", "by_venue"})
"""Parameters that came after the first release. With their default they are not hashed, so that a request that is sent
again after an upgrade has the hash of the first.
"""


def command_id_new() -> uuid.UUID:
    """A new command's id; ids sort by the time they were made."""
    return uuid7()


def command_id_for(user_id: int, idempotency_key: str) -> uuid.UUID:
    """The command id of a fan's Idempotency-Key. It is always the same, so that any gateway finds the first outcome."""
    return uuid.uuid5(_IDEMPOTENT, f"{user_id}:{idempotency_key}")


def body_hash(command: Command) -> bytes:
    """16 bytes that differ for different commands. The event and the command's own parameters go into the hash, but
    neither the fields that the desk sets nor the captcha's token.
    """
    kind = type(command)
    values = [(name, getattr(command, name)) for name in _PARAMETERS[kind]]
    parts = (command.event_id, *[value for name, value in values if value or name not in _ADDED])
    return hashlib.blake2b(msgspec.msgpack.encode((KINDS[kind], parts)), digest_size=16).digest()


encode_batch = msgspec.msgpack.Encoder().encode
decode_batch = msgspec.msgpack.Decoder(Batch).decode
