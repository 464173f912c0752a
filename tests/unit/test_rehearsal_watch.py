"""Processor time of gateways elsewhere, told apart in what one address of many processes answers."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest

from admitone.rehearsal.watch import fetch_cpu_metrics


@contextmanager
def serving(*bodies: bytes) -> Iterator[str]:
    """A server that gives one after the other, as a balancer gives one process after the other."""
    left = list(bodies)

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(left.pop(0) if left else b"")

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_each_process_is_told_apart_by_when_it_began() -> None:
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    real = generate_latest(registry)
    other = b"process_start_time_seconds 1.7e+09\nprocess_cpu_seconds_total 5.5\n"
    with serving(real, other, b"nothing of it\n") as url:
        answers = [fetch_cpu_metrics(url) for _ in range(3)]
    assert answers[0] is not None
    assert answers[0][1] >= 0
    assert answers[1] == ("1700000000.00", 5.5)
    assert answers[2] is None


def test_nobody_there_is_no_fault() -> None:
    assert fetch_cpu_metrics("http://127.0.0.1:9") is None
