"""What is sealed opens with any of the site's keys, in its own field alone, and never shows what it is."""

from __future__ import annotations

import pytest

from db.booking.ticket_codes import beginnings_of, new_code, open_code, stored_code, with_codes
from db.sealing.keyring import Keyring, SealedField, SealError

OLD, NEW = "the older secret of the tests", "the newer secret of the tests"
MAIL = "ada@example.org"


def keys(*secrets: str) -> Keyring:
    return Keyring(secrets, "what finds")


def test_a_sealed_text_opens_with_each_key_and_differs_each_time() -> None:
    old = keys(OLD)
    first, second = (old.seal(SealedField.ADDRESS, MAIL) for _ in range(2))
    assert first != second
    assert "@" not in first
    assert "example" not in first, "random letters have a shorter part now and then"
    assert keys(NEW, OLD).open(SealedField.ADDRESS, first) == MAIL
    assert first.startswith(old.mark)
    assert not first.startswith(keys(NEW, OLD).mark)
    assert keys(NEW, OLD).seal(SealedField.ADDRESS, MAIL).startswith(keys(NEW).mark)


def test_what_was_stored_plain_is_read_as_it_is() -> None:
    assert keys(NEW).open(SealedField.ADDRESS, MAIL) == MAIL
    assert keys(NEW).open_bytes(SealedField.DRAW_KEY, b"\x00plain") == b"\x00plain"


@pytest.mark.parametrize("change", ["field", "key", "letter", "short", "no base64"])
def test_what_was_changed_does_not_open(change: str) -> None:
    sealed = keys(OLD).seal(SealedField.ADDRESS, MAIL)
    field, ring = SealedField.ADDRESS, keys(OLD)
    match change:
        case "field":
            field = SealedField.TICKET_CODE
        case "key":
            ring = keys(NEW)
        case "letter":
            sealed = sealed[:-6] + ("A" if sealed[-6] != "A" else "B") + sealed[-5:]
        case "short":
            sealed = sealed[:20]
        case "no base64":
            sealed = "sealed:ä"
    with pytest.raises(SealError) as caught:
        ring.open(field, sealed)
    assert MAIL not in str(caught.value)


def test_bytes_are_sealed_too() -> None:
    sealed = keys(OLD).seal_bytes(SealedField.WEBHOOK_SECRET, b"secret")
    assert b"secret" not in sealed
    assert keys(NEW, OLD).open_bytes(SealedField.WEBHOOK_SECRET, memoryview(sealed).tobytes()) == b"secret"
    with pytest.raises(SealError):
        keys(NEW).open_bytes(SealedField.WEBHOOK_SECRET, sealed)


def test_a_lookup_survives_a_new_key_and_tells_fields_apart() -> None:
    found_by = keys(OLD).lookup(SealedField.ADDRESS, MAIL)
    assert found_by == keys(NEW, OLD).lookup(SealedField.ADDRESS, MAIL)
    assert found_by != keys(OLD).lookup(SealedField.TICKET_CODE, MAIL)
    assert found_by != Keyring([OLD], "another").lookup(SealedField.ADDRESS, MAIL)


def test_a_tickets_code_is_found_by_its_beginning_and_opens() -> None:
    stored = new_code()
    code = open_code(stored)
    assert code not in stored
    assert stored[:16] in beginnings_of(code)
    assert open_code("ABCDEFGHIJKLMNOP") == "ABCDEFGHIJKLMNOP", "of a release that sealed none"


@pytest.mark.parametrize("colon", [b":", b" : "])
def test_an_answer_has_the_codes_themselves(colon: bytes) -> None:
    stored = stored_code("ABCDEFGHIJKLMNOP").encode()
    answer = b'{"ticketType":"a \\"ticketCode\\":\\"' + stored + b'\\"","ticketCode"' + colon + b'"' + stored + b'"}'
    opened = with_codes(answer)
    assert opened.endswith(b'"ticketCode"' + colon + b'"ABCDEFGHIJKLMNOP"}')
    assert opened.count(stored) == 1, "what an operator wrote stays"
    assert with_codes(b'{"ticketCode":null}') == b'{"ticketCode":null}'
