"""HAProxy before groups of real gateways: each address reaches the group that serves it, and a hot event its own."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from gateway.wire.served import SitePart, part_of
from tests.client import Fan
from tests.factories import OPEN_DOOR, make_event, plan_event
from tests.integration.deploy.test_haproxy import FILE, HAPROXY, Proxy, running
from tests.integration.deploy.test_nginx import Upstream
from tests.services import Service, Services
from tests.waiting import await_that

GROUPS: Final = FILE.with_name("groups.cfg")
HOT: Final = "hot"
pytestmark = pytest.mark.skipif(HAPROXY is None, reason="no haproxy here: Debian has it in its package haproxy")


def _text(event_id: int = 7) -> str:
    return re.sub(r"(/|-m int )7\b", rf"\g<1>{event_id}", GROUPS.read_text())


def _addresses() -> dict[str, str]:
    """Each group and the address that the file has for its one gateway."""
    return dict(re.findall(r"server (\w+)-1 (\S+)", GROUPS.read_text()))


def _arguments() -> dict[str, dict[str, str]]:
    """Each group and the settings of its gateways, as the file's comments say."""
    found = re.findall(
        r"# admitone gateway --serve ([\w,]+?)(?:, with (\w+)=(\d+))?\nbackend (\w+) ", GROUPS.read_text()
    )
    return {
        group: {"ADMITONE_GATEWAY_SERVE": parts} | ({setting: value} if setting else {})
        for parts, setting, value, group in found
    }


def test_down_to_the_groups_it_is_the_file_for_one_group() -> None:
    whole = FILE.read_text()
    same = whole[whole.index("global\n") : whole.index("    default_backend gateways")]
    assert same.rstrip() in GROUPS.read_text()
    checks = whole[whole.index("    # Streams last an hour") : whole.index("    # One line a gateway process.")]
    assert checks.rstrip() in GROUPS.read_text()


def test_there_is_a_group_for_each_part() -> None:
    groups = _arguments()
    assert {settings["ADMITONE_GATEWAY_SERVE"] for name, settings in groups.items() if name != HOT} == {*SitePart}
    assert groups.keys() == _addresses().keys()
    assert groups[HOT] == {"ADMITONE_GATEWAY_SERVE": "pages,booking,streams", "ADMITONE_GATEWAY_EVENTS": "7"}


@pytest.fixture(scope="module")
def upstreams() -> Iterator[dict[str, Upstream]]:
    upstreams = {name: Upstream() for name in _addresses()}
    yield upstreams
    for upstream in upstreams.values():
        upstream.stop()


@pytest.fixture(scope="module")
def proxy(upstreams: dict[str, Upstream], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    ports = {address: upstreams[name].port for name, address in _addresses().items()}
    with running(GROUPS, tmp_path_factory.mktemp("groups"), ports) as proxy:
        await_that(lambda: all(one.requests for one in upstreams.values()), what="each gateway's first health check")
        yield proxy


def _group_asked(upstreams: dict[str, Upstream], path: str) -> set[str]:
    return {name for name, one in upstreams.items() if any(asked[1] == path for asked in one.requests)}


@pytest.mark.parametrize(
    "path",
    [
        "/", "/de/events/8", "/events/8", "/wait/8", "/account", "/static/a.js", "/health/live",
        "/api/events", "/api/events?q=jazz",
        "/api/events/8/seats", "/api/queue/8", "/api/session", "/api/jobs/1", "/gate/8", "/api/purchases/1",
        "/api/events/70/seats", "/api/queue/77/claim",
        "/api/events/8/live",
        "/ops", "/ops/events/7", "/api/ops/events", "/api/ops/events/7",
        "/scan", "/scan-worker.js", "/scan.webmanifest",
    ],
)  # fmt: skip
def test_an_address_goes_to_the_group_of_its_part(proxy: Proxy, upstreams: dict[str, Upstream], path: str) -> None:
    proxy.ask(path)
    plain = re.sub(r"^/de/", "/", path.partition("?")[0])
    assert _group_asked(upstreams, path) == {part_of(plain) or SitePart.PAGES}


@pytest.mark.parametrize(
    "path",
    [
        "/events/7",
        "/de/events/7",
        "/api/events/7/seats",
        "/api/events/7/live",
        "/api/queue/7/claim",
        "/gate/7",
        "/wait/7",
    ],
)
def test_an_address_of_the_hot_event_goes_to_its_group(proxy: Proxy, upstreams: dict[str, Upstream], path: str) -> None:
    proxy.ask(path)
    assert _group_asked(upstreams, path) == {HOT}


@pytest.mark.parametrize(
    ("body", "group"),
    [
        ({"eventId": 7, "bestAvailable": {"ticketTypeId": 1, "quantity": 2}}, HOT),
        ({"bestAvailable": {"ticketTypeId": 1, "quantity": 2}, "eventId": 7}, HOT),
        ({"eventId": 8, "bestAvailable": {"ticketTypeId": 7, "quantity": 7}}, "booking"),
        ({"eventId": 77}, "booking"),
        ([7], "booking"),
    ],
)
def test_what_is_booked_of_the_hot_event_goes_to_its_group(
    proxy: Proxy, upstreams: dict[str, Upstream], body: Any, group: str
) -> None:
    before = {name: len(one.requests) for name, one in upstreams.items()}
    status, _, _ = proxy.ask("/api/reserve", "POST", json.dumps(body).encode(), Content_Type="application/json")
    assert status == 200
    asked = {
        name
        for name, one in upstreams.items()
        if any(asked[1] == "/api/reserve" for asked in one.requests[before[name] :])
    }
    assert asked == {group}


@pytest.mark.long
@pytest.mark.timeout(400)
def test_a_fan_buys_through_groups_of_real_gateways(
    services: Services, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A gateway that is asked for what another group serves would answer 421."""
    hot, other = (
        make_event(database_url, plan_event(room=OPEN_DOOR)),
        make_event(database_url, plan_event(room=OPEN_DOOR)),
    )
    services.worker()
    gateways: dict[str, Service] = {}
    for group, settings in _arguments().items():
        named = {name: str(hot) if name == "ADMITONE_GATEWAY_EVENTS" else value for name, value in settings.items()}
        gateways[group] = Services({**services.environ, **named}, tmp_path, services.started).gateway(
            ADMITONE_TRUSTED_PROXIES="127.0.0.1"
        )
    file = tmp_path / "groups.cfg"
    file.write_text(_text(hot))
    ports = {address: int(gateways[group].url.rpartition(":")[2]) for group, address in _addresses().items()}
    (tmp_path / "proxy").mkdir()
    with running(file, tmp_path / "proxy", ports) as proxy:
        for path in (
            "/",
            f"/events/{other}",
            f"/events/{hot}",
            "/api/events",
            f"/api/events/{other}/seats",
            "/scan",
        ):
            await_that(lambda path=path: proxy.ask(path)[0] == 200, 30, what=path)  # type: ignore[misc]
        assert proxy.ask("/api/ops/events")[0] == 401
        proxy.authority.cert_pem.write_to_path(str(tmp_path / "authority.pem"))
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))
        for event_id in (hot, other):
            fan = Fan.arrive(f"https://localhost:{proxy.port}")
            assert fan.join(event_id).json["state"] == "admitted"
            fan.buy(event_id, [(1, 1, 1)])
            with fan.line(event_id) as stream:
                stream.next("place")
        # The hot event's group is gone, and the others serve it.
        gateways[HOT].kill()
        await_that(lambda: proxy.ask(f"/api/events/{hot}/seats")[0] == 200, 30, what="the hot event without its group")
