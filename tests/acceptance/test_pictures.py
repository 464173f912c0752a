"""Pictures, doors, the site's own look, previews and web push, over the wire."""

from __future__ import annotations

import io
import json
import re
from typing import Any

import psycopg
import pytest
from PIL import Image

from db.events.seed import RoomSeed
from db.messages.addresses import opened
from db.pictures import forget_unused
from db.push.subscriptions import OF_ONE_FAN_MAX
from tests.acceptance.conftest import Site
from tests.acceptance.test_hall_plans import give, plan_of_event
from tests.acceptance.test_languages import get
from tests.acceptance.test_programme import body, made, reasons
from tests.client import Answer, Client

ENVIRON = {
    "ADMITONE_PICTURE_BYTES_MAX": "65536",
    "ADMITONE_BRAND_NAME": "Thalia & Söhne",
    "ADMITONE_BRAND_COLOUR": "#00567d",
    "ADMITONE_BRAND_PRIVACY_URL": "https://thalia.example/privacy",
    "ADMITONE_PUSH_PUBLIC_KEY": (
        "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4"
    ),
}
KEYS = {"p256dh": ENVIRON["ADMITONE_PUSH_PUBLIC_KEY"], "auth": "BTBZMqHH6r4Tts7J_aSIgg"}
SECTION = {
    "name": "All",
    "rows": [
        {
            "ticketType": name,
            "rowNumber": row,
            "seats": [{"seatNumber": n, "x": 10 * n, "y": top + 12 * row} for n in seats],
        }
        for name, rows, seats, top in (("Stalls", (1, 2, 3), (1, 2, 3, 4), 50), ("Boxes", (1,), (1, 2, 5, 6), 150))
        for row in rows
    ],
}
ALT = 'Lena Brandt, "at the piano" <live>'


@pytest.fixture(scope="module")
def operator(site: Site) -> Client:
    return site.operator()


def picture(colour: str = "#c03060") -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (1280, 800), colour).save(file, "JPEG")
    return file.getvalue()


def upload(client: Client, content: bytes, media_type: str = "image/jpeg") -> Answer:
    return client.call("POST", "/api/ops/pictures", raw=content, headers={"Content-Type": media_type})


def uploaded(operator: Client, colour: str = "#c03060") -> dict[str, Any]:
    answer = upload(operator, picture(colour))
    assert answer.status == 201, answer.content
    found: dict[str, Any] = answer.json
    return found


def test_a_picture_is_served_for_ever_under_its_hash(site: Site, operator: Client) -> None:
    answer = uploaded(operator)
    assert answer == uploaded(operator), "the same picture has the same name"
    for href, kind in ((answer["href"], "webp"), (answer["smallHref"], "webp"), (answer["cardHref"], "jpeg")):
        served = site.client().get(href)
        assert served.status == 200
        assert served.headers["Content-Type"] == f"image/{kind}"
        assert served.headers["Cache-Control"] == "public, max-age=31536000, immutable"
        assert served.headers.get_all("X-Content-Type-Options") == ["nosniff"]
        assert "sandbox" in served.headers["Content-Security-Policy"]
        assert Image.open(io.BytesIO(served.content)).format == kind.upper()
        again = site.client().get(href, **{"If-None-Match": served.headers["ETag"]})
        assert (again.status, again.content) == (304, b"")
    assert Image.open(io.BytesIO(site.client().get(answer["href"]).content)).size == (answer["width"], answer["height"])


@pytest.mark.parametrize("name", ["f" * 32 + ".webp", "x.webp", "f" * 32 + ".png", "..%2f..%2fetc.webp"])
def test_there_is_no_other_file(site: Site, name: str) -> None:
    assert site.client().get(f"/pictures/{name}").status == 404


