"""The real compose.yaml in a real engine: typed as the README has it, it sells, is disturbed, stopped and started.

The tests share one site and run in their order: each leaves it whole for the next.
"""

from __future__ import annotations

import datetime as dt
import os
import re
import socket
import subprocess
import sys
import time
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Final

import pytest

from tests.client import Client, Fan
from tests.compose.engine import HOST
from tests.compose.site import Site
from tests.services import ROOT
from tests.waiting import await_that

pytestmark = [pytest.mark.compose, pytest.mark.timeout(600)]

FANS: Final = 60
FANS_BY_TLS: Final = 20
FANS_MEANWHILE: Final = 60
OF_EACH_NETWORK: Final = 20
TRIES_MAX: Final = 80
STOP_SECONDS_MAX: Final = 8.0
NEWS_SECONDS_MAX: Final = 1.0
SEATS_BY_CSV: Final = 10_000


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What all fans of the module were told."""
    return tmp_path_factory.mktemp("ledger") / "told.jsonl"


def readme_lines() -> list[str]:
    """The commands that README.md has for Compose."""
    blocks = re.findall(r"```sh\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    (block,) = (text for text in blocks if "docker compose" in text)
    return [line.split("  #")[0].strip() for line in block.splitlines() if line.strip()]


def crowd(
    site: Site, event_id: int, fans: int, ledger: Path, *, url: str = "", environ: dict[str, str] | None = None
) -> str:
    """Send fans through the proxy; gives what the command printed."""
    answer = subprocess.run(
        [
            *(
                str(Path(sys.executable).with_name("admitone")),
                "crowd",
                "--url",
                url or site.url,
                "--event",
                str(event_id),
            ),
            *("--fans", str(fans), "--rate", "20", "--duration", "120", "--ledger", str(ledger)),
        ],
        cwd=ROOT,
        env=os.environ | (environ or {}),
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    # A fan whose request met a gateway's death tried again, which counts as an error; all have bought in the end.
    assert f"{fans} purchases" in answer.stdout, answer.stdout + answer.stderr
    return answer.stdout


def require_clean(site: Site, ledger: Path) -> None:
    """Hold the database against all that fans were told."""
    said = site.admitone("audit --ledger /dev/stdin", input_text=ledger.read_text())
    assert "Every invariant holds" in said, said


def purchases(site: Site) -> int:
    count = "psql -h /var/run/postgresql -U admitone -d admitone -Atc 'SELECT count(*) FROM purchase'"
    return int(site.compose(f"exec -T postgres {count}"))


def new_event(site: Site) -> int:
    return int(site.admitone("seed").split()[-1])


def operator(site: Site) -> Client:
    password = site.admitone("operator add bob").split()[-1]
    client = Client(site.url)
    answer = client.post("/api/ops/session", {"name": "bob", "password": password})
    assert answer.status == 201, answer.content
    client.headers["Authorization"] = f"Bearer {answer.json['token']}"
    return client


def test_the_lines_of_the_readme_work_as_typed(site: Site) -> None:
    for line in readme_lines():
        if line.endswith("doctor"):
            # Compose alone has no TLS, which the doctor names; nothing else may be wrong.
            said = site.typed(f"{line} || true")
            while "room_unknown" in said:
                # The event was made a moment ago, and a gateway opens its room within five seconds.
                time.sleep(1)
                said = site.typed(f"{line} || true")
            faults = [finding for finding in said.splitlines() if not finding.startswith("ok ")]
            assert [fault.split()[:2] for fault in faults[:-1]] == [["error", "tls:"]], said
            continue
        with site.phase(line):
            print(line, site.typed(line)[-3000:])
    site.await_healthy()
    site.await_ready()


def test_a_sale_through_the_proxy_is_whole(site: Site, ledger: Path) -> None:
    with site.phase(f"a sale of {FANS} fans"):
        crowd(site, new_event(site), FANS, ledger)
    require_clean(site, ledger)
    assert purchases(site) > 0


def test_an_operators_hall_and_news_pass_the_proxy(site: Site) -> None:
    client = operator(site)
    now = dt.datetime.now(dt.UTC)
    lines = "".join(f"Stalls,{row},{seat}\n" for row in range(1, 101) for seat in range(1, SEATS_BY_CSV // 100 + 1))
    made = client.post(
        "/api/ops/events",
        {
            "name": "By CSV",
            "venue": "Hall",
            "date": (now + dt.timedelta(weeks=6)).isoformat(),
            "onSaleAt": (now - dt.timedelta(minutes=1)).isoformat(),
            "currency": "EUR",
            "ticketTypes": [{"ticketType": "Stalls", "price": 100}],
            "csv": f"ticketType,row,seat\n{lines}",
            "room": {"capacity": 0, "ratePerMinute": 600},
        },
    )
    assert made.status == 201, made.content[:500]
    event_id = made.json["eventId"]
    fan = Fan.arrive(site.url)
    fan.join(event_id)
    with fan.line(event_id) as stream:
        stream.next("place")
        began_at = time.monotonic()
        assert client.patch(f"/api/ops/rooms/{event_id}", {"message": "Doors at eight"}).status == 200
        while stream.data("message")["message"] != "Doors at eight":
            pass
        assert time.monotonic() - began_at < NEWS_SECONDS_MAX, "the proxy keeps news back"


def test_the_tls_file_ends_tls_and_a_sale_through_it_is_whole(site: Site, ledger: Path, tmp_path: Path) -> None:
    site.end_tls("127.0.0.1", HOST, "proxy")
    with site.phase("up -d --wait with compose.tls.yaml"):
        site.compose("up -d --wait")
        site.await_ready()
    context = site.trust
    context.set_alpn_protocols(["h2", "http/1.1"])
    with (
        socket.create_connection(("127.0.0.1", site.tls_port), timeout=10) as plain,
        context.wrap_socket(plain, server_hostname="127.0.0.1") as wrapped,
    ):
        assert wrapped.selected_alpn_protocol() == "h2"
    authority = tmp_path / "authority.pem"
    site.authority.cert_pem.write_to_path(str(authority))
    with site.phase(f"a sale of {FANS_BY_TLS} fans by TLS"):
        environ = {"SSL_CERT_FILE": str(authority)}
        crowd(site, new_event(site), FANS_BY_TLS, ledger, url=site.tls_url(), environ=environ)
    require_clean(site, ledger)


def counted(site: Site, limit: str) -> set[str]:
    """The networks for which the gateways count this limit at present."""
    read = f"import os, redis; print(*redis.from_url(os.environ['REDIS_URL']).scan_iter('allow:{limit}:*'))"
    return set(re.findall(rf"allow:{limit}:([^']+)", site.compose(f'exec -T gateway python -c "{read}"')))


def try_passwords(client: Client) -> list[int]:
    """Try wrong passwords until the network's limit says no, each of another operator, for each has a delay of its own,
    and as if for another fan; gives the statuses.
    """
    statuses: list[int] = []
    while 429 not in statuses and len(statuses) < TRIES_MAX:
        client.headers["X-Forwarded-For"] = f"203.0.{len(statuses)}.7"
        statuses.append(
            client.post("/api/ops/session", {"name": f"mallory {len(statuses)}", "password": "wrong"}).status
        )
    return statuses


def test_fans_of_two_networks_are_told_apart_behind_tls(site: Site) -> None:
    if not site.engine.private:
        pytest.skip("client networks are this machine's in an engine of the tests' own alone")
    first, second = (Client(site.tls_url(HOST), source=f"10.77.{net}.7", tls=site.trust) for net in (1, 2))
    with site.phase("fans of two networks"):
        assert try_passwords(first)[-1] == 429
        assert try_passwords(Client(site.tls_url(HOST), source="10.77.1.99", tls=site.trust)) == [429]
        assert try_passwords(second)[0] == 401, "a network pays for another one's tries"
        networks = counted(site, "operator")
        assert {"10.77.1.0/24", "10.77.2.0/24"} <= networks
        assert not [name for name in networks if name.startswith("203.0.")], "a client chose its address"
        for client in (first, second):
            for _ in range(OF_EACH_NETWORK):
                assert client.post("/api/session").status == 201
    # The proxy has a certificate and its fans have networks, so nothing is left for the doctor to find.
    with site.authority.cert_pem.tempfile() as pem:
        said = site.compose(
            "exec -T -e SSL_CERT_FILE=/dev/stdin gateway admitone doctor --url https://proxy:8443",
            input_text=Path(pem).read_text(),
        )
    assert re.search(r"^ok +networks: ", said, re.MULTILINE), said


def test_a_terminator_on_the_host_passes_its_fans_networks_on_once_it_is_named(site: Site) -> None:
    shipped = site.folder / "deploy" / "nginx" / "real_ip.conf"
    text = shipped.read_text()
    client = Client(site.url)
    client.headers["X-Forwarded-For"] = "10.77.3.7"

    def networks_of_a_try() -> set[str]:
        assert client.post("/api/ops/session", {"name": "mallory", "password": "wrong"}).status in (401, 429)
        return counted(site, "operator")

    assert "10.77.3.0/24" not in networks_of_a_try(), "a word is believed of whom nobody named"
    try:
        named = re.sub(r"^#   (set_real_ip_from 172|real_ip)", r"\1", text, flags=re.MULTILINE)
        assert named != text
        shipped.write_text(named)
        site.compose("exec -T proxy nginx -c /etc/nginx/admitone/compose.conf -s reload")
        await_that(lambda: "10.77.3.0/24" in networks_of_a_try(), 20, each_seconds=0.5, what="the reload")
    finally:
        shipped.write_text(text)
        site.compose("exec -T proxy nginx -c /etc/nginx/admitone/compose.conf -s reload")


@pytest.mark.parametrize("service", ["worker", "valkey", "postgres", "gateway"])
def test_a_service_that_is_killed_in_a_sale_loses_nothing(site: Site, ledger: Path, service: str) -> None:
    event_id = new_event(site)
    with site.phase(f"a sale with a {service} killed"), ThreadPoolExecutor(1) as thread:
        sale: Future[str] = thread.submit(crowd, site, event_id, FANS_MEANWHILE, ledger)
        time.sleep(2)
        killed = site.ids(service)[0]
        site.engine.docker("kill", killed)
        site.engine.docker("start", killed)
        sale.result()
    with site.phase(f"ready after the {service}'s death"):
        site.await_ready(30)
    require_clean(site, ledger)


def test_gateways_are_added_and_taken_away_without_a_failed_request(site: Site) -> None:
    failed: list[str] = []
    client = Client(site.url)
    ended: list[bool] = []

    def ask() -> None:
        while not ended:
            answer = client.get("/api/events")
            if answer.status != 200:
                failed.append(f"{dt.datetime.now(dt.UTC):%T.%f} {answer.status} {answer.headers} {answer.content!r}")
            time.sleep(0.02)

    with site.phase("scaled to 3, then to 1"), ThreadPoolExecutor(1) as thread:
        asking = thread.submit(ask)
        for count in (3, 1):
            site.compose(f"up -d --no-recreate --wait --scale gateway={count}")
            time.sleep(2)
        ended.append(True)
        asking.result()
    assert failed == []


def test_all_end_in_order_and_come_back_with_what_was_bought(site: Site, ledger: Path) -> None:
    before = purchases(site)
    with site.phase("all stopped"):
        site.compose(f"stop --timeout {int(STOP_SECONDS_MAX)}")
    ended = {name: one["State"]["ExitCode"] for name, one in site.inspected().items()}
    assert set(ended.values()) == {0}, ended
    with site.phase("all up again"):
        site.compose("up -d --no-recreate --wait")
        site.await_ready()
    assert purchases(site) == before
    require_clean(site, ledger)
