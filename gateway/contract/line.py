"""Bodies and answers of the line: join, place, draw, receipt."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from gateway.contract.values import NO_NUL, AnswerBody, CaptchaToken, Moment, RequestBody
from waiting_room.access import CODE_MAX


class JoinBody(RequestBody, kw_only=True):
    """With an ``accessCode`` the place is one of the priority class, also one that is already held."""

    EXAMPLES = ({},)

    captcha_token: CaptchaToken | None = None
    access_code: Annotated[str, Meta(max_length=CODE_MAX, pattern=NO_NUL)] | None = None


class Lobby(AnswerBody, kw_only=True):
    """A lobby to be drawn at the on-sale: ``early`` before it opens, ``drawing`` from the on-sale on.

    ``seed_hash`` is the SHA-256 of the seed, in hexadecimal; ``fan_hash`` stands for the fan in the public list.
    """

    state: Literal["early", "open", "drawing"]
    opens_at: Moment
    on_sale_at: Moment
    seconds_to_on_sale: float
    participants: int
    drawn: int
    seed_hash: str
    fan_hash: str | None


class DrawAnswer(AnswerBody, kw_only=True):
    """A draw as everybody may know it: the seed is told once it is drawn. Hashes and keys are in hexadecimal."""

    event_id: int
    state: Literal["early", "open", "drawing", "drawn"]
    on_sale_at: Moment
    opens_at: Moment
    rule: str
    seed_hash: str
    seed: str | None
    participants: int
    drawn_at: Moment | None
    list_href: str


class DrawList(AnswerBody, kw_only=True):
    """Fan hashes in the drawn order, from number ``first`` on; ``next`` is the number to go on with, if any."""

    first: int
    fan_hashes: tuple[str, ...]
    next: int | None


class ReceiptEntry(AnswerBody, kw_only=True):
    """What happened to the fan: the state that it led to, and why."""

    at: Moment
    state: str
    reason: str


class DrawProof(AnswerBody, kw_only=True):
    """The fan's part in the draw. What is told only afterwards is null before; ``number`` also for who took no part."""

    state: Literal["early", "open", "drawing", "drawn"]
    rule: str
    seed_hash: str
    fan_hash: str
    seed: str | None
    draw_value: str | None
    number: int | None
    participants: int
    href: str


class Receipt(AnswerBody, kw_only=True):
    """A fan's own history, the oldest first, and the proof of the draw where there is a lobby."""

    event_id: int
    user_id: int
    state: str
    entries: tuple[ReceiptEntry, ...]
    draw: DrawProof | None


class StockLeft(AnswerBody, kw_only=True, omit_defaults=True):
    """What is left of all seats. ``mayReturn`` are in other fans' holds, the last of which ends at ``lastHoldEndsAt``;
    both are told where no seat is free."""

    free: int
    held: int
    may_return: int | None = None
    last_hold_ends_at: Moment | None = None


class Place(AnswerBody, kw_only=True):
    """A fan's place, as join, poll and stream tell it. Of ``position`` and ``ahead`` null means: not in line.

    ``linePerMinute`` is how fast the line is forecast to move: while it stays, no estimate rises. With ``mayRunOut``
    the seats would not reach this place if everybody before it took two. ``position`` and ``ahead`` count the fan's own
    class, ``priority`` or not; ``waiting`` and ``linePerMinute`` both.
    """

    state: str
    room_state: str
    token: str | None
    ticket_number: int | None
    position: int | None
    ahead: int | None
    waiting: int
    eta_seconds: int | None
    eta_range: Annotated[tuple[int, ...], Meta(min_length=2, max_length=2)] | None = None
    line_per_minute: float | None = None
    may_run_out: bool = False
    stock: StockLeft | None = None
    claim_by_seconds: int | None = None
    # ``pass`` is a word of Python's; the wire has the contract's name.
    admission_pass: str | None = msgspec.field(name="pass", default=None)
    expires_at: Moment | None = None
    href: str
    stream_href: str
    lobby: Lobby | None = None
    message: str = ""
    priority: bool = False


class Claimed(AnswerBody, kw_only=True):
    admission_pass: str = msgspec.field(name="pass")
    expires_at: Moment
