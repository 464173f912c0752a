"""The door's guards over real HTTP; and that with each of them off its own check, and no other, fails."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.identity.sessions import Identity
from tests.acceptance.conftest import Site, module_database_url, site
from tests.client import Client, Fan, solve_captcha
from tests.property.sabotaged_gateway import GUARDS
from tests.services import Service, await_ready, free_port, start_module
from waiting_room.tokens import PlaceToken, Tokens

__all__ = ["module_database_url", "site"]

WORKERS = 0
AUDITED = False
NOBODYS = "00000000-0000-7000-8000-000000000000"
FORGER = "a secret of somebody else's own making"


def check_pass(url: str, event_id: int) -> None:
    """Seats are held for the admitted only."""
    refused = Fan.arrive(url).reserve(event_id, [(1, 1, 1)], wait=0)
    assert (refused.status, refused.code) == (403, "not_admitted")


def check_signature(url: str, event_id: int) -> None:
    """Nobody gets into somebody else's session, nor ahead in line, by a token that we did not sign."""
    identity = Identity(FORGER, session_seconds=600, open_auth=False, secure=False)
    token, _ = identity.new_fan(Fan.arrive(url).user_id)
    assert Client(url).get("/api/purchases", Authorization=f"Bearer {token}").code == "session_invalid"
    fan = Fan.arrive(url)
    forger = Tokens(FORGER, place_seconds=600, hold_seconds=600)
    place = PlaceToken(
        event=event_id, fan=fan.user_id, epoch=1, number=1, joined_at_ms=int(time.time() * 1000), session="x"
    )
    assert fan.join(event_id, place_token=forger.sign_place(place)).status >= 400


def check_single_use(url: str, event_id: int) -> None:
    """A solved captcha serves one command."""
    fan = Fan.arrive(url)
    token = solve_captcha(fan)
    assert fan.checkout(event_id, NOBODYS, captcha=token, wait=0).status == 202
    refused = fan.checkout(event_id, NOBODYS, captcha=token, wait=0)
    assert (refused.status, refused.code) == (403, "captcha_failed")


CHECKS = {
    "the pass check": check_pass,
    "the token signature": check_signature,
    "the captcha's single use": check_single_use,
}


@pytest.fixture(scope="module")
def sabotaged(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The addresses of gateways that each lack one guard."""
    folder: Path = tmp_path_factory.mktemp("sabotaged")
    started = {}
    for number, guard in enumerate(GUARDS):
        port, log = free_port(), folder / f"{number}.log"
        arguments = ("tests.property.sabotaged_gateway", guard, str(port))
        process = start_module(*arguments, log=log, environ=site.services.environ)
        started[guard] = Service(guard, process, log, f"http://127.0.0.1:{port}")
    try:
        for service in started.values():
            await_ready(service)
        yield {guard: service.url for guard, service in started.items()}
    finally:
        for service in started.values():
            service.stop()


@pytest.mark.parametrize("check", CHECKS)
def test_the_door_is_guarded(site: Site, check: str) -> None:
    CHECKS[check](site.url, site.event())


@pytest.mark.long
@pytest.mark.parametrize("guard", GUARDS)
def test_control_without_a_guard(site: Site, sabotaged: dict[str, str], guard: str) -> None:
    event_id = site.event()
    for name, check in CHECKS.items():
        if name == guard:
            with pytest.raises(AssertionError):
                check(sabotaged[guard], event_id)
        else:
            check(sabotaged[guard], event_id)
