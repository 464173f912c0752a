"""Signed tickets: what they say, what refuses them, and the vectors for other verifiers."""

from __future__ import annotations

import datetime as dt
import json
import struct
import uuid
from base64 import b32decode, b32encode

import pytest
import segno
from hypothesis import given
from hypothesis import strategies as st

from db.booking.seats import Seat
from db.keys.signing_keys import KeyRow
from tests.unit.tickets.vectors import FILE, SEATED, SECRET, VALID, said, vectors
from tickets.keys import TicketKeys
from tickets.signed import TICKET_CHARS, SignedTicket, TicketInvalid, public_keys, verify_ticket
from waiting_room.key_ring import FIRST, KeyGroup, KeyRing
from waiting_room.open_passes import OpenPasses

NOW = dt.datetime(2030, 1, 1, tzinfo=dt.UTC)
VECTORS = json.loads(FILE.read_text())


def test_the_vectors_are_what_the_code_makes() -> None:
    assert vectors() == VECTORS, "if the layout is to change: python -m tests.unit.tickets.vectors --write"


@pytest.mark.parametrize("vector", VECTORS["valid"], ids=lambda one: str(one["name"]))
def test_a_valid_vector_says_its_ticket(vector: dict[str, object]) -> None:
    ticket = verify_ticket(str(vector["text"]), public_keys(VECTORS["keySet"]))
    assert {**said(ticket), "name": vector["name"], "text": vector["text"]} == vector


@pytest.mark.parametrize("vector", VECTORS["invalid"], ids=lambda one: str(one["name"]))
def test_an_invalid_vector_is_refused_with_its_reason(vector: dict[str, str]) -> None:
    with pytest.raises(TicketInvalid) as refused:
        verify_ticket(vector["text"], public_keys(VECTORS["keySet"]))
    assert refused.value.reason == vector["reason"]


def test_every_changed_letter_is_refused() -> None:
    keys = TicketKeys(SECRET)
    text = keys.sign(SEATED)
    assert keys.verify(text) == SEATED
    for at in range(TICKET_CHARS):
        changed = text[:at] + ("A" if text[at] != "A" else "B") + text[at + 1 :]
        with pytest.raises(TicketInvalid):
            keys.verify(changed)


@pytest.mark.parametrize(
    "ticket",
    [SEATED._replace(event_id=2**56), SEATED._replace(issue_number=2**16), SEATED._replace(seat=(1, 2, -1))],
)
def test_a_number_too_large_is_signed_by_nothing(ticket: SignedTicket) -> None:
    with pytest.raises((struct.error, OverflowError)):
        TicketKeys(SECRET).sign(ticket)


@given(
    st.integers(0, 2**56 - 1),
    st.uuids(),
    st.tuples(*[st.integers(0, 2**32 - 1)] * 3),
    st.integers(0, 2**16 - 1),
)
def test_the_text_is_base_32(event_id: int, purchase_id: uuid.UUID, seat: Seat, issue_number: int) -> None:
    ticket = SignedTicket(event_id, purchase_id, seat, issue_number)
    text = TicketKeys(SECRET).sign(ticket)
    assert b32encode(b32decode(text + "======")).decode().rstrip("=") == text
    assert TicketKeys(SECRET).verify(text) == ticket


def test_kept_texts_are_those_of_their_tickets() -> None:
    keys, plain = TicketKeys(SECRET, texts_max=2), TicketKeys(SECRET)
    tickets = [SEATED, SEATED._replace(issue_number=2), SEATED._replace(seat=(1, 2, 3)), SEATED._replace(event_id=5)]
    for ticket in [*tickets, *tickets]:
        assert keys.sign(ticket) == keys.sign(ticket) == plain.sign(ticket)
        assert len(keys._keys.texts) <= 2
    assert not plain._keys.texts


@pytest.mark.parametrize("texts_max", [0, 10])
def test_tickets_outlive_a_rotation_until_their_key_is_removed(texts_max: int) -> None:
    ring = KeyRing(SECRET)
    keys = TicketKeys(ring, texts_max=texts_max)
    before = keys.sign(SEATED)
    key_id, sealed = ring.new_key(KeyGroup.TICKETS)
    first, second = KeyRow("tickets", FIRST, None, "", NOW, NOW), KeyRow("tickets", key_id, sealed, "", NOW, NOW)
    ring.take([first, second])
    assert keys.sign(SEATED) == before, "a new key is published before it signs"
    assert len(keys.key_set()["keys"]) == 2
    ring.take([second, first])
    after = keys.sign(SEATED)
    assert after != before
    assert keys.verify(before) == keys.verify(after) == SEATED
    ring.take([second])
    with pytest.raises(TicketInvalid, match="unknown_key"):
        keys.verify(before)
    assert keys.verify(after) == SEATED


def test_a_pass_key_signs_no_ticket_and_other_keys_are_passed_over() -> None:
    ring = KeyRing(SECRET)
    text = TicketKeys(ring).sign(SEATED)
    with pytest.raises(TicketInvalid, match="unknown_key"):
        verify_ticket(text, public_keys(OpenPasses(ring).key_set()))
    rsa = {"kty": "RSA", "n": "AQAB", "e": "AQAB", "kid": "rsa"}
    both = {"keys": [rsa, *OpenPasses(ring).key_set()["keys"], *TicketKeys(ring).key_set()["keys"]]}
    assert verify_ticket(text, public_keys(both)) == SEATED


def test_a_qr_code_of_a_ticket_stays_small() -> None:
    for ticket in VALID.values():
        code = segno.make_qr(TicketKeys(SECRET).sign(ticket), error="m")
        assert code.mode == "alphanumeric"
        assert int(code.version) <= 7
