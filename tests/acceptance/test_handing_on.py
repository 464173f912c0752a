"""A ticket at the door and in a friend's hands, over HTTP alone."""

from __future__ import annotations

import re

from tests.acceptance.conftest import Site
from tests.acceptance.test_languages import get
from tests.client import Fan
from tickets.signed import public_keys, verify_ticket


def _page(site: Site, fan: Fan, path: str) -> tuple[int, str]:
    status, _, text = get(site, path, {"Cookie": f"admitone_session={fan.token}"})
    return status, text


def test_a_ticket_is_verified_by_the_published_keys_and_given_as_a_pdf(site: Site) -> None:
    event_id = site.event()
    fan = site.admitted_fan(event_id)
    purchase_id = fan.buy(event_id, [(1, 2, 1), (1, 2, 2)])["purchaseId"]
    keys = public_keys(site.client().get("/.well-known/jwks.json").json)
    details = fan.get(f"/api/purchases/{purchase_id}").json["details"]
    said = [verify_ticket(one["ticket"], keys) for one in details]
    assert {(str(one.purchase_id), one.event_id, one.seat[1:], one.issue_number) for one in said} == {
        (purchase_id, event_id, (2, 1), 1), (purchase_id, event_id, (2, 2), 1),
    }  # fmt: skip
    cookie = {"Cookie": f"admitone_session={fan.token}"}
    pdf = fan.get(f"/purchases/{purchase_id}/tickets.pdf", **cookie)
    assert (pdf.status, pdf.headers["Content-Type"]) == (200, "application/pdf")
    assert pdf.content.startswith(b"%PDF-")
    assert len(re.findall(rb"/Type /Page\b", pdf.content)) == len(details)
    assert get(site, f"/purchases/{purchase_id}/tickets.pdf")[0] == 404


def test_a_friend_takes_a_ticket_by_its_link_and_both_are_told(site: Site) -> None:
    event_id = site.event()
    buyer, friend, late = site.admitted_fan(event_id), site.fan(), site.fan()
    purchase_id = buyer.buy(event_id, [(1, 2, 1), (1, 2, 2)])["purchaseId"]
    old = buyer.get(f"/api/purchases/{purchase_id}").json["details"][0]
    links = buyer.get(f"/api/purchases/{purchase_id}/hand-on").json["links"]
    assert [one["seatNumber"] for one in links] == [1, 2]
    path = links[0]["href"].removeprefix(site.url)
    assert path in _page(site, buyer, f"/purchases/{purchase_id}")[1]

    # Another browser, without scripts: the link, the button, the ticket.
    status, offered = _page(site, friend, path)
    assert (status, old["ticketCode"] in offered, "Take this ticket" in offered) == (200, False, True)
    cookie = {"Cookie": f"admitone_session={friend.token}"}
    status, headers, _ = get(site, path, cookie, method="POST")
    assert (status, headers["Location"]) == (303, f"/purchases/{purchase_id}")
    (new,) = friend.get(f"/api/purchases/{purchase_id}").json["details"]
    assert new["ticketCode"] != old["ticketCode"]
    assert new["ticketCode"] in _page(site, friend, f"/purchases/{purchase_id}")[1]
    assert [one["purchaseId"] for one in friend.get("/api/purchases").json["purchases"]] == [purchase_id]
    # The buyer's page says so, and has the code no more.
    shown = _page(site, buyer, f"/purchases/{purchase_id}")[1]
    assert "Somebody else has this ticket now" in shown
    assert old["ticketCode"] not in shown
    assert new["ticketCode"] not in shown

    # The button pressed again changes nothing, and the link is of no use to anybody else.
    assert get(site, path, cookie, method="POST")[1]["Location"] == f"/purchases/{purchase_id}"
    taken = late.post("/api/tickets/take", {"token": links[0]["token"]}, Prefer="wait=10")
    assert taken.json["problem"]["code"] == "ticket_link_ended"
    status, headers, _ = get(site, path, {"Cookie": f"admitone_session={late.token}"}, method="POST")
    assert headers["Location"] == f"{path}?problem=ticket_link_ended"
    assert "Somebody took this ticket already" in _page(site, late, headers["Location"])[1]
    assert late.post("/api/tickets/take", {"token": "x"}).code == "ticket_link_ended"
    assert _page(site, late, "/purchases/take/x")[0] == 404
    assert late.get(f"/api/purchases/{purchase_id}").status == 404
    # The friend's own link opens this one ticket on any device.
    key = friend.get(f"/api/purchases/{purchase_id}/link").json["key"]
    by_link = get(site, f"/purchases/{purchase_id}?key={key}")[2]
    assert new["ticketCode"] in by_link