def test_only_an_operators_picture_in_its_bounds_is_taken(site: Site, operator: Client) -> None:
    assert upload(site.client(), picture()).code == "unauthenticated"
    assert upload(site.fan(), picture()).code == "not_operator"
    for media_type in ("image/svg+xml", "application/json", "text/html", ""):
        assert upload(operator, picture(), media_type).code == "unsupported_media_type"
    assert upload(operator, b"\xff\xd8" + bytes(70_000)).code == "body_too_large"
    for content in (b"", b"no picture", picture()[:900]):
        refused = upload(operator, content)
        assert (refused.status, refused.code) == (422, "picture_refused"), refused.content


def test_an_event_has_a_picture_and_doors_and_can_lose_them(site: Site, operator: Client) -> None:
    one, other = uploaded(operator, "green"), uploaded(operator, "navy")
    event = made(operator, pictureHash=one["hash"], pictureAlt=ALT)
    event_id = event["eventId"]
    assert (event["pictureHash"], event["pictureAlt"], event["doorsAt"]) == (one["hash"], ALT, None)
    path = f"/api/ops/events/{event_id}"
    changed = operator.patch(path, {"pictureHash": other["hash"], "doorsAt": event["onSaleAt"]})
    assert (changed.json["pictureHash"], changed.json["doorsAt"]) == (other["hash"], event["onSaleAt"])
    shown = site.client().get(f"/api/initial-call/{event_id}").json["event"]
    assert (shown["pictureHash"], shown["pictureAlt"]) == (other["hash"], ALT)
    bare = operator.patch(path, {"pictureHash": None, "pictureAlt": "", "doorsAt": None}).json
    assert (bare["pictureHash"], bare["pictureAlt"], bare["doorsAt"]) == (None, "", None)
    log = operator.get(f"{path}/log").json["entries"]
    assert {"picture_hash", "picture_alt", "doors_at"} <= {line["field"] for line in log}


def test_what_cannot_be_is_refused(operator: Client) -> None:
    event = made(operator)
    path = f"/api/ops/events/{event['eventId']}"
    unknown = "0" * 32
    late = body(doorsAt="2190-01-01T00:00:00Z")
    assert reasons(operator.post("/api/ops/events", late)) == [("event_invalid", "$.doorsAt")]
    assert reasons(operator.patch(path, {"doorsAt": "2190-01-01T00:00:00Z"})) == [("event_invalid", "$.doorsAt")]
    assert reasons(operator.post("/api/ops/events", body(pictureHash=unknown))) == [("event_invalid", "$.pictureHash")]
    assert reasons(operator.patch(path, {"pictureHash": unknown})) == [("event_invalid", "$.pictureHash")]
    assert operator.patch(path, {"pictureHash": "../../etc"}).code == "invalid_request"
    assert operator.get(path).json["revision"] == event["revision"]


def test_a_picture_that_nothing_shows_is_forgotten_after_a_day(site: Site, operator: Client) -> None:
    shown, unused, fresh = (uploaded(operator, colour) for colour in ("red", "blue", "white"))
    made(operator, pictureHash=shown["hash"])
    with psycopg.connect(site.database_url, autocommit=True) as connection:
        connection.execute(
            "UPDATE picture SET used_at = used_at - interval '25 hours' WHERE hash = ANY(%s)",
            ([shown["hash"], unused["hash"]],),
        )
        assert forget_unused(connection) >= 1
        left = {row[0] for row in connection.execute("SELECT hash FROM picture")}
    assert {shown["hash"], fresh["hash"]} <= left
    assert unused["hash"] not in left


