"""Shops over the API: made, changed, their proxies' files, and the figures that a shop pushes by a token of its own."""

from __future__ import annotations

from typing import Any

import pytest

from tests.acceptance.conftest import PASSWORD, Site
from tests.client import Client
from tests.waiting import await_that

SHOP: dict[str, Any] = {
    "origin": "https://Shop.example/",
    "name": "The Corner Shop",
    "paths": ["/checkout"],
    "openPaths": ["/checkout/webhook"],
    "returnOrigins": ["https://tickets.shop.example"],
    "capacity": 50,
    "passSeconds": 60,
}


@pytest.fixture(scope="module")
def owner(site: Site) -> Client:
    return site.operator()


@pytest.fixture(scope="module")
def shop(owner: Client) -> dict[str, Any]:
    made = owner.post("/api/ops/shops", SHOP)
    assert made.status == 201, made.content
    found: dict[str, Any] = made.json
    return found


def test_a_shop_is_made_and_protected_at_once(site: Site, owner: Client, shop: dict[str, Any]) -> None:
    event_id = shop["eventId"]
    assert shop["origin"] == "https://shop.example"
    assert (shop["capacity"], shop["ratePerMinute"], shop["passSeconds"]) == (50, 300, 60)
    assert (shop["state"], shop["figures"], shop["autopilot"]) == ("open", None, False)
    assert shop["check"].endswith(f"/gate/{event_id}")
    assert shop["waitingPage"].endswith(f"/wait/{event_id}")
    assert owner.get(f"/api/ops/shops/{event_id}").json == shop
    assert event_id in [one["eventId"] for one in owner.get("/api/ops/shops").json["shops"]]
    asked = {"X_Original_URL": "https://shop.example/checkout", "Accept": "text/html"}
    assert site.client().get(f"/gate/{event_id}", **asked).status == 401
    files = {one["file"]: one["text"] for one in owner.get(f"/api/ops/shops/{event_id}/proxies").json["files"]}
    assert f"/gate/{event_id};" in files["nginx.conf"]
    assert "server_name shop.example;" in files["nginx.conf"]
    assert f"admitone_shop_{event_id}" in files["traefik.yml"]
    assert not any("/gate/7" in text for text in files.values() if event_id != 7)


def test_a_change_replaces_the_protection_and_steers_dials(owner: Client, shop: dict[str, Any]) -> None:
    path = f"/api/ops/shops/{shop['eventId']}"
    changed = owner.call("PUT", path, {"origin": "https://shop.example", "always": False, "ratePerMinute": 9})
    assert changed.status == 200, changed.content
    assert (changed.json["paths"], changed.json["openPaths"], changed.json["always"]) == (["/"], [], False)
    assert (changed.json["ratePerMinute"], changed.json["capacity"]) == (9, 50)
    stale = owner.call("PUT", path, {"origin": "https://shop.example", "revision": shop["revision"]})
    assert (stale.status, stale.code) == (409, "conflict")
    assert {line["field"] for line in stale.json["changes"]} >= {"always", "rate_per_minute"}
    back = owner.call("PUT", path, {name: value for name, value in SHOP.items() if name != "name"})
    assert back.json["paths"] == ["/checkout"]


@pytest.mark.parametrize(
    ("wrong", "path"),
    [
        ({"origin": "https://shop.example:99999"}, "$.origin"),
        ({"paths": ["/a/../b"]}, "$.paths"),
        ({"ownPage": True}, "$.ownPage"),
        ({"passSeconds": 1}, "$.passSeconds"),
        ({"probeUrl": "https://user@shop.example/"}, "$.probeUrl"),
    ],
)
def test_a_shop_that_cannot_be_so_is_refused_by_its_field(owner: Client, wrong: dict[str, Any], path: str) -> None:
    refused = owner.post("/api/ops/shops", {**SHOP, **wrong})
    assert (refused.status, refused.code) == (400, "invalid_request")
    assert path in refused.json["detail"]


def test_a_shop_pushes_its_figures_by_a_token_that_can_do_nothing_else(
    site: Site, owner: Client, shop: dict[str, Any]
) -> None:
    event_id = shop["eventId"]
    wanted = {"name": "the shop", "role": "door", "eventId": event_id, "hours": 1, "password": PASSWORD}
    pushes = site.client()
    pushes.headers["Authorization"] = f"Bearer {owner.post('/api/ops/tokens', wanted).json['token']}"
    path = f"/api/ops/shops/{event_id}"
    figures = {"p95Ms": 420, "requests": 1840, "failed": 3, "seconds": 10}
    assert pushes.post(f"{path}/figures", figures).status == 204
    assert pushes.post(f"{path}/figures", {**figures, "failed": 1841}).status == 400
    assert pushes.get(path).code == "not_your_role"
    assert pushes.call("PUT", path, {"origin": "https://evil.example"}).code == "not_your_role"
    found = owner.get(path).json["figures"]
    assert {**found, "at": ""} == {
        "at": "", "fresh": True, "p95Ms": 420, "asked": 1840, "failed": 3, "perSecond": 184, "source": "pushed"
    }  # fmt: skip

    # The autopilot takes them: far over the target it says so, and slows the door; with nobody inside not to nothing.
    assert pushes.post(f"{path}/figures", {**figures, "p95Ms": 9000}).status == 204
    assert owner.call("PATCH", f"/api/ops/rooms/{event_id}", {"autopilot": True}).status == 200

    def slowed() -> bool:
        now = owner.get(path).json
        is_told = now["autopilotWhy"].startswith("slowed: p95 9000 ms over the 1000 ms target")
        return bool(is_told and 0 < now["rateNowPerMinute"] <= shop["ratePerMinute"] / 2)

    await_that(slowed, what="the autopilot's word")


def test_a_room_of_ours_is_no_shop(site: Site, owner: Client) -> None:
    event_id = site.event()
    assert owner.get(f"/api/ops/shops/{event_id}").code == "unknown_event"
    assert owner.call("PUT", f"/api/ops/shops/{event_id}", {"origin": "https://shop.example"}).code == "unknown_event"
    assert site.client().get("/api/ops/shops").status == 401
