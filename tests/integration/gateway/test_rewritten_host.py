"""A proxy that changes Host: browsers without Fetch Metadata are told apart by their Origin, and the doctor sees it."""

from __future__ import annotations

import contextlib
import http.client
import http.server
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import pytest

from admitone.doctor.front import examine
from admitone.doctor.site import Site
from admitone.settings import Settings
from db.settings import SiteSettings
from tests.client import Client
from tests.databases import Databases
from tests.factories import environ_of
from tests.services import Services


class _Rewriting(http.server.BaseHTTPRequestHandler):
    """Asks a gateway by its own address, as nginx does without a line about Host."""

    def log_message(self, *_: Any) -> None: ...

    def _pass(self) -> None:
        gateway = urlsplit(self.server.upstream)  # type: ignore[attr-defined]
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        sent = {name: value for name, value in self.headers.items() if name.lower() != "host"}
        with contextlib.closing(http.client.HTTPConnection(gateway.hostname or "", gateway.port, timeout=20)) as asked:
            asked.request(self.command, self.path, body, sent | {"Host": "gateway:8000"})
            answer = asked.getresponse()
            content = answer.read()
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in ("transfer-encoding", "date", "server"):
                self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = _pass  # noqa: N815 - the names that http.server looks for


@dataclass
class Front:
    """The address of a proxy before a gateway that was told it, or was not."""

    url: str
    origin: str


@pytest.fixture(scope="module")
def fronts(
    databases: Databases, valkey_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Front]]:
    found: dict[str, Front] = {}
    with databases.one() as database_url, ExitStack() as opened:
        services = Services(environ_of(database_url, valkey_url), tmp_path_factory.mktemp("hosts"))
        opened.callback(services.stop)
        for name, root in (("untold", ""), ("told", ""), ("told below a path", "/tickets")):
            server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Rewriting)
            opened.callback(server.server_close)
            origin = f"http://127.0.0.1:{server.server_port}"
            public_url = "" if name == "untold" else origin + root
            server.upstream = services.gateway(ADMITONE_PUBLIC_URL=public_url).url  # type: ignore[attr-defined]
            threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
            opened.callback(server.shutdown)
            found[name] = Front(origin + root, origin)
        yield found


def _codes(url: str, public_url: str = "") -> set[str]:
    site = Site(Settings(site=SiteSettings(env="production", public_url=public_url)), public_url=url)
    return {finding.code for finding in examine(site)}


def test_without_the_setting_old_browsers_are_refused_and_the_doctor_says_so(fronts: dict[str, Front]) -> None:
    front = fronts["untold"]
    client = Client(front.url)
    assert client.post("/api/session", origin=front.origin).code == "cross_site"
    assert client.post("/api/session", origin=front.origin, sec_fetch_site="same-origin").status == 201
    assert "proxy_host" in _codes(front.url)


@pytest.mark.parametrize("name", ["told", "told below a path"])
def test_with_the_setting_they_come_in_and_other_sites_do_not(fronts: dict[str, Front], name: str) -> None:
    front = fronts[name]
    client = Client(front.url)
    assert client.post("/api/session", origin=front.origin).status == 201
    for other in (
        "http://127.0.0.1:1",
        "http://evil.example",
        "null",
        front.origin + ".evil.example",
        f"{front.origin}0",
    ):
        assert client.post("/api/session", origin=other).code == "cross_site", other
    assert client.post("/api/session", origin=front.origin, sec_fetch_site="cross-site").code == "cross_site"
    assert "proxy_host" not in _codes(front.url)
    assert "public_path" not in _codes(front.url)
    assert "public_url" in _codes("", front.url), "the doctor takes the address from the settings"


def test_the_doctor_sees_gateways_that_do_not_know_their_path(fronts: dict[str, Front]) -> None:
    front = fronts["told below a path"]
    assert "public_path" in _codes(front.origin)
