"""Bodies and answers of the line: join, place, draw, receipt."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from db.events.sale import SaleState
from db.languages import Texts
from db.texts import END, NO_NUL, ONE_LINE
from gateway.contract.values import AnswerBody, CaptchaToken, Moment, RequestBody
from waiting_room.access import CODE_MAX

Tell = Annotated[str, Meta(min_length=1, max_length=32, pattern=ONE_LINE)]


class Device(RequestBody, kw_only=True):
    """What a page says of its browser: a hash of a few things that it knows (`docs/privacy.md` names them), and what
    only a browser has that a program steers.
    """

    EXAMPLES = ({"fingerprint": "0123456789abcdef0123456789abcdef", "tells": []},)

    fingerprint: Annotated[str, Meta(pattern="^[0-9a-f]{32}" + END)] | None = None
    tells: Annotated[tuple[Tell, ...], Meta(max_length=8)] = ()


class JoinBody(RequestBody, kw_only=True):
    """With an ``accessCode`` the fan's place belongs to the priority class, even if the fan already holds it.

    ``device`` is the pages' own; without it nothing is missing.
    """

    EXAMPLES = ({},)

    captcha_token: CaptchaToken | None = None
    access_code: Annotated[str, Meta(max_length=CODE_MAX, pattern=NO_NUL)] | None = None
    device: Device | None = None


class Lobby(AnswerBody, kw_only=True):
    """A lobby, whose order is drawn at the on-sale. Its state is ``early`` before it opens, and ``drawing`` from the
    on-sale on.

    ``seedHash`` is the SHA-256 of the seed, in hexadecimal; ``fanHash`` stands for the fan in the public list.
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
    """The public facts of a draw. ``seed`` is null until the draw is done. Hashes and keys are in hexadecimal."""

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
    """Fan hashes in the drawn order, from number ``first`` on. ``next`` is the first number of the next page, null on
    the last page.
    """

    first: int
    fan_hashes: tuple[str, ...]
    next: int | None


class ReceiptEntry(AnswerBody, kw_only=True):
    """A change of the fan's state: the state that it led to, and the reason."""

    at: Moment
    state: str
    reason: str


class DrawProof(AnswerBody, kw_only=True):
    """The fan's part in the draw. ``seed``, ``drawValue`` and ``number`` are null until the draw is done; ``number``
    stays null for a fan who took no part.
    """

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
    """How many seats are left. ``mayReturn`` counts the seats in other fans' holds, the last of which ends at
    ``lastHoldEndsAt``; both are given only while no seat is free.
    """

    free: int
    held: int
    may_return: int | None = None
    last_hold_ends_at: Moment | None = None


class Place(AnswerBody, kw_only=True):
    """A fan's place, as join, poll and stream send it. ``position`` and ``ahead`` are null outside of the line.

    ``linePerMinute`` is how fast the line is forecast to move; as long as it is unchanged, no estimate rises.
    ``mayRunOut`` says that the seats would not suffice for this place if every fan before it took two. ``position`` and
    ``ahead`` count the fan's own class, ``priority`` or not, and ``classWaiting`` all who wait in it; ``waiting`` and
    ``linePerMinute`` count both classes.
    ``expiresAt`` is when the pass ends. If seats are scarce and a fan who does nothing loses it sooner, that moment is
    ``idleEndsAt``, and ``expiresAt`` too. Such a fan keeps the place in front of the line; it is ``idle`` until
    ``POST …/choosing``, another try to reserve or a new join, after which the fan is called again. For a fan inside,
    ``mayRunOut`` says that more people than seats are choosing. ``sale`` is where the event's sale stands, and
    ``reason`` says in a sentence why nothing is sold; it is empty while the event is on sale.
    ``message`` is the operators' to the line; ``messages`` has texts by language that fans of it read in its place.
    """

    state: str
    room_state: str
    token: str | None
    ticket_number: int | None
    position: int | None
    ahead: int | None
    waiting: int
    class_waiting: int | None = None
    eta_seconds: int | None
    eta_range: Annotated[tuple[int, ...], Meta(min_length=2, max_length=2)] | None = None
    line_per_minute: float | None = None
    may_run_out: bool = False
    stock: StockLeft | None = None
    claim_by_seconds: int | None = None
    # Python reserves the word ``pass``, which is the contract's name of this field.
    admission_pass: str | None = msgspec.field(name="pass", default=None)
    expires_at: Moment | None = None
    idle_ends_at: Moment | None = None
    idle: bool = False
    href: str
    stream_href: str
    lobby: Lobby | None = None
    message: str = ""
    messages: Texts = Texts()
    priority: bool = False
    sale: SaleState = SaleState.ON_SALE
    reason: str = ""


class Handover(AnswerBody, kw_only=True):
    """A link that brings the fan's place to another device, once, and until ``expiresAt``. The device that it is shown
    on then loses the place. ``qr`` is a picture of it, as a data URI.
    """

    href: str
    qr: str
    expires_at: Moment


class OpenPass(AnswerBody, kw_only=True):
    """A pass for a shop beside this one: a JWT of EdDSA."""

    token: str
    expires_at: Moment


class JsonWebKey(AnswerBody, kw_only=True):
    """A public key of Ed25519 (RFC 8037)."""

    kty: str
    crv: str
    x: str
    kid: str
    use: str
    alg: str


class JsonWebKeySet(AnswerBody, kw_only=True):
    """RFC 7517."""

    keys: tuple[JsonWebKey, ...]


class Claimed(AnswerBody, kw_only=True):
    """An admission; its fields are those of a place."""

    admission_pass: str = msgspec.field(name="pass")
    expires_at: Moment
    idle_ends_at: Moment | None = None
    may_run_out: bool = False
