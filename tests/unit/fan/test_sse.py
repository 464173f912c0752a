from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from admitone.fan.sse import FRAME_BYTES_MAX, EventParser, StreamEvent, StreamTooLong

STREAM = (
    b": welcome\r\nretry: 1500\r\n\r\n"
    b'event: place\r\nid: 7\r\ndata: {"position": 3}\r\n\r\n'
    b"data: one\ndata:two\ndata:  three\n\n"
    b"event: lost\n\n"
    b"event:called\rdata\rid\r\r"
    b"retry: soon\nunknown: field\nid: a\0b\ndata: \xc3\xa9\xe2\x80\xa8\n\n"
    b"data: never ended\n"
)
EVENTS = [
    StreamEvent("place", '{"position": 3}', "7"),
    StreamEvent("message", "one\ntwo\n three", "7"),
    StreamEvent("called", "", ""),
    StreamEvent("message", "é\u2028", ""),
]


def test_a_stream_is_read_as_the_standard_says() -> None:
    parser = EventParser()
    assert parser.feed(STREAM) == EVENTS
    assert parser.retry_ms == 1500


@given(st.lists(st.integers(0, len(STREAM)), max_size=40))
def test_it_does_not_matter_where_chunks_are_cut(cuts: list[int]) -> None:
    parser = EventParser()
    edges = [0, *sorted(cuts), len(STREAM)]
    chunks = [STREAM[start:end] for start, end in itertools.pairwise(edges)]
    assert [event for chunk in chunks for event in parser.feed(chunk)] == EVENTS


def test_byte_by_byte() -> None:
    parser = EventParser()
    assert [event for byte in STREAM for event in parser.feed(bytes([byte]))] == EVENTS


@pytest.mark.parametrize("endless", [b"x" * 1024, b"data: " + b"x" * 1024 + b"\n"])
def test_an_endless_line_or_event_is_refused(endless: bytes) -> None:
    parser = EventParser()

    def feed_for_ever() -> None:
        for _ in range(2 * FRAME_BYTES_MAX // 1024):
            parser.feed(endless)

    with pytest.raises(StreamTooLong):
        feed_for_ever()
