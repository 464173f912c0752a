"""Request headers that are lists: what is taken, what is known already, and how long a client would wait."""

from __future__ import annotations

import re
import uuid

import pytest

from gateway.wire.hosts import has_one_host
from gateway.wire.negotiation import coding, has_already, takes_gzip, wait_seconds
from gateway.wire.path_parameters import parse_number, parse_uuid


@pytest.mark.parametrize(
    ("said", "gzip"),
    [
        (None, False),
        ("", False),
        ("gzip", True),
        ("GZIP", True),
        ("x-gzip", True),
        ("br, gzip;q=0.5", True),
        ("br;q=1.0,\tgzip ; Q=0.001", True),
        ("*", True),
        ("*;q=0", False),
        ("identity, *", True),
        ("*, gzip;q=0", False),
        ("gzip;q=0", False),
        ("gzip;q=0.000, identity", False),
        ("gzip;q=0, x-gzip;q=0, *", False),
        ("identity;q=1, gzip;q=0.5", False),
        ("identity;q=0, gzip;q=0.1", True),
        ("identity", False),
        ("not-gzip", False),
        ("gzipped, gzip-not", False),
        ("gzip;q=nonsense", False),
        ("gzip;q=2", False),
        ("deflate, br", False),
        ("br", False),
        ('"' + r"\"" * 50_000, False),
    ],
)
def test_gzip_is_for_clients_that_take_it(said: str | None, gzip: bool) -> None:
    assert takes_gzip(said) is gzip


@pytest.mark.parametrize(
    ("said", "chosen"),
    [
        (None, None),
        ("gzip, deflate, br, zstd", "br"),
        ("br;q=0.5, gzip", "gzip"),
        ("gzip;q=0, br", "br"),
        ("BR", "br"),
        ("br;q=0, gzip;q=0", None),
        ("br;q=0.5, identity", None),
        ("*", "gzip"),
        ("*;q=0.1, br", "br"),
        ("deflate, brotli", None),
    ],
)
def test_brotli_is_for_clients_that_name_it(said: str | None, chosen: str | None) -> None:
    assert coding(said) == chosen


@pytest.mark.parametrize(
    ("said", "known"),
    [
        (None, False),
        ('W/"abc"', True),
        ('"abc"', True),
        ('"x", W/"abc"', True),
        ('"x,y" , "abc"', True),
        ('"x", "y"', False),
        ('"x, abc"', False),
        ("*", True),
        (" * ", True),
        ('"*"', False),
        ("abc", False),
        ('w/"ABC"', False),
    ],
)
def test_a_tag_is_known_in_a_list_weak_or_strong(said: str | None, known: bool) -> None:
    assert has_already(said, 'W/"abc"') is known


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        (None, 0),
        ("wait=5", 5),
        ("respond-async, wait=5", 5),
        ("Wait = 5", 5),
        ('wait="5"', 5),
        ("wait=5; foo=bar", 5),
        ("wait=5, wait=9", 5),
        ('note="a, wait=9", wait=5', 5),
        ("wait=00010", 10),
        ("wait=99999", 30),
        ("wait=" + "9" * 1000, 30),
        ("wait=five, return=minimal", 0),
        ("wait=-1", 0),
        ("wait=\uff15", 0),
        ("wait", 0),
        ("waiter=5", 0),
    ],
)
def test_how_long_a_client_would_wait(said: str | None, seconds: float) -> None:
    assert wait_seconds(said, 30.0) == seconds


@pytest.mark.parametrize("text", ["+1", "01", " 1", "1 ", "1_0", "\uff11", "\u0661", "-0", "-01", "1.0", "0x1", "1\n"])
def test_a_number_in_a_path_is_written_in_one_way(text: str) -> None:
    with pytest.raises(ValueError, match=re.escape(text)):
        parse_number(text)
    assert [parse_number(number) for number in ("0", "1", "10", "-1")] == [0, 1, 10, -1]


def test_a_uuid_in_a_path_is_written_with_its_hyphens() -> None:
    known = uuid.uuid4()
    assert parse_uuid(str(known)) == parse_uuid(str(known).upper()) == known
    for text in (known.hex, known.urn, f"{{{known}}}", f"{known}\n", str(known).replace("-", "", 1)):
        with pytest.raises(ValueError, match=re.escape(text)):
            parse_uuid(text)


@pytest.mark.parametrize(
    ("hosts", "version", "good"),
    [
        ([b"example.org"], "1.1", True),
        ([b"127.0.0.1:8000"], "1.1", True),
        ([b"[::1]:8000"], "1.1", True),
        ([b"a", b"a"], "1.1", False),
        ([b"a", b"b"], "1.0", False),
        ([b"a, b"], "1.1", False),
        ([b"a/b"], "1.1", False),
        ([b"user@a"], "1.1", False),
        ([b"a:b"], "1.1", False),
        ([], "1.1", False),
        ([], "1.0", True),
    ],
)
def test_a_request_has_one_host(hosts: list[bytes], version: str, good: bool) -> None:
    scope = {"http_version": version, "headers": [(b"accept", b"*/*"), *((b"host", host) for host in hosts)]}
    assert has_one_host(scope) is good
