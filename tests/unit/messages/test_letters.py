"""Letters say what they should in every language, and nothing that an event is called can change what they are."""

from __future__ import annotations

import base64
import datetime as dt
import email
import email.policy
import re
import string
from pathlib import Path

import dkim
import pytest
from babel.messages.catalog import Catalog
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen

from db.languages import LANGUAGE_TAGS
from db.messages.kinds import CHOOSABLE, MAIL, SMS, MessageKind
from db.messages.queue import EventFacts, TicketFacts
from gateway.pages.languages import OTHERS, Language
from gateway.pages.texts import texts
from gateway.pages.told import KIND_WORDS
from messages.files import files_of
from messages.fonts import fonts_for
from messages.languages import FOLDER, read_catalogue
from messages.letters import Letter, Occasion, write_letter
from messages.links import Links, LinkTokens, Reader
from messages.look import Look
from messages.mime import DkimKey, mail_of
from messages.settings import MessageSettings, ProviderUrlError, provider_of
from messages.writer import Writer
from waiting_room.errors import TokenInvalid
from workers.messages.fan_out import after_quiet_hours
from workers.messages.sender import retry_wait_seconds

EVENT = EventFacts(
    "Night & <Day> 100%",
    "Ada",
    "Arena",
    dt.datetime(2026, 12, 1, 19, tzinfo=dt.UTC),
    "Europe/Berlin",
    None,
    dt.datetime(2026, 11, 1, tzinfo=dt.UTC),
    "EUR",
    "",
    "published",
    1,
)
PURCHASE = "019a5b1e-8d30-7c21-a5b6-1e2f3a4b5c6d"
PAYLOAD = {
    "minutes": 5,
    "place": "token",
    "endsAt": "2026-12-01T18:00:00+00:00",
    "purchaseId": "p",
    "amount": 4500,
    "currency": "EUR",
    "cause": "cancelled",
    "seats": 2,
    "followerId": "f",
    "mail": "ada@example.org",
    "name": "Ada",
    "title": "An alarm",
    "short": "A line",
    "alarms": [{"title": "An alarm", "sentence": "A line", "facts": [["Event", "Night"]]}] * 2,
    "more": "And more.",
    "path": "/ops",
    "before": {"date": "2026-11-30T18:00:00+00:00"},
}
LINKS = Links("https://venue.example", LinkTokens("a secret of the tests, which is long enough", now=lambda: 1.8e9))
_PERCENT = re.compile(r"%\((\w+)\)s")


def letter(kind: MessageKind, language: str = "en", *, tickets: int = 2, event: EventFacts = EVENT) -> Letter:
    bought = [TicketFacts(9000, "EUR", "Stalls", "", "1", str(n), 4500, f"CODE-{n}") for n in range(1, tickets + 1)]
    occasion = Occasion(
        kind=kind, event_id=1, event=event, payload=PAYLOAD, tickets=bought if kind is MessageKind.PURCHASE else ()
    )
    written = write_letter(occasion, MAIL, "ada@example.org", language, Look(), LINKS)
    written.files = files_of(occasion, written, Look())
    return written


@pytest.mark.parametrize("language", LANGUAGE_TAGS)
@pytest.mark.parametrize("kind", list(MessageKind))
def test_every_letter_is_whole_in_every_language(kind: MessageKind, language: str) -> None:
    written = letter(kind, language)
    assert written.subject
    assert "%(" not in written.text + written.html + written.short
    assert "Night &amp; &lt;Day&gt; 100%" in written.html or EVENT.name not in written.text
    assert "<Day>" not in written.html
    assert written.url in written.text
    if language != "en" and kind is not MessageKind.ALARM:
        assert written.subject != letter(kind).subject or kind is MessageKind.NEW_EVENT


def test_what_an_event_is_called_cannot_write_headers_of_a_mail() -> None:
    with pytest.raises(ValueError, match="linefeed"):
        mail_of(
            letter(MessageKind.TURN, event=EVENT._replace(name="A\r\nBcc: eve@example.org")),
            "ada@example.org",
            "tickets@venue.example",
            "Admit One",
            "id",
        )


def test_a_mail_has_text_and_html_and_its_files() -> None:
    mail = mail_of(letter(MessageKind.PURCHASE), "ada@example.org", "tickets@venue.example", 'Café, "X"', "id")
    read = email.message_from_bytes(mail, policy=email.policy.default)
    types = [part.get_content_type() for part in read.walk() if not part.is_multipart()]
    assert types == ["text/plain", "text/html", "image/png", "image/png", "application/pdf", "text/calendar"]
    assert read["From"].addresses[0].display_name == 'Café, "X"'
    assert read["Message-ID"] == "<id@venue.example>"


