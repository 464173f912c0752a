"""The key of a purchase's own link."""

from __future__ import annotations

import re
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from messages.purchase_keys import KEY_CHARACTERS, PurchaseKeys
from waiting_room.errors import TokenInvalid

KEYS = PurchaseKeys("a secret of the tests, which is long enough")


@given(st.uuids(), st.integers(1, 2**53))
def test_a_key_tells_the_fan_and_fits_an_address(purchase_id: uuid.UUID, user_id: int) -> None:
    key = KEYS.key(purchase_id, user_id)
    assert re.fullmatch("[a-z2-7]+", key)
    assert len(key) == KEY_CHARACTERS
    assert KEYS.fan(purchase_id, key) == user_id


@given(st.uuids(), st.text(max_size=60))
def test_nothing_else_is_a_key(purchase_id: uuid.UUID, typed: str) -> None:
    with pytest.raises(TokenInvalid):
        KEYS.fan(purchase_id, typed)


def test_a_key_is_of_one_purchase_of_one_fan_at_one_site() -> None:
    ours, theirs = uuid.uuid4(), uuid.uuid4()
    key = KEYS.key(ours, 7)
    other_fan = KEYS.key(theirs, 8)
    for purchase_id, typed in ((theirs, key), (ours, other_fan), (ours, other_fan[:12] + key[12:])):
        with pytest.raises(TokenInvalid):
            KEYS.fan(purchase_id, typed)
    with pytest.raises(TokenInvalid):
        PurchaseKeys("another site's secret, as long as it").fan(ours, key)


def test_every_letter_of_a_key_counts() -> None:
    """The last one too, of which base 32 leaves a bit unused."""
    purchase_id = uuid.uuid4()
    key = KEYS.key(purchase_id, 7)
    for index in range(len(key)):
        for letter in "abcdefghijklmnopqrstuvwxyz234567":
            if letter != key[index]:
                with pytest.raises(TokenInvalid):
                    KEYS.fan(purchase_id, key[:index] + letter + key[index + 1 :])