def test_a_picture_stands_behind_a_halls_seats_and_stays_while_it_does(site: Site, operator: Client) -> None:
    event_id = site.event()
    answer = operator.call(
        "POST", "/api/ops/pictures?whole=true", raw=picture("olive"), headers={"Content-Type": "image/jpeg"}
    ).json
    assert (answer["width"], answer["height"]) == (1280, 800)
    behind = {"href": answer["href"], "at": [10, 20], "size": [400, 250]}
    unknown = give(operator, event_id, plan_of_event(picture=behind | {"href": f"/pictures/{'0' * 32}.webp"}))
    assert (unknown.code, unknown.json["errors"][0]["path"]) == ("plan_invalid", "$.picture.href")
    for href in ("https://elsewhere.example/x.webp", answer["cardHref"], "/pictures/../../etc"):
        assert give(operator, event_id, plan_of_event(picture=behind | {"href": href})).status == 400
    new = body(plan={"picture": behind | {"href": f"/pictures/{'0' * 32}.webp"}, "sections": [SECTION]})
    assert reasons(operator.post("/api/ops/events", new)) == [("event_invalid", "$.plan.picture.href")]

    def old() -> bool:
        """Whether the picture was forgotten, a day and an hour later."""
        with psycopg.connect(site.database_url, autocommit=True) as connection:
            connection.execute("UPDATE picture SET used_at = used_at - interval '25 hours'")
            forget_unused(connection)
            found = connection.execute("SELECT FROM picture WHERE hash = %s", (answer["hash"],))
            return found.fetchone() is None

    assert give(operator, event_id, plan_of_event(picture=behind)).status == 200
    shown = site.client().get(f"/api/events/{event_id}/plan").json["picture"]
    assert (shown["href"], shown["size"]) == (answer["href"], [400, 250])
    assert not old()
    # As it is stored it can be sent back, with nothing behind its seats any more.
    stored = operator.get(f"/api/ops/events/{event_id}/plan").json
    assert give(operator, event_id, stored | {"picture": None}).status == 200
    assert old()


def test_a_page_tells_previews_and_search_engines_of_its_event(site: Site, operator: Client) -> None:
    uploads = uploaded(operator)
    event = made(
        operator,
        name='</script><b>"Night"</b>',
        timeZone="Europe/Berlin",
        date="2032-01-09T19:00:00Z",
        doorsAt="2032-01-09T18:00:00Z",
        pictureHash=uploads["hash"],
        pictureAlt=ALT,
    )
    path = f"/events/{event['eventId']}"
    html = get(site, f"/de{path}", {"Accept-Language": "de"})[2]
    assert html.count("<script") == html.count("</script>"), "a name ends no data block"
    block = re.search(r'<script type="application/ld\+json">(.*?)</script>', html, re.DOTALL)
    assert block
    data = json.loads(block[1])
    assert (data["@type"], data["name"]) == ("Event", event["name"])
    assert (data["startDate"], data["doorTime"]) == ("2032-01-09T20:00:00+01:00", "2032-01-09T19:00:00+01:00")
    assert (data["offers"]["lowPrice"], data["offers"]["highPrice"]) == ("49.00", "129.00")
    assert data["offers"]["availability"] == "https://schema.org/InStock"
    assert data["image"] == [site.url + uploads["cardHref"]]
    assert data["url"] == f"{site.url}/de{path}"
    assert f'<meta property="og:image" content="{site.url}{uploads["cardHref"]}">' in html
    assert f'<link rel="canonical" href="{site.url}/de{path}">' in html
    assert '<meta name="twitter:card" content="summary_large_image">' in html
    assert "Einlass <time" in html
    assert ">19:00</time>" in html


def test_the_home_page_tells_what_is_on_from_what_is_coming(site: Site, operator: Client) -> None:
    shut = {"state": "closed", "ratePerMinute": 60, "capacity": 10, "lobbyMinutes": 0}
    made(operator, name="Grouped: on")
    made(operator, name="Grouped: coming", onSaleAt="2031-01-01T10:00:00Z", date="2031-02-01T20:00:00Z")
    made(operator, name="Grouped: shut", room=shut)
    html = get(site, "/?q=Grouped")[2]
    order = ["On sale now", "Grouped: on", "Coming soon", "Grouped: coming", "No tickets just now", "Grouped: shut"]
    places = [html.index(f">{words}<") for words in order]
    assert places == sorted(places)