@pytest.mark.parametrize(
    ("cause", "purchase", "says", "leads"),
    [
        ("cancelled", PURCHASE, "You cancelled tickets.", f"/purchases/{PURCHASE}"),
        ("event_cancelled", PURCHASE, "This event was cancelled.", f"/purchases/{PURCHASE}"),
        ("seats_gone", None, "could not buy these seats", "/events/1"),
    ],
)
def test_a_refund_says_why_and_leads_to_what_the_fan_has(
    cause: str, purchase: str | None, says: str, leads: str
) -> None:
    payload = {"amount": 4500, "currency": "JPY", "cause": cause, "purchaseId": purchase}
    occasion = Occasion(kind=MessageKind.REFUND, event_id=1, event=EVENT, payload=payload, user_id=7)
    written = write_letter(occasion, MAIL, "ada@example.org", "en", Look(), LINKS)
    assert says in written.text
    assert "¥4,500" in written.text, "in the currency in which it was paid"
    assert leads in written.url


def test_an_sms_has_no_links_but_its_own() -> None:
    occasion = Occasion(kind=MessageKind.TURN, event_id=1, event=EVENT, payload=PAYLOAD)
    written = write_letter(occasion, SMS, "+4930123456", "de", Look(), LINKS)
    assert written.unsubscribe == written.html == ""
    assert written.url == "https://venue.example/de/events/1#place=token"


def decoded(mail: bytes) -> tuple[dict[str, str], list[str]]:
    read = email.message_from_bytes(mail, policy=email.policy.default)
    parts = [str(part.get_content()) for part in read.walk() if part.get_content_maintype() == "text"]
    headers = ("Subject", "To", "Content-Language", "List-Unsubscribe", "Message-ID")
    return {name: str(read[name]) for name in headers}, [part.replace("\r\n", "\n").rstrip() for part in parts]


@pytest.mark.parametrize("language", LANGUAGE_TAGS)
@pytest.mark.parametrize("kind", [MessageKind.TURN, MessageKind.EVENT_MOVED, MessageKind.NEW_EVENT])
def test_a_letter_that_was_written_for_many_is_each_readers_own(kind: MessageKind, language: str) -> None:
    writer = Writer(Look(), LINKS)
    for number in range(3):
        address, place = f"fan-{number}@example.org", f"place-token-{number}" * 20
        occasion = Occasion(kind=kind, event_id=1, event=EVENT, payload={**PAYLOAD, "place": place})
        alone = write_letter(occasion, MAIL, address, language, Look(), LINKS)
        written = writer.write(occasion, MAIL, address, language)
        assert (written.letter.text, written.letter.html) == (alone.text, alone.html)
        envelope = (address, "tickets@venue.example", "Admit One", f"id-{number}")
        mails = [written.mail(*envelope), mail_of(alone, *envelope)]
        assert decoded(mails[0]) == decoded(mails[1])
        assert decoded(mails[0])[0]["List-Unsubscribe"] == f"<{alone.unsubscribe}>"
        assert max(len(line) for line in mails[0].split(b"\r\n\r\n", 1)[1].split(b"\r\n")) <= 76
    assert len(writer._drafts) == 1


@pytest.mark.parametrize("language", LANGUAGE_TAGS)
@pytest.mark.parametrize("tail", ["", "\r\n\r\n", "  a  b \t \r\n"])
def test_a_signature_is_right_to_a_library_that_verifies_it(language: str, tail: str) -> None:
    key = rsa.generate_private_key(65537, 1024)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    mail = letter(MessageKind.TURN, language)
    signed = DkimKey("venue.example", "s1", pem).sign(
        mail_of(mail, "ada@example.org", "tickets@venue.example", "Café", "id") + tail.encode()
    )
    public = base64.b64encode(key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))
    assert dkim.verify(signed, dnsfunc=lambda name, timeout=5: b"v=DKIM1; k=rsa; p=" + public)
    assert not dkim.verify(
        signed.replace(b"List-Unsubscribe: <", b"List-Unsubscribe: <x"),
        dnsfunc=lambda name, timeout=5: b"v=DKIM1; k=rsa; p=" + public,
    )


@pytest.mark.parametrize("address", ["+4915112345678", "+1234567", "+123456789012345"])
def test_the_token_of_a_phone_is_short_and_cannot_be_made_by_anybody(address: str) -> None:
    tokens = LinkTokens("a secret of the tests, which is long enough")
    token = tokens.sign_reader(Reader(channel=SMS, address=address, kind="turn"))
    assert len(token) == 24
    assert tokens.verify_reader(token) == Reader(channel=SMS, address=address)
    other = LinkTokens("another secret of the tests, also long").sign_reader(Reader(channel=SMS, address=address))
    for forged in (other, token[:-1] + ("A" if token[-1] != "A" else "B"), "A" * 24, token[:23]):
        with pytest.raises(TokenInvalid):
            tokens.verify_reader(forged)


SIGNS = {"ar": "أمسية موسيقية", "ja": "夜の音楽会"}


