"""The HAProxy example in a real HAProxy, where one is installed."""

from __future__ import annotations

import http.client
import json
import shutil
import socket
import ssl
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest
import trustme

from tests.integration.deploy.test_nginx import Upstream
from tests.services import free_port
from tests.waiting import await_that

FILE: Final = Path(__file__).parents[3] / "deploy" / "haproxy" / "haproxy.cfg"
HAPROXY: Final = shutil.which("haproxy", path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin")
HOST: Final = "tickets.test"

pytestmark = pytest.mark.skipif(HAPROXY is None, reason="no haproxy here: Debian has it in its package haproxy")


@dataclass
class Proxy:
    """A running HAProxy with the shipped file, in which only addresses, users and paths were exchanged."""

    http_port: int
    port: int
    authority: trustme.CA

    def connect(self, server_hostname: str = HOST) -> http.client.HTTPSConnection:
        context = ssl.create_default_context()
        self.authority.configure_trust(context)
        connection = http.client.HTTPSConnection(server_hostname, self.port, timeout=20, context=context)
        plain = socket.create_connection(("127.0.0.1", self.port), timeout=20)
        connection.sock = context.wrap_socket(plain, server_hostname=server_hostname)
        return connection

    def ask(
        self, path: str, method: str = "GET", body: bytes | None = None, **headers: str
    ) -> tuple[int, http.client.HTTPMessage, bytes]:
        with closing(self.connect()) as connection:
            connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read()

    def gateway(self) -> int | None:
        """The port of the gateway that answers."""
        status, _, content = self.ask("/api/events")
        return int(json.loads(content)["gateway"]) if status == 200 else None


@contextmanager
def running(file: Path, folder: Path, ports: Mapping[str, int]) -> Iterator[Proxy]:
    """A HAProxy with a shipped file, whose gateways' addresses are exchanged for those of these ports."""
    authority = trustme.CA()
    certificates = folder / "certs"
    certificates.mkdir()
    authority.issue_cert(HOST, "localhost").private_key_and_cert_chain_pem.write_to_path(certificates / "site.pem")
    proxy = Proxy(free_port(), free_port(), authority)
    text = file.read_text()
    for ours, theirs in (
        ("    user haproxy\n    group haproxy\n", ""),
        ("maxconn 60000", "maxconn 1000"),
        ("log /dev/log local0 notice", "log stderr format raw local0 notice"),
        ("/etc/haproxy/certs/", f"{certificates}/"),
        ("bind :80\n", f"bind 127.0.0.1:{proxy.http_port}\n"),
        ("    bind :443 ssl", f"    bind 127.0.0.1:{proxy.port} ssl"),
        *((address, f"127.0.0.1:{port}") for address, port in ports.items()),
    ):
        assert ours in text, ours
        text = text.replace(ours, theirs)
    copy = folder / file.name
    copy.write_text(text)
    assert HAPROXY is not None
    checked = subprocess.run([HAPROXY, "-c", "-f", copy], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr
    assert "[ALERT]" not in checked.stderr, checked.stderr
    assert "[WARNING]" not in checked.stderr, checked.stderr
    with (folder / "haproxy.log").open("wb") as log:
        process = subprocess.Popen([HAPROXY, "-f", copy, "-db"], stdout=log, stderr=log)
    try:
        await_that(lambda: _listens(proxy.port), what="HAProxy")
        yield proxy
    finally:
        process.kill()
        process.wait()


@pytest.fixture
def upstreams() -> Iterator[tuple[Upstream, Upstream]]:
    both = Upstream(), Upstream()
    yield both
    for upstream in both:
        upstream.stop()


@pytest.fixture
def proxy(upstreams: tuple[Upstream, Upstream], tmp_path: Path) -> Iterator[Proxy]:
    ports = {"127.0.0.1:8000": upstreams[0].port, "127.0.0.1:8001": upstreams[1].port}
    with running(FILE, tmp_path, ports) as proxy:
        yield proxy


def _listens(port: int) -> bool:
    with socket.socket() as asking:
        return asking.connect_ex(("127.0.0.1", port)) == 0


def _to_fans(upstream: Upstream) -> list[tuple[str, str, dict[str, str], int]]:
    return [one for one in upstream.requests if one[1] != "/health/serving"]


def test_gateways_are_told_the_fans_own_address(proxy: Proxy, upstreams: tuple[Upstream, Upstream]) -> None:
    proxy.ask("/api/events", X_Forwarded_For="203.0.113.7", X_Forwarded_Proto="http")
    ((_, _, headers, _),) = _to_fans(upstreams[0]) + _to_fans(upstreams[1])
    told = {name.lower(): value for name, value in headers.items()}
    assert told["x-forwarded-for"] == "127.0.0.1", "as ADMITONE_TRUSTED_PROXIES believes it"
    assert told["x-forwarded-proto"] == "https"
    assert told["host"].startswith(HOST)


def test_a_stream_comes_through_as_it_is_written(proxy: Proxy) -> None:
    """Its bytes come one by one, and it does not end."""
    with closing(proxy.connect()) as connection:
        connection.request("GET", "/api/queue/1/stream")
        answer = connection.getresponse()
        assert answer.headers["content-type"] == "text/event-stream"
        beat = b"event: beat\n\n"
        assert answer.read1(len(beat)).startswith(b"event")


def test_a_gateway_that_is_gone_is_passed_over(proxy: Proxy, upstreams: tuple[Upstream, Upstream]) -> None:
    await_that(lambda: {proxy.gateway() for _ in range(4)} == {one.port for one in upstreams})
    upstreams[0].stop()
    assert {proxy.gateway() for _ in range(6)} == {upstreams[1].port}, "no request fails"


def test_where_no_gateway_answers_the_problem_is_the_sites_own(
    proxy: Proxy, upstreams: tuple[Upstream, Upstream]
) -> None:
    for upstream in upstreams:
        upstream.stop()
    status, headers, content = proxy.ask("/api/events")
    assert (status, headers["retry-after"], headers["content-type"]) == (503, "1", "application/problem+json")
    assert json.loads(content)["code"] == "unavailable"


@pytest.mark.parametrize(("method", "asked"), [("GET", 2), ("POST", 1)])
def test_only_what_reads_is_asked_again(
    proxy: Proxy, upstreams: tuple[Upstream, Upstream], method: str, asked: int
) -> None:
    """A gateway takes the request and dies before it answers."""
    await_that(lambda: all(one.requests for one in upstreams), what="each gateway's first health check")
    for upstream in upstreams:
        upstream.hangs_up = 10**6
    status, _, _ = proxy.ask("/api/reserve", method, b"{}" if method == "POST" else None)
    assert status in (502, 503)
    assert len(_to_fans(upstreams[0]) + _to_fans(upstreams[1])) >= asked
    if method == "POST":
        assert len(_to_fans(upstreams[0]) + _to_fans(upstreams[1])) == 1


def test_what_is_not_for_fans_stays_inside(proxy: Proxy, upstreams: tuple[Upstream, Upstream]) -> None:
    for path in ("/metrics", "//Metrics/", "/%6detrics", "/metrics;x"):
        assert proxy.ask(path)[0] == 404, path
    assert _to_fans(upstreams[0]) + _to_fans(upstreams[1]) == []


@pytest.mark.parametrize(
    ("path", "length", "status"),
    [("/api/reserve", 65_537, 413), ("/api/ops/events", 65_537, 200), ("/api/ops/events", 8_388_609, 413)],
)
def test_bodies_have_the_lengths_that_the_gateways_take(proxy: Proxy, path: str, length: int, status: int) -> None:
    """A refusal comes before the body is sent."""
    with closing(proxy.connect()) as connection:
        connection.putrequest("POST", path)
        connection.putheader("Content-Length", str(length))
        connection.endheaders()
        if status == 200:
            connection.send(b"x" * length)
        assert connection.getresponse().status == status


def test_plain_http_leads_to_tls(proxy: Proxy) -> None:
    with closing(http.client.HTTPConnection("127.0.0.1", proxy.http_port, timeout=20)) as connection:
        connection.request("GET", "/events/1", headers={"Host": HOST})
        answer = connection.getresponse()
        assert (answer.status, answer.headers["location"]) == (308, f"https://{HOST}/events/1")
