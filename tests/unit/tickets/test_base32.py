from __future__ import annotations

from base64 import b32encode

from hypothesis import given
from hypothesis import strategies as st

from tickets.base32 import encoded


@given(st.binary(min_size=1, max_size=200))
def test_it_is_pythons_base32_without_its_padding(content: bytes) -> None:
    assert encoded(content) == b32encode(content).decode().rstrip("=")