def test_every_page_of_the_fans_wears_the_sites_look(site: Site) -> None:
    event_id = site.event(room=RoomSeed(rate_per_minute=0, capacity=5))
    fan = site.admitted_fan(site.event())
    for path in ("/", f"/events/{event_id}", "/purchases", "/no-such-page", "/ja/"):
        html = get(site, path, {"Cookie": f"admitone_session={fan.token}"})[2]
        assert "Thalia &amp; Söhne" in html, path
        assert "Admit One" not in html, path
        assert '<meta name="theme-color" content="#00567d">' in html, path
        assert 'href="https://thalia.example/privacy"' in html, path
    manifest = site.client().get("/manifest.webmanifest")
    assert manifest.headers["Content-Type"].startswith("application/manifest+json")
    assert manifest.json["name"] == "Thalia & Söhne"
    for icon in manifest.json["icons"]:
        served = site.client().get(icon["src"])
        assert "x".join(map(str, Image.open(io.BytesIO(served.content)).size)) == icon["sizes"]


def test_a_site_with_a_look_that_cannot_be_does_not_start(site: Site) -> None:
    refused = site.services.run("gateway", "--port", "1", ADMITONE_BRAND_COLOUR="#7f7f7f")
    assert refused.returncode != 0
    assert "neither dark nor white text can be read" in refused.stderr
    missing = site.services.run("gateway", "--port", "1", ADMITONE_BRAND_LOGO="/no/such/logo.svg")
    assert missing.returncode != 0
    assert "ADMITONE_BRAND_LOGO" in missing.stderr
    assert "Traceback" not in missing.stderr


def subscriptions(site: Site, event_id: int) -> list[tuple[str, str]]:
    with psycopg.connect(site.database_url) as connection:
        found = connection.execute(
            "SELECT endpoint, language FROM push_subscription WHERE event_id = %s ORDER BY made_at", (event_id,)
        ).fetchall()
    return [(opened(endpoint), language) for endpoint, language in found]


def test_a_fans_browsers_are_kept_and_bounded(site: Site) -> None:
    event_id = site.event(room=RoomSeed(rate_per_minute=0, capacity=5))
    fan, path = site.fan(), f"/api/queue/{event_id}/push"
    for number in range(OF_ONE_FAN_MAX + 2):
        sent = {"endpoint": f"https://push.example.org/{number}", "keys": KEYS, "language": "fr"}
        assert fan.post(path, sent).status == 204
    kept = [(f"https://push.example.org/{number}", "fr") for number in range(2, OF_ONE_FAN_MAX + 2)]
    assert subscriptions(site, event_id) == kept
    again = {"endpoint": kept[0][0], "keys": KEYS, "language": "de"}
    assert fan.post(path, again).status == 204
    assert subscriptions(site, event_id) == [*kept[1:], (kept[0][0], "de")]
    assert site.fan().post(f"{path}/end", {"endpoint": kept[1][0]}).status == 204
    assert len(subscriptions(site, event_id)) == OF_ONE_FAN_MAX, "another fan's stay"
    assert fan.post(f"{path}/end", {"endpoint": kept[1][0]}).status == 204
    assert len(subscriptions(site, event_id)) == OF_ONE_FAN_MAX - 1


@pytest.mark.parametrize(
    "endpoint",
    [
        "http://push.example.org/1",
        "https://127.0.0.1/1",
        "https://10.0.0.7/x",
        "https://localhost/1",
        "ftp://a.b/c",
        "",
    ],
)
def test_a_push_goes_nowhere_inside_of_our_network(site: Site, endpoint: str) -> None:
    event_id = site.event()
    refused = site.fan().post(f"/api/queue/{event_id}/push", {"endpoint": endpoint, "keys": KEYS})
    assert (refused.status, refused.code) == (400, "invalid_request")


def test_of_an_unknown_event_nothing_is_pushed(site: Site) -> None:
    sent = {"endpoint": "https://push.example.org/1", "keys": KEYS}
    assert site.fan().post("/api/queue/987654/push", sent).code == "unknown_event"
    assert site.client().post("/api/queue/1/push", sent).code == "unauthenticated"