@pytest.mark.parametrize("language", SIGNS)
def test_tickets_are_printed_with_the_fonts_that_the_system_has(language: str) -> None:
    event = EVENT._replace(name=SIGNS[language], venue="Ἀ")
    if fonts_for(event.name + event.venue) is None:
        pytest.skip("the system has no font for it")
    (pdf, _) = letter(MessageKind.PURCHASE, language, event=event).files
    assert (pdf.name, pdf.content[:5]) == ("tickets.pdf", b"%PDF-")
    assert len(pdf.content) < 200_000, "only the letters that it has come with it"


def test_a_font_of_the_settings_comes_first_and_others_help_out(tmp_path: Path) -> None:
    made = {name: str(tmp_path / name) for name in ("latin", "arabic")}
    for path, signs in zip(made.values(), ("abc ", "ابج"), strict=True):
        builder = FontBuilder(1000)
        names = [".notdef", *(f"g{ord(sign):x}" for sign in signs)]
        builder.setupGlyphOrder(names)
        builder.setupCharacterMap({ord(sign): f"g{ord(sign):x}" for sign in signs})
        builder.setupGlyf({name: TTGlyphPen(None).glyph() for name in names})
        builder.setupHorizontalMetrics(dict.fromkeys(names, (500, 0)))
        builder.setupHorizontalHeader(ascent=800, descent=-200)
        builder.setupPost()
        builder.save(path)
    assert fonts_for("ab", made["latin"], []) == [made["latin"]]
    assert fonts_for("اب", "", [made["latin"], made["arabic"]]) == [made["arabic"]]
    assert fonts_for("ab اب", made["latin"], [made["arabic"]]) == [made["latin"], made["arabic"]]
    assert fonts_for("ab 夜", made["latin"], [made["arabic"]]) is None
    assert fonts_for("ab", str(tmp_path / "none"), []) is None


def test_tickets_whose_letters_no_font_has_come_without_a_pdf() -> None:
    names = {
        file.name for file in letter(MessageKind.PURCHASE, event=EVENT._replace(name="夜の音楽会 \U0010fffd")).files
    }
    assert names == {"event.ics"}


def test_each_kind_that_can_be_chosen_has_its_words() -> None:
    assert set(KIND_WORDS) == set(CHOOSABLE)


@pytest.mark.parametrize("language", OTHERS, ids=lambda language: language.tag)
def test_every_text_is_translated_with_its_placeholders(language: Language) -> None:
    said, translated = texts(FOLDER.parent), read_catalogue(FOLDER, language.tag)
    for message in said:
        if not message.id:
            continue
        found = translated.get(message.id)
        assert found is not None, f"make texts, and translate {message.id!r}"
        forms = (found.string,) if isinstance(found.string, str) else tuple(found.string or ())
        assert len(forms) == (1 if isinstance(message.id, str) else translated.num_plurals)
        english = message.id if isinstance(message.id, str) else message.id[1]
        for form in forms:
            assert form, message.id
            assert placeholders(form) == placeholders(english), (english, form)
    assert identities(translated) == identities(said)


def placeholders(text: str) -> set[str]:
    return set(_PERCENT.findall(text)) | {name for _, name, _, _ in string.Formatter().parse(text) if name}


def identities(catalogue: Catalog) -> set[str]:
    return {str(message.id) for message in catalogue if message.id}


@pytest.mark.parametrize(
    ("hour", "minute", "due"),
    [(20, 59, "20:59"), (21, 0, "08:00"), (23, 30, "08:00"), (3, 0, "08:00"), (7, 59, "08:00"), (8, 0, "08:00")],
)
def test_a_night_is_waited_for_by_the_clock_of_the_venue(hour: int, minute: int, due: str) -> None:
    zone = dt.timezone(dt.timedelta(hours=1))
    at = dt.datetime(2026, 11, 29, hour, minute, tzinfo=zone)
    found = after_quiet_hours(at, "Europe/Berlin", MessageSettings()).astimezone(zone)
    assert found >= at
    assert f"{found:%H:%M}" == due
    assert found - at < dt.timedelta(hours=12)


def test_no_quiet_hours_where_they_begin_when_they_end() -> None:
    at = dt.datetime(2026, 11, 29, 3, tzinfo=dt.UTC)
    assert after_quiet_hours(at, "UTC", MessageSettings(quiet_from=0, quiet_until=0)) == at


def test_waits_treble_and_are_bounded() -> None:
    settings = MessageSettings()
    assert [retry_wait_seconds(settings, tries) for tries in (1, 2, 3, 9, 40)] == [5, 15, 45, 3600, 3600]
    assert retry_wait_seconds(settings, 1, 60) == 60


@pytest.mark.parametrize("url", ["http://host", "smtp://", "smtp://host:99999", "host:25", ""])
def test_what_is_no_server_of_mail_is_refused(url: str) -> None:
    with pytest.raises(ProviderUrlError):
        provider_of(url, ("smtp", "smtps"))


def test_a_server_is_taken_apart() -> None:
    server = provider_of("smtps://ada%40example.org:p%3Aw@mail.example.org", ("smtp", "smtps"))
    assert (server.user, server.password, server.host, server.port) == (
        "ada@example.org",
        "p:w",
        "mail.example.org",
        465,
    )
