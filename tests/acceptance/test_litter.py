"""What a fan asks leaves nothing that only the garbage collector would find.

A gateway collects once for a hundred thousand such objects, and everybody waits while it does. A reserve left 28 of
them: at thousands a second that was a pause of tens of milliseconds each second.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from tests.acceptance.conftest import Site
from tests.client import Client, Fan
from tests.services import Service, await_ready, free_port, start_module


@pytest.fixture(scope="module")
def gateway(site: Site) -> Iterator[Client]:
    """A client of a gateway that tells what it left."""
    port, log = free_port(), site.services.folder / "littering.log"
    arguments = ("tests.acceptance.littering_gateway", "gateway", "--port", str(port))
    process = start_module(*arguments, log=log, environ=site.services.environ)
    service = Service("littering", process, log, f"http://127.0.0.1:{port}")
    try:
        await_ready(service)
        yield Client(service.url)
    finally:
        service.stop()


def test_calls_leave_nothing(site: Site, gateway: Client) -> None:
    event_id = site.event()

    def go(seat: int, after: Callable[[str], None]) -> None:
        fan = Fan.arrive(gateway.url, site.ledger)
        after("session")
        fan.join(event_id)
        after("join")
        with fan.line(event_id) as stream:
            stream.next("admitted")
        after("stream")
        fan.poll(event_id)
        after("poll")
        fan.claim(event_id)
        after("claim")
        hold = fan.hold(event_id, [(1, 1, seat)])
        after("reserve")
        fan.reserve(event_id, [(99, 1, 1)])
        after("reserve of a seat that is not")
        fan.checkout(event_id, hold["reservationId"], captcha="none of ours")
        after("refused checkout")
        purchase = fan.checkout(event_id, hold["reservationId"]).result
        after("checkout")
        fan.get(f"/api/purchases/{purchase['purchaseId']}")
        after("ticket")
        fan.reserve(event_id, [(1, 1, seat)])
        after("reserve without a pass")
        fan.leave(event_id)
        after("leave")
        for path in (f"/api/events/{event_id}", f"/api/events/{event_id}/seats", f"/events/{event_id}", "/api/nothing"):
            fan.get(path)
            after(path)

    left: dict[str, dict[str, int]] = {}

    def look(what: str) -> None:
        if litter := gateway.post("/litter").json:
            left[what] = litter

    with ExitStack() as stack:
        # Somebody else's stream: what an event keeps for its streams goes with the last of them.
        other = Fan.arrive(gateway.url)
        other.join(event_id)
        stack.enter_context(other.line(event_id)).next("admitted")
        go(1, lambda _: None)
        gateway.post("/litter")
        go(2, look)
    assert left == {}


def test_control_litter_is_seen(gateway: Client) -> None:
    """What reaches only itself is found by its type."""
    gateway.post("/litter")
    gateway.post("/litter/more")
    assert gateway.post("/litter").json["__main__.Litter"] == 1
