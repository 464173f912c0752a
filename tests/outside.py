"""The outside that a site reports to, on 127.0.0.1: keeps what it is sent, as an OTLP collector or a Sentry does."""

from __future__ import annotations

import gzip
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import brotli
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

SECONDS_MAX = 40.0
DECODERS: dict[str, Callable[[bytes], bytes]] = {"gzip": gzip.decompress, "br": brotli.decompress}
"""By `Content-Encoding`. Sentry's client takes Brotli wherever it is installed."""


@dataclass(frozen=True, slots=True)
class SentSpan:
    """A span as it was sent; ids in hexadecimal, ``links`` are (trace id, span id)."""

    name: str
    kind: int
    trace_id: str
    span_id: str
    parent_id: str
    links: tuple[tuple[str, str], ...]
    attributes: dict[str, str]
    service: str
    began_ns: int
    ended_ns: int


@dataclass
class Outside:
    """What has come, by its path."""

    url: str
    came: list[tuple[str, bytes]] = field(default_factory=list)

    def spans(self) -> list[SentSpan]:
        """All spans that have come."""
        return [span for path, body in list(self.came) if path == "/v1/traces" for span in _spans(body)]

    def events(self) -> list[dict[str, Any]]:
        """All of Sentry's events that have come."""
        return [event for path, body in list(self.came) if path.endswith("/envelope/") for event in _events(body)]

    def until(self, enough: Callable[[], bool]) -> None:
        """Wait for it.

        Raises:
            AssertionError: it does not come.
        """
        deadline = time.monotonic() + SECONDS_MAX
        while not enough():
            assert time.monotonic() < deadline, [path for path, _ in self.came]
            time.sleep(0.1)


def _spans(body: bytes) -> Iterator[SentSpan]:
    for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
        service = _text(resource.resource.attributes)["service.name"]
        for scope in resource.scope_spans:
            for span in scope.spans:
                yield SentSpan(
                    name=span.name,
                    kind=span.kind,
                    trace_id=span.trace_id.hex(),
                    span_id=span.span_id.hex(),
                    parent_id=span.parent_span_id.hex(),
                    links=tuple((link.trace_id.hex(), link.span_id.hex()) for link in span.links),
                    attributes=_text(span.attributes),
                    service=service,
                    began_ns=span.start_time_unix_nano,
                    ended_ns=span.end_time_unix_nano,
                )


def _text(attributes: Any) -> dict[str, str]:
    return {one.key: str(getattr(one.value, one.value.WhichOneof("value"))) for one in attributes}


def _events(envelope: bytes) -> Iterator[dict[str, Any]]:
    """A line of headers, then of each item its header and its body."""
    _, _, rest = envelope.partition(b"\n")
    while rest.strip():
        line, _, rest = rest.partition(b"\n")
        header = json.loads(line)
        item, rest = rest[: header["length"]], rest[header["length"] + 1 :]
        if header["type"] == "event":
            yield json.loads(item)


@contextmanager
def outside() -> Iterator[Outside]:
    """Serve until the end."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            decode = DECODERS.get(self.headers.get("Content-Encoding", ""))
            if decode is not None:
                body = decode(body)
            found.came.append((self.path, body))
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}" if "envelope" in self.path else b"\n\x00")

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        found = Outside(f"http://127.0.0.1:{server.server_port}")
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield found
        finally:
            server.shutdown()
            thread.join()
