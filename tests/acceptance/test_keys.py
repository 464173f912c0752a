"""`admitone keys` while fans wait and buy at two gateways."""

from __future__ import annotations

import asyncio
from base64 import urlsafe_b64decode
from http import HTTPStatus

import jwt
import msgspec
import pytest

from admitone import keys
from admitone.settings import Settings
from db.events.seed import RoomSeed
from gateway.health.presence import GATEWAYS_KEY, decode_presence, encode_presence, presence_key
from tests.acceptance.conftest import Site
from tests.client import Client
from tests.waiting import await_that
from waiting_room.key_ring import FIRST, KeyGroup

GATEWAYS = 2
SHUT = RoomSeed(rate_per_minute=60_000, capacity=1)


def test_a_rotation_in_a_live_line_loses_no_place_and_no_session(site: Site) -> None:
    event_id = site.event(room=SHUT)
    settings = Settings.load(site.services.environ)
    inside = site.admitted_fan(event_id)
    waiting = site.fan()
    place = waiting.join(event_id).json
    operator = site.operator()
    bought = inside.buy(event_id, [(1, 1, 1)])
    link = Client(site.gateways[1].url)
    link.headers["X-Purchase-Key"] = inside.get(f"/api/purchases/{bought['purchaseId']}/link").json["key"]

    lines = asyncio.run(keys.rotate(settings, list(KeyGroup)))
    assert len(lines) == len(KeyGroup)
    assert all(line.endswith("signs") for line in lines)

    def signed_anew() -> bool:
        return "kid" in _header(site.fan(0).token) and "kid" in _header(site.fan(1).token)

    await_that(signed_anew)
    newcomer = site.fan(0)
    for gateway in (0, 1):
        old, operators, new = site.client(gateway), site.client(gateway), site.client(gateway)
        old.headers, operators.headers = dict(waiting.headers), dict(operator.headers)
        new.headers = dict(newcomer.headers)
        standing = old.get(f"/api/queue/{event_id}")
        assert (standing.status, standing.json["ticketNumber"]) == (HTTPStatus.OK, place["ticketNumber"])
        assert operators.get("/api/ops/rooms").status == HTTPStatus.OK
        assert new.get("/api/purchases").status == HTTPStatus.OK, "signed by the one gateway, good at the other"
    assert link.get(f"/api/purchases/{bought['purchaseId']}").status == HTTPStatus.OK
    # Redis loses the line, and the token that was signed before brings the place back.
    site.redis().flushall()

    def came_back() -> bool:
        joined = waiting.join(event_id, place_token=place["token"])
        return joined.status in (HTTPStatus.OK, HTTPStatus.CREATED) and bool(joined.json["ticketNumber"] == 2)

    assert place["ticketNumber"] == 2
    await_that(came_back)

    with pytest.raises(keys.KeysError, match="rotate first"):
        asyncio.run(keys.remove(settings, KeyGroup.FANS, _id_of(lines, KeyGroup.FANS)))
    for group in (KeyGroup.FANS, KeyGroup.OPERATORS):
        asyncio.run(keys.remove(settings, group, FIRST))
    await_that(lambda: waiting.get("/api/purchases").status == HTTPStatus.UNAUTHORIZED)
    await_that(lambda: operator.get("/api/ops/rooms").status == HTTPStatus.UNAUTHORIZED)
    assert newcomer.get("/api/purchases").status == HTTPStatus.OK
    assert link.get(f"/api/purchases/{bought['purchaseId']}").status == HTTPStatus.OK, "links have keys of their own"
    assert asyncio.run(keys.listed(settings))[0].startswith("fans  ")


def test_a_key_that_a_gateway_does_not_know_signs_nothing_yet(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings.load(site.services.environ)
    with site.redis() as client:
        # The test before took all that Redis had, and a gateway notes itself once a while.
        await_that(lambda: client.scard(GATEWAYS_KEY))
        one = next(iter(client.smembers(GATEWAYS_KEY)))
        present = decode_presence(client.get(presence_key(one.decode())) or b"")
        stuck = msgspec.structs.replace(present, host="stuck", keys=())
        client.sadd(GATEWAYS_KEY, "stuck")
        client.set(presence_key("stuck"), encode_presence(stuck))
        monkeypatch.setattr(keys, "KNOWN_SECONDS_MAX", 0.2)
        with pytest.raises(keys.KeysError, match=r"stuck:.* did not hear of the new keys"):
            asyncio.run(keys.rotate(settings, [KeyGroup.CODES]))
        waiting = [line for line in asyncio.run(keys.listed(settings)) if "not signed with yet" in line]
        assert len(waiting) == 1
        client.delete(presence_key("stuck"))
    monkeypatch.undo()
    assert asyncio.run(keys.rotate(settings, [KeyGroup.CODES])) == [f"codes: {waiting[0].split()[1]} signs"]


def test_an_admitted_fan_gets_a_pass_that_another_shop_verifies(site: Site) -> None:
    event_id = site.event(room=SHUT)
    inside, waiting = site.admitted_fan(event_id), site.fan()
    waiting.join(event_id)
    assert waiting.get(f"/api/queue/{event_id}/pass").code == "not_admitted"
    token = inside.get(f"/api/queue/{event_id}/pass").json["token"]
    key_set = site.client(1).get("/.well-known/jwks.json")
    assert key_set.headers["Content-Type"] == "application/jwk-set+json"
    kid = jwt.get_unverified_header(token)["kid"]
    key = next(jwt.PyJWK(one) for one in key_set.json["keys"] if one["kid"] == kid)
    claims = jwt.decode(token, key.key, algorithms=["EdDSA"], audience=f"event:{event_id}", issuer=site.url)
    assert claims["sub"] == str(inside.user_id)
    assert claims["exp"] - claims["iat"] <= 300
    inside.headers["X-Admission-Pass"] = token
    assert inside.reserve(event_id, [(1, 1, 1)]).code == "not_admitted", "it opens nothing here"


def _header(token: str) -> str:
    header = token.partition(".")[0]
    return urlsafe_b64decode(header + "=" * (-len(header) % 4)).decode()


def _id_of(lines: list[str], group: KeyGroup) -> str:
    return next(line.split()[1] for line in lines if line.startswith(f"{group}:"))
