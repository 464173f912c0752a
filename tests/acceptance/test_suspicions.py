"""A session that looks like a program's over HTTP: it is asked for proofs, operators see why, and one lets it go on."""

from __future__ import annotations

import urllib.error
import urllib.request
from typing import Any, Final

import pytest

from tests.acceptance.conftest import Site
from tests.client import solve_captcha
from tests.waiting import await_that

STEERED: Final = {"fingerprint": "0123456789abcdef0123456789abcdef", "tells": ["webdriver", "headless"]}
FORM: Final = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "text/html"}


def test_a_steered_browser_with_wrong_proofs_proves_itself_until_an_operator_lets_it_go_on(site: Site) -> None:
    event_id = site.event()
    fan = site.fan()
    assert fan.join(event_id, {"device": STEERED}).json["state"] == "admitted"
    ask = {"eventId": event_id, "bestAvailable": {"ticketTypeId": 1, "quantity": 1}}
    for _ in range(3):
        assert fan.post("/api/reserve", ask, X_Captcha_Token="I am no robot").code == "captcha_failed"
    asked = fan.post("/api/reserve", ask)
    assert (asked.status, asked.code) == (403, "captcha_required")
    assert {"tells", "wrong"} <= set(asked.json["reasons"])
    token = solve_captcha(fan)
    taken = fan.post("/api/reserve", ask, Prefer="wait=10", X_Captcha_Token=token)
    assert taken.json["status"] == "succeeded", taken.content
    operator = site.operator()

    def suspects() -> list[dict[str, Any]]:
        found = operator.get(f"/api/ops/events/{event_id}/networks").json["sessions"]
        return [one for one in found if one["userId"] == fan.user_id]

    # A gateway shares every two seconds what it saw: the first that is told may be from between the wrong proofs.
    (seen,) = await_that(
        lambda: [one for one in suspects() if one["points"] == 60 and one["answered"]], what="all that was seen"
    )
    assert seen["answer"] == "proof"
    other = site.admitted_fan(event_id)
    assert other.post("/api/reserve", ask, Prefer="wait=10").json["status"] == "succeeded", (
        "a neighbour is asked for nothing"
    )
    pardoned = operator.post(f"/api/ops/rooms/{event_id}/fans/{fan.user_id}/pardon", {"why": "she called"})
    assert pardoned.status == 204
    assert fan.post("/api/reserve", ask, Prefer="wait=10").json["status"] == "succeeded"
    log = operator.get(f"/api/ops/rooms/{event_id}/fans/{fan.user_id}").json["acts"]
    assert (log[0]["what"], log[0]["why"]) == ("pardon", "she called")


def test_who_is_refused_by_the_api_is_refused_by_the_forms_of_pages_and_told_why(site: Site) -> None:
    event_id = site.event()
    fan = site.fan()
    assert fan.join(event_id, {"device": STEERED}).json["state"] == "admitted"
    ask = {"eventId": event_id, "bestAvailable": {"ticketTypeId": 1, "quantity": 1}}
    for _ in range(5):
        assert fan.post("/api/reserve", ask, X_Captcha_Token="I am no robot").code == "captcha_failed"
    codes = [fan.post("/api/reserve", ask).code for _ in range(10)]
    assert (codes[0], codes[-1]) == ("captcha_required", "conduct_refused")
    browser = site.client()
    browser.headers |= {"Cookie": f"admitone_session={fan.token}", "Origin": site.url, **FORM}
    held = browser.call("POST", f"/events/{event_id}/hold", raw=b"ticketTypeId=1&quantity=1")
    assert (held.status, held.headers["Location"]) == (303, f"/events/{event_id}?problem=conduct_refused")
    told = f"write to the organiser and name the number {fan.user_id}."
    assert told in browser.get(held.headers["Location"]).content.decode()
    join = urllib.request.Request(f"{site.url}/events/{event_id}/join", b"", browser.headers, method="POST")
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(join)
    assert refused.value.status == 403
    assert told in refused.value.read().decode()
